"""Ready checks over HTTP: whether a part answers 200 now. A refusal, a timeout or another status is a plain no."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import httpx

PATIENCE = 2.0


def http_ok(url: str) -> Callable[[], bool]:
    """A check that *url* answers 200."""
    return lambda: _ok(url, verify=False)


def https_ok(url: str, authority: Path) -> Callable[[], bool]:
    """A check that *url* answers 200 with a certificate that *authority* signed."""
    return lambda: _ok(url, verify=ssl.create_default_context(cafile=str(authority)))


def _ok(url: str, *, verify: ssl.SSLContext | bool) -> bool:
    try:
        return httpx.get(url, verify=verify, timeout=PATIENCE, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
