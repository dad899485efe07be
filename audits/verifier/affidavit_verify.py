#!/usr/bin/env python3
"""Verify Affidavit evidence offline, with nothing but Python 3.8 or newer and this file.

    python3 affidavit_verify.py BUNDLE.zip|DIRECTORY [--trust FILE]... [--vkey VKEY]... [--json] [--resample]
    python3 affidavit_verify.py record RECORD.json PROOF.tlog-proof [--trust FILE]... [--vkey VKEY]... [--json]

--resample draws the sample of a case again, and holds it against the items under review (README.txt says how).

Give the keys you trust from elsewhere than the bundle: --vkey is one key, --trust a c2sp.org/tlog-policy file
("log <vkey>" lines, "quorum none") or a file of vkeys, one a line. Keys inside a bundle only show that it agrees
with itself.

Results   authentic       hashes fit, and a key that you trust signed them
          integrity-only  hashes fit, but no key that you trust vouches for them
          failed          something was changed
Exit      0 authentic · 1 failed · 2 incomplete, or nothing to verify · 3 integrity-only

Bundle layout ("affidavit-bundle/1"):
  manifest.json         {"format": "affidavit-bundle/1", "scope": "log"|"case", "origin": …,
                         "files": {path: {"sha256": hex, "bytes": n}} for every file but this one,
                         "checkpoint": {"size": n, "root": base64},
                         "missing": [{"id": …, "reason": …}]} (left out on purpose; listed, not judged)
  trust-policy.txt      c2sp.org/tlog-policy: the log's keys          receipt-keys.txt   vkeys of receipts, one a line
  checkpoint.txt        signed note (c2sp.org/tlog-checkpoint)        checkpoints/*.txt  older ones (scope log)
  leaves.jsonl          {"index": n, "leaf": base64} a line, by index; scope log: every leaf from 0
  hashes.bin            scope log: the 32-byte leaf hashes in order, to name the first changed leaf
  proofs/<id>.tlog-proof   scope case: c2sp.org/tlog-proof of the leaf whose rid is <id> (leaf in leaves.jsonl or extra)
  records/<id>.json     {"id": …, "groups": {name: value}, "salts": {name: base64url}, "erased": {name: reason}}
  receipts/*.txt        signed notes "affidavit/receipt/v1"
  earlier/<n>/, links/<n>.json   scope log: checkpoint and leaves of a frozen log before this one; what the next one's
                        first leaf says of it, as in records/
  case.json, population/   scope case: what --resample reads
RECORD.json is as in records/; it may hold "leaf": base64, else the proof's extra line does.
"""
# ruff: noqa: T201, UP035
# It prints, and must run on Python 3.8.

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import math
import os
import re
import sys
import zipfile
from typing import IO, Any, Callable, Iterator

AUTHENTIC, INTEGRITY, INCOMPLETE, FAILED = "authentic", "integrity-only", "incomplete", "failed"
SEVERITY = [AUTHENTIC, INTEGRITY, INCOMPLETE, FAILED]
EXIT = {AUTHENTIC: 0, FAILED: 1, INCOMPLETE: 2, INTEGRITY: 3}
FORMAT = "affidavit-bundle/1"
SMALL = 64 << 20  # bytes; only leaves.jsonl and hashes.bin, which are streamed, may be larger


class Bad(Exception):
    """The evidence contradicts itself: it was changed."""


class Missing(Exception):
    """What is needed to judge is not there."""


def require(holds: Any, otherwise: str) -> None:
    if not holds:
        raise Bad(otherwise)


# Ed25519 (RFC 8032), cofactorless; keys that are not canonical or of low order are refused.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
IDENTITY = (0, 1, 1, 0)


def point_add(a: Any, b: Any) -> Any:
    """Addition in extended coordinates (RFC 8032 §5.1.4)."""
    low, high = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = high - low, d - c, d + c, high + low
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_decode(data: bytes) -> Any:
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    require(y < P and (x * x - square) % P == 0 and (x or not sign), "not an Ed25519 key")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def point_encode(point: Any) -> bytes:
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return int(y | (x & 1) << 255).to_bytes(32, "little")


BASE = point_decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519_verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` is by the key `public` (32 bytes)."""
    scalar = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or scalar >= L:
        return False
    x, y, z, t = key = point_decode(public)
    for _ in range(3):
        key = point_add(key, key)
    require(point_encode(key) != point_encode(IDENTITY), "an Ed25519 key of low order")
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus_key = (P - x, y, z, P - t)
    table = (IDENTITY, BASE, minus_key, point_add(BASE, minus_key))
    result = IDENTITY
    for bit in range(255, -1, -1):
        result = point_add(point_add(result, result), table[(scalar >> bit & 1) | (challenge >> bit & 1) << 1])
    return point_encode(result) == signature[:32]


# Canonical JSON (RFC 8785) over I-JSON.


def strict_json(data: bytes) -> Any:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        require(len(dict(pairs)) == len(pairs), "a JSON object repeats a name")
        return dict(pairs)

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=members, parse_constant=float)
    except (ValueError, RecursionError) as error:
        raise Bad(f"not JSON: {error}") from None


def canonical(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: str(name).encode("utf-16-be"))
        return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in names) + "}"
    return json.dumps(value) if value is None or isinstance(value, bool) else canonical_number(value)


def canonical_number(number: Any) -> str:
    """As ECMAScript prints it."""
    if math.isfinite(number) and number == int(number) and abs(number) < 2**53:
        return str(int(number))
    require(isinstance(number, float) and math.isfinite(number), "a number outside I-JSON")
    require(abs(number) < 2**53 or abs(number) >= 1e21, "a number outside I-JSON")
    mantissa, _, exponent = repr(number).partition("e")
    if exponent and -7 < int(exponent) < 0:
        digits = mantissa.lstrip("-").replace(".", "")
        return ("-" if number < 0 else "") + "0." + "0" * (-int(exponent) - 1) + digits
    return f"{mantissa}e{int(exponent):+d}" if exponent else mantissa


def canonical_bytes(value: Any) -> bytes:
    try:
        return canonical(value).encode("utf-8")
    except (UnicodeEncodeError, RecursionError):
        raise Bad("not I-JSON") from None


# Merkle trees (RFC 9162 §2.1).


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def frontier_push(stack: list[bytes], size: int, leaf: bytes) -> None:
    """Append a leaf hash to a tree of `size`, kept as the roots of its maximal complete subtrees."""
    while size & 1:
        leaf, size = node_hash(stack.pop(), leaf), size >> 1
    stack.append(leaf)


def frontier_root(stack: list[bytes]) -> bytes:
    node = stack[-1] if stack else hashlib.sha256(b"").digest()
    for left in reversed(stack[:-1]):
        node = node_hash(left, node)
    return node


def verify_inclusion(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> None:
    require(0 <= index < size, f"no leaf {index} in a tree of {size}")
    require(all(len(item) == 32 for item in [leaf, root, *path]), "a hash has not 32 bytes")
    position, last, node = index, size - 1, leaf
    for sibling in path:
        require(last > 0, "the inclusion proof is too long")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    require(last == 0, "the inclusion proof is too short")
    require(node == root, "the inclusion proof leads to another root")


# Keys, signed notes, checkpoints, proofs (C2SP).


def b64(text: str, url: bool = False) -> bytes:
    """Decode base64 in its one canonical spelling; base64url (`url`) has no padding here."""
    try:
        padded = text + "=" * (-len(text) % 4) if url else text
        data = base64.b64decode(padded, altchars=b"-_" if url else None, validate=True)
    except (ValueError, TypeError):
        raise Bad("not base64") from None
    again = base64.urlsafe_b64encode(data).decode().rstrip("=") if url else base64.b64encode(data).decode()
    require(again == text, "not canonical base64")
    return data


def parse_keys(text: str) -> dict[tuple[str, bytes], bytes]:
    """{(name, key id): key} of a tlog-policy, or of vkeys one a line; a demand for witnesses is refused."""
    keys = {}
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#") or words == ["quorum", "none"]:
            continue
        is_log = words[0] == "log" and len(words) in (2, 3)
        require(is_log or len(words) == 1, f"not supported in a trust policy: {line.strip()}")
        name, _, rest = words[1 if is_log else 0].partition("+")
        key_id, _, encoded = rest.partition("+")
        key = b64(encoded)
        expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
        fits = name and len(key) == 33 and key[:1] == b"\x01" and key_id == expected.hex()
        require(fits, f"not an Ed25519 vkey: {line.strip()}")
        keys[name, expected] = key[1:]
    return keys


def split_note(data: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """(text, [(name, key id, signature)]) of a signed note."""
    note = data.decode("utf-8", "surrogateescape")
    text, blank, lines = note.rpartition("\n\n")
    well_formed = blank and lines.endswith("\n") and not re.search("[\x00-\x09\x0b-\x1f\udc80-\udcff]", note)
    require(well_formed, "malformed signed note")
    signatures: list[tuple[str, bytes, bytes]] = []
    for line in lines[:-1].split("\n"):
        match = re.fullmatch(r"— ([^\s+]+) (\S+)", line)
        if match is None or len(signatures) >= 100:
            raise Bad("malformed signature line")
        signature = b64(match.group(2))
        signatures.append((match.group(1), signature[:4], signature[4:]))
    return text + "\n", signatures


class Keys:
    """The keys that the auditor trusts, and those that the bundle merely claims."""

    def __init__(self, trusted: dict[tuple[str, bytes], bytes]) -> None:
        self.trusted = trusted
        self.claimed: dict[tuple[str, bytes], bytes] = {}
        self.checked: dict[Any, bool] = {}

    def open(self, data: bytes, names: Callable[[str], list[str]]) -> tuple[str, str, str]:
        """(text, status, remark) of the signed note `data`, which a key of one of `names(text)` should have signed."""
        text, signatures = split_note(data)
        good = []
        for name, key_id, signature in signatures:
            key = self.trusted.get((name, key_id)) or self.claimed.get((name, key_id))
            if key is None:
                continue
            memo = (key, text, signature)
            if memo not in self.checked:
                self.checked[memo] = ed25519_verifies(key, text.encode(), signature)
            require(self.checked[memo], f"the signature of {name} does not fit the text: one was changed")
            if name in names(text):
                good.append((name, key_id))
        for name, key_id in good:
            if (name, key_id) in self.trusted:
                return text, AUTHENTIC, f"signed by {name}+{key_id.hex()}"
        signers = ", ".join(f"{name}+{key_id.hex()}" for name, key_id, _ in signatures)
        return text, INTEGRITY, "signed by {}, {}".format(signers, "not a key you trust" if good else "an unknown key")


def open_checkpoint(keys: Keys, data: bytes) -> tuple[str, int, bytes, str, str]:
    """(origin, size, root, status, remark)."""
    text, status, remark = keys.open(data, lambda text: [text.split("\n")[0]])
    lines = text.split("\n")
    require(len(lines) == 4 and lines[0] and re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]), "not a checkpoint")
    root = b64(lines[2])
    require(len(root) == 32, "not a checkpoint")
    return lines[0], int(lines[1]), root, status, remark


def open_proof(
    keys: Keys, data: bytes, leaves: dict[int, bytes]
) -> tuple[int, bytes, tuple[str, int, bytes, str, str]]:
    """(index, leaf, checkpoint) of a tlog-proof that holds; the leaf is `leaves[index]`, else its extra line."""
    head, blank, note = data.partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    require(blank and lines.pop(0) == "c2sp.org/tlog-proof@v1", "not a c2sp.org/tlog-proof@v1")
    extra = b64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
    require(lines and re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[0]), "the proof has no index")
    index = int(lines[0][6:])
    leaf = leaves.get(index, extra)
    if leaf is None:
        raise Missing(f"leaf {index} is not here")
    checkpoint = open_checkpoint(keys, note)
    verify_inclusion(leaf_hash(leaf), index, checkpoint[1], [b64(line) for line in lines[1:]], checkpoint[2])
    return index, leaf, checkpoint


def open_receipt(keys: Keys, data: bytes) -> tuple[list[str], str, str]:
    """([header, origin, rid, leaf hash, received at, mmd], status, remark) of a signed receipt."""

    def signers(text: str) -> list[str]:
        origin = text.split("\n")[1].split("/")
        return ["/".join([*origin[:parts], "receipt"]) for parts in range(1, len(origin))]

    text, status, remark = keys.open(data, signers)
    lines = text.split("\n")[:-1]
    fits = len(lines) == 6 and lines[0] == "affidavit/receipt/v1" and re.fullmatch("mmd [0-9]+", lines[5])
    require(fits, "not a receipt")
    return lines, status, remark


def check_record(record: Any, leaf: bytes) -> str:
    """Hold each disclosed group against the leaf's commitment to it; returns a remark."""
    document = strict_json(leaf)
    require(canonical_bytes(document) == leaf and document["v"] == 1, "not a canonical leaf document")
    require(record["id"] == document["rid"], "the record is not the one of the leaf")
    committed, groups, erased = document["c"], record.get("groups", {}), record.get("erased", {})
    for name in [*groups, *erased]:
        require(name in committed, f"group {name!r} is not in the leaf")
        require(not (name in groups and name in erased), f"group {name!r} is said to be erased, but is here")
    for name, value in groups.items():
        salt = b64(record["salts"][name], url=True)
        require(len(salt) == 32, f"the salt of group {name!r} has not 32 bytes")
        tag = b"affidavit/v1/commit/" + name.encode() + b"\x00"
        digest = hashlib.sha256(tag + salt + canonical_bytes(value)).digest()
        require(digest == b64(committed[name], url=True), f"group {name!r} was changed")
    remarks = [f"{len(groups)} of {len(committed)} groups verified"]
    remarks += ["{} erased under {}".format(*item) for item in sorted(erased.items())]
    remarks += [f"{name} not disclosed" for name in sorted(set(committed) - set(groups) - set(erased))]
    return "; ".join(remarks)


class Report:
    """Findings: (status, what, detail)."""

    def __init__(self) -> None:
        self.items: list[tuple[str, str, str]] = []
        self.about: dict[str, Any] = {}

    def add(self, status: str, what: str, detail: str) -> None:
        self.items.append((status, what, detail))

    def attempt(self, what: str, check: Callable[..., Any], *arguments: Any) -> Any:
        """What `check` returns, or None after a finding that says why it could not."""
        try:
            return check(*arguments)
        except Bad as error:
            self.add(FAILED, what, str(error))
        except Missing as error:
            self.add(INCOMPLETE, what, str(error))
        except (OSError, zipfile.BadZipFile, EOFError, LookupError, TypeError, AttributeError, ValueError) as error:
            self.add(FAILED, what, f"unreadable ({type(error).__name__}: {error})")
        return None

    @property
    def overall(self) -> str:
        statuses = {status for status, _, _ in self.items}
        return max(statuses, key=SEVERITY.index) if statuses else INCOMPLETE


class Bundle:
    """The files of a zip or a directory, by name; `close` it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.zip = zipfile.ZipFile(path) if os.path.isfile(path) else None

    def close(self) -> None:
        if self.zip:
            self.zip.close()

    def stream(self, name: str) -> IO[bytes]:
        require(not re.search(r"(^|/)\.\.?(/|$)|^/|[\\:]", name), f"an unsafe path: {name!r}")
        try:
            return self.zip.open(name) if self.zip else open(os.path.join(self.path, name), "rb")
        except (KeyError, OSError):
            raise Missing("the file is missing") from None

    def read(self, name: str) -> bytes:
        with self.stream(name) as stream:
            data = stream.read(SMALL + 1)
        require(len(data) <= SMALL, f"{name} is too large")
        return data


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Redraw:
    """The sample of a case, drawn again from its population, frame and seed."""

    def __init__(self, seed: bytes, sample: dict[str, Any], indexes: list[int], frame: list[tuple[int, int]]) -> None:
        self.seed, self.sample, self.frame = seed, sample, frame
        self.strata = {part["number"]: part for part in sample.get("strata", [])}
        self.members: dict[int | None, list[int]] = {None: indexes}
        self.used: dict[int | None, int] = {}
        if frame:
            require([index for index, _ in frame] == indexes, "the frame is of another population")
        if self.strata and sample["method"] != "monetary":
            for index, number in frame:
                require(number in self.strata, f"the frame names a stratum {number} that the case does not")
                self.members.setdefault(number, []).append(index)

    def chosen(self) -> list[int]:
        """The leaf indexes, in the order of the items."""
        method = self.sample["method"]
        if method == "all":
            return self.members[None]
        if method == "exceptions":
            return self.members.get(1, [])
        if method == "monetary":
            return self.units()
        if method != "stratified":
            require(method in ("attribute", "discovery", "iso2859", "random"), f"an unknown method, {method}")
            return self.lowest(None, self.sample["size"])
        self.check_allocation()
        return [index for number in sorted(self.strata) for index in self.lowest(number, self.strata[number]["size"])]

    def lowest(self, stratum: int | None, n: int) -> list[int]:
        """The `n` of lowest rank of a stratum (None: of the population)."""
        ranked = sorted(self.members.get(stratum, []), key=self.rank)
        self.used[stratum] = min(n, len(ranked))
        return ranked[:n]

    def rank(self, index: int) -> bytes:
        return hashlib.sha256(self.seed + index.to_bytes(8, "big")).digest()

    def next_of(self, stratum: int | None) -> int:
        """The next in rank of a stratum."""
        require(stratum in self.used, "this method replaces no item")
        ranked = sorted(self.members[stratum], key=self.rank)
        require(self.used[stratum] < len(ranked), "the stratum has no other decision")
        self.used[stratum] += 1
        return ranked[self.used[stratum] - 1]

    def check_allocation(self) -> None:
        """Some n, the same for all, must give each stratum its size: in proportion, rounded up."""
        total, low, high = len(self.frame), 1, 1 << 62
        for number, part in self.strata.items():
            size, drawn = len(self.members.get(number, [])), part["size"]
            require(size == part["population"], f"stratum {number} has {size} decisions, not {part['population']}")
            if drawn < size:  # ceiling(n * size / total) <= drawn
                high = min(high, drawn * total // size)
            if drawn > min(self.sample["minimum"], size):  # ceiling(n * size / total) >= drawn
                low = max(low, (drawn - 1) * total // size + 1)
            require(drawn >= min(self.sample["minimum"], size), f"stratum {number} has less than its minimum")
        require(low <= high, "the strata are not drawn from in proportion")

    def units(self) -> list[int]:
        """By cost: each of the interval or more, and those that a unit falls into."""
        interval = self.sample["interval_micros"]
        number = hashlib.sha256(b"affidavit/v1/monetary-unit-start" + self.seed).digest()
        due, passed, found = int.from_bytes(number, "big") % interval, 0, []
        for index, amount in self.frame:
            if amount >= interval:
                found.append(index)
            elif amount > 0:
                passed += amount
                if due < passed:
                    found.append(index)
                    due += interval
        return found


class BundleCheck:
    """One pass over one bundle; what it finds goes to `report`."""

    def __init__(self, bundle: Bundle, keys: Keys, report: Report) -> None:
        self.bundle, self.keys, self.report = bundle, keys, report
        self.leaves: dict[str, list[tuple[int, bytes, str]]] = {}
        self.hashes: set[bytes] = set()
        self.roots: dict[int, bytes] = {}
        self.proven = False  # the tree over every leaf of the log is the signed one
        self.first = b""  # the log's first leaf

    def run(self) -> None:
        manifest = strict_json(self.bundle.read("manifest.json"))
        require(manifest.get("format") == FORMAT and manifest["scope"] in ("log", "case"), f"not an {FORMAT}")
        require(isinstance(manifest["files"], dict), "the manifest lists no files")
        require(all(isinstance(item, dict) for item in manifest.get("missing", [])), "what is missing is not listed")
        self.report.about = {name: value for name, value in manifest.items() if name != "files"}
        self.origin, self.files, self.is_log = manifest["origin"], manifest["files"], manifest["scope"] == "log"
        for name in sorted(self.files):
            self.report.attempt(name, self.check_file, name)
        for name in {"trust-policy.txt", "receipt-keys.txt"} & set(self.files):
            self.report.attempt(name, self.claim_keys, name)
        self.has_receipts = bool(self.named("receipts/"))
        status = self.report.attempt("checkpoint.txt", self.check_head, manifest["checkpoint"])
        if not self.is_log:
            self.report.attempt("leaves.jsonl", self.check_case)
        elif status:
            self.report.attempt("leaves.jsonl", self.check_log, status)
            self.report.attempt("earlier logs", self.check_earlier)
        for name in self.named("records/"):
            self.report.attempt(name, self.check_one_record, name)
        for name in self.named("receipts/"):
            self.report.attempt(name, self.check_one_receipt, name)

    def resample(self) -> None:
        """Draw the sample of the case again. What is stated must be what the log holds: the population's hash in the
        event of the freeze, the seed and the frame's hash in the event of the draw."""
        if self.is_log:
            raise Missing("this is no bundle of a case")
        case = strict_json(self.read("case.json"))
        if not case.get("sample"):
            raise Missing("no sample was drawn")
        indexes = [int(line) for line in self.read("population/leaf-indexes.txt").split()]
        packed = b"".join(index.to_bytes(8, "big") for index in indexes)
        require(sha256_hex(packed) == case["population"]["sha256"], "the population is not the one that was frozen")
        freeze, status = self.event(case["population"]["event"], "case.population_frozen")
        require(freeze["population_sha256"] == case["population"]["sha256"], "the log has another population")
        seed, remark, seal = self.seed_of(case)
        drawn = Redraw(seed, case["sample"], indexes, self.frame_of(case["sample"]))
        found, items = drawn.chosen(), case["items"]
        original = [item["leaf_index"] for item in items if not item.get("replaces")]
        require(len(found) == len(original), f"{len(found)} decisions are drawn, but {len(original)} are items")
        first = next((n for n, index in enumerate(found) if index != original[n]), None)
        require(first is None, f"item {(first or 0) + 1} is not the decision that the seed draws")
        for item in items:
            require(self.find(item["decision"])[0] == item["leaf_index"], f"item {item['ordinal']} is another leaf")
        n_replaced = self.check_replacements(drawn, items)
        status = max(status, seal, key=SEVERITY.index)
        said = f"{case['sample']['method']}: the same {len(found)} of {len(indexes)} decisions are drawn, {remark}"
        self.report.add(status, "sample", said + (f"; {n_replaced} replaced, with reasons" if n_replaced else ""))

    def event(self, rid: str, what: str) -> tuple[dict[str, Any], str]:
        """(body, status) of an event of the log whose record is here and holds."""
        index, leaf, status = self.find(rid)
        document, record = strict_json(leaf), strict_json(self.read(f"records/{rid}.json"))
        require(document["typ"] == what, f"the event {rid} is no {what}")
        check_record(record, leaf)
        return {**record["groups"]["event"], "leaf_index": index}, status

    def seed_of(self, case: dict[str, Any]) -> tuple[bytes, str, str]:
        """(seed, remark, status): from the checkpoint after the freeze; none where nothing is left to chance."""
        sample, drawn = case["sample"], None
        for rid, found in self.leaves.items():
            if any(b'"typ":"case.sample_drawn"' in leaf for _, leaf, _ in found):
                body, status = self.event(rid, "case.sample_drawn")
                drawn = (body, status) if body["population"] == case["population"]["event"] else drawn
        if drawn is None:
            raise Missing("the event case.sample_drawn is not here")
        require(drawn[0].get("seed") == sample["seed"], "the log has another seed")
        require(drawn[0].get("frame_sha256") == sample.get("frame_sha256"), "the log has another frame")
        require(drawn[0].get("interval_micros") == sample.get("interval_micros"), "the log has another interval")
        require(drawn[0]["method"] == sample["method"], "the log has another method")
        if sample["seed"] is None:
            return b"", "with nothing left to chance", drawn[1]
        note = self.read("population/seed-checkpoint.txt")
        origin, size, root, status, remark = open_checkpoint(self.keys, note)
        require(origin == self.origin, f"the seed is of another log, {origin}")
        freeze, _ = self.event(case["population"]["event"], "case.population_frozen")
        require(size == sample["seed_checkpoint_size"], "the seed is of another checkpoint than the case says")
        require(size > freeze["leaf_index"], "the checkpoint of the seed was there before the freeze")
        seed = hashlib.sha256(root + bytes.fromhex(case["id"].replace("-", ""))).digest()
        require(seed.hex() == sample["seed"], "the seed is not that of the checkpoint after the freeze")
        return seed, f"seed of the checkpoint at {size}, {remark}", max(status, drawn[1], key=SEVERITY.index)

    def frame_of(self, sample: dict[str, Any]) -> list[tuple[int, int]]:
        """(leaf index, stratum or cost; -1: no cost) of each line; nothing where the method looks at no decision."""
        if not sample.get("frame_sha256"):
            return []
        data = self.read("population/frame.csv")
        require(sha256_hex(data) == sample["frame_sha256"], "the frame is not the one that was drawn from")
        pairs = (line.split(",") for line in data.decode().splitlines()[1:])
        return [(int(index), int(value) if value else -1) for index, value in pairs]

    def check_replacements(self, drawn: Redraw, items: list[dict[str, Any]]) -> int:
        """How many items gave way; each to the next in rank, with a reason."""
        by_ordinal = {item["ordinal"]: item for item in items}
        replacements = [item for item in items if item.get("replaces")]
        for item in replacements:
            gone = by_ordinal[item["replaces"]]
            require(gone.get("replaced_by") == item["ordinal"], f"item {gone['ordinal']} does not name its stand-in")
            require(gone["note"].strip(), f"item {gone['ordinal']} was replaced without a reason")
            same = item["leaf_index"] == drawn.next_of(gone.get("stratum"))
            require(same, f"item {item['ordinal']} is not the next in rank")
        return len(replacements)

    def named(self, prefix: str) -> list[str]:
        return sorted(name for name in self.files if name.startswith(prefix))

    def stream(self, name: str) -> IO[bytes]:
        if name not in self.files:
            raise Missing("not listed in the manifest")
        return self.bundle.stream(name)

    def read(self, name: str) -> bytes:
        self.stream(name).close()
        return self.bundle.read(name)

    def check_file(self, name: str) -> None:
        """Hold a listed file against its digest; files that are not listed are never read."""
        stated, digest, size = self.files[name], hashlib.sha256(), 0
        with self.bundle.stream(name) as stream:
            chunk = stream.read(1 << 20)
            while chunk and size <= stated["bytes"]:
                digest.update(chunk)
                size += len(chunk)
                chunk = stream.read(1 << 20)
        same = size == stated["bytes"] and digest.hexdigest() == stated["sha256"]
        require(same, "is not the file that the manifest lists")

    def claim_keys(self, name: str) -> None:
        self.keys.claimed.update(parse_keys(self.read(name).decode("utf-8", "replace")))

    def check_head(self, stated: dict[str, Any]) -> str:
        origin, size, root, status, remark = open_checkpoint(self.keys, self.read("checkpoint.txt"))
        require(origin == self.origin, f"a checkpoint of another log, {origin}")
        same = stated["size"] == size and b64(stated["root"]) == root
        require(same, "the manifest states another size or root")
        self.report.add(status, "checkpoint.txt", f"{size} leaves, {remark}")
        self.head_size, self.due = size, {size: [("checkpoint.txt", root, status)]}
        return status

    def check_log(self, status: str) -> None:
        """Re-derive the root over all leaves, and that of each older checkpoint on the way."""
        for name in self.named("checkpoints/"):
            self.report.attempt(name, self.add_due, name)
        stored = self.stored_hashes()
        stack: list[bytes] = []
        size, sound, bad = 0, 0, None
        failed = self.judge_heads(0, stack)
        for leaf in self.read_leaves():
            self.first = self.first or leaf
            digest = leaf_hash(leaf)
            if bad is None and next(stored, digest) != digest:
                bad = f"{size}: this is not the leaf that was logged"
            self.remember(size, leaf, digest, status)
            frontier_push(stack, size, digest)
            size += 1
            failed = self.judge_heads(size, stack) or failed
            if size in self.due and not failed:
                sound = size
        if size < self.head_size:
            bad, failed = bad or f"{size}: the checkpoint covers {self.head_size} leaves", True
        if size > self.head_size:
            bad, failed = bad or f"{self.head_size}: no checkpoint covers it", True
        if not size and not failed:
            raise Missing("an empty log: there is nothing to verify")
        require(not failed, f"first bad index {bad or f'is {sound} or later'}")
        require(not bad, f"hashes.bin differs, though the tree is sound, from leaf {bad}")
        self.proven = True

    def check_earlier(self) -> None:
        """Each frozen log gives its last head again, and the first leaf of the next one names that head."""
        numbers = sorted(int(name[6:-5]) for name in self.named("links/") if name[6:-5].isdigit())
        for number in numbers:
            after = min((other for other in numbers if other > number), default=0)
            self.report.attempt(f"log {number}, frozen", self.check_link, number, after)
        if self.first.find(b'"typ":"log.frozen"') >= 0 and not numbers:
            raise Missing("this log continues a frozen one, which is not here")

    def check_link(self, number: int, after: int) -> None:
        """Log `number` against the first leaf of log `after` (0: the one that the bundle is about)."""
        name, following = f"earlier/{number}/", f"earlier/{after}/leaves.jsonl"
        first = next((leaf for _, leaf in self.leaf_lines(following)), b"") if after else self.first
        link = strict_json(self.read(f"links/{number}.json"))
        require(strict_json(first)["typ"] == "log.frozen", "the next log does not begin with a freeze")
        check_record(link, first)
        said = link["groups"]["event"]["frozen"]
        require(said["shard"] == number, f"the next log names log {said['shard']}")
        if not said["size"]:
            self.report.add(AUTHENTIC, name, f"nothing of {said['origin']} was good")
            return
        origin, size, root, status, remark = open_checkpoint(self.keys, self.read(name + "checkpoint.txt"))
        stack: list[bytes] = []
        count = 0
        for count, (index, leaf) in enumerate(self.leaf_lines(name + "leaves.jsonl"), 1):
            require(index == count - 1, f"first bad index {count - 1}: leaf {index} stands there")
            frontier_push(stack, count - 1, leaf_hash(leaf))
        require((count, frontier_root(stack)) == (size, root), f"its leaves give another tree than its head of {size}")
        named = (said["origin"], said["size"], b64(said["root"]))
        require(named == (origin, size, root), "the first leaf of the next log names another head")
        self.report.add(status, name, f"{origin} ends with {size} leaves, as the next log says, {remark}")

    def stored_hashes(self) -> Iterator[bytes]:
        """The leaf hashes of hashes.bin, then b"" for ever; nothing at all where there is no such file."""
        if "hashes.bin" in self.files:
            with self.stream("hashes.bin") as stream:
                while True:
                    yield stream.read(32)

    def add_due(self, name: str) -> None:
        origin, size, root, status, _ = open_checkpoint(self.keys, self.read(name))
        require(origin == self.origin, f"a checkpoint of another log, {origin}")
        require(size <= self.head_size, f"of size {size}: checkpoint.txt is an old one put in its place")
        self.due.setdefault(size, []).append((name, root, status))

    def judge_heads(self, size: int, stack: list[bytes]) -> bool:
        """Report each checkpoint at `size`; True if one has another root."""
        wrong = False
        for name, root, status in self.due.get(size, []):
            same = frontier_root(stack) == root
            detail = f"root over {size} leaves {'re-derived' if same else 'is another'}"
            self.report.add(status if same else FAILED, "tree of " + name, detail)
            wrong = wrong or not same
        return wrong

    def read_leaves(self) -> Iterator[bytes]:
        """Each leaf of leaves.jsonl, which must run from index 0 without a gap."""
        for expected, (index, leaf) in enumerate(self.leaf_lines()):
            require(index == expected, f"first bad index {expected}: leaf {index} stands there")
            yield leaf

    def leaf_lines(self, name: str = "leaves.jsonl") -> Iterator[tuple[int, bytes]]:
        with self.stream(name) as stream:
            for number, line in enumerate(stream):
                try:
                    entry = json.loads(line)
                    yield int(entry["index"]), base64.b64decode(entry["leaf"], validate=True)
                except (LookupError, TypeError, ValueError):
                    raise Bad(f"line {number + 1} is unreadable: first bad index {number}") from None

    def remember(self, index: int, leaf: bytes, digest: bytes, status: str) -> None:
        """Keep what records and receipts will ask for."""
        if self.has_receipts:
            self.hashes.add(digest)
        match = re.search(rb'"rid":"([0-9a-f-]{36})"', leaf)
        rid = match.group(1).decode() if match else ""
        if not self.is_log or f"records/{rid}.json" in self.files:
            self.leaves.setdefault(rid, []).append((index, leaf, status))

    def check_case(self) -> None:
        leaves = dict(self.leaf_lines()) if "leaves.jsonl" in self.files else {}
        unproven = set(leaves)
        for name in self.named("proofs/"):
            unproven.discard(self.report.attempt(name, self.check_one_proof, name, leaves))
        if not self.leaves and not unproven:
            raise Missing("no proof is here: there is nothing to verify")
        if unproven:
            raise Missing(f"no proof that holds for the leaves {sorted(unproven)}")

    def check_one_proof(self, name: str, leaves: dict[int, bytes]) -> int:
        index, leaf, (origin, size, root, status, remark) = open_proof(self.keys, self.read(name), leaves)
        require(origin == self.origin, f"a proof from another log, {origin}")
        require(self.roots.setdefault(size, root) == root, f"two checkpoints of size {size} differ: the log forked")
        require(strict_json(leaf)["rid"] == name[len("proofs/") : -len(".tlog-proof")], "a proof of another record")
        self.remember(index, leaf, leaf_hash(leaf), status)
        self.report.add(status, name, f"leaf {index} of {size}, {remark}")
        return index

    def find(self, rid: str) -> tuple[int, bytes, str]:
        """The one proven leaf of a record."""
        found = self.leaves.get(rid, [])
        if self.is_log and not self.proven:
            raise Missing("not judged, since the log does not hold")
        if not found and not self.is_log:
            raise Missing("no proven leaf carries this id")
        require(found, "no leaf of the log carries this id")
        require(len(found) == 1, f"the leaves {[index for index, _, _ in found]} carry one id")
        return found[0]

    def check_one_record(self, name: str) -> None:
        index, leaf, status = self.find(name[len("records/") : -len(".json")])
        remark = check_record(strict_json(self.read(name)), leaf)
        self.report.add(status, name, f"leaf {index}: {remark}")

    def check_one_receipt(self, name: str) -> None:
        (_, origin, rid, digest, received, mmd), status, remark = open_receipt(self.keys, self.read(name))
        require(origin == self.origin, f"a receipt of another log, {origin}")
        if not self.proven:
            self.find(rid)
        require(b64(digest) in self.hashes, f"its leaf, received {received} with {mmd} s, is not in the log")
        self.report.add(status, name, f"leaf of {rid} is in the log, {remark}")


def check_bundle(path: str, keys: Keys, report: Report, resample: bool = False) -> None:
    with contextlib.closing(Bundle(path)) as bundle:
        check = BundleCheck(bundle, keys, report)
        report.attempt(path, check.run)
        if resample:
            report.attempt("sample", check.resample)


def read_file(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def check_single(record_path: str, proof_path: str, keys: Keys, report: Report) -> None:
    """The `record` command: one record and its proof, without a bundle."""
    record, proof = strict_json(read_file(record_path)), read_file(proof_path)
    given = {int(index): b64(record["leaf"]) for index in re.findall(rb"\nindex ([0-9]+)\n", proof) if "leaf" in record}
    index, leaf, (origin, size, _, status, remark) = open_proof(keys, proof, given)
    report.about = {"origin": origin, "scope": "record"}
    report.add(status, proof_path, f"leaf {index} of {size} in {origin}, {remark}")
    report.add(status, record_path, check_record(record, leaf))


VERDICTS = {
    AUTHENTIC: "Nothing was changed, and a key that you trust signed it.",
    INTEGRITY: "The hashes fit, but no key that you trust vouches for them: give --vkey or --trust.",
    INCOMPLETE: "Not everything needed is here, so nothing is proven for what is missing.",
    FAILED: "The evidence was changed, or is not what it says.",
}


def say(line: str) -> None:
    """Print, with nothing in it that could steer a terminal."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in line)
    encoding = sys.stdout.encoding or "utf-8"
    print(plain.encode(encoding, "replace").decode(encoding))


def show(report: Report, as_json: bool) -> None:
    overall = report.overall
    if as_json:
        items = [{"status": status, "item": what, "detail": detail} for status, what, detail in report.items]
        print(json.dumps({"result": overall, "exit": EXIT[overall], "about": report.about, "items": items}, indent=1))
        return
    say("Log {}, scope {}".format(report.about.get("origin", "unknown"), report.about.get("scope", "unknown")))
    for status, what, detail in report.items:
        say(f"  {status:14} {what}: {detail}")
    for left_out in report.about.get("missing", []):
        say(f"  {'left out':14} {left_out.get('id')}: {left_out.get('reason')}")
    say(f"{overall.upper()}: {VERDICTS[overall]}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Verify Affidavit evidence offline.", epilog="See the top of this file."
    )
    parser.add_argument("target", nargs="+", help="BUNDLE, or: record RECORD.json PROOF.tlog-proof")
    parser.add_argument("--trust", action="append", default=[], metavar="FILE", help="tlog-policy or vkeys")
    parser.add_argument("--vkey", action="append", default=[], help="a key you trust")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--resample", action="store_true", help="draw the sample of a case again")
    options = parser.parse_args(arguments)
    trusted: dict[tuple[str, bytes], bytes] = {}
    try:
        for text in [read_file(path).decode() for path in options.trust] + options.vkey:
            trusted.update(parse_keys(text))
    except (Bad, OSError, ValueError) as error:
        parser.error(f"trust: {error}")
    keys, report, target = Keys(trusted), Report(), options.target
    if target[0] == "record" and len(target) == 3:
        report.attempt(target[1], check_single, target[1], target[2], keys, report)
    elif len(target) > 1:
        parser.error("one bundle, or: record RECORD.json PROOF.tlog-proof")
    elif not os.path.exists(target[0]):
        report.add(INCOMPLETE, target[0], "no such file: there is nothing to verify")
    else:
        report.attempt(target[0], check_bundle, target[0], keys, report, options.resample)
    show(report, options.json)
    return EXIT[report.overall]


if __name__ == "__main__":
    sys.exit(main())
