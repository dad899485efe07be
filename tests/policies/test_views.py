"""The pages of policies through the browser: a version's whole life, what is refused, and what is never shown."""

import html
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from policies import presentation
from policies.activations import retire_version
from policies.backtest import Case, replay
from policies.backtests import candidate_of, finish_backtest, record_chunk, start_backtest
from policies.diff import diff_text
from policies.facts import build_facts
from policies.models import Policy, PolicyBacktest, PolicyVersion
from policies.services import draft_version
from tenants.actors import system_actor
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.policies import a_document, approvers, put_in_force, submitted
from tests.factories.tenants import PASSWORD, Cast

HOSTILE = "<img src=x onerror=alert(1)>"
SLUG = "short-answers"


def browser(cast: Cast, role: str) -> Client:
    client = Client()
    client.force_login(cast.people[role], backend="django.contrib.auth.backends.ModelBackend")
    return client


def url(cast: Cast, name: str, *rest: object) -> str:
    return reverse(name, args=[cast.tenant.slug, *rest])


def text_of(response: Any) -> str:
    assert response.status_code == 200, response.status_code
    return html.unescape(response.content.decode())


def step(cast: Cast, role: str, name: str, number: int = 1, **data: Any) -> str:
    """Press a button of the version; the page that follows."""
    address = url(cast, "policy-step", SLUG, number, name)
    return text_of(browser(cast, role).post(address, data, follow=True))


def state_shown(page: str) -> str:
    """The state beside the page's title."""
    found = re.search(r'<p class="lede row">\s*<span class="badge[^"]*">(?:<svg.*?</svg>)?([^<]+)', page)
    assert found, page[:3000]
    return found[1].strip()


def decide(cast: Cast, role: str, version: PolicyVersion, **answer: str) -> str:
    """Open the review, answer it, and see what follows."""
    client, address = browser(cast, role), url(cast, "policy-review", version.policy.slug, version.number)
    found = re.search(r'name="token" value="([^"]+)"', text_of(client.get(address)))
    assert found
    data = {"decision": "approve", "password": PASSWORD, "comment": "", "token": found[1]} | answer
    return text_of(client.post(address, data, follow=True))


def newest(cast: Cast) -> PolicyVersion:
    with tenant_atomic(cast.tenant.pk):
        return PolicyVersion.objects.select_related("policy").order_by("-number")[0]


def backtested(cast: Cast, version: PolicyVersion, outputs: list[str]) -> PolicyBacktest:
    """A finished backtest over decisions with these answers, each of them allowed then."""
    now = datetime.now(UTC)
    by = cast.actors[Role.POLICY_AUTHOR]
    backtest = start_backtest(by=by, version=version, since=now - timedelta(days=7), until=now)
    runner = system_actor(cast.tenant.pk, "backtest")
    cases = [
        Case(str(uuid.uuid4()), build_facts({"output": text}), "allow", segment=(f"s{len(text)}", "", "", ""), tokens=5)
        for text in outputs
    ]
    with tenant_atomic(cast.tenant.pk):
        chunk = replay(cases, candidate_of(backtest))
    record_chunk(by=runner, backtest_id=backtest.pk, expected_cursor="", chunk=chunk, cursor="end")
    return finish_backtest(by=runner, backtest_id=backtest.pk)


def test_a_version_is_drafted_checked_and_submitted(cast: Cast) -> None:
    author, source = browser(cast, Role.POLICY_AUTHOR), a_document()
    assert "No problem" in text_of(author.post(url(cast, "policy-check"), {"source": source}))
    page = text_of(author.post(url(cast, "policy-new"), {"source": source, "change_reason": "Asked for"}, follow=True))
    assert "Version 1 is kept as a draft" in page
    assert state_shown(page) == "Draft"
    assert "Asked for" in page
    page = step(cast, Role.POLICY_AUTHOR, "submit")
    assert state_shown(page) == "In review"
    assert "0 of 1" in page
    assert f"{cast.people[Role.POLICY_APPROVER].name} can still answer" in page


def test_a_version_is_approved_by_another_person_and_put_in_force(cast: Cast) -> None:
    version = submitted(cast, a_document(), people=1)
    page = decide(cast, Role.POLICY_APPROVER, version, comment="Read twice")
    assert "Your decision is recorded." in page
    assert state_shown(page) == "Approved"
    assert "“Read twice”" in page
    assert state_shown(step(cast, Role.POLICY_APPROVER, "shadow")) == "Shadow"
    assert state_shown(step(cast, Role.POLICY_APPROVER, "end-shadow")) == "Approved"
    page = step(cast, Role.POLICY_APPROVER, "activate")
    assert state_shown(page) == "In force"
    assert "Put in force" not in page
    assert SLUG in text_of(browser(cast, Role.VIEWER).get(url(cast, "policy-list")))


def test_what_is_in_force_is_suspended_resumed_and_retired(cast: Cast) -> None:
    put_in_force(cast, a_document())
    assert state_shown(step(cast, Role.POLICY_APPROVER, "suspend", reason="It blocks everything")) == "Suspended"
    page = step(cast, Role.POLICY_APPROVER, "resume", reason="Mended upstream")
    assert state_shown(page) == "In force"
    assert "“Mended upstream”" in page
    page = step(cast, Role.POLICY_APPROVER, "retire", reason="No longer needed")
    assert state_shown(page) == "Retired"
    assert "That is not possible" not in page
    assert "cannot be changed this way" in step(cast, Role.POLICY_APPROVER, "suspend", reason="Again")


def test_a_start_can_be_planned_and_cancelled(cast: Cast) -> None:
    version = submitted(cast, a_document(), people=1)
    decide(cast, Role.POLICY_APPROVER, version)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    assert "never in the past" in step(cast, Role.POLICY_APPROVER, "activate", starts=yesterday)
    assert state_shown(step(cast, Role.POLICY_APPROVER, "activate", starts=tomorrow)) == "Scheduled"
    assert state_shown(step(cast, Role.POLICY_APPROVER, "cancel")) == "Approved"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"password": "not it"}, "This is not your password"),
        ({"decision": "reject"}, "Say why"),
        ({"token": "made up"}, "read the version again"),
    ],
)
def test_a_decision_that_is_not_complete_is_refused(cast: Cast, answer: dict[str, str], said: str) -> None:
    version = submitted(cast, a_document(), people=1)
    assert said in decide(cast, Role.POLICY_APPROVER, version, **answer)
    page = text_of(browser(cast, Role.VIEWER).get(url(cast, "policy-detail", SLUG)))
    assert state_shown(page) == "In review"


def test_the_review_shows_exactly_what_is_signed(cast: Cast) -> None:
    put_in_force(cast, a_document())
    version = submitted(cast, a_document(limit=150), people=1)
    backtest = backtested(cast, version, ["short", "x" * 200])
    page = text_of(browser(cast, Role.POLICY_APPROVER).get(url(cast, "policy-review", SLUG, 2)))
    assert bytes(version.sha256).hex() in page
    assert bytes(backtest.sha256).hex() in page
    assert "100 → 150" in page
    assert "1 of 2 decisions would be acted on differently" in page
    assert f'"nonce":"{re.findall(r"nonce[^0-9a-f]+([0-9a-f]{32})", page)[0]}"' in page


def test_a_rejection_ends_the_review_and_says_why(cast: Cast) -> None:
    version = submitted(cast, a_document(), people=1)
    page = decide(cast, Role.POLICY_APPROVER, version, decision="reject", comment="Too broad")
    assert state_shown(page) == "Rejected"
    assert "“Too broad”" in page


def test_nobody_is_offered_or_allowed_what_is_not_theirs(cast: Cast) -> None:
    version = submitted(cast, a_document(), people=1)
    viewer, author = browser(cast, Role.VIEWER), browser(cast, Role.POLICY_AUTHOR)
    page = text_of(viewer.get(url(cast, "policy-detail", SLUG)))
    assert 'method="post" action="/t/' not in page
    for client, name in ((viewer, "policy-new"), (viewer, "policy-check")):
        assert client.post(url(cast, name), {"source": "x"}).status_code == 403
    assert author.get(url(cast, "policy-review", SLUG, version.number)).status_code == 403
    assert author.post(url(cast, "policy-step", SLUG, 1, "activate")).status_code == 403
    assert author.post(url(cast, "policy-step", SLUG, 1, "unheard-of")).status_code == 404


def test_a_page_that_is_out_of_date_changes_nothing(cast: Cast) -> None:
    submitted(cast, a_document(), people=1)
    assert "look again" in step(cast, Role.POLICY_AUTHOR, "withdraw", revision=1, reason="Mistaken")


def test_problems_are_shown_with_their_place_and_nothing_is_kept(cast: Cast) -> None:
    author, source = browser(cast, Role.POLICY_AUTHOR), a_document().replace("output.length", "output.lenght")
    part = text_of(author.post(url(cast, "policy-check"), {"source": source}, headers={"HX-Request": "true"}))
    line = next(n for n, text in enumerate(source.splitlines(), 1) if "lenght" in text)
    assert f'data-line="{line}"' in part
    assert "<html" not in part
    page = text_of(author.post(url(cast, "policy-new"), {"source": source}))
    assert "Not kept: 1 problem, listed under Check" in page
    assert "output.lenght > 100" in page
    with tenant_atomic(cast.tenant.pk):
        assert not Policy.objects.exists()


def test_the_editor_starts_from_a_starter_or_a_version_and_warns_of_void_approvals(cast: Cast) -> None:
    author = browser(cast, Role.POLICY_AUTHOR)
    page = text_of(author.get(url(cast, "policy-new"), {"starter": "off-hours"}))
    assert "policy: off-hours" in page
    assert "has(outcome.score) && outcome.score" in page
    submitted(cast, a_document(limit=321), people=1)
    page = text_of(author.get(url(cast, "policy-new"), {"from": SLUG, "version": "1"}))
    assert "output.length > 321" in page
    assert "This starts the approval over." in page
    page = text_of(author.post(url(cast, "policy-new"), {"source": a_document(limit=321)}))
    assert "says exactly the same" in page


PAGES = ("policy-detail", "policy-diff", "policy-review", "backtest-new")


@pytest.mark.parametrize("name", PAGES)
def test_a_foreign_policy_is_not_there(cast: Cast, stranger: Cast, name: str) -> None:
    submitted(cast, a_document(), people=1)
    rest = [SLUG] if name == "policy-detail" else [SLUG, 1]
    foreign = browser(stranger, Role.POLICY_APPROVER)
    assert browser(cast, Role.POLICY_APPROVER).get(url(cast, name, *rest)).status_code == 200
    assert foreign.get(url(stranger, name, *rest)).status_code == 404
    assert foreign.get(url(cast, name, *rest)).status_code == 404


def test_a_foreign_backtest_is_not_there(cast: Cast, stranger: Cast) -> None:
    backtest = backtested(cast, submitted(cast, a_document(), people=1), ["short"])
    foreign = browser(stranger, Role.POLICY_APPROVER)
    assert foreign.get(url(stranger, "backtest-detail", backtest.pk)).status_code == 404
    assert foreign.post(url(stranger, "backtest-cancel", backtest.pk)).status_code == 404


def test_the_diff_shows_rules_numbers_and_lines(cast: Cast) -> None:
    put_in_force(cast, a_document(limit=200))
    author = cast.actors[Role.POLICY_AUTHOR]
    draft_version(by=author, source=a_document(limit=250))
    page = text_of(browser(cast, Role.VIEWER).get(url(cast, "policy-diff", SLUG, 2)))
    assert "200 → 250" in page
    assert "(+25 %)" in page
    assert "<mark>0</mark>" in page
    draft_version(by=author, source=a_document(limit=300))
    page = text_of(browser(cast, Role.VIEWER).get(url(cast, "policy-diff", SLUG, 3), {"against": "2"}))
    assert "Compared with version 2" in page
    assert "250 → 300" in page


def test_a_backtest_is_asked_for_followed_and_cancelled(cast: Cast) -> None:
    version = submitted(cast, a_document(), people=1)
    author = browser(cast, Role.POLICY_AUTHOR)
    address = url(cast, "backtest-new", SLUG, version.number)
    refused = author.post(address, {"since": "2026-01-02T00:00", "until": "2026-01-01T00:00"})
    assert "must end now or earlier" in text_of(refused)
    page = text_of(author.post(address, {"since": "2026-01-01T00:00", "until": "2026-01-02T00:00"}, follow=True))
    assert 'hx-trigger="every 2s"' in page
    assert "It waits for its turn." in page
    with tenant_atomic(cast.tenant.pk):
        backtest = PolicyBacktest.objects.get()
    part = text_of(author.get(url(cast, "backtest-detail", backtest.pk), headers={"HX-Request": "true"}))
    assert part.strip().startswith('<div id="backtest"')
    page = text_of(author.post(url(cast, "backtest-cancel", backtest.pk), follow=True))
    assert 'hx-trigger="every 2s"' not in page
    assert "is no evidence" in page
    again = text_of(author.post(url(cast, "backtest-cancel", backtest.pk), follow=True))
    assert "This backtest is over." in again


def test_the_report_of_a_backtest_is_readable_without_colour(cast: Cast) -> None:
    version = submitted(cast, a_document(), people=1)
    backtest = backtested(cast, version, ["short", "x" * 200, "x" * 201])
    page = text_of(browser(cast, Role.VIEWER).get(url(cast, "backtest-detail", backtest.pk)))
    assert "▲ stricter" in page
    assert "= the same" in page
    assert "66.7 %" in page
    report = presentation.backtest_report(backtest)
    assert report is not None
    assert (report["changed"], report["stricter"], report["milder"]) == (2, 2, 0)
    assert [row["total"] for row in report["matrix"]] == [3]
    assert report["totals"] == [1, 2]
    assert [segment["system"] for segment in report["segments"]] == ["s200", "s201", "s5"]
    assert (report["withheld"]["decisions"], report["withheld"]["tokens"]) == (2, 10)
    assert all(url(cast, "decision-detail", pk) in page for flip in report["flips"] for pk in flip["examples"])


def test_in_force_then_and_as_was_known_then(cast: Cast) -> None:
    version = put_in_force(cast, a_document())
    known = datetime.now(UTC)
    retire_version(by=approvers(cast, 1)[0], version=version)
    later = known + timedelta(days=1)
    viewer, address = browser(cast, Role.VIEWER), url(cast, "policy-in-force")
    assert "Nothing was in force" in text_of(viewer.get(address, {"at": later.isoformat()}))
    believed = text_of(viewer.get(address, {"at": later.isoformat(), "known_at": known.isoformat()}))
    assert "Answers stay under 100 characters" in believed
    assert "No longer:" in believed
    assert "Nothing was in force" in text_of(viewer.get(address, {"at": "2020-01-01T00:00"}))
    assert "Enter a valid date/time." in text_of(viewer.get(address, {"at": "yesterday"}))


def test_controls_count_the_rules_in_force(cast: Cast) -> None:
    viewer, address = browser(cast, Role.VIEWER), url(cast, "policy-controls")
    assert "No policy is in force" in text_of(viewer.get(address))
    put_in_force(cast, a_document())
    page = text_of(viewer.get(address))
    assert "short-answers/too-long" in page
    assert "1 of " in page


def test_text_that_people_wrote_is_escaped(cast: Cast) -> None:
    source = a_document().replace("Answers stay", f"'{HOSTILE}'\ndescription: Answers stay")
    source = source.replace("The answer is too long.", HOSTILE)
    approvers(cast, 1)
    draft_version(by=cast.actors[Role.POLICY_AUTHOR], source=source, change_reason=HOSTILE)
    step(cast, Role.POLICY_AUTHOR, "submit")
    decide(cast, Role.POLICY_APPROVER, newest(cast), comment=HOSTILE)
    step(cast, Role.POLICY_APPROVER, "activate")
    client = browser(cast, Role.POLICY_APPROVER)
    pages: list[tuple[Any, ...]] = [("policy-list",), ("policy-in-force",), ("policy-detail", SLUG)]
    pages.append(("policy-diff", SLUG, 1))
    for name, *rest in pages:
        page = client.get(url(cast, name, *rest)).content.decode()
        assert "<img" not in page
        assert "&lt;img" in page, name
    checked = browser(cast, Role.POLICY_AUTHOR).post(url(cast, "policy-check"), {"source": HOSTILE})
    assert "<img" not in checked.content.decode()


def queries_of(client: Client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def test_a_page_costs_the_same_number_of_queries_at_any_size(cast: Cast) -> None:
    client = browser(cast, Role.POLICY_APPROVER)
    put_in_force(cast, a_document())
    version = submitted(cast, a_document(limit=200), people=1)
    backtest = backtested(cast, version, ["short"])
    pages: list[tuple[Any, ...]] = [("policy-list",), ("policy-in-force",), ("policy-controls",)]
    pages.append(("policy-detail", SLUG))
    pages += [("policy-diff", SLUG, 2), ("policy-review", SLUG, 2), ("backtest-detail", backtest.pk)]
    addresses = [url(cast, name, *rest) for name, *rest in pages]
    addresses.append(f"{url(cast, 'policy-in-force')}?known_at={datetime.now(UTC):%Y-%m-%dT%H:%M:%S}")
    before = [queries_of(client, address) for address in addresses]
    for n in range(4):
        put_in_force(cast, a_document(f"policy-{n}"))
        backtested(cast, version, ["short", "x" * 200])
    approvers(cast, 4)
    assert [queries_of(client, address) for address in addresses] == before


def test_lines_that_differ_little_are_marked_where_they_do() -> None:
    blocks = presentation.diff_blocks(diff_text("a\nwhen: x > 10\nz", "a\nwhen: x > 15\nnew\nz"))
    assert [block["kind"] for block in blocks] == ["same", "changed", "same"]
    changed = blocks[1]
    assert [(line["n"], line["mark"]) for line in changed["old"]] == [(2, "0")]
    assert [(line["n"], line["mark"]) for line in changed["new"]] == [(2, "5"), (3, "")]
    far = presentation.diff_blocks(diff_text("abc", "xyz"))
    assert far[0]["old"] == [{"n": 1, "before": "abc", "mark": "", "after": ""}]
