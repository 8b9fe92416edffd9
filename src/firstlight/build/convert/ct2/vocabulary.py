"""A model's tokens by id, as many as its embeddings have rows."""

from __future__ import annotations

from pathlib import Path

from firstlight.runtime.errors import ConversionError

_SPARE = 1024
_SHARE = 16
"""Rows without a token a table may have: vocabularies are filled up so that matrices have round sizes."""


def fitted(tokens: list[str], own: int, rows: int, folder: Path, name: str = "<extra_id_{}>") -> list[str]:
    """The tokens of a table of embeddings.

    Args:
        tokens: by id.
        own: how many of them the tokenizer itself numbers.
        rows: of the table.
        folder: of the model, for messages.
        name: of a row that has no token; {} is its number among them.

    Raises:
        ConversionError: the tokenizer is of another model.
    """
    hint = "its files are of different models, or the tokenizer was changed and the model was not"
    if min(own, len(tokens)) > rows:
        raise ConversionError(
            f"the tokenizer of {folder} has {own} tokens, and the model {rows} embeddings", hint
        )
    missing = rows - len(tokens)
    if missing > max(_SPARE, rows // _SHARE):
        message = f"the tokenizer of {folder} has {len(tokens)} tokens, and the model {rows} embeddings"
        raise ConversionError(message, hint)
    return tokens[:rows] + [name.format(number) for number in range(missing)]
