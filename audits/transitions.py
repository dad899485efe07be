"""From the name of a case's transition to the service that carries it out: one list for pages and API."""

from collections.abc import Callable
from typing import Any

from audits.models import Case
from audits.populations import freeze_population
from audits.services import accept_review, move_case, reopen_case, submit_for_review
from audits.workflow import Action
from tenants.actors import Actor


def _refreeze(*, by: Actor, case: Case, reason: str, version: int | None) -> Any:
    return freeze_population(by=by, case=case, reason=reason, version=version)


def _submit(*, by: Actor, case: Case, reason: str, version: int | None) -> Any:
    return submit_for_review(by=by, case=case, version=version)


def _accept(*, by: Actor, case: Case, reason: str, version: int | None) -> Any:
    return accept_review(by=by, case=case, version=version)


SERVICES: dict[Action, Callable[..., Any]] = {
    Action.FREEZE: _refreeze,
    Action.REFREEZE: _refreeze,
    Action.SUBMIT: _submit,
    Action.ACCEPT: _accept,
    Action.REOPEN: reopen_case,
}


def carry_out(*, by: Actor, case: Case, action: Action, reason: str = "", version: int | None = None) -> None:
    """Take the step. Raises `NotAllowed` where it is not open, or needs a page of its own (a plan, a sample)."""
    if action in SERVICES:
        SERVICES[action](by=by, case=case, reason=reason, version=version)
    else:
        move_case(by=by, case=case, action=action, reason=reason, version=version)
