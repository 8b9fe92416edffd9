"""The messages of a chat, as the text-generation task takes them: role and text."""

from __future__ import annotations

from typing import Any

from firstlight.gateway.openai.errors import WrongField
from firstlight.gateway.openai.fields import wrong

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
"""Role -> what chat templates call it."""


def messages(value: Any) -> list[dict[str, str]]:
    """Checked messages.

    Args:
        value: ``messages`` of a request.

    Raises:
        WrongField: naming the message and its field.
    """
    if value is None:
        raise WrongField("you must provide 'messages'", param="messages", code="missing_required_parameter")
    if not isinstance(value, list):
        raise wrong("messages", "an array of objects", value)
    if not value:
        raise WrongField("'messages' is an empty array", param="messages", code="empty_array")
    return [_message(f"messages[{number}]", item) for number, item in enumerate(value)]


def _message(where: str, item: Any) -> dict[str, str]:
    if not isinstance(item, dict):
        raise wrong(where, "an object", item)
    role = item.get("role")
    if role in ("tool", "function") or item.get("tool_calls") or item.get("function_call"):
        raise WrongField(
            "calls of tools and their results are not supported: this server hands no tools to a model",
            param=f"{where}.role",
            code="unsupported_parameter",
        )
    if not isinstance(role, str) or role not in ROLES:
        raise WrongField(
            f"Invalid value for '{where}.role': it has to be one of {', '.join(ROLES)}",
            param=f"{where}.role",
            code="invalid_value",
        )
    return {"role": ROLES[role], "content": _content(f"{where}.content", item.get("content"))}


def _content(where: str, content: Any) -> str:
    """The text of a message; several parts are lines of it."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise wrong(where, "a string or an array of parts", content)
    return "\n".join(_part(f"{where}[{number}]", part) for number, part in enumerate(content))


def _part(where: str, part: Any) -> str:
    if not isinstance(part, dict):
        raise wrong(where, "an object", part)
    if part.get("type") != "text":
        raise WrongField(
            f"'{where}' is of type {str(part.get('type'))[:40]!r}, and the model reads text only",
            param=f"{where}.type",
            code="unsupported_value",
        )
    text = part.get("text")
    if not isinstance(text, str):
        raise wrong(f"{where}.text", "a string", text)
    return text
