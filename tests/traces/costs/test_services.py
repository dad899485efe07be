"""Prices and restatements as rows: what counts from when, and that no number is ever overwritten."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import ProgrammingError, connections

from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from traces.costs import services
from traces.costs.rollups import rebuild, roll_up
from traces.costs.seeding import seed_list_prices
from traces.costs.services import record_price, restate_costs, run_restatement
from traces.models import Decision, ListPrice, ModelPrice, RestatedCost, UsageRollup

IN_HOUSE = {"provider": "acme", "name": "in-house-7b"}
USED = {"input_tokens": 1_000, "output_tokens": 100}
LONG_AGO, AHEAD = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def price(**changes: Any) -> dict[str, Any]:
    return {
        "provider": "acme", "model": "in-house-7b", "currency": "EUR", "rates": {"input": "2", "output": "10"},
    } | changes  # fmt: skip


def the_decision(cast: Cast, pk: Any) -> Decision:
    with tenant_atomic(cast.tenant.pk):
        return Decision.objects.get(pk=pk)


def test_a_record_carries_its_cost_and_the_hash_of_its_price(cast: Cast) -> None:
    row = record_price(by=cast.owner, document=price())
    (pk,) = submit(cast, 1, model=IN_HOUSE, usage=USED)
    decision = the_decision(cast, pk)
    assert (decision.cost_micros, decision.currency) == (3_000, "EUR")
    assert bytes(decision.price_sha256 or b"") == bytes(row.sha256)
    (listed,) = submit(cast, 1, model={"provider": "openai", "name": "gpt-4o"}, usage=USED)
    found = ListPrice.objects.filter(sha256=the_decision(cast, listed).price_sha256)
    assert {one.model for one in found} == {"gpt-4o"}


def test_an_unknown_model_is_unpriced_not_free(cast: Cast) -> None:
    (pk,) = submit(cast, 1, model=IN_HOUSE, usage=USED)
    decision = the_decision(cast, pk)
    assert {decision.cost_micros, decision.currency, decision.price_sha256} == {None}


def test_a_price_counts_for_its_validity(cast: Cast) -> None:
    record_price(by=cast.owner, document=price(valid_from="2026-11-10T00:00:00Z", valid_to="2026-11-15T00:00:00Z"))
    days = {day: f"2026-11-{day}T00:00:00Z" for day in ("09", "10", "14", "15")}
    made = {day: submit(cast, 1, model=IN_HOUSE, usage=USED, occurred_at=at)[0] for day, at in days.items()}
    costs = {day: the_decision(cast, pk).cost_micros for day, pk in made.items()}
    assert costs == {"09": None, "10": 3_000, "14": 3_000, "15": None}


def test_of_two_the_one_recorded_last_counts_and_both_stay(cast: Cast) -> None:
    record_price(by=cast.owner, document=price())
    record_price(by=cast.owner, document=price(rates={"input": "1", "output": "1"}))
    (pk,) = submit(cast, 1, model=IN_HOUSE, usage=USED)
    assert the_decision(cast, pk).cost_micros == 1_100
    with tenant_atomic(cast.tenant.pk):
        assert list(ModelPrice.objects.order_by("edition").values_list("edition", flat=True)) == [1, 2]
        assert LedgerEvent.objects.filter(tag="price.recorded").count() == 2


def test_a_price_is_its_tenants_alone(cast: Cast, stranger: Cast) -> None:
    record_price(by=cast.owner, document=price())
    (pk,) = submit(stranger, 1, model=IN_HOUSE, usage=USED)
    assert the_decision(stranger, pk).cost_micros is None


@pytest.mark.parametrize(
    ("wrong", "member"),
    [({"currency": "euro"}, "currency"), ({"model": ""}, "model"), ({"rates": {"input": 2}}, "rates"),
     ({"secret": "x"}, "secret"), ({"names": {"regex": "(a+)+$"}}, "names")],
)  # fmt: skip
def test_what_is_no_price_is_refused_by_its_member(cast: Cast, wrong: dict[str, Any], member: str) -> None:
    with pytest.raises(ValidationError) as caught:
        record_price(by=cast.owner, document=price(**wrong))
    assert list(caught.value.message_dict) == [member]


def test_only_who_manages_prices_records_one(cast: Cast) -> None:
    with pytest.raises(PermissionDenied):
        record_price(by=cast.actors[Role.AUDITOR], document=price())


def test_the_same_list_is_not_kept_twice_and_nobody_changes_it() -> None:
    before = ListPrice.objects.count()
    assert seed_list_prices() == 0
    assert ListPrice.objects.count() == before > 2_000
    with pytest.raises(ProgrammingError), connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE traces_listprice SET model = 'x'")


def restated(cast: Cast, **changes: Any) -> int:
    given: dict[str, Any] = {"since": LONG_AGO, "until": AHEAD, "reason": "A contract came late."} | changes
    asked = restate_costs(by=cast.owner, **given)
    return run_restatement(cast.tenant.pk, asked.pk, chunk=2)


def totals(cast: Cast) -> dict[str, tuple[int, int, int, int]]:
    with tenant_atomic(cast.tenant.pk):
        rows = UsageRollup.objects.filter(grain=3)
        return {r.currency: (r.n, r.n_unpriced, r.cost_micros, r.restated_micros) for r in rows}


def test_a_restatement_keeps_the_old_number_and_adds_the_new(cast: Cast) -> None:
    made = submit(cast, 5, model=IN_HOUSE, usage=USED)
    roll_up(cast.tenant.pk)
    assert totals(cast) == {"": (5, 5, 0, 0)}
    record_price(by=cast.owner, document=price())
    assert restated(cast) == 5
    assert restated(cast) == 0, "nothing is another number now"
    roll_up(cast.tenant.pk)
    assert totals(cast) == {"": (5, 0, 0, 0), "EUR": (0, 0, 0, 15_000)}
    record_price(by=cast.owner, document=price(currency="USD", rates={"input": "1", "output": "1"}))
    assert restated(cast) == 5
    roll_up(cast.tenant.pk)
    after = {"": (5, 0, 0, 0), "EUR": (0, 0, 0, 0), "USD": (0, 0, 0, 5_500)}
    assert totals(cast) == after
    rebuild(cast.tenant.pk)
    assert totals(cast) == after
    assert the_decision(cast, made[0]).cost_micros is None, "what was recorded stays"


def test_a_restatement_that_crashed_goes_on(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(cast, 5, model=IN_HOUSE, usage=USED)
    record_price(by=cast.owner, document=price())
    asked = restate_costs(by=cast.owner, since=LONG_AGO, until=AHEAD, reason="Late.")
    steps, through = iter([True, False]), services._restate

    def dies(*args: Any) -> int:
        if not next(steps):
            raise KeyboardInterrupt
        return through(*args)

    monkeypatch.setattr(services, "_restate", dies)
    with pytest.raises(KeyboardInterrupt):
        run_restatement(cast.tenant.pk, asked.pk, chunk=2)
    monkeypatch.undo()
    assert run_restatement(cast.tenant.pk, asked.pk, chunk=2) == 3
    with tenant_atomic(cast.tenant.pk):
        assert RestatedCost.objects.count() == 5


def test_a_restatement_says_why_and_when(cast: Cast) -> None:
    for wrong in ({"reason": " "}, {"until": LONG_AGO - timedelta(days=1)}):
        with pytest.raises(ValidationError):
            restated(cast, **wrong)
