"""ONNX graphs on onnxruntime's C library.

Bundles are optimised offline and hold their weights as external data, so a session opens in milliseconds: nothing
is optimised or copied, the weights are memory-mapped and shared by all workers of a bundle. In idle time the session
is opened again with its weights packed for this CPU, and kept so where that is measured to be faster.
"""

from __future__ import annotations

import os
from time import process_time_ns

from firstlight.runtime.engines import cpus, library
from firstlight.runtime.engines.ort_api import Session
from firstlight.runtime.errors import BundleError, EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.runtime.bundle import Bundle
    from firstlight.runtime.tensor import Tensor

_SETTINGS = {"session.intra_op.allow_spinning": "0"}
_UNPACKED = {**_SETTINGS, "session.disable_prepacking": "1"}
_WORTH = 0.98  # packed weights are kept where a run takes less than this part of the time it took without
_RUNS = 12  # the first few after packing are slower: their memory is new
_LONG_NS = 50_000_000  # measuring takes no longer than this and one run
_BESIDES_MB = 64  # what a worker needs besides its weights, with a margin


class OnnxEngine:
    """One graph of a bundle.

    Args:
        bundle: ``model.graph`` names the graph; ``model.optimisation`` (0 to 99) is the level at which one that was
            not optimised offline is optimised at load; ``model.prepack`` says that the weights are packed at once,
            because unpacked ones give other answers (nb8).

    Attributes:
        inputs, outputs: names of the graph's inputs and outputs.
        packed: whether the weights are packed for this CPU.

    Raises:
        BundleError: the settings are not what they should be.
        EngineError: onnxruntime is not installed, or refuses the graph.
    """

    def __init__(self, bundle: Bundle) -> None:
        graph, level = bundle.model.get("graph", "model.onnx"), bundle.model.get("optimisation", 0)
        if not isinstance(graph, str) or not isinstance(level, int):
            raise BundleError(f"model in {bundle.path}/bundle.json has no graph or no optimisation level")
        self._path = bundle.file(graph)
        self._level = level
        self._threads = cpus.threads()
        self._weights_mb = sum(entry["size"] for entry in bundle.files.values()) / 1e6
        self._sample: tuple[int, Mapping[str, Tensor], Sequence[str]] | None = None  # bytes, feeds, outputs
        self.packed = self._settled = bundle.model.get("prepack") is True
        self._session = self._opened(_SETTINGS if self.packed else _UNPACKED)
        self.inputs = self._session.inputs
        self.outputs = self._session.outputs

    def run(self, feeds: Mapping[str, Tensor], outputs: Sequence[str]) -> list[Tensor]:
        """Run the graph once; see ``ort_api.Session.run``."""
        results = self._session.run(feeds, outputs)
        if not self._settled:
            size = sum(rows.data.nbytes for rows in feeds.values())
            if self._sample is None or size < self._sample[0]:
                self._sample = size, feeds, outputs
        return results

    def settle(self) -> None:
        """Pack the weights for this CPU if the smallest run so far is faster so, and if they fit into memory.

        The smaller a run, the more of its time goes into weights that are not packed, and the quicker it is measured.
        The session that was open is closed first, so that at no time both are in memory.
        """
        if self._sample is None:
            return
        (_, feeds, outputs), self._sample, self._settled = self._sample, None, True
        if not self._fits():
            return
        before = self._fastest(feeds, outputs)
        self._session.close()
        try:
            self._session = self._opened(_SETTINGS)
            self.packed = self._fastest(feeds, outputs) < _WORTH * before
        except EngineError:  # what runs unpacked goes on
            self.packed = False
        if not self.packed:
            self._session.close()
            self._session = self._opened(_UNPACKED)
        library.trim()

    def _opened(self, settings: Mapping[str, str]) -> Session:
        return Session(self._path, self._threads, self._level, settings)

    def _fits(self) -> bool:
        """Packed weights are memory of this worker alone, which a function's limit must have room for."""
        limit = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        return (
            not (limit.isascii() and limit.isdigit())
            or self._weights_mb + _BESIDES_MB < int(limit) * 1.048576
        )

    def _fastest(self, feeds: Mapping[str, Tensor], outputs: Sequence[str]) -> int:
        """Nanoseconds of CPU that the fastest of a few runs takes: a busy machine hardly changes those."""
        fastest = spent = 0
        for _ in range(_RUNS):
            start = process_time_ns()
            self._session.run(feeds, outputs)
            took = process_time_ns() - start
            fastest, spent = min(took, fastest or took), spent + took
            if spent > _LONG_NS:
                break
        return fastest
