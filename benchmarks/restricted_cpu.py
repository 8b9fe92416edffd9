"""Do bundles of eight bits give the same answers on a CPU without VNNI? Asked of an emulated one.

Most machines of AWS Lambda have AVX2 and neither AVX-512 nor VNNI, where kernels for signed weights of eight bits
saturate. onnxruntime chooses its kernels by CPUID and has no switch for it, so the answers are worked out once more
under QEMU's user emulation as a Haswell (Debian: ``apt install qemu-user``), and compared:

    python benchmarks/restricted_cpu.py BUNDLE...

Beside the bundles stands one layer whose weights use all eight bits, signed and unsigned: the signed one shows that
the emulated kernels do saturate, so that the comparison means something. A run takes a minute or two a bundle.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from firstlight.build.convert import parity

CPU = "Haswell,-pcid,-x2apic,-tsc-deadline,-hle,-invpcid,-rtm"
TEXTS = 12
HEADS = {"zero-shot-classification": "text-classification", "sentence-similarity": "feature-extraction"}


def answers(bundle: Path, out: Path) -> None:
    """What a bundle's graph gives for some texts, to a file."""
    task = json.loads((bundle / "bundle.json").read_text())["task"]
    feeds = parity.feeds(bundle / "tokenizer.json", parity.texts(HEADS.get(task, task))[:TEXTS])
    found = parity.run(bundle / "model.onnx", feeds)
    np.savez(
        out, **{f"{number}.{name}": array for number, row in enumerate(found) for name, array in row.items()}
    )


def layer(folder: Path, element: int) -> Path:
    """A graph of one layer, its activations and weights as large as eight bits allow."""
    weight = np.full((64, 32), 127, np.int8)
    zero = np.array(0, np.int8)
    if element == TensorProto.UINT8:
        weight, zero = (weight.astype(np.int16) + 128).astype(np.uint8), np.array(128, np.uint8)
    node = helper.make_node("MatMulInteger", ["x", "weight", "", "zero"], ["y"])
    constants = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(zero, "zero")]
    given = helper.make_tensor_value_info("x", TensorProto.UINT8, ["rows", 64])
    made = helper.make_tensor_value_info("y", TensorProto.INT32, ["rows", 32])
    model = helper.make_model(
        helper.make_graph([node], "layer", [given], [made], constants),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    file = folder / f"layer{element}.onnx"
    onnx.save(model, file)
    return file


def product(file: Path, out: Path) -> None:
    """The layer's answer to activations of 255, to a file; right is 64 * 255 * 127."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    np.savez(out, y=session.run(None, {"x": np.full((4, 64), 255, np.uint8)})[0])


def asked(what: str, place: Path, out: Path, emulator: list[str]) -> dict[str, np.ndarray]:
    """Run this script for one answer, natively or emulated."""
    command = [*emulator, sys.executable, __file__, f"--{what}", str(place), str(out)]
    variables = os.environ | {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "ORT_DISABLE_TELEMETRY": "1",
    }
    subprocess.run(command, check=True, env=variables)
    with np.load(out) as found:
        return {name: found[name] for name in found.files}


def compare(bundle: Path, scratch: Path, emulator: list[str]) -> dict[str, float]:
    """How far the answers of both CPUs are apart."""
    here, there = (asked("answers", bundle, scratch / f"{bool(run)}.npz", run) for run in ([], emulator))
    worst = max(float(np.abs(here[name] - there[name]).max()) for name in here)
    largest = max(float(np.abs(array).max()) for array in here.values())
    chosen = [name for name in here if name.endswith(("scores", "logits"))]
    same = [np.array_equal(here[name].argmax(-1), there[name].argmax(-1)) for name in chosen]
    return {"max_diff": worst, "largest": largest, "agreement": float(np.mean(same)) if same else 1.0}


def main(bundles: list[Path]) -> None:
    found = shutil.which("qemu-x86_64")
    if found is None:
        sys.exit("qemu-x86_64 is not installed: apt install qemu-user")
    emulator = [found, "-cpu", CPU]
    right = 64 * 255 * 127
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name, element in (("signed", TensorProto.INT8), ("unsigned", TensorProto.UINT8)):
            file = layer(scratch, element)
            for cpu, run in (("this CPU", []), ("a Haswell", emulator)):
                y = asked("product", file, scratch / "y.npz", run)["y"]
                print(f"{name:9} weights of 127 on {cpu:9}: {int(y.flat[0])}, right is {right}")
        for bundle in bundles:
            print(bundle, compare(bundle, scratch, emulator))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--answers"]:
        answers(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1:2] == ["--product"]:
        product(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main([Path(name) for name in sys.argv[1:]])
