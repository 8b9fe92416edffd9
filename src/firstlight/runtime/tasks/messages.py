"""The messages of a chat, as OpenAI's and Hugging Face's clients send them."""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.types import JSON

ROLES = ("system", "developer", "user", "assistant", "tool")
"""Those that are usual; a template may know others."""

_OTHER_FIELDS = (
    "name",
    "tool_calls",
    "tool_call_id",
    "reasoning_content",
    "refusal",
    "audio",
    "function_call",
    "annotations",
)


def message(where: str, value: JSON) -> dict[str, JSON]:
    """One message, its content as one text.

    Raises:
        InvalidInput: names the field that is wrong.
    """
    found = dict(checks.fields(where, value, ("role",), ("content", *_OTHER_FIELDS)))
    role = checks.text(f"{where}.role", found["role"], empty=False)
    if len(role) > 40 or not role.replace("-", "_").isidentifier():
        raise InvalidInput(f"{where}.role is {role[:40]!r}, which is no role", f"roles: {', '.join(ROLES)}")
    content = found.get("content")
    if content is None and not found.get("tool_calls"):
        raise InvalidInput(f"{where} lacks 'content'", 'write {"role": "user", "content": "..."}')
    found["content"] = "" if content is None else _content(f"{where}.content", content)
    return found


def _content(where: str, value: JSON) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise InvalidInput(f"{where} must be a string or a list of parts, got {checks.kind(value)}")
    texts = []
    for at, part in enumerate(value):
        if not isinstance(part, dict) or part.get("type") != "text":
            raise InvalidInput(
                f"{where}[{at}] is no text", 'this model reads texts only: {"type": "text", "text": "..."}'
            )
        texts.append(checks.text(f"{where}[{at}].text", part.get("text")))
    return "\n".join(texts)
