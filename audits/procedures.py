"""Procedures: what is tested on every item, what should be seen, and what was."""

import uuid
from datetime import UTC, datetime

from django.core.exceptions import ValidationError
from django.db.models import Max, Q, QuerySet

from audits.access import person_of, roles_in
from audits.models import Case, CaseItem, Conclusion, Procedure, TestStep
from audits.timeline import open_to_change, record, refuse, require_role
from audits.workflow import WORKABLE, CaseRole, State
from tenants.access import get_row
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag

PLANNING = frozenset({State.DRAFT, State.PLANNED, State.POPULATION_FROZEN}) | WORKABLE
WRONG = (Conclusion.FAIL, Conclusion.EXCEPTION)


def write_procedure(*, by: Actor, case: Case, title: str, expected: str, workpaper: str = "") -> Procedure:
    """A test of every item of this revision. It is not changed afterwards: a better one is another one."""
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk)
        if not roles_in(locked, by) & {CaseRole.LEAD, CaseRole.PREPARER}:
            raise refuse(locked, by, "Only this case's lead or preparer writes its procedures.")
        if locked.state not in PLANNING:
            raise refuse(locked, by, f"A case that is {locked.get_state_display().lower()} takes no procedures.")
        number = (procedures_of(locked).aggregate(last=Max("number"))["last"] or 0) + 1
        procedure = Procedure(
            case=locked,
            revision=locked.revision,
            number=number,
            title=title.strip(),
            expected=expected.strip(),
            workpaper=workpaper.strip(),
            written_by_id=person_of(by),
        )
        procedure.full_clean(exclude=["case", "written_by", "tenant"])
        procedure.save(force_insert=True)
        body = {
            "procedure": number,
            "title": procedure.title,
            "expected": procedure.expected,
            "workpaper": procedure.workpaper,
        }
        record(locked, by, Tag.PROCEDURE_WRITTEN, body, action="procedure", note=procedure.title)
    return procedure


def perform_test(*, by: Actor, procedure: Procedure, item: CaseItem, result: str, actual: str = "") -> TestStep:
    """What the preparer saw on one item. May be done again until the case is submitted; each time is a leaf."""
    actual = actual.strip()
    if result not in Conclusion.values:
        raise ValidationError({"result": "Choose pass, fail, not applicable or exception."})
    if result in WRONG and not actual:
        raise ValidationError({"actual": "Say what you saw instead."})
    with tenant_atomic(by.tenant_id):
        case = open_to_change(by, procedure.case_id)
        if not case.is_workable:
            raise refuse(case, by, f"A case that is {case.get_state_display().lower()} takes no results.")
        require_role(case, by, CaseRole.PREPARER, "perform its procedures")
        if {(item.case_id, item.revision), (procedure.case_id, procedure.revision)} != {(case.pk, case.revision)}:
            raise refuse(case, by, "This belongs to another case or an earlier revision.")
        values = {
            "result": result,
            "actual": actual,
            "performed_by_id": person_of(by),
            "performed_at": datetime.now(UTC),
        }
        step, _ = TestStep.objects.update_or_create(procedure=procedure, item=item, defaults=values)
        body = {"procedure": procedure.number, "item": item.ordinal, "result": result, "actual": actual}
        record(case, by, Tag.TEST_PERFORMED, body, action="test", note=actual)
    return step


def procedures_of(case: Case) -> "QuerySet[Procedure]":
    """Those of the current revision."""
    return Procedure.objects.filter(case=case, revision=case.revision).order_by("number")


def get_procedure(case: Case, pk: uuid.UUID) -> Procedure:
    """One procedure of the current revision of a case that came through its door, or 404."""
    return get_row(procedures_of(case), pk=pk)


def untested(case: Case) -> str:
    """What keeps the procedures from being done, in words; empty: nothing."""
    procedures = procedures_of(case)
    n_wanted = procedures.count() * CaseItem.objects.filter(case=case, revision=case.revision).count()
    steps = TestStep.objects.filter(procedure__in=procedures.order_by())
    if n_open := n_wanted - steps.count():
        return f"{n_open} tests are not performed yet."
    contrary = steps.filter(Q(result__in=WRONG) & Q(item__conclusion=Conclusion.PASS)).order_by("item__ordinal")
    if found := contrary.select_related("procedure", "item").first():
        return f"Item {found.item.ordinal} is concluded as a pass, but {found.procedure.reference} found otherwise."
    return ""
