"""Make the starter bundle ``speech`` from Silero VAD: the graph for 16,000 samples a second alone, optimised offline.

    python starters/make_speech.py --model silero_vad.onnx --sample test.wav

``model`` is ``src/silero_vad/data/silero_vad.onnx`` of github.com/snakers4/silero-vad, which holds two graphs behind
a switch; ``sample`` is ``tests/data/test.wav`` of the same repository, on which the bundle is measured.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from string import Template
from typing import Any

import onnx
import onnxruntime
from onnx import helper

from firstlight.build import bundle
from firstlight.build.convert.onnx_seq2seq_weights import WeightsFile
from firstlight.runtime.model import Model
from firstlight.runtime.tasks.wav import Wav
from replacements import REPLACEMENTS

HERE = Path(__file__).parent
OUT = HERE.parent / "src" / "firstlight" / "starters" / "speech"
SIZE, BEFORE, STATE, RATE = 512, 64, [2, 1, 128], 16_000
COMMIT = "806dcba3f0b5d95282d0889a074954a2f8c6397b"


def one_rate(model: onnx.ModelProto) -> onnx.ModelProto:
    """The branch of the switch for 16,000 samples a second, with the sizes that are always the same."""
    (switch,) = (node for node in model.graph.node if node.op_type == "If")
    (branch,) = (attribute.g for attribute in switch.attribute if attribute.name == "then_branch")
    names = {old: branch.output[place].name for place, old in enumerate(switch.output)}
    ends = [node for node in model.graph.node if node.op_type == "Identity"]
    nodes = [*branch.node, *(helper.make_node("Identity", [names[e.input[0]]], e.output) for e in ends)]

    def value(name: str, shape: list[int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    inputs = [value("input", [1, SIZE + BEFORE]), value("state", STATE)]
    outputs = [value("output", [1, 1]), value("stateN", STATE)]
    graph = helper.make_graph(nodes, "speech", inputs, outputs, list(branch.initializer))
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def optimised(model: onnx.ModelProto, scratch: Path, out: Path) -> None:
    """Write the graph as onnxruntime has it after everything that holds for any CPU, its weights beside it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(scratch / "model.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    made = WeightsFile(out / "model.weights").take(onnx.load(scratch / "model.onnx"), scratch)
    made.producer_name, made.producer_version = "firstlight", ""
    (out / "model.onnx").write_bytes(made.SerializeToString(deterministic=True))


def difference(model: Path, out: Path, sample: bytes) -> float:
    """The largest difference of a likelihood to the original's, over all windows of the sample."""
    import numpy as np

    theirs = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    ours = onnxruntime.InferenceSession(str(out / "model.onnx"), providers=["CPUExecutionProvider"])
    content = np.frombuffer(Wav(sample).samples(RATE), np.float32)
    states = [np.zeros(STATE, np.float32)] * 2
    before, worst = np.zeros(BEFORE, np.float32), 0.0
    for start in range(0, len(content) - SIZE + 1, SIZE):
        window = np.concatenate([before, content[start : start + SIZE]])[None]
        before = window[0, -BEFORE:]
        feeds: dict[str, Any] = {"input": window, "state": states[0], "sr": np.array(RATE)}
        exact, states[0] = theirs.run(["output", "stateN"], feeds)
        found, states[1] = ours.run(["output", "stateN"], {"input": window, "state": states[1]})
        worst = max(worst, float(np.abs(exact - found).max()))
    return worst


def make(model: Path, sample: bytes) -> None:
    """Write the bundle and its card."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speech"
        out.mkdir()
        optimised(one_rate(onnx.load(model)), Path(folder), out)
        meta = {
            "name": "speech",
            "task": "audio-to-audio",
            "engine": "onnx",
            "precision": "fp32",
            "model": {"graph": "model.onnx"},
            "labels": ["speech"],
            "defaults": {"windows": {"rate": RATE, "size": SIZE, "before": BEFORE, "state": STATE}},
            "source": {
                "repo": "https://github.com/snakers4/silero-vad",
                "revision": COMMIT,
                "licence": "mit",
                "replace": REPLACEMENTS["speech"],
            },
            "parity": {"max_likelihood_diff": round(difference(model, out, sample), 6)},
        }
        written = bundle.write(out, meta)
        (out / "README.md").write_text(card(out, sample, written), encoding="utf-8")
        shutil.copyfile(HERE / "cards" / "speech.NOTICE", out / "NOTICE")
        shutil.rmtree(OUT, ignore_errors=True)
        shutil.copytree(out, OUT)
    for file in OUT.iterdir():
        file.chmod(0o644)


def card(out: Path, sample: bytes, made: Any) -> str:
    """The model card with what was measured put into it."""
    model = Model.load(out, verify="sizes")
    start = time.process_time()
    (answer,) = model(sample)
    took = time.process_time() - start
    wav = Wav(sample)
    length = wav.length / wav.rate
    spoken = sum(end - start for start, end in answer["segments"])
    return Template((HERE / "cards" / "speech.md").read_text(encoding="utf-8")).substitute(
        size=f"{sum(entry['size'] for entry in made.files.values()) / 1e6:.1f} MB",
        precision=made.precision,
        length=f"{length:.0f}",
        segments=len(answer["segments"]),
        share=f"{spoken / length:.0%}",
        took=f"{took:.2f}",
        parity=made.parity["max_likelihood_diff"],
        commit=COMMIT,
        replace=REPLACEMENTS["speech"],
    )


def main() -> None:
    """Make the starter."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="silero_vad.onnx")
    parser.add_argument("--sample", type=Path, required=True, help="a WAV file to measure with")
    options = parser.parse_args()
    make(options.model, options.sample.read_bytes())


if __name__ == "__main__":
    main()
