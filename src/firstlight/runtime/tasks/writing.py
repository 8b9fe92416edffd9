"""An answer while an encoder-decoder model writes it: part by part, within a time, and from where it was left.

Events have the shape of ``runtime.types.GeneratingTask``. Where tokens come one by one each has its event; otherwise
each part of the text has one when it is done, with -1 as the token's id.
"""

from __future__ import annotations

from time import perf_counter_ns

from firstlight.runtime import notes
from firstlight.runtime.generation.growing import GrowingText
from firstlight.runtime.tasks.joints import Joint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from typing import Any

    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.tasks.parts import Span
    from firstlight.runtime.tasks.progress import Progress
    from firstlight.runtime.tasks.seq2seq_parameters import Wishes
    from firstlight.runtime.tasks.units import Units
    from firstlight.runtime.types import SequenceEngine

    Event = dict[str, Any]
    Bounds = Callable[[int], tuple[int, int]]

NO_TOKEN = -1
_CAUTION = 1.2
"""The next part may take that much longer than its length lets expect."""


class Writing:
    """One answer of one engine.

    Args:
        engine: writes.
        units: what it speaks.
        wishes: of the request.
        deadline: after which nothing is begun.
        progress: where an earlier call has ended.
        live: somebody waits for each token; otherwise a part has one event.

    Attributes:
        generated, prompted: tokens written and read in this call.
        cut: whether the deadline ended it.
        limited: parts whose answer ended at the limit of its length.
    """

    def __init__(
        self,
        engine: SequenceEngine,
        units: Units,
        wishes: Wishes,
        deadline: Deadline,
        progress: Progress,
        live: bool,
    ) -> None:
        self.generated = self.prompted = self.limited = 0
        self.cut = False
        self.joints: list[Joint] = []
        self.progress = progress
        self._engine = engine
        self._units = units
        self._wishes = wishes
        self._deadline = deadline
        self._live = live
        self._stoppable = wishes.beams == 1 and wishes.answers == 1
        self._index = 0
        self._started = 0
        self._pace = 0.0
        self._step = 0.0

    def write(
        self, text: str, spans: Sequence[Span], whole: bool, bounds: Bounds
    ) -> Generator[Event, None, None]:
        """The events of all parts that are still to be written.

        Args:
            text: what the parts are of.
            whole: there is one part, which is the text with all around it.
            bounds: the longest and shortest answer to a part, by its number; no more is written where that is 0.
        """
        progress = self.progress
        self.joints = [Joint(whole, progress.last) for _ in range(self._wishes.answers)]
        before = spans[progress.done - 1][1] if progress.done else 0
        for number in range(progress.done, len(spans)):
            start, end = spans[number]
            most, least = bounds(number)
            source = self._units.source(text if whole else text[start:end])
            if most < 1 or not self._in_time(len(source), self._stoppable):
                self.cut = most >= 1
                return
            for joint in self.joints:
                joint.begin("" if whole else text[before:start])
            size = yield from self._part(source, most, least, number)
            if size is None:
                self.cut = True
                return
            progress.total += size
            progress.done, progress.units, progress.last = number + 1, [], self.joints[0].last
            before = end
        rest = "" if whole else text[before:]
        if rest:
            said = [joint.say(rest) for joint in self.joints]
            yield self.event(NO_TOKEN, said[0])

    def draft(self, source: list[Any], most: int, least: int) -> bool:
        """Write one more draft, an answer to a part that is no text yet; False where time does not allow it."""
        progress = self.progress
        if not self._in_time(len(source), self._stoppable):
            self.cut = True
            return False
        began, limited = self._begin(source), self.limited
        found, _ = self._best(source, most, least, len(progress.drafts))
        self.limited = limited  # of the answer itself nothing was cut
        self._measure(began, len(source))
        if found is None:
            self.cut = True
            return False
        progress.drafts.append(found[0])
        progress.units = []
        return True

    def event(self, token_id: int, text: str, special: bool = False) -> Event:
        """One event; the first one ends the wait for the first token."""
        self._index += 1
        self._first()
        token = {"id": token_id, "text": text, "logprob": None, "special": special}
        return {"index": self._index, "token": token, "generated_text": None, "details": None}

    def _first(self) -> None:
        if self._started and "first_token" not in notes.timings:
            notes.timings["first_token"] = (perf_counter_ns() - self._started) / 1e6

    def _in_time(self, tokens: int, stoppable: bool) -> bool:
        """Whether to begin a part of so many tokens; one that can be left in its middle is as long as there is time."""
        if self._deadline.passed:
            return False
        return stoppable or self._deadline.left > self._pace * tokens * _CAUTION

    def _part(
        self, source: list[Any], most: int, least: int, number: int
    ) -> Generator[Event, None, int | None]:
        """The events of one part; returns the tokens of its answer, None where time has cut it."""
        began = self._begin(source)
        wishes = self._wishes
        if self._stoppable and not wishes.clean:
            size = yield from self._token_by_token(source, most, least, number)
        else:
            found, size = self._best(source, most, least, number)
            if found is not None:
                texts = [self._units.text(ids, wishes.clean) for ids in found]
                said = [joint.add(text) + joint.end() for joint, text in zip(self.joints, texts, strict=True)]
                yield self.event(NO_TOKEN, said[0])
        self._measure(began, len(source))
        return size

    def _token_by_token(
        self, source: list[Any], most: int, least: int, number: int
    ) -> Generator[Event, None, int | None]:
        joint, kept, units = self.joints[0], self.progress.units, self._units
        growing, earlier = GrowingText(units.text), len(kept)
        if kept:  # an earlier call has said it
            for token_id in kept:
                joint.add(growing.add(token_id))
            joint.forget()
        for token_id in self._stream(source, most, least, number):
            if self._live:
                text = growing.add(token_id)
                yield self.event(token_id, joint.add(text), not text and units.special(token_id))
        early, rest = self._ended_early(len(kept), most), ""
        if not self._live and (earlier or early):
            rest = "".join([joint.add(growing.add(token_id)) for token_id in kept[earlier:]])
        elif not self._live:
            rest = joint.add(units.text(kept))
        if not early:
            rest += joint.add(growing.rest()) + joint.end()
        if rest:
            yield self.event(NO_TOKEN, rest)
        return None if early else len(kept)

    def _best(
        self, source: list[Any], most: int, least: int, number: int
    ) -> tuple[list[list[int]] | None, int | None]:
        """Token ids of the best answers to a source, and the length of the longest; None where time has cut it."""
        wishes = self._wishes
        if self._stoppable:
            for _ in self._stream(source, most, least, number):
                pass
            kept = self.progress.units
            return (None, None) if self._ended_early(len(kept), most) else ([kept], len(kept))
        search = wishes.search(most, least, number)
        found = self._engine.search(source, self._units.forced, search, self._deadline)
        longest = max((len(one.units) for one in found), default=0)
        full = longest >= most - wishes.forced_end
        if not found or (not found[0].whole and not full):
            return None, None
        self.limited += full
        self.generated += sum(len(one.units) for one in found)
        ids = [self._units.ids(one.units) for one in found]
        return [ids[min(place, len(ids) - 1)] for place in range(wishes.answers)], longest

    def _stream(self, source: list[Any], most: int, least: int, number: int) -> Iterator[int]:
        """The ids that follow those of the progress, each added to them.

        What is drawn is drawn again from the part's beginning, as an engine's generator cannot be set in its middle.
        Where that draws something else, the ids of the progress are taken as given.
        """
        kept = self.progress.units
        if most <= len(kept):
            return
        given = list(kept)
        for base in ([], given) if given and self._wishes.drawn else (given,):
            begin = [*self._units.forced, *self._units.spoken(base)]
            search = self._wishes.search(most - len(base), least - len(base), number)
            written = iter(self._engine.stream(source, begin, search, self._deadline))
            try:
                again = given[len(base) :]
                if [token_id for _, token_id in zip(again, self._timed(written), strict=False)] == again:
                    for token_id in self._timed(written):
                        kept.append(token_id)
                        self.generated += 1
                        self._first()
                        yield token_id
                    return
                if self._late():
                    return
            finally:
                close = getattr(written, "close", None)
                if close is not None:
                    close()

    def _timed(self, written: Iterator[Any]) -> Iterator[int]:
        """The token ids of an engine's units, while the time each takes is measured."""
        before = perf_counter_ns()
        for unit in written:
            now = perf_counter_ns()
            self._step, before = (now - before) / 1e9, now
            token_id = self._units.id(unit)
            if token_id >= 0:
                yield token_id

    def _ended_early(self, size: int, most: int) -> bool:
        """Whether time and not the model has ended a part; an engine may stop when one more step would be too long."""
        if size >= most - self._wishes.forced_end:
            self.limited += 1
            return False
        return self._late()

    def _late(self) -> bool:
        return self._deadline.passed or self._deadline.left <= 2 * self._step

    def _begin(self, source: list[Any]) -> int:
        """Count a source that will be read; the time now."""
        now = perf_counter_ns()
        self._started = self._started or now
        self.prompted += len(source)
        return now

    def _measure(self, began: int, tokens: int) -> None:
        seconds = (perf_counter_ns() - began) / 1e9
        self._pace = max(self._pace, seconds / max(tokens, 1))
