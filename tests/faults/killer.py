"""Kills with SIGKILL, and starts again what was killed, as the supervisor would."""

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from config.postgres import Postgres
from config.processes import ServiceError, kill_group, processes_in
from tests.benchmarks.instance import Instance

TARGETS = ("web worker", "web", "sequencer", "signer", "worker", "postgres")


@dataclass(frozen=True)
class Kill:
    """One kill: what, when (seconds into the run), how many processes, and how long until all answered again."""

    target: str
    at: float
    processes: int
    recovered_s: float


class Killer:
    """Chooses at random, from a seed that the report names; every target comes up about as often."""

    def __init__(self, instance: Instance, seed: int) -> None:
        self.instance = instance
        self.rng = random.Random(seed)
        self.started = time.monotonic()

    def run(self, count: int, longest_pause: float = 2.5) -> list[Kill]:
        """Kill `count` times, each at a random moment after everything answers again."""
        kills = []
        targets = [TARGETS[number % len(TARGETS)] for number in range(count)]
        self.rng.shuffle(targets)
        for target in targets:
            time.sleep(self.rng.uniform(0.2, longest_pause))
            kills.append(self.kill(target))
            print(f"  {len(kills):>3} {target:12} back after {kills[-1].recovered_s:.1f} s", flush=True)
        return kills

    def kill(self, target: str) -> Kill:
        """Kill one target whole and bring everything back."""
        at = time.monotonic()
        if target == "postgres":
            killed = self.kill_postgres()
            self.start_postgres()
        elif target == "web worker":
            killed = self.kill_web_worker()
        else:
            process = self.instance.processes[target]
            killed = len(_children(process.pid)) + 1
            kill_group(process.pid)
            process.wait()
        self.restart_dead()
        self.instance.wait_ready()
        return Kill(target, at - self.started, killed, time.monotonic() - at)

    def kill_postgres(self) -> int:
        """The postmaster and every back end at once (each is a process group of its own)."""
        postgres = self._postgres()
        pids = {postgres.process.pid, *processes_in(postgres.data)}
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        postgres.process.wait()
        return len(pids)

    def start_postgres(self) -> None:
        """Crash recovery, on the same port."""
        postgres = self._postgres()
        port = postgres.port
        postgres.start()
        if postgres.port != port:
            raise ServiceError(f"Port {port} was taken while PostgreSQL was down.")

    def kill_web_worker(self) -> int:
        """One worker of the web server, not the server."""
        web = self.instance.processes["web"]
        workers = _children(web.pid)
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.rng.choice(workers), signal.SIGKILL)
        time.sleep(0.5)  # for the server to notice; it may end, or go on with the others
        return min(1, len(workers))

    def restart_dead(self) -> None:
        for name, process in list(self.instance.processes.items()):
            if process.poll() is not None:
                self.instance.start(name)

    def _postgres(self) -> Postgres:
        if self.instance.services.postgres is None:
            raise ServiceError("The run needs a PostgreSQL of its own.")
        return self.instance.services.postgres


def _children(pid: int) -> list[int]:
    """Direct children that do work: Python's resource tracker is left out."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and b"resource_tracker" not in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found
