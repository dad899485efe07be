"""A model provider on this machine: OpenAI's chat completions and responses, Anthropic's messages; plain or streamed.

The answers have the shapes that the real APIs answer with, and always the same words and counts. Who brings tools is
answered with a call of the first one, until its result is in the conversation.
"""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

QUESTION, ANSWER = "May I borrow 5,000?", "Please send a proof of income first."
TOOL, ARGUMENTS = "credit_score", {"customer": "customer-5521"}
ARGUMENTS_TEXT = json.dumps(ARGUMENTS)
OPENAI_MODEL, OPENAI_VERSION = "gpt-5-mini", "2025-08-07"
ANTHROPIC_MODEL, ANTHROPIC_VERSION = "claude-sonnet-4-5", "20250929"

# OpenAI counts cached tokens within the input and reasoning within the output; Anthropic counts the cache beside it.
CHAT_USAGE = {
    "prompt_tokens": 812,
    "completion_tokens": 96,
    "total_tokens": 908,
    "prompt_tokens_details": {"cached_tokens": 512, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 0, "accepted_prediction_tokens": 0},
}
RESPONSES_USAGE = {
    "input_tokens": 812,
    "input_tokens_details": {"cached_tokens": 512},
    "output_tokens": 96,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 908,
}
MESSAGES_USAGE = {
    "input_tokens": 40,
    "cache_creation_input_tokens": 260,
    "cache_read_input_tokens": 512,
    "output_tokens": 96,
    "service_tier": "standard",
}
# What both mean in the contract's words; reasoning and cache writes are told by one of them each.
OPENAI_TOKENS = {"input_tokens": 812, "output_tokens": 96, "cache_read_tokens": 512, "reasoning_tokens": 64}
ANTHROPIC_TOKENS = {"input_tokens": 812, "output_tokens": 96, "cache_read_tokens": 512, "cache_write_tokens": 260}

_numbers = itertools.count(1)  # an id is never given twice
Events = list[tuple[str, dict[str, Any]]]


def wants_tool(request: dict[str, Any]) -> bool:
    """Whether tools were brought and none has answered yet."""
    said = json.dumps(request.get("messages", request.get("input", "")))
    return bool(request.get("tools")) and not any(word in said for word in ("tool_call_id", "tool_result", "_output"))


def chat_completion(request: dict[str, Any]) -> dict[str, Any]:
    """`POST /v1/chat/completions`."""
    message: dict[str, Any] = {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []}
    if wants_tool(request):
        function = {"name": TOOL, "arguments": ARGUMENTS_TEXT}
        message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
    reason = "tool_calls" if message["content"] is None else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return _chat_head("chat.completion") | {"choices": [choice], "usage": CHAT_USAGE}


def _chat_head(kind: str) -> dict[str, Any]:
    model = f"{OPENAI_MODEL}-{OPENAI_VERSION}"
    return {
        "id": f"chatcmpl-CdxiIrlx{next(_numbers)}",
        "object": kind,
        "created": 1763640366,
        "model": model,
        "service_tier": "default",
    }


def chat_chunks(request: dict[str, Any]) -> Events:
    """The same in pieces; usage in a last one if it was asked for."""
    message = chat_completion(request)["choices"][0]["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "" if message["content"] else None}]
    for number, call in enumerate(message.get("tool_calls", [])):
        deltas.append({"tool_calls": [call | {"index": number, "function": {"name": TOOL, "arguments": ""}}]})
        pieces = (ARGUMENTS_TEXT[:12], ARGUMENTS_TEXT[12:])
        deltas += ({"tool_calls": [{"index": number, "function": {"arguments": piece}}]} for piece in pieces)
    text = message["content"] or ""
    deltas += ({"content": piece} for piece in (text[:6], text[6:]) if piece)
    reason = "stop" if message["content"] else "tool_calls"
    choices: list[list[dict[str, Any]]] = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": reason}])
    head = _chat_head("chat.completion.chunk")
    chunks: list[dict[str, Any]] = [head | {"choices": choice} for choice in choices]
    if (request.get("stream_options") or {}).get("include_usage"):
        chunks = [chunk | {"usage": None} for chunk in chunks]
        chunks.append(head | {"choices": [], "usage": CHAT_USAGE})
    return [("", chunk) for chunk in chunks]


def response(request: dict[str, Any]) -> dict[str, Any]:
    """`POST /v1/responses`."""
    text = {"type": "output_text", "text": ANSWER, "annotations": [], "logprobs": []}
    item: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [text],
    }
    if wants_tool(request):
        call = {"call_id": "call_1", "name": TOOL, "arguments": ARGUMENTS_TEXT, "status": "completed"}
        item = {"id": "fc_1", "type": "function_call"} | call
    return {
        "id": f"resp_0655583668ea25df{next(_numbers)}",
        "object": "response",
        "created_at": 1775696253,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "metadata": {},
        "model": f"{OPENAI_MODEL}-{OPENAI_VERSION}",
        "output": [item],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": request.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": RESPONSES_USAGE,
        "user": None,
    }


def response_events(request: dict[str, Any]) -> Events:
    """The same in pieces."""
    whole = response(request)
    item = whole["output"][0]
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    if item["type"] == "message":
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        events += [
            {"type": "response.output_item.added", "output_index": 0, "item": item | {"content": []}},
            {"type": "response.content_part.added", "part": part} | at,
            {"type": "response.output_text.delta", "delta": ANSWER, "logprobs": []} | at,
            {"type": "response.output_text.done", "text": ANSWER, "logprobs": []} | at,
        ]
    else:
        events.append({"type": "response.output_item.added", "output_index": 0, "item": item | {"arguments": ""}})
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": whole})
    return [(event["type"], event | {"sequence_number": number}) for number, event in enumerate(events)]


def message(request: dict[str, Any]) -> dict[str, Any]:
    """`POST /v1/messages`."""
    block: dict[str, Any] = {"type": "text", "text": ANSWER}
    if wants_tool(request):
        block = {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": ARGUMENTS}
    return {
        "id": f"msg_01QJDheQSo4hSrx{next(_numbers)}",
        "type": "message",
        "role": "assistant",
        "model": f"{ANTHROPIC_MODEL}-{ANTHROPIC_VERSION}",
        "content": [block],
        "stop_reason": "tool_use" if block["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": MESSAGES_USAGE,
    }


def message_events(request: dict[str, Any]) -> Events:
    """The same in pieces: the input is counted at the start, the output at the end."""
    whole = message(request)
    block = whole["content"][0]
    begun = whole | {"content": [], "stop_reason": None, "usage": MESSAGES_USAGE | {"output_tokens": 1}}
    if block["type"] == "text":
        empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": ANSWER}
    else:
        empty, delta = block | {"input": {}}, {"type": "input_json_delta", "partial_json": ARGUMENTS_TEXT}
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": MESSAGES_USAGE["output_tokens"]}},
        {"type": "message_stop"},
    ]
    return [(event["type"], event) for event in events]


NO_MODEL, NO_MODEL_SAYS = "gpt-0", "The model gpt-0 does not exist."
_WHOLE = {"/v1/chat/completions": chat_completion, "/v1/responses": response, "/v1/messages": message}
_PIECES = {"/v1/chat/completions": chat_chunks, "/v1/responses": response_events, "/v1/messages": message_events}


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.partition("?")[0]
        if path not in _WHOLE:
            self._send(404, "application/json", b'{"error": {"message": "not here"}}')
        elif request.get("model") == NO_MODEL:
            error = {"type": "not_found_error", "code": "model_not_found", "message": NO_MODEL_SAYS}
            self._send(404, "application/json", json.dumps({"type": "error", "error": error}).encode())
        elif request.get("stream"):
            named = ((f"event: {name}\n" if name else "", json.dumps(data)) for name, data in _PIECES[path](request))
            text = "".join(f"{head}data: {data}\n\n" for head, data in named)
            self._send(200, "text/event-stream", (text + ("" if "messages" in path else "data: [DONE]\n\n")).encode())
        else:
            self._send(200, "application/json", json.dumps(_WHOLE[path](request)).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests ask what was recorded, not what was called."""


@contextmanager
def running_provider() -> Iterator[str]:
    """Its address, until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answering) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
