"""One round: every figure once, against a running instance."""

import http.client
import json
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import asdict
from statistics import median
from typing import Any

import psycopg

from config.processes import wait_until
from config.supervisor import ROOT
from tests.benchmarks.corpus import external_id, pieces
from tests.benchmarks.counters import read_cpu, table_bytes
from tests.benchmarks.instance import Credentials, Instance
from tests.benchmarks.load import Plan, Result
from tests.benchmarks.rawcopy import measure
from tests.benchmarks.report import Round, Step

BATCHES = (1, 100, 512)
DRAIN_SECONDS = 120.0
READS = 20


class Bench:
    """The instance under load, and what has been acknowledged so far."""

    def __init__(self, instance: Instance, credentials: Credentials, connections: int) -> None:
        self.instance = instance
        self.credentials = credentials
        self.connections = connections
        self.database = instance.database()
        self.acknowledged = 0

    def run(self, seconds: float, backlog: int) -> Round:
        """Every figure once, each step `seconds` long; `backlog` records for the sequencer to drain."""
        result = Round()
        stored, sizes = self.stored(), table_bytes(self.database)
        total_bytes = 0
        for batch in BATCHES:
            step, load = self.step(batch, seconds)
            result.steps.append(step)
            total_bytes += load.json_bytes
            print(f"  batch {batch}: {step.durable:,.0f}/s, p99 {step.p99_ms:.0f} ms", flush=True)
        grown = self.stored() - stored
        after = table_bytes(self.database)
        result.bytes_per_record = {table: (after[table] - sizes[table]) / grown for table in after}
        result.json_bytes = total_bytes / sum(step.records for step in result.steps)
        result.drain_rate, result.signed_after_s = self.drain(backlog)
        result.readable, result.read_p50_ms = self.read_after_write()
        result.read_of = READS
        raw = measure(self.instance.services.database_url, self.credentials.tenant_id, min(grown, 20 * 512))
        result.raw_copy = raw.rate
        result.missing = self.acknowledged - self.stored()
        print(f"  raw COPY: {raw.rate:,.0f}/s; drain {result.drain_rate:,.0f}/s", flush=True)
        return result

    def step(self, batch: int, seconds: float) -> tuple[Step, Result]:
        """Load with one batch size, then wait until the tree holds it all."""
        with self.load(batch, seconds) as client:
            before = read_cpu(self.instance, self.database)
            load = client.go()
            spent = read_cpu(self.instance, self.database).since(before)
            waited = time.monotonic()
            self.wait_drained()
            drained = time.monotonic() - waited
            whole = read_cpu(self.instance, self.database).since(before)
        thousand = max(load.records, 1) / 1000
        step = Step(
            batch=batch,
            records=load.records,
            durable=load.records / load.seconds,
            p50_ms=load.p50_ms,
            p99_ms=load.p99_ms,
            cpu_answer=spent.answer / thousand,
            cpu_web=spent.web / thousand,
            cpu_postgres=spent.postgres / thousand,
            cpu_sequencer=(whole.sequencer + whole.signer + whole.ledger_postgres) / thousand,
            cpu_everything=whole.everything / thousand,
            drained_after_s=drained,
            pushed_back=load.pushed_back,
            errors=load.errors,
            client_cores=load.client_cpu / load.seconds,
        )
        return step, load

    def drain(self, records: int) -> tuple[float, float]:
        """Leaves a second of a sequencer that has nothing beside it, and seconds until the last leaf is signed."""
        sequencer = self.instance.processes["sequencer"]
        sequencer.send_signal(signal.SIGSTOP)
        try:
            with self.load(256, 25.0, records=records) as client:
                client.go()
        finally:
            sequencer.send_signal(signal.SIGCONT)
        waiting, started = self.waiting(), time.monotonic()
        self.wait_drained()
        drained = time.monotonic() - started
        wait_until(lambda: self.unsigned() == 0, DRAIN_SECONDS, interval=0.05)
        return waiting / drained, time.monotonic() - started

    def read_after_write(self) -> tuple[int, float]:
        """How many of a few new records could be read in the very next request, and the median time of that."""
        connection = http.client.HTTPConnection("127.0.0.1", self.instance.port, timeout=30)
        write = {"Authorization": f"Bearer {self.credentials.ingest_key}", "Content-Type": "application/json"}
        read = {"Authorization": f"Bearer {self.credentials.read_key}"}
        found, times, run = 0, [], uuid.uuid4().hex
        for number, (before, after) in enumerate(pieces(READS)):
            body = before + external_id(run, 0, number) + after
            connection.request("POST", "/api/v1/decisions", body, write)
            answer = json.loads(connection.getresponse().read())
            self.acknowledged += 1
            started = time.perf_counter()
            connection.request("GET", f"/api/v1/decisions/{answer['id']}", headers=read)
            response = connection.getresponse()
            found += response.status == 200 and json.loads(response.read())["id"] == answer["id"]
            times.append(1000 * (time.perf_counter() - started))
        return found, median(times)

    def load(self, batch: int, seconds: float, records: int = 0) -> "Client":
        """A client that has warmed up."""
        plan = Plan(
            port=self.instance.port,
            key=self.credentials.ingest_key,
            batch=batch,
            connections=self.connections,
            seconds=seconds,
            run=uuid.uuid4().hex,
            records=records,
        )
        return self.client(plan)

    def client(self, plan: Plan) -> "Client":
        """A client with a plan of its own."""
        return Client(plan, self)

    def stored(self) -> int:
        return self.count("SELECT count(*) FROM traces_decision WHERE tenant_id = %s")

    def waiting(self) -> int:
        return self.count("SELECT count(*) FROM tenants_ledgerqueue WHERE tenant_id = %s")

    def unsigned(self) -> int:
        """Leaves of the tree that no checkpoint covers yet."""
        signed = "SELECT coalesce(max(size), 0) FROM tenants_ledgercheckpoint c WHERE c.tenant_id = l.tenant_id"
        return self.count(f"SELECT size - ({signed}) FROM tenants_ledgerlog l WHERE tenant_id = %s")

    def wait_drained(self) -> None:
        """Until the queue is empty; raises `TimeoutError`."""
        some = "SELECT count(*) FROM (SELECT FROM tenants_ledgerqueue WHERE tenant_id = %s LIMIT 1) AS one"
        if not wait_until(lambda: self.count(some) == 0, DRAIN_SECONDS, interval=0.05):
            raise TimeoutError(f"{self.waiting()} leaves still wait:\n{self.instance.log_tail()}")

    def count(self, query: str) -> int:
        try:
            row = self.database.execute(query, [self.credentials.tenant_id]).fetchone()
        except psycopg.Error as error:
            raise RuntimeError(f"{error}\n{self.instance.log_tail()}") from error
        return int(row[0]) if row else 0


class Client:
    """The load process: entering waits for its warm-up, `go` lets it run to its end."""

    def __init__(self, plan: Plan, bench: Bench) -> None:
        self.plan = plan
        self.bench = bench
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.load"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Client":
        self._say(json.dumps(asdict(self.plan)))
        if self._hear() != "ready":
            raise RuntimeError(f"The client did not warm up:\n{self.bench.instance.log_tail()}")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.communicate()

    def go(self) -> Result:
        """Run the load; raises `RuntimeError` when the client dies."""
        self.start()
        line = self._hear()
        if not line:
            raise RuntimeError(f"The client died:\n{self.bench.instance.log_tail()}")
        answer: dict[str, Any] = json.loads(line)
        result = Result(**answer)
        self.bench.acknowledged += result.records + result.warm_up_records
        return result

    def start(self) -> None:
        """Let the load begin; leaving the block ends it."""
        self._say("go")

    def _say(self, line: str) -> None:
        if self.process.stdin:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def _hear(self) -> str:
        return self.process.stdout.readline().strip() if self.process.stdout else ""
