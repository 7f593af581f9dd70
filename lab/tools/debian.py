"""
The Debian packages of the lab: which are missing, and installing them without starting or changing anything else.

Their daemons are the lab's to start, in its own namespaces. So while apt-get runs, invoke-rc.d is told "not now" and
PostgreSQL makes no cluster; both settings are put back exactly as they were, after a failure too, and by the next run
where a SIGKILL came between.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import typer

from lab.tools.cache import cache
from lab.tools.progress import Progress

PACKAGES = {
    "etcd-server": "Kubernetes' store",
    "etcd-client": "etcdctl, to ask it",
    "docker-registry": "the registry that nodes pull from",
    "containerd": "runs a node's containers",
    "runc": "starts them",
    "containernetworking-plugins": "gives pods their addresses",
    "haproxy": "the load balancers",
    "prometheus": "the stack's metrics",
    "prometheus-node-exporter": "the nodes' metrics",
    "postgresql-15": "the shop's database",
    "redis-server": "the shop's cache",
    "nftables": "network ACLs and kube-proxy",
    "iproute2": "namespaces, links, routes",
    "conntrack": "kube-proxy's, to forget connections",
    "busybox-static": "the smallest image",
    "util-linux": "nsenter, unshare, setpriv",
    "procps": "ps and sysctl",
}
BROWSER = {"chromium": "opens the report in browser tests"}

POLICY = Path("/usr/sbin/policy-rc.d")
CREATECLUSTER = Path("/etc/postgresql-common/createcluster.d/gameday.conf")
OURS = "# Gameday's, while it installs Debian packages; left by a run that was killed, it may be deleted.\n"


class InstallFailed(RuntimeError):
    """The packages could not be installed."""


def absent(wanted: Iterable[str], said: str) -> list[str]:
    """Those of *wanted* that dpkg-query's answer *said* (lines of status, tab, name) does not call installed."""
    lines = (line.split("\t") for line in said.splitlines() if "\t" in line)
    installed = {name.split(":")[0] for status, name in lines if status.strip() == "ii"}
    return [package for package in wanted if package not in installed]


def missing(wanted: Iterable[str]) -> list[str]:
    """Those of *wanted* that are not installed on this machine."""
    names = list(wanted)
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}\t${Package}\n", *names]
    return absent(names, subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def install(packages: list[str]) -> None:
    """Install *packages*; none of their services runs afterwards. Raises InstallFailed with the end of apt-get's log."""
    with ExitStack() as stack:
        stack.enter_context(for_now(POLICY, f"#!/bin/sh\n{OURS}exit 101\n", mode=0o755))
        stack.enter_context(for_now(CREATECLUSTER, f"{OURS}create_main_cluster = false\n", mode=0o644))
        progress = stack.enter_context(Progress(f"installing {len(packages)} Debian packages"))
        _apt(progress, "update")
        try:
            _apt(progress, "install", "--yes", "--no-install-recommends", *packages)
        finally:
            still = missing(packages)
            _disable([package for package in packages if package not in still])


@contextmanager
def for_now(path: Path, text: str, mode: int) -> Iterator[None]:
    """*path* holds *text* in here; afterwards it is what it was: another file, a link, or nothing (its folder too)."""
    aside = path.with_name(path.name + ".gameday-aside")
    if aside.exists() or aside.is_symlink():  # a run before was killed in here
        aside.replace(path)
    elif path.is_file() and path.read_text() == text:  # the same, and there had been nothing
        path.unlink()
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    existed = path.exists() or path.is_symlink()
    ours = path.with_name(path.name + ".gameday-ours")
    ours.write_text(text)
    ours.chmod(mode)
    try:
        if existed:
            path.rename(aside)
        ours.replace(path)
        yield
    finally:
        path.unlink(missing_ok=True)
        ours.unlink(missing_ok=True)
        if existed:
            aside.replace(path)
        for folder in made:
            if not any(folder.iterdir()):
                folder.rmdir()


def _apt(progress: Progress, *arguments: str) -> None:
    command = ["apt-get", "-q", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300", *arguments]
    log = cache() / "debian.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        command,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is ours alone: dpkg stopped half-way leaves a machine that a person must mend
    )
    tail: list[str] = []
    with log.open("a") as file:
        try:
            _follow(process, file, tail, progress)
        except (KeyboardInterrupt, SystemExit):
            progress.say("Interrupted: ending as soon as apt-get has finished what it began.")
            _follow(process, file, tail, progress)
            raise
    if process.returncode != 0:
        raise InstallFailed(f"`{' '.join(command)}` ended with {process.returncode}; {log} ends:\n{''.join(tail)}")


def _follow(process: subprocess.Popen[str], log: IO[str], tail: list[str], progress: Progress) -> None:
    for line in process.stdout or ():
        log.write(line)
        tail[:] = [*tail[-14:], line]
        progress.doing(line.strip())
    process.wait()


def _disable(packages: list[str]) -> None:
    """Keep the services just installed from starting at the next boot, by whichever init that is."""
    if not packages:
        return
    listed = subprocess.run(["dpkg-query", "--listfiles", *packages], capture_output=True, text=True, check=True).stdout
    services, scripts = services_of(listed)
    commands = [["update-rc.d", script, "disable"] for script in scripts]
    if shutil.which("systemctl"):
        commands += [["systemctl", "--quiet", "disable", service] for service in services]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InstallFailed(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()}")


def services_of(listed: str) -> tuple[list[str], list[str]]:
    """The systemd services (templates left out) and the init scripts among the files that dpkg *listed*."""
    paths = {Path(line) for line in listed.splitlines()}
    services = {path.name for path in paths if path.parent.name == "system" and path.suffix == ".service"}
    scripts = {path.name for path in paths if path.parent == Path("/etc/init.d")}
    return sorted(name for name in services if not name.endswith("@.service")), sorted(scripts)


def main() -> int:
    """The command: installs what is missing, saying what; 0 done or nothing to do, 1 not."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.tools.debian", description="Installs the lab's Debian packages."
    )
    parser.add_argument("--browser", action="store_true", help="what browser tests need, too")
    wanted = PACKAGES | (BROWSER if parser.parse_args().browser else {})
    needed = missing(wanted)
    if not needed:
        return 0
    if not shutil.which("apt-get"):
        typer.echo(f"The lab needs Debian 12; this machine has no apt-get. It lacks: {', '.join(needed)}", err=True)
        return 1
    if os.geteuid() != 0:
        typer.echo(f"Installing Debian packages needs root. As root: apt-get install {' '.join(needed)}", err=True)
        return 1
    for name in needed:
        typer.echo(f"Installing Debian's {name}: {wanted[name]}.", err=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was set aside is put back
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        install(needed)
    except InstallFailed as error:
        typer.echo(error, err=True)
        return 1
    except KeyboardInterrupt:
        typer.echo("Interrupted; the next run installs the rest.", err=True)
        return 130
    typer.echo(f"Installed: {len(needed)}. None of their services runs, now or after a boot.", err=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
