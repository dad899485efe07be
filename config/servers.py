"""PostgreSQL and Valkey for a machine that has neither: `with running_services(home, DEMO) as services`.

Order of search: `DATABASE_URL` and `REDIS_URL` where set (then nothing is started for them), the servers that came as
Python packages, the system's. Everything they keep lies in the state folder `home`. Standard library only: this runs
before Django is configured.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from config.certificates import report_key_files
from config.postgres import Postgres
from config.processes import Account, ServiceError, can_reach, unprivileged_account
from config.valkey import Valkey

ROLES = ("web", "worker", "ingest", "sequencer", "signer")
_LOGINS = {
    "admin": ROLES,
    "web": ("web", "ingest"),
    "worker": ("worker",),
    "sequencer": ("sequencer",),
    "signer": ("signer",),
}
_KEYS = {
    "admin": ("SECRET", "RECEIPT", "MASTER"),
    "web": ("SECRET", "RECEIPT", "MASTER"),
    "worker": ("SECRET", "RECEIPT", "MASTER", "REPORT"),
    "sequencer": ("SECRET",),
    "signer": ("SECRET", "CHECKPOINT"),
}
_SECRET_ENDINGS = ("_KEY", "_KEY_FILE", "_KEY_PASSWORD", "_KEY_PASSWORD_FILE")
_CERTIFIED = ("web", "worker")  # know the certificate of reports; the worker alone has its key
_LOG_BYTES = 20_000_000


@dataclass(frozen=True)
class Profile:
    """How the embedded servers are set up; `slots` > 1 lets that many runs go on at once, each on its own folder."""

    name: str
    durable: bool
    slots: int
    postgres: Mapping[str, str] = field(default_factory=dict)


DEMO = Profile("demo", durable=True, slots=1, postgres={"shared_buffers": "512MB", "max_wal_size": "2GB"})
TEST = Profile("test", durable=False, slots=8, postgres={"shared_buffers": "128MB"})
# For tests that pull the plug: the same small server, but what it acknowledged must still be there.
TEST_DURABLE = Profile("test-durable", durable=True, slots=8, postgres={"shared_buffers": "128MB"})
_VOLATILE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Services:
    """Servers that run now, and what each kind of process may know about them."""

    home: Path
    database_url: str
    redis_url: str
    role_urls: Mapping[str, str]
    keys: Mapping[str, Path]
    postgres: Postgres | None = None
    valkey: Valkey | None = None

    def env(self) -> dict[str, str]:
        """Every variable there is: for tests and an operator's shell, not for a process that serves anybody."""
        env = self.role_env("admin")
        env.update(_key_files(self.keys, tuple(name for name in self.keys if name != "REPORT")))
        env["AFFIDAVIT_SIGNER_STATE"] = str(self.home / "signer")
        return env

    def role_env(self, role: str) -> dict[str, str]:
        """The variables of one kind of process: `admin` (migrations), `web`, `worker`, `sequencer` or `signer`."""
        env = {f"DATABASE_URL_{login.upper()}": self.role_urls[login] for login in _LOGINS[role]}
        env.update(_key_files(self.keys, _KEYS[role]))
        if role in _CERTIFIED:
            env["AFFIDAVIT_REPORT_CERT_FILE"] = str(self.keys["REPORT"].with_suffix(".crt"))
        env["AFFIDAVIT_HOME"] = str(self.home)
        if role in {"admin", "web", "worker"}:
            env["REDIS_URL"] = self.redis_url
        if role == "admin":
            env["DATABASE_URL"] = self.database_url
        else:
            env["AFFIDAVIT_ROLE"] = role
        if role == "signer":
            env["AFFIDAVIT_SIGNER_STATE"] = str(self.home / "signer")
        return env


def default_home(environ: Mapping[str, str]) -> Path:
    """The state folder: `AFFIDAVIT_HOME`, or `.affidavit` at the top of this checkout."""
    chosen = environ.get("AFFIDAVIT_HOME")
    return Path(chosen).expanduser().resolve() if chosen else Path(__file__).resolve().parent.parent / ".affidavit"


def role_urls(database_url: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return each database role's URL: `DATABASE_URL_<ROLE>` from `environ`, else the admin's with another login.

    A derived password is HMAC-SHA256(key=the admin's password, "affidavit-db-role:<role>") in hex: whoever knows the
    admin's can set up the roles again, and no role's password tells anything about another's. An admin's URL without
    a password gives none to derive from: roles that `environ` does not name are then left out.
    """
    environ = environ or {}
    parts = urlsplit(database_url)
    admin_password = unquote(parts.password or "")
    address = parts.netloc.rpartition("@")[2]
    urls = {}
    for role in ROLES:
        if explicit := environ.get(f"DATABASE_URL_{role.upper()}"):
            urls[role] = explicit
        elif admin_password:
            message = f"affidavit-db-role:{role}".encode()
            password = hmac.new(admin_password.encode(), message, hashlib.sha256).hexdigest()
            urls[role] = parts._replace(netloc=f"affidavit_{role}:{password}@{address}").geturl()
    return urls


def without_credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` less what names a server, a login or a key, so that a child gets only what it is handed."""
    hidden = ("DATABASE_URL", "REDIS_URL", "PGPASS", "PGUSER", "PGHOST", "PGSERVICE", "AFFIDAVIT_ROLE")
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(hidden) and not (name.startswith("AFFIDAVIT_") and name.endswith(_SECRET_ENDINGS))
    }


@contextlib.contextmanager
def running_services(home: Path, profile: Profile, environ: Mapping[str, str] | None = None) -> Iterator[Services]:
    """Run PostgreSQL and Valkey, keeping their data in `home`, until the block ends; `environ` may name servers.

    `home` is locked meanwhile. With a profile of several slots, `home-2`, `home-3`, … are tried when it is taken.

    Raises:
        ServiceError: a server is missing or does not start, or the folder is in use.
    """
    environ = os.environ if environ is None else environ
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(_locked(home.resolve(), profile.slots))
        database_url = environ.get("DATABASE_URL")
        redis_url = environ.get("REDIS_URL")
        postgres, valkey = None, None
        if not database_url or not redis_url:
            root, account = _server_root(home)
            ports = _Ports(home / "ports.json")
            if not database_url:
                postgres = _postgres(home, root, account, profile, ports.last("postgres"))
                stack.callback(postgres.stop)
                postgres.start()
                database_url = postgres.url
                ports.remember("postgres", postgres.port)
            if not redis_url:
                valkey = _valkey(home, root, account, profile, ports.last("valkey"))
                stack.callback(valkey.stop)
                valkey.start()
                redis_url = valkey.url
                ports.remember("valkey", valkey.port)
        roles = role_urls(database_url, environ if postgres is None else {})
        if missing := [f"DATABASE_URL_{role.upper()}" for role in ROLES if role not in roles]:
            raise ServiceError(f"DATABASE_URL has no password to derive the roles' from: set {', '.join(missing)}")
        yield Services(home, database_url, redis_url, roles, make_keys(home / "keys"), postgres, valkey)


def is_in_use(home: Path) -> bool:
    """Tell whether a run holds the state folder now."""
    try:
        with (home / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def make_keys(folder: Path) -> dict[str, Path]:
    """Make the instance's keys where they are missing; they are never replaced, for what they protect needs them.

    CHECKPOINT and RECEIPT are Ed25519 seeds, MASTER wraps payload keys; SECRET is Django's. Each is 32 bytes in hex.
    REPORT signs reports: PEM, with its certificate beside it (`report.crt`).
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = {name: folder / f"{name.lower()}.key" for name in ("SECRET", "RECEIPT", "MASTER", "CHECKPOINT")}
    for path in keys.values():
        secret_file(path)
    report = folder / "report.key"
    report_key_files(report, report.with_suffix(".crt"))
    return keys | {"REPORT": report}


def secret_file(path: Path) -> str:
    """Return the secret in `path`, writing 32 random bytes in hex (mode 0600) if there is none yet."""
    if not path.exists():
        partial = path.with_suffix(f".{os.getpid()}")
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    return path.read_text().strip()


def open_log(path: Path) -> Path:
    """Return `path` ready to be appended to; one grown past 20 MB is put aside as `<name>.1` first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return path


@contextlib.contextmanager
def _locked(home: Path, slots: int) -> Iterator[Path]:
    for slot in range(1, slots + 1):
        folder = home if slot == 1 else home.with_name(f"{home.name}-{slot}")
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)  # as root, the servers' account walks through it
        with (folder / "lock").open("a+b") as lock:
            if _take(lock):
                yield folder
                return
    raise ServiceError(f"{home} is in use by another run")


def _take(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _server_root(home: Path) -> tuple[Path, Account]:
    """Return the folder for the servers' data and the account that owns it.

    As root the servers run as somebody else, to whom `home` may be closed (a checkout below /root): then the data lies
    in a folder of root's in /var/tmp that only its name ties to `home`.
    """
    account = unprivileged_account(home / "postgres")
    elsewhere = home / "server-data"
    if not elsewhere.is_symlink():
        if account.is_current or can_reach(home, account):
            return home, account
        if (home / "postgres").exists():
            raise ServiceError(
                f"the servers (uid {account.uid}) can no longer enter {home}: chmod o+x it and its parents"
            )
    name = f"affidavit-{hashlib.sha256(str(home).encode()).hexdigest()[:16]}"
    root = Path("/var/tmp") / name  # noqa: S108 (its owner is checked)
    root.mkdir(mode=0o700, exist_ok=True)
    status = root.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ServiceError(f"{root} is not a folder of ours; remove it and try again")
    root.chmod(0o711)
    elsewhere.unlink(missing_ok=True)
    elsewhere.symlink_to(root)
    return root, unprivileged_account(root / "postgres")


def _postgres(home: Path, root: Path, account: Account, profile: Profile, port: int | None) -> Postgres:
    settings = {**profile.postgres, **({} if profile.durable else _VOLATILE)}
    password = secret_file(home / "postgres.password")
    log = open_log(home / "logs" / "postgres.log")
    return Postgres(root, account, password=password, log=log, settings=settings, port=port)


def _valkey(home: Path, root: Path, account: Account, profile: Profile, port: int | None) -> Valkey:
    password = secret_file(home / "valkey.password")
    log = open_log(home / "logs" / "valkey.log")
    return Valkey(root, account, password=password, log=log, durable=profile.durable, port=port)


def _key_files(keys: Mapping[str, Path], names: tuple[str, ...]) -> dict[str, str]:
    return {f"AFFIDAVIT_{name}_KEY_FILE": str(keys[name]) for name in names}


class _Ports:
    """The ports of the last run, tried first so that an operator's noted URL goes on working."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._ports: dict[str, int] = json.loads(path.read_text())
        except (OSError, ValueError):
            self._ports = {}

    def last(self, name: str) -> int | None:
        return self._ports.get(name)

    def remember(self, name: str, port: int) -> None:
        self._ports[name] = port
        self._path.write_text(json.dumps(self._ports))
