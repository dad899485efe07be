"""What the report of a real case shows, and what it costs to read."""

import hashlib
import json
import re
from base64 import b64encode
from io import BytesIO

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pypdf import PdfReader

from audits.gather import report_data
from audits.models import Case, Conclusion
from audits.populations import SamplePlan, freeze_population
from audits.reports.data import ReportData
from audits.reports.pdf import render
from audits.sampling import Method
from audits.selectors import items_of
from audits.services import FindingText, review_item, write_finding
from audits.workflow import NotAllowed
from tenants.context import tenant_atomic
from tenants.ledger.merkle import leaf_hash
from tenants.ledger.proofs import TlogProof, trust, verify_proof
from tests.audits.log import publish
from tests.factories.audits import Team, case_in_fieldwork, case_in_review, fresh, make_team, planned_case, signed_case
from tests.factories.erasures import erase_decision
from tests.factories.policies import a_document, put_in_force
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.invariants.worlds import superuser


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 3)
    return make_team(cast)


def gathered(case: Case) -> ReportData:
    with tenant_atomic(case.tenant_id):
        return report_data(fresh(case))


def test_a_signed_case_shows_who_signed_what(team: Team) -> None:
    data = gathered(signed_case(team))
    assert (data.head.organisation, data.head.is_signed, data.head.state) == (team.cast.tenant.name, True, "Signed")
    assert [line.name for line in data.signatures] == [str(team.people["lead"]), str(team.people["reviewer"])]
    assert data.head.as_of == data.signatures[-1].signed_at
    assert {line.payload_sha256 for line in data.signatures} == {hashlib.sha256(data.content).digest()}
    assert [item.ordinal for item in data.items] == [1, 2, 3]
    assert data.counts[Conclusion.PASS] == 3


def test_the_proofs_lead_from_each_item_to_the_checkpoint(team: Team) -> None:
    data = gathered(signed_case(team))
    assert data.ledger is not None
    policy = trust(data.ledger.vkeys)
    for item, attached in zip(data.items, data.proofs, strict=True):
        proof = TlogProof.parse(attached.content.decode())
        assert leaf_hash(proof.extra or b"") == item.leaf_hash
        assert verify_proof(proof, item.leaf_hash, policy).root == data.ledger.root
        assert str(item.decision_id) in attached.name
    assert data.unproven == 0


def test_the_whole_report_is_built_from_it(team: Team) -> None:
    data = gathered(signed_case(team, SamplePlan(Method.RANDOM, size=2)))
    reader = PdfReader(BytesIO(render(data)))
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    assert data.sample is not None
    assert data.sample.seed is not None
    for expected in (data.sample.seed.hex(), data.content_sha256.hex(), "loan-assistant · production", "gpt-5-mini"):
        assert expected in text
    assert json.loads(reader.attachments["evidence.json"][0])["number"] == 1
    assert "2 of 3 decisions" in text


def test_no_content_of_a_decision_is_in_the_report(team: Team) -> None:
    data = gathered(signed_case(team))
    everything = repr(data) + " ".join(page.extract_text() for page in PdfReader(BytesIO(render(data))).pages)
    for said in ("May I borrow", "proof of income", "customer-5521", "No payslip"):
        assert said not in everything


def test_reading_costs_the_same_at_two_sizes(team: Team) -> None:
    counts = []
    for n in (1, 40):
        submit(team.cast, n)
        case = case_in_review(team)
        with tenant_atomic(case.tenant_id), CaptureQueriesContext(connection) as captured:
            assert len(report_data(case).items) >= n
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 29


def test_the_worker_may_read_all_of_it(team: Team) -> None:
    """The build runs as the worker, whose privileges are others than those of the pages."""
    case = signed_case(team)
    with tenant_atomic(case.tenant_id), CaptureQueriesContext(connection) as captured:
        report_data(fresh(case))
    tables = {name for query in captured for name in re.findall(r'(?:FROM|JOIN) "(\w+)"', query["sql"])}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute("SELECT has_table_privilege('affidavit_worker', %s, 'SELECT')", [table])
            assert cursor.fetchone() == (True,), table
    assert "audits_caseitem" in tables


def test_findings_and_notes_come_as_written(team: Team) -> None:
    case = case_in_fieldwork(team)
    with tenant_atomic(case.tenant_id):
        item = items_of(case)[1]
    review_item(by=team.lead, item=item, conclusion=Conclusion.FAIL, note="No <b>reason</b>.")
    write_finding(by=team.lead, case=case, item=item, text=FindingText("A reason.", "None & nothing.", effect="Harm."))
    data = gathered(case)
    assert data.items[1].note == "No <b>reason</b>."
    assert data.items[1].preparer == str(team.people["lead"])
    (finding,) = data.findings
    assert (finding.reference, finding.item, finding.condition, finding.effect) == (
        "F-1",
        2,
        "None & nothing.",
        "Harm.",
    )


def test_a_sample_is_evaluated(team: Team) -> None:
    submit(team.cast, 70)
    data = gathered(case_in_review(team, SamplePlan(Method.ATTRIBUTE, tolerable_bp=500)))
    assert data.limit is not None
    assert (data.limit.n, data.limit.deviations, data.limit.is_acceptable) == (59, 0, True)
    assert round(data.limit.upper, 3) == 0.05


def test_the_policies_that_judged_the_items_are_named(cast: Cast) -> None:
    version = put_in_force(cast, a_document())
    submit(cast, 2, occurred_at=None)
    (used,) = gathered(case_in_fieldwork(make_team(cast))).policy_sets
    (line,) = used.members
    assert (used.items, line.slug, line.version, line.mode) == (2, "short-answers", f"v{version.number}", "enforce")
    assert line.sha256 == bytes(version.sha256).hex()


def test_erased_content_is_noticed(team: Team) -> None:
    case = case_in_fieldwork(team)
    with tenant_atomic(case.tenant_id):
        gone = items_of(case)[2].decision_id
    erase_decision(team.cast, gone)
    assert gathered(case).erased == (3,)


def test_a_second_freeze_shows_the_first(team: Team) -> None:
    case = planned_case(team)
    publish(team.cast)
    freeze_population(by=team.lead, case=case)
    assert gathered(case).earlier_freezes == ()
    submit(team.cast, 2)
    publish(team.cast)
    freeze_population(by=team.lead, case=case, reason="Late records came in.")
    data = gathered(case)
    assert data.population is not None
    assert [freeze.count for freeze in data.earlier_freezes] == [3]
    assert (data.population.count, data.population.reason) == (5, "Late records came in.")
    assert b64encode(data.population.checkpoint_root) != b64encode(data.earlier_freezes[0].checkpoint_root)


def test_a_signed_case_that_says_something_else_is_not_printed(team: Team) -> None:
    case = signed_case(team)
    with superuser() as administrator:
        administrator.execute("SET session_replication_role = replica")  # past the trigger
        changed = administrator.execute(
            "UPDATE audits_caseitem SET note = 'slipped in' WHERE case_id = %s AND ordinal = 2", [case.pk]
        )
        assert changed.rowcount == 1
    with pytest.raises(NotAllowed, match="no longer says what was signed"):
        gathered(case)


def test_a_draft_is_dated_by_what_last_happened(team: Team) -> None:
    case = case_in_fieldwork(team)
    before = gathered(case)
    assert before == gathered(case)
    with tenant_atomic(case.tenant_id):
        item = items_of(case)[0]
    review_item(by=team.lead, item=item, conclusion=Conclusion.PASS)
    assert gathered(case).head.as_of > before.head.as_of
