"""Many rows in one statement: `INSERT … SELECT FROM unnest(…)` with arrays in PostgreSQL's binary format.

COPY is refused on a table with row-level security, and `executemany` pays for every row in Python. Packing the arrays
by hand costs about a microsecond a row; the server's WITH CHECK still sees each row.
"""

import struct
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

import psycopg
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from psycopg import sql
from psycopg.abc import DumperKey
from psycopg.adapt import Buffer, Dumper, PyFormat
from psycopg.pq import Format

_EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)
_NULL = b"\xff\xff\xff\xff"
_INT4 = struct.Struct("!i")
_HEADER = struct.Struct("!iiIii")
_INT8_ITEM = struct.Struct("!iq")
_BOOL_ITEMS = {True: b"\0\0\0\1\1", False: b"\0\0\0\1\0"}


def microseconds(at: datetime) -> int:
    """PostgreSQL's timestamptz: microseconds since 2000-01-01 UTC."""
    delta = at - _EPOCH_2000
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _bytes_item(value: bytes) -> bytes:
    return _INT4.pack(len(value)) + value


def _text_item(value: str) -> bytes:
    return _bytes_item(value.encode())


def _uuid_item(value: uuid.UUID) -> bytes:
    return b"\0\0\0\x10" + value.bytes


def _int8_item(value: int) -> bytes:
    return _INT8_ITEM.pack(8, value)


def _time_item(value: datetime) -> bytes:
    return _INT8_ITEM.pack(8, microseconds(value))


@dataclass(frozen=True, slots=True)
class ColumnType:
    """How one SQL type is packed: its name, the oids of the element and of its array, and the packer of an item."""

    name: str
    oid: int
    array_oid: int
    item: Callable[[Any], bytes]


# oids are fixed in PostgreSQL's catalogue (pg_type.dat).
BOOL = ColumnType("bool", 16, 1000, _BOOL_ITEMS.__getitem__)
BYTEA = ColumnType("bytea", 17, 1001, _bytes_item)
INT8 = ColumnType("int8", 20, 1016, _int8_item)
TEXT = ColumnType("text", 25, 1009, _text_item)
TIMESTAMPTZ = ColumnType("timestamptz", 1184, 1185, _time_item)
UUID = ColumnType("uuid", 2950, 2951, _uuid_item)


@dataclass(frozen=True, slots=True)
class PackedArray:
    """A one-dimensional array as the server reads it."""

    data: bytes
    oid: int


class PackedArrayDumper(Dumper):
    """Hands a `PackedArray` to libpq as it is, with its own type."""

    format = Format.BINARY

    def get_key(self, obj: PackedArray, format: PyFormat) -> DumperKey:
        return (PackedArray, obj.oid)  # type: ignore[return-value]  # any hashable will do; the alias is narrower

    def upgrade(self, obj: PackedArray, format: PyFormat) -> Dumper:
        dumper = PackedArrayDumper(PackedArray)
        dumper.oid = obj.oid
        return dumper

    def dump(self, obj: PackedArray) -> Buffer:
        return obj.data


def pack(kind: ColumnType, values: Iterable[Any]) -> PackedArray:
    """An array of `values`, None for NULL."""
    item = kind.item
    items = [_NULL if value is None else item(value) for value in values]
    return PackedArray(_HEADER.pack(1, 1, kind.oid, len(items), 1) + b"".join(items), kind.array_oid)


@dataclass(frozen=True)  # no slots: the statement is composed once
class BulkInsert:
    """A prepared way to add rows to one tenant table; `columns` in the order of the rows' values."""

    table: str
    columns: Sequence[tuple[str, ColumnType]]
    skip_conflicts: bool = False

    @cached_property
    def statement(self) -> bytes:
        """The INSERT, with the tenant as its first parameter and one array a column after it."""
        names = [sql.Identifier("tenant_id"), *(sql.Identifier(name) for name, _ in self.columns)]
        arrays = [sql.SQL("%b::" + kind.name + "[]") for _, kind in self.columns]
        composed = sql.SQL("INSERT INTO {} ({}) SELECT %b::uuid, row.* FROM unnest({}) AS row{}").format(
            sql.Identifier(self.table),
            sql.SQL(", ").join(names),
            sql.SQL(", ").join(arrays),
            sql.SQL(" ON CONFLICT DO NOTHING" if self.skip_conflicts else ""),
        )
        return composed.as_bytes(None)

    def insert(self, cursor: psycopg.Cursor[Any], tenant_id: uuid.UUID, rows: Sequence[Sequence[Any]]) -> int:
        """Add `rows`; returns how many were added (fewer than given only with `skip_conflicts`)."""
        if not rows:
            return 0
        cursor.execute(self.statement, self.parameters(tenant_id, rows))
        return cursor.rowcount

    def parameters(self, tenant_id: uuid.UUID, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """The tenant and one packed array a column; `rows` is not empty."""
        columns = zip(self.columns, zip(*rows, strict=True), strict=True)
        return [tenant_id, *(pack(kind, values) for (_, kind), values in columns)]


def insert_together(using: str, tenant_id: uuid.UUID, inserts: Sequence[tuple[BulkInsert, Sequence[Any]]]) -> int:
    """Add rows to several tables in one statement, that is one round trip; returns how many the first table took.

    Tables without rows are left out. For a single record the round trips, not the rows, are the price. Database
    errors are Django's.
    """
    given = [(table, rows) for table, rows in inserts if rows]
    first, *others = (table.statement for table, _ in given)
    parts = [b"WITH t0 AS (", first, b" RETURNING 1)"]
    for number, statement in enumerate(others, start=1):
        parts += (b", t%d AS (" % number, statement, b")")
    query = b"".join([*parts, b" SELECT count(*) FROM t0"])
    values = [value for table, rows in given for value in table.parameters(tenant_id, rows)]
    with raw_cursor(using) as cursor:
        cursor.execute(query, values)
        row = cursor.fetchone()
    return int(row[0]) if row else 0


@contextmanager
def quick_transaction(
    using: str, tenant_id: uuid.UUID, reads: Sequence[sql.Composable]
) -> Iterator[list[list[tuple[Any, ...]]]]:
    """A tenant's transaction that begins with its reads, in one round trip; gives the rows of each.

    For the write path, where every round trip is one that a record waits for: what `tenant_atomic` says in four
    messages is one here. Django knows nothing of the transaction, so nothing inside may go through the ORM: use
    `insert_together`. A connection that broke while it was idle is replaced once, before anything was done.
    """
    if connections[using].in_atomic_block:
        raise TransactionManagementError("A quick transaction is one of its own; it cannot be part of another.")
    local = sql.SQL("BEGIN; SET LOCAL app.tenant_id = {}").format(sql.Literal(str(tenant_id)))
    query = sql.SQL("; ").join([local, *reads])
    try:
        cursor = raw_cursor(using)
        try:
            cursor.execute(query)
        except OperationalError:
            if not cursor.connection.broken:
                raise
            connections[using].close()
            cursor = raw_cursor(using)
            cursor.execute(query)
        yield _result_sets(cursor)
        cursor.execute("COMMIT")
    except BaseException:
        _roll_back(connections[using].connection)
        raise


def _result_sets(cursor: psycopg.Cursor[Any]) -> list[list[tuple[Any, ...]]]:
    found = []
    while True:
        if cursor.description is not None:
            found.append(cursor.fetchall())
        if not cursor.nextset():
            return found


def _roll_back(connection: "psycopg.Connection[Any] | None") -> None:
    if connection is not None and not connection.broken and not connection.closed:
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")


class RawCursor(psycopg.Cursor[Any]):
    """psycopg's own cursor, whose errors are Django's: who waits for a lost database knows only those."""

    wrapper: BaseDatabaseWrapper

    def execute(self, *args: Any, **kwargs: Any) -> Self:
        with self.wrapper.wrap_database_errors:
            return super().execute(*args, **kwargs)


def raw_cursor(using: str) -> RawCursor:
    """A server-binding cursor on a Django connection that is already inside `tenant_atomic`."""
    wrapper = connections[using]
    wrapper.ensure_connection()
    cursor = RawCursor(wrapper.connection)
    cursor.wrapper = wrapper
    cursor.adapters.register_dumper(PackedArray, PackedArrayDumper)
    return cursor
