"""An application of Anthropic's API, after the lines of a page: a tool called and answered, and a stream."""

from contextlib import suppress

from anthropic import Anthropic, NotFoundError
from witness import tell, tracer

tool = {
    "name": "credit_score",
    "description": "The score of a customer",
    "input_schema": {"type": "object", "properties": {"customer": {"type": "string"}}},
}
question = {"role": "user", "content": "May I borrow 5,000?"}
asked = {"model": "claude-sonnet-4-5", "max_tokens": 1024, "system": "Lend with care."}
client = Anthropic()

with tracer.start_as_current_span("tool") as span:
    tell("tool", span)
    call = client.messages.create(**asked, messages=[question], tools=[tool])
with tracer.start_as_current_span("result") as span:
    tell("result", span)
    result = {"type": "tool_result", "tool_use_id": call.content[0].id, "content": '{"score": 641}'}
    said = [block.model_dump(exclude_none=True) for block in call.content]
    messages = [question, {"role": "assistant", "content": said}, {"role": "user", "content": [result]}]
    client.messages.create(**asked, messages=messages)
with tracer.start_as_current_span("stream") as span:
    tell("stream", span)
    assert list(client.messages.create(**asked, messages=[question], stream=True))
with tracer.start_as_current_span("failed") as span:
    tell("failed", span)
    with suppress(NotFoundError):
        client.messages.create(**asked | {"model": "gpt-0"}, messages=[question])
