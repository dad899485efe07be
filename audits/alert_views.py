"""A case from an alert, and the rule that opens one by itself."""

import uuid

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from audits import alerts
from audits.forms import CaseForm, PeopleForm, PersonField
from audits.models import Case
from audits.presentation import scope_pairs
from audits.services import plan_case
from tenants.access import require
from tenants.requests import TenantRequest
from traces.drift.selectors import Shown, get_alert
from traces.drift.severity import ORDER, kinds_from
from traces.models.drift import DriftKind


@require_http_methods(["GET", "HEAD", "POST"])
def case_from_alert(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """The alert's case; where it has none, a form to open it that is filled in."""
    require(request.actor, alerts.PERMISSION)
    shown, slug = get_alert(request.actor, pk), request.seat.slug
    if (known := alerts.case_of_alert(pk)) is not None:
        messages.info(request, f"Case {known.number} was opened for this alert.")
        return redirect("case-detail", slug, known.pk)
    brief = alerts.brief_of_alert(shown)
    initial = {"title": brief.title, "type": brief.type, "objective": brief.objective}
    form = CaseForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid() and (case := _opened(request, form, shown)):
        return redirect("case-detail", slug, case.pk)
    context = {
        "form": form,
        "scope": scope_pairs(alerts.scope_of_alert(shown).as_dict()),
        "query": "",
        "estimate": None,
        "action_url": request.path,
        "back_url": reverse("drift-detail", args=[slug, pk]),
    }
    return render(request, "audits/case_form.html", context)


def _opened(request: TenantRequest, form: CaseForm, shown: Shown) -> Case | None:
    by, data = request.actor, form.cleaned_data
    try:
        case = alerts.open_case_for_alert(by=by, shown=shown, brief=form.brief())
        if form.is_plan:
            people = {"preparer": data["preparer"], "reviewer": data["reviewer"]}
            case = plan_case(by=by, case=case, objective=data["objective"], criteria=data["criteria"], **people)
    except ValidationError as error:
        form.add_error(None, error.messages)
        return None
    except alerts.HasCase as there:
        return there.case
    return case


class RuleForm(PeopleForm):
    """Which alerts open a case, and whose it is."""

    least = forms.ChoiceField(label="Alerts", required=False)
    lead = PersonField(permission=alerts.PERMISSION, required=False, help_text="Leads the cases, and is asked first.")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["least"].choices = [("", "None opens a case"), *_severities()]  # type: ignore[attr-defined]


def _severities() -> list[tuple[str, str]]:
    """Each severity with the kinds of alert that it takes in."""
    told = []
    for severity in reversed(ORDER):
        kinds = ", ".join(DriftKind(kind).label.lower() for kind in kinds_from(severity))
        told.append((str(severity), f"{severity.label}{'' if severity == ORDER[-1] else ' and above'}: {kinds}"))
    return told


@require_http_methods(["GET", "HEAD", "POST"])
def alert_rule(request: TenantRequest) -> HttpResponse:
    """Which alerts open a case by themselves."""
    require(request.actor, alerts.PERMISSION)
    rule = alerts.current_rule()
    initial = {"least": rule.least, "lead": str(rule.lead_id)} if rule else {}
    form = RuleForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            alerts.set_alert_rule(by=request.actor, terms=alerts.RuleTerms(**form.cleaned_data))
            messages.success(request, "Set, for what is noticed from now on. The ledger has it.")
            return redirect("alert-rule", request.seat.slug)
        except ValidationError as refused:
            for name, problems in refused.message_dict.items():
                form.add_error(name, list(problems))
    return render(request, "audits/alert_rule.html", {"form": form, "rule": rule if rule and rule.least else None})
