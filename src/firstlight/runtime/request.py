"""What a model is asked: inputs and parameters, out of the JSON objects that name them differently."""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TEXT_KEYS = ("inputs", "text", "question", "context")
_PAIR = ("question", "context")
_FLAGS = ("normalize", "truncate", "truncation_direction", "prompt_name")
"""Parameters that Hugging Face's feature-extraction clients send beside the inputs."""

_KNOWN = (*TEXT_KEYS, "task", "parameters", "options", "instances", "stream", *_FLAGS)
_EXAMPLE = 'send {"inputs": ..., "parameters": {...}}'


class Request:
    """One call of a model.

    Attributes:
        inputs: what the task takes.
        parameters: by name; empty when none were sent.
        task: another task than the model's own that its weights serve too; None for its own.
        instances: whether it came as Vertex AI sends it.
        stream: whether the answer is wanted piece by piece.
    """

    __slots__ = ("inputs", "instances", "parameters", "stream", "task")

    def __init__(
        self,
        inputs: Any,
        parameters: dict[str, Any],
        task: str | None = None,
        instances: bool = False,
        stream: bool = False,
    ) -> None:
        self.inputs = inputs
        self.parameters = parameters
        self.task = task
        self.instances = instances
        self.stream = stream

    def answer(self, result: Any) -> Any:
        """The result as whoever sent this request reads it."""
        return {"predictions": result} if self.instances else result


def read(payload: Any) -> Request:
    """A request out of its JSON value.

    Raises:
        InvalidInput: naming the key that is missing, unknown or of the wrong type.
    """
    if not isinstance(payload, dict):
        raise InvalidInput(f"a request is a JSON object, not {_kind(payload)}", _EXAMPLE)
    for key in payload:
        if key not in _KNOWN:
            raise InvalidInput(f'unknown key "{key}" in the request', f"the keys are {', '.join(_KNOWN)}")
    parameters = payload.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidInput(f'"parameters" must be an object, not {_kind(parameters)}', _EXAMPLE)
    parameters = {
        **{key: payload[key] for key in _FLAGS if payload.get(key) is not None},
        **(parameters or {}),
    }
    task = payload.get("task")
    if task is not None and not isinstance(task, str):
        raise InvalidInput(f'"task" must be a string, not {_kind(task)}', _EXAMPLE)
    stream = _stream(payload)
    if "instances" not in payload:
        return Request(_inputs(payload), parameters, task, stream=stream)
    instances = payload["instances"]
    if stream:
        raise InvalidInput(
            '"instances" are answered together and do not stream', 'send "inputs" with "stream"'
        )
    if any(key in payload for key in TEXT_KEYS):
        raise InvalidInput(
            '"instances" stands alone beside "parameters"', 'send "inputs" or "instances", not both'
        )
    if not isinstance(instances, list):
        raise InvalidInput(
            f'"instances" must be a list, not {_kind(instances)}', 'send {"instances": ["..."]}'
        )
    return Request([_instance(instance) for instance in instances], parameters, task, instances=True)


def _stream(payload: dict[str, Any]) -> bool:
    stream = payload.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidInput(f'"stream" must be true or false, not {_kind(stream)}', _EXAMPLE)
    return stream is True


def _inputs(payload: dict[str, Any]) -> Any:
    named = [key for key in ("inputs", "text") if key in payload]
    pair = {key: payload[key] for key in _PAIR if key in payload}
    if len(named) + bool(pair) > 1:
        keys = ", ".join(f'"{key}"' for key in (*named, *pair))
        raise InvalidInput(f"the request says what to read more than once: {keys}", "keep one of them")
    if pair:
        return pair
    if not named:
        raise InvalidInput('the request has no "inputs"', _EXAMPLE)
    return payload[named[0]]


def _instance(instance: Any) -> Any:
    """The inputs of one of Vertex AI's instances: an object is unwrapped where it wraps inputs or a text."""
    if isinstance(instance, dict) and len(instance) == 1:
        return instance.get("inputs", instance.get("text", instance))
    return instance


_KINDS = {
    "NoneType": "null",
    "dict": "an object",
    "list": "a list",
    "str": "a string",
    "bool": "true or false",
}


def _kind(value: Any) -> str:
    """A JSON value's type, as its sender would call it."""
    return _KINDS.get(type(value).__name__, "a number")
