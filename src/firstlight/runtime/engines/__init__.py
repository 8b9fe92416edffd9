"""Engines: the libraries that run weights, by name, each imported on use."""

from __future__ import annotations

from firstlight.runtime.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firstlight.runtime.bundle import Bundle

ENGINES = {
    "onnx": "firstlight.runtime.engines.onnx:OnnxEngine",
    "onnx-seq2seq": "firstlight.runtime.engines.onnx_seq2seq:OnnxSequence",
    "ctranslate2": "firstlight.runtime.engines.ctranslate2:Translator",
    "llama": "firstlight.runtime.engines.llama.engine:LlamaEngine",
    "echo": "firstlight.runtime.engines.echo:EchoEngine",
}

_OF_TOKENS = {
    "ctranslate2": "firstlight.runtime.engines.ctranslate2_decoder:Generator",
    "echo": "firstlight.runtime.engines.echo_tokens:EchoTokens",
}
"""The same libraries for text-generation, where they have another engine for it."""


def load(bundle: Bundle) -> Any:
    """The engine of a bundle, with its weights loaded.

    Raises:
        BundleError: no engine has that name.
        EngineError: the engine's library refuses the weights.
        MissingExtra: the engine's library is not installed.
    """
    if bundle.engine not in ENGINES:
        known = ", ".join(sorted(ENGINES))
        raise BundleError(
            f"the bundle {bundle.path} asks for the engine {bundle.engine!r}", f"the engines are {known}"
        )
    home = ENGINES[bundle.engine]
    if bundle.task == "text-generation":
        home = _OF_TOKENS.get(bundle.engine, home)
    module, _, name = home.partition(":")
    engine = getattr(__import__(module, fromlist=[name]), name)
    return engine(bundle)
