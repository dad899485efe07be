"""The site as processes: which there are, what each is told, and what runs before them. Standard library only."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from config.processes import ServiceError, free_port, is_port_free
from config.servers import Services, without_credentials
from config.supervisor import ROOT, Child, Supervisor

DEFAULT_PORT = 8000
QUEUES = "ingest,score,report,default"
EMBED_QUEUE = "embed"


@dataclass(frozen=True)
class Site:
    """One instance on this machine: `children()` in the order of their start, so that the web goes first at the end."""

    services: Services
    environ: Mapping[str, str]
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    workers: int = 2
    threads: int = 4
    is_dev: bool = False

    @property
    def base_url(self) -> str:
        """The address for a browser on this machine."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 (compared, not bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def static_root(self) -> Path:
        return self.services.home / "static"

    def children(self) -> Iterator[Child]:
        """The processes that make up the site."""
        celery = (sys.executable, "-m", "celery", "-A", "config")
        schedule = self.services.home / "beat-schedule"
        yield self._child("signer", *_manage("run_signer"))
        yield self._child("sequencer", *_manage("run_sequencer"))
        yield self._child("beat", *celery, "beat", "-l", "WARNING", "-s", str(schedule), "--pidfile=", role="worker")
        yield self._child(
            *("worker", *celery, "worker", "-Q", QUEUES, "-c", "2", "-l", "WARNING"),
            *("--without-mingle", "--without-gossip"),
        )
        # On its own, one process: the encoder takes half a gigabyte, loaded when the first text comes. A child that
        # has grown beyond 1.5 GB is replaced between two tasks.
        yield self._child(
            *("embedder", *celery, "worker", "-Q", EMBED_QUEUE, "-n", "embedder@%h", "-c", "1", "-l", "WARNING"),
            *("--max-memory-per-child", "1500000", "--without-mingle", "--without-gossip"),
            role="worker",
        )
        yield self._child(
            *("web", sys.executable, "-m", "granian", "--interface", "wsgi", "config.wsgi:application"),
            *("--host", self.host, "--port", str(self.port), "--workers", str(self.workers)),
            *("--blocking-threads", str(self.threads), "--no-ws", "--log-level", "warning"),
            *(("--reload",) if self.is_dev else ()),
        )

    def prepare(self, supervisor: Supervisor) -> None:
        """Bring the database up to date and collect the static files, where they changed.

        Raises:
            ServiceError: one of the two failed; its output is in the log.
        """
        supervisor.run_once(self._child("migrate", *_manage("migrate", "-v", "0"), role="admin"))
        stamp = self.static_root / ".collected"
        digest = _static_digest()
        if not stamp.exists() or stamp.read_text() != digest:
            command = _manage("collectstatic", "--noinput", "--clear", "-v", "0", "-i", "redoc")  # nothing shows it
            supervisor.run_once(self._child("static", *command, role="admin"))
            stamp.write_text(digest)

    def fill(self, supervisor: Supervisor) -> str:
        """Let the demo command submit its example through the HTTP API; return what it says about logging in."""
        demo = self._child("demo", *_manage("demo", "--base-url", self.base_url), role="admin")
        return supervisor.run_once(demo, collect=True)

    def _child(self, name: str, *command: str, role: str = "") -> Child:
        env = {
            **without_credentials(self.environ),
            "AFFIDAVIT_LOGS": self.environ.get("AFFIDAVIT_LOGS", "plain"),
            "AFFIDAVIT_PUBLIC_URL": self.environ.get("AFFIDAVIT_PUBLIC_URL", self.base_url),
            "AFFIDAVIT_STATIC_ROOT": str(self.static_root),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "HF_HUB_OFFLINE": "1",  # the model comes with a package
            "OMP_NUM_THREADS": "1",  # more only spin against each other on a small machine
            "PYTHONUNBUFFERED": "1",
            **({"AFFIDAVIT_DEBUG": "1"} if self.is_dev else {}),
            **self.services.role_env(role or name),
        }
        return Child(name, command, env)


def choose_port(asked: str | None) -> int:
    """The port asked for, which must be free; else 8000, or any free one.

    Raises:
        ServiceError: `asked` is no port or is taken.
    """
    if not asked:
        return free_port(DEFAULT_PORT)
    if not asked.isdigit() or not 0 < int(asked) < 65536:
        raise ServiceError(f"{asked!r} is not a port (1 to 65535)")
    if not is_port_free(int(asked)):
        raise ServiceError(f"port {asked} is taken by another program; choose another, or leave it out")
    return int(asked)


def trusted_headers(environ: Mapping[str, str]) -> dict[str, str]:
    """Headers that make a request from this machine look as if it came through the deployment's own address."""
    host = environ.get("AFFIDAVIT_ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".")
    return {"Host": host if host and host != "*" else "localhost", "X-Forwarded-Proto": "https"}


@dataclass(frozen=True)
class RunNote:
    """What a running site leaves in its home for `stop` and for a second start to read."""

    pid: int
    base_url: str
    is_ready: bool
    text: str = ""

    def write(self, home: Path) -> None:
        """Replace the note of `home` (mode 0600: the text of a demo holds its passwords)."""
        partial = home / f"run.{self.pid}"
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.__dict__, file)
        partial.replace(home / "run.json")

    @classmethod
    def read(cls, home: Path) -> RunNote | None:
        """The note of `home`, if there is one."""
        try:
            return cls(**json.loads((home / "run.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None


def _manage(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(ROOT / "manage.py"), *arguments)


def _static_digest() -> str:
    """A digest that changes whenever a static file of ours or the installed packages do."""
    digest = hashlib.sha256()
    sources = [ROOT / "requirements.lock", *sorted(ROOT.glob("*/static/**/*"))]
    for path in sources:
        if path.is_file():
            status = path.stat()
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
