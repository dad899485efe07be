"""Freezing and sampling, through the services."""

import hashlib

import pytest

from audits.models import CaseItem, Population
from audits.populations import SamplePlan, draw_sample, freeze_population, indexes_of, seed_checkpoint
from audits.sampling import Method, SamplingError, seed_of, select
from audits.workflow import NotAllowed, State
from tenants.context import tenant_atomic
from tests.audits.log import publish
from tests.factories.audits import EVERYTHING, Team, case_in_fieldwork, fresh, make_team, planned_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit

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


@pytest.mark.parametrize("plan", [SamplePlan(Method.ALL), SamplePlan(Method.RANDOM), SamplePlan(Method.ATTRIBUTE)])
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
