"""The lab's AWS: moto, with what it lacks of the truth, behind the tap. `python -m lab.cloud.server --host --port`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from typing import Any

from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.test import EnvironBuilder, run_wsgi_app

from lab.cloud import autoscaling_api, machines, network_acl_api
from lab.cloud.groups import LabGroup
from lab.cloud.tap import Tap, Wsgi
from lab.context import AWS, REGION

PORT = 5000
# One cheap read a service: its first call imports it, which takes up to 5 s that nobody should wait for later.
WARM = {
    "sts": "Action=GetCallerIdentity&Version=2011-06-15",
    "ec2": "Action=DescribeSubnets&Version=2016-11-15",
    "autoscaling": "Action=DescribeAutoScalingGroups&Version=2011-01-01",
    "eks": "",
}
log = logging.getLogger("lab.cloud.server")


class _QuietHandler(MotoRequestHandler):  # type: ignore[misc]  # moto is not typed for us
    """Calls are told by the tap's side effects; a line for each poll would bury what matters."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Only answers that are errors of the server are worth a line."""
        if str(code).startswith("5"):
            super().log_request(code, size)


def application() -> Wsgi:
    """moto, mended and tapped."""
    machines.install()
    autoscaling_api.install()
    network_acl_api.install()
    return Tap(DomainDispatcherApplication(create_backend_app))


def warm(served: Any) -> None:
    """Every service that the lab uses has answered once."""
    for service, body in WARM.items():
        began = time.monotonic()
        scope = (
            f"AWS4-HMAC-SHA256 Credential=lab/20200101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
        headers = [("Authorization", scope)]
        builder = EnvironBuilder(
            path="/" if body else "/clusters",
            method="POST" if body else "GET",
            headers=headers,
            data=body,
            content_type="application/x-www-form-urlencoded" if body else None,
        )
        _, status, _ = run_wsgi_app(served, builder.get_environ())
        if not status.startswith("200"):
            raise RuntimeError(f"moto answers {service} with {status}; is it another version than uv.lock names?")
        log.info("%s warm after %.1f s", service, time.monotonic() - began)


def serve(host: str, port: int) -> BaseWSGIServer:
    """A server that listens and is warm, not yet serving."""
    served = application()
    warm(served)
    return make_server(host, port, served, threaded=True, request_handler=_QuietHandler)


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=str(AWS.address))
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--health-check-after", type=float, default=5.0, metavar="SECONDS")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    LabGroup.health_check_after = asked.health_check_after
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = serve(asked.host, asked.port)
    log.info("listening on %s:%d", asked.host, asked.port)
    server.serve_forever()


if __name__ == "__main__":
    main()
