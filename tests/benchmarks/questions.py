"""What the read benchmark asks of an archive: addresses by name, for the size that it has now."""

from urllib.parse import urlencode

from tests.benchmarks.archive import FEW, MANY, PHRASE, SOME, Archive, session_of, trace_of, user_of
from traces.selectors import Cursor

Query = dict[str, str]
LIST = "/api/v1/decisions"
ON_PAGES = (
    "list, first page", "list, deep page", "filter: system", "filter: failed", "filter: user", "filter: policy",
    "search: word, many", "search: word, few", "search: phrase", "search: record id",
)  # fmt: skip


def addresses(archive: Archive) -> dict[str, str]:
    """Every case; `none` has no hit by intent, `page` is HTML, the others are the API's."""
    tenant, middle = f"/t/{archive.cast.tenant.slug}", archive.size // 2 + 3
    asked = _lists(archive) | _filters(archive) | _searches(archive)
    queries = asked | _misses(archive)
    found = {name: f"{LIST}?{urlencode(query)}" for name, query in queries.items()}
    found |= {f"page: {name}": f"{tenant}/decisions/?{urlencode(asked[name])}" for name in ON_PAGES}
    return found | {
        "page: session": f"{tenant}/sessions/?id={session_of(middle)}",
        "page: user": f"{tenant}/users/?id={user_of(middle)}",
        "page: trace": f"{tenant}/traces/{trace_of(middle).hex}/",
    }


def _cursor(archive: Archive, number: int, *, newer: bool = False) -> str:
    return Cursor(archive.at(number), archive.ids[number], newer).encode()


def _day(archive: Archive) -> Query:
    """The first one."""
    return {"since": f"{archive.at(0):%Y-%m-%d}", "until": f"{archive.at(archive.of // 28):%Y-%m-%dT%H:%M:%SZ}"}


def _lists(archive: Archive) -> dict[str, Query]:
    n = archive.size
    return {
        "list, first page": {},
        "list, deep page": {"cursor": _cursor(archive, n // 2)},
        "list, newer page": {"cursor": _cursor(archive, n // 2, newer=True)},
    }


def _filters(archive: Archive) -> dict[str, Query]:
    n, day = archive.size, _day(archive)
    return {
        "filter: a day": day,
        "filter: system": {"system": "loan-assistant"},
        "filter: system, deep": {"system": "loan-assistant", "cursor": _cursor(archive, n // 3)},
        "filter: environment": {"environment": "staging"},
        "filter: model": {"model": "gpt-5-mini"},
        "filter: system and model": {"system": "loan-assistant", "model": "gpt-5"},
        "filter: policy": {"policy": "pii-in-output"},
        "filter: policy, few": {"policy": "off-hours"},
        "filter: policy and system": {"policy": "pii-in-output", "system": "hr-helper"},
        "filter: action": {"action": "block"},
        "filter: allow": {"action": "allow"},
        "filter: failed": {"status": "failed"},
        "filter: system and failed": {"system": "hr-helper", "status": "failed"},
        "filter: user": {"user": user_of(n - 1)},
        "filter: user and day": {"user": user_of(5)} | day,
        "filter: session": {"session": session_of(n // 2 + 3)},
        "filter: trace": {"trace_id": trace_of(n // 2 + 3).hex},
        "filter: feedback": {"feedback": "wrong"},
        "filter: any feedback": {"feedback": "any"},
    }


def _searches(archive: Archive) -> dict[str, Query]:
    n, phrase = archive.size, f'"{" ".join(PHRASE)}"'
    return {
        "search: word, many": {"q": MANY},
        "search: word, some": {"q": SOME},
        "search: word, few": {"q": FEW},
        "search: two words": {"q": f"{MANY} {SOME}"},
        "search: many, system": {"q": MANY, "system": "hr-helper"},
        "search: some, system": {"q": SOME, "system": "hr-helper"},
        "search: word, user, day": {"q": MANY, "user": user_of(6)} | _day(archive),
        "search: word, failed": {"q": MANY, "status": "failed"},
        "search: phrase": {"q": phrase},
        "search: phrase, deep": {"q": phrase, "cursor": _cursor(archive, n // 2)},
        "search: phrase, user": {"q": phrase, "user": user_of(1_005)},
        "search: record id": {"q": str(archive.ids[n // 2])},
        "search: external id": {"q": f"loan-{n // 20 * 10}"},
        "search: session id": {"q": session_of(n // 2)},
    }


def _misses(archive: Archive) -> dict[str, Query]:
    day = _day(archive)
    return {
        "none: system": {"system": "nobody"},
        "none: model": {"model": "nobody"},
        "none: system and model": {"system": "loan-assistant", "model": "gemini-2.5-pro"},
        "none: policy": {"policy": "nobody"},
        "none: policy and user": {"policy": "pii-in-output", "user": user_of(0)} | day,
        "none: action": {"action": "escalate"},
        "none: action, system": {"action": "redact", "system": "hr-helper", "environment": "staging"},
        "none: user": {"user": "nobody"},
        "none: user and day": {"user": user_of(archive.size - 1)} | day,
        "none: user and failed": {"user": user_of(12), "status": "failed"},
        "none: session": {"session": "nobody"},
        "none: trace": {"trace_id": "f" * 32},
        "none: feedback": {"feedback": "nobody"},
        "none: before all": {"until": "2020-01-01"},
        "miss: word": {"q": "nevermore"},
        "miss: many and no word": {"q": f"{MANY} nevermore"},
        "miss: few, other user": {"q": FEW, "user": user_of(5)},
        "miss: phrase": {"q": '"residence of proof"'},
    }
