"""Freezing and sampling, through the services."""

import hashlib

import pytest

from audits.models import CaseItem, Population, Sample
from audits.populations import SamplePlan, draw_sample, freeze_population, indexes_of, seed_checkpoint
from audits.sampling import Method, SamplingError, seed_of, select
from audits.sampling.evaluation import evaluate_strata
from audits.sampling.methods import Rule, Stratify
from audits.sampling.strata import Part
from audits.selectors import evaluation_of, items_of, progress_of, sample_of
from audits.services import review_item
from audits.workflow import NotAllowed, State
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tests.audits.log import publish
from tests.factories.audits import EVERYTHING, Team, case_in_fieldwork, fresh, make_team, planned_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from traces.costs.services import record_price

FIVE = SamplePlan(Method.RANDOM, size=5)


@pytest.fixture
def team(cast: Cast) -> Team:
    return make_team(cast)


def test_a_population_is_what_the_checkpoint_covers(cast: Cast, team: Team) -> None:
    submit(cast, 5)
    covered = submit(cast, 4, system="other")
    checkpoint = publish(cast)
    submit(cast, 3, system="other")
    case = planned_case(team, system="other")
    population = freeze_population(by=team.lead, case=case)
    assert (population.count, population.checkpoint_size) == (4, checkpoint.size)
    assert bytes(population.sha256) == hashlib.sha256(bytes(population.leaf_indexes)).digest()
    draw_sample(by=team.lead, case=case, plan=EVERYTHING)
    with tenant_atomic(cast.tenant.pk):
        assert set(CaseItem.objects.filter(case=case).values_list("decision_id", flat=True)) == set(covered)


def test_the_seed_is_not_known_at_the_freeze(cast: Cast, team: Team) -> None:
    submit(cast, 20)
    publish(cast)
    case = planned_case(team)
    population = freeze_population(by=team.lead, case=case)
    with pytest.raises(NotAllowed, match="first checkpoint after the freeze"):
        draw_sample(by=team.lead, case=case, plan=FIVE)
    seeding = publish(cast)
    submit(cast, 1)
    publish(cast)  # a later one does not change the seed
    sample = draw_sample(by=team.lead, case=case, plan=FIVE)
    assert sample.seed_checkpoint_size == seeding.size
    assert bytes(sample.seed or b"") == seed_of(bytes(seeding.root), case.pk)
    with tenant_atomic(cast.tenant.pk):
        drawn = list(CaseItem.objects.filter(case=case).order_by("ordinal").values_list("leaf_index", flat=True))
        assert seed_checkpoint(population) == seeding
    assert drawn == select(bytes(sample.seed or b""), indexes_of(population), 5)


def test_a_second_freeze_needs_a_reason_and_stays_visible(cast: Cast, team: Team) -> None:
    submit(cast, 2)
    publish(cast)
    case = planned_case(team)
    freeze_population(by=team.lead, case=case)
    with pytest.raises(NotAllowed, match="needs a reason"):
        freeze_population(by=team.lead, case=case)
    freeze_population(by=team.lead, case=case, reason="Late records came in.")
    with tenant_atomic(cast.tenant.pk):
        assert list(Population.objects.filter(case=case).order_by("id").values_list("reason", flat=True)) == [
            "",
            "Late records came in.",
        ]


def test_nothing_is_drawn_twice(cast: Cast, team: Team) -> None:
    submit(cast, 3)
    case = case_in_fieldwork(team)
    with pytest.raises(NotAllowed):
        draw_sample(by=team.lead, case=case, plan=FIVE)


def test_an_attribute_sample_has_the_computed_size(cast: Cast, team: Team) -> None:
    submit(cast, 70)
    plan = SamplePlan(Method.ATTRIBUTE, tolerable_bp=500)
    case = case_in_fieldwork(team, plan)
    with tenant_atomic(cast.tenant.pk):
        assert CaseItem.objects.filter(case=case).count() == 59


@pytest.mark.parametrize("plan", [SamplePlan(method) for method in Method], ids=list(Method))
def test_a_plan_that_says_too_little_is_refused(cast: Cast, team: Team, plan: SamplePlan) -> None:
    submit(cast, 1)
    with pytest.raises(SamplingError):
        case_in_fieldwork(team, plan)


def test_an_empty_population_is_refused(cast: Cast, team: Team) -> None:
    publish(cast)
    case = planned_case(team, system="nothing-like-it")
    with pytest.raises(NotAllowed, match="No decision in scope"):
        freeze_population(by=team.lead, case=case)
    assert fresh(case).state == State.PLANNED


def test_a_stratified_sample_is_evaluated_by_its_strata(cast: Cast, team: Team) -> None:
    submit(cast, 30)
    submit(cast, 10, outcome={"decision": "refuse"})
    plan = SamplePlan(Method.STRATIFIED, size=8, stratify_by=Stratify.OUTCOME, tolerable_bp=2_000)
    case = case_in_fieldwork(team, plan)
    with tenant_atomic(cast.tenant.pk):
        sample = sample_of(case)
        items = list(items_of(case))
    assert sample is not None
    assert [(part.name, part.population, part.size) for part in sample.parts] == [("refer", 30, 6), ("refuse", 10, 2)]
    assert [item.stratum for item in items] == [1] * 6 + [2] * 2
    for item in items:
        failed = item.ordinal == 8
        review_item(by=team.lead, item=item, conclusion="fail" if failed else "pass", note="x" if failed else "")
    with tenant_atomic(cast.tenant.pk):
        found = evaluation_of(case, sample, progress_of(case))
    assert found == evaluate_strata([Part(30, 6, 0), Part(10, 2, 1)], 0.2)


def test_a_monetary_sample_is_evaluated_in_money(cast: Cast, team: Team) -> None:
    record_price(by=cast.owner, document={"model": "gpt-5-mini", "currency": "USD", "rates": {"input": "1000"}})
    for tokens in [*range(10, 20), 5_000]:
        submit(cast, 1, occurred_at=None, usage={"input_tokens": tokens, "output_tokens": 0})
    case = case_in_fieldwork(team, SamplePlan(Method.MONETARY, tolerable_micros=300_000))
    with tenant_atomic(cast.tenant.pk):
        sample, items = sample_of(case), list(items_of(case))
    assert sample is not None
    assert sample.value_micros == 1_000 * (sum(range(10, 20)) + 5_000)
    assert [part.name for part in sample.parts] == ["the interval or more", "less than the interval", "without a cost"]
    assert [(item.stratum, item.amount_micros) for item in items][-1] == (1, 5_000_000)
    for item in items:
        review_item(by=team.lead, item=item, conclusion="fail" if item.stratum == 1 else "pass", note="Too dear.")
    with tenant_atomic(cast.tenant.pk):
        found = evaluation_of(case, sample, progress_of(case))
    assert found is not None
    assert f"upper misstatement limit {5 + 2.995732 * (sample.interval_micros or 0) / 1e6:,.2f} USD" in found.words
    assert not found.is_acceptable


@pytest.mark.parametrize("method", [Method.MONETARY, Method.EXCEPTIONS])
def test_where_there_is_nothing_to_draw_that_is_said(cast: Cast, team: Team, method: Method) -> None:
    submit(cast, 3, model=None)
    plan = SamplePlan(method, rules=(Rule.ADVERSE,), tolerable_micros=1_000)
    with pytest.raises(SamplingError, match=r"has a cost|nothing to draw"):
        case_in_fieldwork(team, plan)


def test_the_frame_is_fixed_by_its_hash_in_the_log(cast: Cast, team: Team) -> None:
    submit(cast, 4)
    case = case_in_fieldwork(team, SamplePlan(Method.STRATIFIED, size=2, stratify_by=Stratify.MODEL))
    with tenant_atomic(cast.tenant.pk):
        sample = Sample.objects.get(population__case=case)
        event = LedgerEvent.objects.get(tag="case.sample_drawn")
    assert bytes(sample.frame or b"").startswith(b"leaf_index,stratum\n")
    digest = hashlib.sha256(bytes(sample.frame or b"")).digest()
    assert bytes(sample.frame_sha256 or b"") == digest
    assert digest.hex().encode() in bytes(event.body)
