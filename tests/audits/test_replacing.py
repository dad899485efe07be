"""Replacing an item: the next in rank, with a reason, both in sight."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from audits import sampling
from audits.models import Case, CaseItem, Conclusion, Sample
from audits.populations import SamplePlan, indexes_of
from audits.replacing import replace_item
from audits.sampling import Method
from audits.selectors import evaluation_of, items_of, progress_of, sample_of
from audits.services import review_item
from audits.workflow import NotAllowed
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tests.factories.audits import EVERYTHING, Team, case_in_fieldwork, make_team
from tests.factories.tenants import Cast
from tests.factories.traces import submit

THREE = SamplePlan(Method.RANDOM, size=3)


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 5)
    return make_team(cast)


def item(case: Case, ordinal: int) -> CaseItem:
    with tenant_atomic(case.tenant_id):
        return items_of(case).get(ordinal=ordinal)


def test_the_next_in_rank_stands_in_and_both_stay_visible(team: Team) -> None:
    case = case_in_fieldwork(team, THREE)
    stand_in = replace_item(by=team.lead, item=item(case, 2), reason=" A test call. ")
    gone = item(case, 2)
    assert (gone.conclusion, gone.note, gone.replaced_by) == (Conclusion.NOT_APPLICABLE, "A test call.", 4)
    assert (stand_in.ordinal, stand_in.replaces, stand_in.selected_by, stand_in.conclusion) == (4, 2, "replaced", "")
    with tenant_atomic(case.tenant_id):
        sample = Sample.objects.get(population__case=case)
        ranked = sampling.select(bytes(sample.seed or b""), indexes_of(sample.population), 4)
        event = LedgerEvent.objects.get(tag="case_item.replaced")
    assert stand_in.leaf_index == ranked[3]
    assert b'"reason":"A test call."' in bytes(event.body)


def test_what_gave_way_counts_neither_for_nor_against(team: Team) -> None:
    case = case_in_fieldwork(team, THREE)
    review_item(by=team.lead, item=item(case, 1), conclusion=Conclusion.FAIL, note="Wrong.")
    replace_item(by=team.lead, item=item(case, 1), reason="Not in scope after all.")
    for ordinal in (2, 3, 4):
        review_item(by=team.lead, item=item(case, ordinal), conclusion=Conclusion.PASS)
    with tenant_atomic(case.tenant_id):
        found = evaluation_of(case, sample_of(case), progress_of(case))
    assert found is not None
    assert (found.n, found.deviations) == (3, 0)


def test_a_reason_is_needed(team: Team) -> None:
    case = case_in_fieldwork(team, THREE)
    with pytest.raises(ValidationError):
        replace_item(by=team.lead, item=item(case, 1), reason="  ")


def test_nothing_is_replaced_twice_nor_concluded_on_again(team: Team) -> None:
    case = case_in_fieldwork(team, THREE)
    replace_item(by=team.lead, item=item(case, 1), reason="A test call.")
    with pytest.raises(NotAllowed, match="replaced by item 4 already"):
        replace_item(by=team.lead, item=item(case, 1), reason="Again.")
    with pytest.raises(NotAllowed, match="Item 4 stands in"):
        review_item(by=team.lead, item=item(case, 1), conclusion=Conclusion.PASS)


def test_only_as_long_as_there_are_others(team: Team) -> None:
    case = case_in_fieldwork(team, THREE)
    for ordinal in (1, 2):
        replace_item(by=team.lead, item=item(case, ordinal), reason="A test call.")
    with pytest.raises(NotAllowed, match="is an item already"):
        replace_item(by=team.lead, item=item(case, 3), reason="A test call.")


def test_not_where_nothing_was_drawn_by_rank(team: Team) -> None:
    case = case_in_fieldwork(team, EVERYTHING)
    with pytest.raises(NotAllowed, match="no next in rank"):
        replace_item(by=team.lead, item=item(case, 1), reason="A test call.")


def test_only_its_preparer_replaces(team: Team) -> None:
    case = case_in_fieldwork(team, THREE)
    with pytest.raises(NotAllowed, match="preparer"):
        replace_item(by=team.reviewer, item=item(case, 1), reason="A test call.")


def test_the_database_wants_the_reason_too(team: Team) -> None:
    case = case_in_fieldwork(team, THREE)
    with (
        tenant_atomic(case.tenant_id),
        pytest.raises(IntegrityError, match="case_item_replaced_with_reason"),
        transaction.atomic(),
    ):
        items_of(case).filter(ordinal=1).update(replaced_by=4)
