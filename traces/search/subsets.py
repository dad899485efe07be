"""Decisions that rows of another table name: those with a word, with a hit of a policy, with somebody's feedback.

The newest fifty of them can be had in two ways: look all of them up and sort, which costs by how many they are, or walk
the decisions from the newest on and ask of each, which costs by how rare they are. PostgreSQL knows only how many an
average word has, and takes the wrong way by a factor of a thousand. So we count, as far as it matters, and say it.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Lookup, Model, OuterRef, Q, QuerySet, Subquery, UUIDField
from django.db.models.lookups import IsNull

from tenants.ids import first_uuid_at

FEW = 3_000  # looked up and sorted in about the time in which a walk meets fifty of them among half a million
LATECOMERS = 10  # and as many again: rows that others add between the count and the look-up


@UUIDField.register_lookup
class AnyOf(Lookup):  # type: ignore[type-arg]  # no generic at run time
    """As `in`, with the ids as one array: three thousand parameters cost more than looking three thousand rows up."""

    lookup_name = "any_of"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        left, params = self.process_lhs(compiler, connection)
        return f"{left} = ANY(%s)", [*params, list(self.rhs)]


def count_few(rows: QuerySet[Any, Any], limit: int = 0) -> int:
    """How many rows there are, counted no further than one more than `FEW`, or than another limit."""
    return rows.order_by()[: (limit or FEW) + 1].count()


def beyond_now() -> uuid.UUID:
    """An id beyond all there are. A query that ends there is planned without the partitions of months to come."""
    return first_uuid_at(datetime.now(UTC) + timedelta(days=1))


def one_of(ids: Sequence[uuid.UUID]) -> Q:
    """The condition that a decision is one of these."""
    return Q(pk__any_of=ids) if ids else Q(pk__in=[])  # the latter asks the database nothing


def named_in(rows: QuerySet[Any, Any], column: str) -> Q:
    """The condition that a decision is named in that column of one of `rows`. For pages; inside `tenant_atomic`."""
    n_rows = count_few(rows)
    if not n_rows:
        return one_of([])
    if n_rows <= FEW:
        return looked_up(rows, column, n_rows)
    return asked_of_each(rows, column)


def looked_up(rows: QuerySet[Any, Any], column: str, n_rows: int, *, of: str = "pk") -> Q:
    """The limit tells the planner how many there are."""
    return Q((f"{of}__in", rows.order_by().values(column)[: 2 * n_rows + LATECOMERS]))


def asked_of_each(rows: QuerySet[Any, Any], column: str, *, of: str = "pk") -> Q:
    """A scalar sub-select, which the planner never turns into a join: the order of the walk stays."""
    named: QuerySet[Model, Any] = rows.order_by().filter(**{column: OuterRef(of)}).values(column)[:1]
    return Q(IsNull(Subquery(named), False))
