"""Runs a short command to its end."""

from __future__ import annotations

import subprocess

from lab.errors import CommandFailed

WITHIN = 30.0


def run(*argv: str, feed: str = "", within: float = WITHIN) -> str:
    """What *argv* printed, given *feed* on standard input; raises CommandFailed on an error or after *within* seconds."""
    try:
        done = subprocess.run(argv, input=feed, capture_output=True, text=True, timeout=within, check=False)
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(argv, None, str(late), feed=feed) from late
    except FileNotFoundError as missing:
        raise CommandFailed(argv, 127, f"{argv[0]}: not found; is its package installed?", feed=feed) from missing
    if done.returncode != 0:
        raise CommandFailed(argv, done.returncode, done.stdout + done.stderr, feed=feed)
    return done.stdout
