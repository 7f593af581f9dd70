import io
import json
from ipaddress import IPv4Network

import pytest
from rich.console import Console

from lab import doctor as surgery
from lab.doctor import Check, clashes, gib, table, verdict

LAB = IPv4Network("198.18.0.0/15")
WELL = Check("root", ok=True, found="user 0", needed="root", do="run it as root")
ILL = Check("memory", ok=False, found="1.5 GiB available", needed="6 GiB", do="end what else uses memory")


def shown(*checks: Check) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(table(checks))
    return console.file.getvalue()


def test_what_to_do_is_shown_only_where_something_lacks():
    text = shown(WELL, ILL)
    assert "run it as root" not in text
    assert "end what else uses memory" in text


def test_the_verdict_names_what_lacks():
    assert verdict([WELL, ILL]) == "Not as the lab needs it: memory."
    assert verdict([WELL]) == "This machine can run the lab."


@pytest.mark.parametrize(("checks", "code"), [([WELL], 0), ([WELL, ILL], 4)])
def test_json_and_exit_code_agree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], checks: list[Check], code: int
):
    monkeypatch.setattr(surgery, "checks", lambda: checks)
    assert surgery.doctor(as_json=True) == code
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is (code == 0)
    assert [check["name"] for check in said["checks"]] == [check.name for check in checks]


def test_a_check_that_breaks_is_lacking_and_not_a_crash():
    def look() -> Check:
        raise OSError("no such file")

    check = surgery._guarded("disk", look)
    assert not check.ok
    assert "no such file" in check.found


def test_a_memory_figure_below_the_need_is_lacking(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(surgery, "holder", lambda: None)
    monkeypatch.setattr(surgery, "MEMORY", 1 << 60)
    assert not surgery._memory().ok
    monkeypatch.setattr(surgery, "MEMORY", 0)
    assert surgery._memory().ok


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "198.18.0.0/16", "dev": "tun0"},
        {"dst": "198.0.0.0/8", "dev": "eth1"},
        {"dst": "198.19.4.7", "dev": "eth1"},
        {"type": "blackhole", "dst": "198.18.7.0/24"},
    ],
)
def test_a_route_that_takes_lab_addresses_elsewhere_is_a_clash(route: dict[str, str]):
    assert len(clashes([route], LAB)) == 1


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "default", "dev": "eth0"},
        {"dst": "0.0.0.0/0", "dev": "eth0"},
        {"dst": "10.0.0.0/8", "dev": "eth0"},
        {"dst": "198.20.0.0/16", "dev": "eth0"},
        {"dst": "fe80::/64", "dev": "eth0"},
        {"dst": "198.18.0.0/15", "dev": "gd-link"},
        {"type": "blackhole", "dst": "198.18.0.0/15"},
    ],
)
def test_other_routes_and_the_labs_own_are_none(route: dict[str, str]):
    assert clashes([route], LAB) == []


def test_sizes_are_said_as_people_say_them():
    assert (gib(6 << 30), gib(3 << 29)) == ("6 GiB", "1.5 GiB")
