"""A language model of 410 million parameters: cold start, speed of prompt and answer, quantisations, memory.

    python benchmarks/language_model.py --torch-python .venv-torch/bin/python [--llama FOLDER]

Random weights in Pythia-410M's shape. Baseline of speed: a C program on the same libllama that does nothing but take
the likeliest token. ``--llama`` names a folder with another libllama than the installed one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

import language_models
from cold_start import HERE, process, torch_versions
from firstlight.build import resolve
from firstlight.runtime.engines.llama import finding
from harness import Samples, paired, pin, ratios, table, write
from worker import Worker

NEW = 24
WORDS = "once upon a time there was a king who had three daughters and a garden full of golden apples "
FIRST = "once upon"
EVENT = {"inputs": FIRST, "parameters": {"max_new_tokens": 1}}


class Floor:
    """The C program on one libllama.

    Args:
        scratch: where it is compiled.
    """

    def __init__(self, scratch: Path) -> None:
        found = finding.find()
        backends = "-" if found.origin == "wheel" else found.folder
        source, compiler = HERE / "variants/llama_floor.c", shutil.which("gcc") or "cc"
        if found.origin == "wheel":
            program = scratch / "floor.so"
            subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", program, source, "-ldl"], check=True)
            start = [sys.executable, "-I", "-S", str(HERE / "variants/llama_floor.py"), str(program)]
        else:
            program = scratch / "floor"
            subprocess.run([compiler, "-O2", "-o", program, source, "-ldl"], check=True)
            start = ["env", f"LD_LIBRARY_PATH={found.folder}", str(program)]
        self._start = [*start, found.path, backends]

    def command(self, model: Path, ids: Sequence[int], repeats: int) -> list[str]:
        """The argument vector for one file and one prompt."""
        return [*self._start, str(model), str(NEW), str(repeats), *map(str, ids)]


class Speed:
    """A variant that prints milliseconds of prompt and of new tokens; keeps the first beside the second it returns."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.prompts = Samples()

    def __call__(self) -> float:
        out = subprocess.run(self.command, capture_output=True, text=True, check=True).stdout.splitlines()
        pairs = [tuple(map(float, line.split())) for line in out[1:]]
        self.prompts.values.append(min(prompt for prompt, _ in pairs))
        return min(answer for _, answer in pairs) / (NEW - 1)


def torch_speed(python: str, source: Path, prompt: str, repeats: int) -> Callable[[], float]:
    """Of transformers on torch: milliseconds for each new token, the prompt's share taken off by a second length."""

    def once(new: int) -> float:
        script = str(HERE / "variants/generate_torch.py")
        command = [python, script, str(source), prompt, str(new), str(repeats), "1"]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return min(map(float, out[-1].strip("[]").split(",")))

    return lambda: (once(NEW) - once(1)) / (NEW - 1)


def first_answer(bundle: Path) -> Callable[[], float]:
    """Our worker, started anew: milliseconds to the first token."""

    def once() -> float:
        started = Worker(bundle, EVENT)
        started.close()
        return started.first_ms

    return once


def memory(bundle: Path, count: int = 4) -> dict[str, object]:
    """What each further worker of a model costs: megabytes that all of them hold together (PSS)."""
    workers: list[Worker] = []
    together = []
    event = {"inputs": WORDS, "parameters": {"max_new_tokens": NEW}}
    try:
        for _ in range(count):
            workers.append(Worker(bundle, event))
            together.append(sum(_pss(worker.process.pid) for worker in workers))
    finally:
        for worker in workers:
            worker.close()
    costs = [after - before for before, after in zip([0.0, *together], together, strict=False)]
    share = costs[-1] / costs[0]
    print(f"\nmemory: {', '.join(f'{cost:.0f}' for cost in costs)} MB; the last is {share:.1%} of the first")
    return {"title": "MB of each further worker", "costs": costs, "last_to_first": share}


def _pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not say Pss")


def quantised(source: Path, bundles: dict[str, Path], rounds: int) -> list[dict[str, object]]:
    """Speed of the quantisations against q5_1, the slowest."""
    script = str(HERE / "variants/firstlight_tokens.py")
    variants = {
        name: Speed([sys.executable, script, str(bundle), WORDS * 3, str(NEW), "3"])
        for name, bundle in bundles.items()
    }
    measured = paired(variants, rounds)
    prompts = {name: Samples(variant.prompts.values[-rounds:]) for name, variant in variants.items()}
    return [
        table(f"{source.name}, ms a new token, by quantisation", measured, "q5_1"),
        table(f"{source.name}, ms to read a prompt, by quantisation", prompts, "q5_1"),
    ]


def main() -> None:
    """Measure and write benchmarks/results/language_model*.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch-python", default=".venv-torch/bin/python")
    parser.add_argument("--llama", help="folder of another libllama")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, help="keep the made-up model here")
    args = parser.parse_args()
    if args.llama:
        os.environ[finding.VARIABLE] = args.llama
    pin()
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
        source = args.model or Path(scratch) / "pythia-410m"
        if not (source / "config.json").exists():
            language_models.pythia(source)
        names = ("q8_0", "q4_k_m", "q5_1")
        bundles = {name: resolve.resolve(str(source), Path.cwd(), precision=name) for name in names}
        tables = measured(args, source, bundles, Floor(Path(scratch)))
    name = f"language_model_{finding.find().origin}"
    print("\nwritten to", write(name, "ms", tables, torch_versions(args.torch_python)))


def measured(
    args: argparse.Namespace, source: Path, bundles: dict[str, Path], floor: Floor
) -> list[dict[str, object]]:
    """All tables."""
    bundle, python = bundles["q8_0"], args.torch_python
    file, bare = bundle / "model.gguf", "C program on the same library"
    torch_start = [python, str(HERE / "variants/generate_torch.py"), str(source), FIRST, "1", "0", "1"]
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    first, prompt = (tokenizer.encode(text).ids for text in (FIRST, WORDS * 3))
    cold = paired(
        {
            bare: process(floor.command(file, first, 0)),
            "firstlight worker": first_answer(bundle),
            "transformers.pipeline on torch, fp32": process(torch_start),
        },
        args.rounds,
    )
    script = str(HERE / "variants/firstlight_tokens.py")
    speeds = {
        bare: Speed(floor.command(file, prompt, 3)),
        "firstlight engine": Speed([sys.executable, script, str(bundle), WORDS * 3, str(NEW), "3"]),
    }
    warm = paired(
        {**speeds, "transformers on torch, fp32": torch_speed(python, source, WORDS * 3, 1)}, args.rounds
    )
    prompts = {name: Samples(speed.prompts.values[-args.rounds :]) for name, speed in speeds.items()}
    found = [
        table(f"410M q8_0, process start to the first token after {len(first)}, ms", cold, bare),
        table("410M q8_0, ms a new token", warm, bare),
        table(f"410M q8_0, ms to read a prompt of {len(prompt)} tokens", prompts, bare),
        *quantised(source, bundles, args.rounds),
        memory(bundle),
    ]
    print(f"\ntokens a second of the bare library's: {1 / ratios(warm, bare)['firstlight engine']:.3f}")
    return found


if __name__ == "__main__":
    main()
