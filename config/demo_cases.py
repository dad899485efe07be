"""The example organisation's cases: one finished with its signed report, one for the auditor to work on, and one that
explains a refusal to the person, with a letter that waits for its approval."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from audits.letters import draft_letter, edit_letter
from audits.models import Case, CaseItem, CaseType, Conclusion, FindingKind, Severity
from audits.populations import SamplePlan, draw_sample, freeze_population
from audits.sampling import Method
from audits.selectors import items_of
from audits.services import (
    Brief,
    FindingText,
    accept_review,
    open_case,
    plan_case,
    review_item,
    submit_for_review,
    write_finding,
)
from audits.signing import sign_case
from audits.workflow import NotAllowed
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.ledger.reader import NotThere, health
from tenants.models import User
from traces.models import Decision, RuleHit
from traces.selectors import DecisionFilter

PATIENCE = 45.0  # seconds for the sequencer and the signer

REASONS = Brief("Refused loans: are the reasons given?", objective="Does every refusal name its principal reasons?")
REASONS_CRITERIA = "A refusal names at least one specific reason in words its reader understands."
LEAKS = Brief(
    "Personal identifiers in answers of the support assistant",
    objective="Which answers carried an identifier, and was it the customer's own?",
)
LEAKS_CRITERIA = "No answer carries an account number, a card number or an address that its reader did not give."
LEAK = FindingText(
    criteria=LEAKS_CRITERIA,
    condition="The answer names a full account number that the customer had not given.",
    kind=FindingKind.MINOR,
    severity=Severity.HIGH,
    cause="The guard for personal data looks for card numbers only.",
    effect="Whoever reads over the customer's shoulder learns where repayments go, and can imitate the request.",
    recommendation="Add account numbers to the guard, and refer to the account in the contract instead.",
)


WHY = Brief(
    "An applicant asks why their loan was refused",
    CaseType.EXPLANATION,
    objective="What part did the assistant have in it, and what did it come down to?",
)
WHY_CRITERIA = "The person can understand the answer, and contest the decision with it."
LETTER = {
    "recipient": "Alex Sample\n12 Harbour Street\n20457 Hamburg",
    "contact": "Northbank, Fair decisions\n2 Low Street, 20457 Hamburg\nfair@northbank.example",
}


@dataclass(frozen=True, slots=True)
class Auditors:
    """Who prepares, who reviews, their users by name, and the password that both sign with."""

    lead: Actor
    reviewer: Actor
    people: dict[str, User]
    password: str


def make_cases(who: Auditors) -> None:
    """The cases, unless there are some."""
    with tenant_atomic(who.lead.tenant_id):
        if Case.objects.exists():
            return
    patiently(lambda: _check_settled(who.lead))
    leaks = _planned(who, LEAKS, LEAKS_CRITERIA, policy="pii-in-output")
    reasons = _planned(who, REASONS, REASONS_CRITERIA, system="loan-assistant")
    everything = SamplePlan(Method.ALL, justification="There are few of them.")
    for case in (leaks, reasons):
        patiently(partial(freeze_population, by=who.lead, case=case))
    patiently(lambda: draw_sample(by=who.lead, case=leaks, plan=everything))
    _finish(who, leaks)
    patiently(lambda: draw_sample(by=who.lead, case=reasons, plan=SamplePlan(Method.RANDOM, size=25)))
    _explain(who)


def _check_settled(by: Actor) -> None:
    """Raise `NotThere` unless a signed head covers everything that was recorded."""
    with tenant_atomic(by.tenant_id):
        now = health(by.tenant_id)
    if now.queued or now.covered < now.log.size:
        raise NotThere("The log has not caught up.")


def _planned(who: Auditors, brief: Brief, criteria: str, **scope: str) -> Case:
    case = open_case(by=who.lead, scope=DecisionFilter.from_query(scope), brief=brief)
    return plan_case(
        by=who.lead,
        case=case,
        preparer=who.people["auditor"],
        reviewer=who.people["reviewer"],
        objective=brief.objective,
        criteria=criteria,
    )


def _finish(who: Auditors, case: Case) -> None:
    """Conclude on every item, have it reviewed, sign it twice: a worker then builds the report."""
    with tenant_atomic(case.tenant_id):
        items = list(items_of(case).order_by("ordinal"))
        hits = RuleHit.objects.filter(decision_id__in=[item.decision_id for item in items], rule="iban")
        failed = set(hits.values_list("decision_id", flat=True))
    for item in items:
        _conclude(who.lead, case, item, has_failed=item.decision_id in failed)
    submit_for_review(by=who.lead, case=case)
    accept_review(by=who.reviewer, case=case)
    for signer in (who.lead, who.reviewer):
        sign_case(by=signer, case=case, password=who.password)


def _explain(who: Auditors) -> None:
    """A letter on the newest refusal; whether it leaves is the reviewer's to say."""
    with tenant_atomic(who.lead.tenant_id):
        refusals = Decision.objects.filter(adverse=True, deployment__system="loan-assistant", trace_id__isnull=False)
        refused = refusals.order_by("-occurred_at", "-id").first()
    if refused is None or refused.trace_id is None:
        return
    case = _planned(who, WHY, WHY_CRITERIA, trace_id=refused.trace_id.hex)
    patiently(partial(freeze_population, by=who.lead, case=case))
    patiently(lambda: draw_sample(by=who.lead, case=case, plan=SamplePlan(Method.ALL, justification="It is the one.")))
    with tenant_atomic(case.tenant_id):
        item = items_of(case).select_related("decision__deployment", "decision__model_version").first()
    if item is not None:
        edit_letter(by=who.lead, letter=draft_letter(by=who.lead, case=case, item=item), said=LETTER)


def _conclude(lead: Actor, case: Case, item: CaseItem, *, has_failed: bool) -> None:
    if not has_failed:
        note = "The address is the bank's own and names a member of staff in her role."
        review_item(by=lead, item=item, conclusion=Conclusion.PASS, note=note)
        return
    review_item(by=lead, item=item, conclusion=Conclusion.FAIL, note="A full account number is in the answer.")
    write_finding(by=lead, case=case, text=LEAK, item=item)


def patiently(step: Callable[[], object]) -> None:
    """Try until the log has caught up; what it never catches up with stays for a person to do."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            step()
        except (NotAllowed, NotThere):
            if time.monotonic() > until:
                return
            time.sleep(0.5)
        else:
            return
