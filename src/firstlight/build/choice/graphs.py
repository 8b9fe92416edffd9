"""Exported ONNX graphs: which of several variants is taken, for encoders and for encoder-decoders."""

from __future__ import annotations

import re
from collections.abc import Iterator

from firstlight.build.choice import architectures, task
from firstlight.build.choice.contents import Contents
from firstlight.build.choice.offers import Offer, Refusal
from firstlight.build.convert.onnx_seq2seq_files import ENCODER, FIRST, MERGED, NEXT, SUFFIXES
from firstlight.build.convert.ready.files import EIGHT_BITS, EXACT, NOT_TAKEN
from firstlight.runtime.errors import ConversionError

_FOLDERS = ("onnx/", "")
_EIGHT = re.compile(r"(?i)[._-](u?int8|quantized)[._-]")


def offers(contents: Contents) -> Iterator[Offer | Refusal]:
    """Graphs of an encoder-decoder, then those of an encoder."""
    graphs = contents.matching("*.onnx", "onnx/*.onnx", "*/*.onnx")
    pairs = [path for path in graphs if path.rpartition("/")[2].startswith((ENCODER, "decoder_"))]
    if any(path.rpartition("/")[2].startswith(ENCODER) for path in pairs):
        yield from _sequences(contents)
    elif pairs:
        message = f"{contents.called} has a decoder in ONNX and no {ENCODER}.onnx"
        error = ConversionError(message, "models without an encoder are served from GGUF")
        yield Refusal(pairs[0], "a decoder without an encoder; language models are served from GGUF", error)
    single = [path for path in graphs if path not in pairs]
    if single and not pairs:
        yield from _single(contents, single)


def _sequences(contents: Contents) -> Iterator[Offer | Refusal]:
    found = {name: files for name in SUFFIXES if (files := _set(contents, name))}
    wished = contents.wish.precision
    if wished is None and found:
        wished = next(iter(found))
    if wished not in found:
        kinds = " and ".join(found)
        there = (
            f"in {kinds}, not in {wished}"
            if found
            else f"not complete: {ENCODER} wants {MERGED}, or {FIRST} and {NEXT}"
        )
        error = ConversionError(
            f"{contents.called} has its ONNX graphs {there}", f"quantize takes {kinds} here"
        )
        yield Refusal("onnx graphs", there, error)
        return
    yield from (
        Refusal(files[0], f"{name} was not asked for") for name, files in found.items() if name != wished
    )
    weights = tuple(path for file in found[wished] for path in (file, *_beside(contents, file)))
    size = float(contents.size(weights))
    of = task.of_sequences(contents)
    why = "an exported encoder and decoder, into which the search is put"
    yield Offer("onnx", weights, architectures.GRAPHS, "onnx-seq2seq", of, wished, why, size, wished)


def _set(contents: Contents, precision: str) -> tuple[str, ...]:
    """The graphs of one precision, as ``onnx_seq2seq_files.find`` takes them from a folder; empty where some lack."""
    for folder in _FOLDERS:
        for suffix in SUFFIXES[precision]:
            encoder, merged, first, following = (
                f"{folder}{name}{suffix}.onnx" for name in (ENCODER, MERGED, FIRST, NEXT)
            )
            for wanted in ((encoder, merged), (encoder, first, following)):
                if all(path in contents.files for path in wanted):
                    return wanted
    return ()


def _single(contents: Contents, graphs: list[str]) -> Iterator[Offer | Refusal]:
    """The graph ``ready`` takes of a folder; one in eight bits with the exact one beside it, to be compared with."""
    exact, eight = _first(contents, EXACT), _first(contents, EIGHT_BITS)
    wished = contents.wish.precision
    if wished not in (None, "fp32", "int8"):
        message = f"ONNX graphs are taken in fp32 or int8, not in {wished}"
        yield Refusal(graphs[0], f"not in {wished}", ConversionError(message, "leave quantize out"))
        return
    taken = {None: exact or eight, "fp32": exact, "int8": eight or exact}[wished]
    if taken is None and len(graphs) == 1 and _stem(graphs[0]) not in {*NOT_TAKEN, *EIGHT_BITS}:
        taken = graphs[0]
    yield from (Refusal(path, _why_not(path)) for path in graphs if path not in (taken, exact))
    if taken is None:
        names = ", ".join(graphs[:8])
        error = ConversionError(f"{contents.called} has no ONNX graph in {wished or 'fp32 or int8'}: {names}")
        yield Refusal("onnx graphs", "none that is taken", error)
        return
    kind = wished or ("int8" if taken == eight or _EIGHT.search(taken) else "fp32")
    compared = [exact] if exact and taken == eight else []
    paths = dict.fromkeys(path for graph in (taken, *compared) for path in (graph, *_beside(contents, graph)))
    size = float(contents.size([taken, *_beside(contents, taken)]))
    why = "an exported graph, checked and optimised once more"
    if taken == eight or (kind == "int8" and taken != exact):
        why = f"an exported graph in eight bits{', compared with ' + exact if exact else ''}"
    elif kind == "int8":
        why, size = "an exported graph, of which int8 is made", size / 4
    of = task.of_graph(contents, _head(contents))
    yield Offer("onnx", tuple(paths), architectures.GRAPH, "onnx", of, wished, why, size, kind)


def _first(contents: Contents, stems: tuple[str, ...]) -> str | None:
    paths = (f"{folder}{stem}.onnx" for stem in stems for folder in _FOLDERS)
    return next((path for path in paths if path in contents.files), None)


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".onnx")


def _why_not(path: str) -> str:
    stem = _stem(path)
    if stem in NOT_TAKEN:
        return NOT_TAKEN[stem]
    if "avx512" in stem:
        return "made for CPUs with AVX-512; others answer otherwise"
    return "another variant comes first" if stem in (*EXACT, *EIGHT_BITS) else "a graph of another name"


def _beside(contents: Contents, path: str) -> list[str]:
    """Weights that lie beside a graph, because they are large."""
    return sorted(name for name in contents.files if name.startswith((f"{path}_data", f"{path}.data")))


def _head(contents: Contents) -> str | None:
    for name in architectures.names(contents.config):
        for ending, head in architectures.HEADS.items():
            if name.endswith(ending):
                return head
    return None
