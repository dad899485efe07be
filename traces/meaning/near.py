"""What is near in meaning: within one tenant, among what the filters leave, in two looks.

The first compares signs: `bit_count(signs # query)` over the tenant's newest `SCANNED` rows, plain PostgreSQL of any
version that we support, no extension and no index to keep. The second reads the vectors of the `CANDIDATES` that
differ least and ranks them by cosine. Both looks are bounded, so a search costs the same however much is stored; when
the bound is reached, the caller is told. An approximate index would have to be searched before the tenant and the
filters are looked at, and would find fewer than there are.

To know what is near a text is to know something of content: the callers require `decision.read_payload`, and record
what they showed as read.
"""

import time
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from numpy.typing import NDArray

from tenants.access import require
from tenants.actors import Actor
from tenants.context import current_tenant_id
from traces.meaning.encoder import VERSION, encode_one, signs, unpacked
from traces.models import Decision, Embedding
from traces.selectors import DecisionFilter, filtered, matching_deployments

SCANNED = 200_000
BOUND_SECONDS = 60.0
SCANNED_FOR_PEERS = 2_000
CANDIDATES = 150
MOST_SHOWN = 50
LEAST_LIKE = 0.25  # cosine under which two texts have nothing to do with each other


@dataclass(frozen=True, slots=True)
class Near:
    """A decision and how near it is (cosine, 1 is the same)."""

    decision: Decision
    likeness: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """What was found, the nearest first; partial: older ones were not looked at."""

    found: list[Near]
    is_partial: bool


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Vectors to be near to; either may be missing. `either`: the better of the two counts, else their mean."""

    asked: NDArray[np.float32] | None
    answered: NDArray[np.float32] | None
    either: bool


def search(text: str, wanted: DecisionFilter, *, by: Actor, size: int = MOST_SHOWN) -> Nearest:
    """The decisions whose question or answer is nearest to a text, within the filter. Inside `tenant_atomic`."""
    require(by, "decision.read_payload")
    vector = encode_one(text)
    return _nearest(_rows(wanted), _Wanted(vector, vector, either=True), size)


def similar(decision: Decision, *, by: Actor, wanted: DecisionFilter | None = None, size: int = 10) -> Nearest | None:
    """The decisions nearest to one, by question and answer together; None while it is not embedded."""
    require(by, "decision.read_payload")
    own = Embedding.objects.filter(pk=decision.pk, version=VERSION).first()
    if own is None:
        return None
    rows = _rows(wanted or DecisionFilter()).exclude(pk=decision.pk)
    return _nearest(rows, _Wanted(*_vectors(own), either=False), size)


def answers_to_like(
    deployment_id: uuid.UUID, own: Embedding, *, within: timedelta, least: float, most: int
) -> list[NDArray[np.float32]]:
    """Vectors of the answers that a deployment gave to nearly the same question before. For the product's own work."""
    if own.asked is None or own.asked_signs is None:
        return []
    rows = Embedding.objects.filter(
        deployment_id=deployment_id,
        version=VERSION,
        occurred_at__lt=own.occurred_at,
        occurred_at__gte=own.occurred_at - within,
        answered__isnull=False,
    )
    question = unpacked(own.asked)
    newest = rows.order_by("-occurred_at", "-id")[:SCANNED_FOR_PEERS]
    ids = _closest(newest, _Wanted(question, None, either=False), most * 2)
    near = []
    for row in Embedding.objects.filter(pk__in=ids):
        asked, answered = _vectors(row)
        if asked is not None and answered is not None and float(asked @ question) >= least:
            near.append(answered)
    return near[:most]


def _rows(wanted: DecisionFilter) -> QuerySet[Embedding]:
    """Embeddings of what the filter leaves; time and place are looked up here, the rest in the decisions."""
    rows = Embedding.objects.filter(version=VERSION)
    if wanted.since:
        rows = rows.filter(occurred_at__gte=wanted.since)
    if wanted.until:
        rows = rows.filter(occurred_at__lt=wanted.until)
    if wanted.system or wanted.environment or wanted.task:
        rows = rows.filter(deployment_id__in=matching_deployments(wanted))
    rest = replace(wanted, q="", system="", environment="", task="")
    if replace(rest, since=None, until=None).as_dict():
        rows = rows.filter(pk__in=filtered(rest).order_by().values("pk"))
    return rows


def _closest(rows: QuerySet[Embedding], wanted: _Wanted, size: int) -> list[uuid.UUID]:
    """The first look: ids by how many signs differ."""
    parts, values = [], []
    for name, vector in (("asked_signs", wanted.asked), ("answered_signs", wanted.answered)):
        if vector is not None:
            parts.append(f"bit_count({name} # %s::bit(384))")
            values.append(signs(vector))
    # LEAST is of what is not null; in a sum, what is missing is neither near nor far.
    summed = " + ".join(f"COALESCE({part}, 192)" for part in parts)
    distance = f"LEAST({', '.join(parts)})" if wanted.either else summed
    try:
        inner, params = rows.values("pk", "asked_signs", "answered_signs").query.sql_with_params()
    except EmptyResultSet:  # a filter that names nothing leaves nothing to ask the database
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT s.id FROM ({inner}) AS s (id, asked_signs, answered_signs) ORDER BY {distance}, s.id LIMIT %s",
            [*params, *values, size],
        )
        return [row[0] for row in cursor.fetchall()]


_bounds: dict[uuid.UUID, tuple[float, datetime | None]] = {}


def _oldest_looked_at() -> datetime | None:
    """When the oldest of the tenant's newest `SCANNED` occurred; None: there are no more. Looked up once a minute."""
    tenant_id, now = current_tenant_id(), time.monotonic()
    known = _bounds.get(tenant_id)
    if known is None or now - known[0] > BOUND_SECONDS:
        times = Embedding.objects.order_by("-occurred_at", "-id").values_list("occurred_at", flat=True)
        known = _bounds[tenant_id] = now, next(iter(times[SCANNED : SCANNED + 1]), None)
    return known[1]


def _nearest(rows: QuerySet[Embedding], wanted: _Wanted, size: int) -> Nearest:
    oldest = _oldest_looked_at()
    ids = _closest(rows.filter(occurred_at__gt=oldest) if oldest else rows, wanted, CANDIDATES)
    ranked = sorted(
        ((_likeness(row, wanted), row.pk) for row in Embedding.objects.filter(pk__in=ids)),
        key=lambda one: (-one[0], one[1]),
    )[:size]
    decisions = Decision.objects.select_related("deployment", "model_version").in_bulk([pk for _, pk in ranked])
    found = [Near(decisions[pk], like) for like, pk in ranked if like >= LEAST_LIKE and pk in decisions]
    return Nearest(found, oldest is not None)


def _vectors(row: Embedding) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    return (
        unpacked(row.asked) if row.asked is not None else None,
        unpacked(row.answered) if row.answered is not None else None,
    )


def _likeness(row: Embedding, wanted: _Wanted) -> float:
    pairs = zip(_vectors(row), (wanted.asked, wanted.answered), strict=True)
    cosines = [float(mine @ theirs) for mine, theirs in pairs if mine is not None and theirs is not None]
    if not cosines:
        return 0.0
    return max(cosines) if wanted.either else sum(cosines) / len(cosines)
