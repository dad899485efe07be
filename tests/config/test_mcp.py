"""The Model Context Protocol: what a read key sees over REST, by the same views, and nothing else."""

import uuid
from typing import Any

import pytest
from django.test import Client

from config.mcp import HANDSHAKES, TOOLS, VERSIONS
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.services import set_limits
from tests.factories.policies import a_document, put_in_force
from tests.factories.tenants import Cast
from tests.factories.traces import submit


def client(cast: Cast, scope: str = "read") -> Client:
    return Client(headers={"Authorization": f"Bearer {cast.keys[scope].secret}"})


def post(caller: Client, message: Any, **headers: str) -> Any:
    return caller.post("/mcp", message, content_type="application/json", headers=headers)


def rpc(cast: Cast, method: str, scope: str = "read", **params: Any) -> dict[str, Any]:
    """What a request is answered: `result` or `error`."""
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    told: dict[str, Any] = post(client(cast, scope), message).json()
    assert (told.pop("jsonrpc"), told.pop("id")) == ("2.0", 7)
    return told


def call(cast: Cast, tool: str, **arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = rpc(cast, "tools/call", name=tool, arguments=arguments)["result"]
    return result


def test_a_handshake_takes_the_clients_version_or_offers_the_newest(cast: Cast) -> None:
    for version in HANDSHAKES:
        assert rpc(cast, "initialize", protocolVersion=version)["result"]["protocolVersion"] == version
    offered = rpc(cast, "initialize", protocolVersion="1999-01-01")["result"]
    assert offered["protocolVersion"] == HANDSHAKES[-1]
    assert offered["capabilities"] == {"tools": {"listChanged": False}}


def test_past_its_limit_an_assistant_is_told_to_wait(cast: Cast) -> None:
    set_limits(tenant_id=cast.tenant.pk, operator="ana", records=None, requests=1)
    message = {"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {}}
    answers = [post(client(cast), message) for _ in range(30)]
    assert [answer.status_code for answer in answers].count(429) > 10
    assert (answers[-1]["Content-Type"], int(answers[-1]["Retry-After"]) >= 1) == ("application/problem+json", True)


def test_without_a_handshake_a_client_discovers(cast: Cast) -> None:
    assert rpc(cast, "server/discover")["result"]["supportedVersions"] == list(VERSIONS)
    assert rpc(cast, "ping") == {"result": {}}


def test_a_notification_is_taken_and_not_answered(cast: Cast) -> None:
    answer = post(client(cast), {"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (answer.status_code, answer.content) == (202, b"")


def test_every_tool_says_what_it_takes_and_that_it_only_reads(cast: Cast) -> None:
    listed = {tool["name"]: tool for tool in rpc(cast, "tools/list")["result"]["tools"]}
    assert listed.keys() == TOOLS.keys()
    assert all(tool["annotations"]["readOnlyHint"] for tool in listed.values())
    assert listed["get_decision"]["inputSchema"]["required"] == ["id"]
    assert {"q", "since", "model", "user"} <= listed["search_decisions"]["inputSchema"]["properties"].keys()


def test_a_tool_that_the_key_may_not_use_is_not_there(cast: Cast) -> None:
    listed = [tool["name"] for tool in rpc(cast, "tools/list", "manage")["result"]["tools"]]
    assert "search_decisions" in listed
    assert "similar_decisions" not in listed  # a manage key reads no content
    refused = rpc(cast, "tools/call", "manage", name="similar_decisions", arguments={"id": str(uuid.uuid4())})
    assert refused["error"]["code"] == -32602


PLAIN = ["search_decisions", "list_alerts", "list_events", "get_usage", "list_policies", "list_cases"]


@pytest.mark.parametrize("tool", PLAIN)
def test_a_list_is_the_apis(cast: Cast, tool: str) -> None:
    put_in_force(cast, a_document("brevity", limit=15))
    submit(cast, 2)
    told, plain = call(cast, tool), client(cast).get(TOOLS[tool].path).json()
    assert told["structuredContent"] == (plain if isinstance(plain, dict) else {"items": plain})
    assert told["isError"] is False


def test_a_decision_is_found_read_and_the_reading_recorded(cast: Cast) -> None:
    (pk,) = submit(cast, user="u-7", output="The moon is income.")
    submit(cast, user="u-8")
    found = call(cast, "search_decisions", user="u-7", limit=5)["structuredContent"]["items"]
    assert [one["id"] for one in found] == [str(pk)]
    with tenant_atomic(cast.tenant.pk):
        before = LedgerEvent.objects.count()
    read = call(cast, "get_decision", id=str(pk))
    assert "The moon is income." in read["content"][0]["text"]
    with tenant_atomic(cast.tenant.pk):
        assert LedgerEvent.objects.count() == before + 1


@pytest.mark.parametrize("known", ["foreign", "never", "malformed"])
def test_what_is_not_the_tenants_is_missing(cast: Cast, stranger: Cast, known: str) -> None:
    (foreign,) = submit(stranger)
    wanted = {"foreign": str(foreign), "never": str(uuid.uuid4()), "malformed": "../policies"}[known]
    told = call(cast, "get_decision", id=wanted)
    assert (told["isError"], told["structuredContent"]["status"]) == (True, 404)


def test_what_the_api_finds_wrong_is_told_to_the_model(cast: Cast) -> None:
    told = call(cast, "search_decisions", since="last Tuesday")
    assert (told["isError"], told["structuredContent"]["status"]) == (True, 400)


def test_a_table_comes_as_text(cast: Cast) -> None:
    told = call(cast, "get_usage", format="csv")
    assert "structuredContent" not in told
    assert "," in told["content"][0]["text"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"name": "drop_decisions"}, "There is no tool"),
        ({"name": "get_decision"}, "needs id"),
        ({"name": "get_decision", "arguments": {"id": "x", "tenant": "y"}}, "no argument 'tenant'"),
        ({"name": "get_decision", "arguments": ["x"]}, "arguments is an object"),
    ],
)
def test_a_call_that_cannot_be_made_says_why(cast: Cast, params: dict[str, Any], said: str) -> None:
    error = rpc(cast, "tools/call", **params)["error"]
    assert (error["code"], said in error["message"]) == (-32602, True)


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b"{", -32700, 400),
        (b"[]", -32600, 400),
        (b'{"id": 1, "method": "ping"}', -32600, 400),
        (b'{"jsonrpc": "2.0", "id": [], "method": "ping"}', -32600, 400),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600, 400),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "resources/list"}', -32601, 200),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": [1]}', -32602, 200),
    ],
)
def test_what_is_no_request_is_told_so(cast: Cast, body: bytes, code: int, status: int) -> None:
    answer = post(client(cast), body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_an_unknown_version_is_told_those_that_are_known(cast: Cast) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    refused = post(client(cast), message, **{"MCP-Protocol-Version": "2031-01-01"})
    assert (refused.status_code, refused.json()["error"]["data"]["supported"]) == (400, list(VERSIONS))
    assert post(client(cast), message, **{"MCP-Protocol-Version": HANDSHAKES[0]}).status_code == 200


def test_who_may_not_come_in(cast: Cast) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    nobody = post(Client(), message)
    assert (nobody.status_code, nobody.headers["WWW-Authenticate"]) == (401, 'Bearer realm="affidavit"')
    assert post(client(cast, "ingest"), message).status_code == 403
    assert post(client(cast), message, Origin="https://elsewhere.example").status_code == 403
    assert post(client(cast), message, Origin="http://testserver").status_code == 200
    assert client(cast).get("/mcp").status_code == 405
