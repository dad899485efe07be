"""The supervisor with small stand-in children: restarts, giving up, the orderly end, and the disorderly one."""

from __future__ import annotations

import contextlib
import http.server
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.processes import ServiceError, free_port, is_alive, wait_until
from config.supervisor import Child, Supervisor, answers
from config.topology import RunNote, choose_port

ROOT = Path(__file__).resolve().parent.parent.parent
ENV = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
# A site in small: a web server, and a child that has a child of its own and ends for nobody.
SITE = r"""
import os, sys
from config.supervisor import Child, Supervisor
port, folder = sys.argv[1:]
stubborn = f'''
    trap "" TERM; echo $$ > {folder}/parent
    sh -c 'trap "" TERM; echo $$ > {folder}/child; sleep 60' &
    wait; sleep 60
'''
with Supervisor(sys.stdout, grace=0.5) as supervisor:
    supervisor.start(Child("stubborn", ["sh", "-c", stubborn], dict(os.environ)))
    supervisor.start(Child("web", [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", port], dict(os.environ)))
    supervisor.wait_ready(f"http://127.0.0.1:{port}/", timeout=20)
    print("ready", flush=True)
    try:
        supervisor.run_forever()
        print("asked to stop", flush=True)
    except KeyboardInterrupt:
        pass
"""


def shell(name: str, script: str) -> Child:
    return Child(name, ["sh", "-c", script], ENV)


def run_for(supervisor: Supervisor, seconds: float) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)).start()
    supervisor.run_forever()


@contextlib.contextmanager
def small_site(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int, list[int]]]:
    """A running SITE: its supervisor, its port and the pids of the stubborn ones."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", SITE, str(port), str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as output:
        assert any(line == "ready\n" for line in output), "the site never got ready"
        assert wait_until(lambda: (folder / "child").exists() and (folder / "parent").exists(), timeout=5)
        pids = [int((folder / name).read_text()) for name in ("parent", "child")]
        assert all(is_alive(pid) for pid in pids)
        try:
            yield process, port, pids
        finally:
            process.kill()
            process.wait()


def test_lines_carry_the_name_and_the_child_gets_its_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL_SIGNER", "not for everybody")
    out = io.StringIO()
    with Supervisor(out) as supervisor:
        supervisor.run_once(shell("speaker", "echo one; printf two; echo ${DATABASE_URL_SIGNER:-nothing} >&2"))
    assert out.getvalue().splitlines() == ["   speaker | one", "   speaker | twonothing"]


def test_collected_output_is_returned_and_errors_are_shown() -> None:
    out = io.StringIO()
    with Supervisor(out) as supervisor:
        assert supervisor.run_once(shell("demo", "echo password; echo progress >&2"), collect=True) == "password\n"
    assert out.getvalue() == "      demo | progress\n"


def test_a_failing_command_is_named() -> None:
    with Supervisor(io.StringIO()) as supervisor, pytest.raises(ServiceError, match="migrate failed with exit code 7"):
        supervisor.run_once(shell("migrate", "exit 7"))


def test_a_crashed_child_starts_again(tmp_path: Path) -> None:
    out = io.StringIO()
    with Supervisor(out) as supervisor:
        supervisor.start(
            shell("worker", f"echo run >> {tmp_path}/runs; [ $(wc -l < {tmp_path}/runs) -gt 1 ] && sleep 60")
        )
        run_for(supervisor, 1.0)
    assert (tmp_path / "runs").read_text() == "run\nrun\n"
    assert "worker ended (exit code 1); it starts again in 0.25 s" in out.getvalue()


def test_a_child_that_keeps_crashing_stops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.supervisor._LONGEST_DELAY", 0.02)
    other = shell("web", "exec sleep 60")
    with Supervisor(io.StringIO()) as supervisor:
        supervisor.start(other)
        assert other.process is not None
        pid = other.process.pid
        supervisor.start(shell("worker", "kill -9 $$"))
        with pytest.raises(ServiceError, match=r"worker ended 6 times within a minute \(last: signal SIGKILL\)"):
            supervisor.run_forever()
    assert not is_alive(pid)


def test_children_end_in_reverse_order(tmp_path: Path) -> None:
    script = "trap 'echo {0} >> {1}/ends; exit 0' TERM; echo up > {1}/{0}; while :; do sleep 0.02; done"
    with Supervisor(io.StringIO()) as supervisor:
        for name in ("signer", "worker", "web"):
            supervisor.start(shell(name, script.format(name, tmp_path)))
        assert wait_until(lambda: len(list(tmp_path.iterdir())) == 3, timeout=5)
    assert (tmp_path / "ends").read_text().split() == ["web", "worker", "signer"]


def test_not_ready_in_time_is_an_error() -> None:
    with Supervisor(io.StringIO()) as supervisor, pytest.raises(ServiceError, match="did not answer 200"):
        supervisor.wait_ready(f"http://127.0.0.1:{free_port()}/readyz", timeout=0.3)


def test_only_status_200_counts_as_ready() -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/readyz" else 503)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert (answers(f"{address}/readyz"), answers(f"{address}/livez")) == (True, False)
        server.shutdown()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_leaves_no_process(tmp_path: Path, signum: int) -> None:
    with small_site(tmp_path) as (process, port, pids):
        process.send_signal(signum)
        assert process.wait(timeout=10) == 0
        assert not any(is_alive(pid) for pid in pids)
        assert not answers(f"http://127.0.0.1:{port}/")


def test_kill_9_of_the_supervisor_leaves_no_process(tmp_path: Path) -> None:
    with small_site(tmp_path) as (process, port, pids):
        process.kill()
        started = time.monotonic()
        assert wait_until(lambda: not any(is_alive(pid) for pid in pids), timeout=10)
        assert not answers(f"http://127.0.0.1:{port}/")
        assert time.monotonic() - started < 5


def test_ports() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        taken = server.server_port
        with pytest.raises(ServiceError, match="taken by another program"):
            choose_port(str(taken))
        assert free_port(taken) != taken
    assert choose_port(str(taken)) == taken
    for wrong in ("http", "0", "65536"):
        with pytest.raises(ServiceError, match="is not a port"):
            choose_port(wrong)


def test_the_note_of_a_run_is_private_and_survives_nonsense(tmp_path: Path) -> None:
    note = RunNote(1, "http://127.0.0.1:8000", is_ready=True, text="password")
    note.write(tmp_path)
    assert RunNote.read(tmp_path) == note
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "run.json").write_text('{"other": 1}')
    assert RunNote.read(tmp_path) is None
