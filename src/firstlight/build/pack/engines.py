"""What each engine needs of its library's wheel: the runtime talks to the compiled part, and to no package around it.

So the wheels are taken without what they require themselves: of onnxruntime's 56 MB a function gets the 25 of its
shared library, and neither numpy nor protobuf.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from firstlight.runtime.bundle import Bundle

LIBRARIES: dict[str, tuple[str, ...]] = {
    "onnx": ("onnxruntime",),
    "onnx-seq2seq": ("onnxruntime",),
    "ctranslate2": ("ctranslate2",),
    "llama": ("jinja2", "markupsafe", "xllamacpp"),
    "echo": (),
}
"""Engine -> normalised names of the wheels it needs; chat templates are Jinja's."""

TOKENIZERS = "tokenizers"
_NEEDS_TOKENIZERS = ("tokenizers", "wordpiece", "unigram", "bpe")
"""Kinds of tokenizers that read some texts, or all, with the library."""

_NOTICES = (
    "*.dist-info/METADATA",
    "*.dist-info/licenses/*",
    "*.dist-info/LICEN[CS]E*",
    "*/ThirdPartyNotices.txt",
)
_TAKEN = {
    "onnxruntime": ("onnxruntime/capi/libonnxruntime.so*", "onnxruntime/LICENSE"),
    "ctranslate2": ("ctranslate2/_ext.*.so", "ctranslate2.libs/*"),
    "xllamacpp": ("xllamacpp/*.so*", "xllamacpp.libs/*"),
    "tokenizers": ("tokenizers/*.py", "tokenizers/*.so", "tokenizers.libs/*"),
    "jinja2": ("jinja2/*.py",),
    "markupsafe": ("markupsafe/*.py", "markupsafe/*.so"),
}


def names(bundle: Bundle) -> set[str]:
    """Wheels that a bundle is answered with."""
    found = set(LIBRARIES.get(bundle.engine, ()))
    return found | ({TOKENIZERS} if bundle.tokenizer.get("kind") in _NEEDS_TOKENIZERS else set())


def taken(name: str) -> tuple[str, ...] | None:
    """Patterns of the files that are taken of a wheel; None takes all."""
    return (*_TAKEN[name], *_NOTICES) if name in _TAKEN else None


def requirements(wanted: Iterable[str]) -> tuple[str, ...]:
    """Wheels by name as lines of requirements, with the oldest version that this firstlight works with."""
    oldest = _oldest()
    return tuple(f"{name}{oldest.get(name, '')}" for name in sorted(wanted))


def installed(wanted: Iterable[str]) -> tuple[str, ...]:
    """The versions that are installed here, as constraints: what was tried here is what is deployed."""
    found = []
    for name in sorted(wanted):
        try:
            found.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return tuple(found)


def _oldest() -> dict[str, str]:
    """Name -> ``>=1.2``, of what firstlight itself requires."""
    import re

    from firstlight.build.pack.requirements import normalised

    try:
        lines = metadata.requires("firstlight") or []
    except metadata.PackageNotFoundError:
        return {}
    found = (re.match(r"([A-Za-z0-9._-]+)\s*(>=[\d.]+)", line) for line in lines if "extra ==" not in line)
    return {normalised(one[1]): one[2] for one in found if one}
