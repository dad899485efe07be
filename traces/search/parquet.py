"""Rows as a Parquet file that is written as it is sent: one row group at a time is held, however many rows there are.

Whoever wants the count and the hash finds them in the footer's key-value metadata, `rows` and `sha256`; the hash is of
every byte before the footer, whose length is told by the four bytes before the last four.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

GROUP_BYTES = 8 * 2**20  # of a row group in memory
GROUP_ROWS = 20_000
TIMES = {"occurred_at", "received_at"}
FLAGS = {"erased"}
NUMBERS = {
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_micros",
    "latency_ms",
}  # fmt: skip


class ParquetWriter:
    """Rows of these columns, text where the name is of no other kind. `cells` makes a row; what it lacks is null."""

    def __init__(self, columns: Sequence[str], cells: Callable[[Any], Mapping[str, Any]]) -> None:
        # Late: half of the web processes' memory again, which only who takes such a file should pay.
        import pyarrow
        from pyarrow import parquet

        kinds = dict.fromkeys(TIMES, pyarrow.timestamp("us", tz="UTC")) | dict.fromkeys(NUMBERS, pyarrow.int64())
        kinds |= dict.fromkeys(FLAGS, pyarrow.bool_())
        self._arrow, self._columns, self._cells = pyarrow, columns, cells
        self._schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in columns])
        self._out = _Out()
        self._file = parquet.ParquetWriter(pyarrow.PythonFile(self._out, mode="w"), self._schema, compression="zstd")
        self._held: list[Any] = []

    def begin(self) -> bytes:
        return self._out.take()

    def add(self, page: Sequence[Any]) -> bytes:
        """Holds the page; the bytes of a row group when one is full."""
        rows = [self._cells(one) for one in page]
        arrays = [[row.get(name) for row in rows] for name in self._columns]
        made = [self._arrow.array(values, field.type) for values, field in zip(arrays, self._schema, strict=True)]
        self._held.append(self._arrow.record_batch(made, schema=self._schema))
        n_bytes, n_rows = (sum(getattr(batch, name) for batch in self._held) for name in ("nbytes", "num_rows"))
        return self.rest() if n_bytes >= GROUP_BYTES or n_rows >= GROUP_ROWS else b""

    def rest(self) -> bytes:
        """The row group of what is held."""
        held = self._arrow.Table.from_batches(self._held, schema=self._schema)
        self._held = []
        if held.num_rows:
            self._file.write_table(held, row_group_size=held.num_rows)
        return self._out.take()

    def end(self, rows: int, digest: str) -> bytes:
        """The footer."""
        self._file.add_key_value_metadata({"rows": str(rows), "sha256": digest})
        self._file.close()
        return self._out.take()


class _Out:
    """A file in memory that is emptied as it is sent; `tell` counts what was sent too."""

    closed = False

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._length = 0

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        self._chunks.append(chunk)
        self._length += len(chunk)
        return len(chunk)

    def tell(self) -> int:
        return self._length

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def close(self) -> None:
        """What is left is taken after it."""

    def take(self) -> bytes:
        taken = b"".join(self._chunks)
        self._chunks.clear()
        return taken
