"""The offline verifier: the same vectors as the server, agreement with it, and every kind of tampering."""

import ast
import importlib.util
import json
import struct
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tenants.ledger import merkle
from tenants.ledger.canonical import dumps
from tenants.ledger.notes import Checkpoint, sign_note
from tenants.ledger.proofs import TrustPolicy, build_proof
from tests.tenants.ledger import vectors
from tests.tenants.ledger.bundles import (
    COUNT,
    HASHES,
    IMPOSTOR,
    LEAVES,
    LOG,
    ORIGIN,
    RECEIPTS,
    Files,
    case_files,
    checkpoint,
    jsonl,
    log_files,
    proof,
    receipt,
    record,
    record_id,
    write,
)
from tests.tenants.ledger.test_canonical import values
from tests.tenants.ledger.trees import TileStore, hashes

SCRIPT = Path(__file__).parents[2] / "audits/verifier/affidavit_verify.py"


def load() -> ModuleType:
    """The file itself, imported by its path, as an auditor has it."""
    spec = importlib.util.spec_from_file_location("affidavit_verify", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verify = load()

TRUST = [f"--vkey={LOG.verifier.vkey}", f"--vkey={RECEIPTS.verifier.vkey}"]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = verify.main([str(argument) for argument in arguments])
    return code, capsys.readouterr().out


# Primitives: published vectors, and agreement with the server's code.


def test_published_hashes_and_proofs() -> None:
    assert {data: verify.leaf_hash(data).hex() for data in vectors.LEAF_HASHES} == vectors.LEAF_HASHES
    assert verify.node_hash(b"N123", b"N456").hex() == vectors.NODE_N123_N456
    stack: list[bytes] = []
    roots = [verify.frontier_root(stack).hex()]
    for size, text in enumerate(vectors.TREE_LEAVES):
        verify.frontier_push(stack, size, verify.leaf_hash(bytes.fromhex(text)))
        roots.append(verify.frontier_root(stack).hex())
    assert roots == vectors.TREE_ROOTS
    path = [b64decode(text) for text in vectors.ARGON_PATH.split()]
    argon = vectors.ARGON_INDEX, vectors.ARGON_SIZE, path, b64decode(vectors.ARGON_ROOT)
    verify.verify_inclusion(bytes.fromhex(vectors.ARGON_LEAF), *argon)
    with pytest.raises(verify.Bad):
        verify.verify_inclusion(HASHES[0], *argon)


@given(st.integers(1, 300), st.data())
def test_inclusion_and_any_changed_bit(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = hashes(size)
    store = TileStore()
    store.append(leaves)
    parts = [leaves[index], merkle.root(leaves), *merkle.inclusion_proof(index, size, store.nodes())]
    verify.verify_inclusion(parts[0], index, size, parts[2:], parts[1])
    for wrong_index, wrong_size in ((index + 1, size), (index - 1, size), (index, size * 2), (index, size // 2)):
        with pytest.raises(verify.Bad):
            verify.verify_inclusion(parts[0], wrong_index, wrong_size, parts[2:], parts[1])
    which, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    parts[which] = (int.from_bytes(parts[which], "big") ^ 1 << bit).to_bytes(32, "big")
    with pytest.raises(verify.Bad):
        verify.verify_inclusion(parts[0], index, size, parts[2:], parts[1])


@given(values)
def test_canonical_json_agrees(value: Any) -> None:
    assert verify.canonical_bytes(verify.strict_json(dumps(value))) == verify.canonical_bytes(value) == dumps(value)


def test_published_canonical_json() -> None:
    for given_text, expected in vectors.JCS_PAIRS.values():
        assert verify.canonical_bytes(verify.strict_json(given_text.encode())) == expected.encode()
    for bits, text in vectors.JCS_NUMBERS.items():
        assert verify.canonical(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


@pytest.mark.parametrize("text", [b'{"a":1,"a":1}', b"NaN", b"[1e20]", b"9007199254740992", b'"\\ud800"', b'"\xff"'])
def test_json_that_is_refused(text: bytes) -> None:
    with pytest.raises(verify.Bad):
        verify.canonical_bytes(verify.strict_json(text))


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80), st.integers(0, 511))
def test_ed25519_agrees_with_the_library(seed: bytes, message: bytes, bit: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert verify.ed25519_verifies(public, message, signature)
    assert not verify.ed25519_verifies(public, message + b"x", signature)
    forged = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
    assert not verify.ed25519_verifies(public, message, forged)
    larger = int.from_bytes(signature[32:], "little") + verify.L
    assert not verify.ed25519_verifies(public, message, signature[:32] + larger.to_bytes(32, "little"))


@pytest.mark.parametrize("key", vectors.LOW_ORDER_KEYS)
def test_low_order_keys_are_refused(key: str) -> None:
    with pytest.raises(verify.Bad):
        verify.ed25519_verifies(bytes.fromhex(key), b"", bytes.fromhex(key) + bytes(32))


def test_published_notes() -> None:
    peter, enoch = verify.parse_keys(vectors.PETER_VKEY), verify.parse_keys(vectors.ENOCH_VKEY)
    note = f"{vectors.NOTE_TEXT}\n{vectors.PETER_LINE}{vectors.ENOCH_LINE}".encode()
    for trusted, name in ((peter, "PeterNeumann"), (enoch, "EnochRoot")):
        assert verify.Keys(trusted).open(note, lambda _, name=name: [name])[1] == verify.AUTHENTIC
    assert verify.Keys(peter).open(note, lambda _: ["EnochRoot"])[1] == verify.INTEGRITY
    with pytest.raises(verify.Bad):
        verify.Keys(peter).open(note.replace(b"answer", b"answers"), lambda _: ["PeterNeumann"])
    for wrong in (*vectors.BAD_VKEYS, "quorum w1", "witness w " + vectors.PETER_VKEY):
        with pytest.raises(verify.Bad):
            verify.parse_keys(wrong)
    log = verify.Keys(verify.parse_keys(f"log {vectors.TESSERA_VKEY}\nquorum none\n"))
    sizes = [verify.open_checkpoint(log, text.encode())[1] for text in vectors.TESSERA_CHECKPOINTS]
    assert sizes == [0, 11]


def test_it_runs_on_python_3_8_with_the_standard_library_alone() -> None:
    source = SCRIPT.read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names
    newer = ["removeprefix", "removesuffix", "bit_count", "strict=", "pairwise"]
    assert not [word for word in newer if word in source]


# Whole bundles.


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("scope", "files"), [("log", log_files), ("case", case_files)])
def test_a_sound_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scope: str, files: Callable[[], Files], zipped: bool
) -> None:
    path = write(tmp_path, files(), scope, zipped)
    code, out = run(capsys, path, *TRUST)
    assert (code, out.splitlines()[-1].split(":")[0]) == (0, "AUTHENTIC")
    assert f"records/{record_id(7)}.json: leaf 7: 2 of 2 groups verified" in out
    assert f"leaf of {record_id(9)} is in the log" in out
    code, out = run(capsys, path)
    assert code == 3
    assert "not a key you trust" in out


def test_trust_files_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, log_files(), missing=[{"id": "x", "reason": "not disclosed to this reader"}])
    policy, keys = tmp_path / "policy.txt", tmp_path / "keys.txt"
    policy.write_text(TrustPolicy((LOG.verifier,)).text)
    keys.write_text(f"# receipts\n{RECEIPTS.verifier.vkey}\n")
    code, out = run(capsys, path, "--trust", policy, "--trust", keys, "--json")
    found = json.loads(out)
    assert (code, found["result"], found["exit"], found["about"]["checkpoint"]["size"]) == (0, "authentic", 0, COUNT)
    assert {item["status"] for item in found["items"]} == {"authentic"}
    assert run(capsys, path, "--trust", policy)[0] == 3
    assert "left out       x: not disclosed" in run(capsys, path, *TRUST)[1]


def swap(files: Files, name: str, change: Callable[[bytes], bytes]) -> Files:
    return files | {name: change(files[name])}


def without(leaves: list[bytes], *gone: int) -> dict[int, bytes]:
    return dict(enumerate(each for index, each in enumerate(leaves) if index not in gone))


EDITED = [*LEAVES[:123], LEAVES[123].replace(b"loans", b"lawns"), *LEAVES[124:]]
SWAPPED = [*LEAVES[:50], LEAVES[51], LEAVES[50], *LEAVES[52:]]
RECORD, RECEIPT_NAME = f"records/{record_id(7)}.json", f"receipts/{record_id(9)}.txt"
LOG_TAMPERING: list[tuple[str, Callable[[Files], Files], int, str]] = [
    ("edit leaf", lambda f: f | {"leaves.jsonl": jsonl(dict(enumerate(EDITED)))}, 1, "first bad index 123:"),
    ("swap leaves", lambda f: f | {"leaves.jsonl": jsonl(dict(enumerate(SWAPPED)))}, 1, "first bad index 50:"),
    ("delete middle", lambda f: f | {"leaves.jsonl": jsonl(without(LEAVES, 77))}, 1, "first bad index 77:"),
    (
        "delete a line",
        lambda f: f | {"leaves.jsonl": jsonl({i: each for i, each in enumerate(LEAVES) if i != 77})},
        1,
        "first bad index 77:",
    ),
    ("delete tail", lambda f: f | {"leaves.jsonl": jsonl(dict(enumerate(LEAVES[:290])))}, 1, "first bad index 290:"),
    ("delete all", lambda f: f | {"leaves.jsonl": b""}, 1, "first bad index 0:"),
    ("append", lambda f: f | {"leaves.jsonl": jsonl(dict(enumerate([*LEAVES, b"{}"])))}, 1, "first bad index 300:"),
    (
        "edit leaf and hashes",
        lambda f: (
            f
            | {
                "leaves.jsonl": jsonl(dict(enumerate(EDITED))),
                "hashes.bin": b"".join(merkle.leaf_hash(each) for each in EDITED),
            }
        ),
        1,
        "first bad index is 100 or later",
    ),
    ("edit hashes", lambda f: swap(f, "hashes.bin", lambda data: data[:32] + bytes(32) + data[64:]), 1, "hashes.bin"),
    ("garble a line", lambda f: swap(f, "leaves.jsonl", lambda data: b"{" + data), 1, "first bad index 0"),
    ("edit root", lambda f: swap(f, "checkpoint.txt", lambda data: data.replace(b"300", b"301")), 1, "does not fit"),
    ("re-sign", lambda f: f | {"checkpoint.txt": checkpoint(signer=IMPOSTOR).encode()}, 3, "an unknown key"),
    ("old checkpoint", lambda f: f | {"checkpoint.txt": checkpoint(200).encode()}, 1, "first bad index 200:"),
    (
        "fork",
        lambda f: f | {"checkpoints/100.txt": sign_note(Checkpoint(ORIGIN, 100, bytes(32)).text, LOG).encode()},
        1,
        "root over 100 leaves is another",
    ),
    (
        "later checkpoint",
        lambda f: f | {"checkpoints/9.txt": sign_note(Checkpoint(ORIGIN, 999, bytes(32)).text, LOG).encode()},
        1,
        "of size 999: checkpoint.txt is an old one",
    ),
    ("edit payload", lambda f: swap(f, RECORD, lambda data: data.replace(b"1.0", b"1.1")), 1, "'output' was changed"),
    (
        "edit salt",
        lambda f: swap(f, RECORD, lambda d: d.replace(b'"salts": {"input": "', b'"salts": {"input": "A')),
        1,
        "",
    ),
    (
        "foreign record",
        lambda f: swap(f, RECORD, lambda d: json.dumps(record(8)).encode()),
        1,
        "not the one of the leaf",
    ),
    (
        "invented record",
        lambda f: f | {f"records/{record_id(999)}.json": json.dumps(record(999)).encode()},
        1,
        "no leaf of the log carries this id",
    ),
    ("dropped leaf", lambda f: f | {RECEIPT_NAME: receipt(9, leaf_hash=b"x" * 32).encode()}, 1, "not in the log"),
    ("edit receipt", lambda f: swap(f, RECEIPT_NAME, lambda d: d.replace(b"08:46", b"08:47")), 1, "does not fit"),
    ("receipt by the log key", lambda f: f | {RECEIPT_NAME: receipt(9, LOG).encode()}, 3, "an unknown key"),
    ("no checkpoint", lambda f: {n: d for n, d in f.items() if n != "checkpoint.txt"}, 2, "not listed"),
    ("no leaves", lambda f: {n: d for n, d in f.items() if n != "leaves.jsonl"}, 2, "not listed"),
]


@pytest.mark.parametrize(
    ("change", "code", "says"), [row[1:] for row in LOG_TAMPERING], ids=[row[0] for row in LOG_TAMPERING]
)
def test_tampering_with_a_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Files], Files], code: int, says: str
) -> None:
    found, out = run(capsys, write(tmp_path, change(log_files())), *TRUST)
    assert found == code, out
    assert says in out


PROOF = f"proofs/{record_id(7)}.tlog-proof"
FORKED = build_proof(
    0,
    [],
    sign_note(Checkpoint(ORIGIN, COUNT, merkle.leaf_hash(LEAVES[7])).text.replace("\n300\n", "\n1\n"), LOG),
    LEAVES[7],
)
CASE_TAMPERING: list[tuple[str, Callable[[Files], Files], int, str]] = [
    ("edit leaf", lambda f: f | {"leaves.jsonl": jsonl({7: EDITED[123], 9: LEAVES[9]})}, 1, "another root"),
    ("leaf in the proof alone", lambda f: {n: d for n, d in f.items() if n != "leaves.jsonl"}, 0, "leaf 7 of 300"),
    ("other proof", lambda f: f | {PROOF: proof(9).encode()}, 1, "a proof of another record"),
    ("older proof", lambda f: f | {PROOF: proof(7, size=20).encode()}, 0, "leaf 7 of 20"),
    ("re-signed proof", lambda f: f | {PROOF: proof(7, IMPOSTOR).encode()}, 3, "an unknown key"),
    ("no proof", lambda f: {n: d for n, d in f.items() if n != PROOF}, 2, "no proof that holds for the leaves [7]"),
    (
        "nothing",
        lambda f: {n: d for n, d in f.items() if n in ("checkpoint.txt", "trust-policy.txt")},
        2,
        "nothing to verify",
    ),
    ("edit payload", lambda f: swap(f, RECORD, lambda data: data.replace(b"user", b"User")), 1, "'input' was changed"),
    (
        "receipt of another leaf",
        lambda f: f | {RECEIPT_NAME: receipt(9, leaf_hash=HASHES[1]).encode()},
        1,
        "not in the log",
    ),
    ("receipt without a leaf", lambda f: f | {RECEIPT_NAME: receipt(12).encode()}, 2, "no proven leaf"),
]


@pytest.mark.parametrize(
    ("change", "code", "says"), [row[1:] for row in CASE_TAMPERING], ids=[row[0] for row in CASE_TAMPERING]
)
def test_tampering_with_a_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Files], Files], code: int, says: str
) -> None:
    found, out = run(capsys, write(tmp_path, change(case_files()), "case"), *TRUST)
    assert found == code, out
    assert says in out


def test_two_proofs_of_one_size_with_two_roots_are_a_fork(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fork = sign_note(Checkpoint(ORIGIN, 8, merkle.root(HASHES[1:9])).text, LOG)
    store = TileStore()
    store.append(HASHES[1:9])
    files = case_files() | {PROOF: proof(7, size=8).encode(), "leaves.jsonl": b""}
    other = build_proof(7, merkle.inclusion_proof(7, 8, store.nodes()), fork, LEAVES[8])
    files[f"proofs/{record_id(8)}.tlog-proof"] = other.encode()
    code, out = run(capsys, write(tmp_path, files, "case"), *TRUST)
    assert code == 1
    assert "the log forked" in out


def test_files_that_differ_from_the_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, log_files())
    (path / "unlisted.txt").write_text("never read")
    assert run(capsys, path, *TRUST)[0] == 0
    (path / RECEIPT_NAME).unlink()
    code, out = run(capsys, path, *TRUST)
    assert code == 2
    assert f"incomplete     {RECEIPT_NAME}: the file is missing" in out
    (path / RECORD).write_text(json.dumps(record(7), indent=1))
    code, out = run(capsys, path, *TRUST)
    assert code == 1
    assert f"failed         {RECORD}: is not the file that the manifest lists" in out


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        ({"format": "affidavit-bundle/2"}, 1),
        ({"scope": "all"}, 1),
        ({"origin": "ledger.example.org/t/other-1"}, 1),
        ({"checkpoint": {"size": 299, "root": "x"}}, 1),
        ({"files": {"../../etc/passwd": {"sha256": "", "bytes": 1}}}, 1),
        ({"files": []}, 1),
        ({"files": {}}, 2),
    ],
    ids=str,
)
def test_manifests_that_lie(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], manifest: dict[str, Any], code: int
) -> None:
    assert run(capsys, write(tmp_path, log_files(), **manifest), *TRUST)[0] == code


def test_nothing_to_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, tmp_path)[0] == 2
    assert run(capsys, tmp_path / "absent.zip")[0] == 2
    (tmp_path / "broken.zip").write_bytes(b"PK but no zip")
    assert run(capsys, tmp_path / "broken.zip")[0] == 1
    with pytest.raises(SystemExit, match="2"):
        verify.main([str(tmp_path), "--vkey", "nonsense"])


def test_erased_and_withheld_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    partial = record(7)
    del partial["groups"]["input"], partial["salts"]["input"]
    withheld = run(capsys, write(tmp_path, log_files() | {RECORD: json.dumps(partial).encode()}), *TRUST)
    assert withheld[0] == 0
    assert "1 of 2 groups verified; input not disclosed" in withheld[1]
    partial["erased"] = {"input": "ER-123"}
    code, out = run(capsys, write(tmp_path, log_files() | {RECORD: json.dumps(partial).encode()}), *TRUST)
    assert code == 0
    assert "1 of 2 groups verified; input erased under ER-123" in out
    for erased in ({"output": "ER-1"}, {"never": "ER-1"}):
        forged = partial | {"erased": erased}
        assert run(capsys, write(tmp_path, log_files() | {RECORD: json.dumps(forged).encode()}), *TRUST)[0] == 1


def test_one_record_on_the_command_line(tmp_path: Path) -> None:
    record_path, proof_path = tmp_path / "record.json", tmp_path / "r.tlog-proof"
    record_path.write_text(json.dumps(record(7)))
    proof_path.write_text(proof(7))
    command = [sys.executable, "-I", str(SCRIPT), "record", str(record_path), str(proof_path), TRUST[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 groups verified" in done.stdout
    proof_path.write_text(proof(7).replace("extra ", "extra A", 1))
    assert verify.main(command[3:]) == 1
    proof_path.write_text("\n".join(line for line in proof(7).split("\n") if not line.startswith("extra ")))
    assert verify.main(command[3:]) == 2
    record_path.write_text(json.dumps(record(7) | {"leaf": b64encode(LEAVES[7]).decode()}))
    assert verify.main(command[3:]) == 0
    record_path.write_text(json.dumps(record(8) | {"leaf": b64encode(LEAVES[8]).decode()}))
    assert verify.main(command[3:]) == 1
