"""Graphs run while a bundle is made, by onnxruntime's Python package and numpy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from firstlight.runtime.errors import ConversionError

Values = dict[str, NDArray[Any]]


class Run:
    """A graph as onnxruntime's Python package runs it.

    Args:
        file: the graph.
        level: of optimisation, 0 to 99.
        pack: pack its weights, which takes long and changes the numbers of some kinds of layers.
    """

    def __init__(self, file: Path, level: int = 99, pack: bool = False) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(level)
        options.add_session_config_entry("session.disable_prepacking", "0" if pack else "1")
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise ConversionError(f"onnxruntime refuses {file}: {error}", "export it again") from error
        self.inputs = {value.name: value for value in self._session.get_inputs()}
        self.outputs = [value.name for value in self._session.get_outputs()]

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> Values:
        """All outputs by name."""
        known = {name: value for name, value in feeds.items() if name in self.inputs}
        return dict(zip(self.outputs, self._session.run(None, known), strict=True))
