"""Encoder-decoder models as the hub has them in ONNX, on onnxruntime's C library.

Three graphs share one file of memory-mapped weights: the encoder, the decoder's first step and its next ones. What is
large, the logits of the whole vocabulary and the cache, never leaves the library: the graphs pick the best candidates
and put the cache's rows into the order the search decides on (see ``build.convert.onnx_seq2seq_search``).
"""

from __future__ import annotations

import os
from math import inf

from firstlight.runtime.engines import cpus, library
from firstlight.runtime.engines.ort_values import KeepingSession, Kept
from firstlight.runtime.errors import BundleError, EngineError
from firstlight.runtime.generation.rules import Rules
from firstlight.runtime.generation.wishes import Hypothesis
from firstlight.runtime.tensor import Tensor, int64, make

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from firstlight.runtime.bundle import Bundle
    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.generation.beam import Asked, Candidate
    from firstlight.runtime.generation.wishes import Search

_IDS, _HIDDEN, _STATES = "input_ids", "last_hidden_state", "encoder_hidden_states"
_BEST = ("search.scores", "search.parents", "search.tokens")
_PACKED = {"session.intra_op.allow_spinning": "0"}
_UNPACKED = {**_PACKED, "session.disable_prepacking": "1"}
_ENOUGH = 16  # steps of several rows after which packing has cost no more than it will save in as many again
_WORTH = 32  # steps that time must be left for when a search stops to pack
_BESIDES_MB = 64


class OnnxSequence:
    """Generates token ids from token ids.

    Args:
        bundle: ``model.encoder``, ``model.first`` and ``model.next`` name its graphs; ``model.alike`` says that the
            source's part of the cache has one row for all hypotheses, ``model.prepack`` that weights are packed at
            once, because unpacked ones give other answers. The rules of ``generation.rules`` are there too.

    Attributes:
        packed: whether the weights are packed for this CPU.

    Raises:
        BundleError: a setting is missing.
        EngineError: onnxruntime is not installed, or refuses a graph.
    """

    units = "ids"

    def __init__(self, bundle: Bundle) -> None:
        self.rules = Rules(bundle.model)
        self.alike = bundle.model.get("alike") is True
        self.packed = self._settled = bundle.model.get("prepack") is True
        self._bundle = bundle
        self._threads = cpus.threads()
        settings = _PACKED if self.packed else _UNPACKED
        self.encoder, self.first, self.next = (
            self._opened(name, settings) for name in ("encoder", "first", "next")
        )
        self.begun, self.grown = (_cache(session) for session in (self.first, self.next))

    def search(
        self, source: Sequence[int], prefix: Sequence[int], search: Search, deadline: Deadline
    ) -> list[Hypothesis]:
        """See ``runtime.types.SequenceEngine.search``."""
        begun = list(prefix) or self.rules.begin
        if search.num_beams > 1:
            from firstlight.runtime.generation.beam import BeamSearch

            step = _Steps(self, source, search.num_beams, deadline)
            return BeamSearch(step, self.rules, begun, source, search).run(deadline)
        from firstlight.runtime.generation.chain import Chain

        drawn = max(1, search.answers) if search.temperature > 0 else 1
        answers = []
        for number in range(drawn):
            chain = Chain(_Steps(self, source, 1, deadline), self.rules, begun, source, search, number)
            tokens = list(chain.tokens(deadline))
            answers.append(Hypothesis(tokens, None, chain.whole))
        return answers

    def stream(
        self, source: Sequence[int], prefix: Sequence[int], search: Search, deadline: Deadline
    ) -> Iterator[int]:
        """See ``runtime.types.SequenceEngine.stream``."""
        from firstlight.runtime.generation.chain import Chain

        begun = list(prefix) or self.rules.begin
        return Chain(_Steps(self, source, 1, deadline), self.rules, begun, source, search).tokens(deadline)

    def settle(self) -> None:
        """Open the graph of the next steps with packed weights: those of the bundle, which all workers map.

        A CPU for which packed weights look otherwise packs its own, which there must be memory for.
        """
        if self._settled or not self._fits():
            return
        self._settled = True
        try:
            opened = self._opened("next", _PACKED)
        except EngineError:  # what runs unpacked goes on
            return
        before, self.next, self.packed = self.next, opened, True
        before.close()
        library.trim()

    def _opened(self, name: str, settings: Mapping[str, str]) -> KeepingSession:
        graph = self._bundle.model.get(name)
        if not isinstance(graph, str):
            raise BundleError(f"model.{name} in {self._bundle.path}/bundle.json names no graph")
        return KeepingSession(self._bundle.file(graph), self._threads, 0, settings)

    def _fits(self) -> bool:
        limit = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        size = sum(entry["size"] for entry in self._bundle.files.values()) / 1e6
        return not (limit.isascii() and limit.isdigit()) or size + _BESIDES_MB < int(limit) * 1.048576


class _Steps:
    """The steps of one search over one source; between them the cache stays in the library.

    Args:
        engine: holds the graphs.
        source: token ids.
        width: rows of every step but the first.
        deadline: of the search.
    """

    def __init__(self, engine: OnnxSequence, source: Sequence[int], width: int, deadline: Deadline) -> None:
        self._engine = engine
        self._source = source
        self._width = width
        self._deadline = deadline
        self._unpacked = 0
        self._begun: Kept | None = (
            None  # the cache after the first step, with the part that only the source decides
        )
        self._grown: Kept | None = None

    def __call__(self, asked: Asked) -> list[Candidate]:
        """The best candidates, best first."""
        best = self._begin(asked) if self._begun is None else self._go_on(asked, self._begun)
        scores, parents, tokens = (column.data.tolist() for column in best)
        found = zip(scores, parents, tokens, strict=True)
        return [candidate for candidate in found if candidate[1] < len(asked.rows)]

    def _begin(self, asked: Asked) -> list[Tensor]:
        engine = self._engine
        _, states = engine.encoder.step({_IDS: int64(self._source)}, (), (), {_HIDDEN: _STATES})
        feeds = _feeds(asked, asked.rows, asked.sums, engine.rules.vocabulary)
        feeds[_IDS] = int64(*asked.rows)
        feeds["search.width"] = make("q", [1 if engine.alike else self._width], (1,))
        best, self._begun = engine.first.step(feeds, (states,), _BEST, engine.begun)
        return best

    def _go_on(self, asked: Asked, begun: Kept) -> list[Tensor]:
        """One more token of each row; rows that are too few are filled up with ones whose candidates are dropped."""
        engine, missing = self._engine, self._width - len(asked.rows)
        rows = asked.rows + asked.rows[:1] * missing
        parents = asked.parents + asked.parents[:1] * missing
        feeds = _feeds(asked, rows, asked.sums + [-inf] * missing, engine.rules.vocabulary)
        feeds[_IDS] = make("q", [row[-1] for row in rows], (len(rows), 1))
        feeds["search.beams"] = make("q", parents, (len(parents),))
        cache = (begun,) if self._grown is None else (begun, self._grown)
        before = self._deadline.left
        best, self._grown = engine.next.step(feeds, cache, _BEST, engine.grown)
        self._consider(before)
        return best

    def _consider(self, before: float) -> None:
        """Pack weights in the midst of a long search: one row needs them once, several need them in another order."""
        engine, left = self._engine, self._deadline.left
        if self._width == 1 or engine.packed:
            return
        self._unpacked += 1
        if self._unpacked == _ENOUGH and not left < _WORTH * (before - left):
            engine.settle()


def _cache(session: KeepingSession) -> dict[str, str]:
    """Names of the outputs that are a cache, and of the inputs of the next step they go to."""
    names = session.outputs[len(_BEST) :]
    return {name: name.replace("present", "past_key_values", 1) for name in names}


def _feeds(asked: Asked, rows: list[list[int]], sums: list[float], vocabulary: int) -> dict[str, Tensor]:
    """The inputs of the search at the end of a graph."""
    seen = [token for row in rows for token in row] if asked.penalty != 1 else []
    banned = [number for place in asked.banned for number in place]
    return {
        "search.normalise": make("?", [asked.normalise], ()),
        "search.seen": make("q", seen, (len(rows), len(seen) // len(rows))),
        "search.penalty": make("f", [asked.penalty], ()),
        "search.banned": make("q", banned, (len(asked.banned), 2)),
        "search.sums": make("f", sums, (len(rows), 1)),
        "search.count": make("q", [min(asked.count, len(rows) * vocabulary)], (1,)),
    }
