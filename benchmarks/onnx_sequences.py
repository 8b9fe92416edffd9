"""A translation model of real size in ONNX: against transformers on torch, and onnxruntime's Python package with numpy.

    .venv-torch/bin/python benchmarks/onnx_sequences.py

Run by the environment of the parity tests, which has torch and this project. The model is a Marian of 75 million
parameters with random weights, exported as optimum does it; every variant has to give the same tokens.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import harness
import sequence_models
from firstlight.build.convert import onnx_seq2seq
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines import onnx_seq2seq as engine
from firstlight.runtime.generation.wishes import Search
from worker import Worker

PARITY = Path(__file__).parents[1] / "tests/parity"
SOURCE_TOKENS, NEW_TOKENS, COLD_TOKENS = 20, 25, 12
START, END = 58_100, 0

COLD = """
import sys, warnings
warnings.simplefilter("ignore")
import torch, transformers
torch.set_num_threads(1)
model = transformers.AutoModelForSeq2SeqLM.from_pretrained(sys.argv[1]).eval()
ids, beams, new = torch.tensor([eval(sys.argv[2])]), int(sys.argv[3]), int(sys.argv[4])
with torch.no_grad():
    model.generate(ids, num_beams=beams, do_sample=False, max_new_tokens=new, min_new_tokens=new)
"""


class NumpyLoop:
    """The search as it is written around onnxruntime's Python package: logits and cache come out at every step."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        names = ("encoder_model", "decoder_model", "decoder_with_past_model")
        self.encoder, self.first, self.next = (
            onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), options) for name in names
        )

    def __call__(self, source: list[int], beams: int) -> list[int]:
        ids = np.array([source])
        states = self.encoder.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
        mask = np.ones((beams, len(source)), np.int64)
        feeds = {"encoder_hidden_states": np.repeat(states, beams, 0), "encoder_attention_mask": mask}
        rows, sums = np.full((beams, 1), START), np.array([0.0] + [-1e9] * (beams - 1), np.float32)
        found = self._run(self.first, {"input_ids": rows, **feeds})
        past = {name: value for name, value in found.items() if name != "logits"}
        for step in range(NEW_TOKENS):
            parents, tokens, sums = self._best(found["logits"][:, -1], sums, beams)
            rows = np.concatenate([rows[parents], tokens[:, None]], 1)
            if step == NEW_TOKENS - 1:
                return rows[0].tolist()
            past = {name: value[parents] if ".decoder." in name else value for name, value in past.items()}
            found = self._run(
                self.next, {"input_ids": tokens[:, None], "encoder_attention_mask": mask, **past}
            )
            past |= {name: value for name, value in found.items() if name != "logits"}
        return []

    def _run(self, session: Any, feeds: dict[str, Any]) -> dict[str, Any]:
        names = [value.name for value in session.get_outputs()]
        found = zip(names, session.run(None, feeds), strict=True)
        return {name.replace("present", "past_key_values"): value for name, value in found}

    def _best(self, logits: Any, sums: Any, beams: int) -> tuple[Any, Any, Any]:
        scores = logits - logits.max(-1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(-1, keepdims=True))
        scores[:, [START, END]] = -np.inf
        flat = (scores + sums[:, None]).ravel()
        best = np.argpartition(-flat, beams)[:beams]
        best = best[np.argsort(-flat[best])]
        return best // scores.shape[1], best % scores.shape[1], flat[best]


def warm(folder: Path, source: list[int], rounds: int) -> list[dict[str, object]]:
    """One table for greedy search and one for four beams: milliseconds of CPU for one answer."""
    import torch
    import transformers

    torch.set_num_threads(1)
    engine.cpus.threads = lambda: 1
    engine._ENOUGH = 1 << 30  # what is measured as not packed stays so
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder / "weights").eval()
    loop = NumpyLoop(folder / "repository/onnx")
    plain, packed = (engine.OnnxSequence(Bundle.open(folder / "bundle")) for _ in range(2))
    packed.settle()

    def theirs(beams: int) -> list[int]:
        with torch.no_grad():
            asked = {"num_beams": beams, "max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS}
            return model.generate(torch.tensor([source]), do_sample=False, forced_eos_token_id=None, **asked)[
                0
            ].tolist()

    def ours(which: engine.OnnxSequence, beams: int) -> list[int]:
        search = Search(num_beams=beams, max_tokens=NEW_TOKENS, min_tokens=NEW_TOKENS)
        return [START, *which.search(source, [], search, NEVER)[0].units]

    tables = []
    for beams in (1, 4):
        variants: dict[str, Callable[[], list[int]]] = {
            "transformers on torch": lambda beams=beams: theirs(beams),
            "onnxruntime with numpy": lambda beams=beams: loop(source, beams),
            "firstlight, plain weights": lambda beams=beams: ours(plain, beams),
            "firstlight, packed weights": lambda beams=beams: ours(packed, beams),
        }
        answers = {name: run() for name, run in variants.items()}
        assert len({tuple(answer) for answer in answers.values()}) == 1, answers
        samples = harness.paired({name: timed(run) for name, run in variants.items()}, rounds)
        title = f"{SOURCE_TOKENS} tokens to {NEW_TOKENS}, {'greedy' if beams == 1 else f'{beams} beams'}, ms of CPU"
        tables.append(harness.table(title, samples, "transformers on torch"))
    return tables


def timed(run: Callable[[], object]) -> Callable[[], float]:
    """Milliseconds of CPU time of one call."""

    def call() -> float:
        start = time.process_time()
        run()
        return (time.process_time() - start) * 1e3

    return call


def cold(folder: Path, source: list[int], text: str, rounds: int) -> list[dict[str, object]]:
    """Start of a process to its first answer, page cache warm, in ms."""
    tables = []
    for beams in (1, 4):
        event = {
            "inputs": text,
            "parameters": {"num_beams": beams, "max_new_tokens": COLD_TOKENS, "min_new_tokens": COLD_TOKENS},
        }

        def ours(event: dict[str, object] = event) -> float:
            worker = Worker(folder / "bundle", event)
            worker.close()
            return worker.first_ms

        def theirs(beams: int = beams) -> float:
            words = [str(folder / "weights"), str(source), str(beams), str(COLD_TOKENS)]
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", COLD, *words], check=True)
            return (time.perf_counter() - start) * 1e3

        samples = harness.paired({"transformers on torch": theirs, "firstlight": ours}, rounds)
        title = f"cold start to an answer of {COLD_TOKENS} tokens, {'greedy' if beams == 1 else f'{beams} beams'}, ms"
        tables.append(harness.table(title, samples, "transformers on torch"))
    return tables


def memory(folder: Path, text: str) -> dict[str, object]:
    """Proportional set size of one worker and of four, each after a long beam search, in MB."""
    asked = {"num_beams": 4, "max_new_tokens": 40, "min_new_tokens": 40}
    workers, sums = [], {}
    for count in range(1, 5):
        workers.append(Worker(folder / "bundle", {"inputs": text, "parameters": asked}))
        sums[count] = sum(proportional(worker.process.pid) for worker in workers)
    for worker in workers:
        worker.close()
    rows = {f"{count} workers": round(total, 1) for count, total in sums.items()}
    share = (sums[4] - sums[3]) / sums[1]
    print(f"\nmemory (PSS, MB): {rows}; the fourth worker costs {share:.0%} of the first")
    return {
        "title": "memory of workers together, PSS in MB",
        "rows": rows,
        "fourth_of_first": round(share, 3),
    }


def proportional(pid: int) -> float:
    """PSS of a process in MB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Make the model, measure, write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cold-rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    harness.pin()
    sys.path.insert(0, str(PARITY))
    import onnx_exports

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sequence_models.marian(folder / "weights")
        onnx_exports.repository(folder / "weights", folder / "repository", merge=False)
        onnx_seq2seq.convert(folder / "repository", folder / "bundle")
        from firstlight.runtime.model import Model

        tokenizer = Model.load(folder / "bundle")._tokenizer
        text = tokenizer.decode(list(range(1000, 1000 + SOURCE_TOKENS)))
        source = tokenizer.encode(text).ids
        tables = [
            *warm(folder, source, options.rounds),
            *cold(folder, source, text, options.cold_rounds),
            memory(folder, text),
        ]
    print(harness.write("onnx_sequences", "ms", tables, {}))


if __name__ == "__main__":
    main()
