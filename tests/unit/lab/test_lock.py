"""A machine has one lab at a time; a dead holder holds nothing."""

import json
import os
import subprocess
import sys

import pytest

from lab.errors import LockHeld
from lab.lock import LabLock, holder, read_holder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lab" / "lock"


def test_the_lock_says_who_holds_it(path):
    with LabLock("a test", path):
        held = holder(path)

    assert (held.pid, held.what) == (os.getpid(), "a test")


def test_nobody_else_gets_it_and_is_told_who_has_it(path):
    with LabLock("a test", path), pytest.raises(LockHeld, match=rf"a test \(process {os.getpid()}"), LabLock("b", path):
        pytest.fail("two hold the lock")


def test_it_is_free_again_afterwards(path):
    with LabLock("a test", path):
        pass

    assert holder(path) is None
    with LabLock("another", path):
        assert holder(path).what == "another"


def test_what_a_killed_holder_left_written_holds_nothing(path):
    killed = "import os, pathlib, sys; from lab.lock import LabLock; LabLock('x', pathlib.Path(sys.argv[1])).__enter__(); os.kill(os.getpid(), 9)"

    subprocess.run([sys.executable, "-c", killed, str(path)], check=False)

    assert read_holder(path).what == "x"
    assert holder(path) is None


def test_no_lock_file_is_no_lab(path):
    assert holder(path) is None


@pytest.mark.parametrize("written", ["", "{", json.dumps({"pid": 1})])
def test_a_half_written_lock_file_names_nobody(path, written):
    path.parent.mkdir()
    path.write_text(written)

    assert read_holder(path) is None


def test_a_child_that_inherits_the_lock_keeps_it_when_its_parent_leaves(path):
    child = "import sys, pathlib; from lab.lock import LabLock; lock = LabLock.inherited('child', int(sys.argv[2]), pathlib.Path(sys.argv[1])); print('mine', flush=True); input()"
    lock = LabLock("parent", path).__enter__()
    with subprocess.Popen(
        [sys.executable, "-c", child, str(path), str(lock.fd)],
        pass_fds=(lock.fd,),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        lock.leave()
        assert process.stdout.readline() == "mine\n"

        held = holder(path)
        process.communicate("\n")

    assert (held.what, held.pid) == ("child", process.pid)
    assert holder(path) is None


def test_asking_who_holds_it_keeps_nobody_from_taking_it(path):
    asking = "import sys, pathlib, time; from lab.lock import holder; print(1, flush=True)\nwhile True: holder(pathlib.Path(sys.argv[1]))"
    with LabLock("first", path):
        pass
    with subprocess.Popen([sys.executable, "-c", asking, str(path)], stdout=subprocess.PIPE) as process:
        process.stdout.readline()

        for _ in range(200):
            with LabLock("a test", path):
                assert read_holder(path).what == "a test"
        process.kill()
