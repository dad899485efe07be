"""Bundles for tests: a log of 300 decisions, exported whole or as one case, and written to disk."""

import hashlib
import json
import zipfile
from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from tenants.ledger import merkle
from tenants.ledger.canonical import dumps
from tenants.ledger.commitments import commit, decision_leaf
from tenants.ledger.notes import Checkpoint, Receipt, Signer, sign_note
from tenants.ledger.proofs import TrustPolicy, build_proof
from tests.tenants.ledger.trees import TileStore

ORIGIN = "ledger.example.org/t/acme-1"
LOG = Signer.from_seed(ORIGIN, b"k" * 32)
RECEIPTS = Signer.from_seed("ledger.example.org/receipt", b"r" * 32)
IMPOSTOR = Signer.from_seed(ORIGIN, b"i" * 32)
RECEIVED = datetime(2026, 11, 23, 8, 46, 14, tzinfo=UTC)
COUNT = 300
GROUPS: dict[str, Any] = {"input": [{"role": "user", "content": "é €"}], "output": {"score": 1.0, "p": 2e-7}}


def salt(number: int, group: str) -> bytes:
    return hashlib.sha256(f"{number} {group}".encode()).digest()


def record_id(number: int) -> UUID:
    return UUID(int=(7 << 76) + number)


def leaf(number: int) -> bytes:
    return decision_leaf(
        tenant_id=UUID(int=1),
        record_id=record_id(number),
        received_at=RECEIVED,
        system="loans",
        commitments={name: commit(name, salt(number, name), dumps(value)) for name, value in GROUPS.items()},
    )


LEAVES = [leaf(number) for number in range(COUNT)]
HASHES = [merkle.leaf_hash(each) for each in LEAVES]
STORE = TileStore()
STORE.append(HASHES)


def checkpoint(size: int = COUNT, signer: Signer = LOG) -> str:
    return sign_note(Checkpoint(ORIGIN, size, merkle.root(HASHES[:size])).text, signer)


def record(number: int) -> dict[str, Any]:
    salts = {name: urlsafe_b64encode(salt(number, name)).decode().rstrip("=") for name in GROUPS}
    return {"id": str(record_id(number)), "groups": dict(GROUPS), "salts": salts}


def receipt(number: int, signer: Signer = RECEIPTS, leaf_hash: bytes = b"") -> str:
    return sign_note(Receipt(ORIGIN, record_id(number), leaf_hash or HASHES[number], RECEIVED).text, signer)


def jsonl(leaves: dict[int, bytes]) -> bytes:
    lines = [json.dumps({"index": index, "leaf": b64encode(each).decode()}) for index, each in leaves.items()]
    return ("\n".join(lines) + "\n").encode()


def proof(number: int, signer: Signer = LOG, size: int = COUNT) -> str:
    path = merkle.inclusion_proof(number, size, STORE.nodes(size))
    return build_proof(number, path, checkpoint(size, signer), LEAVES[number])


Files = dict[str, bytes]


def log_files() -> Files:
    """A whole-log bundle, before its manifest."""
    return {
        "trust-policy.txt": TrustPolicy((LOG.verifier,)).text.encode(),
        "receipt-keys.txt": f"{RECEIPTS.verifier.vkey}\n".encode(),
        "checkpoint.txt": checkpoint().encode(),
        "checkpoints/100.txt": checkpoint(100).encode(),
        "checkpoints/256.txt": checkpoint(256).encode(),
        "leaves.jsonl": jsonl(dict(enumerate(LEAVES))),
        "hashes.bin": b"".join(HASHES),
        f"records/{record_id(7)}.json": json.dumps(record(7)).encode(),
        f"receipts/{record_id(9)}.txt": receipt(9).encode(),
    }


def case_files() -> Files:
    files = {name: data for name, data in log_files().items() if not name.startswith(("checkpoints/", "hashes"))}
    files["leaves.jsonl"] = jsonl({7: LEAVES[7], 9: LEAVES[9]})
    return files | {f"proofs/{record_id(number)}.tlog-proof": proof(number).encode() for number in (7, 9)}


def write(folder: Path, contents: Files, scope: str = "log", zipped: bool = False, **manifest: Any) -> Path:
    """The bundle on disk, with a manifest that fits them, as a forger would also write it."""
    size, root = contents.get("checkpoint.txt", checkpoint().encode()).split(b"\n")[1:3]
    stated: dict[str, Any] = {
        "format": "affidavit-bundle/1",
        "scope": scope,
        "origin": ORIGIN,
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in contents.items()
        },
        "missing": [],
        "checkpoint": {"size": int(size), "root": root.decode()},
    }
    files = contents | {"manifest.json": json.dumps(stated | manifest).encode()}
    if zipped:
        path = folder / "bundle.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    for name, data in files.items():
        path = folder / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "bundle"
