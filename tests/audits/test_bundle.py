"""The bundle: verified by the verifier that lies in it, and the sample drawn again from it by hand."""

import hashlib
import json
import subprocess
import sys
import uuid
import zipfile
from base64 import b64decode
from pathlib import Path
from typing import IO

import pytest

from audits.bundle import export_bundle
from audits.evidence import Place, Upload, add_evidence, read_evidence
from audits.models import Case, EvidenceContent
from audits.populations import SamplePlan
from audits.publishing import build_report
from audits.sampling import Method
from audits.workflow import NotAllowed
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.ledger.reader import trust_policy
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.audits.log import publish
from tests.factories.audits import Team, case_in_fieldwork, make_team, planned_case, signed_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit

FIVE = SamplePlan(Method.RANDOM, size=5)


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 12)
    return make_team(cast)


def unpacked(by: Actor, case: Case, folder: Path) -> Path:
    with export_bundle(by=by, case=case) as file, zipfile.ZipFile(file) as bundle:
        bundle.extractall(folder)
    return folder


def verify(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(folder / "affidavit_verify.py"), str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def vkey(cast: Cast) -> str:
    with tenant_atomic(cast.tenant.pk):
        return trust_policy().logs[0].vkey


def test_a_finished_case_verifies_offline_with_a_trusted_key(team: Team, tmp_path: Path) -> None:
    case = signed_case(team)
    report = build_report(case=case, requested_by=team.lead)
    publish(team.cast)
    folder = unpacked(team.lead, case, tmp_path)
    verdict = verify(folder, "--vkey", vkey(team.cast))
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert verify(folder).returncode == 3  # the same, with no key to trust
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["missing"] == []
    assert hashlib.sha256((folder / "report.pdf").read_bytes()).digest() == bytes(report.sha256)
    signatures = json.loads((folder / "signatures.json").read_text())
    content = hashlib.sha256((folder / "case.json").read_bytes()).hexdigest()
    assert {signature["payload_sha256"] for signature in signatures} == {content}
    for signature in signatures:
        event = json.loads((folder / "records" / f"{signature['event']}.json").read_text())["groups"]["event"]
        assert (event["payload_sha256"], event["name"]) == (content, signature["name"])


@pytest.mark.parametrize("pattern", ["case.json", "records/*.json", "proofs/*", "population/leaf-indexes.txt"])
def test_one_changed_byte_is_found(team: Team, tmp_path: Path, pattern: str) -> None:
    case = case_in_fieldwork(team)
    publish(team.cast)
    folder = unpacked(team.lead, case, tmp_path)
    path = sorted(folder.glob(pattern))[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    verdict = verify(folder, "--vkey", vkey(team.cast))
    assert verdict.returncode == 1
    assert path.name in verdict.stdout


def test_the_sample_is_drawn_again_from_the_bundle(team: Team, tmp_path: Path) -> None:
    case = case_in_fieldwork(team, FIVE)
    folder = unpacked(team.lead, case, tmp_path)
    told = json.loads((folder / "case.json").read_text())
    root = b64decode((folder / "population/seed-checkpoint.txt").read_text().split("\n")[2])
    indexes = [int(line) for line in (folder / "population/leaf-indexes.txt").read_text().split()]
    packed = b"".join(index.to_bytes(8, "big") for index in indexes)
    assert hashlib.sha256(packed).hexdigest() == told["population"]["sha256"]
    seed = hashlib.sha256(root + uuid.UUID(told["id"]).bytes).digest()
    assert seed.hex() == told["sample"]["seed"]
    again = sorted(indexes, key=lambda index: hashlib.sha256(seed + index.to_bytes(8, "big")).digest())[:5]
    assert again == [item["leaf_index"] for item in told["items"]]


def test_a_reader_who_may_not_see_content_gets_proofs_without_it(team: Team, tmp_path: Path) -> None:
    case = case_in_fieldwork(team)
    folder = unpacked(team.cast.actors[Role.VIEWER], case, tmp_path)
    missing = {entry["id"]: entry["reason"] for entry in json.loads((folder / "manifest.json").read_text())["missing"]}
    case_document = json.loads((folder / "case.json").read_text())
    for item in case_document["items"]:
        assert "not disclosed" in missing[item["decision"]]
        assert json.loads((folder / "records" / f"{item['decision']}.json").read_text())["groups"] == {}
    assert verify(folder, "--vkey", vkey(team.cast)).returncode == 0


def test_the_reading_and_the_export_are_recorded(team: Team) -> None:
    case = case_in_fieldwork(team)
    export_bundle(by=team.lead, case=case).close()
    with tenant_atomic(case.tenant_id):
        tags = list(LedgerEvent.objects.filter(actor=team.lead.reference).order_by("id").values_list("tag", flat=True))
    assert tags[-2:] == ["payload.read", "bundle.exported"]


def test_there_is_no_bundle_before_there_are_items(team: Team) -> None:
    case = planned_case(team)
    publish(team.cast)
    with pytest.raises(NotAllowed, match="before the sample"):
        export_bundle(by=team.lead, case=case)


def _names(file: IO[bytes]) -> set[str]:
    with zipfile.ZipFile(file) as bundle:
        return set(bundle.namelist())


def test_everything_under_review_has_a_record_and_a_proof(team: Team) -> None:
    case = case_in_fieldwork(team)
    publish(team.cast)
    with export_bundle(by=team.lead, case=case) as file:
        names = _names(file)
    with tenant_atomic(case.tenant_id):
        wanted = {str(pk) for pk in case.items.values_list("decision_id", flat=True)}
        wanted |= {str(pk) for pk in case.events.exclude(action="bundle").values_list("pk", flat=True)}
    assert {f"records/{pk}.json" for pk in wanted} | {f"proofs/{pk}.tlog-proof" for pk in wanted} <= names
    assert {"manifest.json", "trust-policy.txt", "checkpoint.txt", "README.txt", "affidavit_verify.py"} <= names


def test_evidence_travels_with_its_custody_and_what_is_erased_is_listed(team: Team, tmp_path: Path) -> None:
    case = case_in_fieldwork(team)
    kept = add_evidence(by=team.lead, case=case, upload=Upload("log <März>.csv", b"a,b\n"))
    gone = add_evidence(by=team.lead, case=case, upload=Upload("gone.txt", b"x"), place=Place(supersedes=kept))
    read_evidence(by=team.bystander, file=kept)
    with tenant_atomic(case.tenant_id, using="worker"):
        EvidenceContent.objects.using("worker").filter(pk=gone.pk).delete()
    publish(team.cast)
    folder = unpacked(team.lead, case, tmp_path)
    assert verify(folder, "--vkey", vkey(team.cast)).returncode == 0
    first, second = json.loads((folder / "evidence.json").read_text())
    assert hashlib.sha256((folder / first["path"]).read_bytes()).hexdigest() == first["sha256"]
    assert first["path"] == "evidence/0001-log_M_rz.csv"
    assert [line["action"] for line in first["custody"]] == ["collected", "read"]
    assert second["supersedes"] == 1
    missing = json.loads((folder / "manifest.json").read_text())["missing"]
    assert {"id": second["path"], "reason": "content erased"} in missing
    (folder / first["path"]).write_bytes(b"changed")
    assert verify(folder, "--vkey", vkey(team.cast)).returncode == 1
