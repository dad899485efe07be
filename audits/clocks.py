"""Statutory clocks of a case: started when somebody knew, extended once with a reason, stopped by what was sent."""

from datetime import UTC, datetime

from django.core.exceptions import ValidationError

from audits.access import roles_in
from audits.deadlines import RULES, ClockKind, due_at
from audits.models import Case, CaseClock, CaseType
from audits.timeline import open_to_change, record, refuse
from audits.workflow import CaseRole
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag

# What a case of a type starts by being opened.
CLOCK_OF = {
    CaseType.INCIDENT: ClockKind.SERIOUS,
    CaseType.EXPLANATION: ClockKind.EXPLANATION,
    CaseType.CONTEST: ClockKind.CONTEST,
}


def start_clock(*, by: Actor, case: Case, kind: ClockKind, started_at: datetime) -> CaseClock:
    """Start a clock at the moment somebody knew, which may be before the case was opened and is never to come."""
    if started_at > datetime.now(UTC):
        raise ValidationError({"started_at": "The clock starts when somebody knew: not in the future."})
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk)
        _require_lead(locked, by)
        if CaseClock.objects.filter(case=locked, kind=kind).exists():
            raise refuse(locked, by, "This clock is running already.")
        return begin_clock(locked, by, kind, started_at)


def begin_clock(case: Case, by: Actor, kind: ClockKind, started_at: datetime) -> CaseClock:
    """The clock of a locked or new case, with its leaf; who may is the caller's."""
    clock = CaseClock.objects.create(case=case, kind=kind, started_at=started_at)
    body = {"clock": kind, "started_at": started_at.isoformat(), "due_at": due_at(kind, started_at).isoformat()}
    record(case, by, Tag.CASE_CLOCK_STARTED, body, action="clock", note=kind.label)
    return clock


def extend_clock(*, by: Actor, case: Case, kind: ClockKind, reason: str) -> CaseClock:
    """Take the longer time that the law allows once, with the reason that the person is given."""
    if not RULES[kind].extra_months:
        raise ValidationError({"kind": "The law does not extend this one."})
    if not reason.strip():
        raise ValidationError({"reason": "The person is told why: say it."})
    with tenant_atomic(by.tenant_id):
        locked, clock = _running(by, case, kind)
        if clock.extension:
            raise refuse(locked, by, "It was extended already; the law allows it once.")
        if datetime.now(UTC) > due_at(kind, clock.started_at):
            raise refuse(locked, by, "It is overdue: an extension is told to the person before that.")
        clock.extension = reason.strip()
        clock.save(update_fields=["extension"])
        body = {"clock": kind, "due_at": due_at(kind, clock.started_at, is_extended=True).isoformat()}
        record(locked, by, Tag.CASE_CLOCK_EXTENDED, body, action="clock", note=clock.extension)
    return clock


def meet_clock(*, by: Actor, case: Case, kind: ClockKind, how: str) -> CaseClock:
    """Stop a clock: say what was sent, to whom. An incomplete first report counts (AI Act, Art. 73(5))."""
    if not how.strip():
        raise ValidationError({"how": "Say what was sent, to whom."})
    with tenant_atomic(by.tenant_id):
        locked, clock = _running(by, case, kind)
        clock.met_at, clock.met_how = datetime.now(UTC), how.strip()
        clock.save(update_fields=["met_at", "met_how"])
        record(locked, by, Tag.CASE_CLOCK_MET, {"clock": kind}, action="clock", note=clock.met_how)
    return clock


def _running(by: Actor, case: Case, kind: ClockKind) -> tuple[Case, CaseClock]:
    locked = open_to_change(by, case.pk)
    _require_lead(locked, by)
    clock = CaseClock.objects.select_for_update().filter(case=locked, kind=kind, met_at__isnull=True).first()
    if clock is None:
        raise refuse(locked, by, "No such clock is running.")
    return locked, clock


def _require_lead(case: Case, by: Actor) -> None:
    if not roles_in(case, by) & {CaseRole.LEAD, CaseRole.PREPARER}:
        raise refuse(case, by, "Only this case's lead or preparer keeps its clocks.")
