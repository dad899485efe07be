"""Operating-system facts that the embedded servers and the supervisor share.

Standard library only: this runs before Django is configured, and on machines where nothing is installed yet.
"""

# ruff: noqa: S603 (every command here is our own, no shell takes part)

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ServiceError(Exception):
    """Something the person at the keyboard can act on; shown without a traceback."""


@dataclass(frozen=True)
class Account:
    """The uid and gid that a server process runs under."""

    uid: int
    gid: int

    @property
    def is_current(self) -> bool:
        return self.uid == os.geteuid()


def unprivileged_account(data: Path | None = None) -> Account:
    """Return the account for the servers: ours, or a powerless one when we are root (PostgreSQL refuses root).

    As root, the owner of an existing `data` folder is kept, so that a cluster never changes hands by accident.

    Raises:
        ServiceError: `data` belongs to somebody else and we may not take it.
    """
    owner = data.stat() if data is not None and data.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise ServiceError(
                f"{data} belongs to uid {owner.st_uid}, you are uid {os.geteuid()}: "
                "run as that user, or set AFFIDAVIT_HOME to a folder of your own"
            )
        return Account(os.geteuid(), os.getegid())
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(65534, 65534)
    return Account(nobody.pw_uid, nobody.pw_gid)


def can_reach(path: Path, account: Account) -> bool:
    """Tell whether `account` may walk every parent of `path` and read it (a folder: walk through it)."""
    absolute = path.resolve()
    if account.is_current:
        return os.access(absolute, os.X_OK if absolute.is_dir() else os.R_OK)
    for parent in absolute.parents:
        if not _permits(parent.stat(), account, stat.S_IXOTH):
            return False
    return _permits(absolute.stat(), account, stat.S_IXOTH if absolute.is_dir() else stat.S_IROTH)


def _permits(status: os.stat_result, account: Account, wanted: int) -> bool:
    if status.st_uid == account.uid:
        shift = 6
    elif status.st_gid == account.gid:
        shift = 3
    else:
        shift = 0
    return (status.st_mode >> shift) & wanted == wanted


def free_port(preferred: int | None = None, host: str = "127.0.0.1") -> int:
    """Return `preferred` if nothing listens on it, else a port the kernel picks."""
    port = _bindable(preferred, host) if preferred else None
    if port is None:
        port = _bindable(0, host)
    if port is None:
        raise ServiceError(f"no free TCP port on {host}")
    return port


def is_port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether `host:port` can be bound now (a listener with SO_REUSEPORT counts as taken)."""
    return _bindable(port, host) is not None


def _bindable(port: int, host: str) -> int | None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As the servers do: connections of the last run that are still closing do not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


def _die_with_parent(parent: int, signum: int) -> Callable[[], None] | None:
    """Return a hook for the new process: get `signum` when the spawning thread ends, kill -9 included (Linux)."""
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl

    def hook() -> None:
        prctl(_PR_SET_PDEATHSIG, signum)
        if os.getppid() != parent:  # it died between fork and prctl: nobody would ever signal us
            os._exit(1)

    return hook


def spawn(
    command: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str],
    cwd: Path,
    output: int | IO[bytes],
    errors: int | IO[bytes] = subprocess.STDOUT,
    account: Account | None = None,
    on_parent_death: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own (a terminal's Ctrl-C passes it by) that ends when we end.

    Call it from the main thread: Linux sends the parent-death signal when the *thread* that forked is gone.
    """
    drop = account if account is not None and not account.is_current else None
    return subprocess.Popen(
        [os.fspath(part) for part in command],
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
        user=drop.uid if drop else None,
        group=drop.gid if drop else None,
        extra_groups=[] if drop else None,
        # Runs after setuid in the child, for a change of uid clears the parent-death signal; it allocates nothing
        # and takes no lock, so it is safe beside threads.
        preexec_fn=_die_with_parent(os.getpid(), on_parent_death),  # noqa: PLW1509
    )


def stop(process: subprocess.Popen[bytes], signum: int = signal.SIGTERM, grace: float = 10.0) -> bool:
    """Signal `process`, wait `grace` seconds, then kill its whole group; True if it went by itself."""
    gone = True
    if process.poll() is None:
        process.send_signal(signum)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            gone = False
    kill_group(process.pid)
    process.wait()
    return gone


def kill_group(pgid: int, signum: int = signal.SIGKILL) -> bool:
    """Signal every process left in group `pgid`; False if there is none."""
    try:
        os.killpg(pgid, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def is_alive(pid: int) -> bool:
    """Tell whether `pid` runs; a zombie that its parent has not reaped yet counts as dead."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return not Path("/proc/self").exists()
    return state not in "ZX"


def processes_in(folder: Path) -> list[int]:
    """Return the live processes whose working directory is `folder` (empty where there is no /proc)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "cwd") == str(folder) and is_alive(int(entry.name)):
                found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], bool], timeout: float, interval: float = 0.02) -> bool:
    """Poll `condition` until it holds (True) or `timeout` seconds are over (False)."""
    for _ in _ticks(timeout, interval):
        if condition():
            return True
    return condition()


def _ticks(timeout: float, interval: float) -> Iterator[None]:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        yield
        time.sleep(interval)


def own(path: Path, account: Account, mode: int) -> None:
    """Give `path` to `account` with exactly `mode`."""
    if not account.is_current:
        os.chown(path, account.uid, account.gid)
    path.chmod(mode)


def open_to_all(folder: Path) -> None:
    """Let everybody read what lies in `folder`, and run what its owner may run (programs, nothing secret)."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runnable else 0o644)
