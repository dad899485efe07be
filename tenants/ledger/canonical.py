"""Strict I-JSON in, RFC 8785 (JCS) out: the one byte form that commitments and leaves are hashed over.

The accepted domain is I-JSON (RFC 7493) narrowed so that it is closed: every value that `parse_strict`
takes has canonical bytes that `parse_strict` takes again, unchanged. Hence one rule beyond the RFCs: a
number whose canonical form has no fraction and no exponent must lie within ±(2^53-1), however it was
written (`1e20` canonicalises to an integer that no I-JSON reader may trust). Send such numbers as strings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import orjson
import rfc8785

# The read-only views, so that list[str] and dict[str, int] pass.
JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"

MAX_DEPTH = 64
MAX_INTEGER = 2**53 - 1
# ECMAScript prints doubles below this without an exponent, so as integers (RFC 8785 §3.2.2.3).
_EXPONENT_FROM = 1e21

_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
# orjson and ECMAScript print a non-integral double alike from here up to MAX_INTEGER.
_PLAIN_FROM = 1e-4
_CONTAINERS = frozenset({dict, list})
_NUMBERS = frozenset({int, float})
_SUPPLEMENTARY_LEADS = (b"\xf0", b"\xf1", b"\xf2", b"\xf3", b"\xf4")


class CanonicalError(ValueError):
    """A document outside the accepted domain.

    `reason` says what is wrong; `pointer` says where, as a JSON Pointer (RFC 6901; `""` is the whole).
    """

    def __init__(self, reason: str, path: Iterable[str | int] = ()) -> None:
        self.reason = reason
        self.pointer = "".join(f"/{_pointer_token(part)}" for part in path)
        super().__init__(f"at {self.pointer}: {reason}" if self.pointer else reason)


def parse_strict(data: bytes) -> Any:
    """Decode one I-JSON document from UTF-8 `data`.

    Raises CanonicalError for bad UTF-8 or syntax, duplicate member names, lone surrogates, NaN or Infinity,
    integers beyond ±(2^53-1), and nesting deeper than 64 containers.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _parse_slowly(data)
    survey = _survey(value)
    # orjson keeps the last of two equal names: then the text has more strings than the tree.
    if survey is None or survey.strings * 2 != _count_quotes(data):
        return _parse_slowly(data)
    return value


def dumps(value: JsonValue) -> bytes:
    """Return the RFC 8785 bytes of a decoded I-JSON `value`; byte-equal to what the rfc8785 package gives.

    Raises CanonicalError, with the place, for a value outside the accepted domain.
    """
    survey = _survey(value)
    if survey is not None and not survey.has_tiny_floats:
        plain = _with_integral_floats_as_ints(value) if survey.has_integral_floats else value
        encoded = _dumps_fast(plain)
        if encoded is not None:
            return encoded
    check_ijson(value)
    return rfc8785.dumps(value)


def dumps_each(values: Mapping[str, JsonValue]) -> dict[str, bytes]:
    """`dumps` of every value, looked through in one pass; raises as `dumps`."""
    survey = _survey(values)
    if survey is None or survey.has_tiny_floats or survey.has_integral_floats:
        return {name: dumps(value) for name, value in values.items()}
    return {name: _dumps_fast(value) or dumps(value) for name, value in values.items()}


def check_ijson(value: object) -> None:
    """Raise CanonicalError, with the place, unless the decoded `value` is in the accepted domain."""
    _check(value, ())


class _Survey(NamedTuple):
    strings: int  # names and string values together
    has_integral_floats: bool
    has_tiny_floats: bool


def _survey(value: object) -> _Survey | None:
    """One pass over `value`, level by level; None where only the slow, explaining check may judge it."""
    strings = 0
    numbers: list[int | float] = []
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for container in level:
            items = container.values() if type(container) is dict else container
            strings += len(items) if items is not container else 0
            for item in items:
                kind = type(item)
                if kind is str:
                    strings += 1
                elif kind in _CONTAINERS:
                    below.append(item)
                elif kind in _NUMBERS:
                    numbers.append(item)
                elif kind is not bool and item is not None:
                    return None
        if not below:
            return _survey_numbers(strings, numbers)
        level = below
    return None


def _survey_numbers(strings: int, numbers: list[int | float]) -> _Survey | None:
    if not numbers:
        return _Survey(strings, False, False)
    # A NaN is neither below nor above: it is caught among the floats.
    if min(numbers) < -MAX_INTEGER or max(numbers) > MAX_INTEGER:
        return None
    floats = [number for number in numbers if type(number) is float]
    if any(number != number for number in floats):  # noqa: PLR0124 (the NaN test)
        return None
    return _Survey(
        strings,
        any(number.is_integer() for number in floats),
        any(-_PLAIN_FROM < number < _PLAIN_FROM and number for number in floats),
    )


def _dumps_fast(value: object) -> bytes | None:
    """orjson's bytes of a surveyed value without integral or tiny floats, else None.

    What is left to differ from RFC 8785: names sorted as UTF-8, not as UTF-16, which takes a supplementary
    character beside one of U+E000-U+FFFF.
    """
    try:
        encoded = orjson.dumps(value, option=_OPTIONS)
    except orjson.JSONEncodeError:
        return None
    if encoded.isascii() or (b"\xee" not in encoded and b"\xef" not in encoded):
        return encoded
    return None if any(lead in encoded for lead in _SUPPLEMENTARY_LEADS) else encoded


def _count_quotes(data: bytes) -> int:
    """Unescaped quotation marks in a well-formed JSON text."""
    quotes = data.count(b'"')
    if b'\\"' in data:
        quotes -= data.replace(b"\\\\", b"").count(b'\\"')
    return quotes


def _parse_slowly(data: bytes) -> Any:
    """Decode with the standard library, which can tell what `orjson` cannot, and say what is wrong where."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=float)
    except UnicodeDecodeError as error:
        raise CanonicalError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise CanonicalError(f"not JSON: {error.msg} (line {error.lineno} column {error.colno})") from None
    except RecursionError:
        raise CanonicalError(f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:
        # int() refuses more digits than sys.get_int_max_str_digits().
        raise CanonicalError("an integer is beyond ±(2^53-1): send it as a string") from None
    check_ijson(value)
    return value


class _RepeatedName(dict[str, Any]):
    """A decoded object that had two members of one name; kept in the tree so that its path can be told."""

    def __init__(self, members: dict[str, Any], name: str) -> None:
        super().__init__(members)
        self.name = name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    repeated = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return _RepeatedName(members, repeated)


def _check(value: object, path: tuple[str | int, ...]) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, (int, float)):
        _check_number(value, path)
    elif isinstance(value, (dict, list, tuple)):
        if len(path) >= MAX_DEPTH:
            raise CanonicalError(f"nested deeper than {MAX_DEPTH} levels", path[:8])
        if isinstance(value, _RepeatedName):
            raise CanonicalError("duplicate member name", (*path, value.name))
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict):
                _check_name(key, path)
            _check(item, (*path, key))
    else:
        raise CanonicalError(f"{type(value).__name__} is not a JSON type", path)


def _check_name(name: object, path: tuple[str | int, ...]) -> None:
    if not isinstance(name, str):
        raise CanonicalError(f"member name is {type(name).__name__}, not a string", path)
    _check_text(name, (*path, name))


def _check_text(text: str, path: tuple[str | int, ...]) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise CanonicalError("lone surrogate in a string", path) from None


def _check_number(number: int | float, path: tuple[str | int, ...]) -> None:
    if isinstance(number, int):
        if not -MAX_INTEGER <= number <= MAX_INTEGER:
            raise CanonicalError("integer beyond ±(2^53-1): send it as a string", path)
    elif not math.isfinite(number):
        raise CanonicalError("NaN or Infinity is not a JSON number", path)
    elif _is_unsafe_integral(number):
        raise CanonicalError("whole number beyond ±(2^53-1): send it as a string", path)


def _is_unsafe_integral(number: float) -> bool:
    return not -MAX_INTEGER <= number <= MAX_INTEGER and -_EXPONENT_FROM < number < _EXPONENT_FROM


def _with_integral_floats_as_ints(value: Any) -> Any:
    """`value` with each float such as 1.0 or -0.0 as the int that RFC 8785 prints for it."""
    if type(value) is float:
        return int(value) if value.is_integer() else value
    if type(value) is dict:
        return {key: _with_integral_floats_as_ints(item) for key, item in value.items()}
    if type(value) is list:
        return [_with_integral_floats_as_ints(item) for item in value]
    return value


def _pointer_token(part: str | int) -> str:
    """One RFC 6901 token, cut to 64 characters and made safe to print."""
    text = str(part)[:64].encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("~", "~0").replace("/", "~1")
