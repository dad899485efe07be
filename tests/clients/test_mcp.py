"""The protocol's own Python package reads what was recorded, in a venv of its own."""

import re
import subprocess
from pathlib import Path

import pytest

from config.supervisor import ROOT
from tests.clients.conftest import ADDRESS, KEY, PATIENCE
from tests.factories.tenants import Cast, make_cast
from tests.factories.traces import submit
from tests.site import RunningSite
from traces.search.indexing import index_words

(SOURCE,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "assistants.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def cast(site: RunningSite) -> Cast:
    return make_cast()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_page_s_lines_find_and_read_a_decision(python: Path, site: RunningSite, cast: Cast, mode: str) -> None:
    submit(cast, output="Please send a proof of income first.")
    submit(cast, output="Income of proof.")
    index_words(cast.tenant.pk)
    source = SOURCE.replace(ADDRESS, site.base_url).replace(KEY, cast.keys["read"].secret)
    source = source.replace("http_client=http))", f'http_client=http), mode="{mode}")')
    assert f'"{mode}"' in source
    ran = subprocess.run([python, "-c", source], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert ran.stdout.count("Please send a proof of income first.") == 1
    assert "Income of proof." not in ran.stdout
