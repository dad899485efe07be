"""`python -m config COMMAND`: run Affidavit on this machine without setting anything up. The Makefile calls this."""

# ruff: noqa: S603, T201 (a command line prints; every command it runs is our own or the caller's)

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from config.deployment import make_compose_secrets
from config.processes import ServiceError, is_alive, wait_until
from config.recovery import add_commands
from config.servers import DEMO, TEST, TEST_DURABLE, default_home, is_in_use, open_log, running_services
from config.supervisor import ROOT, Supervisor, answers
from config.topology import RunNote, Site, choose_port, trusted_headers

_READY_TIMEOUT = 300.0  # seconds, for a detached start on a slow machine
_STOP_TIMEOUT = 90.0


def main(argv: list[str]) -> int:
    """Run the command of `argv`; return its exit code."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _interrupt)
    try:
        return int(arguments.run(arguments))
    except ServiceError as error:
        print(f"affidavit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m config", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    site = argparse.ArgumentParser(add_help=False)
    site.add_argument("--host", default="127.0.0.1", help="address to listen on")
    site.add_argument("--port", default=os.environ.get("PORT"), help="port (default: 8000, or a free one)")
    site.add_argument("--workers", type=int, default=2, help="web processes")
    site.add_argument("--threads", type=int, default=4, help="threads in each web process")
    demo = commands.add_parser("demo", parents=[site], help="the whole site with example data")
    demo.add_argument("--detach", action="store_true", help="return when the site is ready; `stop` ends it")
    demo.set_defaults(run=_demo)
    dev = commands.add_parser("dev", parents=[site], help="the whole site, debug pages, restarts on a change")
    dev.set_defaults(run=lambda arguments: _run_site(arguments, is_dev=True))
    commands.add_parser("stop", help="stop the running site").set_defaults(run=_stop)
    services = commands.add_parser("services", help="only PostgreSQL and Valkey; prints how to reach them")
    services.set_defaults(run=_services)
    health = commands.add_parser("health", help="exit 0 if this address answers 200 (a container's health check)")
    health.add_argument("url")
    health.set_defaults(run=_health)
    secrets = commands.add_parser("secrets", help="make the files that compose.yaml mounts, where they are missing")
    secrets.add_argument("folder", type=Path)
    secrets.set_defaults(run=_secrets)
    add_commands(commands)
    test_env = commands.add_parser("test-env", help="run a command with servers for tests: test-env -- pytest")
    test_env.add_argument("--durable", action="store_true", help="with fsync, for tests that pull the plug")
    test_env.add_argument("command", nargs="+")
    test_env.set_defaults(run=_test_env)
    return parser


def _demo(arguments: argparse.Namespace) -> int:
    home = default_home(os.environ)
    if is_in_use(home):
        note = RunNote.read(home)
        print("Affidavit is already running.")
        print(note.text or note.base_url if note else f"It has only just been started, or serves no site ({home}).")
        return 0
    return _detach(arguments, home) if arguments.detach else _run_site(arguments, is_dev=False)


def _run_site(arguments: argparse.Namespace, *, is_dev: bool) -> int:
    home = default_home(os.environ)
    port = choose_port(arguments.port)
    print("Starting PostgreSQL and Valkey …", flush=True)
    with running_services(home, DEMO) as services:
        site = Site(services, os.environ, arguments.host, port, arguments.workers, arguments.threads, is_dev=is_dev)
        RunNote(os.getpid(), site.base_url, is_ready=False).write(services.home)
        try:
            with Supervisor(sys.stdout) as supervisor:
                _serve(site, supervisor)
        except KeyboardInterrupt:
            pass
        finally:
            (services.home / "run.json").unlink(missing_ok=True)
    print(f"Affidavit has stopped. Its data is kept in {home}.", flush=True)
    return 0


def _serve(site: Site, supervisor: Supervisor) -> None:
    supervisor.say("bringing the database up to date …")
    site.prepare(supervisor)
    for child in site.children():
        supervisor.start(child)
    supervisor.wait_ready(f"{site.base_url}/readyz", trusted_headers(site.environ), timeout=120.0)
    if site.is_dev:
        text = f"Affidavit is ready: {site.base_url}"
    else:
        supervisor.say("submitting example decisions …")
        text = _box(f"Affidavit is ready: {site.base_url}\n\n{site.fill(supervisor).strip()}")
    print(f"\n{text}\nCtrl-C or `make stop` ends it.\n", flush=True)
    RunNote(os.getpid(), site.base_url, is_ready=True, text=text).write(site.services.home)
    supervisor.run_forever()
    supervisor.say("stopping …")


def _detach(arguments: argparse.Namespace, home: Path) -> int:
    """Start the demo in a session of its own, and wait until it is ready or has failed."""
    log = open_log(home / "logs" / "site.log")
    options = ["--host", arguments.host, "--workers", str(arguments.workers), "--threads", str(arguments.threads)]
    if arguments.port:
        options += ["--port", arguments.port]
    with log.open("ab") as output:
        position = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "config", "demo", *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + _READY_TIMEOUT
    while time.monotonic() < deadline:
        note = RunNote.read(home)
        if note is not None and note.pid == process.pid and note.is_ready:
            print(f"{note.text}\nIt runs in the background (log: {log}); `make stop` ends it.")
            return 0
        if process.poll() is not None:
            sys.stderr.write(log.read_bytes()[position:].decode(errors="replace"))
            return process.returncode or 1
        time.sleep(0.2)
    process.terminate()
    raise ServiceError(f"the site was not ready after {_READY_TIMEOUT:.0f} seconds and is being stopped; see {log}")


def _stop(arguments: argparse.Namespace) -> int:
    home = default_home(os.environ)
    note = RunNote.read(home)
    if not is_in_use(home) or note is None:
        print("Affidavit is not running.")
        return 0
    if is_alive(note.pid):
        os.kill(note.pid, signal.SIGTERM)
    if not wait_until(lambda: not is_in_use(home), _STOP_TIMEOUT, interval=0.1):
        raise ServiceError(f"process {note.pid} has not stopped after {_STOP_TIMEOUT:.0f} seconds")
    print(f"Affidavit has stopped. Its data is kept in {home}.")
    return 0


def _services(arguments: argparse.Namespace) -> int:
    with running_services(default_home(os.environ), DEMO) as services:
        for name, value in services.env().items():
            print(f"export {name}={shlex.quote(value)}")
        print("# Ctrl-C stops the servers.", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return 0
    return 0


def _health(arguments: argparse.Namespace) -> int:
    return 0 if answers(arguments.url, trusted_headers(os.environ), timeout=5.0) else 1


def _secrets(arguments: argparse.Namespace) -> int:
    make_compose_secrets(arguments.folder)
    print(f"{arguments.folder} holds the passwords and keys. Keep a copy of the keys in a safe place.")
    return 0


def _test_env(arguments: argparse.Namespace) -> int:
    profile = TEST_DURABLE if arguments.durable else TEST
    with running_services(default_home(os.environ) / "test", profile) as services:
        process = subprocess.Popen(arguments.command, env={**os.environ, **services.env()})
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # a terminal's Ctrl-C reaches the command too: let it end by itself
                process.terminate()


def _box(text: str) -> str:
    lines = text.splitlines()
    width = max(map(len, lines))
    body = [f"│ {line:<{width}} │" for line in lines]
    return "\n".join([f"┌{'─' * (width + 2)}┐", *body, f"└{'─' * (width + 2)}┘"])


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
