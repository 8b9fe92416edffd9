"""Encoder-decoder models on CTranslate2: tokens in, hypotheses out.

A bundle of this engine is a folder CTranslate2 opens itself (config.json, model.bin and a vocabulary), with
tokenizer.json beside it.
"""

from __future__ import annotations

from firstlight.runtime.engines.cpus import threads
from firstlight.runtime.errors import EngineError, MissingExtra

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from firstlight.runtime.bundle import Bundle


class Translator:
    """Generates text tokens from text tokens.

    Args:
        bundle: its folder holds the converted model.

    Raises:
        MissingExtra: ctranslate2 is not installed.
        EngineError: ctranslate2 cannot load the model.
    """

    inputs = ("tokens", "options")
    outputs = ("hypotheses",)

    def __init__(self, bundle: Bundle) -> None:
        try:
            import ctranslate2
        except ImportError as error:
            message = f"the bundle {bundle.name} runs on ctranslate2, which is not installed"
            raise MissingExtra(message, "pip install ctranslate2") from error
        for name in ("config.json", "model.bin"):
            bundle.file(name)
        try:
            self._translator = ctranslate2.Translator(
                bundle.path, device="cpu", inter_threads=1, intra_threads=threads()
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"ctranslate2 cannot load {bundle.path}: {error}") from error

    def run(self, feeds: Mapping[str, Any], _outputs: Sequence[str]) -> list[list[list[str]]]:
        """Generate from one row.

        Args:
            feeds: ``tokens``, the source's tokens with its special ones, and ``options`` of
                ``ctranslate2.Translator.translate_batch``.

        Returns:
            One output: the hypotheses, best first, each a list of tokens.

        Raises:
            EngineError: the library refuses the run.
        """
        try:
            (result,) = self._translator.translate_batch([feeds["tokens"]], **feeds["options"])
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"ctranslate2 cannot run this input: {error}") from error
        return [result.hypotheses]

    def settle(self) -> None:
        """Nothing to do: weights are packed on load."""
