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
from traces.models import FAILED, Decision, Deployment, ModelVersion, Pairing, RuleHit, Submission
from traces.recording import key_id
from traces.search.finding import page_with_phrases, page_with_words, with_phrases, with_words
from traces.search.newest import Newest
from traces.search.subsets import beyond_now, named_in, one_of
from traces.search.words import Wanted, read_wanted

# Reading content belongs to reading decisions; it lives apart because search needs it too.
__all__ = [  # noqa: RUF022  the reads of content first
    "members_of", "open_payload", "open_payloads", "policy_document", "read_contents",
    "Cursor", "DecisionFilter", "FilterError", "Page", "filtered", "get_decision", "matching",
    "matching_deployments", "matching_models", "next_rows", "page", "parse_moment", "parse_trace",
    "MAX_PAGE_SIZE", "PAGE_SIZE",
]  # fmt: skip

PAGE_SIZE = 50
CANDIDATES = 100  # that hold a phrase's words: opened and compared for a page, which then goes on from there
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
    prompt: str = ""  # name and version, apart by a space
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

    @property
    def names_versions(self) -> bool:
        """Whether it narrows to some of the versions of models and prompts."""
        return bool(self.model or self.prompt)

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
    return rows.filter(matching(wanted)) if wanted.q else rows


def _narrowed(wanted: DecisionFilter) -> QuerySet[Decision]:
    """By every member but `q`."""
    rows = Decision.objects.filter(_conditions(wanted)).order_by("occurred_at", "id")
    for subset in _subsets(wanted):
        rows = rows.filter(pk__in=subset.values("decision_id"))
    return rows


def _subsets(wanted: DecisionFilter) -> list[QuerySet[Any, Any]]:
    """Rows of other tables, each of which has to name a decision in its `decision_id`."""
    hits = [RuleHit.objects.filter(policy=wanted.policy)] if wanted.policy else []
    return [*hits, judged(wanted.feedback)] if wanted.feedback else hits


def matching(wanted: DecisionFilter) -> Q:
    """`q` as a condition: the decisions of that id, where there are any, else all that hold the words and phrases.

    Another way of searching (nearest in meaning) is another branch here: what it returns is ids.
    """
    found = _identified_or_sought(wanted)
    if isinstance(found, Q):
        return found
    if found.phrases:
        return Q(pk__in=with_phrases(_narrowed(wanted), found))
    return with_words(found)


def _identified_or_sought(wanted: DecisionFilter) -> Q | Wanted:
    """What `q` is: the condition of an id, or words."""
    identified = _identified_by(wanted.q)
    if wanted.id_only or Decision.objects.filter(identified).exists():
        return identified
    sought = read_wanted(wanted.q)
    return sought if sought.words else identified


def _conditions(wanted: DecisionFilter) -> Q:
    conditions = Q()
    if wanted.since:
        conditions &= Q(occurred_at__gte=wanted.since)
    if wanted.until:
        conditions &= Q(occurred_at__lt=wanted.until)
    if wanted.system or wanted.environment or wanted.task:
        conditions &= Q(deployment_id__in=matching_deployments(wanted))
    if wanted.names_versions:
        conditions &= Q(model_version_id__in=matching_models(wanted))
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


def matching_models(wanted: DecisionFilter) -> list[uuid.UUID]:
    """Ids of every version of the filter's model, under its prompt."""
    rows = ModelVersion.objects.filter(name=wanted.model) if wanted.model else ModelVersion.objects.all()
    if wanted.prompt:
        name, _, version = wanted.prompt.rpartition(" ")
        rows = rows.filter(
            Q(prompt_name=name, prompt_version=version) | Q(prompt_name=wanted.prompt, prompt_version="")
        )
    return list(rows.values_list("pk", flat=True))


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
    is_partial: bool = False  # more decisions hold a phrase's words than were compared with it: go on with a neighbour
    by_words: bool = False  # found by what was said: to see the page is to read a little of it


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list: beyond (`older`) or before (`newer`) a decision. Opaque to callers."""

    occurred_at: datetime
    id: uuid.UUID
    newer: bool = False

    @classmethod
    def of(cls, decision: Decision) -> "Cursor":
        return cls(decision.occurred_at, decision.pk)

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
    named = _named(wanted)
    said = _said(wanted, place, size + 1, named) if wanted.q else _Said(Q())
    found = _slice(_beside_subsets(wanted), place, size + 1, said.condition & named)
    shown = found[:size]
    first = Cursor.of(shown[0]) if shown and place else None
    last = Cursor.of(shown[-1]) if len(found) > size else said.reached
    newest, oldest = (last, first) if newer else (first, last)
    return Page(
        shown[::-1] if newer else shown,
        replace(newest, newer=True).encode() if newest else "",
        oldest.encode() if oldest else "",
        said.reached is not None,
        said.by_words,
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """What `q` comes to for a page; `reached`: where comparing with a phrase ended before the page was full."""

    condition: Q
    reached: Cursor | None = None
    by_words: bool = False


def _said(wanted: DecisionFilter, place: Cursor | None, enough: int, named: Q) -> _Said:
    found = _identified_or_sought(wanted)
    if isinstance(found, Q):
        return _Said(found)
    if len(found.words) == 1 and not found.phrases:
        return _Said(page_with_words(found), by_words=True)
    rows = _from_place(_beside_subsets(wanted), place, every=True).filter(named).order_by(*_order(place))
    n_wanted = CANDIDATES + 1 if found.phrases else enough
    newest = None if place and place.newer else Newest(rows, n_wanted, place.occurred_at if place else None)
    if not found.phrases:
        return _Said(page_with_words(found, newest), by_words=True)
    told = page_with_phrases(rows, found, CANDIDATES, enough, newest)
    reached = Cursor(told.reached[1], told.reached[0]) if told.reached else None
    return _Said(one_of(told.ids), reached, by_words=True)


def _order(place: Cursor | None) -> tuple[str, str]:
    return ("occurred_at", "id") if place is not None and place.newer else ("-occurred_at", "-id")


def _beside_subsets(wanted: DecisionFilter) -> DecisionFilter:
    return replace(wanted, policy="", feedback="")


def _named(wanted: DecisionFilter) -> Q:
    """What `_beside_subsets` leaves out, for a page."""
    condition = Q()
    for subset in _subsets(wanted):
        condition &= named_in(subset, "decision_id")
    return condition


def _slice(wanted: DecisionFilter, place: Cursor | None, size: int, said: Q) -> list[Decision]:
    """The next `size` rows from a place.

    A filter over several deployments, models or rule hits asks each for its own newest rows from its own index and
    merges them: one `IN` over all would make the database sort everything that matches.
    """
    order = _order(place)
    base = _from_place(wanted, place).filter(said).order_by(*order)
    branches = _branches(wanted)
    parts = [base.filter(branch)[:size] for branch in ([Q()] if branches is None else branches)]
    if not parts:
        return []
    union = parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]
    found = list(union.order_by(*order)[:size]) if len(parts) > 1 else list(union)
    _attach_dimensions(found)  # joined in, they would tempt the planner to begin with them
    return found


def next_rows(wanted: DecisionFilter, after: Decision | None, size: int, said: Q) -> list[Decision]:
    """The next `size` rows of a filter, newest first, for files; `said` stands for its `q` (`matching`)."""
    return _slice(wanted, Cursor.of(after) if after else None, size, said)


def _from_place(wanted: DecisionFilter, place: Cursor | None, *, every: bool = False) -> QuerySet[Decision]:
    """The filter without `q`, and unless `every` without the members that `_branches` handles, from a place on."""
    narrow = wanted if every else replace(wanted, system="", environment="", task="", model="")
    rows = _narrowed(narrow).filter(pk__lt=beyond_now())
    if place is None:
        return rows
    if place.newer:
        beyond = Q(occurred_at__gt=place.occurred_at) | Q(occurred_at=place.occurred_at, id__gt=place.id)
        return rows.filter(beyond, occurred_at__gte=place.occurred_at)
    beyond = Q(occurred_at__lt=place.occurred_at) | Q(occurred_at=place.occurred_at, id__lt=place.id)
    return rows.filter(beyond, occurred_at__lte=place.occurred_at)


def _branches(wanted: DecisionFilter) -> list[Q] | None:
    by_deployment = bool(wanted.system or wanted.environment or wanted.task)
    if by_deployment and wanted.names_versions:
        return [Q(deployment_id=pk, model_version_id__in=models) for pk, models in _meetings(wanted).items()]
    if by_deployment:
        return [Q(deployment_id=pk) for pk in matching_deployments(wanted)]
    if wanted.names_versions:
        return [Q(model_version_id=pk) for pk in matching_models(wanted)]
    return None


def _meetings(wanted: DecisionFilter) -> dict[uuid.UUID, list[uuid.UUID]]:
    """By deployment, the versions of the model and prompt that have answered there."""
    found: dict[uuid.UUID, list[uuid.UUID]] = {}
    rows = Pairing.objects.filter(
        deployment_id__in=matching_deployments(wanted), model_version_id__in=matching_models(wanted)
    )
    for deployment, model in rows.values_list("deployment_id", "model_version_id"):
        found.setdefault(deployment, []).append(model)
    return found


def _attach_dimensions(decisions: Sequence[Decision]) -> None:
    if not decisions:
        return
    deployments = Deployment.objects.in_bulk({d.deployment_id for d in decisions})
    versions = ModelVersion.objects.in_bulk({d.model_version_id for d in decisions})
    for decision in decisions:
        decision.deployment = deployments[decision.deployment_id]
        decision.model_version = versions[decision.model_version_id]


def get_decision(actor: Actor, pk: uuid.UUID) -> Decision:
    """One decision of the actor's tenant, or 404."""
    require(actor, "decision.read")
    return get_row(Decision.objects.select_related("deployment", "model_version", "source"), pk=pk)
