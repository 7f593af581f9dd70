"""Mounts below a folder: which there are, and taking them away."""

from __future__ import annotations

import re
from pathlib import Path

from lab.errors import LabError
from lab.hosts.commands import run

_AT_ONCE = 100
_ROUNDS = 5


def mount_points(mountinfo: str, below: Path) -> list[str]:
    """The mount points inside *below* (not itself), the last made first, as `/proc/self/mountinfo` tells them."""
    found = [_plain(line.split(" ")[4]) for line in mountinfo.splitlines()]
    return [point for point in reversed(found) if below in Path(point).parents]


def mounted_below(folder: Path) -> list[str]:
    """The mount points inside *folder* now, the last made first."""
    return mount_points(Path("/proc/self/mountinfo").read_text(), folder)


def unmount_below(folder: Path) -> int:
    """
    Unmounts everything inside *folder*, however busy, and says how many mounts that were.

    Raises LabError when mounts stay, for then nothing there may be deleted: it could be somebody else's files.
    """
    gone = 0
    for _ in range(_ROUNDS):  # one point can carry many mounts, one on the other
        points = mounted_below(folder)
        if not points:
            return gone
        gone += len(points)
        for start in range(0, len(points), _AT_ONCE):
            run("umount", "--lazy", "--no-canonicalize", *points[start : start + _AT_ONCE])
    if left := mounted_below(folder):
        raise LabError(f"{len(left)} mounts below {folder} stay, the last at {left[0]}")
    return gone


def _plain(escaped: str) -> str:
    # The kernel writes blanks, tabs, line ends and backslashes as three octal digits.
    return re.sub(r"\\([0-7]{3})", lambda digits: chr(int(digits[1], 8)), escaped)
