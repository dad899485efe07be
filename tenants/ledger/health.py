"""Does the newest signed head still say what the stored tree says? A quick check, at the price of one proof."""

from dataclasses import dataclass

from tenants.ledger.merkle import ProofError, verify_consistency
from tenants.ledger.notes import NoteError
from tenants.ledger.reader import Prover, latest_checkpoint, tile_data, trust_policy
from tenants.ledger.tiles import TileError
from tenants.models import LedgerLog


@dataclass(frozen=True, slots=True)
class HeadCheck:
    """What the check found, in a sentence."""

    holds: bool
    text: str


def check_head(log: LedgerLog) -> HeadCheck:
    """The newest head's signature is by a known key, and the tiles give its root. Inside `tenant_atomic`."""
    newest = latest_checkpoint(log.shard)
    if newest is None:
        return HeadCheck(False, "Nothing is signed yet, so there is nothing to check.")
    try:
        signed = trust_policy().open_checkpoint(newest.note)
        if signed.origin != log.origin:
            raise NoteError(f"the head is of another log, {signed.origin}")
        first = tile_data(log.shard, 0, 0, 1)
        path = Prover(newest).consistency(1)
        verify_consistency(1, signed.size, first, signed.root, path)
    except (NoteError, ProofError, TileError, LookupError, ValueError) as error:
        return HeadCheck(False, f"The newest checkpoint does not hold: {error}.")
    return HeadCheck(True, f"The newest checkpoint holds: {signed.size:,} leaves, signed, and the tree gives its root.")
