"""Filling the index of words: what a transaction stored and queued, another one takes out and indexes.

As with usage (`traces.costs.rollups`), the queue is the only state: each content is indexed once, whatever crashes.
"""

import uuid
from collections.abc import Mapping, Sequence

from django.db import connection

from tenants import crypto
from tenants.bulk import INT8, UUID, BulkInsert, raw_cursor
from tenants.context import tenant_atomic
from traces.contents import members_of, read_contents
from traces.models import Decision, SearchQueue, SpanContent
from traces.search.words import KEY_LABEL, distinct_words, token

BATCH = 500
SHOWN_BACKLOG = 10_000  # counted no further
TOKENS = BulkInsert("traces_searchtoken", [("token", INT8), ("id", UUID)], skip_conflicts=True)

_TAKEN = """
DELETE FROM traces_searchqueue WHERE tenant_id = %s AND id IN (
    SELECT id FROM traces_searchqueue WHERE tenant_id = %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING id
"""


def search_key(tenant_id: uuid.UUID) -> bytes:
    """The key of the tenant's words. Inside `tenant_atomic`."""
    return crypto.derive(crypto.tenant_key(tenant_id), KEY_LABEL)


def index_words(tenant_id: uuid.UUID, *, batch: int = BATCH) -> int:
    """Index what waits, a batch a transaction; returns how much was taken."""
    done = 0
    while True:
        with tenant_atomic(tenant_id):
            with connection.cursor() as cursor:
                cursor.execute(_TAKEN, [tenant_id, tenant_id, batch])
                taken = [row[0] for row in cursor.fetchall()]
            _index(tenant_id, taken)
        done += len(taken)
        if len(taken) < batch:
            return done


def _index(tenant_id: uuid.UUID, taken: Sequence[uuid.UUID]) -> None:
    owners = _owners(taken)
    contents = read_contents(list(owners))  # what was erased in between is missing
    key, rows = search_key(tenant_id), set()
    for pk, content in contents.items():
        rows |= {(token(key, word), owners[pk]) for word in distinct_words(members_of(content))}
    TOKENS.insert(raw_cursor("default"), tenant_id, sorted(rows))


def _owners(taken: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, uuid.UUID]:
    """Content → the decision that is found by it: itself, or the one of the same span, in either order of arrival.

    Content whose decision is not there yet is left out: the decision brings it along when it comes.
    """
    fields = ("id", "trace_id", "span_id")
    decisions = list(Decision.objects.filter(pk__in=taken).values_list(*fields))
    apart = list(SpanContent.objects.filter(pk__in=taken).values_list(*fields))
    spans = {(trace_id, span_id): pk for pk, trace_id, span_id in decisions if trace_id and span_id is not None}
    traces = {trace_id for trace_id, _ in spans}
    beside = SpanContent.objects.filter(trace_id__in=traces).values_list(*fields) if traces else []
    late = {trace_id for _, trace_id, _ in apart}
    known = Decision.objects.filter(trace_id__in=late).values_list(*fields) if late else []
    spans |= {(trace_id, span_id): pk for pk, trace_id, span_id in known}
    owners = {pk: pk for pk, _, _ in decisions}
    owners |= {pk: spans[trace, span] for pk, trace, span in [*apart, *beside] if (trace, span) in spans}
    return owners


def backlog() -> int:
    """How much content waits, counted up to `SHOWN_BACKLOG`. Inside `tenant_atomic`."""
    return len(SearchQueue.objects.values_list("id")[:SHOWN_BACKLOG])


def rebuild(tenant_id: uuid.UUID) -> int:
    """Forget every word of a tenant and index all its content again; returns how much was taken."""
    with tenant_atomic(tenant_id), connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_searchtoken WHERE tenant_id = %s", [tenant_id])
        cursor.execute(
            "INSERT INTO traces_searchqueue (tenant_id, id) SELECT tenant_id, id FROM traces_decisionpayload"
            " WHERE tenant_id = %s ON CONFLICT DO NOTHING",
            [tenant_id],
        )
    return index_words(tenant_id)
