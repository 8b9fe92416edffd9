"""The OpenAI routes as a part of ``/openapi.json``: only those that an endpoint of the project can answer."""

from __future__ import annotations

from typing import Any

from firstlight.gateway.catalogue import Catalogue
from firstlight.gateway.openai import asked, embeddings
from firstlight.gateway.patience import EVENTS

Schema = dict[str, Any]

ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_TAG = ["OpenAI API"]
_TEXTS: Schema = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_SAMPLING: Schema = {
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "top_k": {"type": "integer"},
    "min_p": {"type": "number", "minimum": 0, "maximum": 1},
    "repetition_penalty": {"type": "number"},
    "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "seed": {"type": "integer", "minimum": 0},
    "stop": _TEXTS,
    "n": {"type": "integer", "minimum": 1, "maximum": asked.MOST_CHOICES},
    "min_tokens": {"type": "integer", "minimum": 0},
    "truncate_prompt_tokens": {"type": "integer", "minimum": 1},
    "continuation": {"type": "string", "description": "of the answer that this one carries on"},
    "stream": {"type": "boolean"},
    "stream_options": {"type": "object", "properties": {"include_usage": {"type": "boolean"}}},
}
_MESSAGE: Schema = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"type": "string", "enum": ["system", "developer", "user", "assistant"]},
        "content": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
    },
}
_CHAT: Schema = {
    "messages": {"type": "array", "items": _MESSAGE, "minItems": 1},
    "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1},
    "max_tokens": {"type": ["integer", "null"], "minimum": 1},
    "logprobs": {"type": "boolean"},
    "top_logprobs": {"type": "integer", "minimum": 0, "maximum": asked.MOST_LOGPROBS},
    "response_format": {"type": "object"},
    "chat_template_kwargs": {"type": "object"},
    **_SAMPLING,
}
_COMPLETION: Schema = {
    "prompt": _TEXTS,
    "max_tokens": {"type": "integer", "minimum": 1, "default": asked.COMPLETION_TOKENS},
    "logprobs": {"type": "integer", "minimum": 0, "maximum": asked.MOST_LOGPROBS},
    "echo": {"type": "boolean"},
    **_SAMPLING,
}
_EMBEDDINGS: Schema = {
    "input": _TEXTS,
    "encoding_format": {"type": "string", "enum": ["float", "base64"], "default": "float"},
    "dimensions": {"type": "integer", "minimum": 1},
    "truncate": {"type": "boolean", "default": False},
}
_STATUSES = {
    "400": "A field is not what it has to be; `param` names it.",
    "404": "There is no such model.",
    "413": "The body is over 6 MB.",
    "429": "Every worker is busy and the queue is full.",
    "500": "The model failed.",
    "504": "The model ran into its timeout.",
}


def paths(catalogue: Catalogue) -> dict[str, Schema]:
    """The paths by what the endpoints do."""
    generating = [entry.name for entry in catalogue if asked.TASK in entry.tasks]
    embedding = [entry.name for entry in catalogue if embeddings.TASK in entry.tasks]
    found: dict[str, Schema] = {}
    if generating:
        chat = {"messages": [{"role": "user", "content": "Tell me a story."}]}
        said = "Answer a conversation, in one piece or as it is made."
        found["/v1/chat/completions"] = _post("chat", said, generating, "messages", _CHAT, chat)
        text = {"prompt": "Once upon a time", "max_tokens": 40}
        said = "Carry on a text, in one piece or as it is made."
        found["/v1/completions"] = _post("completion", said, generating, "prompt", _COMPLETION, text)
    if embedding:
        text = {"input": ["A lamp was lit in the window."]}
        said = "Turn texts into vectors."
        found["/v1/embeddings"] = _post("embeddings", said, embedding, "input", _EMBEDDINGS, text)
    if found:
        listed = {
            "description": "The models, or one of them.",
            "content": {"application/json": {"schema": {}}},
        }
        models = {"tags": _TAG, "responses": {"200": listed}}
        name = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
        found["/v1/models"] = {"get": {"operationId": "openai_models", "summary": "The models.", **models}}
        found["/v1/models/{model}"] = {
            "get": {"operationId": "openai_model", "summary": "One model.", "parameters": [name], **models}
        }
    return found


def _post(
    name: str, summary: str, models: list[str], required: str, properties: Schema, example: Schema
) -> Schema:
    streams = "stream" in properties
    schema = {
        "type": "object",
        "required": ["model", required],
        "additionalProperties": False,
        "properties": {"model": {"type": "string", "examples": models}, **properties},
    }
    answer: Schema = {"application/json": {"schema": {"type": "object"}}}
    if streams:
        answer[EVENTS] = {"schema": {"type": "string"}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/OpenAIError"}}}
    return {
        "post": {
            "operationId": f"openai_{name}",
            "summary": summary,
            "tags": _TAG,
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": schema,
                        "examples": {"plain": {"value": {"model": models[0], **example}}},
                    }
                },
            },
            "responses": {
                "200": {"description": "The answer.", "content": answer},
                **{status: {"description": what, "content": error} for status, what in _STATUSES.items()},
            },
        }
    }
