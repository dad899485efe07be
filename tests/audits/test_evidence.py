"""Files of evidence: kept as they came, never overwritten, their custody on record."""

import hashlib

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.http import Http404

from audits.evidence import Place, Upload, add_evidence, custody_of, files_of, get_file, read_evidence
from audits.filetypes import TEST_VIRUS
from audits.models import EvidenceContent, EvidenceFile
from audits.services import move_case
from audits.workflow import Action, NotAllowed
from tenants.context import tenant_atomic
from tenants.crypto import SealError
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.audits import Team, case_in_fieldwork, make_team, planned_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit

TABLE = b"month,refused\n3,41\n"


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 1)
    return make_team(cast)


@pytest.fixture
def file(team: Team) -> EvidenceFile:
    upload = Upload("../refusals.csv", TABLE, source="The lender's warehouse")
    return add_evidence(by=team.lead, case=planned_case(team), upload=upload)


def test_a_file_is_kept_as_it_came(team: Team, file: EvidenceFile) -> None:
    assert (file.name, file.media_type, file.bytes) == ("refusals.csv", "text/plain; charset=utf-8", len(TABLE))
    assert bytes(file.sha256) == hashlib.sha256(TABLE).digest()
    assert read_evidence(by=team.bystander, file=file, purpose="Second look.") == TABLE
    with tenant_atomic(file.tenant_id):
        assert TABLE not in bytes(EvidenceContent.objects.get(pk=file.pk).sealed)
        assert [(line.action, line.actor_label) for line in custody_of(file)] == [
            ("collected", team.lead.label),
            ("read", team.bystander.label),
        ]
        tags = LedgerEvent.objects.filter(tag__startswith="evidence.").order_by("id").values_list("tag", flat=True)
        assert list(tags) == ["evidence.added", "evidence.read"]


def test_a_better_file_supersedes_and_nothing_is_overwritten(team: Team, file: EvidenceFile) -> None:
    better = add_evidence(
        by=team.lead, case=file.case, upload=Upload("refusals.csv", TABLE + b"4,2\n"), place=Place(supersedes=file)
    )
    assert (better.reference, better.supersedes) == ("E-2", file)
    assert read_evidence(by=team.lead, file=file) == TABLE
    with pytest.raises(NotAllowed, match="superseded already"):
        add_evidence(by=team.lead, case=file.case, upload=Upload("x.txt", b"x"), place=Place(supersedes=file))
    with tenant_atomic(file.tenant_id), pytest.raises(IntegrityError), transaction.atomic():
        EvidenceFile.objects.filter(pk=better.pk).get().__class__.objects.create(
            case=file.case, number=3, name="x", media_type="x", bytes=1, sha256=b"x", revision=1, supersedes=file
        )


@pytest.mark.parametrize("statement", ["UPDATE audits_evidencefile SET name = 'x'", "DELETE FROM audits_evidencefile"])
def test_the_database_keeps_the_record_of_a_file(file: EvidenceFile, statement: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied"), tenant_atomic(file.tenant_id):
        connection.cursor().execute(statement)


def test_altered_bytes_do_not_open(team: Team, file: EvidenceFile) -> None:
    with tenant_atomic(file.tenant_id, using="owner"):
        row = EvidenceContent.objects.using("owner").get(pk=file.pk)
        flipped = bytearray(row.sealed)
        flipped[-1] ^= 1
        EvidenceContent.objects.using("owner").filter(pk=file.pk).update(sealed=bytes(flipped))
    with pytest.raises(SealError):
        read_evidence(by=team.lead, file=file)


def test_erased_bytes_leave_the_record(team: Team, file: EvidenceFile) -> None:
    with tenant_atomic(file.tenant_id, using="worker"):
        EvidenceContent.objects.using("worker").filter(pk=file.pk).delete()
    assert read_evidence(by=team.lead, file=file) is None
    with tenant_atomic(file.tenant_id):
        assert get_file(team.lead, file.case, file.number).name == "refusals.csv"


REFUSED = {
    "virus": ("x.txt", TEST_VIRUS, "virus"),
    "program": ("x.exe", b"MZ", "Programs"),
    "no name": ("..", b"x", "name"),
    "empty": ("x", b"", "empty"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_taken_leaves_nothing(team: Team, kind: str) -> None:
    name, data, why = REFUSED[kind]
    case = case_in_fieldwork(team)
    with pytest.raises(ValidationError, match=why):
        add_evidence(by=team.lead, case=case, upload=Upload(name, data))
    with tenant_atomic(case.tenant_id):
        assert not files_of(case).exists()


def test_who_adds(team: Team, file: EvidenceFile) -> None:
    upload = Upload("x.txt", b"x")
    for role in (Role.VIEWER, Role.OWNER, Role.POLICY_AUTHOR):
        with pytest.raises(PermissionDenied):
            add_evidence(by=team.cast.actors[role], case=file.case, upload=upload)
    assert add_evidence(by=team.reviewer, case=file.case, upload=upload).number == 2
    move_case(by=team.lead, case=file.case, action=Action.HOLD, reason="Wait.")
    with pytest.raises(NotAllowed, match="takes no files"):
        add_evidence(by=team.lead, case=file.case, upload=upload)


def test_a_stranger_finds_no_file(team: Team, file: EvidenceFile, stranger: Cast) -> None:
    with pytest.raises(Http404):
        read_evidence(by=stranger.auditor, file=file)
    with pytest.raises(NotAllowed, match="another case"):
        add_evidence(by=team.lead, case=planned_case(team), upload=Upload("x.txt", b"x"), place=Place(supersedes=file))
