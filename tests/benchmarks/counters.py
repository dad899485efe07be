"""What a step cost: CPU seconds of process trees from /proc, bytes of tables from PostgreSQL."""

import os
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.benchmarks.instance import Instance

_TICKS = os.sysconf("SC_CLK_TCK")
LEDGER_ROLES = ("affidavit_sequencer", "affidavit_signer")
TABLES = (
    "traces_decision",
    "traces_decisionpayload",
    "traces_submission",
    "traces_rulehit",
    "tenants_ledgerqueue",
    "tenants_ledgerleaf",
    "tenants_ledgertile",
)


def process_table() -> dict[int, tuple[int, float]]:
    """pid → (parent's pid, CPU seconds of itself and of its children that have ended)."""
    table = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # proc(5), counted from the state: ppid is field 1, utime, stime, cutime, cstime are 11 to 14.
        table[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])) / _TICKS)
    return table


def tree_cpu(root: int, table: dict[int, tuple[int, float]]) -> float:
    """CPU seconds of `root` and all that descend from it."""
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in table.items():
        children.setdefault(parent, []).append(pid)
    total, stack = 0.0, [root]
    while stack:
        pid = stack.pop()
        total += table.get(pid, (0, 0.0))[1]
        stack += children.get(pid, [])
    return total


@dataclass(frozen=True)
class Cpu:
    """CPU seconds: of the web, of PostgreSQL for it (background writers included), and of the ledger.

    `ledger` is the sequencer and the signer with their back ends: work that follows the answer.
    """

    web: float
    postgres: float
    sequencer: float
    signer: float
    ledger_postgres: float

    @property
    def answer(self) -> float:
        """What it takes until the answer: the web and PostgreSQL."""
        return self.web + self.postgres

    @property
    def everything(self) -> float:
        return self.answer + self.sequencer + self.signer + self.ledger_postgres

    def since(self, before: "Cpu") -> "Cpu":
        return Cpu(*(getattr(self, name) - getattr(before, name) for name in self.__dataclass_fields__))


def read_cpu(instance: Instance, database: psycopg.Connection) -> Cpu:
    """The counters now."""
    query = "SELECT pid FROM pg_stat_activity WHERE usename = ANY(%s)"
    pids = [row[0] for row in database.execute(query, [list(LEDGER_ROLES)])]
    table = process_table()
    ledger = sum(tree_cpu(pid, table) for pid in pids)
    postgres = instance.services.postgres
    whole = tree_cpu(postgres.process.pid, table) if postgres else 0.0
    own = {name: tree_cpu(process.pid, table) for name, process in instance.processes.items()}
    return Cpu(own["web"], whole - ledger, own.get("sequencer", 0.0), own.get("signer", 0.0), ledger)


def table_bytes(database: psycopg.Connection) -> dict[str, int]:
    """Bytes of each table of a record, with indexes and TOAST, over all partitions, after a VACUUM of the queue."""
    database.execute("VACUUM tenants_ledgerqueue")
    query = (
        "SELECT coalesce(sum(pg_total_relation_size(t.relid)), 0) FROM pg_partition_tree(%s::regclass) t WHERE t.isleaf"
    )
    return {table: int(database.execute(query, [table]).fetchone()[0]) for table in TABLES}  # type: ignore[index]
