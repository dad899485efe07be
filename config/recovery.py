"""`backup` and `restore` of `python -m config`: where an installation keeps what, and the order of a recovery."""

# ruff: noqa: S603, T201 (a command line prints; every command it runs is our own)

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from config import backup
from config.backup import Manifest, Place
from config.postgres import DATABASE, SUPERUSER
from config.processes import ServiceError
from config.servers import DEMO, default_home, is_in_use, role_urls, running_services
from config.supervisor import ROOT

WAY_OUT = """Look for a newer backup first: what was signed since this one would be lost. If there is none, restore with
--accept-rollback, and before anything is started freeze each of these logs with two people:
    manage.py freeze_log ORGANISATION --reason … --operator … --second …
Recording then goes on in a new log, whose first leaf names the last good head (docs/operations.md)."""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The two commands and their options."""
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("--passphrase-file", type=Path, help="seals the keys into the backup, or opens them from it")
    made = commands.add_parser("backup", parents=[both], help="write a verified backup of database, memory and keys")
    made.add_argument("--to", type=Path, help="the file (default: backups/affidavit-<time>.tar below the state folder)")
    made.set_defaults(run=run_backup)
    restored = commands.add_parser("restore", parents=[both], help="restore a backup, and verify every log")
    restored.add_argument("file", type=Path)
    restored.add_argument("--replace", action="store_true", help="drop what is in the database first")
    restored.add_argument(
        "--accept-rollback",
        action="store_true",
        help="although more was signed than the backup has: freeze_log follows",
    )
    restored.set_defaults(run=run_restore)


def run_backup(arguments: argparse.Namespace) -> int:
    """Write a backup; a running site goes on meanwhile."""
    home = default_home(os.environ)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = arguments.to or home / "backups" / f"affidavit-{stamp}.tar"
    with _database(home) as (url, _):
        manifest = backup.make_backup(place_of(home, url, os.environ), target, _passphrase(arguments))
    leaves = sum(head.size for head in manifest.heads)
    print(f"{target}: {len(manifest.heads)} logs with {leaves:,} leaves, read back and verified.")
    if backup.KEYS not in manifest.files:
        print(f"The keys are not in it: keep these elsewhere, without them the content is lost: {_names(manifest)}")
    return 0


def run_restore(arguments: argparse.Namespace) -> int:
    """Check, refuse what would set a log back, load, migrate, verify."""
    home = default_home(os.environ)
    manifest = backup.read_manifest(arguments.file, check=True)
    if not os.environ.get("DATABASE_URL") and is_in_use(home):
        raise ServiceError("the site is running: stop it first (`make stop`)")
    place = place_of(home, "", os.environ)
    problems = backup.set_back(manifest, backup.seen_outside(place))
    if problems and not arguments.accept_rollback:
        raise ServiceError("this backup would set the ledger back:\n  " + "\n  ".join(problems) + f"\n{WAY_OUT}")
    with tempfile.TemporaryDirectory(prefix="affidavit-restore-") as name:
        backup.unpack(arguments.file, Path(name))
        _restore_keys(place, manifest, Path(name), _passphrase(arguments))
        with _database(home) as (url, environ):
            place = place_of(home, url, os.environ)
            backup.load_database(place, Path(name) / backup.DUMP, replace=arguments.replace)
            _compare_heads(url, manifest)
            remembered = backup.put_back_memory(place, Path(name))
            _manage(environ, "migrate", "-v", "0")
            verified = _manage(environ, "verify_ledger", f"--state={place.signer}", check=not problems)
    print(verified.strip())
    if any(name.startswith("signer/") for name in remembered):
        print("The signer's memory came from the backup: hold the heads against the anchors and against receipts.")
    if problems:
        print("The ledger was set back:\n  " + "\n  ".join(problems) + f"\n{WAY_OUT}")
    print(f"Restored the backup of {manifest.made_at}: {len(manifest.heads)} logs.")
    return 0


def place_of(home: Path, url: str, environ: Mapping[str, str]) -> Place:
    """Where this installation keeps what."""

    def folder(variable: str, name: str) -> Path:
        return Path(environ.get(variable) or home / name)

    keys = (
        Path(environ["AFFIDAVIT_MASTER_KEY_FILE"]).parent if environ.get("AFFIDAVIT_MASTER_KEY_FILE") else home / "keys"
    )
    return Place(url, folder("AFFIDAVIT_SIGNER_STATE", "signer"), folder("AFFIDAVIT_ANCHOR_DIR", "anchors"), keys)


@contextlib.contextmanager
def _database(home: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The administrator's URL, and the environment for `manage.py`; embedded servers are started if none runs."""
    if url := os.environ.get("DATABASE_URL"):
        roles = {f"DATABASE_URL_{name.upper()}": value for name, value in role_urls(url, os.environ).items()}
        yield url, {**os.environ, **roles}
    elif is_in_use(home):
        port = json.loads((home / "ports.json").read_text())["postgres"]
        password = (home / "postgres.password").read_text().strip()
        yield f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{DATABASE}", dict(os.environ)
    else:
        with running_services(home, DEMO) as services:
            yield services.database_url, {**os.environ, **services.env()}


def _restore_keys(place: Place, manifest: Manifest, unpacked: Path, passphrase: str | None) -> None:
    """The keys from the backup, or those that are here already: they must be the ones that it was made with."""
    if passphrase is not None and backup.KEYS in manifest.files:
        keys = backup.open_keys((unpacked / backup.KEYS).read_bytes(), passphrase)
        backup.put_back_keys(place.keys, keys)
    here = backup.fingerprints(place.keys)
    if wrong := sorted(name for name, mark in manifest.keys.items() if here.get(name) != mark):
        raise ServiceError(
            f"{place.keys} lacks the keys that this backup was made with: {', '.join(wrong)}. Put them there,"
            " or give --passphrase-file if the backup holds them; without the master key no content can be read"
        )


def _compare_heads(url: str, manifest: Manifest) -> None:
    with psycopg.connect(url) as connection:
        if backup.heads_of(connection) != manifest.heads:
            raise ServiceError("the restored logs are not those that the backup's manifest names")


def _manage(environ: Mapping[str, str], *arguments: str, check: bool = True) -> str:
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    done = subprocess.run(command, env=dict(environ), cwd=ROOT, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise ServiceError(f"{arguments[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def _passphrase(arguments: argparse.Namespace) -> str | None:
    path: Path | None = arguments.passphrase_file
    return path.read_text(encoding="utf-8").strip() if path else None


def _names(manifest: Manifest) -> str:
    return ", ".join(f"{name} ({mark})" for name, mark in manifest.keys.items()) or "none were found"
