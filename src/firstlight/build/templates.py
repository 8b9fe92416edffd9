"""What a tokenizer puts around texts, read from the ``post_processor`` of a tokenizer.json."""

from __future__ import annotations

from typing import Any


def templates(processor: dict[str, Any] | None) -> dict[str, Any] | None:
    """Special tokens and places of texts, as [ids or none for a text, type id], for one text and for two.

    Returns:
        None where the post-processor is of another kind, or does not put the first text first.
    """
    kind = (processor or {}).get("type")
    if processor is None or kind not in ("BertProcessing", "TemplateProcessing"):
        return None
    if kind == "BertProcessing":
        first, last = [processor["cls"][1]], [processor["sep"][1]]
        single: list[list[Any]] = [[first, 0], [None, 0], [last, 0]]
        return {"single": single, "pair": [*single, [None, 1], [last, 1]]}
    single = _pieces(processor, processor["single"])
    pair = _pieces(processor, processor["pair"])
    expressible = _texts(processor["single"]) == ["A"] and _texts(processor["pair"]) == ["A", "B"]
    return {"single": single, "pair": pair} if expressible else None


def _texts(template: list[dict[str, Any]]) -> list[str]:
    return [piece["Sequence"]["id"] for piece in template if "Sequence" in piece]


def _pieces(processor: dict[str, Any], template: list[dict[str, Any]]) -> list[list[Any]]:
    pieces: list[list[Any]] = []
    for piece in template:
        if "Sequence" in piece:
            pieces.append([None, piece["Sequence"]["type_id"]])
        else:
            special = piece["SpecialToken"]
            pieces.append([processor["special_tokens"][special["id"]]["ids"], special["type_id"]])
    return pieces
