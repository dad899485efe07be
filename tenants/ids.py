"""UUIDv7 (RFC 9562 §5.7): time-ordered ids, whose first 48 bits are Unix milliseconds."""

import os
import uuid
from datetime import UTC, datetime

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


def unix_ms(at: datetime) -> int:
    """Whole milliseconds since the Unix epoch, rounded down."""
    return int(at.timestamp() * 1000 // 1)


def uuid7(ms: int) -> uuid.UUID:
    """A new id for the moment `ms` (Unix milliseconds), with 74 random bits."""
    random = int.from_bytes(os.urandom(10), "big")
    rand_a = random >> 68
    rand_b = random & ((1 << 62) - 1)
    return uuid.UUID(int=(ms << 80) | _VERSION_7 | (rand_a << 64) | _VARIANT | rand_b)


def uuid7_now() -> uuid.UUID:
    """A new id for this moment: the default of primary keys."""
    return uuid7(unix_ms(datetime.now(UTC)))


def uuid7_ms(value: uuid.UUID) -> int:
    """The Unix milliseconds inside a UUIDv7."""
    return value.int >> 80


def uuid7_time(value: uuid.UUID) -> datetime:
    """The moment inside a UUIDv7, to the millisecond, in UTC."""
    return datetime.fromtimestamp(uuid7_ms(value) / 1000, tz=UTC)


def first_uuid_at(at: datetime) -> uuid.UUID:
    """The smallest value that sorts at or after `at`: a bound for ranges of ids and for partitions."""
    return uuid.UUID(int=unix_ms(at) << 80)
