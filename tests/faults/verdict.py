"""What is left after the kills, held against what was acknowledged. Reads the tables as they are, past the product."""

import hashlib
import json
import subprocess
import sys
from base64 import b64encode
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from config.servers import without_credentials
from config.supervisor import ROOT
from tests.benchmarks.instance import Credentials, Instance

OFFLINE_RECEIPTS = 200  # the offline verifier's Ed25519 is plain Python: a sample for it, all for ours


@dataclass
class Verdict:
    """Every statement, whether it held, and by how much it failed."""

    checks: list[dict[str, Any]] = field(default_factory=list)

    def hold(self, statement: str, wrong: int | list[Any] | set[Any], detail: str = "") -> None:
        """`wrong`: how many cases contradict the statement, or which."""
        examples = [] if isinstance(wrong, int) else [str(one) for one in list(wrong)[:3]]
        count = wrong if isinstance(wrong, int) else len(wrong)
        self.checks.append(
            {"statement": statement, "held": count == 0, "wrong": count, "examples": examples, "detail": detail}
        )

    @property
    def held(self) -> bool:
        return all(check["held"] for check in self.checks)


Acknowledged = dict[str, list[dict[str, Any]]]


def read_acknowledged(path: Path) -> Acknowledged:
    """External id → every answer to it, in order."""
    answers: Acknowledged = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        answer = json.loads(line)
        answers[answer["external_id"]].append(answer)
    return answers


def judge(instance: Instance, credentials: Credentials, receipts: Path, folder: Path) -> Verdict:
    """Every check, after the queue has drained and the head is signed."""
    verdict = Verdict()
    answers = read_acknowledged(receipts)
    with instance.database() as database:
        leaves = read_leaves(database, credentials)
        check_answers(verdict, answers)
        check_stored(verdict, database, credentials, answers)
        check_tree(verdict, credentials, leaves, answers)
        notes = read_notes(database, credentials)
        check_checkpoints(verdict, credentials, leaves, notes)
    check_receipts(verdict, credentials, answers, {digest for _, _, _, digest in leaves})
    check_offline(verdict, credentials, leaves, notes, answers, folder)
    check_command(verdict, instance)
    return verdict


Leaf = tuple[int, str, bytes, bytes]  # index, rid, leaf, leaf hash


def read_leaves(database: psycopg.Connection, credentials: Credentials) -> list[Leaf]:
    rows = database.execute(
        "SELECT leaf_index, rid::text, leaf, leaf_hash FROM tenants_ledgerleaf"
        " WHERE tenant_id = %s ORDER BY leaf_index",
        [credentials.tenant_id],
    )
    return [(index, rid, bytes(leaf), bytes(digest)) for index, rid, leaf, digest in rows]


def read_notes(database: psycopg.Connection, credentials: Credentials) -> dict[int, str]:
    """Published checkpoints: size → note."""
    query = "SELECT size, note FROM tenants_ledgercheckpoint WHERE tenant_id = %s ORDER BY size"
    return dict(database.execute(query, [credentials.tenant_id]).fetchall())


def check_answers(verdict: Verdict, answers: Acknowledged) -> None:
    """A retry is told what the first try was told."""
    unlike = [
        name for name, told in answers.items() if len({(a["id"], a["leaf_hash"], a["receipt"]) for a in told}) > 1
    ]
    again = sum(len(told) - 1 for told in answers.values())
    verdict.hold("A retry gets the first answer", unlike, f"{again} repeats among {len(answers)} records")


def check_stored(
    verdict: Verdict, database: psycopg.Connection, credentials: Credentials, answers: Acknowledged
) -> None:
    """Every acknowledged record once, with its payload and its submission; nothing else."""
    query = "SELECT external_id, id::text, leaf_hash FROM traces_decision WHERE tenant_id = %s"
    rows = database.execute(query, [credentials.tenant_id]).fetchall()
    stored = Counter(name for name, _, _ in rows)
    by_name = {name: (rid, bytes(digest).hex()) for name, rid, digest in rows}
    detail = f"{len(answers)} acknowledged, {len(rows)} stored"
    verdict.hold("Every acknowledged record is stored", set(answers) - set(stored), detail)
    verdict.hold("No record is stored twice", [name for name, count in stored.items() if count > 1])
    verdict.hold("Nothing is stored that was never acknowledged", set(stored) - set(answers))
    told = {name: (one[0]["id"], one[0]["leaf_hash"]) for name, one in answers.items()}
    other = [name for name, pair in told.items() if name in by_name and by_name[name] != pair]
    verdict.hold("What is stored is what was acknowledged", other)
    halves = (
        "SELECT count(*) FROM traces_decision d WHERE tenant_id = %s AND"
        " (NOT EXISTS (SELECT FROM traces_decisionpayload p WHERE p.tenant_id = d.tenant_id AND p.id = d.id))"
    )
    row = database.execute(halves, [credentials.tenant_id]).fetchone()
    submissions = database.execute(
        "SELECT count(*) FROM traces_submission WHERE tenant_id = %s", [credentials.tenant_id]
    ).fetchone()
    unmatched = abs((submissions[0] if submissions else 0) - len(rows))
    verdict.hold("No half records: payload and submission are there", (row[0] if row else 0) + unmatched)


def check_tree(verdict: Verdict, credentials: Credentials, leaves: list[Leaf], answers: Acknowledged) -> None:
    """Indexes run on, hashes fit, and each acknowledged record has exactly one leaf."""
    gaps = [index for expected, (index, _, _, _) in enumerate(leaves) if index != expected]
    verdict.hold("Leaf indexes run from 0 without a gap", gaps, f"{len(leaves)} leaves")
    wrong = [index for index, _, leaf, digest in leaves if hashlib.sha256(b"\0" + leaf).digest() != digest]
    verdict.hold("Every leaf hash is its leaf's", wrong)
    counts = Counter(rid for _, rid, _, _ in leaves)
    verdict.hold("No record has two leaves", [rid for rid, count in counts.items() if count > 1])
    by_rid = {rid: digest.hex() for _, rid, _, digest in leaves}
    lost = [told[0]["id"] for told in answers.values() if by_rid.get(told[0]["id"]) != told[0]["leaf_hash"]]
    verdict.hold("Every acknowledged record is in the tree, as promised", lost)


def check_checkpoints(verdict: Verdict, credentials: Credentials, leaves: list[Leaf], notes: dict[int, str]) -> None:
    """Each signed head is the root over the first leaves: so any two of them are consistent."""
    from tenants.ledger.merkle import Frontier
    from tenants.ledger.notes import Checkpoint, open_note
    from tenants.ledger.signer import log_signer

    verifier = log_signer(credentials.origin).verifier
    heads = {size: Checkpoint.parse(open_note(note, [verifier]).text) for size, note in notes.items()}
    wrong, frontier = [], Frontier(0, ())
    for _, _, _, digest in leaves:
        frontier = frontier.extend([digest])
        if (head := heads.get(frontier.size)) and (head.root, head.size) != (frontier.root(), frontier.size):
            wrong.append(frontier.size)
    beyond = [size for size in heads if size > len(leaves)]
    detail = f"{len(heads)} checkpoints, the newest of {max(heads, default=0)}"
    verdict.hold("All checkpoints are consistent: each is the root over its leaves", wrong + beyond, detail)
    verdict.hold("The newest checkpoint covers every leaf", int(max(heads, default=0) != len(leaves)))


def check_receipts(verdict: Verdict, credentials: Credentials, answers: Acknowledged, digests: set[bytes]) -> None:
    """Each receipt is signed, is for this record, and its promise was kept."""
    from tenants.ledger.notes import NoteError, Receipt, open_note
    from tenants.ledger.receipts import receipt_signer

    verifier, bad, broken = receipt_signer().verifier, [], []
    for told in answers.values():
        for answer in told:
            try:
                receipt = Receipt.parse(open_note(answer["receipt"], [verifier]).text)
            except NoteError as error:
                bad.append(f"{answer['id']}: {error}")
                continue
            if (str(receipt.record_id), receipt.origin) != (answer["id"], credentials.origin):
                bad.append(answer["id"])
            if receipt.leaf_hash not in digests:
                broken.append(answer["id"])
    verdict.hold("Every receipt verifies", bad, f"{sum(map(len, answers.values()))} receipts")
    verdict.hold("Every receipt's promise was kept: its leaf is in the tree", broken)


def check_offline(
    verdict: Verdict,
    credentials: Credentials,
    leaves: list[Leaf],
    notes: dict[int, str],
    answers: Acknowledged,
    folder: Path,
) -> None:
    """The auditor's verifier, alone, over all leaves, all checkpoints and a sample of receipts."""
    from tenants.ledger.receipts import receipt_signer
    from tenants.ledger.signer import log_signer

    keys = [log_signer(credentials.origin).verifier.vkey, receipt_signer().verifier.vkey]
    sample = list(answers.values())[:: max(1, len(answers) // OFFLINE_RECEIPTS)]
    lines = [json.dumps({"index": index, "leaf": b64encode(leaf).decode()}) for index, _, leaf, _ in leaves]
    newest = notes[max(notes)]
    files = {
        "checkpoint.txt": newest.encode(),
        "leaves.jsonl": ("\n".join(lines) + "\n").encode(),
        **{f"checkpoints/{size}.txt": note.encode() for size, note in list(notes.items())[:-1]},
        **{f"receipts/{told[0]['id']}.txt": told[0]["receipt"].encode() for told in sample},
    }
    size, root = newest.split("\n")[1:3]
    manifest = {
        "format": "affidavit-bundle/1",
        "scope": "log",
        "origin": credentials.origin,
        "files": {n: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for n, data in files.items()},
        "checkpoint": {"size": int(size), "root": root},
        "missing": [],
    }
    for name, data in (files | {"manifest.json": json.dumps(manifest).encode()}).items():
        path = folder / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    verifier = str(ROOT / "audits" / "verifier" / "affidavit_verify.py")
    trust = [word for key in keys for word in ("--vkey", key)]
    done = subprocess.run(
        [sys.executable, "-I", verifier, str(folder / "bundle"), "--json", *trust],
        capture_output=True,
        text=True,
        check=False,
    )
    detail = f"{len(leaves)} leaves, {len(notes)} checkpoints, {len(sample)} receipts"
    verdict.hold("The offline verifier says: authentic", done.returncode, detail)


def check_command(verdict: Verdict, instance: Instance) -> None:
    """The product's own check of its ledger."""
    env = {**without_credentials({}), **instance.services.env(), "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "manage.py", "verify_ledger"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).strip().splitlines()
    verdict.hold("manage.py verify_ledger is content", done.returncode, lines[-1] if lines else "")
