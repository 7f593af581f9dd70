"""
The actuator that makes EC2 instances real: what the cloud wants and what `nodes` has are compared, again and again.

It keeps no plan between two rounds, only what is under way, so it may be stopped and started at any time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from lab.cloud.door import Cloud, CloudInstance, CloudUnreachable, Door, Machines
from lab.hosts.interfaces import Instance, Nodes

RESYNC = 0.5
WANTED = frozenset({"pending", "running"})
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Actions:
    """What is to be done now; ids but for *boot*. *forget* are notes about gone or failed machines now void."""

    boot: tuple[Instance, ...] = ()
    cancel: tuple[str, ...] = ()
    destroy: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()


def decide(wanted: Sequence[CloudInstance], machines: Machines, busy: AbstractSet[str]) -> Actions:
    """
    What makes *machines* into what is *wanted*; instances with work under way (*busy*) are left alone, save to cancel.

    A pending instance is booted unless it runs or failed. Any other machine that is not wanted is destroyed, also
    one of which nothing is known here: a boot may have left something behind. A running instance whose machine died
    is not booted again: the group replaces it.
    """
    states = {each.instance.id: each.state for each in wanted}
    boot = tuple(
        each.instance
        for each in wanted
        if each.state == "pending" and each.instance.id not in machines.alive | machines.failed.keys() | busy
    )
    ending = {name for name, state in states.items() if state not in WANTED}
    orphans = machines.alive - states.keys()
    destroy = ((ending - machines.gone) | (ending & machines.alive) | orphans) - busy
    noted = machines.gone | machines.failed.keys()
    forget = {name for name in machines.gone if states.get(name) not in {"shutting-down", "stopping", "stopped"}}
    forget |= {name for name in machines.failed if states.get(name) != "pending"}
    return Actions(boot, tuple(sorted(ending & busy)), tuple(sorted(destroy)), tuple(sorted(forget & noted)))


@dataclass(slots=True)
class _Work:
    """Something under way about one instance, in a thread of its own."""

    kind: str
    cancelled: threading.Event = field(default_factory=threading.Event)


class InstanceActuator:
    """Boots and destroys machines through *nodes* as the cloud wants it, booting after *boot_delay* seconds."""

    def __init__(self, door: Door, nodes: Nodes, boot_delay: float) -> None:
        self._door = door
        self._nodes = nodes
        self._boot_delay = boot_delay
        self._lock = threading.Lock()
        self._work: dict[str, _Work] = {}
        self._gone: set[str] = set()
        self._failed: dict[str, str] = {}
        self._generation = 0
        self._complained = ""

    def run(self, stop: threading.Event, ready: threading.Event) -> None:
        """Rounds until *stop*; *ready* after the first that reached the cloud. A round's error is told, not fatal."""
        while not stop.is_set():
            try:
                self.round(RESYNC)
                ready.set()
                self._complained = ""
            except CloudUnreachable as error:
                self._complain(str(error))
                stop.wait(RESYNC)
            except Exception as error:  # whatever nodes do, the next round sees the level again
                log.debug("round failed", exc_info=True)
                self._complain(f"{type(error).__name__}: {error}")
                stop.wait(RESYNC)
        with self._lock:
            for work in self._work.values():
                work.cancelled.set()

    def _complain(self, text: str) -> None:
        if text != self._complained:
            log.warning("instances are not being looked after: %s", text)
            self._complained = text

    def round(self, wait: float) -> Cloud:
        """One comparison: tell the cloud what is real, wait up to *wait* seconds for news, act."""
        machines, busy = self.observe()
        cloud = self._door.sync(machines, self._generation, wait)
        self._generation = cloud.generation
        self._act(decide(cloud.instances, machines, busy))
        return cloud

    def observe(self) -> tuple[Machines, frozenset[str]]:
        """
        What is real now, and what has work under way; a machine that is being booted is not yet alive.

        The work is looked at first: what ends while the machines are being counted still passes for busy, so that
        a count from before its end never starts it a second time.
        """
        with self._lock:
            busy = {name: work.kind for name, work in self._work.items()}
        alive = frozenset(name for name in self._nodes.alive() if busy.get(name) != "boot")
        with self._lock:
            return Machines(alive, frozenset(self._gone) - alive, dict(self._failed)), frozenset(busy)

    def _act(self, actions: Actions) -> None:
        with self._lock:
            for name in actions.forget:
                self._gone.discard(name)
                self._failed.pop(name, None)
            for name in actions.cancel:
                if name in self._work:
                    self._work[name].cancelled.set()
        for instance in actions.boot:
            self._begin("boot", instance.id, lambda work, it=instance: self._boot(it, work))  # type: ignore[misc]
        for name in actions.destroy:
            self._begin("destroy", name, lambda _work, it=name: self._destroy(it))  # type: ignore[misc]

    def _begin(self, kind: str, name: str, do: Callable[[_Work], None]) -> None:
        work = _Work(kind)
        with self._lock:
            if name in self._work:
                return
            self._work[name] = work

        def run() -> None:
            try:
                do(work)
            finally:
                with self._lock:
                    del self._work[name]

        threading.Thread(target=run, name=f"{kind} {name}", daemon=True).start()

    def _boot(self, instance: Instance, work: _Work) -> None:
        if work.cancelled.wait(self._boot_delay):
            return
        try:
            self._nodes.boot(instance)
        except Exception as error:  # any failure to boot is a failed launch, told as such
            log.warning("instance %s of %s did not boot", instance.id, instance.group, exc_info=True)
            with self._lock:
                self._failed[instance.id] = f"{type(error).__name__}: {error}"[:500]

    def _destroy(self, name: str) -> None:
        try:
            self._nodes.destroy(name)
        except Exception:  # it is still there, so the next round tries again
            log.warning("instance %s was not destroyed; trying again", name, exc_info=True)
            return
        with self._lock:
            self._gone.add(name)
