"""`make newcomer`: from a clone to the first verified receipt, as the README leads, against the clock.

A fresh clone of what is committed here, `make demo` in it, the README's own commands with the key that the start
printed; then the receipt and the proof are judged by the offline verifier, with keys that a person fetched. Needs what
the README says a newcomer needs, and nothing of this checkout but its history: standard library only.

    python3 -m tests.newcomer [--venv FOLDER]     # FOLDER: an installed .venv, where packages cannot be fetched again
"""

import argparse
import http.cookiejar
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 600.0  # seconds
PATIENCE = 60.0  # a receipt's promise


def main() -> int:
    parser = argparse.ArgumentParser(description="From a clone to the first verified receipt.")
    parser.add_argument("--venv", type=Path, help="an installed .venv to use instead of installing one")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="newcomer-") as folder:
        Path(folder).chmod(0o755)  # as root, PostgreSQL runs as somebody else, who has to get here
        clone = Path(folder) / "affidavit"
        run("git", "clone", "--quiet", f"file://{ROOT}", str(clone), cwd=ROOT)
        if options.venv:
            (clone / ".venv").symlink_to(options.venv.resolve())
        told("cloned", started)
        with demonstration(clone, is_installed=bool(options.venv)) as printed:
            told("the site is up, with its example data", started)
            walk(clone, printed, started)
    taken = time.monotonic() - started
    print(f"From the clone to the first verified receipt: {taken:.0f} s of {LIMIT:.0f} s")
    return 0 if taken < LIMIT else 1


def walk(clone: Path, printed: str, started: float) -> None:
    """What the README says to do next, then what it promises of the answers."""
    address, key = found(r"ready: (http://\S+)", printed), found(r"Bearer (aff_\w+)", printed)
    record, proof = readme_commands(clone, address)
    answer = json.loads(shell(record, AFFIDAVIT_KEY=key))
    told(f"recorded: {answer['id']}, {answer['action']}", started)
    held = shell(proof, AFFIDAVIT_KEY=key, ID=answer["id"])
    told("its proof is here", started)
    trust = trust_policy(address, found(r"owner@\S+", printed, group=0), found(r"password (\S+)", printed))
    told("the keys are fetched by a person who signed in", started)
    judge(clone / "audits" / "verifier" / "affidavit_verify.py", trust, answer, held.encode())
    told("receipt and proof are authentic", started)


def judge(verifier: Path, trust: str, answer: dict[str, Any], proof: bytes) -> None:
    """The receipt is signed, is of this record, and its leaf is in the log under a signed head. Raises if not."""
    spec = importlib.util.spec_from_file_location("affidavit_verify", verifier)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(verifier)
    offline = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(offline)
    keys = offline.Keys(offline.parse_keys(trust.replace("# receipts: ", "")))
    (_, origin, record, digest, *_), receipt_status, _ = offline.open_receipt(keys, answer["receipt"].encode())
    _, leaf, (log, _, _, head_status, _) = offline.open_proof(keys, proof, {})
    claims = {
        "the receipt is signed by a key that we trust": receipt_status == offline.AUTHENTIC,
        "the head is signed by a key that we trust": head_status == offline.AUTHENTIC,
        "the receipt is of this record": record == answer["id"],
        "both are of one log": origin == log,
        "the promised leaf is the proven one": offline.leaf_hash(leaf) == offline.b64(digest),
    }
    broken = [claim for claim, holds in claims.items() if not holds]
    if broken:
        raise AssertionError(f"Not so: {'; '.join(broken)}")


@contextmanager
def demonstration(clone: Path, *, is_installed: bool) -> Iterator[str]:
    """`make demo` in the background of the clone, on a free port; yields what it printed."""
    make = ["make", *(["-o", "install"] if is_installed else [])]
    try:
        yield run(*make, "demo", "DETACH=1", f"PORT={free_port()}", cwd=clone)
    finally:
        run(*make, "stop", cwd=clone)


def readme_commands(clone: Path, address: str) -> tuple[str, str]:
    """The README's first two requests, to the address that the start printed."""
    blocks = re.findall(r"^```\n(curl .*?)^```", (clone / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    record, proof = (block.replace("http://127.0.0.1:8000", address) for block in blocks[:2])
    return record, proof


def trust_policy(address: str, email: str, password: str) -> str:
    """Whose signatures to believe: fetched with a read key that the owner makes on the page of keys."""
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(jar)
    sign_in = browser.open(f"{address}/accounts/login/").read().decode()
    fields = {name_of_input(sign_in, "text|email"): email, name_of_input(sign_in, "password"): password}
    home = post(browser, f"{address}/accounts/login/", sign_in, fields)
    keys_url = urllib.parse.urljoin(address, found(r'href="(/t/[^"]+/keys/)"', home))
    page = browser.open(keys_url).read().decode()
    made = post(browser, keys_url, page, {"name": "newcomer", "scopes": "read"})
    key = found(r'id="new-key"[^>]*>(aff_\w+)<', made)
    request = urllib.request.Request(f"{address}/api/v1/ledger/key", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return str(answer.read().decode())


def post(browser: urllib.request.OpenerDirector, url: str, page: str, fields: dict[str, str]) -> str:
    """Send a form of the page."""
    token = found(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    body = urllib.parse.urlencode(fields | {"csrfmiddlewaretoken": token}).encode()
    return str(browser.open(urllib.request.Request(url, body, {"Referer": url}), timeout=PATIENCE).read().decode())


def name_of_input(page: str, kind: str) -> str:
    """What a form calls its first input of a kind."""
    tag = found(rf'<input[^>]*type="(?:{kind})"[^>]*>', page, group=0)
    return found(r'name="(\w+)"', tag)


def shell(command: str, **environment: str) -> str:
    """What a command of the README prints."""
    return run("bash", "-c", f"set -e; {command}", cwd=ROOT, **environment)


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Standard output; raises with both streams if it fails."""
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout


def found(pattern: str, text: str, group: int = 1) -> str:
    """The first match; raises where there is none."""
    match = re.search(pattern, text)
    if match is None:
        raise LookupError(f"Nothing like {pattern!r} in: {text[:2000]}")
    return match[group]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def told(what: str, started: float) -> None:
    """Where we are, and after how many seconds."""
    print(f"{time.monotonic() - started:6.1f} s  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
