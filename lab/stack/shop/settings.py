"""What a pod of the shop is told by its environment; every time in seconds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """
    One pod's settings.

    *drain* is how long a pod that got SIGTERM still serves while /readyz already fails, so that balancers that ask
    each second leave first. *attempt_timeout* bounds one try of a call to the back, *call_timeout* all tries together.
    *recycle* is how many answers a connection gives on average before it is closed, so that new pods get their share.
    """

    pod: str = "local"
    zone: str = ""
    host: str = "0.0.0.0"
    port: int = 8080
    metrics_port: int = 9100
    back_url: str = "http://127.0.0.1:8081"
    redis_url: str = "redis://127.0.0.1:6379/0"
    database_url: str = "postgresql://shop@127.0.0.1:5432/shop"
    connect_timeout: float = 0.5
    attempt_timeout: float = 0.9
    call_timeout: float = 2.0
    retries: int = 2
    retry_jitter: float = 0.1
    redis_timeout: float = 0.5
    database_timeout: float = 1.0
    database_connections: int = 4
    catalog_ttl: float = 5.0
    session_ttl: float = 1800.0
    max_in_flight: int = 64
    recycle: int = 50
    drain: float = 3.0
    drain_within: float = 4.0


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """
    Settings from the variables SHOP_<FIELD>; what is not set keeps its default.

    Raises ValueError naming the variable that cannot be read.
    """
    given = os.environ if environ is None else environ
    defaults = Settings()
    values: dict[str, object] = {}
    for name in Settings.__slots__:
        variable = f"SHOP_{name.upper()}"
        if variable not in given:
            continue
        kind = type(getattr(defaults, name))
        try:
            values[name] = kind(given[variable])
        except ValueError:
            raise ValueError(
                f"{variable}={given[variable]!r} is not a {kind.__name__}: correct it and restart"
            ) from None
    return Settings(**values)  # type: ignore[arg-type]  # each value has its field's own type, made above
