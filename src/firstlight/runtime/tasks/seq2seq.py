"""text2text-generation, and what translation and summarization have of it: text from text, by an encoder-decoder model.

Answers have the shape of transformers 4's pipelines of those names; transformers 5 no longer has them.
"""

from __future__ import annotations

from firstlight.runtime import notes
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks import checks, progress
from firstlight.runtime.tasks.seq2seq_parameters import Wishes, read, schema
from firstlight.runtime.tasks.units import Units
from firstlight.runtime.tasks.writing import NO_TOKEN, Writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.tasks.parts import Span
    from firstlight.runtime.tasks.writing import Bounds, Event
    from firstlight.runtime.types import JSON, BundleFacts, SequenceEngine, Tokenizer


class Setting:
    """How a model is to be used for one request.

    Attributes:
        own: the model's choices, by the names of ``generation_config.json``.
        prefix: text before every source.
        around: special tokens before and after a source; None leaves them to the tokenizer.
        begin: tokens every answer begins with.
    """

    def __init__(
        self,
        own: Mapping[str, JSON],
        prefix: str,
        around: tuple[list[str], list[str]] | None,
        begin: list[str],
    ) -> None:
        self.own = own
        self.prefix = prefix
        self.around = around
        self.begin = begin


class Text2TextGeneration:
    """A text made from a text."""

    name = "text2text-generation"
    field = "generated_text"
    schema: dict[str, JSON] = schema("generated_text", "I love you.")

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        self._bundle = bundle
        self._defaults = bundle.defaults
        self._tokenizer = tokenizer
        self._known_units: dict[tuple[str, ...], Units] = {}

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[str], bool, dict[str, JSON]]:
        """Texts; see ``runtime.types.Task.check``."""
        items, single = checks.texts(inputs)
        checked = read(self.name, self.schema["parameters"], parameters)
        if "continuation" in checked and not single:
            raise InvalidInput("a continuation belongs to one text", "send that text alone")
        setting = self.setting(checked)
        Wishes(checked, setting.own, len(setting.begin))
        checked["listed"] = single
        return items, single, checked

    def stream(
        self, engine: SequenceEngine, item: str, parameters: Mapping[str, JSON], deadline: Deadline
    ) -> Iterator[Event]:
        """The events of one text; see ``runtime.types.GeneratingTask``."""
        yield from self._events(engine, item, parameters, deadline, True)

    def last(
        self, engine: SequenceEngine, item: str, parameters: Mapping[str, JSON], deadline: Deadline
    ) -> Event:
        """The last event of one text; tokens are not told one by one on the way there."""
        for event in self._events(engine, item, parameters, deadline, False):
            last = event
        return last

    def answer(self, item: str, events: Sequence[Event], parameters: Mapping[str, JSON]) -> JSON:  # noqa: ARG002
        """``[{field: text}]`` for a single text, ``{field: text}`` for one of several; a list of more wanted."""
        last = events[-1]
        details = dict(last["details"])
        others = details.pop("best_of_sequences", [])
        answers = [{self.field: one["generated_text"]} for one in (last, *others)]
        if details.get("deadline") or details.get("parts", {}).get("missing"):
            kept = ("finish_reason", "deadline", "continuation", "parts")
            answers[0]["details"] = {name: details[name] for name in kept if name in details}
        return answers if parameters["listed"] or len(answers) > 1 else answers[0]

    def _events(
        self,
        engine: SequenceEngine,
        item: str,
        parameters: Mapping[str, JSON],
        deadline: Deadline,
        live: bool,
    ) -> Iterator[Event]:
        setting = self.setting(parameters)
        seed, begun = 0, progress.Progress()
        if "continuation" in parameters:
            seed, begun = progress.opened(self._bundle.digest, item, parameters)
        wishes = Wishes(parameters, setting.own, len(setting.begin), seed)
        if wishes.drawn and not ("seed" in parameters or "continuation" in parameters):
            wishes.seed = _random()
        units = self._units(setting, engine.units)
        if not units.has(begun.units, *begun.drafts):
            raise InvalidInput("parameter 'continuation' holds tokens that this model does not have")
        deadline = deadline.sooner(parameters.get("max_time"))
        writing = Writing(engine, units, wishes, deadline, begun, live)
        try:
            yield from self.compose(item, parameters, units, wishes, writing)
        finally:
            notes.count("prompt_tokens", writing.prompted)
            notes.count("generated_tokens", writing.generated)

    def _units(self, setting: Setting, speaks: str) -> Units:
        key = (speaks, setting.prefix, repr(setting.around), *setting.begin)
        if key not in self._known_units:
            limit = self._defaults.get("max_length")
            made = Units(self._tokenizer, speaks, limit, setting.prefix, setting.around, setting.begin)
            self._known_units[key] = made
        return self._known_units[key]

    def setting(self, parameters: Mapping[str, JSON]) -> Setting:  # noqa: ARG002 - those that translate look at them
        """How the model is used for a request."""
        return self.usual(self.name, {})

    def usual(self, task: str, tokens: Mapping[str, str]) -> Setting:
        """What the bundle says for a task, by transformers' name of it.

        Args:
            tokens: what stands for ``{src}`` and ``{tgt}``.
        """
        defaults = self._defaults
        more = defaults.get("tasks", {}).get(task, {})
        own = {**defaults.get("generation", {}), **more.get("generation", {})}
        forced = own.get("forced_bos_token_id")
        begin = [] if forced is None else [self._tokenizer.token(forced)]
        around = _filled(defaults.get("source"), tokens)
        return Setting(own, more.get("prefix") or defaults.get("prefix", ""), around, begin)

    def compose(
        self, item: str, parameters: Mapping[str, JSON], units: Units, wishes: Wishes, writing: Writing
    ) -> Iterator[Event]:
        """The events of one text, the last one among them."""
        spans, whole = self.parts(item, parameters, units, wishes)
        yield from self.written(item, spans, whole, wishes, writing)
        yield self.ending(item, told(spans, writing.progress.done), parameters, wishes, writing)

    def parts(
        self,
        item: str,
        parameters: Mapping[str, JSON],
        units: Units,
        wishes: Wishes,  # noqa: ARG002
    ) -> tuple[list[Span], bool]:
        """The parts of a text, and whether it is one, to be taken as it is.

        Raises:
            InvalidInput: the text does not fit; what it asks for cannot be asked of its parts.
        """
        if not parameters["truncation"] and not units.room.takes(item):
            limit = self._defaults["max_length"]
            raise InvalidInput(
                f"the text has more than the {limit} tokens the model takes",
                "send less, or set truncation to leave out the rest",
            )
        return [(0, len(item))], True

    def written(
        self, text: str, spans: list[Span], whole: bool, wishes: Wishes, writing: Writing
    ) -> Iterator[Event]:
        """The events of the parts."""
        if writing.progress.done > len(spans):
            raise InvalidInput("parameter 'continuation' is not one of this task")
        yield from writing.write(text, spans, whole, self.bounds(spans, whole, wishes, writing))

    def bounds(self, spans: Sequence[Span], whole: bool, wishes: Wishes, writing: Writing) -> Bounds:
        """The bounds of each part's answer: those of a request are of all of them together."""

        def of(number: int) -> tuple[int, int]:
            spent, floor = writing.progress.total, wishes.floor
            if whole:
                return wishes.cap or wishes.most, wishes.least if floor is None else floor
            most = wishes.most if wishes.cap is None else min(wishes.most, wishes.cap - spent)
            if floor is None:
                return most, wishes.least
            return most, floor - spent if number + 1 == len(spans) else 0

        return of

    def ending(
        self,
        item: str,
        part: Mapping[str, JSON],
        parameters: Mapping[str, JSON],
        wishes: Wishes,
        writing: Writing,
        text: str = "",
    ) -> Event:
        """The event that ends an answer: the whole text, and what became of it.

        Args:
            part: how many parts are done, and which are missing.
            text: the end of the answer, where it is not that of the last part.
        """
        short = writing.cut or writing.limited or part["done"] < part["of"]
        details: dict[str, JSON] = {
            "finish_reason": "length" if short else "eos_token",
            "generated_tokens": writing.generated,
            "prompt_tokens": writing.prompted,
            "seed": wishes.seed if wishes.drawn else None,
        }
        if part["of"] > 1 or part["done"] < part["of"]:
            details["parts"] = part
        if writing.cut:
            details["deadline"] = True
            details["continuation"] = progress.sealed(
                self._bundle.digest, item, parameters, wishes.seed, writing.progress
            )
        if wishes.answers > 1:
            details["best_of_sequences"] = [{"generated_text": joint.text} for joint in writing.joints[1:]]
        _warn(wishes, writing, part["done"], part["of"])
        event = writing.event(NO_TOKEN, text, not text)
        event["generated_text"] = writing.joints[0].text + text if writing.joints else text
        event["details"] = details
        return event


def told(spans: Sequence[Span], done: int) -> dict[str, JSON]:
    """How many parts are done, and which characters of the text are missing in the answer."""
    missing = [[spans[done][0], spans[-1][1]]] if done < len(spans) else []
    return {"done": done, "of": len(spans), "missing": missing}


def _filled(
    template: Mapping[str, list[str]] | None, tokens: Mapping[str, str]
) -> tuple[list[str], list[str]] | None:
    """The tokens around a source; None where they are not known."""
    if template is None:
        return None
    words = {f"{{{name}}}": token for name, token in tokens.items()}
    begin, end = ([words.get(token, token) for token in template.get(side, ())] for side in ("begin", "end"))
    unknown = any(token in ("{src}", "{tgt}", "") for token in (*begin, *end))
    return None if unknown else (begin, end)


def _warn(wishes: Wishes, writing: Writing, done: int, of: int) -> None:
    """Say what an answer lacks."""
    if writing.cut:
        notes.warn(f"the time was up when {done} of {of} parts were done; the continuation goes on there")
    elif done < of:
        notes.warn(f"max_length was reached when {done} of {of} parts were done: the rest was left out")
    elif writing.limited and wishes.cap is None:
        which = "the answer was" if of <= 1 else f"the answers to {writing.limited} of {of} parts were"
        notes.warn(f"{which} cut at the {wishes.most} tokens that the model answers at most")


def _random() -> int:
    from os import urandom

    return int.from_bytes(urandom(4), "little")
