"""What was said, opened: the only way from a sealed payload to its content."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from tenants import crypto
from tenants.access import require
from tenants.actors import Actor
from tenants.context import current_tenant_id
from tenants.events import Tag
from tenants.ledger.log import append
from tenants.models import SubjectKey
from traces.models import Decision, DecisionPayload, ErasedContent
from traces.sealing import Content, bound_to, open_content


def open_payload(decision: Decision, *, by: Actor, purpose: str) -> Content | None:
    """The content of one decision, its reading recorded in the log; None when it was erased."""
    return open_payloads([decision], by=by, purpose=purpose).get(decision.pk)


def open_payloads(decisions: Iterable[Decision], *, by: Actor, purpose: str) -> dict[uuid.UUID, Content]:
    """The contents of several decisions, their reading recorded as one event. Erased ones are missing."""
    require(by, "decision.read_payload")
    wanted = [decision.pk for decision in decisions]
    contents = read_contents(wanted)
    if contents:
        append(Tag.PAYLOAD_READ, by=by, body={"decisions": [str(pk) for pk in contents], "purpose": purpose})
    return contents


def record_search(decisions: Iterable[Decision], *, by: Actor) -> None:
    """Record that decisions were found by their words, where their content itself is not shown."""
    if found := [str(decision.pk) for decision in decisions]:
        append(Tag.PAYLOAD_READ, by=by, body={"decisions": found, "purpose": "search"})


def read_contents(ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Content]:
    """The contents without a record of the reading: for the product's own work (drift, backtests, search)."""
    tenant_id = current_tenant_id()
    payloads = list(DecisionPayload.objects.filter(pk__in=ids).values_list("pk", "subject_key_id", "sealed"))
    wrapped = SubjectKey.objects.filter(pk__in={key_pk for _, key_pk, _ in payloads}).values_list("pk", "wrapped")
    tenant_key = crypto.tenant_key(tenant_id)
    keys = {pk: crypto.unwrap(tenant_key, bytes(key)) for pk, key in wrapped}
    return {
        pk: open_content(keys[key_pk], bytes(sealed), bound_to(tenant_id, pk))
        for pk, key_pk, sealed in payloads
        if key_pk in keys
    }


def erased_reasons(ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Why content is gone, where it is: what is shown in its place. Inside `tenant_atomic`."""
    return dict(ErasedContent.objects.filter(pk__in=list(ids)).values_list("pk", "reason"))


def members_of(content: Content) -> dict[str, Any]:
    """The submitted members of every group together, as they came in (the `policy` group is ours, left out)."""
    members: dict[str, Any] = {}
    for group, data in content.canonical.items():
        if group != "policy":
            members |= orjson.loads(data)
    return members


def policy_document(content: Content) -> dict[str, Any]:
    """What the policies in force said, as committed to."""
    data = content.canonical.get("policy")
    return orjson.loads(data) if data else {}
