"""A part's log outlives the part, and does not grow without bound."""

from lab.hosts.logs import open_log, read_tail


def test_each_life_begins_with_what_was_started(tmp_path):
    path = tmp_path / "logs" / "etcd.log"
    for word in (b"one\n", b"two\n"):
        with open_log(path, ("etcd", "--name=a b")) as log:
            log.write(word)

    lines = path.read_text().splitlines()

    assert [lines[1], lines[3]] == ["one", "two"]
    assert lines[0].startswith("--- ")
    assert lines[0].endswith("start: etcd '--name=a b'")


def test_a_long_log_is_put_aside_at_the_next_start(tmp_path):
    path = tmp_path / "etcd.log"
    path.write_text("x" * 101)

    open_log(path, ("etcd",), longest=100).close()

    assert (tmp_path / "etcd.log.1").read_text() == "x" * 101
    assert path.read_text().startswith("--- ")


def test_the_tail_is_the_last_lines(tmp_path):
    path = tmp_path / "etcd.log"
    path.write_text("".join(f"{n}\n" for n in range(50_000)))

    assert read_tail(path, 3) == "49997\n49998\n49999"


def test_the_tail_of_one_life_holds_nothing_of_those_before(tmp_path):
    path = tmp_path / "etcd.log"
    path.write_text("before\n")
    since = path.stat().st_size
    with path.open("a") as log:
        log.write("after\n")

    assert read_tail(path, since=since) == "after"


def test_a_log_that_is_not_there_says_nothing(tmp_path):
    assert read_tail(tmp_path / "none.log") == ""
