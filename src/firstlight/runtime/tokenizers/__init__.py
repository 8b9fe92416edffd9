"""Tokenizers by kind, each imported on use."""

from __future__ import annotations

from firstlight.runtime.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.bundle import Bundle
    from firstlight.runtime.types import Tokenizer


_NAMES = {"table": "wordpiece.bin", "file": "tokenizer.json", "target": "target.json"}


def load(bundle: Bundle) -> Tokenizer | None:
    """The tokenizer of a bundle; None for one that has none, or has its vocabulary in the weights (``gguf``).

    Raises:
        BundleError: no tokenizer has that kind, or its file cannot be read.
        MissingExtra: the library it needs is not installed.
    """
    kind = bundle.tokenizer.get("kind")
    if kind in (None, "gguf"):
        return None
    if kind == "wordpiece":
        from firstlight.runtime.tokenizers.wordpiece import WordPiece

        return WordPiece(bundle.file(_name(bundle, "table")), bundle.file(_name(bundle, "file")))
    if kind == "tokenizers":
        path = bundle.file(_name(bundle, "file"))
        if "target" in bundle.tokenizer or "size" in bundle.tokenizer:
            from firstlight.runtime.tokenizers.two_sided import TwoSided

            target = bundle.file(_name(bundle, "target")) if "target" in bundle.tokenizer else None
            return TwoSided(path, target, bundle.tokenizer.get("size"), bundle.tokenizer.get("unknown", 0))
        from firstlight.runtime.tokenizers.hf import HfTokenizer

        return HfTokenizer(path)
    raise BundleError(
        f"the bundle {bundle.path} asks for the tokenizer {kind!r}", "kinds: gguf, tokenizers, wordpiece"
    )


def _name(bundle: Bundle, key: str) -> str:
    name = bundle.tokenizer.get(key, _NAMES[key])
    if not isinstance(name, str):
        raise BundleError(f"tokenizer.{key} in {bundle.path}/bundle.json is not the name of a file")
    return name
