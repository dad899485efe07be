"""`python -m tests.fuzz`: requests made from the OpenAPI document, good and bad, against a running site.

Schemathesis, in a virtual environment of its own (`make fuzz`), sends them under a key of each scope and judges every
answer: no 5xx, the status, content type, headers and body that the document tells of, bad data refused, good data
taken, no address open without a key. `--cases` is how many at least; ends with 1 where an answer was wrong, or where
there were fewer. The report is `build/fuzz/`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from config.servers import DEMO
from config.supervisor import ROOT
from tests.benchmarks.instance import Instance, make_tenant, running_instance
from tests.benchmarks.policies import activate_starters

PROGRAM = ROOT / ".venv-fuzz" / "bin" / "schemathesis"
SCOPES = ("ingest", "read", "manage")
# A key is for one source and asks for no more than it holds: what it may not do is 403, which is no failure of ours.
LEFT_OUT = ("positive_data_acceptance",)


def main() -> int:
    options = _options()
    if not PROGRAM.exists():
        print("Schemathesis is not there: `make fuzz` installs it.", file=sys.stderr)
        return 2
    print("Starting a private instance …", flush=True)
    with running_instance(DEMO) as instance:
        instance.collect_static()
        credentials = make_tenant("fuzz")
        activate_starters(credentials.tenant_id, 2)
        keys = {"ingest": credentials.ingest_key, "read": credentials.read_key, "manage": manage_key(credentials.slug)}
        counts, failed = {}, []
        for scope in options.scopes:
            number, is_sound = ask(instance, scope, keys[scope], options)
            counts[scope] = number
            failed += [] if is_sound else [scope]
        if failed:
            print(instance.log_tail(), file=sys.stderr)
    total = sum(counts.values())
    print(f"{total:,} cases: " + ", ".join(f"{number:,} as {scope}" for scope, number in counts.items()))
    if failed:
        print(f"Answers were wrong as {', '.join(failed)}: {options.out}")
    return 1 if failed or total < options.cases else 0


def manage_key(slug: str) -> str:
    """A key of the third scope, in the name of the tenant's owner."""
    from tenants.access import actor_for, seats_of
    from tenants.models import User
    from tenants.services import create_key

    owner = User.objects.get(email=f"owner@{slug}.example.org")
    return create_key(by=actor_for(owner, seats_of(owner.pk)[0]), name="manage", scopes=["manage"]).secret


def ask(instance: Instance, scope: str, key: str, options: argparse.Namespace) -> tuple[int, bool]:
    """One run under one key: how many cases there were, and whether every answer was as it should be."""
    report = options.out.resolve() / f"{scope}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = [
        str(PROGRAM), "run", f"{instance.base_url}/api/v1/openapi.json", "--header", f"Authorization: Bearer {key}",
        "--checks", "all", "--exclude-checks", ",".join(LEFT_OUT), "--max-examples", str(options.examples),
        "--workers", "2", "--continue-on-failure", "--request-timeout", "20", "--seed", str(options.seed),
        "--report", "json", "--report-json-path", str(report), "--no-color", *options.more,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=options.out, env={"PATH": os.environ["PATH"]}, check=False)
    return cases_in(report), done.returncode == 0


def cases_in(report: Path) -> int:
    """How many requests a run made and judged."""
    return int(json.loads(report.read_text())["test_cases"]["generated"]) if report.exists() else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=60, help="of each address and method, in each phase and scope")
    parser.add_argument("--cases", type=int, default=10_000, help="fail with fewer (default 10,000)")
    parser.add_argument("--quick", action="store_true", help="three of each, however few that makes")
    parser.add_argument("--scopes", nargs="+", default=SCOPES, choices=SCOPES)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("more", nargs="*", help="more options for schemathesis, after --")
    options = parser.parse_args()
    if options.quick:
        options.examples, options.cases = 3, 0
    return options


if __name__ == "__main__":
    sys.exit(main())
