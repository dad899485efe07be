"""The steps of the lifecycle as buttons, and the one address that takes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from policies import activations, services
from policies.forms import StepForm
from policies.lifecycle import PERMISSION, State, Step, is_possible
from policies.models import Mode, PolicyVersion
from policies.presentation import holds
from policies.selectors import PolicyFile, get_version
from tenants.actors import Actor
from tenants.requests import TenantRequest


@dataclass(frozen=True, slots=True)
class Button:
    """How a step is offered: its words, what is said when it is done, and whether it asks for a reason and a start."""

    label: str
    text: str
    done: str
    is_dangerous: bool = False
    has_reason: bool = False
    has_start: bool = False


SHADOW, END_SHADOW = "shadow", "end_shadow"
NEXT = (Step.SUBMIT, Step.ACTIVATE, Step.RESUME)
"""The steps that lead on."""
BUTTONS: Mapping[str, Button] = {
    Step.SUBMIT: Button("Submit for approval", "Approvers are asked; an edit afterwards starts over.", "Submitted."),
    Step.ACTIVATE: Button("Put in force", "It judges every decision from its start on.", "In force.", has_start=True),
    SHADOW: Button(
        "Run in shadow", "It is evaluated and recorded, and enforces nothing.", "Running in shadow.", has_start=True
    ),
    END_SHADOW: Button("End the shadow run", "It is no longer evaluated beside what is in force.", "Shadow run ended."),
    Step.CANCEL: Button("Cancel the planned start", "What is in force now goes on.", "Cancelled."),
    Step.RESUME: Button("Resume", "It judges decisions again.", "In force again.", has_reason=True),
    Step.SUSPEND: Button("Suspend", "It judges nothing until somebody resumes it.", "Suspended.", True, True),
    Step.RETIRE: Button("Retire", "It judges nothing any more.", "Retired.", True, True),
    Step.WITHDRAW: Button("Withdraw", "It is taken out of the making.", "Withdrawn.", True, True),
    Step.BREAK_GLASS: Button(
        "Emergency activation",
        "In force at once, without the quorum, for 24 hours at most. A follow-up is opened.",
        "In force for 24 hours; a follow-up is open.",
        True,
        True,
    ),
}


def steps_for(request: TenantRequest, file: PolicyFile, version: PolicyVersion, now: datetime) -> list[dict[str, Any]]:
    """What the person may do to the version, as `components/confirm.html` shows it."""
    actor, slug = request.actor, request.seat.slug
    shown = file.states[version.pk]
    state = State.APPROVED if shown == SHADOW else State(shown)
    revision = {"name": "revision", "value": file.review(version).revision}
    shadows = any(
        a.version_id == version.pk and a.mode == Mode.SHADOW and a.cancelled_at is None and holds(a, now)
        for a in file.activations
    )
    return [
        {
            "label": button.label,
            "url": reverse("policy-step", args=[slug, file.policy.slug, version.number, name.replace("_", "-")]),
            "text": button.text,
            "danger": button.is_dangerous,
            "primary": name in NEXT,
            "reason": button.has_reason,
            "start": button.has_start,
            "fields": [revision],
        }
        for name, button in BUTTONS.items()
        if _is_offered(actor, state, name, shadows=shadows)
    ]


def _is_offered(actor: Actor, state: State, name: str, *, shadows: bool) -> bool:
    if name == END_SHADOW:
        return shadows and actor.may("policy.activate")
    step = Step.ACTIVATE if name == SHADOW else Step(name)
    return is_possible(state, step) and actor.may(PERMISSION[step]) and not (name == SHADOW and shadows)


@require_POST
def policy_step(request: TenantRequest, policy: str, number: int, step: str) -> HttpResponse:
    """Take a step; what is refused is said on the page."""
    actor, slug = request.actor, request.seat.slug
    name = step.replace("-", "_")
    if name not in BUTTONS:
        raise Http404("No such step.")
    version = get_version(policy, number)
    form = StepForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError([error for errors in form.errors.values() for error in errors])
        take_step(actor, version, name, **form.cleaned_data)
        messages.success(request, BUTTONS[name].done)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(f"{reverse('policy-detail', args=[slug, policy])}?version={number}")


def take_step(
    by: Actor, version: PolicyVersion, name: str, *, reason: str = "", revision: int | None = None, starts: Any = None
) -> None:
    """The service behind a step's name."""
    steps: Mapping[str, Callable[[], object]] = {
        Step.SUBMIT: lambda: services.submit_version(by=by, version=version, revision=revision),
        Step.WITHDRAW: lambda: services.withdraw_version(by=by, version=version, reason=reason, revision=revision),
        Step.ACTIVATE: lambda: activations.activate_version(by=by, version=version, starts=starts, revision=revision),
        SHADOW: lambda: activations.activate_version(
            by=by, version=version, mode=Mode.SHADOW, starts=starts, revision=revision
        ),
        END_SHADOW: lambda: activations.retire_policy(by=by, policy=version.policy, mode=Mode.SHADOW),
        Step.CANCEL: lambda: activations.cancel_activation(by=by, version=version),
        Step.SUSPEND: lambda: activations.suspend_version(by=by, version=version, reason=reason),
        Step.RESUME: lambda: activations.resume_version(by=by, version=version, reason=reason),
        Step.RETIRE: lambda: activations.retire_version(by=by, version=version, reason=reason),
        Step.BREAK_GLASS: lambda: activations.break_glass(by=by, version=version, reason=reason),
    }
    steps[name]()
