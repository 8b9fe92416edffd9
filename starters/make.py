"""Make the starter bundles of the package from trained folders, measure what ships, and write their cards.

    python starters/make.py --data DATA --sentiment out/sentiment --lyrics out/lyrics --qa out/qa --minilm MINILM

Only the starters whose folder is given are made. The figures in a card come from the bundle as it ships: its own
precision, run by firstlight's own runtime, on texts the model was not trained on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from firstlight.build.convert import encoder
from firstlight.runtime.bundle import Bundle
from replacements import REPLACEMENTS
from shipped import measure

HERE = Path(__file__).parent
OUT = HERE.parent / "src" / "firstlight" / "starters"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True)
class Starter:
    """What is decided by hand about one bundle."""

    task: str
    precision: str
    source: Mapping[str, str]


OURS = {"repo": "trained by this project", "licence": "apache-2.0", "base": MINILM}
STARTERS = {
    "sentiment": Starter("text-classification", "int8", {**OURS, "data": "CC BY 4.0"}),
    "lyrics": Starter("text-classification", "int8", {**OURS, "data": "public domain"}),
    "qa": Starter("question-answering", "int8", {**OURS, "licence": "cc-by-sa-4.0"}),
    "embeddings": Starter("feature-extraction", "nb8", {"repo": MINILM, "licence": "apache-2.0"}),
}


def make(name: str, trained: Path, data: Path) -> dict[str, Any]:
    """Convert one folder, measure the bundle, write README.md and NOTICE beside it; returns the figures."""
    starter = STARTERS[name]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / name
        source = {**starter.source, "replace": REPLACEMENTS[name]}
        encoder.convert(
            trained, out, task=starter.task, precision=starter.precision, name=name, source=source
        )
        figures = measure(name, out, trained, data)
        (out / "README.md").write_text(card(name, out, trained, figures), encoding="utf-8")
        shutil.copyfile(HERE / "cards" / f"{name}.NOTICE", out / "NOTICE")
        shutil.rmtree(OUT / name, ignore_errors=True)
        shutil.copytree(out, OUT / name)
    return figures


def card(name: str, out: Path, trained: Path, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The model card: the text in ``cards`` with what was measured put into it."""
    bundle = Bundle.open(str(out))
    size = sum(entry["size"] for entry in bundle.files.values())
    metrics = trained / "metrics.json"
    measured = json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {}
    training = measured.get("training", {})
    template = Template((HERE / "cards" / f"{name}.md").read_text(encoding="utf-8"))
    return template.substitute(
        size=f"{size / 1e6:.1f} MB",
        precision=bundle.precision,
        figures=table(figures),
        parity=", ".join(f"{key.replace('_', ' ')} {value}" for key, value in sorted(bundle.parity.items())),
        calibrated=f"{measured.get('calibration', {}).get('examples', 0):,}",
        seen=f"{training.get('examples', 0):,}",
        minutes=round(training.get("seconds", 0) / 60),
        epochs=round(training.get("epochs", 0), 2),
        texts=f"{training.get('texts', 0):,}",
        replace=REPLACEMENTS[name],
    )


def table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The measures as a Markdown table, one row a test set."""
    columns = list(dict.fromkeys(column for row in figures.values() for column in row))
    lines = ["| held-out set | " + " | ".join(column.replace("_", " ") for column in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name, row in figures.items():
        cells = [str(row.get(column, "")) for column in columns]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Make the starters whose folders are named and print their figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of the data sets")
    for name in STARTERS:
        option = "minilm" if name == "embeddings" else name
        parser.add_argument(f"--{option}", type=Path, dest=name, help=f"the trained folder of {name}")
    options = vars(parser.parse_args())
    for name in STARTERS:
        if options[name]:
            print(name, json.dumps(make(name, options[name], options["data"]), indent=1))


if __name__ == "__main__":
    main()
