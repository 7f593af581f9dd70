from dataclasses import replace
from pathlib import Path

import pytest

from lab.tools.modules import MODULES, Module, missing, module_of


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    monkeypatch.setenv("GAMEDAY_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "go.mod").write_text("module m\n\ngo 1.26.0\n")
    (folder / "go.sum").write_text("")
    return Module(folder, ("example.dev/cmd/first", "example.dev/second"), ("-trimpath",))


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_binaries_move_when_a_module_file_changes(module: Module, name: str):
    before = module.binaries
    assert module.binaries == before
    (module.folder / name).write_text((module.folder / name).read_text() + "// changed\n")
    assert module.binaries != before


def test_binaries_move_when_the_flags_change(module: Module):
    assert replace(module, flags=("-trimpath", "-tags", "aws")).binaries != module.binaries


def test_text_moved_from_one_module_file_to_the_other_is_a_change(module: Module):
    (module.folder / "go.mod").write_text("ab")
    (module.folder / "go.sum").write_text("c")
    before = module.binaries
    (module.folder / "go.mod").write_text("a")
    (module.folder / "go.sum").write_text("bc")
    assert module.binaries != before


def test_binaries_are_outside_the_checkout(module: Module, tmp_path: Path):
    assert module.binaries.is_relative_to(tmp_path / "cache" / "bin")


def test_missing_programs_are_named_in_the_order_of_need(module: Module):
    assert module.missing() == ("first", "second")
    module.binaries.mkdir(parents=True)
    (module.binaries / "first").touch()
    assert module.missing() == ("second",)


def test_the_apiserver_is_built_first_and_the_autoscaler_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GAMEDAY_CACHE", str(tmp_path))
    names = missing()
    assert (names[0], names[-1]) == ("kube-apiserver", "cluster-autoscaler")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.folder.name)
def test_go_mod_declares_exactly_the_tools_that_are_built(module: Module):
    text = (module.folder / "go.mod").read_text()
    declared = text.split("\nrequire", maxsplit=1)[0].split("\ntool", maxsplit=1)[1].replace("(", "").replace(")", "")
    assert sorted(declared.split()) == sorted(module.tools)


def test_kubernetes_says_the_version_that_its_module_requires():
    kubernetes = module_of("kube-apiserver")
    assert kubernetes is not None
    flags = " ".join(kubernetes.flags)
    version = flags.split("component-base/version.gitVersion=")[1].split()[0]
    assert f"k8s.io/kubernetes {version}" in (kubernetes.folder / "go.mod").read_text()
