from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.tools import toolchain as tool
from lab.tools.toolchain import Go, ToolchainMissing, at, directive, locked, needed, new_enough, parse

RELEASE = st.tuples(*[st.integers(0, 99)] * 3)


def program(folder: Path, said: str) -> Path:
    go = folder / "go"
    go.write_text(f"#!/bin/sh\n{said}\n")
    go.chmod(0o755)
    return go


def test_versions_are_ordered_as_go_orders_them():
    ordered = [
        "1.9.7",
        "1.21.0",
        "1.26beta1",
        "1.26rc1",
        "go1.26rc2",
        "1.26",
        "go1.26.4",
        "1.26.10",
        "1.27rc1",
        "2.0.0",
    ]
    assert all(parse(older) < parse(newer) for older, newer in pairwise(ordered))


@given(RELEASE, RELEASE)
def test_releases_are_ordered_by_their_numbers(one: tuple[int, int, int], other: tuple[int, int, int]):
    assert (parse("{}.{}.{}".format(*one)) < parse("go{}.{}.{}".format(*other))) == (one < other)


def test_a_release_without_patch_is_its_patch_zero():
    assert parse("1.26") == parse("1.26.0")


@pytest.mark.parametrize("text", ["", "devel +abc", "1", "go", "1.x"])
def test_what_is_not_a_version_is_refused(text: str):
    with pytest.raises(ValueError, match="not a version of Go"):
        parse(text)


def test_the_go_directive_is_read_and_not_the_toolchain_line():
    assert directive("module m\n\ngo 1.26.4\n\ntoolchain go1.27.0\n") == "1.26.4"


def test_the_locked_toolchain_builds_every_module():
    assert parse(locked()) >= parse(needed())


def test_a_go_says_its_own_version(tmp_path: Path):
    go = program(tmp_path, "echo go version go1.26.8 linux/amd64")
    assert at(go) == Go(go, "1.26.8")


@pytest.mark.parametrize("said", ["exit 1", "echo gopher 3"])
def test_a_program_that_is_no_go_is_none(tmp_path: Path, said: str):
    assert at(program(tmp_path, said)) is None
    assert at(tmp_path / "nothing") is None


@pytest.mark.parametrize("version", ["1.999.0", "1.999-devel_abc"])
def test_a_new_enough_go_is_taken(version: str):
    assert new_enough(Go(Path("go"), version))


@pytest.mark.parametrize("version", ["1.19.8", "1.26", "unheard-of"])
def test_an_older_or_an_unknown_go_is_not(version: str):
    assert not new_enough(Go(Path("go"), version))


def test_without_uv_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GAMEDAY_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tool.present() is None
    with pytest.raises(ToolchainMissing, match="run `make`"):
        tool.toolchain("silent")
