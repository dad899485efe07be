"""Signed notes, checkpoints and receipts: published notes, and what must not be believed."""

from base64 import b64decode
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.ledger import merkle
from tenants.ledger.notes import (
    BadSignatureError,
    Checkpoint,
    NoteError,
    Receipt,
    Signer,
    UntrustedNoteError,
    Verifier,
    cosign_note,
    open_note,
    sign_note,
    split_note,
)
from tests.tenants.ledger import vectors

PETER = Verifier.parse(vectors.PETER_VKEY)
ENOCH = Verifier.parse(vectors.ENOCH_VKEY)
PETER_SIGNER = Signer.from_seed("PeterNeumann", b64decode(vectors.PETER_SEED)[1:])
PETER_NOTE = f"{vectors.NOTE_TEXT}\n{vectors.PETER_LINE}"
BOTH = PETER_NOTE + vectors.ENOCH_LINE
RECEIPT = Receipt(
    "ledger.example.org/t/acme-1",
    UUID("01932f00-0000-7000-8000-000000000002"),
    bytes(range(32)),
    datetime(2026, 11, 23, 8, 46, 14, 123_000, tzinfo=UTC),
)


def test_the_published_note_is_signed_alike() -> None:
    assert PETER_SIGNER.verifier == PETER
    assert sign_note(vectors.NOTE_TEXT, PETER_SIGNER) == PETER_NOTE
    assert cosign_note(PETER_NOTE, PETER_SIGNER) == PETER_NOTE + vectors.PETER_LINE


def test_known_and_unknown_signatures() -> None:
    opened = open_note(BOTH.encode(), [PETER])
    assert (opened.text, opened.signed_by, opened.unknown) == (vectors.NOTE_TEXT, (PETER,), ("EnochRoot",))
    assert open_note(BOTH, [ENOCH, PETER]).signed_by == (PETER, ENOCH)
    assert open_note(PETER_NOTE + vectors.PETER_LINE, [PETER]).signed_by == (PETER,)


def test_a_note_by_nobody_we_know() -> None:
    for verifiers in ([], [ENOCH], [Verifier("EnochRoot", PETER.public_bytes)]):
        with pytest.raises(UntrustedNoteError, match="PeterNeumann"):
            open_note(PETER_NOTE, verifiers)


def test_one_bad_signature_of_a_known_key_spoils_the_note() -> None:
    forged = vectors.ENOCH_LINE.replace("RvMc", "RvMd")
    with pytest.raises(BadSignatureError):
        open_note(PETER_NOTE + forged, [PETER, ENOCH])
    assert open_note(PETER_NOTE + forged, [PETER]).signed_by == (PETER,)


@given(st.integers(0, len(vectors.NOTE_TEXT) - 2), st.sampled_from("x \né"))
def test_changed_text_is_caught(position: int, letter: str) -> None:
    changed = vectors.NOTE_TEXT[:position] + letter + vectors.NOTE_TEXT[position + 1 :]
    if changed != vectors.NOTE_TEXT:
        with pytest.raises(BadSignatureError):
            open_note(f"{changed}\n{vectors.PETER_LINE}", [PETER])


@pytest.mark.parametrize(
    "note",
    [
        vectors.NOTE_TEXT,
        vectors.NOTE_TEXT + "\n",
        PETER_NOTE[:-1],
        "\x01" + PETER_NOTE,
        "\t" + PETER_NOTE,
        b"\xff" + PETER_NOTE.encode(),
        PETER_NOTE.replace("— PeterNeumann", "— Peter Neumann"),
        PETER_NOTE.replace("— PeterNeumann", "— Peter+Neumann"),
        PETER_NOTE.replace("— PeterNeumann", "- PeterNeumann"),
        PETER_NOTE.replace("— PeterNeumann ", "— "),
        PETER_NOTE + "Unexpected line.\n",
        PETER_NOTE + "\n",
        f"{vectors.NOTE_TEXT}\n— PeterNeumann x08gow==\n",
        f"{vectors.NOTE_TEXT}\n— PeterNeumann x08go*==\n",
        PETER_NOTE.replace("JnAM=", "JnAN="),
        vectors.NOTE_TEXT + "\n" + vectors.PETER_LINE * 101,
    ],
)
def test_malformed_notes(note: Any) -> None:
    with pytest.raises(NoteError) as caught:
        open_note(note, [PETER])
    assert not isinstance(caught.value, UntrustedNoteError)


def test_text_may_hold_empty_lines() -> None:
    text, signatures = split_note(vectors.POEM_NOTE)
    assert text.endswith(":\n\ned è subito sera.\n")
    assert [(name, key_id.hex(), len(data)) for name, key_id, data in signatures] == [
        ("quasimodo.example/salvatore", "367ba04b", 64)
    ]


def test_vkeys() -> None:
    assert PETER.vkey == vectors.PETER_VKEY
    assert PETER.key_id.hex() == "c74f20a3"
    vkey = vectors.PETER_VKEY
    mangled = {vkey[start:end] for start in range(len(vkey)) for end in range(start + 1, len(vkey) + 1)} - {vkey}
    mangled |= {vkey[:at] + chr(ord(vkey[at]) + 1) + vkey[at + 1 :] for at in range(len(vkey))}
    for wrong in [*mangled, *vectors.BAD_VKEYS]:
        with pytest.raises(NoteError):
            Verifier.parse(wrong)


@pytest.mark.parametrize("key", vectors.LOW_ORDER_KEYS)
def test_low_order_keys_are_refused(key: str) -> None:
    with pytest.raises(NoteError, match="low-order"):
        Verifier("weak", bytes.fromhex(key))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb"])
def test_key_names(name: str) -> None:
    with pytest.raises(NoteError):
        Verifier(name, PETER.public_bytes)


@pytest.mark.parametrize("text", ["", "no newline", "tab\there\n"])
def test_text_that_cannot_be_a_note(text: str) -> None:
    with pytest.raises(NoteError):
        sign_note(text, PETER_SIGNER)


@pytest.mark.parametrize("note", vectors.TESSERA_CHECKPOINTS)
def test_published_checkpoints(note: str) -> None:
    checkpoint = Checkpoint.parse(open_note(note, [Verifier.parse(vectors.TESSERA_VKEY)]).text)
    entries = [text.encode() for text in vectors.TESSERA_ENTRIES[: checkpoint.size]]
    assert checkpoint.origin == "example.com/log/testdata"
    assert checkpoint.root == merkle.root([merkle.leaf_hash(entry) for entry in entries])
    assert note.startswith(checkpoint.text)


@given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_checkpoints_round_trip(size: int, root: bytes) -> None:
    checkpoint = Checkpoint("ledger.example.org/t/acme-1", size, root)
    assert Checkpoint.parse(checkpoint.text) == checkpoint


ROOT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.mark.parametrize(
    "text",
    [
        f"log\n1\n{ROOT}",
        f"log\n1\n{ROOT}\nextension\n",
        f"log\n01\n{ROOT}\n",
        f"log\n-1\n{ROOT}\n",
        f"log\n+1\n{ROOT}\n",
        f"log\n١\n{ROOT}\n",
        f"log\n9223372036854775808\n{ROOT}\n",
        f"\n1\n{ROOT}\n",
        f"lo g\n1\n{ROOT}\n",
        f"log\n1\n{ROOT[:-1]}\n",
        f"log\n1\n{ROOT[:-2]}V=\n",
        f"log\n1\n{ROOT} \n",
        "log\n1\nAQ==\n",
        "log\n0\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n",
    ],
)
def test_other_checkpoint_texts_are_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


def test_the_receipt_to_the_letter() -> None:
    assert RECEIPT.text == (
        "affidavit/receipt/v1\nledger.example.org/t/acme-1\n01932f00-0000-7000-8000-000000000002\n"
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n2026-11-23T08:46:14.123Z\nmmd 60\n"
    )
    assert Receipt.parse(RECEIPT.text) == RECEIPT
    signed = sign_note(RECEIPT.text, PETER_SIGNER)
    assert Receipt.parse(open_note(signed, [PETER]).text) == RECEIPT


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("receipt/v1", "receipt/v2"),
        ("mmd 60", "60"),
        ("mmd 60", "mmd 060"),
        ("14.123Z", "14Z"),
        ("14.123Z", "14.123+00:00"),
        ("01932f00", "01932F00"),
        ("01932f00-", "01932f00"),
        ("AAEC", "AEC"),
        ("\nmmd 60\n", "\nmmd 60"),
        ("mmd 60\n", "mmd 60\nmore\n"),
    ],
)
def test_other_receipt_texts_are_refused(part: str, other: str) -> None:
    assert part in RECEIPT.text
    with pytest.raises(NoteError):
        Receipt.parse(RECEIPT.text.replace(part, other))
