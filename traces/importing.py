"""Importing files through the public API: streamed, resumable, patient, exact about what was refused.

A batch is idempotent by its decisions' external ids, and the file's progress is kept beside the others in a small
state folder: an import that was cut off goes on where it stopped.
"""

import gzip
import hashlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from traces.import_formats import FormatError, Mapper, mapper

TIMEOUT_SECONDS = 60
ATTEMPTS = 8
LONGEST_WAIT = 30.0
RETRYABLE = {429, 502, 503, 504}


class ImportFailed(RuntimeError):
    """The import cannot go on; the message says why, where, and what to do."""


@dataclass(slots=True)
class Progress:
    """Counts of one file."""

    lines: int = 0
    accepted: int = 0
    replayed: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def per_second(self) -> float:
        """Records a second since the start."""
        return (self.accepted + self.replayed) / max(time.monotonic() - self.started, 1e-6)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, as a decision."""

    number: int
    decision: dict[str, Any]


class Client:
    """One keep-alive connection to `POST /api/v1/decisions`."""

    def __init__(self, base_url: str, key: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ImportFailed(f"{base_url!r} is not the address of a site; write http://localhost:8000.")
        self._parts, self._key, self._sleep = parts, key, sleep
        self._connection: http.client.HTTPConnection | None = None

    def submit(self, decisions: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
        """Record a batch: the answers, and whether all were there before.

        Waits and retries on 429, 502 to 504 and lost connections (a batch may be sent again: it is recorded once).
        Raises `ImportFailed`, or `Refused` for 4xx.
        """
        body = gzip.compress(json.dumps(decisions).encode(), compresslevel=1)
        for attempt in range(ATTEMPTS):
            try:
                response = self._post(body)
            except (OSError, http.client.HTTPException) as error:
                self._connection, waited_for = None, f"{type(error).__name__}: {error}"
                wait = min(0.5 * 2**attempt, LONGEST_WAIT)
            else:
                if response.status == 201:
                    return json.loads(response.body), response.headers.get("Idempotent-Replayed") == "true"
                if response.status not in RETRYABLE:
                    raise Refused(response.status, response.body)
                waited_for = f"HTTP {response.status}"
                wait = min(float(response.headers.get("Retry-After") or 2), LONGEST_WAIT)
            self._sleep(wait)
        raise ImportFailed(f"Gave up after {ATTEMPTS} attempts ({waited_for}). Run the same command again to go on.")

    def _post(self, body: bytes) -> "_Response":
        if self._connection is None:
            make = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
            self._connection = make(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT_SECONDS)
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        self._connection.request("POST", f"{self._parts.path.rstrip('/')}/api/v1/decisions", body, headers)
        answer = self._connection.getresponse()
        return _Response(answer.status, answer.read(), answer.headers)


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    body: bytes
    headers: http.client.HTTPMessage


class Refused(ImportFailed):
    """The server refused a batch: nothing of it was stored."""

    def __init__(self, status: int, body: bytes) -> None:
        try:
            document = json.loads(body)
        except ValueError:
            document = {"title": body[:200].decode(errors="replace")}
        self.status = status
        self.errors: list[dict[str, Any]] = document.get("errors", [])
        super().__init__(f"HTTP {status}: {document.get('title', '')} {document.get('detail', '')}".strip())

    def located(self, path: Path, lines: list[Line]) -> str:
        """The message with file and line of every item that was named."""
        named = [
            f"{path}:{lines[error['index']].number}: {error.get('pointer', '')} {error.get('detail', '')}"
            for error in self.errors
            if isinstance(error.get("index"), int) and error["index"] < len(lines)
        ]
        return "\n".join([f"{self} Lines {lines[0].number} to {lines[-1].number} were not stored.", *named])


def read_lines(path: Path, format_name: str, skip: int) -> Iterator[Line]:
    """Decisions of a JSONL file, plain or gzipped, after the first `skip` lines. Raises `ImportFailed`."""
    mapped: Mapper | None = None
    with _opened(path) as file:
        for number, text in enumerate(file, 1):
            if number <= skip or not text.strip():
                continue
            try:
                line = json.loads(text)
                mapped = mapped or mapper(format_name, line)
                yield Line(number, mapped(line))
            except (ValueError, KeyError, AttributeError, FormatError) as error:
                raise ImportFailed(f"{path}:{number}: {error}") from None


def _opened(path: Path) -> IO[str]:
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8")
        return path.open(encoding="utf-8")
    except OSError as error:
        raise ImportFailed(f"{path}: {error.strerror}") from None


def import_file(
    path: Path,
    client: Client,
    *,
    state: Path,
    batch_size: int = 200,
    format_name: str = "auto",
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Submit a whole file, from where an earlier import of the same content stopped. Raises `ImportFailed`."""
    state.mkdir(parents=True, exist_ok=True)
    mark = state / f"{_identity(path)}.json"
    progress = Progress(lines=json.loads(mark.read_text())["lines"] if mark.exists() else 0)
    for batch in _batches(read_lines(path, format_name, progress.lines), batch_size):
        try:
            answers, replayed = client.submit([line.decision for line in batch])
        except Refused as refused:
            raise ImportFailed(refused.located(path, batch)) from None
        progress.lines = batch[-1].number
        progress.replayed += len(answers) if replayed else 0
        progress.accepted += 0 if replayed else len(answers)
        partial = mark.with_suffix(".part")
        partial.write_text(json.dumps({"file": str(path), "lines": progress.lines}))
        partial.replace(mark)
        report(progress)
    return progress


def _batches(lines: Iterator[Line], size: int) -> Iterator[list[Line]]:
    batch: list[Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _identity(path: Path) -> str:
    """The file by its content, so that a changed file starts again."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return f"{path.name}-{digest.hexdigest()[:16]}"
