"""Trying what the kernel can do, in namespaces without a name and folders that are gone again afterwards."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

NETWORK = """
ip link set lo up
ip link add probe type bridge
ip link add left type veth peer name right
ip link set left master probe
ip link set probe up
ip link set left up
ip address add 198.18.0.1/30 dev right
ip link set right up
unshare --net true
"""
NFTABLES = """
nft -f - <<'.'
table ip probe {
  set denied { type ipv4_addr . ipv4_addr; flags interval; }
  chain acl { type filter hook forward priority 0; policy accept; ip saddr . ip daddr @denied counter drop; }
  chain spread { type nat hook prerouting priority -100; dnat to numgen random mod 2 map { 0 : 198.18.0.1, 1 : 198.18.0.2 }; }
  chain mask { type nat hook postrouting priority 100; ct state new masquerade; }
}
.
"""
OVERLAY = """
cd "$1"
mkdir lower upper work merged
touch lower/below
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
rm merged/below
touch merged/above
test -e upper/above
umount merged
"""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WITHIN = 20.0


def tried(script: str, *arguments: str) -> str:
    """Run *script* in network and mount namespaces of its own; what went wrong, or nothing where it worked."""
    if os.geteuid() != 0:
        return "not tried: only root can"
    apart = ["unshare", "--net", "--mount", "--propagation", "private"]
    command = [*apart, "sh", "-eu", "-c", script, "sh", *arguments]
    environment = os.environ | {"PATH": PATH}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=WITHIN)
    except subprocess.TimeoutExpired:
        return f"did not end within {WITHIN:.0f} s"
    if done.returncode == 0:
        return ""
    return done.stderr.strip() or f"ended with {done.returncode}"


def overlay(state: Path) -> str:
    """Whether overlayfs works on *state*'s file system: what went wrong, or nothing."""
    if os.geteuid() != 0:
        return "not tried: only root can"
    with TemporaryDirectory(prefix=".gameday-probe-", dir=nearest(state)) as folder:
        return tried(OVERLAY, folder)


def cpu_quota(controller: Path) -> str:
    """Whether a cgroup below *controller* takes a CFS quota: what went wrong, or nothing."""
    group = controller / f"gameday-probe-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        return f"no cgroup could be made in {controller}: {error.strerror}"
    try:
        quota = group / "cpu.cfs_quota_us"
        quota.write_text("50000")
        read = quota.read_text().strip()
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    finally:
        group.rmdir()
    return "" if read == "50000" else f"a quota of 50000 was read back as {read}"


def asked(*command: str) -> list[dict[str, Any]]:
    """The JSON list that *command* prints."""
    done = subprocess.run(command, env=os.environ | {"PATH": PATH}, capture_output=True, text=True, check=True)
    answer: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return answer


def nearest(path: Path) -> Path:
    """*path*, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
