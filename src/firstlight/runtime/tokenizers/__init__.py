"""Tokenizers by kind, each imported on use."""

from __future__ import annotations

from firstlight.runtime.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.bundle import Bundle
    from firstlight.runtime.tokenizers.hf import HfTokenizer
    from firstlight.runtime.tokenizers.pieces import Pieces
    from firstlight.runtime.types import Tokenizer


_NAMES = {"wordpiece": "wordpiece.bin", "unigram": "pieces.bin", "bpe": "pieces.bin"}
"""Tables by kind, where bundle.json names none."""


def load(bundle: Bundle) -> Tokenizer | None:
    """The tokenizer of a bundle; None for one that has none, or has its vocabulary in the weights (``gguf``).

    Raises:
        BundleError: no tokenizer has that kind, or its file cannot be read.
        MissingExtra: the library it needs is not installed.
    """
    kind = bundle.tokenizer.get("kind")
    if kind in (None, "gguf"):
        return None
    if kind not in (*_NAMES, "tokenizers"):
        known = ", ".join(sorted((*_NAMES, "gguf", "tokenizers")))
        raise BundleError(f"the bundle {bundle.path} asks for the tokenizer {kind!r}", f"kinds: {known}")
    path = bundle.file(_name(bundle, "file", "tokenizer.json"))
    if kind == "wordpiece":
        from firstlight.runtime.tokenizers.wordpiece import WordPiece

        return WordPiece(bundle.file(_name(bundle, "table", _NAMES[kind])), path)
    source = _one_sided(bundle, kind, path)
    if "target" not in bundle.tokenizer and "size" not in bundle.tokenizer:
        return source
    from firstlight.runtime.tokenizers.two_sided import TwoSided

    target = bundle.file(_name(bundle, "target", "")) if "target" in bundle.tokenizer else None
    return TwoSided(source, target, bundle.tokenizer.get("size"), bundle.tokenizer.get("unknown", 0))


def _one_sided(bundle: Bundle, kind: str, path: str) -> HfTokenizer | Pieces:
    if kind == "tokenizers":
        from firstlight.runtime.tokenizers.hf import HfTokenizer

        return HfTokenizer(path)
    from firstlight.runtime.tokenizers.pieces import Pieces

    return Pieces(bundle.file(_name(bundle, "table", _NAMES[kind])), path)


def _name(bundle: Bundle, key: str, usual: str) -> str:
    name = bundle.tokenizer.get(key, usual)
    if not isinstance(name, str):
        raise BundleError(f"tokenizer.{key} in {bundle.path}/bundle.json is not the name of a file")
    return name
