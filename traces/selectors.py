"""Reads of decisions: filters, cursor pages, one record with its content. Every one costs by what it shows."""

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime

from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.ledger.canonical import dumps
from tenants.models import SourceSystem
from traces.contents import members_of, open_payload, open_payloads, policy_document, read_contents
from traces.meaning.feedback import judged
from traces.models import FAILED, Decision, Deployment, ModelVersion, RuleHit, Submission
from traces.recording import key_id
from traces.search.finding import Found, with_phrases, with_words
from traces.search.words import read_wanted

# Reading content belongs to reading decisions; it lives apart because search needs it too.
__all__ = [  # noqa: RUF022  the reads of content first
    "members_of", "open_payload", "open_payloads", "policy_document", "read_contents",
    "Cursor", "DecisionFilter", "FilterError", "Matching", "Page", "filtered", "get_decision", "matching",
    "matching_deployments", "matching_models", "next_rows", "page", "parse_moment", "parse_trace",
    "MAX_PAGE_SIZE", "PAGE_SIZE",
]  # fmt: skip

PAGE_SIZE = 50
CANDIDATES = 400  # of a phrase, the newest; opened and compared for a page
MAX_PAGE_SIZE = 200


class FilterError(ValueError):
    """A filter that says nothing: the message tells which and what to write instead."""


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """What to show; empty members do not narrow.

    `q` is an id (of a record, a trace, a session, a user, or external) or else words of the content, phrases in double
    quotes. `id_only` keeps it to ids: for who may not read content, since to find a word is to read it.
    """

    since: datetime | None = None
    until: datetime | None = None
    system: str = ""
    environment: str = ""
    task: str = ""
    model: str = ""
    policy: str = ""
    action: str = ""
    user: str = ""
    session: str = ""
    trace_id: str = ""
    status: str = ""  # "failed": what ended in an error
    feedback: str = ""
    q: str = ""
    id_only: bool = False

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "DecisionFilter":
        """From URL parameters; unknown ones are left alone. Raises `FilterError`."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.name == "id_only":
                continue
            text = (query.get(field.name) or "").strip()
            if "\0" in text:
                raise FilterError(f"{field.name} holds a character that no record holds: U+0000.")
            if text:
                values[field.name] = parse_moment(field.name, text) if field.name in {"since", "until"} else text
        if "trace_id" in values:
            values["trace_id"] = parse_trace(values["trace_id"])
        if values.get("status") not in (None, "failed"):
            raise FilterError(f"status={values['status']!r} is not a status; write failed, or leave it out.")
        return cls(**values)

    def for_reader(self, actor: Actor) -> "DecisionFilter":
        """The same, as far as the actor may look."""
        return self if actor.may("decision.read_payload") else replace(self, id_only=True)

    def as_dict(self) -> dict[str, str]:
        """The members that narrow, as text: URL parameters, chips, and the scope of a case."""
        members = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "id_only"}
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in members.items()
            if value
        }

    def canonical(self) -> bytes:
        """RFC 8785 bytes of `as_dict`: what a case commits to as its scope."""
        return dumps(self.as_dict())


def parse_moment(name: str, text: str) -> datetime:
    """An RFC 3339 time or a date (midnight UTC)."""
    try:
        moment = parse_datetime(text.replace(" ", "+"))
        day = None if moment else parse_date(text)
    except ValueError:
        moment = day = None
    if moment is None and day is None:
        raise FilterError(f"{name}={text!r} is not a time; write 2026-11-23 or 2026-11-23T08:46:14Z.")
    moment = moment or datetime(day.year, day.month, day.day, tzinfo=UTC)  # type: ignore[union-attr]
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_trace(text: str) -> str:
    """A W3C trace id: 32 hex digits."""
    try:
        return uuid.UUID(hex=text).hex
    except ValueError:
        raise FilterError(f"trace_id={text!r} is not a trace id: 32 hex digits.") from None


def filtered(wanted: DecisionFilter) -> QuerySet[Decision]:
    """Every decision that matches, oldest first. For exports and populations; pages use `page`."""
    rows = _narrowed(wanted)
    return rows.filter(matching(wanted, limit=None).condition) if wanted.q else rows


def _narrowed(wanted: DecisionFilter) -> QuerySet[Decision]:
    """By every member but `q`."""
    rows = Decision.objects.filter(_conditions(wanted)).order_by("occurred_at", "id")
    if wanted.policy:
        hits = RuleHit.objects.filter(policy=wanted.policy).values("decision_id")
        rows = rows.filter(pk__in=hits)
    if wanted.feedback:
        rows = rows.filter(pk__in=judged(wanted.feedback))
    return rows


@dataclass(frozen=True, slots=True)
class Matching:
    """What `q` comes to; `is_partial`: more decisions hold the words than were compared with the phrase."""

    condition: Q
    is_partial: bool = False
    by_words: bool = False


def matching(wanted: DecisionFilter, *, limit: int | None) -> Matching:
    """`q` as a condition: the decisions of that id, where there are any, else those that hold the words.

    Another way of searching (nearest in meaning) is another branch here: what it returns is ids.
    """
    identified = _identified_by(wanted.q)
    if wanted.id_only or Decision.objects.filter(identified).exists():
        return Matching(identified)
    sought = read_wanted(wanted.q)
    if not sought.words:
        return Matching(identified)
    if not sought.phrases:
        return Matching(with_words(sought), by_words=True)
    found: Found = with_phrases(_narrowed(replace(wanted, q="")), sought, limit)
    return Matching(Q(pk__in=found.ids), found.is_partial, by_words=True)


def _conditions(wanted: DecisionFilter) -> Q:
    conditions = Q()
    if wanted.since:
        conditions &= Q(occurred_at__gte=wanted.since)
    if wanted.until:
        conditions &= Q(occurred_at__lt=wanted.until)
    if wanted.system or wanted.environment or wanted.task:
        conditions &= Q(deployment_id__in=matching_deployments(wanted))
    if wanted.model:
        conditions &= Q(model_version_id__in=matching_models(wanted.model))
    for name in ("action", "user", "session"):
        if value := getattr(wanted, name):
            conditions &= Q(**{name: value})
    if wanted.status:
        conditions &= Q(outcome=FAILED)
    if wanted.trace_id:
        conditions &= Q(trace_id=uuid.UUID(hex=wanted.trace_id))
    return conditions


def matching_deployments(wanted: DecisionFilter) -> list[uuid.UUID]:
    """Ids of the deployments that the filter's system, environment and task name."""
    names = {name: value for name in ("system", "environment", "task") if (value := getattr(wanted, name))}
    return list(Deployment.objects.filter(**names).values_list("pk", flat=True))


def matching_models(name: str) -> list[uuid.UUID]:
    """Ids of every version of a model."""
    return list(ModelVersion.objects.filter(name=name).values_list("pk", flat=True))


def _identified_by(text: str) -> Q:
    found = Q(user=text) | Q(session=text)
    keys = [
        key_id("external", source.bytes, text.encode()) for source in SourceSystem.objects.values_list("pk", flat=True)
    ]
    answers = Submission.objects.filter(pk__in=keys).values_list("answer", flat=True)
    found |= Q(pk__in=[orjson.loads(bytes(answer))["id"] for answer in answers])
    try:
        identity = uuid.UUID(text)
    except ValueError:
        return found
    return found | Q(pk=identity) | Q(trace_id=identity)


@dataclass(frozen=True, slots=True)
class Page:
    """One page, newest first, and the cursors of its neighbours (empty: there is none)."""

    decisions: list[Decision]
    newer: str
    older: str
    is_partial: bool = False  # of a phrase not every candidate was looked at
    by_words: bool = False  # found by what was said: to see the page is to read a little of it


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list: beyond (`older`) or before (`newer`) a decision. Opaque to callers."""

    occurred_at: datetime
    id: uuid.UUID
    newer: bool = False

    def encode(self) -> str:
        text = f"{'n' if self.newer else 'o'} {self.occurred_at.isoformat()} {self.id.hex}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        try:
            kind, at, identity = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(" ")
            return cls(datetime.fromisoformat(at).astimezone(UTC), uuid.UUID(hex=identity), kind == "n")
        except (ValueError, OverflowError):
            raise FilterError("This cursor is not one of ours; start again without it.") from None


def page(wanted: DecisionFilter, cursor: str = "", size: int = PAGE_SIZE) -> Page:
    """Decisions newest first, `size` at a time, from an index whatever the filter."""
    place = Cursor.decode(cursor) if cursor else None
    newer = place is not None and place.newer
    said = matching(wanted, limit=CANDIDATES) if wanted.q else Matching(Q())
    found = _slice(wanted, place, size + 1, said.condition)
    more = len(found) > size
    shown = found[:size]
    if newer:
        shown.reverse()
    if not shown:
        return Page([], "", "", said.is_partial)
    has_newer, has_older = (more, True) if newer else (place is not None, more)
    first, last = shown[0], shown[-1]
    return Page(
        shown,
        Cursor(first.occurred_at, first.pk, newer=True).encode() if has_newer else "",
        Cursor(last.occurred_at, last.pk).encode() if has_older else "",
        said.is_partial,
        said.by_words,
    )


def _slice(wanted: DecisionFilter, place: Cursor | None, size: int, said: Q) -> list[Decision]:
    """The next `size` rows from a place.

    A filter over several deployments, models or rule hits asks each for its own newest rows from its own index and
    merges them: one `IN` over all would make the database sort everything that matches.
    """
    newer = place is not None and place.newer
    order = ("occurred_at", "id") if newer else ("-occurred_at", "-id")
    base = _from_place(wanted, place).filter(said).order_by(*order)
    branches = _branches(wanted)
    if branches is None:
        return list(base.select_related("deployment", "model_version")[:size])
    parts = [base.filter(branch)[:size] for branch in branches]
    if not parts:
        return []
    union = parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]
    found = list(union.order_by(*order)[:size]) if len(parts) > 1 else list(union)
    _attach_dimensions(found)
    return found


def next_rows(wanted: DecisionFilter, after: Decision | None, size: int, said: Q) -> list[Decision]:
    """The next `size` rows of a filter, newest first, for files; `said` stands for its `q` (`matching`)."""
    return _slice(wanted, Cursor(after.occurred_at, after.pk) if after else None, size, said)


def _from_place(wanted: DecisionFilter, place: Cursor | None) -> QuerySet[Decision]:
    """The filter without `q` and the members that `_branches` handles, from a place on."""
    narrow = DecisionFilter(
        **{
            f.name: getattr(wanted, f.name)
            for f in fields(wanted)
            if f.name not in {"system", "environment", "task", "model", "q"}
        }
    )
    rows = _narrowed(narrow)
    if place is None:
        return rows
    if place.newer:
        beyond = Q(occurred_at__gt=place.occurred_at) | Q(occurred_at=place.occurred_at, id__gt=place.id)
        return rows.filter(beyond, occurred_at__gte=place.occurred_at)
    beyond = Q(occurred_at__lt=place.occurred_at) | Q(occurred_at=place.occurred_at, id__lt=place.id)
    return rows.filter(beyond, occurred_at__lte=place.occurred_at)


def _branches(wanted: DecisionFilter) -> list[Q] | None:
    by_deployment = bool(wanted.system or wanted.environment or wanted.task)
    if by_deployment and wanted.model:
        models = Q(model_version_id__in=matching_models(wanted.model))
        return [Q(deployment_id=pk) & models for pk in matching_deployments(wanted)]
    if by_deployment:
        return [Q(deployment_id=pk) for pk in matching_deployments(wanted)]
    if wanted.model:
        return [Q(model_version_id=pk) for pk in matching_models(wanted.model)]
    return None


def _attach_dimensions(decisions: Sequence[Decision]) -> None:
    deployments = Deployment.objects.in_bulk({d.deployment_id for d in decisions})
    versions = ModelVersion.objects.in_bulk({d.model_version_id for d in decisions})
    for decision in decisions:
        decision.deployment = deployments[decision.deployment_id]
        decision.model_version = versions[decision.model_version_id]


def get_decision(actor: Actor, pk: uuid.UUID) -> Decision:
    """One decision of the actor's tenant, or 404."""
    require(actor, "decision.read")
    return get_row(Decision.objects.select_related("deployment", "model_version", "source"), pk=pk)
