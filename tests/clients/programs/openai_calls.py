"""An application of OpenAI's API, after the lines of a page: a tool called and answered, a stream, a response."""

from contextlib import suppress

from openai import NotFoundError, OpenAI
from witness import tell, tracer

tool = {
    "name": "credit_score",
    "description": "The score of a customer",
    "parameters": {"type": "object", "properties": {"customer": {"type": "string"}}},
}
question = {"role": "user", "content": "May I borrow 5,000?"}
client = OpenAI()

with tracer.start_as_current_span("tool") as span:
    tell("tool", span)
    asked = client.chat.completions.create(
        model="gpt-5-mini", messages=[question], tools=[{"type": "function", "function": tool}]
    )
with tracer.start_as_current_span("result") as span:
    tell("result", span)
    call = asked.choices[0].message
    answer = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": '{"score": 641}'}
    client.chat.completions.create(model="gpt-5-mini", messages=[question, call.model_dump(exclude_none=True), answer])
with tracer.start_as_current_span("stream") as span:
    tell("stream", span)
    chunks = client.chat.completions.create(
        model="gpt-5-mini", messages=[question], stream=True, stream_options={"include_usage": True}
    )
    assert list(chunks)
with tracer.start_as_current_span("response") as span:
    tell("response", span)
    client.responses.create(model="gpt-5-mini", instructions="Lend with care.", input=[question])
with tracer.start_as_current_span("response_tool") as span:
    tell("response_tool", span)
    client.responses.create(model="gpt-5-mini", input="May I borrow 5,000?", tools=[{"type": "function"} | tool])
with tracer.start_as_current_span("failed") as span:
    tell("failed", span)
    with suppress(NotFoundError):
        client.chat.completions.create(model="gpt-0", messages=[question])
