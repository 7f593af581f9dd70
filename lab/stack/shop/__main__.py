"""`python -m shop front|back`: one service, until SIGTERM."""

from __future__ import annotations

import sys

from .service import serve
from .settings import from_environment


def main(arguments: list[str]) -> int:
    """Runs the named service; 2 on a name that is none."""
    settings = from_environment()
    # Each service imports only what it needs: a pod of 150 mCPU pays a second for every 150 ms of imports.
    match arguments:
        case ["front"]:
            from .front import front as service  # noqa: PLC0415
        case ["back"]:
            from .back import back as service  # noqa: PLC0415
        case _:
            sys.stderr.write("usage: python -m shop front|back\n")
            return 2
    app, readiness = service(settings)
    serve(app, settings, readiness)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
