"""
The load balancers in two zones, and what an Auto Scaling group does for them on AWS: an instance that runs is
registered with each, one that goes is deregistered.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.cloud.component import ENDPOINT
from lab.cloud.door import Cloud, CloudUnreachable, Door
from lab.context import BALANCERS, Lab
from lab.hosts.interfaces import Host, Part
from lab.kubernetes.answers import http_ok
from lab.stack.haproxy import METRICS_PORT, Runtime, RuntimeRefused, render

NODE_PORT = 30080
# News of the cloud comes at once; this often a balancer that was started anew is noticed.
ROUND = 2.0
log = logging.getLogger(__name__)


def targets(cloud: Cloud) -> dict[str, str]:
    """Where the requests go: the shop's node port on every running instance of a group, by instance id."""
    return {
        each.instance.id: f"{each.instance.address}:{NODE_PORT}"
        for each in cloud.instances
        if each.state == "running" and each.instance.group
    }


@dataclass(slots=True)
class Registrar:
    """
    The loop that keeps the servers of all *balancers* equal to the cloud's running instances.

    While the cloud is silent the servers stay as they are: nothing may be concluded from silence.
    """

    door: Door
    balancers: Sequence[Runtime]
    _generation: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _told: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Rounds without end, each as soon as there is news."""
        while not self._stop.is_set():
            try:
                cloud = self.door.watch(self._generation, ROUND)
            except CloudUnreachable as error:
                self._tell("cloud", str(error))
                self._stop.wait(ROUND)
                continue
            self._tell("cloud", "")
            self.round(cloud)

    def round(self, cloud: Cloud) -> None:
        """Every balancer that answers has been told of *cloud*."""
        self._generation = cloud.generation
        wanted = targets(cloud)
        for balancer in self.balancers:
            try:
                given = balancer.reconcile(wanted)
            except (OSError, RuntimeRefused) as error:
                self._tell(str(balancer.path), f"{type(error).__name__}: {error}")
            else:
                self._tell(str(balancer.path), "")
                for command in given:
                    log.info("%s: %s", balancer.path.parent.name, command)

    def stop(self) -> None:
        """The loop ends after its round."""
        self._stop.set()

    def _tell(self, whom: str, trouble: str) -> None:
        # Once a change: a line each round would bury what matters.
        if trouble and self._told.get(whom) != trouble:
            log.warning("load balancers: %s: %s", whom, trouble)
        self._told[whom] = trouble


def _start_balancer(lab: Lab, host: Host) -> Runtime:
    lab.hosts.add(host)
    folder = lab.state / "parts" / host.name
    folder.mkdir(parents=True, exist_ok=True)
    admin, config = folder / "admin.sock", folder / "haproxy.cfg"
    config.write_text(render(str(host.address), admin))
    argv = ("haproxy", "-db", "-f", str(config))
    # SIGTERM ends HAProxy at once: a lost balancer is lost.
    ready = http_ok(f"http://{host.address}:{METRICS_PORT}/healthz")
    lab.parts.start(Part(name=host.name, host=host, argv=argv, ready=ready))
    return Runtime(admin)


_running: dict[str, threading.Thread] = {}


def start(lab: Lab) -> None:
    """Both balancers answer, and each knows the instances that run now."""
    balancers = [_start_balancer(lab, host) for host in BALANCERS]
    if ENDPOINT in _running and _running[ENDPOINT].is_alive():
        return
    registrar = Registrar(Door(ENDPOINT), balancers)
    registrar.round(registrar.door.watch(0, 0.0))
    thread = threading.Thread(target=registrar.run, name="load balancers' registrar", daemon=True)
    thread.start()
    _running[ENDPOINT] = thread
