"""Checks of the instructions an endpoint uses: Lambda's x86 CPUs show AVX2 and no more, its arm CPUs are armv8.2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.doctor import packages
from firstlight.doctor.types import PROBLEM, WARNING, Finding, Subject, fine
from firstlight.project import Endpoint
from firstlight.runtime.errors import FirstlightError

if TYPE_CHECKING:
    from firstlight.runtime.bundle import Bundle

_PRODUCTS = {
    "ConvInteger": 1,
    "DynamicQuantizeMatMul": 1,
    "MatMulInteger": 1,
    "MatMulIntegerToFloat": 1,
    "QLinearConv": 3,
    "QLinearMatMul": 3,
}
"""Operators that multiply bytes with signed bytes, and which of their inputs the weights are."""

_SEVEN_BITS = 64
"""The largest weight of 7 bits and a sign: sums of two products with bytes stay in 16 bits."""


def instructions(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """Which kernels would run on Lambda, and weights that give other answers there."""
    spec = subject.spec(endpoint)
    if spec.bundle is not None:
        from firstlight.runtime.bundle import Bundle

        yield from _of_bundle(Bundle.open(str(spec.bundle)))
    elif spec.script is not None:
        yield from _of_script(spec.script, subject)


def _of_bundle(bundle: Bundle) -> Iterator[Finding]:
    if bundle.engine == "llama":
        yield from _of_llama()
        return
    wide = _wide_weights(bundle) if bundle.engine.startswith("onnx") else []
    for name, largest in wide[:3]:
        why = (
            "on CPUs without VNNI (Lambda's x86) the products of such weights overflow and answers are wrong"
        )
        fix = 'quantise with 7 bits (reduce_range=True), or let firstlight do it: quantize = "int8"'
        yield Finding(PROBLEM, f"{name} has int8 weights up to {largest}", bundle.path, why, fix)
    if not wide:
        yield fine(f"{bundle.engine} chooses its kernels when it starts (AVX2, dot product)")


def _wide_weights(bundle: Bundle) -> list[tuple[str, int]]:
    """Weights of integer products that use more than 7 bits: name and largest absolute value."""
    import onnx
    from onnx import numpy_helper

    found = []
    for name in (name for name in bundle.files if name.endswith(".onnx")):
        graph = onnx.load(bundle.file(name), load_external_data=False).graph
        products = (node for node in graph.node if node.op_type in _PRODUCTS)
        used = {node.input[_PRODUCTS[node.op_type]] for node in products}
        for tensor in graph.initializer:
            if tensor.name in used and tensor.data_type == onnx.TensorProto.INT8:
                weights = numpy_helper.to_array(tensor, base_dir=bundle.path)
                largest = int(abs(weights.astype("int16")).max(initial=0))
                if largest > _SEVEN_BITS:
                    found.append((tensor.name, largest))
    return found


def _of_llama() -> Iterator[Finding]:
    """The library of language models: one kind of kernels, or one for each kind of CPU."""
    from firstlight.runtime.engines.llama import facts

    try:
        known = facts.installed()
    except FirstlightError as error:
        yield Finding(PROBLEM, error.message, fix=error.hint)
        return
    used = [str(name) for name in known["features"]]
    if known["variant"]:
        yield fine(
            "libllama brings kernels for AVX2 and for armv8.2 (haswell, armv8.2), and takes those that fit"
        )
    elif any(name.startswith("AVX512") for name in used):
        why = "Lambda's x86 CPUs do not have it, and the worker ends with an illegal instruction"
        yield Finding(
            PROBLEM, "libllama is built for AVX-512", str(known["path"]), why, "firstlight engines add llama"
        )
    else:
        yield fine(f"libllama is built for {', '.join(used) or 'any CPU'}")


def _of_script(script: Path, subject: Subject) -> Iterator[Finding]:
    """Packages with compiled parts that were compiled on this machine, perhaps for its CPU alone."""
    imported = packages.imported(script, subject.root)
    suspects = sorted(name for name in imported if packages.was_built_here(name))
    for name in suspects:
        why = (
            "what is compiled for the CPU at hand (-march=native) ends on Lambda with an illegal instruction"
        )
        fix = f"pip install --force-reinstall --only-binary :all: {name}"
        yield Finding(WARNING, f"{name} was compiled on this machine", subject.shown(script), why, fix)
    if not suspects:
        yield fine("its packages come as wheels that are built for any CPU")
