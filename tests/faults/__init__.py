"""What Affidavit loses when its processes are killed: `python -m tests.faults` (docs/faults.md)."""
