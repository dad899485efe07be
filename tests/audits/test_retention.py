"""E6: floors that nobody lowers, purges whose receipts say what went, and proofs that go on holding."""

import hashlib
import json
from unittest import mock

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits import retention
from audits.holds import HoldText, place_hold, release_hold
from audits.models import Purge, RetentionRule
from audits.retention import previews, purge, set_retention
from tenants.context import tenant_atomic
from tenants.ledger.merkle import verify_consistency
from tenants.ledger.reader import Prover, leaf_of
from tenants.models import LedgerEvent, SubjectKey
from tenants.roles import Role
from tests.audits.log import publish
from tests.audits.past import days_ago, make_past_months, submit_old
from tests.factories.audits import case_in_fieldwork, make_team
from tests.factories.erasures import as_worker
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.invariants.worlds import superuser
from traces.contents import erased_reasons, read_contents
from traces.costs.rollups import roll_up
from traces.models import Decision, SubjectRollup
from traces.verification import verify

LOAN = "loan-assistant"


@pytest.fixture(scope="module", autouse=True)
def past(database: None) -> None:
    make_past_months()


def kept_for(cast: Cast, days: int = 396, system: str = "", of: str = "ai_act_logs") -> RetentionRule:
    return set_retention(by=cast.owner, system=system, retention_class=of, keep_days=days)


def purged(cast: Cast, **options: int) -> list[Purge]:
    with as_worker():
        return purge(cast.tenant.pk, **options)  # type: ignore[arg-type]


def readable(cast: Cast) -> set[object]:
    with tenant_atomic(cast.tenant.pk):
        return set(read_contents(list(Decision.objects.values_list("pk", flat=True))))


def test_the_floor_is_not_lowered(cast: Cast) -> None:
    """E6: five months are refused, whatever the class; a class sets a floor of its own."""
    for days, of in ((150, "ai_act_logs"), (183, "ai_act_logs"), (396, "credit_us"), (400, "no-such-class")):
        with pytest.raises(ValidationError):
            kept_for(cast, days, of=of)
    rule = kept_for(cast)
    for change in ({"keep_days": 183}, {"floor_days": 30, "keep_days": 60}):
        with pytest.raises(IntegrityError, match="retention_not_below_floor"), tenant_atomic(cast.tenant.pk):
            RetentionRule.objects.filter(pk=rule.pk).update(**change)


def test_only_an_owner_sets_it_and_it_is_a_leaf(cast: Cast) -> None:
    for role in (Role.ADMIN, Role.AUDITOR, Role.VIEWER):
        with pytest.raises(PermissionDenied):
            set_retention(by=cast.actors[role], system="", retention_class="ai_act_logs", keep_days=400)
    kept_for(cast, 400)
    kept_for(cast, 500)
    with tenant_atomic(cast.tenant.pk):
        bodies = [json.loads(bytes(event.body)) for event in LedgerEvent.objects.filter(tag="retention.set")]
    assert [(body["before"], body["keep_days"]) for body in bodies] == [(None, 400), (400, 500)]


def test_what_is_over_its_time_goes_and_the_receipt_matches(cast: Cast) -> None:
    """E6: counts and digest of the leaf are those of what went; younger records are untouched."""
    old, young = submit_old(cast, 400, 5), submit(cast, 2)
    kept_for(cast)
    (run,) = purged(cast, batch=2)
    assert readable(cast) == set(young)
    with tenant_atomic(cast.tenant.pk):
        (event,) = LedgerEvent.objects.filter(tag="content.purged")
        leaves = dict(Decision.objects.filter(pk__in=old).values_list("pk", "leaf_hash"))
        assert set(erased_reasons(old).values()) == {"P-1: kept for 396 days, then purged"}
        assert set(Decision.objects.filter(pk__in=old).values_list("user", "session")) == {("", "")}
    receipt = json.loads(bytes(event.body))
    lines = "".join(f"{pk} {bytes(leaves[pk]).hex()}\n" for pk in sorted(old))
    assert (receipt["records"], receipt["removed"]["contents"]) == (5, 5)
    assert (
        receipt["records_sha256"]
        == hashlib.sha256(lines.encode()).hexdigest()
        == bytes(run.records_sha256 or b"").hex()
    )
    assert purged(cast) == []


def test_the_log_still_proves(cast: Cast) -> None:
    """E6: a purged record verifies as erased, and a head from before is consistent with one from after."""
    (pk, *_) = submit_old(cast, 400, 3)
    before = publish(cast)
    kept_for(cast)
    purged(cast)
    after = publish(cast)
    with tenant_atomic(cast.tenant.pk):
        assert all(step.ok for step in verify(Decision.objects.get(pk=pk), None))
        assert leaf_of(pk) is not None
        proof = Prover(after, []).consistency(before.size)
    verify_consistency(before.size, after.size, bytes(before.root), bytes(after.root), proof)


def test_a_system_has_a_rule_of_its_own(cast: Cast) -> None:
    loans, chats = submit_old(cast, 400), submit_old(cast, 400, system="chat")
    kept_for(cast, 762, LOAN, of="credit_us")
    kept_for(cast)
    (run,) = purged(cast)
    assert (run.system, readable(cast)) == ("", set(loans))
    assert not set(chats) & readable(cast)


def test_without_a_rule_nothing_goes(cast: Cast) -> None:
    submit_old(cast, 800, 2)
    assert purged(cast) == []
    assert len(readable(cast)) == 2


def test_holds_and_open_cases_keep_what_is_over_its_time(cast: Cast) -> None:
    """E2, E6: held contents are counted, and go with the first run after the release."""
    (held, *_) = submit_old(cast, 400, 3)
    hold = place_hold(by=cast.auditor, text=HoldText("record", str(held), "A claim."))
    kept_for(cast)
    (run,) = purged(cast)
    assert (run.held, readable(cast)) == (1, {held})
    assert purged(cast) == []
    release_hold(by=cast.owner, hold=hold, reason="Settled.")
    assert [again.removed["contents"] for again in purged(cast)] == [1]


def test_items_of_an_open_case_wait(cast: Cast) -> None:
    submit_old(cast, 400, 2)
    case_in_fieldwork(make_team(cast), system=LOAN)
    kept_for(cast)
    assert purged(cast) == []
    assert len(readable(cast)) == 2


def test_a_run_that_was_killed_is_followed_by_one_that_goes_on(cast: Cast) -> None:
    submit_old(cast, 400, 5)
    kept_for(cast)
    with mock.patch.object(retention, "_completed", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        purged(cast, batch=2)
    (run,) = purged(cast)
    assert (run.number, run.removed["contents"]) == (1, 5)


def test_sums_by_person_go_with_their_days(cast: Cast) -> None:
    submit_old(cast, 400, occurred_at=days_ago(400).isoformat())
    submit(cast, occurred_at=None)
    roll_up(cast.tenant.pk)
    kept_for(cast)
    purged(cast)
    with tenant_atomic(cast.tenant.pk):
        assert not SubjectRollup.objects.filter(bucket__lt=days_ago(300)).exists()
        assert SubjectRollup.objects.exists()


def test_keys_that_seal_nothing_any_more_are_destroyed(cast: Cast) -> None:
    submit_old(cast, 400, subject="gone")
    (young,) = submit(cast, subject="here")
    with superuser() as connection:  # made when their first records came
        connection.execute(
            "UPDATE tenants_subjectkey SET created_at = now() - interval '400 days' WHERE tenant_id = %s",
            [cast.tenant.pk],
        )
    kept_for(cast)
    (run,) = purged(cast)
    with tenant_atomic(cast.tenant.pk):
        assert SubjectKey.objects.count() == 1
        assert read_contents([young])
    assert run.removed["keys"] == 1


def test_the_database_keeps_the_floor_whatever_the_clock_says(cast: Cast) -> None:
    """E6: a worker that believes in another year purges nothing young."""
    submit(cast, 1)
    kept_for(cast)
    with pytest.raises(IntegrityError, match="younger than 184 days"):
        purged(cast, now=days_ago(-800))  # type: ignore[arg-type]
    assert len(readable(cast)) == 1


def test_the_page_says_what_would_go_and_touches_nothing(cast: Cast) -> None:
    (held, *_) = submit_old(cast, 400, 3)
    place_hold(by=cast.auditor, text=HoldText("record", str(held), "A claim."))
    url = reverse("retention", args=[cast.tenant.slug])
    owner, auditor = Client(), Client()
    owner.force_login(cast.people[Role.OWNER], backend="django.contrib.auth.backends.ModelBackend")
    auditor.force_login(cast.people[Role.AUDITOR], backend="django.contrib.auth.backends.ModelBackend")
    given = {"system": "", "retention_class": "ai_act_logs", "keep_days": "150"}
    assert owner.post(url, given).status_code == 422
    assert owner.post(url, given | {"keep_days": "396"}).status_code == 302
    assert "1 held" in auditor.get(url).content.decode()
    with tenant_atomic(cast.tenant.pk):
        (preview,) = previews(cast.auditor, days_ago(0))
    assert (preview.count, preview.held, len(readable(cast))) == (3, 1, 3)
    purged(cast)
    assert "P-1" in auditor.get(url).content.decode()


def test_the_page_costs_by_its_rules_not_by_what_is_stored(cast: Cast) -> None:
    submit_old(cast, 400)
    kept_for(cast)
    client, counts = Client(), []
    client.force_login(cast.people[Role.AUDITOR], backend="django.contrib.auth.backends.ModelBackend")
    url = reverse("retention", args=[cast.tenant.slug])
    client.get(url)
    for n in (1, 20):
        submit_old(cast, 400, n)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]
