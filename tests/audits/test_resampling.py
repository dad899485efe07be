"""W7: the sample of every method is drawn again from nothing but the bundle; what was tampered with is named."""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audits.bundle import export_bundle
from audits.models import Case
from audits.populations import SamplePlan
from audits.replacing import replace_item
from audits.sampling import Method
from audits.sampling.lots import Level
from audits.sampling.methods import Rule, Stratify
from audits.selectors import items_of
from tenants.context import tenant_atomic
from tenants.ledger.reader import trust_policy
from tests.audits.log import publish
from tests.factories.audits import EVERYTHING, Team, case_in_fieldwork, make_team
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit_each
from traces.costs.services import record_price

STRATIFIED = SamplePlan(Method.STRATIFIED, size=12, stratify_by=Stratify.OUTCOME, minimum=3)
PLANS = {
    "all": EVERYTHING,
    "exceptions": SamplePlan(Method.EXCEPTIONS, rules=(Rule.ADVERSE,)),
    "attribute": SamplePlan(Method.ATTRIBUTE, tolerable_bp=1_000),
    "discovery": SamplePlan(Method.DISCOVERY, tolerable_bp=1_000),
    "lot": SamplePlan(Method.LOT, level=Level.II, aql="2.5"),
    "stratified": STRATIFIED,
    "monetary": SamplePlan(Method.MONETARY, tolerable_micros=1_500_000),
    "random": SamplePlan(Method.RANDOM, size=7),
}


@pytest.fixture
def team(cast: Cast) -> Team:
    """Forty decisions: most refer, some refuse, one approves; each costs as much as its number, in thousandths."""
    rates = {"input": "1000"}
    record_price(by=cast.owner, document={"model": "gpt-5-mini", "currency": "USD", "rates": rates})
    outcomes = ["refer"] * 29 + ["refuse"] * 10 + ["approve"]
    decisions: list[dict[str, Any]] = [
        a_decision(
            occurred_at=None,
            outcome={"decision": outcome, "adverse": outcome == "refuse"},
            usage={"input_tokens": n if n < 38 else 40 * n, "output_tokens": 0},
        )
        for n, outcome in enumerate(outcomes, start=1)
    ]
    submit_each(cast, decisions)
    return make_team(cast)


def unpacked(team: Team, case: Case, folder: Path) -> Path:
    publish(team.cast)
    with export_bundle(by=team.lead, case=case) as file, zipfile.ZipFile(file) as bundle:
        bundle.extractall(folder)
    return folder


def resample(team: Team, folder: Path) -> tuple[int, dict[str, Any]]:
    """(exit code, what is said of the sample)."""
    with tenant_atomic(team.cast.tenant.pk):
        vkey = trust_policy().logs[0].vkey
    command = [sys.executable, "-I", str(folder / "affidavit_verify.py"), str(folder), "--vkey", vkey, "--resample"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, timeout=60)
    items = json.loads(done.stdout)["items"]
    return done.returncode, next(item for item in reversed(items) if item["item"] == "sample")


@pytest.mark.parametrize("name", PLANS)
def test_every_method_draws_the_same_items_again(team: Team, tmp_path: Path, name: str) -> None:
    case = case_in_fieldwork(team, PLANS[name])
    code, said = resample(team, unpacked(team, case, tmp_path))
    assert (code, said["status"]) == (0, "authentic"), said
    with tenant_atomic(case.tenant_id):
        n = items_of(case).count()
    assert f"the same {n} of 40 decisions are drawn" in said["detail"]
    assert name == "all" or n < 40


def test_replaced_items_are_followed(team: Team, tmp_path: Path) -> None:
    case = case_in_fieldwork(team, STRATIFIED)
    with tenant_atomic(case.tenant_id):
        last = items_of(case).get(ordinal=6)
        refused = list(items_of(case))[-1]
    stand_in = replace_item(by=team.lead, item=last, reason="The record is a test call.")
    replace_item(by=team.lead, item=stand_in, reason="So is this one.")
    replace_item(by=team.lead, item=refused, reason="Another test call.")
    code, said = resample(team, unpacked(team, case, tmp_path))
    assert (code, said["status"]) == (0, "authentic"), said
    assert "3 replaced, with reasons" in said["detail"]


def _edit_case(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        case = json.loads((folder / "case.json").read_text())
        change(case)
        _write(folder, "case.json", json.dumps(case))

    return edit


def _edit_frame(folder: Path) -> None:
    lines = (folder / "population/frame.csv").read_text().splitlines()
    index, stratum = lines[5].split(",")
    lines[5] = f"{index},{1 if stratum != '1' else 2}"
    _write(folder, "population/frame.csv", "\n".join(lines) + "\n")


def _write(folder: Path, name: str, text: str) -> None:
    """With the manifest put right, as somebody would who means it."""
    (folder / name).write_text(text)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text.encode())}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _swap(case: dict[str, Any]) -> None:
    case["items"][0]["leaf_index"], case["items"][1]["leaf_index"] = (
        case["items"][1]["leaf_index"],
        case["items"][0]["leaf_index"],
    )


def _reseed(case: dict[str, Any]) -> None:
    case["sample"]["seed"] = "00" * 32


def _drop(case: dict[str, Any]) -> None:
    case["items"].pop()


def _population(case: dict[str, Any]) -> None:
    case["population"]["sha256"] = "11" * 32


def _strata(case: dict[str, Any]) -> None:
    case["sample"]["strata"][0]["size"] = 9


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (_edit_case(_swap), "item 1 is not the decision that the seed draws"),
        (_edit_case(_reseed), "the log has another seed"),
        (_edit_case(_drop), "are items"),
        (_edit_case(_population), "the population is not the one that was frozen"),
        (_edit_case(_strata), "not drawn from in proportion"),
        (_edit_frame, "the frame is not the one that was drawn from"),
    ],
    ids=["swap", "seed", "drop", "population", "strata", "frame"],
)
def test_a_sample_that_was_tampered_with_is_found(
    team: Team, tmp_path: Path, edit: Callable[[Path], None], expected: str
) -> None:
    folder = unpacked(team, case_in_fieldwork(team, STRATIFIED), tmp_path)
    edit(folder)
    code, said = resample(team, folder)
    assert (code, said["status"]) == (1, "failed")
    assert expected in said["detail"]
