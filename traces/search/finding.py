"""Decisions by their words: the index finds candidates, the content itself decides about phrases."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from django.db.models import Q, QuerySet, Subquery

from tenants.context import current_tenant_id
from traces.contents import members_of, read_contents
from traces.models import Decision, SearchToken
from traces.search.indexing import search_key
from traces.search.newest import RECENT, Newest, newest_of
from traces.search.subsets import FEW, asked_of_each, beyond_now, count_few, looked_up, named_in, one_of
from traces.search.words import Wanted, content_texts, token

RARE = 10_000  # a word's decisions are counted so far, to begin with the rarest
SAMPLED = 300  # the newest of the rarest word, asked for the others
OPENED_AT_ONCE = 60  # a page of fifty, and a little more


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of decisions in whose content every phrase is; `reached`: where the look ended before all were looked at."""

    ids: list[uuid.UUID]
    reached: tuple[uuid.UUID, datetime] | None = None


def with_words(wanted: Wanted) -> Q:
    """The condition that a decision holds every word, for whoever wants all of them. Inside `tenant_atomic`."""
    condition = Q()
    for rows in _by_word(wanted):
        condition &= Q(pk__in=rows.values("id"))
    return condition


def page_with_words(wanted: Wanted, newest: Newest | None = None) -> Q:
    """The same for a page (see `traces.search.subsets`), from the rarest word on.

    Where it is told which `newest` are wanted, older ones may be left out.
    """
    (n_rows, rarest), *others = sorted(((count_few(rows, RARE), rows) for rows in _by_word(wanted)), key=itemgetter(0))
    if not others:
        return named_in(rarest, "id")
    together = rarest
    for n_other, rows in others:
        read = n_other <= RARE  # whole; else each of the rarest is looked for in it
        together = together.filter(
            looked_up(rows, "id", n_other, of="id") if read else asked_of_each(rows, "id", of="id")
        )
    if newest and n_rows > RECENT and (condition := newest_of(rarest, together, newest)):
        return condition
    if 0 < n_rows <= FEW:
        return looked_up(together, "id", n_rows)
    frequent = [rows for _, rows in others]
    if n_rows and _seem_many(rarest, frequent, n_rows):
        return _walked((rarest, *frequent))
    ids = list(together.values_list("id", flat=True)[: FEW + 1]) if n_rows else []
    if len(ids) <= FEW:  # none of them is rare, but together they are
        return one_of(ids)
    return _walked((rarest, *frequent))


def _walked(by_word: Iterable[QuerySet[SearchToken]]) -> Q:
    """Each decision, from the newest on, is asked for every word."""
    condition = Q()
    for rows in by_word:
        condition &= asked_of_each(rows, "id")
    return condition


def _seem_many(rarest: QuerySet[SearchToken], others: Sequence[QuerySet[SearchToken]], n_rows: int) -> bool:
    """Whether the newest of the rarest word have the others so often that more than `FEW` of all `n_rows` will.

    It only chooses the way: a wrong guess costs time, and changes no answer.
    """
    oldest = rarest.order_by("-id").values_list("id", flat=True)[SAMPLED - 1 : SAMPLED]
    sampled = rarest.filter(id__gte=Subquery(oldest))
    for rows in others:
        sampled = sampled.filter(asked_of_each(rows, "id", of="id"))
    return sampled.order_by().count() * n_rows > FEW * SAMPLED


def _by_word(wanted: Wanted) -> list[QuerySet[SearchToken]]:
    key = search_key(current_tenant_id())
    return [SearchToken.objects.filter(token=token(key, word), id__lt=beyond_now()) for word in wanted.words]


def with_phrases(rows: QuerySet[Decision], wanted: Wanted) -> list[uuid.UUID]:
    """Those of `rows` that hold every phrase, however many there are."""
    candidates = list(rows.filter(with_words(wanted)).values_list("pk", flat=True))
    chunks = (candidates[at : at + OPENED_AT_ONCE] for at in range(0, len(candidates), OPENED_AT_ONCE))
    return [pk for chunk in chunks for pk in _holding(chunk, wanted)]


def page_with_phrases(
    rows: QuerySet[Decision], wanted: Wanted, limit: int, enough: int, newest: Newest | None = None
) -> Found:
    """The first of `rows`, in order, that hold every phrase: until there are enough, or `limit` were looked at."""
    held = page_with_words(wanted, newest)
    candidates = list(rows.filter(held).values_list("pk", "occurred_at")[: limit + 1])
    looked_at, ids = candidates[:limit], list[uuid.UUID]()
    for at in range(0, len(looked_at), OPENED_AT_ONCE):
        ids += _holding([pk for pk, _ in looked_at[at : at + OPENED_AT_ONCE]], wanted)
        if len(ids) >= enough:
            return Found(ids)
    return Found(ids, looked_at[-1] if len(candidates) > limit else None)


def _holding(chunk: Sequence[uuid.UUID], wanted: Wanted) -> list[uuid.UUID]:
    contents = read_contents(chunk)
    return [pk for pk in chunk if pk in contents and wanted.is_in(content_texts(members_of(contents[pk])))]
