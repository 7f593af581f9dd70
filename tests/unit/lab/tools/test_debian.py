import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.tools.debian import absent, for_now, services_of


def kill_within(path: Path) -> None:
    """A process that dies by SIGKILL while it has *path* replaced."""
    code = (
        "import os, signal, pathlib\n"
        "from lab.tools.debian import for_now\n"
        f"with for_now(pathlib.Path({str(path)!r}), 'ours', 0o755):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL


def test_only_installed_packages_count():
    said = "ii \thaproxy\nrc \tredis-server\nun \tetcd-server\niU \tprometheus\nii \tlibc6\n"
    wanted = ["haproxy", "redis-server", "etcd-server", "prometheus", "never-heard-of"]
    assert absent(wanted, said) == ["redis-server", "etcd-server", "prometheus", "never-heard-of"]


def test_no_answer_means_that_all_is_missing():
    assert absent(["haproxy", "runc"], "") == ["haproxy", "runc"]


def test_an_absent_file_is_absent_again_and_its_folder_too(tmp_path: Path):
    path = tmp_path / "folder.d" / "policy"
    with for_now(path, "ours", 0o755):
        assert (path.read_text(), path.stat().st_mode & 0o777) == ("ours", 0o755)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_what_it_was_after_a_failure(tmp_path: Path):
    path = tmp_path / "policy"
    path.write_text("theirs")
    path.chmod(0o640)
    before = path.stat()
    with pytest.raises(RuntimeError, match="apt"), for_now(path, "ours", 0o755):
        raise RuntimeError("apt")
    after = path.stat()
    assert path.read_text() == "theirs"
    assert (after.st_ino, after.st_mode, after.st_mtime) == (before.st_ino, before.st_mode, before.st_mtime)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_the_same_link_again(tmp_path: Path):
    path = tmp_path / "policy"
    path.symlink_to("elsewhere")
    with for_now(path, "ours", 0o755):
        assert not path.is_symlink()
    assert path.readlink() == Path("elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_what_a_killed_run_set_aside_is_put_back_by_the_next(tmp_path: Path):
    path = tmp_path / "policy"
    path.write_text("theirs")
    kill_within(path)
    assert path.read_text() == "ours"
    with for_now(path, "ours", 0o755):
        assert path.read_text() == "ours"
    assert path.read_text() == "theirs"


def test_what_a_killed_run_left_where_nothing_was_is_taken_away_by_the_next(tmp_path: Path):
    path = tmp_path / "policy"
    kill_within(path)
    assert path.read_text() == "ours"
    with for_now(path, "ours", 0o755):
        assert path.read_text() == "ours"
    assert not path.exists()


def test_services_and_init_scripts_are_told_apart():
    listed = "/.\n/lib/systemd/system/redis-server.service\n/lib/systemd/system/redis-server@.service\n/etc/init.d/redis-server\n/usr/bin/redis\n"
    assert services_of(listed) == (["redis-server.service"], ["redis-server"])
