"""A private, durable instance: its own PostgreSQL and Valkey, and the product's processes as the supervisor runs them.

Everything lies in a folder of its own below /var/tmp (a disk, where /tmp may be memory) and is removed at the end.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from config.processes import free_port, kill_group, spawn, stop, wait_until
from config.servers import Profile, Services, running_services, without_credentials
from config.supervisor import ROOT, Child, answers
from config.topology import Site

READY_SECONDS = 60.0


@dataclass(frozen=True)
class Credentials:
    """A tenant made for the run, and what its programs log in with."""

    tenant_id: str
    slug: str
    origin: str
    ingest_key: str
    read_key: str


class Instance:
    """The running site; `processes` by name: signer, sequencer, web, and worker and beat where asked for."""

    def __init__(self, services: Services, wanted: Sequence[str], *, workers: int, threads: int) -> None:
        self.services = services
        self.port = free_port()
        # Limits are counted as ever, and never reached.
        environ = {"PATH": os.environ.get("PATH", ""), "AFFIDAVIT_RATE_RECORDS": "1000000000"}
        environ["AFFIDAVIT_RATE_REQUESTS"] = "1000000000"
        self.site = Site(services, environ, port=self.port, workers=workers, threads=threads)
        self.site.static_root.mkdir(exist_ok=True)
        self.children: dict[str, Child] = {child.name: child for child in self.site.children() if child.name in wanted}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.log = services.home / "logs" / "site.log"

    @property
    def base_url(self) -> str:
        return self.site.base_url

    def migrate(self) -> None:
        """Bring the empty database up to date, as the admin."""
        env = {
            **without_credentials(os.environ),
            **self.services.role_env("admin"),
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v", "0", "--skip-checks"], cwd=ROOT, env=env, check=True
        )

    def collect_static(self) -> None:
        """For runs that look at pages, which name their files by their hashes."""
        command = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v", "0", "-i", "redoc"]
        subprocess.run(command, cwd=ROOT, env=self.children["web"].env, check=True)

    def start(self, name: str) -> None:
        """Start one process; what an earlier one of that name left behind is killed first."""
        if old := self.processes.pop(name, None):
            kill_group(old.pid)
            old.wait()
        child = self.children[name]
        with self.log.open("ab") as output:
            self.processes[name] = spawn(child.command, env=child.env, cwd=ROOT, output=output)

    def start_all(self) -> None:
        """Start every process; wait until the web answers, if it is one of them."""
        for name in self.children:
            self.start(name)
        if "web" in self.children:
            self.wait_ready()

    def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Wait for `/readyz`; raises `RuntimeError` with the end of the log."""
        if not wait_until(lambda: answers(f"{self.base_url}/readyz"), timeout, interval=0.05):
            raise RuntimeError(f"The site is not ready:\n{self.log_tail()}")

    def log_tail(self, characters: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else "(no log)"

    def stop_all(self) -> None:
        for name in reversed(list(self.processes)):
            stop(self.processes.pop(name), grace=5.0)

    def database(self) -> psycopg.Connection:
        """A superuser's connection: what it counts, no policy hides."""
        return psycopg.connect(self.services.database_url, autocommit=True)


@contextmanager
def running_instance(
    profile: Profile,
    *,
    processes: Sequence[str] = ("signer", "sequencer", "web"),
    workers: int = 2,
    threads: int = 4,
    keep: bool = False,
) -> Iterator[Instance]:
    """A migrated instance whose processes run, and Django in this process set up to look into it."""
    home = Path(tempfile.mkdtemp(prefix="affidavit-run-", dir="/var/tmp"))
    home.chmod(0o711)
    try:
        with running_services(home, profile, environ={}) as services:
            instance = Instance(services, processes, workers=workers, threads=threads)
            set_up_django(services)
            instance.migrate()
            try:
                instance.start_all()
                yield instance
            finally:
                instance.stop_all()
    finally:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


def set_up_django(services: Services) -> None:
    """Configure Django in this process for the instance: for seeding and verifying, never for measuring."""
    os.environ.update(services.env() | {"DJANGO_SETTINGS_MODULE": "config.settings", "AFFIDAVIT_LOG_LEVEL": "ERROR"})
    import django  # its settings read the environment that was just made

    django.setup()


def make_tenant(slug: str) -> Credentials:
    """A tenant with a source, an ingest and a read key; its owner cannot log in. Needs `set_up_django`."""
    from tenants.access import Seat, actor_for
    from tenants.models import User
    from tenants.services import create_key, create_source, create_tenant

    owner = User.objects.create(email=f"owner@{slug}.example.org", name="Owner")
    tenant = create_tenant(slug=slug, name=f"Tenant {slug}", owner=owner)
    actor = actor_for(owner, Seat(tenant.pk, slug, tenant.name, ("owner",)))
    source = create_source(by=actor, name="load")
    ingest = create_key(by=actor, name="ingest", scopes=["ingest"], source=source)
    read = create_key(by=actor, name="read", scopes=["read"])
    from django.conf import settings

    origin = f"{settings.AFFIDAVIT_INSTANCE}/t/{slug}-1"
    return Credentials(str(tenant.pk), slug, origin, ingest.secret, read.secret)
