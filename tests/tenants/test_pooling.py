"""I3 behind PgBouncer in transaction mode: tenants share one connection to PostgreSQL, and none meets another.

PgBouncer comes from the system (Debian: `apt-get install pgbouncer`); without it these tests are left out.
"""

import getpass
import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connections
from django.test import Client

from config.processes import free_port, wait_until
from tenants.context import tenant_atomic
from tenants.ids import uuid7_now
from tenants.models import SourceSystem
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision
from tests.tenants.test_context import many, one_request

__all__ = ["many"]
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed (apt-get install pgbouncer)")

CONFIG = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {size}
logfile = {log}
"""
ALIASES = ("default", "ingest", "worker")


@dataclass(frozen=True)
class Bouncer:
    """One server connection a login."""

    port: int

    def connect(self, alias: str = "default", **how: object) -> "psycopg.Connection[tuple[object, ...]]":
        login, how = settings.DATABASES[alias], {"prepare_threshold": None, **how}
        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=login["NAME"], user=login["USER"], **how  # type: ignore[arg-type]
        )  # fmt: skip


@pytest.fixture(scope="module")
def bouncer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bouncer]:
    folder, port = tmp_path_factory.mktemp("bouncer"), free_port()
    logins = {settings.DATABASES[alias]["USER"]: settings.DATABASES[alias]["PASSWORD"] for alias in ALIASES}
    (folder / "users").write_text("".join(f'"{name}" "{password}"\n' for name, password in logins.items()))
    server = settings.DATABASES["default"]
    text = CONFIG.format(
        host=server["HOST"], port=server["PORT"], listen=port, users=folder / "users", size=1, log=folder / "log"
    )
    (folder / "ini").write_text(text)
    command = [str(PGBOUNCER), "-q", str(folder / "ini")]
    if os.geteuid() == 0:  # which it refuses to be
        for path in (folder, *folder.iterdir(), *list(folder.parents)[:2]):
            path.chmod(0o777 if path == folder else path.stat().st_mode | 0o055)
        command[1:1] = ["-u", "nobody"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        answered = wait_until(lambda: _answers(Bouncer(port)), 30.0)
        try:
            assert answered, f"PgBouncer as {getpass.getuser()}: {_tail(folder / 'log')}"
            yield Bouncer(port)
        finally:
            process.terminate()


def _answers(bouncer: Bouncer) -> bool:
    try:
        bouncer.connect().close()
    except psycopg.OperationalError:
        return False
    return True


def _tail(path: Path) -> str:
    return path.read_text()[-2000:] if path.exists() else "it wrote nothing"


@pytest.fixture
def pooled(bouncer: Bouncer) -> Iterator[Bouncer]:
    """The product's own connections go through it."""
    with pytest.MonkeyPatch.context() as patch:
        for alias in ALIASES:
            connections[alias].close()
            patch.setitem(connections[alias].settings_dict, "HOST", "127.0.0.1")
            patch.setitem(connections[alias].settings_dict, "PORT", bouncer.port)
        yield bouncer
        for alias in ALIASES:
            connections[alias].close()


SEEN = "SELECT count(*), max(name), pg_backend_pid(), current_setting('app.tenant_id', true) FROM tenants_sourcesystem"


def test_two_tenants_in_turns_over_one_server_connection(cast: Cast, stranger: Cast, bouncer: Bouncer) -> None:
    wrong: list[str] = []
    backends: set[object] = set()
    with tenant_atomic(stranger.tenant.pk):
        SourceSystem.objects.filter(pk=stranger.source.pk).update(name="theirs")

    def serve(who: Cast, name: str) -> None:
        with bouncer.connect(autocommit=True) as connection:
            for _ in range(60):
                with connection.transaction():
                    connection.execute(f"SET LOCAL app.tenant_id = '{who.tenant.pk}'")
                    time.sleep(random.random() / 500)
                    count, seen, backend, _ = connection.execute(SEEN).fetchone() or (0, "", 0, "")
                    backends.add(backend)
                    if (count, seen) != (1, name):
                        wrong.append(f"{name} saw {count} {seen}")
                left = connection.execute(SEEN).fetchone()
                if left is None or left[0] != 0 or left[3] not in {"", None}:
                    wrong.append(f"after {name}: {left}")

    threads = [threading.Thread(target=serve, args=it) for it in ((cast, "loan-app"), (stranger, "theirs"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(backends) == 1, "one server connection served both"


def test_requests_of_many_tenants_do_not_cross(many: list[tuple[Cast, set[str]]], pooled: Bouncer) -> None:
    """The whole product: reading, looking for what is others', writing what is refused; from three threads."""
    wrong: list[str] = []

    def serve(seed: int) -> None:
        for alias in ALIASES:  # a thread's connections are its own, and begin with the settings as they were
            connections[alias].settings_dict |= {"HOST": "127.0.0.1", "PORT": pooled.port}
        choice = random.Random(seed)
        for _ in range(15):
            (cast, own), (_, others) = choice.sample(many, 2)
            wrong.extend(one_request(cast, own, choice.choice(sorted(others))))
        connections.close_all()

    threads = [threading.Thread(target=serve, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_decision_is_recorded_and_read(cast: Cast, pooled: Bouncer) -> None:
    headers = {"Authorization": f"Bearer {cast.keys['ingest'].secret}"}
    sent = [a_decision() for _ in range(50)]
    made = Client().post("/api/v1/decisions", sent, "application/json", headers=headers)
    assert made.status_code == 201
    reads = {"Authorization": f"Bearer {cast.keys['read'].secret}"}
    for answer in made.json()[:10]:
        assert Client().get(f"/api/v1/decisions/{answer['id']}", headers=reads).status_code == 200


def test_what_a_session_would_keep_is_kept_with_the_login(pooled: Bouncer) -> None:
    for alias in ALIASES:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout'), current_setting('TimeZone')")
            assert cursor.fetchone() == ("15s" if alias == "default" else "1min", "UTC")
            cursor.execute("SELECT inet_server_port()")
        assert connections[alias].settings_dict["PORT"] == pooled.port


def test_no_statement_is_prepared_on_a_connection_that_is_another_ones_next(pooled: Bouncer) -> None:
    for alias in ALIASES:
        connections[alias].ensure_connection()
        assert connections[alias].connection.prepare_threshold is None
        assert connections[alias].settings_dict["DISABLE_SERVER_SIDE_CURSORS"]
    connections.close_all()
    with pytest.raises(psycopg.errors.DuplicatePreparedStatement):  # so it is that which keeps the product from this
        prepare_twice(pooled)


def prepare_twice(bouncer: Bouncer) -> None:
    with bouncer.connect(prepare_threshold=0, autocommit=True) as one:
        one.execute("SELECT 1")
        with bouncer.connect(prepare_threshold=0, autocommit=True) as two:
            two.execute("SELECT 1")


def test_a_lock_of_advice_ends_with_its_transaction(bouncer: Bouncer) -> None:
    key = f"rollup {uuid7_now()}"
    ask = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
    with bouncer.connect(autocommit=True) as one, bouncer.connect("worker", autocommit=True) as two:
        with one.transaction():
            assert one.execute(ask, [key]).fetchone() == (True,)
            with two.transaction():
                assert two.execute(ask, [key]).fetchone() == (False,)
        with two.transaction():
            assert two.execute(ask, [key]).fetchone() == (True,)
