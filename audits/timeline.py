"""How a case changes: locked, at the version that the caller saw, by the table, with one leaf and one line."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from audits.access import lock_case, roles_in
from audits.lifecycles import Party, Step, options, step_to
from audits.models import Case, CaseEvent, EvidenceFile, EvidenceRequest, Finding, Letter, ReviewNote
from audits.workflow import Action, CaseRole, NotAllowed, State, allowed, target_of
from tenants.access import get_row
from tenants.actors import Actor
from tenants.events import Tag
from tenants.ledger.log import append

Subject = EvidenceFile | EvidenceRequest | Finding | Letter | ReviewNote
MEMBER_OF: Mapping[type[Subject], str] = {
    EvidenceFile: "file",
    EvidenceRequest: "request",
    Finding: "finding",
    Letter: "letter",
    ReviewNote: "review_note",
}
MovableT = TypeVar("MovableT", EvidenceRequest, Finding, Letter, ReviewNote)


class Stale(NotAllowed):
    """The case moved on since the caller looked at it."""


def open_to_change(by: Actor, case_id: uuid.UUID, version: int | None = None) -> Case:
    """The case, locked; raises `Stale` unless it still has the `version` the caller saw (None: whichever)."""
    case = lock_case(by, case_id)
    if version is not None and case.version != version:
        options = allowed(State(case.state), roles_in(case, by))
        raise Stale("Somebody changed this case meanwhile; look at it again, then decide.", options)
    return case


def refuse(case: Case, by: Actor, message: str) -> NotAllowed:
    """The refusal of a guard, with what is allowed instead."""
    return NotAllowed(message, allowed(State(case.state), roles_in(case, by)))


def require_role(case: Case, by: Actor, role: CaseRole, to: str) -> None:
    """Refuse unless the actor is that to the case."""
    if role not in roles_in(case, by):
        raise refuse(case, by, f"Only this case's {role} can {to}.")


def target(case: Case, by: Actor, action: Action, reason: str = "") -> State:
    """Where the action would lead this actor. Raises `NotAllowed`."""
    held_from = State(case.held_from) if case.held_from else None
    return target_of(State(case.state), action, roles_in(case, by), reason=reason, held_from=held_from)


def move(
    case: Case,
    by: Actor,
    action: Action,
    *,
    tag: Tag = Tag.CASE_MOVED,
    body: Mapping[str, Any] | None = None,
    reason: str = "",
) -> CaseEvent:
    """Carry out one transition of a locked case. Guards beyond state and role are the caller's, before this."""
    source, to = State(case.state), target(case, by, action, reason)
    now = datetime.now(UTC)
    if source == State.ON_HOLD:
        case.held_for += now - case.state_at
    if action == Action.REOPEN:
        case.revision += 1
    case.state = to
    case.held_from = source if to == State.ON_HOLD else ""
    case.version += 1
    case.state_at = now
    case.save(update_fields=["state", "held_from", "version", "state_at", "held_for", "revision"])
    moved = {"action": action, "from": source, "to": to, "version": case.version}
    return record(case, by, tag, {**moved, **(body or {})}, action=action, source=source, to=to, note=reason)


def record(
    case: Case,
    by: Actor,
    tag: Tag,
    body: Mapping[str, Any],
    *,
    action: str = "",
    source: str = "",
    to: str = "",
    note: str = "",
    about: Subject | None = None,
    data: Mapping[str, Any] | None = None,
) -> CaseEvent:
    """One leaf and one line of the timeline, of the same id, in the caller's transaction.

    `about`: what in the case the line tells of, where it is not the case itself. `data`: what else was set.
    """
    said = {"reason": note} if note else {}
    full = {"case": str(case.pk), "number": case.number, "revision": case.revision, **said, **body, **(data or {})}
    rid = append(tag, by=by, body=full)
    return CaseEvent.objects.create(
        id=rid,
        case=case,
        **({MEMBER_OF[type(about)]: about} if about else {}),
        data=dict(data or {}),
        revision=case.revision,
        follows=case.sealed_revision,
        tag=tag,
        action=action,
        from_state=source,
        to_state=to,
        actor=by.reference,
        actor_label=by.label,
        note=note,
    )


def lock_member(
    case: Case,
    row: MovableT,
    steps: Mapping[str, Step],
    parties: Callable[[MovableT], Iterable[Party]],
    version: int | None,
) -> MovableT:
    """A finding, request, note or letter of a locked case, locked; raises `Stale` unless it has the `version` seen."""
    locked: MovableT = get_row(type(row)._default_manager.select_for_update(of=("self",)).filter(case=case), pk=row.pk)
    if version is not None and locked.version != version:
        raise Stale("Somebody changed this meanwhile; look at it again.", options(steps, locked.state, parties(locked)))
    return locked


def step(
    case: Case,
    by: Actor,
    row: EvidenceRequest | Finding | Letter | ReviewNote,
    steps: Mapping[str, Step],
    action: str,
    parties: Iterable[Party],
    *,
    tag: Tag,
    text: str = "",
    data: Mapping[str, Any] | None = None,
    also: Sequence[str] = (),
) -> CaseEvent:
    """Carry out one step of a locked finding, request, note or letter: its new state, one leaf, one line.

    `also`: the other columns of the row that the caller has set. Raises `NotAllowed`.
    """
    if case.is_still:
        raise NotAllowed(f"Nothing moves in a case that is {case.get_state_display().lower()}.")
    source, to = row.state, step_to(steps, row.state, action, parties, text)
    row.state = to
    row.version += 1
    row.save(update_fields=["state", "version", *also])
    body = {MEMBER_OF[type(row)]: row.number, "action": action, "from": source, "to": to, "version": row.version}
    return record(case, by, tag, body, action=action, source=source, to=to, note=text.strip(), about=row, data=data)
