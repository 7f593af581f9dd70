"""Network ACLs on real nft: a fabric of two ruled subnets and one without rules, in namespaces of the test's own."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cloud.component import Actuators, start_actuators
from lab.cloud.door import Door
from lab.cloud.network_acls import Fabric, FabricRefused, render
from lab.cloud.seed import client, seed
from lab.context import Lab, Settings
from lab.hosts.interfaces import Instance

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
A, B, C = "198.18.16", "198.18.32", "198.18.1"  # two zones' subnets, and the control plane's
A1, A2, B1, C1 = f"{A}.10", f"{A}.11", f"{B}.10", f"{C}.10"
A_POD = "198.18.17.1"  # on A2, reached by way of the fabric, as pods are
PORTS = (80, 90)
SUBNETS = [
    {"SubnetId": "subnet-a", "CidrBlock": f"{A}.0/20"},
    {"SubnetId": "subnet-b", "CidrBlock": f"{B}.0/20"},
]
SERVER = """
import selectors, socket, sys
chosen = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    listener = socket.create_server(("0.0.0.0", port), backlog=64)
    chosen.register(listener, selectors.EVENT_READ, True)
print("ready", flush=True)
while True:
    for key, _ in chosen.select():
        if key.data:
            chosen.register(key.fileobj.accept()[0], selectors.EVENT_READ, False)
            continue
        try:
            said = key.fileobj.recv(100)
            key.fileobj.send(said)
        except OSError:  # a client that was cut off comes back as a reset
            said = b""
        if not said:
            chosen.unregister(key.fileobj)
            key.fileobj.close()
"""
# Reads "host port" lines; answers each with whether a byte came back. A line "again" uses the last connection again.
CLIENT = """
import socket, sys
last = None
for line in sys.stdin:
    try:
        if line.strip() != "again":
            host, port = line.split()
            last = socket.create_connection((host, int(port)), timeout=0.4)
        last.send(b"x")
        print("yes" if last.recv(1) == b"x" else "closed", flush=True)
    except OSError as error:
        print("no", flush=True)
"""


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=20)


class Net:
    """The fabric and its four hosts, each with a server on PORTS and a client that does as it is told."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(2)
        self.processes: list[subprocess.Popen[str]] = []
        self.clients: dict[str, subprocess.Popen[str]] = {}
        self.fabric = self.name("fabric")

    def name(self, host: str) -> str:
        return f"gdtry-cloud-{self.mark}-{host}"

    def up(self) -> None:
        run("ip", "netns", "add", self.fabric)
        run("ip", "-n", self.fabric, "link", "set", "lo", "up")
        for key, prefix in (("a", A), ("b", B), ("c", C)):
            run("ip", "-n", self.fabric, "link", "add", f"br-{key}", "type", "bridge")
            run("ip", "-n", self.fabric, "address", "add", f"{prefix}.1/24", "dev", f"br-{key}")
            run("ip", "-n", self.fabric, "link", "set", f"br-{key}", "up")
        for host, bridge, address in (("a1", "a", A1), ("a2", "a", A2), ("b1", "b", B1), ("c1", "c", C1)):
            self.host(host, bridge, address)
        run("ip", "-n", self.fabric, "route", "add", f"{A_POD}/32", "via", A2)
        run("ip", "-n", self.name("a2"), "address", "add", f"{A_POD}/32", "dev", "eth0")
        run("nsenter", f"--net=/run/netns/{self.fabric}", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for host in ("a1", "a2", "b1", "c1"):
            self.python(host, SERVER, *map(str, PORTS))
            self.clients[host] = self.python(host, CLIENT)
        for process in self.processes:
            if process not in self.clients.values():
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"

    def host(self, host: str, bridge: str, address: str) -> None:
        name = self.name(host)
        run("ip", "netns", "add", name)
        port = f"v-{host}"
        run("ip", "-n", self.fabric, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "-n", self.fabric, "link", "set", port, "master", f"br-{bridge}", "up")
        run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "route", "add", "default", "via", f"{address.rpartition('.')[0]}.1")

    def python(self, host: str, program: str, *arguments: str) -> subprocess.Popen[str]:
        argv = ["nsenter", f"--net=/run/netns/{self.name(host)}", sys.executable, "-c", program, *arguments]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def reaches(self, host: str, address: str, port: int = 80) -> bool:
        return self.says(host, f"{address} {port}") == "yes"

    def says(self, host: str, line: str) -> str:
        process = self.clients[host]
        assert process.stdin is not None
        assert process.stdout is not None
        print(line, file=process.stdin, flush=True)
        return process.stdout.readline().strip()

    def down(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate(timeout=10)
        for host in ("a1", "a2", "b1", "c1", "fabric"):
            subprocess.run(["ip", "netns", "delete", self.name(host)], check=False, capture_output=True)


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    made = Net()
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture
def fabric(net: Net) -> Fabric:
    """The fabric, with rules that allow all."""
    found = Fabric(f"/run/netns/{net.fabric}")
    found.apply(render(SUBNETS, [ALL]))
    return found


def entry(number: int, action: str, *, egress: bool, cidr: str = "0.0.0.0/0", **more: Any) -> dict[str, Any]:
    protocol = "6" if "ports" in more else more.get("protocol", "-1")
    made = {"RuleNumber": number, "RuleAction": action, "Egress": egress, "CidrBlock": cidr, "Protocol": protocol}
    if "ports" in more:
        made["PortRange"] = dict(zip(("From", "To"), more["ports"], strict=True))
    return made


def acl(name: str, subnets: list[str], *entries: dict[str, Any]) -> dict[str, Any]:
    return {"NetworkAclId": name, "Associations": [{"SubnetId": s} for s in subnets], "Entries": list(entries)}


OPEN = (entry(100, "allow", egress=True), entry(100, "allow", egress=False))
ALL = acl("acl-all", ["subnet-a", "subnet-b"], *OPEN)


def test_open_rules_let_all_through(net: Net, fabric: Fabric) -> None:
    assert fabric.denied() is not None
    ways = [("a1", A2), ("a1", A_POD), ("a1", B1), ("b1", A1), ("b1", A_POD), ("a1", C1), ("c1", B1)]
    assert [way for way in ways if not net.reaches(*way)] == []


def test_an_acl_without_entries_cuts_the_subnet_off_but_not_within_itself(net: Net, fabric: Fabric) -> None:
    fabric.apply(render(SUBNETS, [acl("acl-none", ["subnet-a"]), acl("acl-all", ["subnet-b"], *OPEN)]))
    cut = [("a1", B1), ("b1", A1), ("b1", A_POD), ("a1", C1), ("c1", A1)]
    assert [way for way in cut if net.reaches(*way)] == []
    kept = [("a1", A2), ("a2", A1), ("a1", A_POD), ("b1", C1), ("c1", B1)]
    assert [way for way in kept if not net.reaches(*way)] == []
    denied = fabric.denied()
    assert denied is not None
    assert denied["acl-none last egress"] > 0
    assert denied["acl-none last ingress"] > 0
    assert {rule for rule, packets in denied.items() if packets} == {"acl-none last egress", "acl-none last ingress"}


def test_a_deny_cuts_exactly_its_ports_and_its_addresses(net: Net, fabric: Fabric) -> None:
    rules = acl("acl-b", ["subnet-b"], entry(90, "deny", egress=False, cidr=f"{A1}/32", ports=(80, 85)), *OPEN)
    fabric.apply(render(SUBNETS, [rules, acl("acl-a", ["subnet-a"], *OPEN)]))
    assert not net.reaches("a1", B1, 80)
    assert net.reaches("a1", B1, 90)
    assert net.reaches("a2", B1, 80)
    assert net.reaches("c1", B1, 80)


def test_the_lowest_rule_number_that_matches_decides(net: Net, fabric: Fabric) -> None:
    wide = entry(200, "deny", egress=False, ports=(1, 1000))
    narrow = entry(150, "allow", egress=False, ports=(80, 80))
    rules = acl("acl-b", ["subnet-b"], wide, *[OPEN[0], narrow, entry(300, "allow", egress=False)])
    fabric.apply(render(SUBNETS, [rules]))
    assert (net.reaches("a1", B1, 80), net.reaches("a1", B1, 90)) == (True, False)


def test_answers_need_a_rule_of_their_own(net: Net, fabric: Fabric) -> None:
    into = entry(100, "allow", egress=False, ports=(80, 80))
    fabric.apply(render(SUBNETS, [acl("acl-b", ["subnet-b"], into)]))
    assert not net.reaches("a1", B1), "the answer is not let out just because the question was let in"
    assert (fabric.denied() or {})["acl-b last egress"] > 0
    out = entry(100, "allow", egress=True, ports=(1024, 65535))
    fabric.apply(render(SUBNETS, [acl("acl-b", ["subnet-b"], into, out)]))
    assert net.reaches("a1", B1)


def test_a_connection_that_is_open_is_cut_and_goes_on_after_the_deny_is_taken_back(net: Net, fabric: Fabric) -> None:
    assert net.says("a1", f"{B1} 80") == "yes"
    fabric.apply(render(SUBNETS, [acl("acl-none", ["subnet-b"])]))
    assert net.says("a1", "again") == "no"
    fabric.apply(render(SUBNETS, [ALL]))
    assert "yes" in [net.says("a1", "again") for _ in range(20)], "TCP sends again by itself"


def test_nft_takes_every_kind_of_entry(fabric: Fabric) -> None:
    kinds = [entry(1, "deny", egress=False, ports=(80, 90)), entry(2, "allow", egress=True, ports=(0, 65535))]
    kinds += [
        entry(10 + n, "deny", egress=True, protocol=protocol) for n, protocol in enumerate(("17", "1", "50", "tcp"))
    ]
    for number, (kind, code) in enumerate([(-1, -1), (8, -1), (3, 1)], start=30):
        kinds.append(entry(number, "deny", egress=False, protocol="1") | {"IcmpTypeCode": {"Type": kind, "Code": code}})
    kinds.append(entry(40, "deny", egress=False, protocol="17") | {"PortRange": {"From": 53, "To": 53}})
    fabric.apply(render(SUBNETS, [acl("acl-0a", ["subnet-a", "subnet-b"], *kinds)]))
    denies = [each for each in kinds if each["RuleAction"] == "deny"]
    assert len(fabric.denied() or {}) == len(denies) + 2


def test_rules_that_nft_refuses_leave_the_old_ones_in_force(net: Net, fabric: Fabric) -> None:
    fabric.apply(render(SUBNETS, [acl("acl-none", ["subnet-b"])]))
    with pytest.raises(FabricRefused, match="nft -f"):
        fabric.apply(render(SUBNETS, [ALL]) + "nonsense\n")
    assert not net.reaches("a1", B1)


def test_a_boto3_call_cuts_the_zone_within_half_a_second_and_its_undoing_heals_it(net: Net, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "lab.cloud.server", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("w") as said:
        process = subprocess.Popen(argv, stdout=said, stderr=said, cwd=ROOT)
    door, fabric, nodes = Door(endpoint), Fabric(f"/run/netns/{net.fabric}"), BootedNodes()
    actuators: Actuators | None = None
    try:
        deadline = time.monotonic() + 60
        while not door.healthy():
            assert time.monotonic() < deadline, "the server did not answer in time"
            time.sleep(0.1)
        seeded = seed(endpoint, Settings())
        absent: Any = None
        lab = Lab(tmp_path, absent, absent, absent, absent, Settings(boot_delay=0.0))
        actuators = start_actuators(lab, nodes, endpoint=endpoint, fabric=f"/run/netns/{net.fabric}")
        assert start_actuators(lab, nodes, endpoint=endpoint) is actuators, "they run once"
        assert net.reaches("a1", B1)
        ec2 = client("ec2", endpoint)
        where = [{"Name": "association.subnet-id", "Values": [seeded.subnets["us-east-1b"]]}]
        (old,) = ec2.describe_network_acls(Filters=where)["NetworkAcls"]
        link = next(each for each in old["Associations"] if each["SubnetId"] == seeded.subnets["us-east-1b"])
        new = ec2.create_network_acl(VpcId=seeded.vpc)["NetworkAcl"]["NetworkAclId"]
        cut = ec2.replace_network_acl_association(AssociationId=link["NetworkAclAssociationId"], NetworkAclId=new)[
            "NewAssociationId"
        ]
        assert took(fabric, f"{new} 32767 ingress", there=True) < 0.5
        assert (net.reaches("a1", B1), net.reaches("a1", A_POD), net.reaches("a1", C1)) == (False, True, True)
        ec2.replace_network_acl_association(AssociationId=cut, NetworkAclId=old["NetworkAclId"])
        assert took(fabric, f"{new} 32767 ingress", there=False) < 0.5
        assert net.reaches("a1", B1)
        assert actuators.acls.denied()[f"{new} 32767 ingress"] > 0, (
            "what was dropped stays known after the rules are gone"
        )
        run("nsenter", f"--net=/run/netns/{net.fabric}", "nft", "delete", "table", "ip", "gameday_acl")
        deadline = time.monotonic() + 10
        while fabric.denied() is None:
            assert time.monotonic() < deadline, "a table taken away by somebody else was not put back"
            time.sleep(0.1)
        assert {each.zone for each in nodes.booted} == set(seeded.subnets), "the instances were made real meanwhile"
        assert actuators.running
    finally:
        if actuators is not None:
            actuators.stop()
            assert not actuators.running
        door.close()
        process.terminate()
        process.wait(10)


class BootedNodes:
    """Machines that run the moment that they are booted."""

    def __init__(self) -> None:
        self.booted: list[Instance] = []

    def boot(self, instance: Instance) -> None:
        self.booted.append(instance)

    def destroy(self, instance_id: str) -> None:
        self.booted = [each for each in self.booted if each.id != instance_id]

    def alive(self) -> frozenset[str]:
        return frozenset(each.id for each in self.booted)


def took(fabric: Fabric, rule: str, *, there: bool) -> float:
    began = time.monotonic()
    while (rule in (fabric.denied() or {})) is not there:
        assert time.monotonic() - began < 5, f"{rule} is {'not ' if there else ''}in force"
        time.sleep(0.005)
    return time.monotonic() - began
