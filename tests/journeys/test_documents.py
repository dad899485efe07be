"""Every command that a guide or the README shows is run as it stands, against a site as it is deployed."""

import os
import re
import shlex
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from config.supervisor import ROOT
from tests.factories.tenants import Cast
from tests.journeys.conftest import settle
from tests.site import RunningSite

GUIDES = sorted(ROOT.glob("docs/guides/*.md"))
ADDRESS = "http://127.0.0.1:8000"


def commands(page: Path) -> list[str]:
    """The commands of a page's shell blocks, each whole, over as many lines as it takes."""
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    found: list[str] = []
    for line in (line for block in blocks for line in block.splitlines()):
        if found and _is_open(found[-1]):
            found[-1] += f"\n{line}"
        elif line.strip():
            found.append(line)
    return found


def _is_open(command: str) -> bool:
    return command.endswith("\\") or command.count("'") % 2 == 1


def shell(command: str, site: RunningSite, cast: Cast, **more: str) -> str:
    """What it prints, with this site's address and the keys that the guides speak of."""
    keys = {"AFFIDAVIT_KEY": cast.keys["ingest"].secret, "AFFIDAVIT_READ_KEY": cast.keys["read"].secret}
    done = subprocess.run(
        ["bash", "-c", command.replace(ADDRESS, site.base_url)],
        env={"PATH": os.environ["PATH"]} | keys | more,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def manage(command: str, cast: Cast) -> str:
    """What a `manage.py` command prints, for this cast instead of the example organisation."""
    words = shlex.split(command.partition("manage.py ")[2])
    ours = {"acme": cast.tenant.slug, "owner@acme.example": cast.people["owner"].email}
    if words[0] == "create_tenant":
        ours["acme"] = f"{cast.tenant.slug}-b"
    said = StringIO()
    call_command(words[0], *(ours.get(word, word) for word in words[1:]), stdout=said)
    return said.getvalue()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: str(guide.stem))
def test_every_command_of_a_guide_runs(guide: Path, site: RunningSite, cast: Cast) -> None:
    ran = 0
    for command in commands(guide):
        if command.startswith("curl "):
            settle(cast)  # a guide may ask for the head of a log, which a new organisation has in seconds
            assert "://" in command
            shell(command, site, cast)
        elif "manage.py" in command:
            assert manage(command, cast)
        else:
            assert command == "export AFFIDAVIT_KEY=aff_…", f"Nothing here runs this: {command}"
            continue
        ran += 1
    assert ran, "A guide without a command to try."


def test_the_readme_leads_to_a_receipt_and_its_proof(site: RunningSite, cast: Cast) -> None:
    record, proof = [command for command in commands(ROOT / "README.md") if command.startswith("curl ")]
    answer = shell(record, site, cast)
    (pk,) = re.findall(r'"id":\s*"([0-9a-f-]+)"', answer)
    assert "affidavit/receipt/v1" in answer
    assert shell(proof, site, cast, ID=pk).startswith("c2sp.org/tlog-proof@v1\n")
