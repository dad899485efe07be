"""Applications as their authors run them: in a process of their own, with the packages of a venv of their own.

`docs/clients.md` is what they run: a client's settings and lines are read from the page, the address and the key put
in. Only the provider's address differs from a deployment: it is a server on this machine.
"""

import json
import os
import re
import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.supervisor import ROOT
from tenants.context import tenant_atomic
from tests.clients.provider import running_provider
from tests.factories.tenants import Cast, make_cast
from tests.site import RunningSite, running_site
from traces.contents import members_of
from traces.conversation import Part, Turn, turns
from traces.otlp.selectors import content_of_span
from traces.rows import span_number

PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
PROGRAMS = Path(__file__).parent / "programs"
ADDRESS, KEY = "http://127.0.0.1:8000", "aff_…"
COMMON = "OpenTelemetry"
PATIENCE = 60.0  # seconds; an agent library takes five to import


@pytest.fixture(scope="session")
def site(database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    with running_site(tmp_path_factory.mktemp("site"), ["signer", "sequencer", "web"], needs_pages=False) as running:
        yield running


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    with running_provider() as address:
        yield address


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter that has the clients' packages."""
    path = Path(os.environ.get("AFFIDAVIT_CLIENTS", ROOT / ".venv-clients")) / "bin" / "python"
    if not path.exists():
        pytest.fail("The clients' packages are not installed: run `make clients`.")
    return path


def section(title: str) -> str:
    """What the page says under a heading, up to the next."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", _outside_code(PAGE), re.MULTILINE | re.DOTALL)
    assert found, f"docs/clients.md has no section {title!r}"
    return found[1].replace("\0", "#")


def _outside_code(text: str) -> str:
    """With the comments of code out of the way: a heading is a line that begins with `#`."""
    return re.sub(r"```.*?```", lambda block: block[0].replace("#", "\0"), text, flags=re.DOTALL)


def code(title: str, language: str) -> str:
    """The blocks of one language under a heading."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", section(title), re.DOTALL))


def exports(title: str) -> dict[str, str]:
    """The variables that a section's shell lines set."""
    words = [shlex.split(line) for line in code(title, "sh").splitlines()]
    return dict(word.split("=", 1) for export, word in words if export == "export")


@dataclass(frozen=True)
class Spoken:
    """A recorded decision: `shown` as the API gives it, and its conversation as a page shows it."""

    shown: dict[str, Any]
    asked: list[Turn]
    answered: list[Turn]

    @property
    def question(self) -> str:
        """The last words of the user."""
        said = [part.text for turn in self.asked if turn.role == "user" for part in turn.parts if part.kind == "text"]
        return said[-1] if said else ""

    @property
    def answer(self) -> list[Part]:
        return [part for turn in self.answered for part in turn.parts]

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """Name and arguments of the tools that were called for."""
        return [(part.name, json.loads(part.text)) for part in self.answer if part.kind == "tool_call"]

    @property
    def results(self) -> list[Any]:
        """What tools answered before."""
        parts = [part for turn in self.asked for part in turn.parts if part.kind == "tool_result"]
        return [json.loads(part.text) for part in parts]

    @property
    def telemetry(self) -> dict[str, Any]:
        """What is kept beside content and numbers."""
        kept: dict[str, Any] = self.shown["record"]["metadata"]["otel"]
        return kept


@dataclass(frozen=True)
class Told:
    """What a program says of itself: trace and span id around each of its calls, and those of all spans that ended."""

    around: dict[str, tuple[str, str]]
    ended: set[tuple[str, str]]


@dataclass(frozen=True)
class Application:
    """Runs a client against the site, and reads back what the site recorded."""

    python: Path
    site: RunningSite
    provider: str
    cast: Cast

    def run(self, title: str, program: str = "") -> "Told":
        """Run a section's lines, then a program after them."""
        source = code(title, "python") + ("\n" + (PROGRAMS / program).read_text() if program else "")
        settings = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROGRAMS),
            "HOME": str(self.site.site.services.home),
            "OPENAI_API_KEY": "sk-none",
            "OPENAI_BASE_URL": f"{self.provider}/v1",
            "ANTHROPIC_API_KEY": "sk-none",
            "ANTHROPIC_BASE_URL": self.provider,
        }
        settings |= {name: self._ours(value) for name, value in (exports(COMMON) | exports(title)).items()}
        ran = subprocess.run(
            [self.python, "-c", self._ours(source)],
            env=settings,
            cwd=self.site.site.services.home,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-4000:]
        assert "Failed to export" not in ran.stderr, ran.stderr[-4000:]
        told = re.findall(r"^(\w+) ([0-9a-f]{32}) ([0-9a-f]{16})$", ran.stdout, re.MULTILINE)
        return Told(
            {name: (trace, span) for name, trace, span in told if name != "ended"},
            {(trace, span) for name, trace, span in told if name == "ended"},
        )

    def _ours(self, text: str) -> str:
        return text.replace(ADDRESS, self.site.base_url).replace(KEY, self.cast.keys["ingest"].secret)

    def recorded(self, **query: str) -> list[Spoken]:
        """The decisions of a filter, oldest first, read through the public API."""
        headers = {"Authorization": f"Bearer {self.cast.keys['read'].secret}"}
        with httpx.Client(base_url=self.site.base_url, headers=headers) as client:
            listed = client.get("/api/v1/decisions", params={"limit": "100"} | query).raise_for_status().json()["items"]
            whole = [client.get(f"/api/v1/decisions/{item['id']}").raise_for_status().json() for item in listed]
        return [_spoken(one) for one in sorted(whole, key=lambda one: str(one["occurred_at"]))]

    def beside(self, decision: Spoken) -> list[Spoken]:
        """What log records said of its span, which only a page shows."""
        trace, span = uuid.UUID(decision.shown["trace_id"]), span_number(decision.shown["span_id"])
        assert span is not None
        with tenant_atomic(self.cast.tenant.pk):
            found = [members_of(content) for _, content in content_of_span(trace, span) if content]
        return [_spoken({"record": members}) for members in found]


def _spoken(shown: dict[str, Any]) -> Spoken:
    record = shown["record"]
    return Spoken(shown, turns(record.get("input"), "user"), turns(record.get("output"), "assistant"))


@pytest.fixture(scope="module")
def start(python: Path, site: RunningSite, provider: str) -> Callable[[], Application]:
    """An application of a new tenant."""
    return lambda: Application(python, site, provider, make_cast())


@pytest.fixture
def application(start: Callable[[], Application]) -> Application:
    return start()
