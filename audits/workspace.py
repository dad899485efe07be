"""The workspace page: everything about a case that this person may see, and what they may do next."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from audits.access import is_guest, may_in_case, roles_in
from audits.lifecycles import NoteState
from audits.models import Case, CaseItem, Report, Signature
from audits.notes import notes_in
from audits.populations import scope_of, seed_checkpoint
from audits.presentation import (
    buttons,
    event_entry,
    finding_entry,
    item_row,
    page_url,
    progress_panel,
    report_panel,
    scope_pairs,
    signature_entry,
    steps,
)
from audits.reading import reader_in
from audits.revisions import signed_revisions
from audits.sample_pages import population_panel
from audits.selectors import (
    TABS,
    Progress,
    evaluation_of,
    item_page,
    items_of,
    population_of,
    progress_of,
    sample_of,
    timeline_of,
)
from audits.services import unready
from audits.tabs import frame, now_utc
from audits.workflow import Action, CaseRole, State, allowed
from tenants.actors import Actor
from traces.models import Decision
from traces.sealing import Content
from traces.selectors import open_payloads

ACTIVITY = 8
HIDDEN = "Content not shown"
TAB_LABELS = {"": "All", "todo": "To do", "failed": "Failed"}


def workspace(actor: Actor, slug: str, case: Case, query: Mapping[str, str]) -> dict[str, Any]:
    """The context of `audits/case_detail.html`. The contents of the items shown are opened, which is recorded."""
    roles = roles_in(case, actor)
    actions = allowed(State(case.state), roles)
    progress = progress_of(case)
    population, sample, events = population_of(case), sample_of(case), timeline_of(case)
    signatures = list(Signature.objects.filter(case=case, revision=case.revision).order_by("id"))
    blockers = _blockers(case, actions, progress)
    is_workable = case.is_workable and CaseRole.PREPARER in roles
    shown = {
        "revisions": signed_revisions(slug, case),
        "steps": steps(case, events),
        "actions": buttons(slug, case, _ready(actions, blockers)),
        "links": _links(slug, case, actions),
        "blockers": blockers,
        "finding_url": page_url(slug, "case-finding", case) if is_workable else None,
        "sign_url": _sign_url(actor, slug, case, actions, signatures),
        "scope": scope_pairs(scope_of(case).as_dict()),
        "population": population_panel(population, sample),
        "progress": progress_panel(progress, evaluation_of(case, sample, progress)),
        "findings": [finding_entry(finding) for finding in case.findings.order_by("number")],
        "signatures": [signature_entry(signature) for signature in signatures],
        "report": report_panel(
            slug, case, Report.objects.filter(case=case, revision=case.revision).order_by("id").last()
        ),
        "report_url": page_url(slug, "case-report", case) if population else None,
        "bundle_url": page_url(slug, "case-bundle", case) if progress.total else None,
        "events": [event_entry(event) for event in events[:ACTIVITY]],
        "timeline_url": page_url(slug, "case-timeline", case),
    }
    items = _items(actor, slug, case, query, progress, is_workable=is_workable)
    return frame(actor, slug, case, "items", now_utc()) | shown | items


def _ready(actions: Sequence[Action], blockers: Sequence[str]) -> list[Action]:
    """Handing the work on, or accepting it, is offered once nothing is open."""
    return [action for action in actions if not (blockers and action in {Action.SUBMIT, Action.ACCEPT})]


def unexplained(case: Case) -> list[int]:
    """Ordinals of failed items without a finding."""
    return list(items_of(case).filter(conclusion="fail", findings__isnull=True).values_list("ordinal", flat=True))


def _links(slug: str, case: Case, actions: Sequence[Action]) -> list[dict[str, str]]:
    """The steps that have a page of their own."""
    pages = {Action.PLAN: ("Plan the case", "case-plan"), Action.BEGIN: ("Draw the sample", "case-sample")}
    return [
        {"label": label, "url": page_url(slug, name, case)}
        for action, (label, name) in pages.items()
        if action in actions
    ]


def _blockers(case: Case, actions: Sequence[Action], progress: Progress) -> list[str]:
    """What keeps the case from its next step, for the person who would take it."""
    found = []
    if Action.PLAN in actions:
        found.append("Name who prepares, who reviews, and what the decisions are held against.")
    if Action.BEGIN in actions and (population := population_of(case)) and seed_checkpoint(population) is None:
        found.append("The seed of a sample comes from the first checkpoint after the freeze: due within seconds.")
    if Action.SUBMIT in actions:
        if n_open := progress.total - progress.concluded:
            found.append(
                "One item has no conclusion yet." if n_open == 1 else f"{n_open} items have no conclusion yet."
            )
        found += [f"Item {ordinal} failed and has no finding." for ordinal in unexplained(case)[:5]]
        found += [why] if (why := unready(case)) else []
    if Action.ACCEPT in actions and (notes := notes_in(case, NoteState.OPEN, NoteState.ANSWERED)):
        found.append(f"Your review notes are not cleared yet: {', '.join(notes)}.")
    if Action.RECEIVE_EVIDENCE in actions:
        found.append("The case waits for evidence: it goes on when every blocking request is answered.")
    return found


def _sign_url(
    actor: Actor, slug: str, case: Case, actions: Sequence[Action], signatures: Sequence[Signature]
) -> str | None:
    has_signed = any(signature.signer_id == actor.user_id for signature in signatures)
    may = Action.SIGN in actions and not has_signed and may_in_case(actor, case, "case.sign")
    return page_url(slug, "case-sign", case) if may else None


def _items(
    actor: Actor, slug: str, case: Case, query: Mapping[str, str], progress: Progress, *, is_workable: bool
) -> dict[str, Any]:
    tab = query.get("tab", "")
    tab = tab if tab in TABS else ""
    found = item_page(case, tab, _ordinal(query, "after"), _ordinal(query, "before"))
    contents = contents_of(actor, case, [item.decision for item in found.items])
    may_read = reader_in(case, actor).may("decision.read_payload")
    hidden = {} if may_read else {"asked": HIDDEN}
    if is_guest(actor):
        hidden["url"] = ""  # a guest has no door to records outside the case
    counts = {"": progress.total, "todo": progress.total - progress.concluded, "failed": progress.deviations}
    return {
        "items": [
            item_row(slug, case, item, item.decision, contents.get(item.decision_id), is_workable=is_workable) | hidden
            for item in found.items
        ],
        "item_tabs": [
            {"label": label, "url": f"?{urlencode({'tab': name})}", "active": name == tab, "count": counts[name]}
            for name, label in TAB_LABELS.items()
        ]
        if progress.total
        else [],
        "newer_url": f"?{urlencode({'tab': tab, 'before': found.before})}" if found.before else "",
        "older_url": f"?{urlencode({'tab': tab, 'after': found.after})}" if found.after else "",
        "shown": len(found.items),
    }


def _ordinal(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    return int(text[:9]) if text.isdecimal() else 0


def contents_of(actor: Actor, case: Case, decisions: Sequence[Decision]) -> dict[uuid.UUID, Content]:
    """What this person may read of the decisions, recorded as read for the case."""
    reader = reader_in(case, actor)
    if not decisions or not reader.may("decision.read_payload"):
        return {}
    return open_payloads(decisions, by=reader, purpose=f"case {case.reference}")


def decided_item(actor: Actor, case: Case, pk: uuid.UUID) -> tuple[CaseItem, Decision, Content | None]:
    """One item as it now is, with its decision and what may be read of it."""
    item = items_of(case).select_related("decision__deployment", "preparer").get(pk=pk)
    return item, item.decision, contents_of(actor, case, [item.decision]).get(item.decision_id)


def failed_items(actor: Actor, slug: str, case: Case) -> list[dict[str, Any]]:
    """The failed items beside the form of a finding."""
    found = item_page(case, "failed").items
    contents = contents_of(actor, case, [item.decision for item in found])
    return [
        item_row(slug, case, item, item.decision, contents.get(item.decision_id), is_workable=False) for item in found
    ]
