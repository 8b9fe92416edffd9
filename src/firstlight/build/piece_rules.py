"""The parts of a tokenizer.json in the words of ``runtime.tokenizers.pieces``; None for what that does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import pack
from typing import Any

from firstlight.build.piece_characters import BY_CHARACTER
from firstlight.build.templates import templates
from firstlight.runtime.tokenizers import token_bytes

_REPLACED = {("^ +| +$", ""): ["lines"]}
_MOST_MERGES = 1 << 21


def steps(normalizer: Mapping[str, Any] | None) -> list[list[Any]] | None:
    """What is done to a text, in order; normalizers that work character by character are one step, ``run``."""
    listed = [] if normalizer is None else _flat(normalizer, "normalizers")
    found: list[list[Any]] = []
    for one in listed:
        if one["type"] in BY_CHARACTER:
            if found and found[-1][0] == "run":
                found[-1][1].append(one)
            else:
                found.append(["run", [one]])
            continue
        step = _step(one)
        if step is None:
            return None
        found.append(step)
    return found if sum(step[0] == "run" for step in found) < 2 else None


def _flat(one: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    if one["type"] != "Sequence":
        return [one]
    return [step for inner in one[name] for step in _flat(inner, name)]


def _step(one: Mapping[str, Any]) -> list[Any] | None:
    if one["type"] == "Strip":
        return ["strip", one["strip_left"], one["strip_right"]]
    if one["type"] == "Prepend":
        return ["prepend", one["prepend"]]
    if one["type"] != "Replace":
        return None
    pattern, content = one["pattern"], one["content"]
    if "Regex" in pattern:
        return (
            ["runs", content] if pattern["Regex"] == " {2,}" else _REPLACED.get((pattern["Regex"], content))
        )
    return ["replace", pattern["String"], content] if pattern.get("String") else None


def split(pre_tokenizer: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How a text becomes words."""
    if pre_tokenizer is None:
        return {"kind": "whole"}
    found = _flat(pre_tokenizer, "pretokenizers")
    white = len(found) == 2 and found[0]["type"] == "WhitespaceSplit"
    last = found[-1] if found else {"type": ""}
    if len(found) != 1 + white:
        return None
    if last["type"] == "ByteLevel" and not white and last.get("use_regex", True):
        return {"kind": "bytes", "prefix": last["add_prefix_space"]}
    if last["type"] != "Metaspace" or (white and last["prepend_scheme"] == "first"):
        return None
    mark, scheme = last["replacement"], last["prepend_scheme"]
    return {"kind": "marked", "mark": mark, "scheme": scheme, "split": last["split"], "white": white}


def model(described: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]] | None:
    """The facts and the sections of the model."""
    if described["type"] == "Unigram":
        return _unigram(described)
    return _merges(described) if described["type"] == "BPE" else None


def _unigram(described: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]] | None:
    unknown, entries = described["unk_id"], described["vocab"]
    if unknown is None:
        return None
    ids = {text: number for number, (text, _) in enumerate(entries)}
    scores = [score for _, score in entries]
    facts = {
        "kind": "unigram",
        "unknown": unknown,
        "lowest": min(scores) - 10.0,  # K_UNK_PENALTY
        "bytes": _bytes(ids) if described["byte_fallback"] else None,
    }
    return facts, {"scores": pack(f"<{len(scores)}d", *scores)}


def _merges(described: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]] | None:
    ids: Mapping[str, int] = described["vocab"]
    odd = ("dropout", "continuing_subword_prefix", "end_of_word_suffix")
    if any(described[name] for name in odd) or not ids or len(described["merges"]) > _MOST_MERGES:
        return None
    spelling = "".join(_spelling())
    letters = [ids[letter] for letter in spelling] if all(letter in ids for letter in spelling) else None
    fallback = _bytes(ids) if described["byte_fallback"] else None
    if described["byte_fallback"] and fallback is None:
        return None
    unknown = ids.get(described["unk_token"] or "")
    facts = {
        "kind": "bpe",
        "unknown": unknown,
        "fuse": described["fuse_unk"],
        "bytes": fallback,
        "whole": described["ignore_merges"],
        "letters": letters,
        "spelling": spelling,
    }
    return facts, _pairs(ids, described["merges"])


def _pairs(ids: Mapping[str, int], merges: Sequence[Sequence[str]]) -> dict[str, bytes]:
    """Merges by their halves: where those of each left half begin; then right half, rank and result of each."""
    ranks = {(ids[left], ids[right]): (rank, ids[left + right]) for rank, (left, right) in enumerate(merges)}
    ordered = sorted(ranks)
    size = max(ids.values()) + 1
    counts = [0] * (size + 1)
    for left, _ in ordered:
        counts[left + 1] += 1
    for number in range(size):
        counts[number + 1] += counts[number]
    many = f"{len(ordered)}I"
    return {
        "lefts": pack(f"{size + 1}I", *counts),
        "rights": pack(many, *(right for _, right in ordered)),
        "ranks": pack(many, *(ranks[pair][0] for pair in ordered)),
        "made": pack(many, *(ranks[pair][1] for pair in ordered)),
    }


def _bytes(ids: Mapping[str, int]) -> list[int] | None:
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    return [ids[name] for name in names] if all(name in ids for name in names) else None


def _spelling() -> list[str]:
    """The letter of each byte."""
    letters = {token_bytes.stands(chr(code)): chr(code) for code in range(0x150)}
    return [letters[bytes([byte])] for byte in range(256)]


def around(processor: Mapping[str, Any] | None) -> tuple[dict[str, Any], bool | None] | None:
    """Templates of special tokens, and whether offsets leave spaces out: None, or whether a first one was put there."""
    listed = [] if processor is None else _flat(processor, "processors")
    trim, found = None, None
    for one in listed:
        if one["type"] in ("ByteLevel", "RobertaProcessing") and one["trim_offsets"]:
            if trim is not None:
                return None
            trim = bool(one["add_prefix_space"])
        if one["type"] == "ByteLevel":
            continue
        if found is not None:
            return None
        found = _roberta(one) if one["type"] == "RobertaProcessing" else templates(dict(one))
        if found is None:
            return None
    plain = {"single": [[None, 0]], "pair": [[None, 0], [None, 1]]}
    return {name: _numbered(template) for name, template in (found or plain).items()}, trim


def _roberta(one: Mapping[str, Any]) -> dict[str, Any]:
    first, last = [one["cls"][1]], [one["sep"][1]]
    single: list[list[Any]] = [[first, 0], [None, 0], [last, 0]]
    return {"single": single, "pair": [*single, [last, 0], [None, 0], [last, 0]]}


def _numbered(template: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """With the number of the text for each place of one."""
    found: list[list[Any]] = []
    text = 0
    for ids, kind in template:
        found.append([ids or [], kind, None if ids else text])
        text += not ids
    return found


def added(
    tokens: Sequence[Mapping[str, Any]], normalizer: Any, split: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Tokens that are found in a text as it comes, and those that are found once it is normalised."""
    greedy = any(token["lstrip"] or token["rstrip"] for token in tokens)
    passes: tuple[list[list[Any]], list[list[Any]]] = ([], [])
    for token in tokens:
        content = token["content"]
        if token["single_word"] or not content or (content != content.strip() and greedy):
            return None
        if token["normalized"] and normalizer is not None and normalizer.normalize_str(content) != content:
            return None
        passes[token["normalized"]].append([content, token["id"], token["lstrip"], token["rstrip"]])
    if passes[1] and split.get("scheme") == "first":
        return None
    return {"added": passes}


def decoder(described: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How ids become text; None where the library has to say."""
    listed = [] if described is None else _flat(described, "decoders")
    kinds = [one["type"] for one in listed]
    if kinds == ["ByteLevel"]:
        return {"kind": "bytes"}
    if kinds == ["Replace", "ByteFallback", "Fuse", "Strip"] and listed == _spaced(listed[0]["pattern"]):
        return {"kind": "spaced", "mark": listed[0]["pattern"]["String"]}
    if kinds not in (["Metaspace"], ["ByteFallback", "Metaspace"]):
        return None
    last = listed[-1]
    drop = last["prepend_scheme"] != "never"
    return {"kind": "marked", "mark": last["replacement"], "drop": drop, "bytes": len(kinds) == 2}


def _spaced(pattern: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The decoder of Llama and its kin."""
    if not pattern.get("String"):
        return None
    return [
        {"type": "Replace", "pattern": dict(pattern), "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
