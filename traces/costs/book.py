"""The price book: which price holds for a model at a time. Loaded once a process and edition, then pure.

What the tenant agreed on goes before the published list. Among prices of one model that were valid at the time, the
one recorded last counts: so a correction takes effect without anything being overwritten.
"""

import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from traces.costs.pricing import Cost, Price, PriceError, price_of, read_price
from traces.costs.usage import Usage
from traces.models.cost import ListPrice, ModelPrice

CACHED_TENANTS = 1_000
CACHED_NAMES = 5_000
LOOK_AGAIN_SECONDS = 0.5  # a new price counts in every process after this time

Clause = Mapping[str, Any]
ALIASES = {"x_ai": "x-ai"}  # names of the OpenTelemetry conventions that a list does not know
_DATED = re.compile(r"-(20\d{2})(\d{2})(\d{2})$")


def matches(clause: Clause | None, text: str) -> bool:
    """Whether a name fits: {"equals" | "starts_with" | "ends_with" | "contains" | "regex": …, "or" | "and": […]}."""
    if not clause:
        return False
    (kind, wanted), *_ = clause.items()
    if kind in {"or", "and"}:
        found = (matches(one, text) for one in wanted)
        return any(found) if kind == "or" else all(found)
    if kind == "regex":
        return re.search(wanted, text) is not None
    wanted = wanted.lower()
    tests = {"equals": text == wanted, "contains": wanted in text}
    return tests.get(kind, False) or (
        text.startswith(wanted) if kind == "starts_with" else kind == "ends_with" and text.endswith(wanted)
    )


def check_clause(clause: Any, depth: int = 4) -> None:
    """Raise `PriceError` for what `matches` cannot read, or what would take it long (a tenant's own `regex`)."""
    if not isinstance(clause, Mapping) or len(clause) != 1 or depth == 0:
        raise PriceError("names: one of equals, starts_with, ends_with, contains, or, and.")
    ((kind, wanted),) = clause.items()
    if kind in {"or", "and"} and isinstance(wanted, list):
        for one in wanted:
            check_clause(one, depth - 1)
    elif kind not in {"equals", "starts_with", "ends_with", "contains"} or not isinstance(wanted, str):
        raise PriceError(f"names: {kind} is not one of equals, starts_with, ends_with, contains, or, and.")


@dataclass(frozen=True, slots=True)
class Entry:
    """A price in the book. `price` is None where an agreement ends: from there on the list counts again."""

    edition: int
    provider: str
    names: Clause
    price: Price | None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    is_own: bool = True  # an agreement, not the list's

    def holds_at(self, at: datetime) -> bool:
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)


def held_at(entries: Iterable[Entry], at: datetime) -> Price | None:
    """The first price that was valid then; where an agreement has ended, the first of the list's."""
    ended = False
    for entry in entries:
        if entry.holds_at(at) and not (ended and entry.is_own):
            if entry.price is not None:
                return entry.price
            ended = True
    return None


@dataclass(frozen=True, slots=True)
class Provider:
    """How a list knows a provider, and the models that are theirs even where nobody names the provider."""

    id: str
    names: Clause | None
    models: Clause | None
    fallback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """What was called and how, as far as a price depends on it."""

    provider: str
    model: str
    version: str
    usage: Usage
    variant: str = ""
    cached: bool = False

    def names(self) -> list[str]:
        """What the price may be listed under, the most exact first: a version is a whole name, or the end of one."""
        whole = [self.version] if any(letter.isalpha() for letter in self.version) else []
        return [*whole, *([f"{self.model}-{self.version}"] if self.version else []), self.model]


@dataclass(slots=True)
class PriceList:
    """The published prices of one edition."""

    edition: int
    providers: Sequence[Provider]
    entries: Mapping[str, Sequence[Entry]]

    def candidates(self, provider: str, model: str) -> list[Entry]:
        """Every entry for the model: of the provider named, or of the one whose model it is.

        A list is ordered: its first model that fits is the one that is meant.
        """
        for one in self._providers(provider, model):
            for pid in (one.id, *one.fallback):
                found = [entry for entry in self.entries.get(pid, ()) if matches(entry.names, model)]
                if found:
                    return [entry for entry in found if entry.names == found[0].names]
        return []

    def _providers(self, provider: str, model: str) -> list[Provider]:
        if provider:
            exact = [one for one in self.providers if one.id == provider]
            return exact or [one for one in self.providers if matches(one.names, provider)]
        return [one for one in self.providers if matches(one.models, model)]


@dataclass(slots=True)
class PriceBook:
    """A tenant's own prices over the list."""

    edition: int
    own: Sequence[Entry]
    listed: PriceList
    _calls: dict[tuple[str, str, str], list[list[Entry]]] = field(default_factory=dict)

    def price_at(self, provider: str, model: str, at: datetime) -> Price | None:
        """The price of a model at a time; None when none is known."""
        return self._price(Call(provider, model, "", Usage()), at)

    def cost_of(self, call: Call, at: datetime) -> Cost | None:
        """What a call cost, by the price of the very version that answered if there is one; None: unpriced."""
        price = self._price(call, at)
        return price_of(call.usage, price, at=at, variant=call.variant, cached=call.cached) if price else None

    def _price(self, call: Call, at: datetime) -> Price | None:
        key = (call.provider, call.model, call.version)
        found = self._calls.get(key)
        if found is None:
            if len(self._calls) >= CACHED_NAMES:
                self._calls.clear()  # names come from outside: a stream of invented ones must not fill memory
            provider = call.provider.lower()
            provider = ALIASES.get(provider, provider)
            fitting = (self._candidates(provider, name.lower()) for name in call.names() if name)
            found = self._calls[key] = [entries for entries in fitting if entries]
        return next((price for entries in found if (price := held_at(entries, at)) is not None), None)

    def _candidates(self, provider: str, model: str) -> list[Entry]:
        own = self._own(provider, model)
        listed = self.listed.candidates(provider, model)
        # Some clients write the date of a model in one piece, which no list does.
        return [*own, *(listed or self.listed.candidates(provider, _DATED.sub(r"-\1-\2-\3", model)))]

    def _own(self, provider: str, model: str) -> list[Entry]:
        fitting = [e for e in self.own if e.provider in ("", provider) and matches(e.names, model)]
        return sorted(fitting, key=lambda e: e.edition, reverse=True)


# --- Loading --------------------------------------------------------------------------------------------------------

_lists: dict[int, PriceList] = {}
_books: dict[uuid.UUID, tuple[float, PriceBook]] = {}


def price_book(tenant_id: uuid.UUID, *, using: str = "default") -> PriceBook:
    """The tenant's book, inside the caller's `tenant_atomic`. Looks for a new edition twice a second at most.

    Editions are counted under a lock, in the order of commits: that the newest is the one in memory says that
    nothing is missing, which ids made from clocks would not say.
    """
    if known := known_book(tenant_id):
        return known
    now = time.monotonic()
    _, book = _books.get(tenant_id, (0.0, None))
    own, listed = _editions(using)
    if book is None or (book.edition, book.listed.edition) != (own, listed):
        book = PriceBook(own, _own_entries(using), _price_list(listed, using))
    if len(_books) >= CACHED_TENANTS:
        _books.clear()
    _books[tenant_id] = (now, book)
    return book


def known_book(tenant_id: uuid.UUID) -> PriceBook | None:
    """The tenant's book, if this process looked at it just now; for callers outside a transaction."""
    checked_at, book = _books.get(tenant_id, (0.0, None))
    return book if time.monotonic() - checked_at < LOOK_AGAIN_SECONDS else None


def forget_book(tenant_id: uuid.UUID) -> None:
    """Look again at the next use."""
    _books.pop(tenant_id, None)


def _editions(using: str) -> tuple[int, int]:
    own = ModelPrice.objects.using(using).order_by("-edition").values_list("edition", flat=True).first()
    listed = ListPrice.objects.using(using).order_by("-edition").values_list("edition", flat=True).first()
    return own or 0, listed or 0


def _own_entries(using: str) -> list[Entry]:
    rows = ModelPrice.objects.using(using).values_list("edition", "sha256", "document")
    return [own_entry(edition, bytes(sha256), orjson.loads(bytes(document))) for edition, sha256, document in rows]


def own_entry(edition: int, sha256: bytes, document: Mapping[str, Any]) -> Entry:
    """A tenant's price as an entry; one without rates and units ends an agreement."""
    price = read_price(document, sha256)
    ends = not price.rates and not price.units
    names = document.get("names") or {"equals": price.model.lower()}
    check_clause(names)
    return Entry(edition, price.provider.lower(), names, None if ends else price, price.valid_from, price.valid_to)


def _price_list(edition: int, using: str) -> PriceList:
    found = _lists.get(edition)
    if found is None:
        rows = ListPrice.objects.using(using).filter(edition=edition).order_by("position")
        found = price_list(
            edition,
            [(bytes(sha256), orjson.loads(bytes(doc))) for sha256, doc in rows.values_list("sha256", "document")],
        )
        _lists.clear()
        _lists[edition] = found
    return found


def price_list(edition: int, rows: Iterable[tuple[bytes, Mapping[str, Any]]]) -> PriceList:
    """A list from its documents, in their order."""
    providers: dict[str, Provider] = {}
    entries: dict[str, list[Entry]] = {}
    for sha256, document in rows:
        price, about = read_price(document, sha256), document["listed_by"]
        providers[price.provider] = Provider(
            price.provider, about.get("names"), about.get("models"), tuple(about.get("fallback") or ())
        )
        entry = Entry(edition, price.provider, document["names"], price, price.valid_from, price.valid_to, is_own=False)
        entries.setdefault(price.provider, []).append(entry)
    return PriceList(edition, list(providers.values()), entries)
