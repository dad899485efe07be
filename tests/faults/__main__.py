"""`python -m tests.faults`: kill everything at random under load, then count what was lost. Exit 1 if anything was.

`--kills 20` (the default) takes about three minutes, `--quick` five kills.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from config.processes import wait_until
from config.servers import TEST_DURABLE
from config.supervisor import ROOT
from tests.benchmarks.instance import Credentials, Instance, make_tenant, running_instance
from tests.benchmarks.policies import activate_starters
from tests.benchmarks.report import machine
from tests.faults.killer import Kill, Killer
from tests.faults.outages import broker_away, database_away
from tests.faults.verdict import Verdict, judge, read_acknowledged

PROCESSES = ("signer", "sequencer", "worker", "web")
FINISH_SECONDS = 120.0


def main() -> int:
    options = _options()
    print(f"Starting a private, durable instance (seed {options.seed}) …", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="affidavit-faults-") as scratch,
        running_instance(TEST_DURABLE, processes=PROCESSES) as instance,
    ):
        credentials = make_tenant("faults")
        activate_starters(credentials.tenant_id, 2)
        receipts = Path(scratch) / "receipts.jsonl"
        receipts.touch()
        killer = Killer(instance, options.seed)
        kills, statuses = under_load(instance, credentials, receipts, killer, options)
        drained = drain(instance, credentials)
        verdict = judge(instance, credentials, receipts, Path(scratch))
        verdict.hold("The queue drains and the head is signed", int(drained is None), f"after {drained or 0:.1f} s")
        broker_away(instance, credentials, verdict)
        database_away(instance, credentials, killer, verdict)
        report = {
            "machine": machine(),
            "seed": options.seed,
            "kills": [asdict(kill) for kill in kills],
            "acknowledged": len(read_acknowledged(receipts)),
            "client_saw": statuses,
            "checks": verdict.checks,
            "held": verdict.held,
        }
        if not verdict.held:
            print(instance.log_tail(), file=sys.stderr)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\n{table(kills, statuses, verdict)}\n\nThe whole report: {options.out}")
    return 0 if verdict.held else 1


def under_load(
    instance: Instance, credentials: Credentials, receipts: Path, killer: Killer, options: argparse.Namespace
) -> tuple[list[Kill], dict[str, int]]:
    """Kill while the client works; then let the client finish. Returns the kills and what the client was answered."""
    command = [sys.executable, "-m", "tests.faults.client", str(instance.port), credentials.ingest_key, str(receipts)]
    client = subprocess.Popen([*command, str(options.connections)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        if not wait_until(lambda: receipts.stat().st_size > 0, 30.0):
            raise RuntimeError(f"Nothing was acknowledged:\n{instance.log_tail()}")
        kills = killer.run(options.kills)
        time.sleep(1.0)
        client.send_signal(signal.SIGTERM)
        output, _ = client.communicate(timeout=FINISH_SECONDS)
    finally:
        client.kill()
        client.wait()
    statuses: dict[str, int] = json.loads(output or "{}")
    return kills, statuses


def drain(instance: Instance, credentials: Credentials) -> float | None:
    """Seconds until the queue is empty and signed; None if it never was."""
    query = (
        "SELECT (SELECT count(*) FROM tenants_ledgerqueue q WHERE q.tenant_id = l.tenant_id) + l.size - coalesce("
        "(SELECT max(size) FROM tenants_ledgercheckpoint c WHERE c.tenant_id = l.tenant_id), 0)"
        " FROM tenants_ledgerlog l WHERE tenant_id = %s"
    )
    started = time.monotonic()
    with instance.database() as database:

        def is_done() -> bool:
            row = database.execute(query, [credentials.tenant_id]).fetchone()
            return row is not None and row[0] == 0

        return time.monotonic() - started if wait_until(is_done, FINISH_SECONDS, interval=0.2) else None


def table(kills: list[Kill], statuses: dict[str, int], verdict: Verdict) -> str:
    """The report for a terminal."""
    by_target: dict[str, list[float]] = {}
    for kill in kills:
        by_target.setdefault(kill.target, []).append(kill.recovered_s)
    lines = [
        f"{target:12} killed {len(times):>2} times, back within {max(times):.1f} s"
        for target, times in by_target.items()
    ]
    lines.append("the client was answered: " + ", ".join(f"{name} × {n}" for name, n in sorted(statuses.items())))
    lines.append("")
    for check in verdict.checks:
        mark = "ok    " if check["held"] else "FAILED"
        wrong = "" if check["held"] else f" — {check['wrong']} wrong {check['examples']}"
        detail = f" ({check['detail']})" if check["detail"] else ""
        lines.append(f"{mark} {check['statement']}{detail}{wrong}")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--quick", dest="kills", action="store_const", const=5, help="five kills")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "faults.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
