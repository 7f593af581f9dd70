"""The cloud as components of the lab: the AWS server with what it holds, and the actuators that make it real."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.cloud.door import Door
from lab.cloud.instances import InstanceActuator
from lab.cloud.network_acls import FABRIC, Fabric, NetworkAclActuator
from lab.cloud.seed import seed, write_credentials
from lab.context import AWS, Lab
from lab.errors import LabError
from lab.hosts.interfaces import Nodes, Part

PORT = 5000
ENDPOINT = f"http://{AWS.address}:{PORT}"
CREDENTIALS = "aws-credentials"
FIRST_ROUND_WITHIN = 20.0
log = logging.getLogger(__name__)


class ActuatorsNotReady(LabError):
    """An actuator did not reach the cloud or the fabric in time."""


def start_cloud(lab: Lab) -> None:
    """The AWS server answers at ENDPOINT and holds the lab's subnets and groups; `aws-credentials` is written."""
    door = Door(ENDPOINT)
    try:
        lab.hosts.add(AWS)
        argv = (sys.executable, "-m", "lab.cloud.server", "--host", str(AWS.address), "--port", str(PORT))
        lab.parts.start(Part("cloud", argv, host=AWS, cwd=_checkout(), ready=door.healthy, ready_within=60.0))
    finally:
        door.close()
    write_credentials(lab.state / CREDENTIALS)
    seed(ENDPOINT, lab.settings)


def _checkout() -> Path:
    """Where the package `lab` lies, so that `python -m` finds this one."""
    return Path(__file__).parents[2]


@dataclass(slots=True)
class Actuators:
    """The running loops; *stop* ends them. `acls.denied()` tells how many packets each deny rule dropped."""

    instances: InstanceActuator
    acls: NetworkAclActuator
    _doors: tuple[Door, ...]
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Both loops run and have been round once; ActuatorsNotReady if not in FIRST_ROUND_WITHIN seconds."""
        runs: dict[str, Callable[[threading.Event, threading.Event], None]] = {
            "instances": self.instances.run,
            "network-acls": self.acls.run,
        }
        firsts = {name: threading.Event() for name in runs}
        for name, run in runs.items():
            thread = threading.Thread(target=run, args=(self._stop, firsts[name]), name=f"actuator {name}", daemon=True)
            thread.start()
            self._threads.append(thread)
        for name, first in firsts.items():
            if not first.wait(FIRST_ROUND_WITHIN):
                self.stop()
                raise ActuatorsNotReady(
                    f"the {name} actuator did not finish a round in {FIRST_ROUND_WITHIN:.0f} s",
                    hint="its warnings are in the daemon's log, what the cloud said is in logs/cloud.log",
                )

    @property
    def running(self) -> bool:
        """Whether both loops run."""
        return not self._stop.is_set() and bool(self._threads) and all(each.is_alive() for each in self._threads)

    def stop(self) -> None:
        """The loops have ended; machines and rules stay as they are."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=10.0)
        for door in self._doors:
            door.close()


_running: dict[str, Actuators] = {}


def start_actuators(lab: Lab, nodes: Nodes, *, endpoint: str = ENDPOINT, fabric: str = FABRIC) -> Actuators:
    """The actuators run, each once; *fabric* is the path of the namespace that routes between the subnets."""
    there = _running.get(endpoint)
    if there is not None and there.running:
        return there
    doors = (Door(endpoint), Door(endpoint))
    instances = InstanceActuator(doors[0], nodes, lab.settings.boot_delay)
    actuators = Actuators(instances, NetworkAclActuator(doors[1], Fabric(fabric)), doors)
    actuators.start()
    _running[endpoint] = actuators
    return actuators
