"""Entries of lock files for tests, written by hand and drawn by hypothesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from firstlight.build import lock
from firstlight.build.pack.types import Wheel
from firstlight.build.types import Made, SourceFile

HERE = Path("/a/machine's/own/bundle")


def made(**changes: Any) -> Made:
    """An entry of a model of the hub."""
    files = (SourceFile("config.json", 612, "1" * 64), SourceFile("model.safetensors", 4096, "2" * 64))
    entry: dict[str, Any] = {
        "place": Path(),
        "model": "hf:owner/name",
        "digest": "a" * 64,
        "task": "text-classification",
        "engine": "onnx",
        "precision": "fp32",
        "revision": "b" * 40,
        "licence": "apache-2.0",
        "converter": "firstlight.build.convert.encoder:convert",
        "files": files,
        "tools": {"firstlight": "0.1.0", "numpy": "2.4.6"},
    }
    return Made(**entry | changes)


hexes = {digits: st.text("0123456789abcdef", min_size=digits, max_size=digits) for digits in (40, 64)}
words = st.text(st.characters(blacklist_categories=("C", "Zl", "Zp", "Zs")), min_size=1, max_size=12)
names = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
paths = st.lists(st.from_regex(r"[A-Za-z0-9_é-]{1,8}(\.json)?", fullmatch=True), min_size=1, max_size=3).map(
    "/".join
)
strings = st.dictionaries(words, words, max_size=3)
files = st.lists(
    st.builds(SourceFile, paths, st.integers(0, 2**50), hexes[64]),
    max_size=4,
    unique_by=lambda file: file.path,
).map(lambda found: tuple(sorted(found, key=lambda file: file.path)))
entries = st.builds(
    Made,
    place=st.just(Path()),
    model=st.one_of(
        st.just("starter:qa"), st.just("models/mine"), names.map(lambda name: f"hf:owner/{name}")
    ),
    digest=hexes[64],
    task=words,
    engine=words,
    precision=words,
    revision=st.none() | hexes[40],
    licence=st.none() | words,
    converter=st.none() | st.just("firstlight.build.gguf.folder:convert"),
    files=files,
    tools=strings,
    allow_pickle=st.booleans(),
    trust_remote_code=st.booleans(),
    asked=st.dictionaries(st.sampled_from(["task", "precision"]), words),
)
caches = st.builds(lock.Caches, hexes[64], st.integers(0, 2**50), hexes[64], strings, strings)
wheels = st.builds(
    Wheel,
    name=st.sampled_from(["idna", "typing-extensions", "torch"]),
    version=st.sampled_from(["3.20", "2.13.0+cpu", "1.0rc1.post2"]),
    file=st.sampled_from(
        ["idna-3.20-py3-none-any.whl", "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"]
    ),
    sha256=st.sampled_from(["a" * 64, "b" * 64]),
    requires=st.sampled_from([(), ("idna",), ("idna", "typing-extensions")]),
)
wheel_sets = st.builds(
    lock.WheelSet,
    st.just("c" * 64),
    st.lists(wheels, max_size=3, unique_by=lambda wheel: wheel.name).map(
        lambda found: tuple(sorted(found, key=lambda wheel: wheel.name))
    ),
)
targets = st.builds(
    lock.LockedTarget,
    st.just(f"public.ecr.aws/lambda/python:3.13@sha256:{'d' * 64}"),
    st.dictionaries(
        st.sampled_from(["engines", "server", "inference/requirements.txt"]), wheel_sets, max_size=2
    ),
)
locks = st.builds(
    lock.Lock,
    st.dictionaries(names, entries, max_size=3),
    st.dictionaries(names, caches, max_size=2),
    st.dictionaries(names, st.dictionaries(names, entries, min_size=1, max_size=2), max_size=2),
    st.dictionaries(st.sampled_from(["arm64-python3.13", "x86_64-python3.11"]), targets, max_size=2),
)
