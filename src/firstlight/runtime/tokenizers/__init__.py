"""Tokenizers by kind, each imported on use."""

from __future__ import annotations

from firstlight.runtime.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.bundle import Bundle
    from firstlight.runtime.types import Tokenizer


def load(bundle: Bundle) -> Tokenizer | None:
    """The tokenizer of a bundle; None for a bundle that has none.

    Raises:
        BundleError: no tokenizer has that kind, or its file cannot be read.
        MissingExtra: the library it needs is not installed.
    """
    kind = bundle.tokenizer.get("kind")
    if kind is None:
        return None
    if kind == "wordpiece":
        from firstlight.runtime.tokenizers.wordpiece import WordPiece

        return WordPiece(bundle.file(_name(bundle, "table")), bundle.file(_name(bundle, "file")))
    if kind == "tokenizers":
        from firstlight.runtime.tokenizers.hf import HfTokenizer

        return HfTokenizer(bundle.file(_name(bundle, "file")))
    raise BundleError(
        f"the bundle {bundle.path} asks for the tokenizer {kind!r}", "kinds: tokenizers, wordpiece"
    )


def _name(bundle: Bundle, key: str) -> str:
    name = bundle.tokenizer.get(key, {"table": "wordpiece.bin", "file": "tokenizer.json"}[key])
    if not isinstance(name, str):
        raise BundleError(f"tokenizer.{key} in {bundle.path}/bundle.json is not the name of a file")
    return name
