"""Backups of an installation: one file that holds what a new machine needs, and says what it knew when it was made.

A backup is a tar file (mode 0600): `manifest.json` first, then `database.dump` (pg_dump, custom format, of one
snapshot), `signer/` and `anchors/` (what was seen outside the database) and, only with a passphrase, `keys.sealed`.
The manifest has every member's SHA-256, each log's size and root in that snapshot, and the fingerprints of the keys.

Restoring never makes the ledger forget: a backup that is older than what the signer or the anchors have seen is refused
before anything is touched, unless the operator says that they know and goes on with a new shard (`freeze_log`).
"""

# ruff: noqa: S603 (every command here is our own, no shell takes part)

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from config.postgres import find_binaries
from config.processes import ServiceError

FORMAT = "affidavit-backup/1"
DUMP, KEYS, MANIFEST = "database.dump", "keys.sealed", "manifest.json"
FOLDERS = ("signer", "anchors")
_SEAL = b"affidavit/backup/keys/v1\n"
_SALT_BYTES, _NONCE_BYTES = 16, 12
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Head:
    """What was seen of a log: its tree's size and root (hex). Of a frozen one it is settled that it was set back."""

    origin: str
    size: int
    root: str
    is_frozen: bool = False


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself."""

    made_at: str
    heads: list[Head]
    files: Mapping[str, str] = field(default_factory=dict)  # member: SHA-256
    keys: Mapping[str, str] = field(default_factory=dict)  # file: fingerprint
    format: str = FORMAT

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Raises ServiceError for what is no manifest of ours."""
        try:
            raw = json.loads(data)
            if raw.get("format") != FORMAT:
                raise ValueError(f"its format is {raw.get('format')!r}")
            return cls(**{**raw, "heads": [Head(**head) for head in raw["heads"]]})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ServiceError(f"not a backup of Affidavit: {error}") from None


@dataclass(frozen=True)
class Place:
    """An installation as the operator's commands see it."""

    database_url: str
    signer: Path
    anchors: Path
    keys: Path

    def folder(self, name: str) -> Path:
        return self.signer if name == "signer" else self.anchors


def make_backup(place: Place, target: Path, passphrase: str | None) -> Manifest:
    """Write a backup to `target` and read it back. With a passphrase the keys are in it, sealed.

    The database is read first and the signer's memory after it, so the memory is never behind the tree.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if target.exists():
        raise ServiceError(f"{target} exists already")
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as name:
        work = Path(name)
        heads = _dump(place.database_url, work / DUMP)
        members = {DUMP: work / DUMP}
        for folder in FOLDERS:
            members.update({f"{folder}/{path.name}": path for path in _copied(place.folder(folder), work / folder)})
        if passphrase is not None:
            (work / KEYS).write_bytes(seal_keys(place.keys, passphrase))
            members[KEYS] = work / KEYS
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        hashes = {name: _sha256(path) for name, path in members.items()}
        manifest = Manifest(made_at, heads, hashes, fingerprints(place.keys))
        partial = work / "backup.tar"
        _write(partial, manifest, members)
        read_manifest(partial, check=True)
        partial.replace(target)
    _sync(target.parent)
    return manifest


def read_manifest(backup: Path, *, check: bool = False) -> Manifest:
    """The manifest; with `check` every member is read and held against it. Raises ServiceError."""
    try:
        with tarfile.open(backup) as archive:
            first = archive.next()
            stream = archive.extractfile(first) if first is not None and first.name == MANIFEST else None
            if stream is None:
                raise ServiceError(f"{backup} is not a backup of Affidavit")
            manifest = Manifest.parse(stream.read())
            if check:
                _check_members(archive, manifest)
    except (OSError, tarfile.TarError) as error:
        raise ServiceError(f"{backup} cannot be read: {error}") from None
    return manifest


def unpack(backup: Path, folder: Path) -> None:
    """The members of a checked backup, below `folder`."""
    with tarfile.open(backup) as archive:
        archive.extractall(folder, filter="data")


def _check_members(archive: tarfile.TarFile, manifest: Manifest) -> None:
    found = {}
    for member in archive:
        stream = archive.extractfile(member)
        if stream is not None and member.name != MANIFEST:
            digest = hashlib.sha256()
            while block := stream.read(_CHUNK):
                digest.update(block)
            found[member.name] = digest.hexdigest()
    if found != dict(manifest.files):
        names = set(found) | set(manifest.files)
        wrong = sorted(name for name in names if found.get(name) != manifest.files.get(name))
        raise ServiceError(f"the backup is damaged: {', '.join(wrong)} is not what its manifest says")


def seen_outside(place: Place) -> dict[str, Head]:
    """The largest head of each log that the signer's folder or the file of anchors holds."""
    seen: dict[str, Head] = {}
    for folder in FOLDERS:
        for head in heads_in(place.folder(folder)):
            if head.origin not in seen or seen[head.origin].size < head.size:
                seen[head.origin] = head
    return seen


def heads_in(folder: Path) -> Iterator[Head]:
    """Every signed head in the files of a folder; a line that a crash cut short is passed over."""
    # Here, not above: `python -m config` starts with nothing of the product but this package.
    from tenants.ledger.memory import PATTERN, remembered_heads

    for path in sorted(folder.glob(PATTERN)) + sorted(folder.glob("checkpoints.jsonl")):
        for checkpoint, _ in remembered_heads(path):
            yield Head(checkpoint.origin, checkpoint.size, checkpoint.root.hex())


def set_back(manifest: Manifest, seen: Mapping[str, Head]) -> list[str]:
    """A sentence for each log that this backup would set back behind what was signed, or replace by another history."""
    held = {head.origin: head for head in manifest.heads}
    problems = []
    for origin, head in sorted(seen.items()):
        kept = held.get(origin)
        if kept is not None and kept.is_frozen:
            continue
        if kept is None or kept.size < head.size:
            size = kept.size if kept else 0
            problems.append(f"{origin}: {head.size} leaves were signed, the backup has {size}")
        elif kept.size == head.size and kept.root != head.root:
            problems.append(f"{origin}: another tree of {head.size} leaves was signed (root {head.root[:16]}…)")
    return problems


def load_database(place: Place, dump: Path, *, replace: bool) -> None:
    """Fill the database from a dump, all or nothing. Raises ServiceError where tables are there already."""
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        if _one(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"):
            if not replace:
                raise ServiceError("the database is not empty; --replace drops everything in it first")
            if busy := _one(
                connection,
                "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'affidavit\\_%'"
                " AND datname = current_database() AND pid <> pg_backend_pid()",
            ):
                raise ServiceError(f"{busy} sessions are using the database: stop every process of the site first")
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        _make_roles(connection)
    # Schema public is there, and the dump would make it.
    listing = _pg("pg_restore", place.database_url, "--list", str(dump), connects=False)
    wanted = dump.with_suffix(".list")
    wanted.write_text("".join(f"{line}\n" for line in listing.splitlines() if " SCHEMA - public " not in line))
    options = ("--exit-on-error", "--single-transaction", f"--use-list={wanted}")
    _pg("pg_restore", place.database_url, *options, str(dump))


def heads_of(connection: psycopg.Connection[Any]) -> list[Head]:
    """Each log's size and root, as the database has them."""
    rows = connection.execute("SELECT origin, size, root, state FROM tenants_ledgerlog ORDER BY origin").fetchall()
    return [Head(origin, size, bytes(root).hex(), state == "frozen") for origin, size, root, state in rows]


def put_back_memory(place: Place, unpacked: Path) -> list[str]:
    """Give the signer and the anchors their files where they have none; what they still have is newer and stays."""
    written = []
    for name in FOLDERS:
        for source in sorted((unpacked / name).glob("*")):
            target = place.folder(name) / source.name
            if not target.exists():
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write_new(target, source.read_bytes())
                written.append(f"{name}/{source.name}")
    return written


def seal_keys(folder: Path, passphrase: str) -> bytes:
    """The files of the keys' folder under a passphrase: scrypt (N=2^17, r=8, p=1), then AES-256-GCM."""
    if len(passphrase) < 12:
        raise ServiceError("the passphrase for the keys has fewer than 12 characters")
    plain = json.dumps({path.name: path.read_text() for path in _key_files(folder)}).encode()
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    return _SEAL + salt + nonce + AESGCM(_stretched(passphrase, salt)).encrypt(nonce, plain, _SEAL)


def open_keys(sealed: bytes, passphrase: str) -> dict[str, str]:
    """File name → content. Raises ServiceError for another passphrase or changed bytes."""
    body = sealed.removeprefix(_SEAL)
    salt, nonce = body[:_SALT_BYTES], body[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
    try:
        plain = AESGCM(_stretched(passphrase, salt)).decrypt(nonce, body[_SALT_BYTES + _NONCE_BYTES :], _SEAL)
    except (InvalidTag, ValueError):
        raise ServiceError("the passphrase does not open the keys of this backup") from None
    return dict(json.loads(plain))


def put_back_keys(folder: Path, keys: Mapping[str, str]) -> list[str]:
    """Write the keys that are missing. Raises ServiceError where another key stands in the place of one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    differing = [n for n, text in keys.items() if (folder / n).exists() and (folder / n).read_text() != text]
    if differing:
        raise ServiceError(f"other keys are in {folder}: {', '.join(sorted(differing))}; move them away first")
    missing = sorted(name for name in keys if not (folder / name).exists())
    for name in missing:
        _write_new(folder / Path(name).name, keys[name].encode())
    return missing


def fingerprints(folder: Path) -> dict[str, str]:
    """The first 8 bytes of each key file's SHA-256: to tell keys apart, not to guess them from."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in _key_files(folder)}


def _key_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.key"), *folder.glob("*.crt")])


def _stretched(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**17, r=8, p=1).derive(passphrase.encode())


def _dump(database_url: str, target: Path) -> list[Head]:
    """pg_dump of the very snapshot that the heads are read in."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        snapshot = _one(connection, "SELECT pg_export_snapshot()")
        heads = heads_of(connection)
        options = ("--format=custom", "--compress=6", f"--snapshot={snapshot}", "--no-publications")
        _pg("pg_dump", database_url, *options, f"--file={target}")
    return heads


def _make_roles(connection: psycopg.Connection[Any]) -> None:
    """The roles that the dump's privileges name; `migrate` gives them their passwords after."""
    for name in ("owner", "directory", "web", "worker", "ingest", "sequencer", "signer"):
        if not _one(connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", f"affidavit_{name}"):
            connection.execute(f"CREATE ROLE affidavit_{name} NOLOGIN")


def _one(connection: psycopg.Connection[Any], statement: str, *values: Any) -> Any:
    row = connection.execute(statement.encode(), values or None).fetchone()
    return row[0] if row else None


def _pg(program: str, database_url: str, *arguments: str, connects: bool = True) -> str:
    """Run a client program of PostgreSQL; the password goes by the environment, not by the process list."""
    parts = urlsplit(database_url)
    address = parts._replace(netloc=f"{parts.username or ''}@{parts.netloc.rpartition('@')[2]}").geturl()
    command = [str(find_binaries().folder / program), *([f"--dbname={address}"] if connects else []), *arguments]
    environ = {**os.environ, "PGPASSWORD": unquote(parts.password or "")}
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ServiceError(
            f"{program} cannot be run ({error.strerror}): install PostgreSQL's client programs"
        ) from None
    if done.returncode:
        raise ServiceError(f"{program} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def _copied(source: Path, target: Path) -> Iterator[Path]:
    """Copies of a folder's files, which may grow while we read."""
    if not source.is_dir():
        return
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_file():
            (target / path.name).write_bytes(path.read_bytes())
            yield target / path.name


def _write(path: Path, manifest: Manifest, members: Mapping[str, Path]) -> None:
    text = json.dumps(asdict(manifest), indent=1).encode()
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            info = tarfile.TarInfo(MANIFEST)
            info.size, info.mode = len(text), 0o600
            archive.addfile(info, io.BytesIO(text))
            for name, source in members.items():
                archive.add(source, name, filter=_anonymous)
        file.flush()
        os.fsync(file.fileno())


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def _write_new(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
