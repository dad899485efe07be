"""The product's own processes over the run's database: what tests from outside talk to.

Rows that a test makes through the factories are what the site serves, and the other way round.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

from config.certificates import report_key_files
from config.processes import free_port, spawn, stop, wait_until
from config.servers import ROLES, Services, default_home
from config.supervisor import ROOT, Child, Supervisor, answers
from config.topology import Site

READY_SECONDS = 90.0


class TestedSite(Site):
    """A site whose collected static files outlive the run: compressing them takes longer than a journey."""

    @property
    def static_root(self) -> Path:
        return default_home(os.environ) / "test-static"


@dataclass
class RunningSite:
    """Started processes by name, and what they said."""

    site: Site
    log: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return self.site.base_url

    @property
    def signer_state(self) -> Path:
        return self.site.services.home / "signer"

    def start(self, child: Child) -> None:
        with self.log.open("ab") as output:
            self.processes[child.name] = spawn(child.command, env=child.env, cwd=ROOT, output=output)

    def wait_ready(self) -> None:
        if not wait_until(lambda: answers(f"{self.base_url}/readyz"), READY_SECONDS, interval=0.1):
            raise RuntimeError(f"The site is not ready:\n{self.tail()}")

    def tail(self, characters: int = 4000) -> str:
        """The end of what all processes wrote."""
        return self.log.read_text(errors="replace")[-characters:]

    def stop_all(self) -> None:
        for name in reversed(list(self.processes)):
            stop(self.processes.pop(name), grace=5.0)


@contextmanager
def running_site(
    folder: Path, names: Sequence[str] = ("signer", "sequencer", "beat", "worker", "web"), *, needs_pages: bool = True
) -> Iterator[RunningSite]:
    """The site with these processes until the block ends; what it keeps lies in `folder`.

    `needs_pages`: collect the static files first, without which no page can be rendered.
    """
    services = _services(folder)
    environ = {
        "PATH": "/usr/bin:/bin",
        "AFFIDAVIT_LOG_LEVEL": "WARNING",
        "AFFIDAVIT_WEBHOOK_NETWORKS": "127.0.0.0/8,::1/128",  # where a test's receiver is
    }
    site = TestedSite(services, environ, port=free_port())
    running = RunningSite(site, folder / "site.log")
    running.log.touch()
    site.static_root.mkdir(parents=True, exist_ok=True)
    try:
        if needs_pages:
            _collect(site, running.log)
        for child in site.children():
            if child.name in names:
                running.start(child)
        if "web" in names:
            running.wait_ready()
        yield running
    finally:
        running.stop_all()


def _services(folder: Path) -> Services:
    """The run's servers, with its database and the keys of this process."""
    keys = {}
    for name in ("MASTER", "RECEIPT", "CHECKPOINT"):
        keys[name] = folder / f"{name.lower()}.key"
        keys[name].write_text(getattr(settings, f"AFFIDAVIT_{name}_KEY"))
    keys["REPORT"] = folder / "report.key"
    report_key_files(keys["REPORT"], folder / "report.crt")
    keys["SECRET"] = folder / "secret.key"
    keys["SECRET"].write_text(settings.SECRET_KEY)
    urls = {role: _url(role) for role in ROLES}
    return Services(folder, _url("owner"), settings.REDIS_URL, urls, keys)


def _url(alias: str) -> str:
    parts = settings.DATABASES[alias]
    login = f"{quote(parts['USER'], safe='')}:{quote(parts['PASSWORD'], safe='')}"
    return f"postgresql://{login}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}"


def _collect(site: Site, log: Path) -> None:
    """As the site's own start does, in its own words."""
    with log.open("a") as out, Supervisor(out) as supervisor:
        site.prepare(supervisor)
