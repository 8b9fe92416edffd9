"""Checks of the instructions an endpoint uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from examined import Making, only, write
from firstlight.build import bundle
from firstlight.doctor import instructions, packages
from firstlight.doctor.types import OK, PROBLEM, WARNING, Subject
from firstlight.runtime.engines.llama import facts
from firstlight.runtime.errors import MissingExtra


def integer_model(folder: Path, largest: int, kind: str = "MatMulInteger", *, apart: bool = False) -> Path:
    """A bundle with one product of integers whose weights go up to ``largest``."""
    folder.mkdir()
    weights = np.linspace(-largest, largest, 600).round().astype(np.int8).reshape(2, 300)
    before = {"MatMulInteger": ["x"], "QLinearMatMul": ["x", "s", "z"], "MatMul": ["x"]}[kind]
    graph = helper.make_graph(
        [helper.make_node(kind, [*before, "layer.weight"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [1, 300])],
        [numpy_helper.from_array(weights, "layer.weight")],
    )
    outside = (
        {"save_as_external_data": True, "location": "model.weights", "size_threshold": 0} if apart else {}
    )
    onnx.save(helper.make_model(graph), folder / "model.onnx", **outside)
    about: dict[str, Any] = {
        "name": "m",
        "task": "text-classification",
        "engine": "onnx",
        "precision": "int8",
    }
    bundle.write(folder, {**about, "model": {"graph": "model.onnx"}, "labels": ["a"]})
    return folder


def looked(subject: Subject) -> Any:
    return only(instructions.instructions(subject, next(subject.endpoints())))


@pytest.mark.parametrize(("largest", "level"), [(63, OK), (64, OK), (65, PROBLEM), (127, PROBLEM)])
def test_weights_of_more_than_seven_bits_are_wrong_without_vnni(
    subject: Making, root: Path, largest: int, level: str
) -> None:
    integer_model(root / "model", largest)
    found = looked(subject('[endpoints.mood]\nmodel = "model"\n', names=("mood",)))
    assert found.level == level
    if level == PROBLEM:
        assert found.what == f"layer.weight has int8 weights up to {largest}"
        assert "reduce_range=True" in found.fix


@pytest.mark.parametrize("apart", [True, False])
def test_every_operator_and_weights_in_a_file_of_their_own(subject: Making, root: Path, apart: bool) -> None:
    integer_model(root / "model", 127, "QLinearMatMul", apart=apart)
    found = looked(subject('[endpoints.mood]\nmodel = "model"\n', names=("mood",)))
    assert (found.level, found.what) == (PROBLEM, "layer.weight has int8 weights up to 127")


def test_weights_of_other_operators_are_not_looked_at(subject: Making, root: Path) -> None:
    integer_model(root / "model", 127, "MatMul")
    assert looked(subject('[endpoints.mood]\nmodel = "model"\n', names=("mood",))).level == OK


@pytest.mark.parametrize(
    ("known", "level", "says"),
    [
        ({"variant": "haswell", "features": ["AVX2"]}, OK, "takes those that fit"),
        ({"variant": "", "features": ["AVX2", "FMA"]}, OK, "built for AVX2, FMA"),
        ({"variant": "", "features": []}, OK, "any CPU"),
        ({"variant": "", "features": ["AVX2", "AVX512"]}, PROBLEM, "AVX-512"),
    ],
)
def test_language_models(
    subject: Making, root: Path, monkeypatch: pytest.MonkeyPatch, known: dict[str, Any], level: str, says: str
) -> None:
    monkeypatch.setattr(facts, "installed", lambda: {**known, "path": "/x/libllama.so"})
    write(root / "model", "model.gguf", "GGUF")
    bundle.write(
        root / "model", {"name": "m", "task": "text-generation", "engine": "llama", "precision": "q8_0"}
    )
    here = subject('[endpoints.mood]\nmodel = "model"\n', names=("mood",))
    assert (looked(here).level, says in looked(here).what) == (level, True)

    def missing() -> None:
        raise MissingExtra("there is no libllama", "pip install xllamacpp")

    monkeypatch.setattr(facts, "installed", missing)
    assert (looked(here).level, looked(here).fix) == (PROBLEM, "pip install xllamacpp")


def test_packages_that_were_compiled_here(
    subject: Making, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "inference/hello.py", "import numpy, hypothesis\ndef handler(e, c): ...\n")
    assert looked(subject()).level == OK
    wheel = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-{}\n"

    class Found:
        def __init__(self, name: str) -> None:
            self.name = name

        def read_text(self, _: str) -> str:
            return wheel.format("linux_x86_64" if self.name == "numpy" else "manylinux_2_28_x86_64")

    monkeypatch.setattr(packages.metadata, "distribution", Found)
    found = looked(subject())
    assert (found.level, found.what) == (WARNING, "numpy was compiled on this machine")
    assert "--only-binary" in found.fix
