"""Channels as people say them. Pure."""

NAMES = {
    "answers": "What is answered, and how",
    "answered": "Words of the answers",
    "style": "Style of the answers",
    "asked": "What is asked",
    "input_tokens": "Input length",
    "output_tokens": "Output length",
    "latency": "Latency",
    "pace": "Time for each output token",
    "score": "Score",
    "refusal:yes": "Refusals",
}


def channel_name(name: str) -> str:
    """A channel as people say it."""
    plain, spread = (name.removesuffix(" spread"), ", its spread") if name.endswith(" spread") else (name, "")
    kind, _, value = plain.partition(":")
    known = NAMES.get(plain) or (f"{kind.capitalize()} “{value}”" if value else plain.replace("_", " ").capitalize())
    return known + spread
