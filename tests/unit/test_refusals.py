"""Malformed plans, profiles, experiments and targets through the command line: refused in words, and nothing is touched."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from harness import cli
from harness import preview as previews
from harness.exitcodes import ExitCode

PLAN = """\
name: small
title: Does it hold?
seed: 7
load:
  profile: profile.py
  stages:
    - {name: calm, seconds: 30, users: 5}
    - {name: faults, seconds: 1m30s, users: 5}
experiments:
  - {name: kill, file: kill.yaml, stage: faults, after: 5}
objectives:
  - {name: fast, sli: latency, threshold: 0.5, objective: 0.95, phases: [calm, faults]}
expectations:
  - hpa_scales_out: {hpa: shop/front, stage: faults, replicas: 5, within: 1m}
"""
PROFILE = """\
from locust import FastHttpUser, task


class Shopper(FastHttpUser):
    @task
    def shop(self):
        self.client.get("/")
"""
EXPERIMENT = """\
title: Pods are killed
description: Some pods die.
method:
  - type: action
    name: kill
    provider:
      type: python
      module: harness.chaos.actions.pods
      func: kill_pods
      arguments: {selector: app=front, namespace: shop, count: 1}
"""
TARGET = """\
version: 1
name: lab
kubernetes:
  kubeconfig: kubeconfig
  namespaces: [shop]
aws:
  region: us-east-1
  tags: {gameday: allowed}
entrypoints: ["http://198.18.16.20"]
"""
Gameday = Callable[..., tuple[int, str, str]]
FILES = {"plan.yaml": PLAN, "profile.py": PROFILE, "kill.yaml": EXPERIMENT, "target.yaml": TARGET, "kubeconfig": ""}


class Case(NamedTuple):
    """In *file*, *old* is replaced by *new*; the refusal names *place*, and says *said* with *hint*."""

    file: str
    old: str
    new: str
    place: str
    said: str
    hint: str


MALFORMED = {
    "plan: a word for a number": Case(
        "plan.yaml",
        "users: 5}\n    - ",
        "users: many}\n    - ",
        "plan.yaml:7: load.stages[0].users",
        "not 'many'",
        "write a whole number",
    ),
    "plan: a field that nobody reads": Case(
        "plan.yaml", "seed: 7", "sead: 7", "plan.yaml:3: sead", "unknown field 'sead'", "did you mean 'seed'?"
    ),
    "plan: a field missing": Case(
        "plan.yaml", "title: Does it hold?\n", "", "plan.yaml: title", "this field is missing", "add `title: …`"
    ),
    "plan: a share in percent": Case(
        "plan.yaml",
        "objective: 0.95",
        "objective: 95",
        "plan.yaml:12: objectives[0].objective",
        "not 95",
        "95 % is 0.95",
    ),
    "plan: a stage that there is not": Case(
        "plan.yaml",
        "stage: faults, after",
        "stage: fualts, after",
        "plan.yaml:10: experiments[0].stage",
        "no stage 'fualts'",
        "did you mean 'faults'?",
    ),
    "plan: a verifier that there is not": Case(
        "plan.yaml",
        "hpa_scales_out",
        "hpa_scale_out",
        "plan.yaml:14: expectations[0].hpa_scale_out",
        "unknown field",
        "did you mean 'hpa_scales_out'?",
    ),
    "plan: nothing to show": Case(
        "plan.yaml",
        PLAN[PLAN.index("objectives:") :],
        "",
        "plan.yaml",
        "needs objectives or expectations",
        "see gamedays/first.yaml",
    ),
    "plan: not YAML": Case(
        "plan.yaml",
        "[calm, faults]",
        "[calm, faults",
        "plan.yaml:12",
        "not YAML",
        "check the indentation and the quotes",
    ),
    "plan: two values for a field": Case(
        "plan.yaml", "seed: 7", "seed: 7\nseed: 8", "plan.yaml:4", "duplicate key", "only once"
    ),
    "plan: a profile that there is not": Case(
        "plan.yaml", "profile.py", "profil.py", "plan.yaml:5: load.profile", "there is no file profil.py", "looked in"
    ),
    "profile: not Python": Case(
        "profile.py",
        "def shop(self):",
        "def shop(self)",
        "profile.py:6",
        "not Python: expected ':'",
        "a plain locustfile",
    ),
    "profile: no user": Case(
        "profile.py",
        "(FastHttpUser)",
        "(object)",
        "profile.py:1",
        "defines no Locust user",
        "derives from locust's FastHttpUser",
    ),
    "experiment: a function that there is not": Case(
        "kill.yaml",
        "func: kill_pods",
        "func: kill_pod",
        "kill.yaml:9: method[0].provider.func",
        "no function 'kill_pod'",
        "did you mean 'kill_pods'?",
    ),
    "experiment: no fault": Case(
        "kill.yaml",
        "type: action",
        "type: probe",
        "kill.yaml:3: method",
        "at least one action",
        "an experiment without a fault shows nothing",
    ),
    "target: an address that is none": Case(
        "target.yaml",
        "http://198.18.16.20",
        "198.18.16.20",
        "target.yaml:9: entrypoints",
        "http:// or https:// address is expected",
        "write it like http://",
    ),
    "target: a kubeconfig that there is not": Case(
        "target.yaml",
        "kubeconfig: kubeconfig",
        "kubeconfig: nowhere",
        "target.yaml:4: kubernetes.kubeconfig",
        "there is no file",
        "is the lab up (`lab up`)?",
    ),
    "target: nothing that may be harmed": Case(
        "target.yaml", "{gameday: allowed}", "{}", "target.yaml:8: aws.tags", "at least 1", "name at least 1"
    ),
    "target: a list that is a word": Case(
        "target.yaml",
        "namespaces: [shop]",
        "namespaces: shop",
        "target.yaml:5: kubernetes.namespaces",
        "valid list",
        "write a list",
    ),
    "target: another version": Case(
        "target.yaml", "version: 1", "version: 2", "target.yaml:1: version", "not 2", "write 1 or less"
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plan, all that it names, and a target."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was previewed on the target, connected to, or started; none of it comes to pass."""
    done: list[str] = []

    def instead(what: str) -> Callable[..., None]:
        def touch(*_: object, **__: object) -> None:
            done.append(what)
            raise OSError(what)

        return touch

    monkeypatch.setattr(previews, "preview", instead("preview"))
    monkeypatch.setattr(socket.socket, "connect", instead("connect"))
    monkeypatch.setattr(subprocess, "Popen", instead("start"))
    return done


@pytest.fixture
def gameday(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gameday:
    def ended(*argv: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gameday", *argv])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return int(end.value.code), said.out, said.err

    return ended


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_malformed_is_refused_with_place_and_hint_and_nothing_is_touched(
    folder: Path, touched: list[str], gameday: Gameday, command: str, case: str
) -> None:
    file, old, new, place, said, hint = MALFORMED[case]
    assert old in FILES[file]
    (folder / file).write_text(FILES[file].replace(old, new, 1))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    code, out, err = gameday(command, "plan.yaml")
    first, *rest = err.splitlines()

    assert code == ExitCode.BAD_PLAN == 3
    assert out == ""
    assert f"{place}: " in first
    assert said in first
    assert re.match(rf"  hint: .*{re.escape(hint)}", rest[0])
    assert touched == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("file", ["plan.yaml", "target.yaml"])
def test_a_file_that_is_not_there_is_refused_with_what_is(
    folder: Path, touched: list[str], gameday: Gameday, file: str
) -> None:
    (folder / file).unlink()
    code, _, err = gameday("run", "plan.yaml")

    assert code == ExitCode.BAD_PLAN
    assert f"{file}: there is no such file" in err
    assert "  hint: in . there are: " in err
    assert touched == []
    assert not (folder / "reports").exists()


def test_what_is_well_formed_goes_on_to_be_previewed(folder: Path, touched: list[str], gameday: Gameday) -> None:
    code, _, _ = gameday("plan", "plan.yaml")

    assert code != ExitCode.BAD_PLAN
    assert touched == ["preview"]
