"""Whether what users' traffic arrives at answers."""

from __future__ import annotations

import httpx

from harness.chaos.session import target_of
from harness.chaos.settle import settle
from harness.model.errors import TargetError


def entrypoint_answers(path: str = "/", within: float = 0, timeout: float = 5) -> bool:
    """
    True when every entrypoint of the target answers *path* with a status below 400 within *within* seconds.

    Raises TargetError, naming those that do not, and when the target has none.
    """
    addresses = [address + path for address in target_of().entrypoints]
    if not addresses:
        raise TargetError("the target has no entrypoint", hint="add `entrypoints:` to the target file")
    with httpx.Client(timeout=float(timeout), follow_redirects=True) as client:
        wrong = settle(lambda: _wrong(client, addresses), lambda found: not found, float(within))
    if wrong:
        raise TargetError(f"not steady after {within} s: {'; '.join(wrong)}")
    return True


def _wrong(client: httpx.Client, addresses: list[str]) -> list[str]:
    found = []
    for address in addresses:
        try:
            status = client.get(address).status_code
        except httpx.HTTPError as error:
            found.append(f"{address}: {type(error).__name__}: {error}")
            continue
        if status >= 400:
            found.append(f"{address} answers {status}")
    return found
