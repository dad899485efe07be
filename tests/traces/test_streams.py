"""Real answers of real models, 45,000 of them, through REST into the log and out of it to an offline verdict.

The streams are no part of the project: `shared/data/streams` beside the checkout holds them, where it is there.
"""

import gzip
import json
import random
import re
import subprocess
import sys
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command

from config.processes import wait_until
from config.supervisor import ROOT
from tenants.context import tenant_atomic
from tenants.ledger import merkle
from tenants.ledger.notes import Checkpoint, Signer, sign_note
from tenants.ledger.reader import health, trust_policy
from tenants.models import LedgerLeaf
from tests.factories.tenants import Cast, make_cast
from tests.site import RunningSite, running_site
from tests.tenants.ledger.bundles import write
from tests.traces.test_backtesting import candidate, finished, start
from tests.traces.test_backtesting import fresh as backtest_now
from traces.models import Decision

STREAMS = ROOT.parent / "shared" / "data" / "streams"
FILES = sorted(STREAMS.glob("*.jsonl.gz"))
SMALL = "p-stationary-clustered-1.jsonl.gz"
IMPORTERS = 3
SIGNED_WITHIN = 60.0  # seconds: the maximum merge delay

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILES, reason=f"no streams in {STREAMS}"),
]


def lines_of(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def import_all(site: RunningSite, cast: Cast, files: list[Path], folder: Path) -> int:
    """`manage.py import_decisions` over all files, in a few processes; returns how many were accepted."""
    command = [sys.executable, "manage.py", "import_decisions", "--key", cast.keys["ingest"].secret]
    command += ["--base-url", site.base_url, "--state", str(folder), "--batch", "500"]
    largest_first = sorted(files, key=lambda path: path.stat().st_size, reverse=True)
    shares = [largest_first[start::IMPORTERS] for start in range(IMPORTERS) if largest_first[start::IMPORTERS]]
    running = [
        subprocess.Popen([*command, *map(str, share)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for share in shares
    ]
    said = [process.communicate()[0].decode() for process in running]
    assert all(process.returncode == 0 for process in running), said
    counts = [re.search(r"([\d,]+) decisions submitted", text) for text in said]
    return sum(int(count[1].replace(",", "")) for count in counts if count)


def wait_signed(cast: Cast) -> None:
    def is_signed() -> bool:
        with tenant_atomic(cast.tenant.pk):
            now = health(cast.tenant.pk)
        return not now.queued and now.covered == now.log.size > 0

    assert wait_until(is_signed, SIGNED_WITHIN, interval=0.2), "not signed within the maximum merge delay"


@dataclass(frozen=True)
class Imported:
    """A tenant whose streams are in the log, and the bundles exported of it."""

    cast: Cast
    site: RunningSite
    accepted: int
    bundle: Path
    older: Path

    @property
    def vkey(self) -> str:
        with tenant_atomic(self.cast.tenant.pk):
            return trust_policy().logs[0].vkey


def imported(site: RunningSite, folder: Path, files: list[Path], *options: str) -> Imported:
    """Everything in, then out again, once before the last file and once after it."""
    cast = make_cast()
    exports = [folder / "older.zip", folder / "bundle.zip"]
    accepted = 0
    for share, path in zip((files[:-1] or files, files[-1:]), exports, strict=True):
        accepted += import_all(site, cast, share, folder / f"progress-{path.stem}")
        wait_signed(cast)
        call_command("export_log", cast.tenant.slug, str(path), *options, verbosity=0)
    return Imported(cast, site, accepted, exports[1], exports[0])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    with running_site(tmp_path_factory.mktemp("site"), ("signer", "sequencer", "web"), needs_pages=False) as running:
        yield running


@pytest.fixture(scope="module")
def everything(site: RunningSite, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    return imported(site, tmp_path_factory.mktemp("all"), FILES)


@pytest.fixture(scope="module")
def one(site: RunningSite, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """One stream in two halves, exported with the content of its records."""
    folder = tmp_path_factory.mktemp("one")
    lines = lines_of(STREAMS / SMALL)
    halves = [folder / "first.jsonl", folder / "second.jsonl"]
    for path, share in zip(halves, (lines[:300], lines[300:]), strict=True):
        path.write_bytes(b"".join(share))
    return imported(site, folder, halves, "--records")


def verdict(path: Path, vkey: str) -> tuple[int, str]:
    """Exit code and words of the verifier, which is given nothing but the bundle and a key."""
    tool = ROOT / "audits" / "verifier" / "affidavit_verify.py"
    command = [sys.executable, "-I", str(tool), str(path), "--vkey", vkey]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_every_stream_is_accepted_stored_and_in_the_tree(everything: Imported) -> None:
    submitted = sum(len(lines_of(path)) for path in FILES)
    with tenant_atomic(everything.cast.tenant.pk):
        stored = Decision.objects.count()
        leaves = sum(b'"typ":"decision"' in bytes(leaf) for leaf in LedgerLeaf.objects.values_list("leaf", flat=True))
        placed = LedgerLeaf.objects.filter(rid__in=Decision.objects.values("pk")).count()
    assert submitted == everything.accepted == stored == leaves == placed


def test_nothing_of_a_line_is_lost(one: Imported) -> None:
    lines = [json.loads(line) for line in lines_of(STREAMS / SMALL)]
    with zipfile.ZipFile(one.bundle) as bundle:
        records = [json.loads(bundle.read(name)) for name in bundle.namelist() if name.startswith("records/")]
    groups = {
        record["groups"]["meta"]["external_id"]: record["groups"] for record in records if "meta" in record["groups"]
    }
    assert len(groups) == len(lines)
    for line in lines:
        kept = groups[line["id"]]
        assert (kept["input"]["input"], kept["output"]["output"]) == (line["input_messages"], line["output"])
        assert kept["meta"]["metadata"]["segment"] == line["segment"]


def test_the_exports_verify_offline(everything: Imported, one: Imported) -> None:
    for done in (everything, one):
        for path in (done.older, done.bundle):
            code, words = verdict(path, done.vkey)
            assert code == 0, words[-2000:]
    assert verdict(one.bundle, everything.vkey)[0] == 3  # whole, but by a key of another log


Files = dict[str, bytes]


def unpacked(path: Path) -> Files:
    with zipfile.ZipFile(path) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist() if name != "manifest.json"}


def forged(one: Imported, folder: Path, change: Callable[[Files], object]) -> tuple[int, str]:
    """The verdict on a bundle that was changed, with a manifest that fits it again."""
    files = unpacked(one.bundle)
    change(files)
    with tenant_atomic(one.cast.tenant.pk):
        origin = health(one.cast.tenant.pk).log.origin
    return verdict(write(folder, files, origin=origin), one.vkey)


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def first_bad(words: str) -> int:
    match = re.search(r"first bad index (\d+)", words)
    assert match, words[-2000:]
    return int(match[1])


SEEDS = range(6)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flipped_byte_of_a_leaf_is_located(one: Imported, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    lines = unpacked(one.bundle)["leaves.jsonl"].splitlines()
    index = rng.randrange(len(lines))
    leaf = b64decode(json.loads(lines[index])["leaf"])
    changed = flip(leaf, rng.randrange(len(leaf)))
    lines[index] = json.dumps({"index": index, "leaf": b64encode(changed).decode()}).encode()
    code, words = forged(one, tmp_path, lambda files: files.update({"leaves.jsonl": b"\n".join(lines) + b"\n"}))
    assert (code, first_bad(words)) == (1, index)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flipped_byte_anywhere_in_the_leaves_is_detected(one: Imported, tmp_path: Path, seed: int) -> None:
    """Any byte of the file as it lies there: also of the JSON around the leaves."""
    data = unpacked(one.bundle)["leaves.jsonl"]
    at = random.Random(100 + seed).randrange(len(data))
    index = data[:at].count(b"\n")
    code, words = forged(one, tmp_path, lambda files: files.update({"leaves.jsonl": flip(data, at)}))
    assert code == 1
    assert first_bad(words) in (index, index + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flipped_byte_of_the_hashes_is_located(one: Imported, tmp_path: Path, seed: int) -> None:
    data = unpacked(one.bundle)["hashes.bin"]
    at = random.Random(200 + seed).randrange(len(data))
    code, words = forged(one, tmp_path, lambda files: files.update({"hashes.bin": flip(data, at)}))
    assert code == 1
    assert f"from leaf {at // 32}: " in words


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_word_of_a_record_is_located(one: Imported, tmp_path: Path, seed: int) -> None:
    rng = random.Random(300 + seed)
    files = unpacked(one.bundle)
    name = rng.choice(sorted(name for name in files if name.startswith("records/")))
    at = rng.choice([match.start() for match in re.finditer(rb"[a-z]", files[name])])
    code, words = forged(one, tmp_path, lambda files: files.update({name: flip(files[name], at)}))
    assert code in {1, 2}
    assert name in words
    assert "AUTHENTIC:" not in words


def relabelled(files: Files, signer: Signer, leaves: list[bytes]) -> None:
    """A log of these leaves, with everything computed again and signed by another key."""
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    origin = files["checkpoint.txt"].decode().split("\n")[0]
    lines = [
        json.dumps({"index": index, "leaf": b64encode(leaf).decode()}).encode() for index, leaf in enumerate(leaves)
    ]
    for name in [name for name in files if name.startswith(("checkpoints/", "records/"))]:
        del files[name]
    files["leaves.jsonl"] = b"\n".join(lines) + b"\n"
    files["hashes.bin"] = b"".join(hashes)
    files["checkpoint.txt"] = sign_note(Checkpoint(origin, len(leaves), merkle.root(hashes)).text, signer).encode()
    files["trust-policy.txt"] = f"log {signer.verifier.vkey}\nquorum none\n".encode()


def leaves_of(files: Files) -> list[bytes]:
    return [b64decode(json.loads(line)["leaf"]) for line in files["leaves.jsonl"].splitlines()]


def test_a_deleted_tail_is_located(one: Imported, tmp_path: Path) -> None:
    kept = len(leaves_of(unpacked(one.bundle))) - 40

    def cut(files: Files) -> None:
        files["leaves.jsonl"] = b"\n".join(files["leaves.jsonl"].splitlines()[:kept]) + b"\n"
        files["hashes.bin"] = files["hashes.bin"][: kept * 32]

    code, words = forged(one, tmp_path, cut)
    assert (code, first_bad(words)) == (1, kept)


def test_a_truncated_log_and_a_truncated_file_are_detected(one: Imported, tmp_path: Path) -> None:
    code, words = forged(one, tmp_path, lambda files: files.update({"leaves.jsonl": b"", "hashes.bin": b""}))
    assert (code, first_bad(words)) == (1, 0)
    torn = tmp_path / "torn.zip"
    torn.write_bytes(one.bundle.read_bytes()[:-2_000])
    assert verdict(torn, one.vkey)[0] == 1


def test_a_log_signed_again_with_another_key_is_not_authentic(one: Imported, tmp_path: Path) -> None:
    files = unpacked(one.bundle)
    leaves = leaves_of(files)
    leaves[77] = leaves[78]
    forger = Signer(files["checkpoint.txt"].decode().split("\n")[0], Ed25519PrivateKey.generate())
    code, words = forged(one, tmp_path, lambda files: relabelled(files, forger, leaves))
    assert code == 3  # it agrees with itself, as a forgery may; nobody that the auditor trusts signed it
    assert "not a key you trust" in words


def test_a_log_rolled_back_contradicts_the_newer_head(one: Imported, tmp_path: Path) -> None:
    """An old state is authentic by itself: what the auditor kept of the newer one shows that something is gone."""
    older = unpacked(one.older)
    kept = len(leaves_of(older))
    newer = unpacked(one.bundle)["checkpoint.txt"]

    def roll_back(files: Files) -> None:
        files.clear()
        files.update(older | {"checkpoint.txt": newer})

    code, words = forged(one, tmp_path, roll_back)
    assert (code, first_bad(words)) == (1, kept)


TOPICS = """
policy: sensitive-topics
title: Money and health go to a person
risk_class: low
on_error: fail_closed
rules:
  - id: topic
    severity: medium
    message: The answer is about money or health.
    when: enforcement.exists(e, e.rule.startsWith("topic."))
    action: route_to_human
"""
POLICY_CHANGED_AT = datetime(2026, 3, 12, 19, 24, 6, tzinfo=UTC)


def test_a_backtest_shows_what_the_change_of_a_policy_did(site: RunningSite, tmp_path: Path) -> None:
    """p-policy: from one moment on the application's own guard reports two more topics."""
    path = STREAMS / "p-policy.jsonl.gz"
    cast = make_cast()
    import_all(site, cast, [path], tmp_path)
    said = [json.loads(line)["policy_triggers"] for line in lines_of(path)]
    wanted = sum(any(rule.startswith("topic.") for rule in rules) for rules in said)

    version = candidate(cast, TOPICS)
    since = datetime(2026, 3, 1, tzinfo=UTC)
    first, second = start(cast, version, since=since), start(cast, version, since=since)
    result = finished(first)
    assert finished(second, 97) == result
    assert bytes(backtest_now(first).sha256) == bytes(backtest_now(second).sha256)
    assert (result["decisions"], result["flips"]) == (len(said), wanted)
    assert result["matrix"] == [["allow", "allow", len(said) - wanted], ["allow", "route_to_human", wanted]]

    before = finished(start(cast, version, since=since, until=POLICY_CHANGED_AT))
    assert before["flips"] == 0
