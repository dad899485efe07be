"""`python -m config` from start to stop, with stand-ins for the product's own programs, on real servers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.processes import is_alive, wait_until
from config.supervisor import answers

CONFIG = Path(__file__).resolve().parent.parent.parent / "config"
# Each writes down what it was told; what `manage.py demo` prints are the example's logins.
STAND_IN = """
import json, os, sys, time
from pathlib import Path
name = Path(sys.argv[0]).stem if "manage" not in sys.argv[0] else sys.argv[1]
name = next((word for word in ("beat", "worker") if word in sys.argv), name)
told = {key: value for key, value in os.environ.items() if key.startswith(("DATABASE_URL", "AFFIDAVIT", "REDIS"))}
Path(os.environ["AFFIDAVIT_HOME"], f"told-{name}.json").write_text(json.dumps(told))
if name == "demo":
    print("login: auditor@example.com")
if name == "collectstatic":
    Path(os.environ["AFFIDAVIT_STATIC_ROOT"]).mkdir()
if name == "granian":
    import http.server
    class Ready(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Ready).serve_forever()
if name in ("beat", "worker", "run_sequencer", "run_signer"):
    time.sleep(60)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A checkout whose `manage.py`, `granian` and `celery` are stand-ins."""
    shutil.copytree(CONFIG, tmp_path / "config", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("manage.py", "granian.py", "celery.py"):
        (tmp_path / name).write_text(STAND_IN)
    (tmp_path / "requirements.lock").touch()
    yield tmp_path
    assert command(tmp_path, "stop").returncode == 0
    if (elsewhere := tmp_path / ".affidavit" / "server-data").is_symlink():
        shutil.rmtree(elsewhere.readlink())


def command(checkout: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "DATABASE_URL_SIGNER": "of somebody else", **more}
    program = [sys.executable, "-m", "config", *arguments]
    return subprocess.run(program, cwd=checkout, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_demo_in_the_background_from_start_to_stop(checkout: Path) -> None:
    started = command(checkout, "demo", "--detach")
    assert started.returncode == 0, started.stderr
    assert "login: auditor@example.com" in started.stdout
    note = json.loads((checkout / ".affidavit" / "run.json").read_text())
    assert note["base_url"] in started.stdout
    assert answers(f"{note['base_url']}/readyz")

    again = command(checkout, "demo")
    assert again.returncode == 0
    assert "already running" in again.stdout
    assert note["base_url"] in again.stdout

    stopped = command(checkout, "stop")
    assert "has stopped" in stopped.stdout
    assert wait_until(lambda: not is_alive(note["pid"]), timeout=5)
    assert not answers(f"{note['base_url']}/readyz")
    assert "not running" in command(checkout, "stop").stdout

    told = {path.stem: json.loads(path.read_text()) for path in (checkout / ".affidavit").glob("told-*.json")}
    logins = {name: {key for key in one if key.startswith("DATABASE_URL")} for name, one in told.items()}
    assert logins["told-granian"] == {"DATABASE_URL_WEB", "DATABASE_URL_INGEST"}
    assert logins["told-worker"] == logins["told-beat"] == {"DATABASE_URL_WORKER"}
    assert logins["told-run_sequencer"] == {"DATABASE_URL_SEQUENCER"}
    assert logins["told-run_signer"] == {"DATABASE_URL_SIGNER"}
    assert told["told-run_signer"]["DATABASE_URL_SIGNER"].startswith("postgresql://affidavit_signer:")
    assert {name for name, one in told.items() if "AFFIDAVIT_CHECKPOINT_KEY_FILE" in one} == {"told-run_signer"}
    assert {name for name, one in logins.items() if "DATABASE_URL" in one} == {
        "told-migrate",
        "told-collectstatic",
        "told-demo",
    }


def test_a_background_start_that_fails_says_why(checkout: Path) -> None:
    (checkout / "manage.py").write_text("import sys; sys.exit('the disk is full')")
    failed = command(checkout, "demo", "--detach")
    assert failed.returncode == 1
    assert "the disk is full" in failed.stderr
    assert "migrate failed with exit code 1" in failed.stderr


def test_a_command_with_servers_for_tests_passes_its_exit_code_on(checkout: Path) -> None:
    script = "import os, sys; sys.exit(7 if 'affidavit_admin' in os.environ['DATABASE_URL'] else 1)"
    assert command(checkout, "test-env", "--", sys.executable, "-c", script).returncode == 7
    if (elsewhere := checkout / ".affidavit" / "test" / "server-data").is_symlink():
        shutil.rmtree(elsewhere.readlink())


def test_compose_secrets_are_made_once_and_shut_away(checkout: Path) -> None:
    folder = checkout / "secrets"
    assert command(checkout, "secrets", str(folder)).returncode == 0
    first = {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert len(first) == 13
    assert folder.stat().st_mode & 0o777 == 0o700
    assert command(checkout, "secrets", str(folder)).returncode == 0
    assert first == {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_health_tells_by_its_exit_code(checkout: Path) -> None:
    assert command(checkout, "health", "http://127.0.0.1:1/livez").returncode == 1


def test_a_taken_port_is_refused_only_when_it_was_asked_for(checkout: Path) -> None:
    refused = command(checkout, "dev", "--port", "80x")
    assert refused.returncode == 1
    assert "is not a port" in refused.stderr


def test_an_interrupted_site_ends_in_a_clear_state(checkout: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "config", "dev"],
        cwd=checkout,
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as output:
        assert any("is ready" in line for line in output)
        process.send_signal(signal.SIGINT)
        assert output.read().endswith(f"Affidavit has stopped. Its data is kept in {checkout / '.affidavit'}.\n")
    assert process.wait() == 0
    assert not (checkout / ".affidavit" / "run.json").exists()
