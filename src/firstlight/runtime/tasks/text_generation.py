"""text-generation: a decoder-only language model goes on with a text, or answers the messages of a chat."""

from __future__ import annotations

from time import time

from firstlight.runtime import jsons, notes
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.generation.answering import Answer
from firstlight.runtime.tasks import checks
from firstlight.runtime.tasks.text_parameters import PARAMETERS, SHAPING, complete, sampling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.generation.chats import Chats
    from firstlight.runtime.generation.continuation import Continuation
    from firstlight.runtime.types import JSON, BundleFacts, TokenEngine, Tokenizer

_CHAT: dict[str, JSON] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role"],
        "properties": {"role": {"type": "string"}, "content": {"type": ["string", "array", "null"]}},
    },
    "description": "the messages of a chat, the newest last",
}
_EXPECTED = "a string, a list of strings, or the messages of a chat"


class TextGeneration:
    """What comes after a text, as the model would write it."""

    name = "text-generation"
    schema: dict[str, JSON] = {  # noqa: RUF012 - written once
        "inputs": {
            "oneOf": [
                {"type": "string"},
                _CHAT,
                {"type": "array", "minItems": 1, "items": {"type": "string"}},
                {"type": "array", "minItems": 1, "items": _CHAT},
            ],
            "description": "a text to go on with, a chat to answer, or several of these",
        },
        "parameters": {"type": "object", "additionalProperties": False, "properties": PARAMETERS},
        "output": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "generated_text": {"type": ["string", "array"]},
                    "details": {"type": "object"},
                },
            },
        },
        "example": {"inputs": "Once upon a time", "parameters": {"do_sample": False, "max_new_tokens": 9}},
    }

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer | None = None) -> None:  # noqa: ARG002 - the engine has one
        self._bundle = bundle
        self._own: dict[str, JSON] = bundle.defaults.get("generation") or {}
        self._chats: Chats | None = None

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[JSON], bool, dict[str, JSON]]:
        """Texts and chats; see ``runtime.types.Task.check``."""
        items, single = _items(inputs)
        checked = checks.parameters(self.name, self.schema["parameters"], parameters)
        complete(checked)
        if checked.get("continuation") and not single:
            raise InvalidInput(
                "parameter 'continuation' belongs to one input, and 'inputs' are several",
                "go on with each alone",
            )
        if "chat_template_kwargs" in checked and any(isinstance(item, str) for item in items):
            raise InvalidInput(
                "parameter 'chat_template_kwargs' is for messages, and 'inputs' is a plain text"
            )
        if "grammar" in checked:
            from firstlight.runtime.generation import grammars

            checked["gbnf"] = grammars.write(checked.pop("grammar"))
        checked["listed"] = single
        return items, single, checked

    def stream(
        self, engine: TokenEngine, item: JSON, parameters: Mapping[str, JSON], deadline: Deadline
    ) -> Iterator[dict[str, JSON]]:
        """The events of one item; see ``runtime.types.GeneratingTask``."""
        deadline = deadline.sooner(parameters.get("max_time"))
        carried = self._carried(engine, parameters)
        begun = carried.begun if carried else int(time())
        prompt = self._prompt(engine, item, parameters, begun)
        if carried:
            carried.check(*self._digests(prompt, parameters))
        tokens = carried.tokens if carried else []
        drawing = sampling(parameters, self._own, carried.seed if carried else None, len(tokens))
        stops = [*parameters["stop"], *self._stops(engine, item)]
        answer = Answer(engine, prompt, tokens, drawing, stops)
        if tokens and answer.over:
            raise InvalidInput(
                "parameter 'continuation' is of an answer that has ended", "ask again without it"
            )

        def carry_on() -> str:
            from firstlight.runtime.generation.continuation import Continuation

            digests = self._digests(prompt, parameters)
            return Continuation(*digests, drawing.seed, begun, answer.tokens).write()

        for event in answer.events(deadline, carry_on):
            if event["details"] and parameters["decoder_input_details"]:
                event["details"]["prefill"] = [_shown(engine, token) for token in prompt]
            yield event

    def answer(
        self, item: JSON, events: Sequence[Mapping[str, JSON]], parameters: Mapping[str, JSON]
    ) -> JSON:
        """``[{"generated_text": ...}]`` for a single item, ``{"generated_text": ...}`` for one of several.

        With ``details``, and where the time ended the answer, also those.
        """
        last = events[-1]
        told: dict[str, JSON] = {"generated_text": _whole(item, last["generated_text"], parameters)}
        if parameters["details"] or "deadline" in last["details"]:
            tokens = [event["token"] for event in events if event["token"]["id"] >= 0]
            told["details"] = {"prefill": [], **last["details"], "tokens": tokens}
            if parameters["top_n_tokens"]:
                told["details"]["top_tokens"] = [token["top"] for token in tokens]
        return [told] if parameters["listed"] else told

    def _carried(self, engine: TokenEngine, parameters: Mapping[str, JSON]) -> Continuation | None:
        """The answer that is gone on with, none of whose tokens is unknown to the engine."""
        if not parameters.get("continuation"):
            return None
        from firstlight.runtime.generation.continuation import Continuation

        found = Continuation.read(parameters["continuation"], engine.context)
        if any(token >= engine.vocabulary for token in found.tokens):
            raise InvalidInput("parameter 'continuation' holds tokens that this model does not have")
        return found

    def _digests(self, prompt: list[int], parameters: Mapping[str, JSON]) -> tuple[bytes, bytes, bytes]:
        """What a continuation belongs to: the weights, the prompt, and the parameters that shape the answer."""
        from firstlight.runtime.generation.continuation import digest, digest_of_numbers

        wishes = jsons.dumps([[name, parameters[name]] for name in SHAPING if name in parameters])
        return digest(self._bundle.digest), digest_of_numbers(prompt), digest(wishes)

    def _prompt(
        self, engine: TokenEngine, item: JSON, parameters: Mapping[str, JSON], begun: int
    ) -> list[int]:
        if isinstance(item, str):
            tokens = engine.encode(item)
        else:
            values = parameters.get("chat_template_kwargs", {})
            tokens = self._chatting().tokens(engine, item, values, begun)
        tokens = _kept(engine, tokens, parameters.get("truncate"))
        if not tokens:
            raise InvalidInput("the prompt is empty, and this model has no token that begins a text")
        if len(tokens) >= engine.context:
            raise InvalidInput(
                f"the prompt has {len(tokens)} tokens, and the model's context holds {engine.context}, the answer"
                " among them",
                "shorten it, or let the parameter 'truncate' keep its end",
            )
        return tokens

    def _stops(self, engine: TokenEngine, item: JSON) -> list[str]:
        if isinstance(item, str) or self._chatting().has_template(engine):
            return []
        from firstlight.runtime.generation.chats import PLAIN_STOP

        return [PLAIN_STOP]

    def _chatting(self) -> Chats:
        if self._chats is None:
            from firstlight.runtime.generation.chats import Chats

            self._chats = Chats(self._bundle.defaults.get("chat_template"))
        return self._chats


def _items(inputs: JSON) -> tuple[list[JSON], bool]:
    if isinstance(inputs, str):
        return [inputs], True
    if not isinstance(inputs, list):
        raise InvalidInput(f"inputs must be {_EXPECTED}, got {checks.kind(inputs)}")
    checks.filled("inputs", inputs)
    if isinstance(inputs[0], dict):
        return [_chat("inputs", inputs)], True
    items = []
    for at, entry in enumerate(inputs):
        where = f"inputs[{at}]"
        items.append(_chat(where, entry) if isinstance(entry, list) else checks.text(where, entry))
    return items, False


def _chat(where: str, value: JSON) -> list[JSON]:
    from firstlight.runtime.tasks import messages

    return [messages.message(f"{where}[{at}]", one) for at, one in enumerate(checks.filled(where, value))]


def _kept(engine: TokenEngine, tokens: list[int], most: int | None) -> list[int]:
    """The end of a prompt, after the tokens every prompt begins with."""
    if most is None or len(tokens) <= most:
        return tokens
    first = engine.encode("")
    if len(first) >= most or tokens[: len(first)] != first:
        first = []
    notes.warn(f"the prompt's first {len(tokens) - most} tokens were left out: 'truncate' keeps {most}")
    return [*first, *tokens[len(tokens) - most + len(first) :]]


def _whole(item: JSON, text: str, parameters: Mapping[str, JSON]) -> JSON:
    """The text as the request wants it: alone, after the prompt, or as the newest of the messages.

    Where an answer is gone on with, the call before has given what comes first.
    """
    if not parameters["return_full_text"] or parameters.get("continuation"):
        return text
    if isinstance(item, str):
        return item + text
    from firstlight.runtime.generation.chats import goes_on

    if goes_on(item, parameters.get("chat_template_kwargs", {})):
        return [*item[:-1], {**item[-1], "content": item[-1]["content"] + text}]
    return [*item, {"role": "assistant", "content": text}]


def _shown(engine: TokenEngine, token: int) -> dict[str, JSON]:
    return {"id": token, "text": engine.piece(token).decode("utf-8", "replace"), "logprob": None}
