"""What a span is, in the words of the GenAI conventions, whichever dialect it speaks. Pure."""

from traces.otlp.attributes import Attributes

# Steps of a program around AI actions: a decision only if they carry content.
STEPS = frozenset({"chain", "task", "step", "invoke_workflow", "prompt", "mcp"})
# Operations that repeat or report what was counted elsewhere: their tokens are not counted again.
NOT_COUNTED = STEPS | {
    "invoke_agent",
    "create_agent",
    "execute_tool",
    "plan",
    "fetch_response",
    "retrieval",
    "apply_guardrail",
    "evaluate",
}

_LANGFUSE = {
    "generation": "chat",
    "embedding": "embeddings",
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "chain": "chain",
    "retriever": "retrieval",
    "guardrail": "apply_guardrail",
    "evaluator": "evaluate",
    "span": "step",
    "event": "step",
}
_OPENINFERENCE = {
    "llm": "chat",
    "embedding": "embeddings",
    "chain": "chain",
    "retriever": "retrieval",
    "reranker": "rerank",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "guardrail": "apply_guardrail",
    "evaluator": "evaluate",
    "prompt": "prompt",
}
_MLFLOW = _OPENINFERENCE | {"chat_model": "chat", "parser": "step", "unknown": "step", "memory": "step", "task": "task"}
_TRACELOOP = {
    "workflow": "invoke_workflow",
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "task": "task",
    "unknown": "step",
}
_REQUEST_TYPE = {"completion": "text_completion", "embedding": "embeddings", "unknown": "chat"}
_OPERATION = {"completion": "text_completion", "embedding": "embeddings", "invoke_workflow": "invoke_workflow"}
_DIALECTS = (
    ("langfuse.observation.type", _LANGFUSE, "step"),
    ("openinference.span.kind", _OPENINFERENCE, "step"),
    ("mlflow.spanType", _MLFLOW, "step"),
    ("traceloop.span.kind", _TRACELOOP, "step"),
)
_GENAI = ("gen_ai.system", "gen_ai.provider.name", "gen_ai.request.model", "llm.model_name", "llm.request.model_name")
_AGENT_RUN = ("pydantic_ai.all_messages", "all_messages_events")


def operation_of(attributes: Attributes) -> str:
    """The GenAI operation: `chat`, `execute_tool`, …, or a step (`STEPS`); empty for a span of another world."""
    if stated := attributes.text(("gen_ai.operation.name",)):
        return _OPERATION.get(stated, stated)[:100]
    for name, words, otherwise in _DIALECTS:
        if kind := attributes.text((name,)):
            return words.get(kind.lower(), otherwise)
    return _vercel(attributes) or _others(attributes)


def _vercel(attributes: Attributes) -> str:
    """`ai.generateText` wraps `ai.generateText.doGenerate`, which is the call itself."""
    stated = attributes.text(("ai.operationId",))
    if not stated:
        return ""
    if stated == "ai.toolCall":
        return "execute_tool"
    if stated.startswith("ai.embed"):
        return "embeddings" if ".do" in stated else "chain"
    return "chat" if ".do" in stated else "chain"


def _others(attributes: Attributes) -> str:
    if request_type := attributes.text(("llm.request.type",)):
        return _REQUEST_TYPE.get(request_type, request_type)[:100]
    if method := attributes.text(("mcp.method.name",)):
        return "execute_tool" if method == "tools/call" else "mcp"
    if attributes.has_prefix("gen_ai.guardrail."):
        return "apply_guardrail"
    if "gen_ai.tool.name" in attributes:
        return "execute_tool"
    if any(name in attributes for name in _AGENT_RUN):
        return "invoke_agent"
    return "chat" if any(name in attributes for name in _GENAI) else ""


_PROVIDERS = {
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "google.generative-ai": "gcp.gemini",
    "google.vertex": "gcp.vertex_ai",
    "xai": "x_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "watsonx": "ibm.watsonx.ai",
}
_VERCEL_SUFFIXES = (".responses", ".chat", ".completion", ".messages", ".embedding")


def provider_of(value: str) -> str:
    """A provider under its name of today: `az.ai.openai` → `azure.ai.openai`, `openai.responses` → `openai`."""
    name = value.strip().lower()
    for suffix in _VERCEL_SUFFIXES:
        name = name.removesuffix(suffix)
    return _PROVIDERS.get(name, name)[:100]
