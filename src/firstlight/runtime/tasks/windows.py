"""Windows of a tokenized text: what fits a model's length, cut as the ``tokenizers`` library cuts.

A text (or pair of texts) is tokenized once, without a limit, and cut here: so one pass gives the windows and the
number of tokens that did not fit. The cuts are those of ``truncate_encodings`` in the Rust library: special tokens
stay, the text's own tokens give way.
"""

from __future__ import annotations

from firstlight.runtime import notes, tensor
from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstlight.runtime.types import JSON, Encoding, Tensor

TRUNCATION: dict[str, JSON] = {
    "type": "boolean",
    "default": True,
    "description": "leave out what does not fit the model; false refuses a longer text",
}
"""The schema of a parameter that says whether ``shortened`` may cut."""


class Window:
    """A part of an encoding, with the fields of an encoding (``runtime.types.Encoding``), made when looked at."""

    __slots__ = ("_encoding", "_kept", "ids", "offsets", "sequence_ids", "type_ids", "word_ids")

    ids: list[int]
    type_ids: list[int]
    offsets: list[tuple[int, int]]
    sequence_ids: list[int | None]
    word_ids: list[int | None]

    def __init__(self, encoding: Encoding, kept: Sequence[tuple[int, int]]) -> None:
        self._encoding = encoding
        self._kept = kept

    def __getattr__(self, name: str) -> JSON:
        """Cut a list that was not looked at before; an unset slot leads here."""
        whole = getattr(self._encoding, name)
        made = [entry for start, stop in self._kept for entry in whole[start:stop]]
        setattr(self, name, made)
        return made


class Prepared:
    """One item on its way through the graph.

    Attributes:
        feeds: tensors by graph input, one row each; the model drops those its graph does not have.
        outputs: names of the graph outputs to fetch for this item.
        state: what ``postprocess`` of the same task needs to know.
    """

    __slots__ = ("feeds", "outputs", "state")

    def __init__(self, feeds: list[dict[str, Tensor]], outputs: tuple[str, ...], state: JSON = None) -> None:
        self.feeds = feeds
        self.outputs = outputs
        self.state = state


def feeds(encoding: Encoding) -> dict[str, Tensor]:
    """The three token inputs an encoder may have, int64 [1, tokens] each."""
    return {
        "input_ids": tensor.int64(encoding.ids),
        "attention_mask": tensor.int64([1] * len(encoding.ids)),
        "token_type_ids": tensor.int64(encoding.type_ids),
    }


def limit(own: int | None, asked: int | None) -> int | None:
    """The smaller of the model's limit and the one a caller asked for."""
    return asked if own is None else min(own, asked or own)


def shortened(
    encoding: Encoding,
    limit: int | None,
    refuse: bool = False,
    side: str = "right",
    strategy: str = "longest_first",
) -> Encoding:
    """An encoding of at most ``limit`` tokens; a note says when something was left out.

    Args:
        limit: tokens, special ones included; None is no limit.
        refuse: raise instead of cutting.
        side: ``right`` drops the end of a text, ``left`` its beginning.
        strategy: which text of a pair gives way: ``longest_first``, ``only_first`` or ``only_second``.

    Raises:
        InvalidInput: too long and not to be cut, or the text that should give way is too short for it.
    """
    total = len(encoding.ids)
    if limit is None or total <= limit:
        return encoding
    if refuse:
        raise InvalidInput(
            f"the text has {total} tokens, the model takes {limit}", "send less, or let it be truncated"
        )
    spans = _spans(encoding)
    room = limit - (total - sum(stop - start for start, stop in spans))
    keep = _shares([stop - start for start, stop in spans], room, strategy)
    notes.warn(f"the text has {total} tokens, the model takes {limit}: the rest was left out")
    kept, at = [], 0
    for (start, stop), size in zip(spans, keep, strict=True):
        first = stop - size if side == "left" else start
        kept += [(at, start), (first, first + size)]
        at = stop
    return Window(encoding, [*kept, (at, total)])


def overlapping(encoding: Encoding, limit: int | None, stride: int, sequence: int = 0) -> list[Encoding]:
    """Windows that cover one text of an encoding; the other text and the special tokens are in each of them.

    Args:
        limit: tokens of a window, special ones included.
        stride: tokens that neighbouring windows share.
        sequence: the text that is cut, 0 or 1.

    Raises:
        InvalidInput: the limit leaves no room, or not more than the stride.
    """
    total = len(encoding.ids)
    if limit is None or total <= limit:
        return [encoding]
    spans = _spans(encoding)
    start, stop = spans[sequence] if sequence < len(spans) else (total, total)
    room = limit - (total - (stop - start))
    if room <= stride:
        rest = f"{limit} tokens leave {max(room, 0)} for the text in each window"
        raise InvalidInput(
            f"{rest}, which must be more than the {stride} that windows share", "lower the stride"
        )
    # A library's encoding makes its lists anew at each look; this copy keeps them.
    whole = Window(encoding, [(0, total)])
    found: list[Encoding] = []
    for first in range(start, stop, room - stride):
        last = min(first + room, stop)
        found.append(Window(whole, [(0, start), (first, last), (stop, total)]))
        if last == stop:
            break
    return found


def fits(encoding: Encoding, limit: int, stride: int) -> bool:
    """Whether windows over the second text move on: question and special tokens leave more room than the stride."""
    return limit - (len(encoding.ids) - encoding.sequence_ids.count(1)) > stride


def _spans(encoding: Encoding) -> list[tuple[int, int]]:
    """Where the tokens of each text lie; the special tokens are between and around them."""
    owners = encoding.sequence_ids
    spans = []
    for sequence in (0, 1):
        if sequence in owners:
            start = owners.index(sequence)
            spans.append((start, start + owners.count(sequence)))
        elif sequence == 0:
            spans.append((1, 1))
    return spans


def _shares(sizes: list[int], room: int, strategy: str) -> list[int]:
    """How many tokens each text keeps of ``room``; the rule of ``truncate_encodings`` in tokenizers."""
    if len(sizes) == 1 and strategy != "only_second":  # the second has no tokens and cannot give way
        keep = [max(room, 0)]
    elif strategy == "longest_first":
        keep = _longest_first(sizes, max(room, 0))
    else:
        giving = 0 if strategy == "only_first" else 1
        left = room - sizes[1 - giving]
        if left <= 0:
            raise InvalidInput(
                f"{sizes[1 - giving]} tokens do not fit beside the text that is cut", "send less"
            )
        keep = list(sizes)
        keep[giving] = left
    return keep


def _longest_first(sizes: list[int], room: int) -> list[int]:
    short, long = sorted(sizes)
    long = short if short > room else max(short, room - short)
    if short + long > room:
        short = room // 2
        long = short + room % 2
    return [long, short] if sizes[0] > sizes[1] else [short, long]
