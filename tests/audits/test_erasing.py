"""E1–E5: erasure removes a subject everywhere, two people want it, and what stays still verifies."""

import hashlib
import json
import re
import uuid
from unittest import mock

import pytest
from django.db import DatabaseError, IntegrityError, connections

from audits import erasing
from audits.erasing import kept_of, run_erasure
from audits.erasure_files import certificate_file
from audits.evidence import Place, Upload, add_evidence, open_evidence
from audits.lifecycles import ERASURE_STEPS, ErasureState
from audits.models import Erasure, EvidenceContent, Report, ReportDocument
from audits.publishing import build_report
from audits.selectors import items_of
from tenants.context import tenant_atomic
from tenants.ledger.commitments import commit, parse_leaf
from tenants.ledger.notes import open_note
from tenants.ledger.reader import leaf_of
from tenants.ledger.receipts import receipt_signer
from tenants.models import LedgerEvent, SubjectKey
from tests.audits.log import publish
from tests.factories.audits import case_in_fieldwork, make_team
from tests.factories.erasures import approved, as_worker, erased, fresh, requested
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.invariants.worlds import superuser
from traces.contents import read_contents
from traces.erasing import Under, destroy_keys, erase_contents
from traces.models import Decision, DecisionPayload, ErasedContent
from traces.verification import verify

SUBJECT = "customer-5521"


def test_a_subjects_contents_go_and_anothers_stay(cast: Cast) -> None:
    """E1: the contents are gone, their reason is there; another subject's are untouched."""
    mine, (other,) = submit(cast, 5), submit(cast, subject="customer-2")
    row = erased(cast, SUBJECT, batch=2)
    with tenant_atomic(cast.tenant.pk):
        assert set(read_contents([*mine, other])) == {other}
        assert dict(ErasedContent.objects.values_list("pk", "under_id")) == dict.fromkeys(mine, row.pk)
        assert set(Decision.objects.filter(pk__in=mine).values_list("session", "external_id")) == {("", "")}
        assert Decision.objects.get(pk=other).session == "s-77"
    assert (row.state, row.removed["contents"], row.removed["records"]) == ("completed", 5, 5)


def test_the_record_still_verifies_as_erased(cast: Cast) -> None:
    """E1: leaf, inclusion and signature hold; the content is said to be erased."""
    (pk,) = submit(cast)
    publish(cast)
    erased(cast, SUBJECT)
    with tenant_atomic(cast.tenant.pk):
        steps = verify(Decision.objects.get(pk=pk), read_contents([pk]).get(pk))
    assert [step.ok for step in steps] == [True] * 4
    assert "erased" in steps[0].detail


def test_where_the_subject_is_the_user_of_anothers_record(cast: Cast) -> None:
    """E1: what names them as its user goes too, though it is sealed under another's key."""
    (pk,) = submit(cast, subject="customer-2", user="u-9")
    (other,) = submit(cast, subject="customer-2", user="u-8")
    erased(cast, "u-9")
    with tenant_atomic(cast.tenant.pk):
        assert list(DecisionPayload.objects.values_list("pk", flat=True)) == [other]
        assert (Decision.objects.get(pk=pk).user, Decision.objects.get(pk=other).user) == ("", "u-8")


def test_a_session_is_a_subject_where_nobody_is_named(cast: Cast) -> None:
    (pk,) = submit(cast, subject=None, user=None, session="anon-1")
    erased(cast, "session:anon-1")
    with tenant_atomic(cast.tenant.pk):
        assert not read_contents([pk])
        assert Decision.objects.get(pk=pk).session == ""


def test_a_worker_killed_anywhere_is_followed_by_one_that_goes_on(cast: Cast) -> None:
    """E1, D8: after each step that fails, nothing is lost, nothing is counted twice."""
    submit(cast, 6)
    row = approved(cast, SUBJECT)
    for failing in ("contents_of_subject", "forget_name", "destroy_keys", "_complete"):
        killed = mock.patch.object(erasing, failing, side_effect=KeyboardInterrupt)
        with as_worker(), killed, pytest.raises(KeyboardInterrupt):
            run_erasure(cast.tenant.pk, row.pk, batch=2)
    with as_worker():
        run_erasure(cast.tenant.pk, row.pk)
        run_erasure(cast.tenant.pk, row.pk)  # done: nothing happens
    done = fresh(row)
    assert (done.state, done.removed["contents"]) == ("completed", 6)
    with tenant_atomic(cast.tenant.pk):
        assert LedgerEvent.objects.filter(tag="erasure.completed").count() == 1


def test_the_key_is_destroyed_and_forgotten_by_running_processes(cast: Cast) -> None:
    """E3: this process has the old key in memory; what comes after is sealed under a new one, and readable."""
    submit(cast, 2)
    with tenant_atomic(cast.tenant.pk):
        before = set(SubjectKey.objects.values_list("pk", flat=True))
    erased(cast, SUBJECT)
    (again,) = submit(cast)
    with tenant_atomic(cast.tenant.pk):
        keys = set(SubjectKey.objects.values_list("pk", flat=True))
        assert not before & keys
        assert DecisionPayload.objects.get(pk=again).subject_key_id in keys
        assert read_contents([again])


def test_a_record_that_comes_while_the_key_goes_is_erased_too_or_kept_whole(cast: Cast) -> None:
    """The foreign key is the last word: a key with content is not destroyed, content without a key is not stored."""
    submit(cast)
    row = approved(cast, SUBJECT)
    real = destroy_keys
    late: list[uuid.UUID] = []

    def destroy(subject: str, under: uuid.UUID) -> int:
        if not late:
            late.extend(submit(cast))
        return real(subject, under)

    with as_worker(), mock.patch.object(erasing, "destroy_keys", destroy):
        run_erasure(cast.tenant.pk, row.pk)
    assert fresh(row).removed["contents"] == 2
    with tenant_atomic(cast.tenant.pk):
        assert not read_contents(late)


def test_a_stale_key_in_memory_is_refused_by_the_database_and_replaced(cast: Cast) -> None:
    submit(cast)
    erased(cast, SUBJECT)
    with superuser() as connection:  # as if this process had not heard of it
        connection.execute("UPDATE tenants_tenant SET erasure_epoch = 0 WHERE id = %s", [cast.tenant.pk])
    submit(cast, 1)
    erased(cast, SUBJECT)
    with superuser() as connection:
        connection.execute("UPDATE tenants_tenant SET erasure_epoch = 1 WHERE id = %s", [cast.tenant.pk])
    (pk,) = submit(cast)
    with tenant_atomic(cast.tenant.pk):
        assert read_contents([pk])


def test_evidence_and_drafts_about_the_records_go(cast: Cast) -> None:
    """E1: a file about the subject's record, and the draft report of its case."""
    submit(cast, 1)
    submit(cast, 1, subject="customer-2", task="other")
    team = make_team(cast)
    case = case_in_fieldwork(team, task="pre-screening")
    with tenant_atomic(cast.tenant.pk):
        (item,) = items_of(case)
    file = add_evidence(by=team.lead, case=case, upload=Upload("letter.txt", b"Dear Mr Smith"), place=Place(item=item))
    kept = add_evidence(by=team.lead, case=case, upload=Upload("method.txt", b"How we looked"))
    build_report(case=case, requested_by=team.lead)
    row = erased(cast, SUBJECT)
    with tenant_atomic(cast.tenant.pk):
        assert open_evidence([file, kept]) == {kept.pk: b"How we looked"}
        assert (EvidenceContent.objects.count(), Report.objects.count(), ReportDocument.objects.count()) == (1, 1, 0)
    assert (row.removed["evidence"], row.removed["drafts"]) == (1, 1)


def test_the_certificate_says_what_went_by_count_and_hash(cast: Cast) -> None:
    ids = submit(cast, 3)
    row = erased(cast, SUBJECT)
    document = json.loads(certificate_file(row) or b"")
    told, note = document["certificate"], document["note"]
    with tenant_atomic(cast.tenant.pk):
        leaves = {str(pk): bytes(leaf).hex() for pk, leaf in Decision.objects.values_list("pk", "leaf_hash")}
        event = LedgerEvent.objects.get(tag="erasure.completed")
        assert [kept.count for kept in kept_of(row)] == [3]
    lines = "".join(f"{pk} {leaves[pk]}\n" for pk in sorted(map(str, ids)))
    assert told["records"]["sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    assert told["records"]["listed"] == [[pk, leaves[pk]] for pk in sorted(leaves)]
    digest = hashlib.sha256(bytes(row.certificate)).hexdigest()
    assert f"sha256:{digest}" in open_note(note, [receipt_signer().verifier]).text
    assert json.loads(bytes(event.body))["certificate_sha256"] == digest
    assert SUBJECT not in json.dumps(document) + bytes(event.body).decode()


def test_what_a_case_is_about_stays_and_is_told(cast: Cast) -> None:
    """A case on the person's own decisions: its scope, and the event that opened it, are evidence."""
    submit(cast)
    case = case_in_fieldwork(make_team(cast), user="u-1032")
    row = erased(cast, "u-1032")
    told = {kept["what"]: kept["count"] for kept in json.loads(bytes(row.certificate))["kept"]}
    assert told["scopes of cases that name the person"] == 1
    with tenant_atomic(cast.tenant.pk):
        opened = LedgerEvent.objects.get(tag="case.opened")
        assert b"u-1032" in bytes(opened.body)
        assert bytes(opened.salt)
        assert items_of(case).count() == 1


def test_nobody_guesses_what_was_erased(cast: Cast) -> None:
    """E5: with the leaf's digests alone, no candidate matches, not even the right one: the salt is gone."""
    (pk,) = submit(cast)
    publish(cast)
    with tenant_atomic(cast.tenant.pk):
        right = read_contents([pk])[pk]
    erased(cast, SUBJECT)
    with tenant_atomic(cast.tenant.pk):
        leaf = leaf_of(pk)
        assert leaf is not None
        digests = set(parse_leaf(bytes(leaf.leaf)).commitments.values())
    salts = [bytes(32), *(n.to_bytes(32, "big") for n in range(1_000_000))]
    assert not digests & {commit("input", salt, right.canonical["input"]) for salt in salts}
    assert commit("input", right.salts["input"], right.canonical["input"]) in digests


class TestTheDatabase:
    def test_two_people(self, cast: Cast) -> None:
        submit(cast)
        row = requested(cast, SUBJECT)
        with pytest.raises(IntegrityError, match="erasure_decided_by_another"), tenant_atomic(cast.tenant.pk):
            Erasure.objects.filter(pk=row.pk).update(state="approved", decided_by=row.requested_by)
        with pytest.raises(IntegrityError, match="erasure_decided"), tenant_atomic(cast.tenant.pk):
            Erasure.objects.filter(pk=row.pk).update(state="approved")

    def test_the_same_steps(self) -> None:
        with superuser() as connection:
            found = connection.execute(
                "SELECT pg_get_triggerdef(oid) FROM pg_trigger"
                " WHERE tgname = 'refuse_jump' AND tgrelid = 'audits_erasure'::regclass"
            ).fetchone()
        pairs = set(re.findall(r"\w+>\w+", found[0] if found else ""))
        assert pairs == {f"{source}>{to}" for source, steps in ERASURE_STEPS.items() for to in steps}

    def test_without_an_approved_erasure_nothing_goes(self, cast: Cast) -> None:
        (pk,) = submit(cast)
        row = requested(cast, SUBJECT)
        attempts = {
            "content": "DELETE FROM traces_decisionpayload",
            "key": "DELETE FROM tenants_subjectkey",
            "name": "UPDATE traces_decision SET \"user\" = ''",
            "event": "UPDATE tenants_ledgerevent SET body = '', salt = ''",
        }
        for statement in attempts.values():
            with pytest.raises(DatabaseError), tenant_atomic(cast.tenant.pk, using="worker"):
                connections["worker"].cursor().execute(statement)
        with as_worker(), pytest.raises(IntegrityError), tenant_atomic(cast.tenant.pk):
            erase_contents([pk], Under(row.pk, "x"), SUBJECT)

    def test_a_running_erasure_changes_names_only_to_nothing(self, cast: Cast) -> None:
        submit(cast)
        row = approved(cast, SUBJECT)
        with tenant_atomic(cast.tenant.pk):
            Erasure.objects.filter(pk=row.pk).update(state=ErasureState.RUNNING)
        for change in ("\"user\" = 'u-2'", "verdict = ''", "session = 'x'"):
            with pytest.raises(DatabaseError), tenant_atomic(cast.tenant.pk, using="worker"):
                connections["worker"].cursor().execute(f"UPDATE traces_decision SET {change}")

    def test_the_web_role_destroys_nothing(self, cast: Cast) -> None:
        submit(cast)
        for statement in ("DELETE FROM tenants_subjectkey", "UPDATE tenants_subjectkey SET wrapped = ''"):
            with pytest.raises(DatabaseError), tenant_atomic(cast.tenant.pk):
                connections["default"].cursor().execute(statement)
