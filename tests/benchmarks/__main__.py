"""`python -m tests.benchmarks`: throughput, latency, CPU and size on this machine, in one run.

`--quick` takes half a minute, `--full` three rounds and their medians. `profile` shows where the time of the write
path goes instead.
"""

import argparse
import sys
from pathlib import Path

from config.servers import DEMO
from config.supervisor import ROOT
from tests.benchmarks import profiling, report
from tests.benchmarks.instance import make_tenant, running_instance
from tests.benchmarks.policies import activate_starters
from tests.benchmarks.rounds import Bench


def main() -> int:
    options = _options()
    if options.command == "profile":
        return profiling.run(options)
    rounds = options.rounds or (3 if options.full else 1)
    seconds = options.seconds or (3.0 if options.quick else 10.0)
    result = {"machine": report.machine(), "rounds": rounds, "seconds": seconds, "connections": options.connections}
    print("Starting a private, durable instance …", flush=True)
    with running_instance(DEMO, workers=options.workers, threads=options.threads) as instance:
        credentials = make_tenant("bench")
        result["policies"] = activate_starters(credentials.tenant_id, options.policies)
        bench = Bench(instance, credentials, options.connections)
        taken = []
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            taken.append(bench.run(seconds, backlog=5_000 if options.quick else 20_000))
    result["summary"] = report.summary(taken)
    result["each"] = [[vars(step) for step in one.steps] for one in taken]
    report.write(result, options.out)
    print(f"\n{report.table(result)}\n\nAll figures: {options.out}")
    return 1 if result["summary"]["missing"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("run", "profile"), default="run")
    parser.add_argument("--seconds", type=float, help="length of each step (default 10; with --quick 3)")
    parser.add_argument("--rounds", type=int, help="passes over all figures (default 1; with --full 3)")
    parser.add_argument("--quick", action="store_true", help="short steps")
    parser.add_argument("--full", action="store_true", help="three rounds, and their medians")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2, help="web processes")
    parser.add_argument("--threads", type=int, default=4, help="threads in each web process")
    parser.add_argument("--policies", type=int, default=3, help="starter policies in force (default 3)")
    parser.add_argument("--batch", type=int, default=100, help="profile: records a batch")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "benchmarks.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
