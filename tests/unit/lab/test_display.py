"""Progress and status read well in a pipe."""

from io import StringIO

from rich.console import Console

from lab.display import Plain, Quiet, Terminal, display_for, parts_table

LINES = [
    {"kind": "lab.started", "component": "", "message": "etcd", "seconds": 0, "at": 100.0},
    {"kind": "component.starting", "component": "etcd", "message": "", "seconds": 0, "at": 100.1},
    None,
    {"kind": "component.said", "component": "etcd", "message": "waiting for etcd [1/2]", "seconds": 0, "at": 103.0},
    {"kind": "component.ready", "component": "etcd", "message": "", "seconds": 3.2, "at": 103.3},
    {"kind": "lab.ready", "component": "", "message": "", "seconds": 3.3, "at": 103.3},
]


def console(**given):
    return Console(file=StringIO(), width=120, **given)


def test_a_pipe_gets_a_line_a_change_with_the_seconds_since_the_start():
    plain = console()

    Plain(plain).show(LINES)

    assert plain.file.getvalue().splitlines() == [
        "   0.1 s  etcd: starting",
        "   3.0 s  etcd: waiting for etcd [1/2]",
        "   3.3 s  etcd: ready (3.2 s)",
        "   3.3 s  the lab is up (3.3 s)",
    ]


def test_a_terminal_ends_with_a_row_a_component():
    terminal = console(force_terminal=True, no_color=True)

    Terminal(terminal).show(LINES)

    assert "etcd" in terminal.file.getvalue()
    assert "1 of 1 ready" in terminal.file.getvalue()


def test_the_display_suits_where_it_is_shown():
    assert isinstance(display_for(console(), quiet=False), Plain)
    assert isinstance(display_for(console(force_terminal=True), quiet=False), Terminal)
    assert isinstance(display_for(console(force_terminal=True), quiet=True), Quiet)


PART = {
    "name": "etcd",
    "host": "apiserver",
    "zone": "",
    "state": "running",
    "reason": "",
    "memory": 3 << 20,
    "cpu": 1.0,
}


def table_lines(parts, total=None):
    shown = console()
    shown.print(parts_table(parts, total or {"memory": 9 << 20, "cpu": 4.0}))
    return shown.file.getvalue().splitlines()


def test_the_table_of_parts_says_why_one_died():
    lines = table_lines([PART | {"name": "redis", "state": "dead", "reason": "signal SIGKILL"}])

    assert lines[1].split() == ["redis", "apiserver", "-", "dead", "(signal", "SIGKILL)", "3", "1.0"]


def test_the_table_of_parts_ends_with_what_all_use():
    assert table_lines([PART])[-1].split() == ["all,", "with", "pods", "9", "4.0"]


def test_the_parts_of_a_node_stand_together_after_all_others():
    node = [PART | {"name": f"i-{n}-{role}", "host": f"i-{n}"} for role in ("kubelet", "proxy") for n in (1, 2)]

    names = [line.split()[0] for line in table_lines([*node, PART])[1:-1]]

    assert names == ["etcd", "i-1-kubelet", "i-1-proxy", "i-2-kubelet", "i-2-proxy"]
