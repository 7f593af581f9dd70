import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.tools import build as building
from lab.tools import compile as compiling
from lab.tools.build import BuildFailed, binary_path, build, build_beside, wait_for
from lab.tools.ledger import being_built, log_file, only_builder
from lab.tools.modules import Module
from lab.tools.toolchain import Go

# What `go build -v … -o FOLDER/ PACKAGE…` does, as far as the builder can see it.
GO = """#!/bin/sh
while [ "$1" != -o ]; do shift; done
folder=$2; shift 2
echo "go: downloading example.dev v1.0.0"
for package; do
    echo "$package"
    case $package in *broken) echo "$package: undefined: gopher" >&2; exit 1;; esac
    echo program > "$folder/${package##*/}"
done
"""
Use = Callable[..., Module]


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Gives the builder a module of these tools, and a Go of the tests' own."""
    monkeypatch.setenv("GAMEDAY_CACHE", str(tmp_path / "cache"))
    go = tmp_path / "go"
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setattr(building, "toolchain", lambda *_: Go(go, "1.26.8"))

    def use(*tools: str) -> Module:
        (tmp_path / "go.mod").touch()
        (tmp_path / "go.sum").touch()
        module = Module(tmp_path, tools, ("-trimpath",))
        monkeypatch.setattr(building, "MODULES", (module,))
        monkeypatch.setattr(building, "missing", module.missing)
        monkeypatch.setattr(building, "module_of", lambda name: module if name in module.names else None)
        return module

    return use


def test_every_program_is_in_place_after_a_build(use: Use):
    module = use("example.dev/first", "example.dev/second")
    assert set(build("silent").programs) == {"first", "second"}
    assert module.missing() == ()
    assert wait_for("second") == module.binaries / "second"


def test_what_is_built_is_not_built_again(use: Use):
    use("example.dev/first")
    build("silent")
    assert build("silent").programs == {}


def test_a_failed_build_tells_the_end_of_what_go_said(use: Use):
    use("example.dev/first", "example.dev/broken")
    with pytest.raises(BuildFailed, match="undefined: gopher"):
        build("silent")


def test_what_was_linked_before_the_failure_is_kept(use: Use):
    module = use("example.dev/first", "example.dev/broken")
    with pytest.raises(BuildFailed):
        build("silent")
    assert module.missing() == ("broken",)


def test_nothing_half_made_stays_behind(use: Use):
    module = use("example.dev/first", "example.dev/broken")
    with pytest.raises(BuildFailed):
        build("silent")
    assert sorted(path.name for path in module.binaries.parent.iterdir()) == [module.binaries.name]


def test_waiting_fails_with_the_end_of_the_log_when_the_builder_died(use: Use):
    use("example.dev/first")
    log_file().parent.mkdir(parents=True)
    log_file().write_text("compiled a\nsignal: killed\n")
    with pytest.raises(BuildFailed, match=r"(?s)nobody is building it any more.*make tools.*signal: killed"):
        wait_for("first")


def test_waiting_fails_at_once_when_nobody_ever_built(use: Use):
    use("example.dev/first")
    with pytest.raises(BuildFailed, match=r"nobody is building it\. `make tools`"):
        wait_for("first")


def test_the_lock_is_free_before_within_and_after_as_it_should_be(use: Use):
    use("example.dev/first")
    assert not being_built()
    with only_builder("silent"):
        assert being_built()
    assert not being_built()


def test_waiting_ends_when_the_builder_in_another_process_is_done(use: Use, tmp_path: Path):
    module = use("example.dev/first")
    code = (
        "from lab.tools.ledger import only_builder\n"
        "import sys, pathlib\n"
        "with only_builder('silent'):\n"
        "    print('locked', flush=True); sys.stdin.readline()\n"
        f"    pathlib.Path({str(module.binaries)!r}).mkdir(parents=True)\n"
        f"    pathlib.Path({str(module.binaries / 'first')!r}).touch()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as builder:
        assert builder.stdin
        assert builder.stdout
        assert builder.stdout.readline() == "locked\n"

        said: list[str] = []

        def once(text: str) -> None:
            said.append(text)
            if len(said) == 1:
                builder.stdin.write("go\n")
                builder.stdin.flush()

        assert wait_for("first", once, every=0) == module.binaries / "first"
        builder.stdin.close()
    assert said[0].startswith("waiting for first")


def test_a_command_runs_beside_the_build_and_its_code_is_given(use: Use):
    module = use("example.dev/first")
    assert build_beside([sys.executable, "-c", "raise SystemExit(0)"]) == 0
    assert module.missing() == ()
    assert build_beside([sys.executable, "-c", "raise SystemExit(3)"]) == 3


def test_a_failed_build_is_raised_though_the_command_succeeded(use: Use):
    use("example.dev/broken")
    with pytest.raises(BuildFailed, match="gopher"):
        build_beside([sys.executable, "-c", ""])


def test_a_file_still_being_written_is_not_complete(tmp_path: Path):
    made = tmp_path / "program"
    with made.open("w") as writer:
        writer.write("half")
        writer.flush()
        assert not compiling._complete(made)
    assert compiling._complete(made)


def test_a_debian_program_that_is_absent_names_the_remedy(use: Use):
    use("example.dev/first")
    with pytest.raises(BuildFailed, match="make debian"):
        binary_path("no-such-program-anywhere")
