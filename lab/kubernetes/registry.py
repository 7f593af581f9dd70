"""The image registry that nodes pull from: plain HTTP, on a host of the control subnet."""

from __future__ import annotations

import yaml

from lab.context import REGISTRY, Lab
from lab.hosts.interfaces import Part
from lab.kubernetes.answers import http_ok

ENDPOINT = f"{REGISTRY.address}:5000"
URL = f"http://{ENDPOINT}"


def start(lab: Lab) -> None:
    """The registry answers; what was pushed lies below the lab's state."""
    folder = lab.state / "parts" / "registry"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "config.yml"
    settings.write_text(
        yaml.safe_dump(
            {
                "version": 0.1,
                "log": {"level": "warn", "accesslog": {"disabled": False}},
                "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
                "http": {"addr": ENDPOINT},
            }
        )
    )
    lab.hosts.add(REGISTRY)
    lab.parts.start(
        Part(
            name="registry",
            host=REGISTRY,
            argv=(str(lab.binary("docker-registry")), "serve", str(settings)),
            ready=http_ok(f"{URL}/v2/"),
        )
    )
