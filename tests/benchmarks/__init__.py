"""What this machine does with Affidavit: `python -m tests.benchmarks` (docs/benchmarks.md)."""
