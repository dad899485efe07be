"""W3C Trace Context, to the letter: `traceparent` and `tracestate` (https://www.w3.org/TR/trace-context-2/). Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

SAMPLED, RANDOM = 0x01, 0x02
MAX_MEMBERS = 32
MAX_PROPAGATED = 512  # characters that must be passed on at least; longer members are dropped first

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL | re.ASCII)
_SIMPLE_KEY = r"[a-z0-9][a-z0-9_\-*/@]{0,255}"
_KEY = re.compile(_SIMPLE_KEY, re.ASCII)
# 0x20 to 0x7E without comma and equals sign; the last one is no space.
_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", re.ASCII)


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The caller's position in its trace. Ids are lower-case hex; flags are bits, of which unknown ones are dropped."""

    trace_id: str
    parent_id: str
    flags: int = 0

    @property
    def sampled(self) -> bool:
        return bool(self.flags & SAMPLED)

    @property
    def random(self) -> bool:
        """Whether the right-most seven bytes of the trace id are random (level 2)."""
        return bool(self.flags & RANDOM)

    def header(self) -> str:
        """The header to send on, in version 00."""
        return f"00-{self.trace_id}-{self.parent_id}-{self.flags & (SAMPLED | RANDOM):02x}"


def parse_traceparent(header: str) -> TraceParent | None:
    """The header's value read; None means that it is invalid and a new trace begins.

    Of a version higher than 00 the known part is read: it ends there or goes on after a dash, and of its flags only
    `sampled` is known to keep its meaning. Version ff is none; ids of zeros, and capital letters, are invalid.
    """
    match = _TRACEPARENT.fullmatch(header.strip(" \t"))
    if match is None:
        return None
    version, trace_id, parent_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest is not None):
        return None
    if not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    known = SAMPLED | RANDOM if version == "00" else SAMPLED
    return TraceParent(trace_id, parent_id, int(flags, 16) & known)


def parse_tracestate(headers: Sequence[str]) -> list[tuple[str, str]]:
    """The list members of one or more `tracestate` headers, in order; empty when any of it is invalid.

    Invalid are: more than 32 members, a key twice, a key or a value out of its form. Empty members are allowed. Never
    makes a `traceparent` invalid.
    """
    members: list[tuple[str, str]] = []
    for part in ",".join(headers).split(","):
        member = part.strip(" \t")
        if not member:
            continue
        key, separator, value = member.partition("=")
        if not separator or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            return []
        members.append((key, value))
    if len(members) > MAX_MEMBERS or len({key for key, _ in members}) != len(members):
        return []
    return members


def format_tracestate(members: Sequence[tuple[str, str]]) -> str:
    """The header to send on. Where it is too long, members over 128 characters go first, then those at the end."""
    kept = [f"{key}={value}" for key, value in members[:MAX_MEMBERS]]
    for index in reversed(range(len(kept))):
        if len(",".join(kept)) <= MAX_PROPAGATED:
            break
        if len(kept[index]) > 128:
            del kept[index]
    while len(",".join(kept)) > MAX_PROPAGATED:
        kept.pop()
    return ",".join(kept)
