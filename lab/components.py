"""
The lab's components, in the order that a reader best meets them; what each comes after is all that orders their starts.

Adding one is one file with a `start(lab)` and one line here.
"""

from __future__ import annotations

from lab.context import Component
from lab.hosts import network
from lab.kubernetes import apiserver, controller_manager, dns, etcd, metrics_server, pki, rbac, registry, scheduler
from lab.stack import postgres, redis

COMPONENTS: tuple[Component, ...] = (
    Component("network", network.start),
    Component("pki", pki.start),
    Component("etcd", etcd.start, after=("network",)),
    Component("apiserver", apiserver.start, after=("etcd", "pki")),
    Component("rbac", rbac.start, after=("apiserver",)),
    Component("controllers", controller_manager.start, after=("apiserver",)),
    Component("scheduler", scheduler.start, after=("apiserver",)),
    Component("dns", dns.start, after=("rbac",)),
    Component("metrics-server", metrics_server.start, after=("rbac",)),
    Component("registry", registry.start, after=("network",)),
    Component("postgres", postgres.start, after=("network",)),
    Component("redis", redis.start, after=("network",)),
)
