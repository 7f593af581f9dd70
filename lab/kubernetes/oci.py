"""Container images made and pushed without a container engine: deterministic layers, config, manifest, registry API."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from lab.errors import LabError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
# Not compressed: the lab's network is cheaper than the CPU that every node would spend on unpacking.
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
PUSH_SECONDS = 60.0


class PushFailed(LabError):
    """The registry did not take an image; the message has the request and its answer."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A tar file and its digest (`sha256:…`), which is also its diff id, for it is not compressed."""

    file: Path
    digest: str

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.file.stat().st_size


@dataclass(frozen=True, slots=True)
class Process:
    """What a container of the image runs: *user* as `uid:gid`."""

    entrypoint: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"


def layer(source: Path, into: Path) -> Layer:
    """The folder *source* as a layer in folder *into*: same files, same bytes, whoever made it and whenever."""
    into.mkdir(parents=True, exist_ok=True)
    partial = into / f".layer-{os.getpid()}.tar"
    with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(source.rglob("*")):
            _add(tar, path, path.relative_to(source).as_posix())
    digest = digest_of_file(partial)
    final = into / f"{digest.removeprefix('sha256:')}.tar"
    partial.replace(final)
    return Layer(final, digest)


def cached_layer(key: str, into: Path, fill: Callable[[Path], None]) -> Layer:
    """The layer that *fill* makes in an empty folder, made once for each *key*."""
    into.mkdir(parents=True, exist_ok=True)
    index = into / f"{hashlib.sha256(key.encode()).hexdigest()}.key"
    if index.exists():
        digest = index.read_text().strip()
        file = into / f"{digest.removeprefix('sha256:')}.tar"
        if file.exists():
            return Layer(file, digest)
    with tempfile.TemporaryDirectory(dir=into, prefix=".fill-") as folder:
        fill(Path(folder))
        made = layer(Path(folder), into)
    index.write_text(f"{made.digest}\n")
    return made


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    about = path.lstat()
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(about.st_mode)
    if path.is_symlink():
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        tar.addfile(info)
    elif path.is_dir():
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    else:
        info.size = about.st_size
        with path.open("rb") as content:
            tar.addfile(info, content)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def digest_of_file(path: Path) -> str:
    """The digest (`sha256:…`) of what *path* holds."""
    with path.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


def image_config(layers: Sequence[Layer], process: Process) -> bytes:
    """The image's configuration, as the OCI image specification has it."""
    document: dict[str, Any] = {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Entrypoint": list(process.entrypoint),
            "Env": [f"{name}={value}" for name, value in sorted(process.environment.items())],
            "User": process.user,
            "WorkingDir": process.workdir,
        },
        "rootfs": {"type": "layers", "diff_ids": [each.digest for each in layers]},
    }
    return json.dumps(document, sort_keys=True).encode()


def image_manifest(layers: Sequence[Layer], config: bytes) -> bytes:
    """The manifest that names *config* and *layers*."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": _digest(config), "size": len(config)},
        "layers": [{"mediaType": LAYER_TYPE, "digest": each.digest, "size": each.size} for each in layers],
    }
    return json.dumps(document, sort_keys=True).encode()


def push(registry: str, name: str, layers: Sequence[Layer], process: Process) -> str:
    """
    The reference (`host:port/name:tag`) of the image, which lies in *registry* (`http://host:port`) now.

    The tag is taken from the content, so that a tag never means two things; what is there is not sent again.
    Raises PushFailed.
    """
    config = image_config(layers, process)
    manifest = image_manifest(layers, config)
    tag = _digest(manifest).removeprefix("sha256:")[:16]
    with httpx.Client(base_url=registry, timeout=PUSH_SECONDS, trust_env=False) as http:
        for each in layers:
            with each.file.open("rb") as content:
                _push_blob(http, name, each.digest, content, each.size)
        _push_blob(http, name, _digest(config), io.BytesIO(config), len(config))
        answer = http.put(f"/v2/{name}/manifests/{tag}", content=manifest, headers={"content-type": MANIFEST_TYPE})
        _expect(answer, httpx.codes.CREATED)
    return f"{registry.split('://')[1]}/{name}:{tag}"


def _push_blob(http: httpx.Client, name: str, digest: str, content: io.BufferedReader | io.BytesIO, size: int) -> None:
    if http.head(f"/v2/{name}/blobs/{digest}").status_code == httpx.codes.OK:
        return
    opened = _expect(http.post(f"/v2/{name}/blobs/uploads/"), httpx.codes.ACCEPTED)
    place = httpx.URL(opened.headers["location"]).copy_merge_params({"digest": digest})
    headers = {"content-type": "application/octet-stream", "content-length": str(size)}
    _expect(http.put(place, content=_pieces(content), headers=headers), httpx.codes.CREATED)


def _pieces(content: io.BufferedReader | io.BytesIO) -> Iterator[bytes]:
    while piece := content.read(1 << 20):
        yield piece


def _expect(answer: httpx.Response, status: httpx.codes) -> httpx.Response:
    if answer.status_code != status:
        request = answer.request
        raise PushFailed(f"{request.method} {request.url}: {answer.status_code}, wanted {status}: {answer.text[:500]}")
    return answer
