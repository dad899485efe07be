"""c2sp.org/tlog-proof texts and the policies they are held against."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.ledger import merkle, proofs
from tenants.ledger.merkle import ProofError
from tenants.ledger.notes import (
    BadSignatureError,
    Checkpoint,
    NoteError,
    Signer,
    UntrustedNoteError,
    Verifier,
    sign_note,
)
from tenants.ledger.proofs import TlogProof, TrustPolicy, build_proof, verify_proof
from tests.tenants.ledger import vectors
from tests.tenants.ledger.trees import TileStore

ORIGIN = "ledger.example.org/t/acme-1"
SIGNER = Signer.from_seed(ORIGIN, b"k" * 32)
OTHER = Signer.from_seed("ledger.example.org/t/other-1", b"o" * 32)
POLICY = TrustPolicy((SIGNER.verifier, OTHER.verifier))
LEAVES = [b"leaf %d" % number for number in range(300)]
STORE = TileStore()
STORE.append(merkle.leaf_hash(leaf) for leaf in LEAVES)
CHECKPOINT = Checkpoint(ORIGIN, len(LEAVES), merkle.root([merkle.leaf_hash(leaf) for leaf in LEAVES]))
NOTE = sign_note(CHECKPOINT.text, SIGNER)


def proof_text(index: int, leaf: bytes | None = None) -> str:
    return build_proof(index, merkle.inclusion_proof(index, len(LEAVES), STORE.nodes()), NOTE, leaf)


@given(st.integers(0, len(LEAVES) - 1), st.booleans())
def test_a_proof_stands_alone(index: int, with_leaf: bool) -> None:
    text = proof_text(index, LEAVES[index] if with_leaf else None)
    proof = TlogProof.parse(text)
    assert proof.text == text
    assert proof.extra == (LEAVES[index] if with_leaf else None)
    assert verify_proof(proof, merkle.leaf_hash(LEAVES[index]), POLICY) == CHECKPOINT
    with pytest.raises(ProofError):
        verify_proof(proof, merkle.leaf_hash(LEAVES[index] + b"x"), POLICY)


def test_the_text_to_the_letter() -> None:
    assert build_proof(2, [b"\x01" * 32, b"\x02" * 32], NOTE, b"hello") == (
        "c2sp.org/tlog-proof@v1\nextra aGVsbG8=\nindex 2\n"
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\nAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n\n" + NOTE
    )


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("tlog-proof@v1", "tlog-proof@v2"),
        ("index 7", "index 07"),
        ("index 7", "index -7"),
        ("index 7", "7"),
        ("index 7\n", ""),
        ("extra ", "extra *"),
        ("=\n\n", "\n\n"),
        ("index 7\n", "index 7\nAQ==\n"),
        ("index 7\n", "index 7\n" + "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n" * 64),
    ],
)
def test_other_texts_are_refused(part: str, other: str) -> None:
    text = proof_text(7, LEAVES[7])
    assert part in text
    with pytest.raises(ProofError):
        TlogProof.parse(text.replace(part, other, 1))


def test_another_index_or_path_is_caught() -> None:
    proof = TlogProof.parse(proof_text(7))
    moved = TlogProof(8, proof.path, proof.checkpoint)
    cut = TlogProof(7, proof.path[:-1], proof.checkpoint)
    for wrong in (moved, cut):
        with pytest.raises(ProofError):
            verify_proof(wrong, merkle.leaf_hash(LEAVES[7]), POLICY)


def test_only_the_log_itself_speaks_for_it() -> None:
    for note, error in [
        (sign_note(CHECKPOINT.text, OTHER), UntrustedNoteError),
        (sign_note(CHECKPOINT.text, Signer.from_seed(ORIGIN, b"x" * 32)), UntrustedNoteError),
        (NOTE.replace("\n300\n", "\n301\n"), BadSignatureError),
    ]:
        with pytest.raises(error):
            POLICY.open_checkpoint(note)
    assert POLICY.open_checkpoint(sign_note(CHECKPOINT.text, OTHER, SIGNER)) == CHECKPOINT


def test_policy_texts() -> None:
    assert TrustPolicy.parse(POLICY.text) == POLICY
    text = f"# ours\n\n\tlog {SIGNER.verifier.vkey}  https://ledger.example.org/t/acme-1 \nquorum none\n"
    assert TrustPolicy.parse(text) == proofs.trust([SIGNER.verifier.vkey])
    assert TrustPolicy.parse(f"log {vectors.TESSERA_VKEY}\n").open_checkpoint(vectors.TESSERA_CHECKPOINTS[1]).size == 11


@pytest.mark.parametrize(
    "text",
    [
        "witness w1 " + vectors.PETER_VKEY,
        "quorum w1",
        "group g all w1 w2",
        "log",
        "log " + vectors.BAD_VKEYS[0],
        f"log {SIGNER.verifier.vkey}\nlog {Verifier('renamed', SIGNER.verifier.public_bytes).vkey}",
    ],
)
def test_policies_that_ask_for_more_are_refused_not_skipped(text: str) -> None:
    with pytest.raises(NoteError):
        TrustPolicy.parse(text)
