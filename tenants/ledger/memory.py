"""What the signer remembers outside the database: a file a log, one signed note a line. Files only, no Django."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

from tenants.ledger.notes import Checkpoint, split_note

PATTERN = "*.checkpoints"


def memory_path(state: Path, tenant_id: uuid.UUID, shard: int) -> Path:
    """The file of one log in the signer's folder."""
    return state / f"{tenant_id}-{shard}.checkpoints"


def remembered_heads(path: Path) -> Iterator[tuple[Checkpoint, str]]:
    """Each head with its note, in order; nothing for no file. A line that a crash cut short is passed over."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                note = json.loads(line)["note"]
                yield Checkpoint.parse(split_note(note)[0]), note
            except (ValueError, KeyError, TypeError):
                continue
