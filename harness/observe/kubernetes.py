"""Kubernetes objects as they change, by watches; silent or cut connections are noticed within ten seconds."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTClientObject

from harness.observe import views
from harness.observe.collector import FIRST_LOOK_WITHIN, Presence
from harness.observe.views import Document
from harness.observe.watch import GONE, Change, Follower, Happenings, HistoryGone, Ledger, Listener, Objects
from harness.rundir import RunDir

# The API ends a watch after SESSION seconds, and it is opened anew from where it stood. So even a collection where
# nothing happens gives a sign of life that often, and a dead connection is noticed SILENCE seconds after its last.
SESSION = 6
CONNECT, SILENCE = 2.0, 9.0
JOIN_WITHIN = 5.0

log = logging.getLogger(__name__)


class ApiDoor:
    """A collection at *path* of the API, as plain documents: models would cost ten times the CPU of reading it."""

    def __init__(self, api: ApiClient, path: str) -> None:
        self._api = api
        self._path = path
        self._answer: Any = None

    def read_all(self) -> tuple[Sequence[Document], str]:
        """All objects, and the version to watch from."""
        document = json.loads(self._get([]).read())
        return document.get("items") or (), document["metadata"]["resourceVersion"]

    def watch(self, version: str) -> Iterator[Document]:
        """Changes since *version*."""
        wanted = [("watch", "true"), ("allowWatchBookmarks", "true")]
        self._answer = self._get([*wanted, ("resourceVersion", version), ("timeoutSeconds", str(SESSION))])
        return _lines(self._answer)

    def hang_up(self) -> None:
        """End a watch that waits, from another thread."""
        answer = self._answer
        if answer is not None and not answer.closed:
            try:
                answer.shutdown()
            except (OSError, ValueError, RuntimeError) as error:
                log.debug("a watch ended as it was hung up: %s", error)

    def _get(self, query: list[tuple[str, str]]) -> Any:
        request = self._api.param_serialize(
            "GET",
            self._path,
            query_params=query,
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        answer = self._api.call_api(*request, _request_timeout=(CONNECT, SILENCE)).response
        if answer.status == GONE:
            raise HistoryGone
        if answer.status != 200:
            said = answer.read().decode(errors="replace")
            raise ApiException(status=answer.status, reason=f"GET {self._path}: {said[:300]}")
        return answer


def _lines(answer: Any) -> Iterator[Document]:
    """The documents of a watch, one a line, as they come."""
    rest = b""
    try:
        for piece in answer.stream(amt=None, decode_content=True):
            *whole, rest = (rest + piece).split(b"\n")
            yield from (json.loads(line) for line in whole if line.strip())
    finally:
        answer.release_conn()


@dataclass(slots=True)
class Kubernetes:
    """The collector of *namespaces* and of all nodes; *connect* makes a client when the run begins."""

    namespaces: Sequence[str]
    connect: Callable[[], ApiClient]
    name: str = "kubernetes"
    _folder: RunDir | None = None
    _presence: Presence | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _ready: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _zones: dict[str, str] = field(default_factory=dict)
    _pods: list[Objects] = field(default_factory=list)
    _doors: list[ApiDoor] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, folder: RunDir) -> None:
        """Begin; returns once every collection was listed, or could not be."""
        self._folder = folder
        self._presence = Presence(self.name, folder)
        try:
            api = _without_retries(self.connect())
        except Exception as error:  # noqa: BLE001 - a client that cannot be made is a source that cannot be seen
            self._presence.lost(error)
            return
        self._pods = [Objects("pod", lambda d: views.pod(d[0], self._zones)) for _ in self.namespaces]
        # Nodes first, so that the first pods already have their zones.
        self._begin(api, "/api/v1/nodes", Objects("node", lambda d: views.node(d[0])))
        self._await(1)
        rest = [*self._in_namespaces(), *self._elsewhere()]
        for path, ledger in rest:
            self._begin(api, path, ledger)
        self._await(len(rest))

    def stop(self) -> None:
        """End all watches."""
        self._stop.set()
        for door in self._doors:
            door.hang_up()
        for thread in self._threads:
            thread.join(JOIN_WITHIN)
        if self._presence is not None:
            self._presence.stopped()

    def _in_namespaces(self) -> Iterator[tuple[str, Ledger]]:
        for namespace, pods in zip(self.namespaces, self._pods, strict=True):
            core, inside = f"/api/v1/namespaces/{namespace}", f"namespaces/{namespace}"
            slices = Objects("endpoints", views.endpoints, key=views.service, subject=views.service)
            yield f"{core}/pods", pods
            yield f"{core}/events", Happenings()
            yield f"/apis/apps/v1/{inside}/deployments", Objects("deployment", lambda d: views.deployment(d[0]))
            yield f"/apis/autoscaling/v2/{inside}/horizontalpodautoscalers", Objects("hpa", lambda d: views.hpa(d[0]))
            yield f"/apis/discovery.k8s.io/v1/{inside}/endpointslices", slices

    def _elsewhere(self) -> Iterator[tuple[str, Ledger]]:
        """Events about nodes lie in `default`, the Cluster Autoscaler's about its groups in `kube-system`."""
        wanted = {
            "default": lambda document: document["involvedObject"].get("kind") == "Node",
            "kube-system": lambda document: views.event(document)["component"] == "cluster-autoscaler",
        }
        for namespace, of_interest in wanted.items():
            if namespace not in self.namespaces:
                yield f"/api/v1/namespaces/{namespace}/events", Happenings(of_interest)

    def _begin(self, api: ApiClient, path: str, ledger: Ledger) -> None:
        presence, looked = self._presence, threading.Event()
        assert presence is not None  # noqa: S101 - set by start, which calls this

        def first_look() -> None:
            if not looked.is_set():
                looked.set()
                self._ready.release()

        def seen() -> None:
            presence.seen(path)
            first_look()

        def lost(error: BaseException) -> None:
            presence.lost(error, path)
            first_look()

        door = ApiDoor(api, path)
        follower = Follower(door, ledger, Listener(self._tell, seen, lost, self._stop))
        thread = threading.Thread(target=follower.follow, name=f"observe-{path}", daemon=True)
        self._doors.append(door)
        self._threads.append(thread)
        thread.start()

    def _await(self, looks: int) -> None:
        for _ in range(looks):
            self._ready.acquire(timeout=FIRST_LOOK_WITHIN)

    def _tell(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._write(change)
            if (
                change.kind in ("node.added", "node.changed")
                and self._zones.get(change.subject) != change.value["zone"]
            ):
                self._zones[change.subject] = change.value["zone"]
                # A pod may be seen on a node before the node itself is.
                self._tell(late for pods in self._pods for late in pods.refresh())

    def _write(self, change: Change) -> None:
        if self._folder is not None:
            self._folder.append_event(self.name, change.kind, change.subject, change.value, stamp=change.stamp)


def _without_retries(api: ApiClient) -> ApiClient:
    """*api*, so that a failure shows at once: urllib3 would try three times more before it tells."""
    api.configuration.retries = False
    api.rest_client = RESTClientObject(api.configuration)
    return api
