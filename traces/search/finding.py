"""Decisions by their words: the index finds candidates, the content itself decides about phrases."""

import uuid
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from tenants.context import current_tenant_id
from traces.contents import members_of, read_contents
from traces.models import Decision, SearchToken
from traces.search.indexing import search_key
from traces.search.words import Wanted, content_texts, token

OPENED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of decisions in whose content every phrase is; partial: not every candidate was looked at."""

    ids: list[uuid.UUID]
    is_partial: bool


def with_words(wanted: Wanted) -> Q:
    """The condition that a decision holds every word. Inside `tenant_atomic`."""
    key, condition = search_key(current_tenant_id()), Q()
    for word in wanted.words:
        condition &= Q(pk__in=SearchToken.objects.filter(token=token(key, word)).values("id"))
    return condition


def with_phrases(rows: QuerySet[Decision], wanted: Wanted, limit: int | None) -> Found:
    """Those of `rows` that hold every phrase; of the newest `limit` that hold the words, or of all (None)."""
    candidates = rows.filter(with_words(wanted)).order_by("-occurred_at", "-id").values_list("pk", flat=True)
    ids = list(candidates[: limit + 1] if limit else candidates)
    is_partial = bool(limit) and len(ids) > (limit or 0)
    ids = ids[:limit]
    found = []
    for start in range(0, len(ids), OPENED_AT_ONCE):
        chunk = ids[start : start + OPENED_AT_ONCE]
        contents = read_contents(chunk)
        found += [pk for pk in chunk if pk in contents and wanted.is_in(content_texts(members_of(contents[pk])))]
    return Found(found, is_partial)
