"""PostgreSQL 15 on a host of its own in one zone: the shop's orders live here."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from lab.context import POSTGRES, Lab
from lab.errors import CommandFailed
from lab.hosts.interfaces import Part
from lab.stack import seed

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
USER = "postgres"
DATABASE = "shop"
PORT = 5432
CLIENTS = "198.18.0.0/15"
SETTINGS = {
    # A lab does not outlive its kernel, and nothing less than the kernel's end loses what a killed server had written:
    # waiting for a disk that everything on the machine shares would only measure that disk.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "min_wal_size": "64MB",
    # In the data folder, which the sweep takes away: a killed server leaves its segments in /dev/shm for good.
    "dynamic_shared_memory_type": "mmap",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    # A client that a cut network took away must not hold its locks until the kernel gives up on it.
    "tcp_user_timeout": "10s",
    "log_min_duration_statement": "250ms",
    "log_line_prefix": "%m [%p] %a ",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server below *folder*, which only the system's user postgres may enter, at *address* and *port*."""

    folder: Path
    address: str
    port: int = PORT
    clients: str = CLIENTS

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def password(self) -> Path:
        """The file that holds the shop's password, made with the server."""
        return self.folder / "shop.password"

    @property
    def url(self) -> str:
        """How the shop connects."""
        return f"postgresql://{DATABASE}:{self.password.read_text()}@{self.address}:{self.port}/{DATABASE}"

    def initialise(self) -> None:
        """The data directory exists; raises CommandFailed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(self.folder, USER, USER)
        self.folder.chmod(0o700)
        if not self.password.exists():
            self.password.write_text(secrets.token_urlsafe(18))
            self.password.chmod(0o600)
        # Made under another name first: a start that was killed halfway leaves nothing that looks whole.
        fresh = self.folder / "data.new"
        if not (self.data / "PG_VERSION").exists():
            shutil.rmtree(fresh, ignore_errors=True)
            self._initdb(fresh)
            shutil.rmtree(self.data, ignore_errors=True)
            fresh.rename(self.data)
        (self.data / "pg_hba.conf").write_text(
            # The socket's folder is closed to all but root and postgres itself.
            f"local all all trust\nhost {DATABASE} {DATABASE} {self.clients} scram-sha-256\n"
        )

    def _initdb(self, folder: Path) -> None:
        options = ["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust", "--wal-segsize=4"]
        argv = [str(PROGRAMS / "initdb"), f"--pgdata={folder}", f"--username={USER}", *options]
        done = subprocess.run(
            argv, user=USER, group=USER, extra_groups=[], cwd="/", capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise CommandFailed(["runuser", "-u", USER, "--", *argv], done.returncode, done.stderr)

    def argv(self) -> tuple[str, ...]:
        """The server's command line."""
        own = {"listen_addresses": self.address, "port": self.port, "unix_socket_directories": self.folder}
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, **own}.items()]
        return (str(PROGRAMS / "postgres"), "-D", str(self.data), *settings)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection as superuser through the socket."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user=USER, dbname=database, autocommit=True, connect_timeout=2
        )

    def answers(self) -> bool:
        """Whether it takes connections now."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def furnish(self) -> None:
        """The shop's role, database, tables, goods and accounts are there."""
        role, password = sql.Identifier(DATABASE), sql.Literal(self.password.read_text())
        with self.connect() as connection:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [DATABASE]).fetchone() is None:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, password))
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(role))
        with self.connect(DATABASE) as connection:
            seed.plant(connection)
            connection.execute(
                sql.SQL("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {}").format(role)
            )


def server(lab: Lab) -> Server:
    """The lab's own server."""
    return Server(lab.state / "parts" / "postgres", str(POSTGRES.address))


def start(lab: Lab) -> None:
    """PostgreSQL answers and has the shop's tables, goods and accounts."""
    lab.hosts.add(POSTGRES)
    ours = server(lab)
    ours.initialise()
    # SIGINT would be PostgreSQL's fast shutdown; SIGTERM waits for clients, hence the short patience.
    lab.parts.start(
        Part(
            name="postgres",
            host=POSTGRES,
            user=USER,
            argv=ours.argv(),
            cwd=ours.folder,
            ready=ours.answers,
            stop_within=3,
        )
    )
    ours.furnish()
