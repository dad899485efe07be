"""Runs the site's processes together: one log, restarts, an orderly end, and nothing left behind.

One thread, one loop: children are forked from the main thread (their parent-death signal hangs on it), and their
output, their ends and the stop signals are handled one after the other. Standard library only.

Against `kill -9` of the supervisor itself there are two nets: each child gets SIGTERM from the kernel (Linux), and a
small *reaper* process, which notices that its pipe has closed, ends every process group that was still running.
"""

# ruff: noqa: S603 (every command here is our own, no shell takes part)

from __future__ import annotations

import contextlib
import http.client
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, TextIO
from urllib.parse import urlsplit

from config.processes import ServiceError, kill_group, spawn, wait_until

ROOT = Path(__file__).resolve().parent.parent
GRACE = 10.0  # seconds between SIGTERM and SIGKILL
MAX_CRASHES = 5
CRASH_WINDOW = 60.0  # seconds
_LONGEST_DELAY = 8.0  # seconds before a restart
_COLOURS = ("36", "32", "33", "35", "34", "31")
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(eq=False)
class Child:
    """One supervised process; `env` is all it gets. The other fields are the supervisor's."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    is_kept_running: bool = False
    restart_at: float | None = None
    crashes: list[float] = field(default_factory=list)
    partial: bytes = b""
    collected: list[bytes] | None = None


class Supervisor:
    """`with Supervisor(sys.stdout) as supervisor:` takes the stop signals; leaving the block stops every child."""

    def __init__(self, out: TextIO, *, grace: float = GRACE, cwd: Path = ROOT) -> None:
        self._out = out
        self._grace = grace
        self._cwd = cwd
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._stops = 0
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._reaper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Supervisor:
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        for signum in _STOP_SIGNALS:
            self._before[signum] = signal.signal(signum, self._on_stop_signal)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, self._wake)
        self._reaper = subprocess.Popen(
            [sys.executable, "-S", "-m", "config.supervisor", str(self._grace)],
            stdin=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self.stop()
        finally:
            if self._reaper is not None and self._reaper.stdin is not None:
                self._reaper.stdin.close()
                self._reaper.wait()
            for signum, handler in self._before.items():
                signal.signal(signum, handler)
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def start(self, child: Child) -> None:
        """Start `child` and keep it running from now on."""
        child.is_kept_running = True
        self._launch(child, subprocess.STDOUT)

    def run_once(self, child: Child, *, collect: bool = False) -> str:
        """Run `child` to its end while the others are looked after; with `collect`, return its standard output.

        Raises:
            ServiceError: it failed.
            KeyboardInterrupt: a stop signal came first.
        """
        child.collected = [] if collect else None
        process = self._launch(child, subprocess.PIPE if collect else subprocess.STDOUT)
        try:
            while process.poll() is None:
                self._raise_if_stopping()
                self._step(0.1)
        finally:
            self._end(child)
            self._children.remove(child)
        if process.returncode != 0:
            raise ServiceError(f"{child.name} failed with exit code {process.returncode}")
        return b"".join(child.collected or []).decode(errors="replace")

    def wait_ready(self, url: str, headers: Mapping[str, str] | None = None, *, timeout: float = 60.0) -> None:
        """Wait until `GET url` answers 200.

        Raises:
            ServiceError: it did not in `timeout` seconds, or a child crashed too often.
            KeyboardInterrupt: a stop signal came first.
        """
        deadline = time.monotonic() + timeout
        while not answers(url, headers):
            self._raise_if_stopping()
            if time.monotonic() > deadline:
                raise ServiceError(f"{url} did not answer 200 within {timeout:.0f} seconds")
            self._step(0.25)

    def run_forever(self) -> None:
        """Look after the children until a stop signal.

        Raises:
            ServiceError: a child crashed more than five times in a minute.
        """
        while not self._stops:
            self._step(1.0)

    def stop(self) -> None:
        """End the children, the last started first; a second stop signal meanwhile kills what is left at once."""
        stops_before = self._stops
        for child in reversed(self._children):
            child.restart_at = None
            if child.process is None:
                continue
            child.process.terminate()
            deadline = time.monotonic() + self._grace
            while child.process.poll() is None and time.monotonic() < deadline and self._stops <= max(stops_before, 1):
                self._pump(0.05)
            self._end(child)
        self._children.clear()

    def say(self, text: str) -> None:
        """Write a line of the supervisor's own."""
        self._write("affidavit", text, "1")

    def _launch(self, child: Child, errors: int) -> subprocess.Popen[bytes]:
        process = spawn(child.command, env=child.env, cwd=self._cwd, output=subprocess.PIPE, errors=errors)
        child.process = process
        child.restart_at = None
        if child not in self._children:
            self._children.append(child)
        self._tell_reaper()
        for stream in filter(None, (process.stdout, process.stderr)):
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, child)
        return process

    def _step(self, timeout: float) -> None:
        now = time.monotonic()
        restarts = [child.restart_at - now for child in self._children if child.restart_at is not None]
        self._pump(max(0.0, min([timeout, *restarts])))
        now = time.monotonic()
        for child in self._children:
            if child.restart_at is not None and now >= child.restart_at and not self._stops:
                self._launch(child, subprocess.STDOUT)
            elif child.is_kept_running and child.process is not None and child.process.poll() is not None:
                self._on_crash(child, child.process.returncode, now)

    def _on_crash(self, child: Child, code: int, now: float) -> None:
        self._end(child)
        child.crashes = [at for at in child.crashes if now - at < CRASH_WINDOW] + [now]
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if len(child.crashes) > MAX_CRASHES:
            raise ServiceError(
                f"{child.name} ended {len(child.crashes)} times within a minute (last: {reason}); "
                "everything is stopped. Its last lines above say why."
            )
        delay = min(0.25 * 2 ** (len(child.crashes) - 1), _LONGEST_DELAY)
        child.restart_at = now + delay
        self.say(f"{child.name} ended ({reason}); it starts again in {delay:g} s")

    def _end(self, child: Child) -> None:
        """Kill what is left of the child's process group, print the rest of its output and forget it."""
        process = child.process
        if process is None:
            return
        kill_group(process.pid)
        process.wait()
        streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
        for stream in streams:
            while self._read(stream.fileno(), child):
                pass
            self._unwatch(stream)
        for stream in streams:
            stream.close()
        if child.partial:
            self._write_line(child, child.partial)
        child.partial = b""
        child.process = None
        self._tell_reaper()

    def _unwatch(self, stream: IO[bytes]) -> None:
        if stream in self._selector.get_map():
            self._selector.unregister(stream)

    def _pump(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                os.read(self._wake_read, 64)
            elif self._read(key.fd, key.data) == 0:
                self._selector.unregister(key.fileobj)

    def _read(self, fd: int, child: Child) -> int | None:
        """Take what the child wrote; return the number of bytes, 0 at the end, None when there is nothing now."""
        try:
            chunk = os.read(fd, 65536)
        except BlockingIOError:
            return None
        stdout = child.process.stdout if child.process is not None else None
        if child.collected is not None and stdout is not None and fd == stdout.fileno():
            child.collected.append(chunk)
            return len(chunk)
        *lines, child.partial = (child.partial + chunk).split(b"\n")
        for line in lines:
            self._write_line(child, line)
        return len(chunk)

    def _write_line(self, child: Child, line: bytes) -> None:
        position = self._children.index(child)
        self._write(child.name, line.decode(errors="replace"), _COLOURS[position % len(_COLOURS)])

    def _write(self, name: str, text: str, colour: str) -> None:
        label = f"{name:>10} |"
        try:
            self._out.write(f"\033[{colour}m{label}\033[0m {text}\n" if self._out.isatty() else f"{label} {text}\n")
            self._out.flush()
        except OSError:  # a closed terminal must not keep us from stopping the children
            self._stops += 1

    def _on_stop_signal(self, signum: int, frame: FrameType | None) -> None:
        self._stops += 1
        self._wake(signum, frame)

    def _wake(self, signum: int, frame: FrameType | None) -> None:
        """End the wait in `_pump`, also when the signal comes just before it."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"x")

    def _raise_if_stopping(self) -> None:
        if self._stops:
            raise KeyboardInterrupt

    def _tell_reaper(self) -> None:
        if self._reaper is None or self._reaper.stdin is None:
            return
        groups = [child.process.pid for child in self._children if child.process is not None]
        try:
            self._reaper.stdin.write(json.dumps(groups).encode() + b"\n")
            self._reaper.stdin.flush()
        except BrokenPipeError:  # somebody killed it; the parent-death signal is still there
            self._reaper = None


def answers(url: str, headers: Mapping[str, str] | None = None, *, timeout: float = 2.0) -> bool:
    """Tell whether `GET url` (http, no redirects) gives status 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/", headers=dict(headers or {}))
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def reap(reports: IO[bytes], grace: float) -> None:
    """Read the running process groups, a JSON list a line, until the pipe closes; then end those of the last line.

    An orderly supervisor closes the pipe with none left.
    """
    groups: list[int] = []
    for line in reports:
        if line.endswith(b"\n"):
            groups = json.loads(line)
    for group in reversed(groups):
        kill_group(group, signal.SIGTERM)
    wait_until(lambda: not any(kill_group(group, 0) for group in groups), timeout=grace, interval=0.1)
    for group in groups:
        kill_group(group)


if __name__ == "__main__":
    for ignored in _STOP_SIGNALS:
        signal.signal(ignored, signal.SIG_IGN)
    reap(sys.stdin.buffer, float(sys.argv[1]))
