"""The Verify button: every step from the stored content to the signed head, each shown."""

from dataclasses import dataclass

from tenants.ledger.commitments import parse_leaf
from tenants.ledger.merkle import ProofError, leaf_hash, root_from_inclusion
from tenants.ledger.notes import NoteError
from tenants.ledger.reader import Prover, covering_checkpoint, leaf_of, trust_policy
from traces.models import Decision
from traces.sealing import Content


@dataclass(frozen=True, slots=True)
class Step:
    """One check. `ok` is None when an earlier failure kept it from being reached."""

    title: str
    detail: str
    ok: bool | None
    value: str = ""


TITLES = (
    "The content is what was committed to",
    "The leaf is the record's",
    "The leaf is in the tree",
    "The tree's head is signed",
)


def verify(decision: Decision, content: Content | None) -> list[Step]:
    """Check one record against the newest signed head that covers it. Stops at the first step that fails."""
    leaf = leaf_of(decision.pk)
    checkpoint = covering_checkpoint(leaf) if leaf else None
    if leaf is None or checkpoint is None:
        return [
            Step("Not covered yet", "The next signed checkpoint covers this record; try again in a few seconds.", None)
        ]
    data = bytes(leaf.leaf)
    steps = [_content_step(data, content)]
    digest = leaf_hash(data)
    same = digest == bytes(decision.leaf_hash) == bytes(leaf.leaf_hash) and parse_leaf(data).record_id == decision.pk
    steps.append(Step(TITLES[1], "SHA-256 of the leaf, as it was promised in the receipt.", same, digest.hex()))
    try:
        root = root_from_inclusion(
            digest, leaf.leaf_index, checkpoint.size, Prover(checkpoint, [leaf.leaf_index]).path(leaf.leaf_index)
        )
        detail = f"Leaf {leaf.leaf_index:,} of {checkpoint.size:,}: hashing up the tree gives the root."
        steps.append(Step(TITLES[2], detail, root == bytes(checkpoint.root), root.hex()))
    except (ProofError, LookupError, ValueError) as error:
        steps.append(Step(TITLES[2], f"The tree cannot be followed: {error}", False))
    steps.append(_signature_step(checkpoint.note, checkpoint.size, bytes(checkpoint.root)))
    return _until_failure(steps)


def _content_step(leaf: bytes, content: Content | None) -> Step:
    if content is None:
        return Step(TITLES[0], "The content was erased; the commitments that remain tell nothing of it.", True)
    committed = parse_leaf(leaf).commitments
    unlike = sorted(group for group, digest in content.commitments().items() if committed.get(group) != digest)
    missing = sorted(committed.keys() - content.canonical.keys())
    if unlike or missing:
        return Step(TITLES[0], f"Differs: {', '.join(unlike + missing)}.", False)
    return Step(TITLES[0], f"{len(committed)} groups of fields, each with its salted SHA-256.", True)


def _signature_step(note: str, size: int, root: bytes) -> Step:
    try:
        opened = trust_policy().open_checkpoint(note)
    except NoteError as error:
        return Step(TITLES[3], str(error), False)
    holds = (opened.size, opened.root) == (size, root)
    return Step(TITLES[3], f"Ed25519, by {opened.origin}, over {opened.size:,} leaves.", holds)


def _until_failure(steps: list[Step]) -> list[Step]:
    shown: list[Step] = []
    failed = False
    for step in steps:
        shown.append(Step(step.title, "", None) if failed else step)
        failed = failed or step.ok is False
    return shown
