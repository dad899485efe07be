"""What the OpenAPI document says of every address: how it refuses, and in which form (RFC 9457)."""

from typing import Any

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"description": "What is wrong, member by member or item by item"},
    },
}
REFUSALS = {
    "401": "No key, or one that opens nothing",
    "403": "The key may not do that",
    "default": "Refused: what is wrong is said, nothing was changed",
}
METHODS = ("get", "post", "put", "patch", "delete")


def tell_refusals(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of drf-spectacular: every operation tells its refusals as problems, those of any address among them."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operations in result["paths"].values():
        for method in operations.keys() & set(METHODS):
            responses = operations[method]["responses"]
            for status, told in responses.items():
                if status >= "400":
                    told["content"] = content
            for status, description in REFUSALS.items():
                responses.setdefault(status, {"description": description, "content": content})
    return result
