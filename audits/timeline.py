"""How a case changes: locked, at the version that the caller saw, by the table, with one leaf and one line."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from audits.access import lock_case, roles_in
from audits.models import Case, CaseEvent
from audits.workflow import Action, CaseRole, NotAllowed, State, allowed, target_of
from tenants.actors import Actor
from tenants.events import Tag
from tenants.ledger.log import append


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
    case.state = to
    case.held_from = source if to == State.ON_HOLD else ""
    case.version += 1
    case.state_at = datetime.now(UTC)
    case.save(update_fields=["state", "held_from", "version", "state_at"])
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
) -> CaseEvent:
    """One leaf and one line of the timeline, of the same id, in the caller's transaction."""
    said = {"reason": note} if note else {}
    full = {"case": str(case.pk), "number": case.number, "revision": case.revision, **said, **body}
    rid = append(tag, by=by, body=full)
    return CaseEvent.objects.create(
        id=rid,
        case=case,
        revision=case.revision,
        tag=tag,
        action=action,
        from_state=source,
        to_state=to,
        actor=by.reference,
        actor_label=by.label,
        note=note,
    )
