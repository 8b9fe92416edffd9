"""GGUF files: which of several quantisations is taken, and whether another one is made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from firstlight.build.choice import architectures, memory, task
from firstlight.build.choice.contents import Contents
from firstlight.build.choice.offers import Offer, Refusal
from firstlight.build.gguf import quantisations, split
from firstlight.runtime.errors import ConversionError

_NAMED = re.compile(r"(?i)(?:^|[-_.])((?:iq|q|tq)\d[a-z0-9_]*|bf16|f16|fp16|f32|fp32|mxfp4)(?=$|[-_.])")
_BESIDE = re.compile(r"(?i)(^|[-_./])(mmproj|imatrix|lora|adapter|vocab)([-_.]|$)")
"""Files of the format that are no language model of their own."""

_SMALL = ("q8_0", "f16", "bf16", "q6_k", "q5_k_m", "q5_k_s", "q5_0", "q4_k_m", "q4_k_s", "f32")
_LARGE = (
    "q4_k_m", "q4_k_s", "iq4_xs", "iq4_nl", "q4_0", "q4_1", "q5_k_m", "q5_k_s", "q5_0", "q6_k", "q3_k_l", "q3_k_m",
    "q8_0", "mxfp4", "bf16", "f16", "f32",
)  # fmt: skip
_SOURCES = ("f32", "bf16", "f16", "q8_0", "q6_k", "q5_k_m", "q5_1", "q5_0", "q4_k_m")
"""What another quantisation is made of, the most exact first."""

_OTHER_WORDS = {"fp16": "f16", "fp32": "f32"}
_UNKNOWN_BITS = 5.0


def offers(contents: Contents) -> Iterator[Offer | Refusal]:
    """The GGUF file that fits best; the others as refusals."""
    groups = _groups(contents)
    for path in contents.matching("*.gguf", "*/*.gguf"):
        if _BESIDE.search(path):
            yield Refusal(path, "goes with a model and is none")
    if not groups:
        return
    label = _label(contents, groups)
    asked = contents.wish.precision is not None
    yield from (
        Refusal(parts[0], _why_not(other, label, asked)) for other, parts in groups.items() if other != label
    )
    missing = [path for path in groups[label] if path not in contents.files]
    if missing:
        message = f"{contents.called} has {groups[label][0]} and not its part {missing[0]}"
        yield Refusal(
            groups[label][0], "parts are missing", ConversionError(message, "name another file of it")
        )
        return
    yield _offer(contents, label, groups[label])


def ready(contents: Contents, precision: str | None) -> bool:
    """Whether there is a file in the quantisation that is asked for, or else in the one that is made by default."""
    groups = _groups(contents)
    if not groups:
        return False
    wanted = precision or ("q8_0" if _parameters(contents, groups) <= quantisations.SMALL else "q4_k_m")
    return _OTHER_WORDS.get(wanted, wanted) in groups


def old_file(contents: Contents) -> Iterator[Offer | Refusal]:
    """A file from before GGUF: only one that is named, for its name says nothing certain."""
    for path in contents.matching("*.bin", "*/*.bin"):
        if re.search(r"(?i)gg(ml|jt|mf)", path):
            size = float(contents.files[path])
            why = "a file from before GGUF, whose blocks are taken over"
            of = task.of_language_model(contents)
            yield Offer("gguf", (path,), architectures.GGML_FILE, "llama", of, None, why, size, "q5_1")


def _offer(contents: Contents, label: str, parts: tuple[str, ...]) -> Offer:
    wished = contents.wish.precision
    size = float(contents.size(parts))
    of = task.of_language_model(contents)
    if wished is None or _OTHER_WORDS.get(wished, wished) == label:
        words = "is the quantisation asked for" if wished else _default_words(contents, label)
        why = f"a GGUF file that llama.cpp reads as it is; {words}"
        return Offer("gguf", parts, architectures.GGUF_FILE, "llama", of, wished, why, size, label)
    kind = quantisations.named(wished).name
    size *= memory.BITS.get(kind, _UNKNOWN_BITS) / memory.BITS.get(label, _UNKNOWN_BITS)
    why = f"the most exact GGUF file there is, of which {kind} is made here"
    return Offer("gguf", parts, architectures.GGUF_FILE, "llama", of, kind, why, size, kind)


def _default_words(contents: Contents, label: str) -> str:
    groups = _groups(contents)
    if len(groups) == 1:
        named = contents.wish.model.partition("@")[0].endswith(tuple(groups[label]))
        return "it was named" if named else "there is no other"
    millions = _parameters(contents, groups) / 1e6
    return f"{label} suits a model of about {millions:,.0f} million weights"


def _groups(contents: Contents) -> dict[str, tuple[str, ...]]:
    """Parts of each file by the quantisation its name tells, the first of a name where there are several."""
    found: dict[str, tuple[str, ...]] = {}
    for path in contents.matching("*.gguf", "*/*.gguf"):
        names = tuple(split.names(path))
        if not _BESIDE.search(path) and path == names[0]:
            found.setdefault(_quantisation(path), names)
    return found


def _quantisation(path: str) -> str:
    """What a file's name calls its quantisation; the name itself where it says none."""
    name = split.names(path)[0].rpartition("/")[2].removesuffix(".gguf")
    name = re.sub(r"-\d{5}-of-\d{5}$", "", name)
    tags = _NAMED.findall(name)
    return _OTHER_WORDS.get(tags[-1].lower(), tags[-1].lower()) if tags else name


def _label(contents: Contents, groups: dict[str, tuple[str, ...]]) -> str:
    """The group that is taken.

    Raises:
        ConversionError: a kind was asked for that no file has and none can be made into.
    """
    wished = contents.wish.precision
    if wished is None:
        small = _parameters(contents, groups) <= quantisations.SMALL
        return _first(groups, _SMALL if small else _LARGE)
    name = _OTHER_WORDS.get(wished.lower(), wished.lower())
    if name in groups:
        return name
    quantisations.named(wished)
    return _first(groups, _SOURCES)


def _first(groups: dict[str, tuple[str, ...]], order: tuple[str, ...]) -> str:
    return next((name for name in order if name in groups), next(iter(groups)))


def _why_not(label: str, taken: str, asked: bool) -> str:
    if label == "q5_1" and not asked:
        return "the slowest quantisation on a CPU"
    return f"{label} was not asked for" if asked else f"{taken} suits the model better"


def _parameters(contents: Contents, groups: dict[str, tuple[str, ...]]) -> float:
    """Weights of the model, by the sizes of its files: the lowest guess, since small tensors are kept in more bits."""
    guesses = [
        8 * sum(contents.files.get(part, 0) for part in parts) / memory.BITS.get(label, _UNKNOWN_BITS)
        for label, parts in groups.items()
    ]
    return min(guesses)
