"""Folders that are in CTranslate2's format already."""

from __future__ import annotations

from collections.abc import Iterator

from firstlight.build.choice import architectures, task
from firstlight.build.choice.contents import Contents
from firstlight.build.choice.offers import Offer, Refusal
from firstlight.runtime.errors import ConversionError

WEIGHTS = "model.bin"
_SHARED = ("shared_vocabulary.json", "shared_vocabulary.txt")
_SIDES = (
    ("source_vocabulary.json", "source_vocabulary.txt"),
    ("target_vocabulary.json", "target_vocabulary.txt"),
)
_DECODER = ("vocabulary.json", "vocabulary.txt")


def offers(contents: Contents) -> Iterator[Offer | Refusal]:
    """``model.bin`` with its vocabulary, if it is an encoder-decoder's."""
    files = contents.files
    if WEIGHTS not in files:
        return
    shared = [name for name in _SHARED if name in files][:1]
    sides = [next((name for name in side if name in files), None) for side in _SIDES]
    vocabularies = shared or [name for name in sides if name]
    if len(vocabularies) != (1 if shared else 2):
        if any(name in files for name in _DECODER):
            error = ConversionError(
                f"{contents.called} is a language model in CTranslate2's format", "name its GGUF files"
            )
            yield Refusal(
                WEIGHTS, "a language model in CTranslate2's format; those are served from GGUF", error
            )
        return
    if not contents.has_tokenizer():
        error = ConversionError(f"{contents.called} has no tokenizer", "name the model it was made from")
        yield Refusal(WEIGHTS, "in CTranslate2's format, without a tokenizer", error)
        return
    wished = contents.wish.precision
    if wished is not None:
        error = ConversionError(f"{contents.called} is in CTranslate2's format already", "leave quantize out")
        yield Refusal(WEIGHTS, f"in CTranslate2's format already, which cannot become {wished}", error)
        return
    weights = (WEIGHTS, *vocabularies)
    of, size = task.of_sequences(contents), float(files[WEIGHTS])
    why = "in CTranslate2's format already"
    yield Offer(
        "ctranslate2", weights, architectures.CTRANSLATE2_FILES, "ctranslate2", of, None, why, size, "int8"
    )
