"""`python -m tests.benchmarks.reports [items …]`: time, size and memory of rendering a report, without a database."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

SIZES = ("100", "1000", "10000")
REPORT_ONE = "--one"  # each size in a process of its own: a peak of memory belongs to its process


def main() -> int:
    if REPORT_ONE in sys.argv:
        return render_one(int(sys.argv[-1]))
    print("  items  seconds  pages      KiB  peak MiB", flush=True)
    for size in sys.argv[1:] or SIZES:
        command = [sys.executable, "-m", "tests.benchmarks.reports", REPORT_ONE, size]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    return 0


def render_one(items: int) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings_test")
    from audits.reports.pdf import render  # late: the settings come first
    from tests.audits.reports.examples import example

    data, began = example(items), time.monotonic()
    pdf = render(data)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{items:7,} {seconds:8.2f} {pdf.count(b'/Type /Page' + chr(10).encode()):6,} {len(pdf) // 1024:8,} {peak:9,}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
