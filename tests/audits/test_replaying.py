"""E3: a restored backup brings a person back; the certificates that were kept outside it take them away again."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from psycopg import sql
from psycopg.types.json import Jsonb

from audits.models import Erasure
from audits.replaying import NotGenuine, replay_certificate
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent, SubjectKey
from tests.factories.erasures import as_worker, erased
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.invariants.worlds import superuser
from traces.contents import read_contents
from traces.models import Decision

SUBJECT = "customer-5521"
# What a restore brings back of content and keys; the request itself is younger than the backup, so it is lost.
BACKED_UP = ("tenants_subjectkey", "traces_decisionpayload", "traces_searchtoken")


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.AFFIDAVIT_ERASURE_DIR = str(tmp_path)
    return tmp_path


def backed_up(cast: Cast) -> dict[str, list[dict[str, Any]]]:
    """The rows of the tenant as a backup holds them."""
    with superuser() as connection:
        found = {}
        for table in BACKED_UP:
            query = sql.SQL("SELECT to_jsonb(t) FROM {} t WHERE tenant_id = %s").format(sql.Identifier(table))
            found[table] = [row[0] for row in connection.execute(query, [cast.tenant.pk])]
        return found


def restore(cast: Cast, backup: dict[str, list[dict[str, Any]]]) -> None:
    """Put them back as a restore does, with nothing of the request that came since."""
    with superuser() as connection, connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("DELETE FROM audits_erasure WHERE tenant_id = %s", [cast.tenant.pk])
        for table in BACKED_UP:
            name = sql.Identifier(table)
            for row in backup[table]:
                insert = sql.SQL("INSERT INTO {0} SELECT * FROM jsonb_populate_record(NULL::{0}, %s)").format(name)
                connection.execute(insert, [Jsonb(row)])


def replayed() -> str:
    told = StringIO()
    with as_worker():
        call_command("replay_erasures", stdout=told, stderr=told)
    return told.getvalue()


def test_what_a_backup_brought_back_is_erased_again(cast: Cast, folder: Path) -> None:
    """E3: readable after the restore, gone after the replay, keys included; both people are on record again."""
    ids = submit(cast, 3)
    backup = backed_up(cast)
    first = erased(cast, SUBJECT)
    restore(cast, backup)
    with tenant_atomic(cast.tenant.pk):
        assert len(read_contents(ids)) == 3
    assert "completed as ER-1" in replayed()
    with tenant_atomic(cast.tenant.pk):
        assert not read_contents(ids)
        assert not SubjectKey.objects.filter(subject_hmac=first.subject_hmac).exists()
        again = Erasure.objects.get()
        assert LedgerEvent.objects.filter(tag="erasure.replayed").count() == 1
    assert (again.pk, again.requested_by, again.decided_by) == (first.pk, first.requested_by, first.decided_by)
    assert again.removed["contents"] == 3
    assert "nothing of it is here" in replayed()


def test_a_name_that_stands_in_the_users_column_alone_is_found_by_its_hash(cast: Cast) -> None:
    (pk,) = submit(cast, subject="customer-2", user="u-9")
    row = erased(cast, "u-9")
    submit(cast, subject="customer-2", user="u-9")
    data = bytes(json.dumps({"certificate": json.loads(bytes(row.certificate)), "note": row.certificate_note}), "utf-8")
    with as_worker():
        again = replay_certificate(data)
    assert again is not None
    assert (again.number, again.state, again.removed["contents"]) == (2, "completed", 1)
    with tenant_atomic(cast.tenant.pk):
        assert set(Decision.objects.values_list("user", flat=True)) == {""}
        assert not read_contents([pk])


def test_only_genuine_certificates_are_taken(cast: Cast, folder: Path) -> None:
    submit(cast)
    erased(cast, SUBJECT)
    (path,) = folder.rglob("*.json")
    assert (path.stat().st_mode & 0o777, SUBJECT in path.read_text()) == (0o600, False)
    document = json.loads(path.read_text())
    for altered in (
        b"{}",
        b"not JSON",
        json.dumps(document | {"note": "x"}).encode(),
        json.dumps({**document, "certificate": document["certificate"] | {"reason": "Another."}}).encode(),
    ):
        with pytest.raises(NotGenuine):
            replay_certificate(altered)
    path.write_text("{}")
    with pytest.raises(CommandError, match="1 certificates"):
        replayed()
