"""Summaries written anew by an encoder-decoder model.

A text that fits the model goes through it as it is. A longer one is cut into as few parts of whole sentences as
possible, of about the same length:

1. Without ``max_length`` the answer is the summaries of the parts, each as long as the model makes it, with the text's
   own separators.
2. With ``max_length`` all of them together have to be that short. Where that is certain from their number, each may
   have its share. Otherwise they are drafts: if the drafts together are short enough, they are the answer; if not, they
   are a text that is summarised again by these rules. A draft is at most half as long as its part, so that this ends.
3. ``min_length`` is of the whole answer; each part has its share.
"""

from __future__ import annotations

from firstlight.runtime.tasks import parts
from firstlight.runtime.tasks.joints import Joint
from firstlight.runtime.tasks.seq2seq import Text2TextGeneration, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from firstlight.runtime.tasks.parts import Span
    from firstlight.runtime.tasks.seq2seq_parameters import Wishes
    from firstlight.runtime.tasks.units import Units
    from firstlight.runtime.tasks.writing import Bounds, Event, Writing
    from firstlight.runtime.types import JSON, BundleFacts, Tokenizer


class Abstract(Text2TextGeneration):
    """Written anew by an encoder-decoder model."""

    name = "summarization"
    field = "summary_text"

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer, schema: dict[str, JSON]) -> None:
        super().__init__(bundle, tokenizer)
        self.schema = schema

    def compose(
        self, item: str, parameters: Mapping[str, JSON], units: Units, wishes: Wishes, writing: Writing
    ) -> Iterator[Event]:
        """See ``Text2TextGeneration.compose``."""
        drafts, text, used = writing.progress.drafts, item, 0
        spans, whole = self.parts(text, parameters, units, wishes)
        while not (whole or _certain(len(spans), wishes)):
            done = self._draft(text, spans, units, wishes, writing, used)
            answers = [units.text(ids, wishes.clean) for ids in drafts[used : used + done]]
            if done < len(spans):
                part = told(spans, done) if not used else {"done": done, "of": len(spans), "missing": []}
                part["finished"] = [text] if used else answers
                yield self.ending(item, part, parameters, wishes, writing)
                return
            text = _joined(text, spans, answers)
            used += done
            if units.room.count(text) <= (wishes.cap or 0) and wishes.answers == 1:
                yield self.ending(item, told(spans, done), parameters, wishes, writing, text)
                return
            spans, whole = self.parts(text, parameters, units, wishes)
        yield from self.written(text, spans, whole, wishes, writing)
        part = told(spans, writing.progress.done)
        if used:
            part["missing"] = []  # all of the text was read; its drafts are being shortened
        yield self.ending(item, part, parameters, wishes, writing)

    def parts(
        self,
        item: str,
        parameters: Mapping[str, JSON],
        units: Units,
        wishes: Wishes,  # noqa: ARG002
    ) -> tuple[list[Span], bool]:
        """The text as it is, where it fits; otherwise packs of its sentences."""
        if not item.strip():
            return [], True
        if parameters["truncation"] or units.room.takes(item):
            return [(0, len(item))], True
        return parts.packed(item, units.room), False

    def bounds(self, spans: Sequence[Span], whole: bool, wishes: Wishes, writing: Writing) -> Bounds:  # noqa: ARG002
        """Each part's share of the bounds."""
        most, least = _share(len(spans), wishes)
        return lambda _: (most, least)

    def _draft(
        self, text: str, spans: Sequence[Span], units: Units, wishes: Wishes, writing: Writing, used: int
    ) -> int:
        """Write the drafts of one round that are still missing; how many of the round there are then."""
        drafts = writing.progress.drafts
        _, least = _share(len(spans), wishes)
        for number in range(len(drafts) - used, len(spans)):
            start, end = spans[number]
            source = units.source(text[start:end])
            most = max(1, min(wishes.most, len(source) // 2))
            if not writing.draft(source, most, min(least, most)):
                return number
        return len(spans)


def _certain(number: int, wishes: Wishes) -> bool:
    """Whether the summaries of so many parts are short enough together, however long the model makes them."""
    return wishes.cap is None or number <= 1 or wishes.cap // number >= wishes.most


def _share(number: int, wishes: Wishes) -> tuple[int, int]:
    """The longest and shortest summary of one of so many parts."""
    most = wishes.most if wishes.cap is None else max(1, wishes.cap // max(1, number))
    least = wishes.least if wishes.floor is None else -(-wishes.floor // max(1, number))
    return most, min(least, most)


def _joined(text: str, spans: Sequence[Span], answers: Sequence[str]) -> str:
    """Answers with the separators of the text between them."""
    joint, before = Joint(False), spans[0][0]
    for (start, end), answer in zip(spans, answers, strict=True):
        joint.begin(text[before:start])
        joint.add(answer)
        joint.end()
        before = end
    return joint.text
