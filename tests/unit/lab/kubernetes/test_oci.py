"""Images are functions of their content: same files, same digest, same tag."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.kubernetes import oci
from lab.kubernetes.oci import Layer, Process


def tree(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


NAMES = st.text(st.sampled_from("abc"), min_size=1, max_size=6)


@given(files=st.dictionaries(NAMES, st.binary(max_size=50), max_size=5), stamp=st.integers(0, 2**31))
def test_a_layer_depends_on_nothing_but_its_files(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], stamp: int
) -> None:
    first = tree(tmp_path_factory.mktemp("first"), files)
    second = tree(tmp_path_factory.mktemp("second"), dict(reversed(files.items())))
    for path in second.rglob("*"):
        os.utime(path, (stamp, stamp))
    into = tmp_path_factory.mktemp("layers")
    assert oci.layer(first, into) == oci.layer(second, into)


def test_a_layer_keeps_modes_and_links_and_belongs_to_root(tmp_path: Path) -> None:
    source = tree(tmp_path / "source", {"bin/tool": b"#!"})
    (source / "bin/tool").chmod(0o755)
    (source / "bin/sh").symlink_to("tool")
    with tarfile.open(oci.layer(source, tmp_path).file) as tar:
        tool, link = tar.getmember("bin/tool"), tar.getmember("bin/sh")
        assert [entry.name for entry in tar] == ["bin", "bin/sh", "bin/tool"]
    assert (tool.mode, tool.uid, tool.gid, tool.mtime) == (0o755, 0, 0, 0)
    assert link.linkname == "tool"


def test_a_cached_layer_is_filled_once(tmp_path: Path) -> None:
    filled = []

    def fill(folder: Path) -> None:
        filled.append(folder)
        tree(folder, {"a": b"1"})

    assert oci.cached_layer("key", tmp_path, fill) == oci.cached_layer("key", tmp_path, fill)
    assert len(filled) == 1


def test_a_layer_whose_filling_failed_is_not_taken_for_good(tmp_path: Path) -> None:
    def fail(_folder: Path) -> None:
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError):
        oci.cached_layer("key", tmp_path, fail)
    made = oci.cached_layer("key", tmp_path, lambda folder: (folder / "a").touch())
    with tarfile.open(made.file) as tar:
        assert tar.getnames() == ["a"]


def layer_of(tmp_path: Path, content: bytes = b"x") -> Layer:
    return oci.layer(tree(tmp_path / content.hex(), {"a": content}), tmp_path)


def test_the_manifest_names_what_the_config_is_about(tmp_path: Path) -> None:
    layers = [layer_of(tmp_path)]
    config = oci.image_config(layers, Process(("/a",), {"B": "2", "A": "1"}, "1:1"))
    manifest = json.loads(oci.image_manifest(layers, config))
    assert json.loads(config)["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert json.loads(config)["config"]["Env"] == ["A=1", "B=2"]
    assert manifest["layers"][0]["size"] == layers[0].file.stat().st_size


class Registry:
    """A registry over httpx's mock transport: what was stored, and in how many uploads."""

    def __init__(self, refuse: str = "") -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.uploads = 0
        self.refuse = refuse

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == self.refuse:
            return httpx.Response(500, text="the disk is full", request=request)
        if request.method == "HEAD":
            return httpx.Response(200 if request.url.path.rsplit("/", 1)[1] in self.blobs else 404)
        if request.method == "POST":
            return httpx.Response(202, headers={"location": f"{request.url}/one?state=s"})
        if "/manifests/" in request.url.path:
            self.manifests[request.url.path] = request.read()
        else:
            self.uploads += 1
            self.blobs[request.url.params["digest"]] = request.read()
        return httpx.Response(201)


def pushed(registry: Registry, layers: list[Layer], monkeypatch: pytest.MonkeyPatch) -> str:
    real = httpx.Client
    monkeypatch.setattr(
        oci.httpx, "Client", lambda **given: real(transport=httpx.MockTransport(registry), base_url=given["base_url"])
    )
    try:
        return oci.push("http://registry:5000", "app", layers, Process(("/a",)))
    finally:
        monkeypatch.undo()


def test_what_is_pushed_arrives_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, layer = Registry(), layer_of(tmp_path)
    reference = pushed(registry, [layer], monkeypatch)
    host, _, tag = reference.rpartition(":")
    assert host == "registry:5000/app"
    assert list(registry.manifests) == [f"/v2/app/manifests/{tag}"]
    with tarfile.open(fileobj=io.BytesIO(registry.blobs[layer.digest])) as tar:
        assert tar.getnames() == ["a"]


def test_pushing_again_sends_no_blob_and_gives_the_same_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, layer = Registry(), layer_of(tmp_path)
    first = pushed(registry, [layer], monkeypatch)
    uploads = registry.uploads
    assert pushed(registry, [layer], monkeypatch) == first
    assert registry.uploads == uploads


def test_other_content_has_another_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = pushed(Registry(), [layer_of(tmp_path, b"1")], monkeypatch)
    assert pushed(Registry(), [layer_of(tmp_path, b"2")], monkeypatch) != one


def test_a_refusal_says_what_the_registry_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(oci.PushFailed, match="the disk is full"):
        pushed(Registry(refuse="PUT"), [layer_of(tmp_path)], monkeypatch)
