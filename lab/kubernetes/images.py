"""The lab's images: a pause container, and Python applications on a root made of Debian's packages."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.context import Lab
from lab.kubernetes import oci, registry
from lab.tools.cache import cache
from lab.tools.toolchain import uv

PACKAGES = (
    "base-files",
    "ca-certificates",
    "libbz2-1.0",
    "libc6",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libssl3",
    "libstdc++6",
    "libuuid1",
    "python3.11-minimal",
    "zlib1g",
)
# What no service reads: documents, locale data, the parts of the standard library that build or draw.
USELESS = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/binfmts",
    "usr/share/applications",
    "usr/share/pixmaps",
    "usr/lib/*/gconv",
    "usr/lib/python3*/lib2to3",
    "usr/lib/python3*/idlelib",
    "usr/lib/python3*/ensurepip",
    "usr/lib/python3*/pydoc_data",
    "usr/lib/python3*/distutils",
    "usr/lib/python3*/config-3*",
    "usr/lib/python3*/test",
    "etc/update-motd.d",
)
# What only compilers and type checkers read.
SOURCES = frozenset({".c", ".h", ".pxd", ".pyi", ".pyx"})
USER = "10001:10001"
PYTHON = "/usr/bin/python3.11"
# Every Debian image is made for this interpreter; byte code of another minor version would be ignored.
VERSION = (3, 11)
PAUSE_SCRIPT = "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done"


@dataclass(frozen=True, slots=True)
class PythonApplication:
    """
    A Python program as an image *name*: folder *source* becomes `/app/<its name>`, run as `python -m <module>`.

    *requirements* are names or pins; versions of what is not pinned come from *constraints*, a lock file.
    """

    name: str
    source: Path
    module: str
    requirements: Sequence[str] = ()
    constraints: Path | None = None
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def push_pause(lab: Lab) -> str:
    """The reference of the image that holds a pod's network: it sleeps, and ends when told to."""
    del lab  # The registry's address is fixed; the argument says that a lab must be up.
    layers = [oci.cached_layer(f"pause 1 {_identity(_busybox())}", _layers(), _fill_pause)]
    return oci.push(registry.URL, "pause", layers, oci.Process(("/bin/sh", "-c", PAUSE_SCRIPT), user="65535:65535"))


def python_image(lab: Lab, application: PythonApplication) -> str:
    """The reference of *application*'s image, which lies in the lab's registry now; raises oci.PushFailed."""
    lab.say(f"image {application.name}: layers")
    layers = python_layers(application)
    size = sum(each.size for each in layers) // 1_000_000
    lab.say(f"image {application.name}: pushing {size} MB")
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": "/app:/site",
        "PYTHONUNBUFFERED": "1",
        "LANG": "C.UTF-8",
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        **application.environment,
    }
    process = oci.Process((PYTHON, "-m", application.module, *application.arguments), environment, USER, "/app")
    return oci.push(registry.URL, application.name, layers, process)


def python_layers(application: PythonApplication) -> list[oci.Layer]:
    """Root, libraries and program of *application*, each a layer; the first two are cached over labs."""
    root = oci.cached_layer(f"root 3 {PACKAGES} {USELESS} {sys.version}", _layers(), _fill_root)
    locked = _lock_lines(application.constraints)
    libraries = oci.cached_layer(
        f"site 3 {sorted(application.requirements)} {locked} {sys.version}",
        _layers(),
        lambda folder: _fill_site(folder, application),
    )
    program = oci.cached_layer(
        f"app 2 {application.source.name} {_content(application.source)} {sys.version}",
        _layers(),
        lambda folder: _fill_program(folder, application.source),
    )
    return [root, libraries, program]


def _layers() -> Path:
    return cache() / "images"


def _busybox() -> Path:
    found = shutil.which("busybox")
    if found is None:
        raise FileNotFoundError("busybox is not on this machine: apt-get install busybox-static")
    return Path(found)


def _identity(path: Path) -> str:
    about = path.stat()
    return f"{path} {about.st_size} {about.st_mtime_ns}"


def _fill_pause(folder: Path) -> None:
    (folder / "bin").mkdir()
    shutil.copy(_busybox(), folder / "bin" / "busybox")
    (folder / "bin" / "sh").symlink_to("busybox")
    (folder / "bin" / "sleep").symlink_to("busybox")


def _fill_root(folder: Path) -> None:
    archives = folder / ".archives"
    archives.mkdir()
    # apt's own sandbox user may not write here, and need not: the folder is ours and goes away.
    _run(["apt-get", "-o", "APT::Sandbox::User=root", "-qq", "download", *PACKAGES], archives)
    for archive in sorted(archives.iterdir()):
        _run(["dpkg-deb", "-x", archive.name, str(folder)], archives)
    shutil.rmtree(archives)
    for pattern in USELESS:
        for path in folder.glob(pattern):
            shutil.rmtree(path)
    _certificates(folder)
    (folder / "bin").mkdir(exist_ok=True)
    shutil.copy(_busybox(), folder / "bin" / "busybox")
    (folder / "bin" / "sh").symlink_to("busybox")
    (folder / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\napp:x:10001:10001:app:/app:/bin/sh\n")
    (folder / "etc" / "group").write_text("root:x:0:\napp:x:10001:\n")
    (folder / "tmp").mkdir(exist_ok=True)
    (folder / "tmp").chmod(0o1777)
    _compile(folder / "usr" / "lib" / "python3.11", "/usr/lib/python3.11")


def _certificates(folder: Path) -> None:
    """One bundle of the authorities, which Debian makes when the package is set up rather than unpacked."""
    source = folder / "usr" / "share" / "ca-certificates"
    bundle = folder / "etc" / "ssl" / "certs" / "ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(path.read_text() for path in sorted(source.rglob("*.crt"))))
    shutil.rmtree(source)


def _fill_site(folder: Path, application: PythonApplication) -> None:
    site = folder / "site"
    site.mkdir()
    if application.requirements:
        lock = [] if application.constraints is None else ["--constraint", str(application.constraints.resolve())]
        target = ["--target", str(site), "--python", sys.executable, "--python-version", "3.11", "--link-mode", "copy"]
        _run([uv(), "pip", "install", "--quiet", *target, *lock, *application.requirements], folder)
    for path in (site / "bin", site / ".lock"):
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    for record in site.glob("*.dist-info/RECORD"):
        record.unlink()
    for tests in list(site.rglob("tests")):
        shutil.rmtree(tests)
    for path in [path for path in site.rglob("*") if path.suffix in SOURCES]:
        path.unlink()
    _compile(site, "/site")


def _fill_program(folder: Path, source: Path) -> None:
    target = folder / "app" / source.name
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    _compile(target, f"/app/{source.name}")


def _compile(folder: Path, seen_as: str) -> None:
    """
    All modules below *folder* have byte code: a container with a third of a core would compile for seconds.

    It is never checked against the source's time, which the layer does not keep.
    """
    if sys.version_info[:2] != VERSION:
        raise RuntimeError(f"images need Python 3.11 to compile for, this is {sys.version.split()[0]}: use Debian 12's")
    for stale in list(folder.rglob("__pycache__")):
        shutil.rmtree(stale)
    options = ["-q", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", seen_as]
    # A library may carry files for other versions of Python, which do not compile: its exit code says nothing.
    subprocess.run([sys.executable, "-m", "compileall", *options, str(folder)], check=False, capture_output=True)
    if not any(folder.rglob("*.pyc")) and any(folder.rglob("*.py")):
        raise RuntimeError(f"nothing below {folder} could be compiled with {sys.executable}")


def _content(source: Path) -> str:

    total = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            total.update(path.relative_to(source).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _lock_lines(constraints: Path | None) -> str:
    return "" if constraints is None else oci.digest_of_file(constraints)


def _run(argv: Sequence[str], folder: Path) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise RuntimeError(f"exit code {done.returncode}: {' '.join(argv)}\n{said}")
