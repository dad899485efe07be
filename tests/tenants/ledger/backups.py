"""A backup of one tenant's log, and its restoration: what point-in-time recovery does to the database."""

import uuid

from tests.tenants.ledger.test_sequencer import administrator

TABLES = ("queue", "leaf", "tile", "checkpoint", "log")
GUARDS = {
    "leaf": ("append_only_table", "append_only_rows"),
    "tile": ("append_only_table", "full_tile"),
    "checkpoint": ("append_only_table", "append_only_rows"),
}


class Backup:
    """The log's rows as they are now."""

    def __init__(self, tenant_id: uuid.UUID) -> None:
        self._of = f"tenant_id = '{tenant_id}'"
        self._rows: dict[str, bytes] = {}
        with administrator() as connection, connection.cursor() as cursor:
            for table in TABLES:
                select = f"COPY (SELECT * FROM tenants_ledger{table} WHERE {self._of}) TO STDOUT (FORMAT binary)"
                with cursor.copy(select) as copy:
                    self._rows[table] = b"".join(bytes(block) for block in copy)

    def restore(self) -> None:
        """Put them back, in place of what came since."""
        with administrator() as connection, connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            for table in GUARDS:
                cursor.execute(f"ALTER TABLE tenants_ledger{table} DISABLE TRIGGER USER")
            for table in TABLES:
                cursor.execute(f"DELETE FROM tenants_ledger{table} WHERE {self._of}")
                with cursor.copy(f"COPY tenants_ledger{table} FROM STDIN (FORMAT binary)") as copy:
                    copy.write(self._rows[table])
            for table, guards in GUARDS.items():
                for guard in guards:
                    cursor.execute(f"ALTER TABLE tenants_ledger{table} ENABLE ALWAYS TRIGGER {guard}")
