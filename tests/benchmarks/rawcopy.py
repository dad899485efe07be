"""The yardstick: the rows a batch stored, COPYed as they are into plain copies of the same tables by one writer."""

import time
from dataclasses import dataclass

import psycopg

CHUNK = 512
# What recording a decision writes. Queue rows are gone by now: they are made again from the leaves.
SOURCES = ("traces_decision", "traces_decisionpayload", "traces_submission", "traces_rulehit", "tenants_ledgerqueue")


@dataclass(frozen=True)
class RawCopy:
    """`rate` in records a second; `megabytes` is the binary COPY stream's size."""

    rate: float
    records: int
    megabytes: float


def measure(database_url: str, tenant_id: str, records: int) -> RawCopy:
    """COPY the newest `records` decisions of a tenant, 512 a commit."""
    with psycopg.connect(database_url) as connection:
        chunks = _export(connection, tenant_id, records)
        for table in SOURCES:
            connection.execute(f"DROP TABLE IF EXISTS raw_{table}")
            connection.execute(f"CREATE TABLE raw_{table} (LIKE {table} INCLUDING ALL)")
        connection.commit()
        started = time.perf_counter()
        for chunk in chunks:
            for table, data in chunk.items():
                with connection.cursor().copy(f"COPY raw_{table} FROM STDIN (FORMAT binary)") as copy:
                    copy.write(data)
            connection.commit()
        seconds = time.perf_counter() - started
        row = connection.execute("SELECT count(*) FROM raw_traces_decision").fetchone()
        for table in SOURCES:
            connection.execute(f"DROP TABLE raw_{table}")
    stored = row[0] if row else 0
    size = sum(len(data) for chunk in chunks for data in chunk.values())
    return RawCopy(stored / seconds, stored, size / 1e6)


def _export(connection: psycopg.Connection, tenant_id: str, records: int) -> list[dict[str, bytes]]:
    newest = "SELECT id FROM traces_decision WHERE tenant_id = %s ORDER BY id DESC LIMIT %s"
    ids = [row[0] for row in connection.execute(newest, [tenant_id, records])]
    connection.execute(
        "CREATE TEMP TABLE exported ON COMMIT DROP AS"
        " SELECT enq.id, (row_number() OVER () - 1) / %s AS chunk FROM unnest(%s::uuid[]) AS enq(id)",
        [CHUNK, ids],
    )
    connection.execute(
        "CREATE TEMP TABLE answered ON COMMIT DROP AS SELECT s.*, e.chunk FROM traces_submission s"
        " JOIN exported e ON e.id::text = convert_from(s.answer, 'UTF8')::jsonb->>'id' WHERE s.tenant_id = %s",
        [tenant_id],
    )
    columns = _columns(connection)
    return [
        {table: _read(connection, _query(table, columns[table], number)) for table in SOURCES}
        for number in range((len(ids) + CHUNK - 1) // CHUNK)
    ]


def _columns(connection: psycopg.Connection) -> dict[str, str]:
    found = {}
    for table in SOURCES:
        query = (
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        )
        row = connection.execute(query, [table]).fetchone()
        found[table] = str(row[0]) if row else ""
    return found


def _query(table: str, columns: str, chunk: int) -> str:
    part = f"(SELECT id FROM exported WHERE chunk = {chunk})"
    if table == "traces_submission":
        return f"SELECT {columns} FROM answered WHERE chunk = {chunk}"
    if table == "tenants_ledgerqueue":
        values = {"enq_id": "leaf_index"}
        chosen = ", ".join(values.get(name, name) for name in columns.split(", "))
        return f"SELECT {chosen} FROM tenants_ledgerleaf WHERE rid IN {part}"
    key = "decision_id" if table == "traces_rulehit" else "id"
    return f"SELECT {columns} FROM {table} WHERE {key} IN {part}"


def _read(connection: psycopg.Connection, query: str) -> bytes:
    with connection.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
        return b"".join(bytes(block) for block in copy)
