"""Files of decisions: whole, counted, hashed, safe in a spreadsheet, and each reading recorded."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pyarrow import parquet

from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.test_pages import browser, url
from traces.search import exporting
from traces.search import parquet as parquet_module
from traces.search.exporting import export_decisions
from traces.search.indexing import index_words
from traces.selectors import DecisionFilter


def taken(cast: Cast, role: str = Role.AUDITOR, **query: str) -> bytes:
    answer = browser(cast.people[role]).get(url(cast, "decision-export"), query)
    assert answer.status_code == 200
    chunks: Iterator[bytes] = answer.streaming_content  # type: ignore[attr-defined]
    return b"".join(chunks)


def events(cast: Cast, tag: str) -> list[dict[str, Any]]:
    with tenant_atomic(cast.tenant.pk):
        return [json.loads(bytes(row.body)) for row in LedgerEvent.objects.filter(tag=tag).order_by("id")]


def test_json_lines_hold_everything_once_and_end_in_count_and_hash(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE", 3)
    ids = submit(cast, 8)
    data = taken(cast)
    *lines, last = data.splitlines(keepends=True)
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(map(str, ids))
    assert json.loads(lines[0])["record"]["output"][0]["content"] == "Please send a proof of income first."
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    assert json.loads(last) == {"export": {"rows": 8, "sha256": digest}}
    (told,) = events(cast, "decision.exported")
    assert {"rows": 8, "sha256": digest, "is_whole": True, "content": True}.items() <= told.items()
    assert sorted(pk for event in events(cast, "payload.read") for pk in event["decisions"]) == sorted(map(str, ids))


def test_csv_is_the_same_in_cells(cast: Cast) -> None:
    submit(cast, 3)
    data = taken(cast, format="csv")
    body, _, last = data.removesuffix(b"\r\n").rpartition(b"\r\n")
    digest = hashlib.sha256(body + b"\r\n").hexdigest()
    assert last.decode() == f"# rows=3 sha256={digest}"
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert [row["user"] for row in rows] == ["u-1032"] * 3
    assert json.loads(rows[0]["output"])[0]["content"] == "Please send a proof of income first."


def test_parquet_is_the_same_in_columns_and_its_footer_tells_count_and_hash(cast: Cast) -> None:
    (first,) = submit(cast, external_id="loan-1", source_seq=None, session=None)
    submit(cast, 2)
    data = taken(cast, format="parquet")
    footer = int.from_bytes(data[-8:-4], "little") + 8
    digest = hashlib.sha256(data[:-footer]).hexdigest()
    file = parquet.ParquetFile(io.BytesIO(data))
    told = file.metadata.metadata
    assert (file.metadata.num_rows, told[b"rows"], told[b"sha256"].decode()) == (3, b"3", digest)
    (row,) = [row for row in file.read().to_pylist() if row["id"] == str(first)]
    assert row["occurred_at"] == datetime(2026, 11, 20, 8, 46, 14, 123000, tzinfo=UTC)
    assert (row["input_tokens"], row["cache_read_tokens"], row["session"], row["erased"]) == (812, None, None, False)
    assert json.loads(row["output"])[0]["content"] == "Please send a proof of income first."
    (event,) = events(cast, "decision.exported")
    assert {"format": "parquet", "rows": 3, "sha256": digest, "is_whole": True}.items() <= event.items()


def test_parquet_holds_one_row_group_and_sends_it_when_it_is_full(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE", 2)
    monkeypatch.setattr(parquet_module, "GROUP_ROWS", 4)
    ids = submit(cast, 11)
    stream = export_decisions(
        by=cast.auditor, wanted=DecisionFilter(), form="parquet", now=datetime(2030, 1, 1, tzinfo=UTC)
    )
    chunks = list(stream)
    file = parquet.ParquetFile(io.BytesIO(b"".join(chunks)))
    groups = [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]
    assert groups == [4, 4, 3]
    assert len(chunks) == 5  # magic bytes, the groups, the footer
    assert sorted(file.read(["id"])["id"].to_pylist()) == sorted(map(str, ids))


def test_a_file_of_nothing_is_a_file(cast: Cast) -> None:
    data = taken(cast, format="parquet", user="nobody")
    file = parquet.ParquetFile(io.BytesIO(data))
    assert (file.metadata.num_rows, file.metadata.metadata[b"rows"]) == (0, b"0")
    assert file.schema_arrow.names[0] == "id"


@pytest.mark.parametrize("attack", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1+1", "|cmd", '=HYPERLINK("x")'])
def test_no_cell_is_a_formula(cast: Cast, attack: str) -> None:
    submit(cast, user=attack, output=attack)
    (row,) = [row for row in csv.DictReader(io.StringIO(taken(cast, format="csv").decode())) if row["user"]]
    assert row["user"] == row["output"] == f"'{attack}"


def test_who_may_not_read_content_takes_none(cast: Cast) -> None:
    submit(cast, output="the-canary", metadata={"a": "the-canary"})
    for form in ("csv", "jsonl"):
        assert b"the-canary" not in taken(cast, Role.OWNER, format=form)
    file = parquet.ParquetFile(io.BytesIO(taken(cast, Role.OWNER, format="parquet")))
    assert {"input", "output"}.isdisjoint(file.schema_arrow.names)
    assert events(cast, "payload.read") == []
    assert [event["content"] for event in events(cast, "decision.exported")] == [False] * 3


def test_a_filter_and_a_phrase_narrow_the_file(cast: Cast) -> None:
    submit(cast, 2)
    (wanted,) = submit(cast, output="a weird answer")
    index_words(cast.tenant.pk)
    lines = taken(cast, q='"weird answer"').splitlines()
    assert [json.loads(line)["id"] for line in lines[:-1]] == [str(wanted)]
    assert len(taken(cast, user="nobody").splitlines()) == 1


def test_a_file_that_was_cut_off_says_so_in_the_ledger_and_lacks_its_last_line(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 2)
    submit(cast, 5)
    stream = export_decisions(
        by=cast.auditor, wanted=DecisionFilter(), form="jsonl", now=datetime(2030, 1, 1, tzinfo=UTC)
    )
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    (told,) = events(cast, "decision.exported")
    assert (told["rows"], told["is_whole"]) == (2, False)


def test_what_cannot_be_exported(cast: Cast) -> None:
    assert browser(cast.people[Role.VIEWER]).get(url(cast, "decision-export")).status_code == 403
    client = browser(cast.people[Role.AUDITOR])
    assert client.get(url(cast, "decision-export"), {"format": "xlsx"}).status_code == 404
    assert client.get(url(cast, "decision-export"), {"since": "soon"}).status_code == 302
