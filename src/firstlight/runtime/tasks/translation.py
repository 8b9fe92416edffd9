"""translation: a text in another language, by an encoder-decoder model.

A text that fits the model goes through it as it is, as in a pipeline. A longer one is translated sentence by sentence
and put together with its own paragraphs and spaces.
"""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks import languages, parts, sentences
from firstlight.runtime.tasks.seq2seq import Setting, Text2TextGeneration
from firstlight.runtime.tasks.seq2seq_parameters import schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.runtime.tasks.parts import Span
    from firstlight.runtime.tasks.seq2seq_parameters import Wishes
    from firstlight.runtime.tasks.units import Units
    from firstlight.runtime.types import JSON

_ANSWERED = (2, 3)
"""A part is at most that share of the longest answer: translations are longer than their source at times."""


class Translation(Text2TextGeneration):
    """A text in another language."""

    name = "translation"
    field = "translation_text"
    schema: dict[str, JSON] = schema(
        "translation_text",
        "Where is the train station?",
        {
            "src_lang": {
                "type": "string",
                "description": "language of the text; a model of one pair has its own",
            },
            "tgt_lang": {
                "type": "string",
                "description": "language of the answer; a model of one pair has its own",
            },
        },
    )

    def setting(self, parameters: Mapping[str, JSON]) -> Setting:
        """The languages of a request, and what the model needs to be told of them.

        Raises:
            InvalidInput: the model does not have one of them, or they are not said.
        """
        source, target = (self._language(name, parameters) for name in ("src_lang", "tgt_lang"))
        known = self._defaults.get("languages", {})
        tokens = {"src": known.get(source, ""), "tgt": known.get(target, "")}
        setting = self.usual(f"translation_{source}_to_{target}", tokens)
        if target in known and "{tgt}" not in str(self._defaults.get("source")):
            setting.begin = [known[target]]
        return setting

    def parts(
        self, item: str, parameters: Mapping[str, JSON], units: Units, wishes: Wishes
    ) -> tuple[list[Span], bool]:
        """The text as it is, where it fits and its translation does; otherwise its sentences.

        A model that has learned from single sentences (``defaults.by_sentence``) is given no more than one at a time.

        What marks an entry of a list stays as it is, as the separators do.
        """
        if not item.strip():
            return [], False
        if units.room.size is None or parameters["truncation"]:
            return [(0, len(item))], True
        numerator, denominator = _ANSWERED
        most = max(wishes.most, wishes.cap or 0) * numerator // denominator
        room = parts.Room(units.room.offsets, min(units.room.size, most))
        if room.takes(item) and not self._defaults.get("by_sentence"):
            return [(0, len(item))], True
        found = parts.by_sentence(item, room)
        return [(sentences.after_marker(item, start, end), end) for start, end in found], False

    def _language(self, name: str, parameters: Mapping[str, JSON]) -> str:
        """The model's own code of a language."""
        own, asked = self._defaults.get(name), parameters.get(name)
        known = self._known(name)
        if known:
            if asked is None and own is None:
                hint = f"this model knows {languages.listed(known)}"
                raise InvalidInput(f"translation needs the parameter {name!r}", hint)
            return languages.find(name, asked or own or "", known)
        if own and asked and not languages.same(asked, own):
            raise InvalidInput(f"parameter {name!r} is {asked!r}, and this model's is {own!r}")
        return own or ""

    def _known(self, name: str) -> Mapping[str, str]:
        """The languages a parameter may name; none where the model has one alone."""
        tokens: Mapping[str, str] = self._defaults.get("languages", {})
        template = str(self._defaults.get("source"))
        if name == "src_lang" and "{tgt}" in template and "{src}" not in template:
            return {}
        if tokens:
            return tokens
        place = 1 if name == "src_lang" else 3
        pairs = [
            task.split("_") for task in self._defaults.get("tasks", {}) if task.startswith("translation_")
        ]
        return {pair[place]: pair[place] for pair in pairs if len(pair) == 4}
