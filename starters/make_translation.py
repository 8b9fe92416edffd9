"""Make the starter ``translate-en2fr`` of a trained Marian model, measure it as it ships, and write its card.

pip install sacrebleu
python starters/make_translation.py --model out/translate-2 --data path/to/data
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from string import Template

from firstlight import starters
from firstlight.build import bundle as bundles
from firstlight.build.convert import ct2
from firstlight.runtime.bundle import Bundle
from measure_translation import measure
from replacements import REPLACEMENTS

HERE = Path(__file__).parent
NAME = "translate-en2fr"
OUT = Path(starters.__file__).parent / NAME
SOURCE = {
    "repo": "trained by this project",
    "licence": "apache-2.0",
    "data": "CC BY 2.0 FR",
    "replace": REPLACEMENTS[NAME],
}
FIRST_EPOCHS, FIRST_MINUTES = 5.2, 77
"""The first run's, whose weights the second began with."""


def card(bundle: Bundle, trained: Path, figures: dict[str, float]) -> str:
    """The model card: the text in ``cards`` with what was measured put into it."""
    training = json.loads((trained / "metrics.json").read_text(encoding="utf-8"))["training"]
    template = Template((HERE / "cards" / f"{NAME}.md").read_text(encoding="utf-8"))
    return template.substitute(
        figures,
        size=f"{sum(entry['size'] for entry in bundle.files.values()) / 1e6:.1f} MB",
        weights=f"{bundle.files['model.bin']['size'] / 1e6:.1f} MB",
        precision=bundle.precision,
        first_epochs=FIRST_EPOCHS,
        first_minutes=FIRST_MINUTES,
        epochs=training["epochs"],
        minutes=round(training["seconds"] / 60),
        replace=REPLACEMENTS[NAME],
    )


def one_at_a_time(folder: Path) -> None:
    """Say in bundle.json that the model knows single sentences alone."""
    content = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    content["defaults"]["by_sentence"] = True
    bundles.write(folder, {name: value for name, value in content.items() if name not in ("schema", "files")})


def main() -> None:
    """Convert, measure, write the card."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="the folder train_translation.py wrote")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = ct2.convert(options.model, Path(folder) / NAME, precision="int8", name=NAME, source=SOURCE)
        one_at_a_time(made)
        figures = measure(made, options.data)
        shutil.rmtree(OUT, ignore_errors=True)
        shutil.copytree(made, OUT)
    print(json.dumps(figures))
    shutil.copyfile(HERE / "cards" / f"{NAME}.NOTICE", OUT / "NOTICE")
    text = card(Bundle.open(str(OUT)), options.model, figures)
    (OUT / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
