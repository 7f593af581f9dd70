"""Mounts of the lab are found wherever they lie below its folder, and nobody else's."""

from pathlib import Path

from lab.hosts.mounts import mount_points

MOUNTINFO = r"""
22 1 254:0 / / rw - ext4 /dev/vda rw
40 22 0:40 / /var/lib/gameday/lab rw - ext4 /dev/vdb rw
41 40 0:41 / /var/lib/gameday/lab/parts/etcd rw shared:1 - tmpfs gameday-etcd rw
42 40 0:42 / /var/lib/gameday/lab/nodes/i-1/pods/a\040b/volume rw - tmpfs tmpfs rw
43 22 0:43 / /var/lib/gameday/laboratory rw - tmpfs tmpfs rw
44 42 0:44 / /var/lib/gameday/lab/nodes/i-1/pods/a\040b/volume/deep rw - tmpfs tmpfs rw
""".strip()


def test_mounts_inside_the_folder_are_found_the_last_first():
    found = mount_points(MOUNTINFO, Path("/var/lib/gameday/lab"))

    assert found == [
        "/var/lib/gameday/lab/nodes/i-1/pods/a b/volume/deep",
        "/var/lib/gameday/lab/nodes/i-1/pods/a b/volume",
        "/var/lib/gameday/lab/parts/etcd",
    ]


def test_a_disk_mounted_as_the_folder_itself_is_not_the_labs():
    assert "/var/lib/gameday/lab" not in mount_points(MOUNTINFO, Path("/var/lib/gameday/lab"))


def test_a_folder_whose_name_only_begins_alike_is_not_the_labs():
    assert mount_points(MOUNTINFO, Path("/var/lib/gameday/labora")) == []
