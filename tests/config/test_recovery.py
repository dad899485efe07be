"""A recovery, rehearsed: an installation of its own is backed up, loses its database, is restored and goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config import backup
from config.backup import Head, Manifest, Place
from config.processes import ServiceError
from config.servers import TEST, role_urls, running_services, without_credentials

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "correct horse battery staple"
WORK = """
from tests.factories.tenants import make_cast
from tests.factories.traces import submit
from tenants.ledger.sequencer import integrate_all
from tenants.ledger.signer import sign_checkpoints
submit(make_cast(), 12)
while integrate_all(): pass
sign_checkpoints()
"""


class Installation:
    """One on servers of its own, worked on as its operator does: by commands."""

    def __init__(self, home: Path, url: str, redis_url: str) -> None:
        self.home, self.url = home, url
        roles = {f"DATABASE_URL_{name.upper()}": value for name, value in role_urls(url).items()}
        self.env = {**without_credentials(os.environ), **roles, "DATABASE_URL": url, "REDIS_URL": redis_url}
        self.env |= {f"AFFIDAVIT_{n}_KEY_FILE": str(home / f"keys/{n.lower()}.key") for n in KEYS}
        self.env |= {"AFFIDAVIT_HOME": str(home), "DJANGO_SETTINGS_MODULE": "config.settings"}
        self.env["AFFIDAVIT_SIGNER_STATE"] = str(home / "signer")

    def run(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, *arguments], env=self.env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def must(self, *arguments: str) -> str:
        code, text = self.run(*arguments)
        assert code == 0, text
        return text

    def go_on(self) -> None:
        """A new organisation with signed decisions, and every other log signed as far as it goes."""
        self.must("-c", f"import django; django.setup(){WORK}")

    def lose_database(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")


KEYS = ("SECRET", "RECEIPT", "MASTER", "CHECKPOINT")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("recovery") / "home"
    with running_services(home, TEST, {}) as services:
        site = Installation(services.home, services.database_url, services.redis_url)
        site.must("manage.py", "migrate", "-v", "0")
        site.go_on()
        yield site
    if (services.home / "server-data").is_symlink():
        shutil.rmtree((services.home / "server-data").readlink())


@pytest.fixture(scope="module")
def passphrase(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("safe") / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    return f"--passphrase-file={path}"


def test_the_database_and_the_keys_are_lost_and_come_back(site: Installation, passphrase: str, tmp_path: Path) -> None:
    file = str(tmp_path / "now.tar")
    assert "read back and verified" in site.must("-m", "config", "backup", "--to", file, passphrase)
    site.lose_database()
    shutil.move(site.home / "keys", tmp_path / "keys")
    code, text = site.run("-m", "config", "restore", file)
    assert code == 1
    assert "lacks the keys" in text
    text = site.must("-m", "config", "restore", file, passphrase)
    assert "holds" in text
    assert "BROKEN" not in text
    before = (tmp_path / "keys" / "master.key").read_text()
    assert (site.home / "keys" / "master.key").read_text() == before
    site.go_on()
    assert site.must("manage.py", "verify_ledger").count("holds") == 2


def test_an_older_backup_is_refused_and_the_way_out_works(site: Installation, tmp_path: Path) -> None:
    file = str(tmp_path / "old.tar")
    site.must("-m", "config", "backup", "--to", file)
    slug = newest_slug(site)
    site.must("manage.py", "create_key", slug, "later", "--by", owner_of(site, slug), "--scope", "read")
    site.must("-c", "import django; django.setup()" + SIGN)
    code, text = site.run("-m", "config", "restore", file, "--replace")
    assert code == 1
    assert "would set the ledger back" in text
    assert "freeze_log" in text
    text = site.must("-m", "config", "restore", file, "--replace", "--accept-rollback")
    assert "BROKEN" in text
    people = ("--operator", "ana@example.org", "--second", "ben@example.org")
    assert "goes on" in site.must("manage.py", "freeze_log", slug, "--reason", "the newest disk was lost", *people)
    site.go_on()
    assert "BROKEN" not in site.must("manage.py", "verify_ledger")


SIGN = """
from tenants.ledger.sequencer import integrate_all
from tenants.ledger.signer import sign_checkpoints
while integrate_all(): pass
sign_checkpoints()
"""


def newest_slug(site: Installation) -> str:
    with psycopg.connect(site.url) as connection:
        row = connection.execute("SELECT slug FROM tenants_tenant ORDER BY id DESC LIMIT 1").fetchone()
    assert row is not None
    return str(row[0])


def owner_of(site: Installation, slug: str) -> str:
    query = (
        "SELECT u.email FROM tenants_user u JOIN tenants_membership m ON m.user_id = u.id"
        " JOIN tenants_tenant t ON t.id = m.tenant_id WHERE t.slug = %s AND 'owner' = ANY(m.roles)"
    )
    with psycopg.connect(site.url) as connection:
        row = connection.execute(query, [slug]).fetchone()
    assert row is not None
    return str(row[0])


def test_a_database_that_is_not_empty_is_left_alone(site: Installation, tmp_path: Path) -> None:
    file = str(tmp_path / "now.tar")
    site.must("-m", "config", "backup", "--to", file)
    code, text = site.run("-m", "config", "restore", file)
    assert code == 1
    assert "not empty" in text


def test_a_damaged_backup_is_noticed_before_anything_is_touched(site: Installation, tmp_path: Path) -> None:
    file = tmp_path / "now.tar"
    site.must("-m", "config", "backup", "--to", str(file))
    with tarfile.open(file) as archive:
        at = archive.getmember(backup.DUMP).offset_data + 5_000
    with file.open("r+b") as raw:
        raw.seek(at)
        byte = raw.read(1)[0]
        raw.seek(at)
        raw.write(bytes([byte ^ 1]))
    code, text = site.run("-m", "config", "restore", str(file), "--replace")
    assert code == 1
    assert "database.dump is not what its manifest says" in text
    assert "holds" in site.must("manage.py", "verify_ledger")


def test_what_is_behind_what_was_seen() -> None:
    root, other = "aa" * 32, "bb" * 32
    kept = [Head("x-1", 10, root), Head("y-1", 9, root), Head("w-1", 5, root, is_frozen=True)]

    def problems(*seen: Head) -> list[str]:
        return backup.set_back(Manifest("2026-11-25T06:00:00+00:00", kept), {head.origin: head for head in seen})

    assert problems(Head("x-1", 10, root), Head("y-1", 8, other), Head("w-1", 7, root)) == []
    assert problems(Head("x-1", 11, root)) == ["x-1: 11 leaves were signed, the backup has 10"]
    assert problems(Head("z-1", 1, root)) == ["z-1: 1 leaves were signed, the backup has 0"]
    assert "another tree of 9" in problems(Head("y-1", 9, other))[0]


def test_sealed_keys_open_with_their_passphrase_alone(tmp_path: Path) -> None:
    (tmp_path / "master.key").write_text("11" * 32)
    sealed = backup.seal_keys(tmp_path, PASSPHRASE)
    assert ("11" * 32).encode() not in sealed
    assert backup.open_keys(sealed, PASSPHRASE) == {"master.key": "11" * 32}
    for changed, word in ((sealed, PASSPHRASE + "!"), (sealed[:-1] + bytes([sealed[-1] ^ 1]), PASSPHRASE)):
        with pytest.raises(ServiceError, match="does not open"):
            backup.open_keys(changed, word)
    with pytest.raises(ServiceError, match="fewer than 12"):
        backup.seal_keys(tmp_path, "short")
    (tmp_path / "master.key").write_text("22" * 32)
    with pytest.raises(ServiceError, match="other keys"):
        backup.put_back_keys(tmp_path, {"master.key": "11" * 32})


def test_memory_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    place = Place("", tmp_path / "signer", tmp_path / "anchors", tmp_path / "keys")
    place.signer.mkdir()
    (place.signer / "a-1.checkpoints").write_text("newer")
    (tmp_path / "unpacked" / "signer").mkdir(parents=True)
    for name in ("a-1", "b-1"):
        (tmp_path / "unpacked" / "signer" / f"{name}.checkpoints").write_text("older")
    assert backup.put_back_memory(place, tmp_path / "unpacked") == ["signer/b-1.checkpoints"]
    assert (place.signer / "a-1.checkpoints").read_text() == "newer"
