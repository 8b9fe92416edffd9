"""A chat completion or a completion as it was asked for, and as the text-generation task is asked for it.

Field names and limits: OpenAI API reference, "Create chat completion" and "Create completion". Beyond them the fields
that other servers of this API take in ``extra_body`` are taken here: ``top_k``, ``min_p``, ``repetition_penalty``,
``min_tokens``, ``truncate_prompt_tokens``, ``chat_template_kwargs``, and our own ``continuation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.gateway.asgi import dump_json
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.openai.errors import WrongField
from firstlight.gateway.openai.fields import Fields, wrong
from firstlight.gateway.openai.messages import messages

TASK = "text-generation"
COMPLETION_TOKENS = 16
"""``max_tokens`` of a completion that does not say (OpenAI's default); a chat then goes on to the context's end."""

MOST_CHOICES = 128
MOST_LOGPROBS = 20

_HARMLESS = (
    "metadata",
    "model",
    "parallel_tool_calls",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
)
"""Taken and ignored: they change nothing about what a model on this machine answers."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Args:
        entry: the endpoint that answers.
        chat: whether it is a chat completion.
        prompts: lists of messages of a chat (one), texts of a completion.
        parameters: of the text-generation task.
        n: choices for each prompt.
        stream: whether the answer is wanted piece by piece.
        usage: whether a stream ends with what was used.
        logprobs: likeliest tokens to tell of at each place; None tells of no log-probabilities.
        echo: whether the prompt is put before the answer.
    """

    entry: Entry
    chat: bool
    prompts: list[Any]
    parameters: dict[str, Any]
    n: int = 1
    stream: bool = False
    usage: bool = False
    logprobs: int | None = None
    echo: bool = False

    def events(self) -> list[bytes]:
        """The event of each choice, prompt by prompt; the seeds of a prompt's choices count up from the request's."""
        found = []
        for prompt in self.prompts:
            for number in range(self.n):
                parameters = dict(self.parameters)
                if number and parameters.get("seed") is not None:
                    parameters["seed"] += number
                event = {"inputs": prompt, "parameters": parameters, "stream": True}
                if self.entry.task != TASK:
                    event["task"] = TASK
                found.append(dump_json(event))
        return found


def chat(body: dict[str, Any], entry: Entry, seconds: int | None = None) -> Asked:
    """A request to ``/v1/chat/completions``.

    Args:
        seconds: how long the client waits, where it says so.

    Raises:
        WrongField: naming the field.
    """
    fields = Fields(body)
    fields.ignore(*_HARMLESS)
    _refuse_tools(fields)
    fields.refuse("audio", "this model answers in text")
    fields.refuse("modalities", "this model answers in text", ["text"])
    fields.refuse("web_search_options", "nothing here searches the web")
    fields.refuse("moderation", "nothing here moderates")
    fields.refuse("reasoning_effort", "this model has no such setting", "none")
    fields.refuse("verbosity", "this model has no such setting", "medium")
    prompt = messages(fields.take("messages"))
    parameters = _parameters(fields, entry, seconds)
    parameters["max_new_tokens"] = _chat_tokens(fields)
    if grammar := _grammar(fields.object("response_format")):
        parameters["grammar"] = grammar
    if template := fields.object("chat_template_kwargs"):
        parameters["chat_template_kwargs"] = template
    logprobs = fields.flag("logprobs")
    top = fields.whole("top_logprobs", 0, MOST_LOGPROBS)
    if top is not None and not logprobs:
        raise WrongField("'top_logprobs' needs 'logprobs' to be true", param="top_logprobs")
    return _asked(fields, entry, [prompt], parameters, top or 0 if logprobs else None, is_chat=True)


def completion(body: dict[str, Any], entry: Entry, seconds: int | None = None) -> Asked:
    """A request to ``/v1/completions``; see ``chat``."""
    fields = Fields(body)
    fields.ignore(*_HARMLESS)
    fields.refuse("suffix", "this model writes on from a text and does not fill one in", "")
    prompts = _prompts(fields.take("prompt"))
    parameters = _parameters(fields, entry, seconds)
    tokens = fields.whole("max_tokens", 1)
    parameters["max_new_tokens"] = COMPLETION_TOKENS if tokens is None else tokens
    echo = fields.flag("echo")
    logprobs = fields.whole("logprobs", 0, MOST_LOGPROBS)
    if echo and logprobs is not None:
        raise WrongField(
            "the log-probabilities of a prompt's own tokens are not available: leave out 'echo' or 'logprobs'",
            param="logprobs",
        )
    fields.ignore("best_of")
    asked = _asked(fields, entry, prompts, parameters, logprobs, is_chat=False, echo=echo)
    fields.refuse("best_of", "the choices are not ranked; ask for 'n'", 1, asked.n)
    return asked


def _asked(
    fields: Fields,
    entry: Entry,
    prompts: list[Any],
    parameters: dict[str, Any],
    logprobs: int | None,
    *,
    is_chat: bool,
    echo: bool = False,
) -> Asked:
    n = fields.whole("n", 1, MOST_CHOICES) or 1
    if n * len(prompts) > MOST_CHOICES:
        raise WrongField(f"{len(prompts)} prompts with {n} choices each are over {MOST_CHOICES}", param="n")
    if "continuation" in parameters and n * len(prompts) > 1:
        raise WrongField("a continuation carries on one choice", "leave out 'n'", param="n")
    if logprobs is not None:
        parameters |= {"details": True, "top_n_tokens": logprobs}
    stream = fields.flag("stream")
    options = fields.object("stream_options")
    if options is not None and not stream:
        raise WrongField("'stream_options' is only allowed when 'stream' is true", param="stream_options")
    usage = (options or {}).get("include_usage") is True
    fields.end()
    return Asked(entry, is_chat, prompts, parameters, n, stream, usage, logprobs, echo)


def _parameters(fields: Fields, entry: Entry, seconds: int | None) -> dict[str, Any]:
    """What both kinds of request have in common. A parameter that is not given is left to the task."""
    temperature = fields.number("temperature", 0, 2)
    wished: dict[str, Any] = {
        "temperature": _own_temperature(entry.generation) if temperature is None else temperature,
        "top_p": fields.number("top_p", 0, 1),
        "top_k": fields.whole("top_k", -1) or None,
        "min_p": fields.number("min_p", 0, 1),
        "repetition_penalty": fields.number("repetition_penalty", 0, 10),
        "frequency_penalty": fields.number("frequency_penalty", -2, 2),
        "presence_penalty": fields.number("presence_penalty", -2, 2),
        "seed": fields.whole("seed", 0, 2**63 - 1 - MOST_CHOICES),
        "min_new_tokens": fields.whole("min_tokens", 0),
        "truncate": fields.whole("truncate_prompt_tokens", 1),
        "stop": _stops(fields.take("stop")),
        "continuation": fields.text("continuation"),
        "max_time": seconds or None,
    }
    fields.refuse("logit_bias", "the logits of single tokens cannot be set", {})
    if wished["top_k"] == -1:  # what vLLM calls no limit
        wished["top_k"] = None
    given = {name: value for name, value in wished.items() if value is not None}
    return {**given, "return_full_text": False}


def _own_temperature(generation: Mapping[str, Any]) -> float:
    """The model's own temperature; OpenAI's 1.0 where it has none, 0 where it says that it does not sample."""
    own = generation.get("temperature")
    if generation.get("do_sample") is False:
        return 0.0
    return float(own) if isinstance(own, int | float) and not isinstance(own, bool) and own >= 0 else 1.0


def _chat_tokens(fields: Fields) -> int | None:
    old, new = fields.whole("max_tokens", 1), fields.whole("max_completion_tokens", 1)
    if old is not None and new is not None:
        raise WrongField(
            "'max_tokens' and 'max_completion_tokens' say the same thing: send one of them",
            param="max_tokens",
        )
    return old if new is None else new


def _stops(value: Any) -> list[str] | None:
    if value is None or isinstance(value, str):
        return [value] if value else None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise wrong("stop", "a string or an array of strings", value)
    return value or None


def _prompts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if value is None:
        raise WrongField("you must provide a 'prompt'", param="prompt", code="missing_required_parameter")
    if not isinstance(value, list):
        raise wrong("prompt", "a string or an array of strings", value)
    if not value:
        raise WrongField("'prompt' is an empty array", param="prompt", code="empty_array")
    if not all(isinstance(item, str) for item in value):
        raise WrongField(
            "'prompt' holds token ids, which mean something else to every model: send the text itself",
            param="prompt",
            code="invalid_type",
        )
    return value


def _grammar(wish: dict[str, Any] | None) -> dict[str, Any] | None:
    """The task's grammar for a ``response_format``; None for plain text.

    Besides OpenAI's own forms it reads those of text-generation-inference, ``{"type", "value"}``, which
    huggingface_hub makes of ``json_schema``.
    """
    kind = (wish or {}).get("type")
    if wish is None or kind == "text":
        return None
    if "value" in wish and kind in ("json", "json_object", "json_schema", "regex"):
        return {"type": "regex" if kind == "regex" else "json", "value": wish["value"]}
    if kind == "json_object":
        return {"type": "json_object"}
    if kind != "json_schema":
        raise WrongField(
            "'response_format.type' has to be 'text', 'json_object' or 'json_schema'",
            param="response_format.type",
            code="invalid_value",
        )
    inner = wish.get("json_schema")
    if not isinstance(inner, dict) or not isinstance(inner.get("schema"), dict):
        raise WrongField(
            "'response_format.json_schema.schema' is missing or not an object",
            param="response_format.json_schema",
            code="missing_required_parameter",
        )
    return {"type": "json", "value": inner["schema"]}


def _refuse_tools(fields: Fields) -> None:
    """Tools, unless the request itself says that none is to be called."""
    why = "this server hands no tools to a model; describe them in a message"
    choice, called = fields.take("tool_choice"), fields.take("function_call")
    if choice != "none":
        fields.refuse("tools", why, [])
    if called != "none":
        fields.refuse("functions", why, [])
    fields.refuse("tool_choice", why, "none", "auto")
    fields.refuse("function_call", why, "none", "auto")
    fields.refuse("tool_prompt", why, "")
    fields.ignore("tools", "functions")
