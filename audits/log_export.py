"""A tenant's whole log as one zip that verifies offline: `affidavit-bundle/1`, scope `log`.

The same head gives the same bytes, unless content was erased in between. Memory does not grow with the log.
"""

import uuid
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

from audits.bundle_writer import ERASED, TOOLS, BundleWriter, record_document
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.crypto import SealError
from tenants.events import Tag
from tenants.ledger.commitments import parse_leaf
from tenants.ledger.links import links
from tenants.ledger.log import append
from tenants.ledger.reader import NotThere, log_of, signed_head, trust_policy
from tenants.ledger.receipts import receipt_signer
from tenants.ledger.redaction import is_redacted, redaction_of
from tenants.models import LedgerCheckpoint, LedgerEvent, LedgerLeaf
from traces.contents import erased_reasons
from traces.models import Decision
from traces.sealing import Content
from traces.selectors import open_payloads

CHUNK = 2_048
OPENED = 200  # records opened at a time
OLDER_HEADS = 256  # each costs the verifier a signature in plain Python


class Altered(ValueError):
    """A record's content does not open or is not there to be opened; the message names its leaf."""


def export_log(
    *, by: Actor, file: IO[bytes], shard: int | None = None, size: int | None = None, with_records: bool = False
) -> LedgerCheckpoint:
    """Write the log under its newest signed head (or the one of `size` leaves) to `file`, and record that it was done.

    `with_records` adds what the leaves commit to, the content of decisions and events, opened in the name of `by`.
    Raises `NotThere` where nothing of the kind is signed, `Altered` for content that somebody changed.
    """
    with tenant_atomic(by.tenant_id):
        head = _head(shard, size)
        with BundleWriter(file) as writer:
            writer.add_stream("leaves.jsonl", _leaf_lines(head))
            writer.add_stream("hashes.bin", (bytes(leaf.leaf_hash) for leaf in _leaves(head, "leaf_hash")))
            _add_heads(writer, head)
            _add_earlier(writer, head.shard)
            if with_records:
                _add_records(writer, by, head)
            else:
                writer.leave_out("records", "the content of records was not asked for; the leaves commit to it")
            _add_frame(writer)
            covered = {"size": head.size, "root": b64encode(bytes(head.root)).decode()}
            writer.finish({"scope": "log", "origin": head.note.partition("\n")[0], "checkpoint": covered})
        body = {"scope": "log", "shard": head.shard, "size": head.size, "records": with_records}
        append(Tag.BUNDLE_EXPORTED, by=by, body=body)
    return head


def _head(shard: int | None, size: int | None) -> LedgerCheckpoint:
    log = log_of(shard)
    if size is None:
        return signed_head(log)
    head = LedgerCheckpoint.objects.filter(shard=log.shard, size=size).first()
    if head is None:
        raise NotThere(f"No head of {size} leaves was signed.")
    return head


def _leaves(head: LedgerCheckpoint, *columns: str) -> Iterator[LedgerLeaf]:
    """The leaves under the head, by index, with these columns, a chunk at a time."""
    start = 0
    rows = LedgerLeaf.objects.filter(shard=head.shard).only("tenant_id", "shard", "leaf_index", *columns)
    while start < head.size:
        end = min(start + CHUNK, head.size)
        yield from rows.filter(leaf_index__gte=start, leaf_index__lt=end).order_by("leaf_index")
        start = end


def _leaf_lines(head: LedgerCheckpoint) -> Iterator[bytes]:
    for leaf in _leaves(head, "leaf"):
        yield b'{"index":%d,"leaf":"%s"}\n' % (leaf.leaf_index, b64encode(bytes(leaf.leaf)))


def _add_heads(writer: BundleWriter, head: LedgerCheckpoint) -> None:
    """The head, and older ones spread evenly where there are many."""
    writer.add("checkpoint.txt", head.note)
    older = LedgerCheckpoint.objects.filter(shard=head.shard, size__lt=head.size).order_by("size")
    sizes = list(older.values_list("size", flat=True))
    step = -(-len(sizes) // OLDER_HEADS) or 1
    if step > 1:
        writer.leave_out("checkpoints", f"of {len(sizes):,} older signed heads, one in {step} is here")
    for checkpoint in older.filter(size__in=sizes[::step]):
        writer.add(f"checkpoints/{checkpoint.size}.txt", checkpoint.note)


def _add_earlier(writer: BundleWriter, shard: int) -> None:
    """The frozen logs before this one up to their last good heads, and what the first leaf after each says of it."""
    for earlier, link in links(range(1, shard)).items():
        event = LedgerEvent.objects.get(pk=link.event_id)
        content = Content({"event": bytes(event.body)}, {"event": bytes(event.salt)})
        writer.add(f"links/{earlier}.json", record_document(event.pk, content, {}))
        last = LedgerCheckpoint.objects.filter(shard=earlier, size=link.size).first()
        if last is not None:
            writer.add(f"earlier/{earlier}/checkpoint.txt", last.note)
            writer.add_stream(f"earlier/{earlier}/leaves.jsonl", _leaf_lines(last))


def _add_frame(writer: BundleWriter) -> None:
    """Whom to trust, and how to check it all."""
    writer.add("trust-policy.txt", trust_policy().text)
    writer.add("receipt-keys.txt", f"{receipt_signer().verifier.vkey}\n")
    writer.add("affidavit_verify.py", (TOOLS / "affidavit_verify.py").read_bytes())
    writer.add("README.txt", (TOOLS / "README-log.txt").read_bytes())


def _add_records(writer: BundleWriter, by: Actor, head: LedgerCheckpoint) -> None:
    """Every leaf's record, in the order of the log."""
    batch: list[LedgerLeaf] = []
    for leaf in _leaves(head, "leaf", "rid"):
        batch.append(leaf)
        if len(batch) == OPENED:
            _add_batch(writer, by, batch)
            batch = []
    _add_batch(writer, by, batch)


def _add_batch(writer: BundleWriter, by: Actor, leaves: Iterable[LedgerLeaf]) -> None:
    by_id = {leaf.rid: leaf for leaf in leaves}
    decisions = list(Decision.objects.filter(pk__in=by_id).only("tenant_id", "id"))
    events, redacted = _events(by_id)
    contents, reasons = _opened(by, by_id, decisions) | events, erased_reasons(by_id) | redacted
    for rid, leaf in by_id.items():
        content, reason = contents.get(rid), reasons.get(rid, ERASED)
        erased = {} if content else dict.fromkeys(parse_leaf(bytes(leaf.leaf)).commitments, reason)
        if erased:
            writer.leave_out(rid, reason)
        writer.add(f"records/{rid}.json", record_document(rid, content, erased))


def _opened(by: Actor, leaves: Mapping[uuid.UUID, LedgerLeaf], decisions: list[Decision]) -> dict[uuid.UUID, Content]:
    """The contents of the decisions; when they do not open together, one by one until the one that is to blame."""
    purpose = "export of the log"
    try:
        return open_payloads(decisions, by=by, purpose=purpose) if decisions else {}
    except SealError:
        for decision in decisions:
            try:
                open_payloads([decision], by=by, purpose=purpose)
            except SealError as error:
                index = leaves[decision.pk].leaf_index
                raise Altered(f"leaf {index}: the content of record {decision.pk} was changed. {error}") from None
        raise


def _events(ids: Iterable[uuid.UUID]) -> tuple[dict[uuid.UUID, Content], dict[uuid.UUID, str]]:
    """What events say, and of those whose text was taken out, why."""
    rows = list(LedgerEvent.objects.filter(pk__in=list(ids)))
    said = {
        row.pk: Content({"event": bytes(row.body)}, {"event": bytes(row.salt)}) for row in rows if not is_redacted(row)
    }
    return said, {row.pk: redaction_of(row) for row in rows if is_redacted(row)}
