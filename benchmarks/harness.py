"""Paired measurements: every variant runs once per round, in turn, so that a drifting machine slows all alike.

A figure is quoted as a ratio to a named baseline of the same round; the median over rounds is what is written down.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PACKAGES = (
    "onnxruntime",
    "ctranslate2",
    "tokenizers",
    "torch",
    "transformers",
    "starlette",
    "uvicorn",
    "numpy",
)


@dataclass
class Samples:
    """What one variant measured, one value a round, in the unit the benchmark names."""

    values: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Minimum, median and maximum."""
        return {"min": min(self.values), "median": statistics.median(self.values), "max": max(self.values)}


def paired(variants: Mapping[str, Callable[[], float]], rounds: int, warmup: int = 1) -> dict[str, Samples]:
    """Run every variant once per round, the order turning round by round.

    Args:
        variants: name -> a call that does the work once and returns its figure.
        rounds: how many counted rounds.
        warmup: rounds whose figures are thrown away.
    """
    samples = {name: Samples() for name in variants}
    names = list(variants)
    for turn in range(warmup + rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            value = variants[name]()
            if turn >= warmup:
                samples[name].values.append(value)
        print(f"  round {turn + 1}/{warmup + rounds}", file=sys.stderr, flush=True)
    return samples


def pin() -> None:
    """Keep this process and all it starts on one core: one thread for every variant, as Lambda gives at 1,769 MB."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def ratios(samples: Mapping[str, Samples], baseline: str) -> dict[str, float]:
    """Median over rounds of each variant's figure divided by the baseline's of the same round."""
    base = samples[baseline].values
    return {
        name: statistics.median(value / of for value, of in zip(sample.values, base, strict=True))
        for name, sample in samples.items()
    }


def ratios_of(values: Sequence[float], base: Sequence[float]) -> float:
    """Median over rounds of one figure divided by another of the same round."""
    return statistics.median(value / of for value, of in zip(values, base, strict=True))


def rounded(row: Mapping[str, object]) -> dict[str, object]:
    """A row of figures with no more digits than mean something."""
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in row.items()}


def machine() -> dict[str, object]:
    """The machine the figures come from, without its name."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def versions(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Versions of the packages that matter, those of this environment and what variants elsewhere said of theirs."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found | dict(extra or {})


def write(
    name: str, unit: str, tables: Sequence[Mapping[str, object]], extra_versions: Mapping[str, str]
) -> Path:
    """Write one result file: machine, date, versions and every table with its samples."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {
        "benchmark": name,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "unit": unit,
        "machine": machine(),
        "versions": versions(extra_versions),
        "tables": list(tables),
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def table(title: str, samples: Mapping[str, Samples], baseline: str) -> dict[str, object]:
    """One table: each variant's figures and its ratio to the baseline; also printed."""
    against = ratios(samples, baseline)
    print(f"\n{title} (baseline: {baseline})")
    print("| variant | min | median | max | ratio |\n|---|---|---|---|---|")
    rows = {}
    for name, sample in samples.items():
        figures = sample.summary()
        rows[name] = figures | {
            "ratio": against[name],
            "values": [round(value, 3) for value in sample.values],
        }
        print(
            f"| {name} | {figures['min']:.1f} | {figures['median']:.1f} | {figures['max']:.1f} | {against[name]:.2f} |"
        )
    return {"title": title, "baseline": baseline, "rows": rows}
