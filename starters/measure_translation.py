"""Measures of a translation bundle as it ships: BLEU and chrF on the 1,000 held-out pairs of Tatoeba.

pip install sacrebleu
python starters/measure_translation.py --data path/to/data --bundle src/firstlight/starters/translate-en2fr
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import sacrebleu

from firstlight.runtime.model import Model

SHORT_WORDS = 3
MOST_REFERENCES = 6


def measure(bundle: Path, data: Path) -> dict[str, float]:
    """Scores of a bundle, by its own settings of the search.

    Returns:
        ``bleu`` and ``chrf`` against the one translation each pair has, ``bleu_all`` against all that Tatoeba
        knows, and ``chrf_short`` over the sentences of up to three words.
    """
    folder = data / "tatoeba-en-fr"
    sources = (folder / "test.en").read_text(encoding="utf-8").splitlines()
    reference = (folder / "test.fr").read_text(encoding="utf-8").splitlines()
    known = [found for _, found in json.loads((folder / "test.multiref.json").read_text(encoding="utf-8"))]
    most = min(max(map(len, known)), MOST_REFERENCES)
    references = [[found[n] if n < len(found) else "" for found in known] for n in range(most)]
    model = Model.load(bundle, verify="sizes")
    made = [model(text, {})[0]["translation_text"] for text in sources]
    short = [at for at, text in enumerate(sources) if len(text.split()) <= SHORT_WORDS]
    scores = {
        "bleu": sacrebleu.corpus_bleu(made, [reference]).score,
        "chrf": sacrebleu.corpus_chrf(made, [reference]).score,
        "bleu_all": sacrebleu.corpus_bleu(made, references).score,
        "chrf_short": sacrebleu.corpus_chrf([made[n] for n in short], [[reference[n] for n in short]]).score,
    }
    return {name: round(score, 1) for name, score in scores.items()}


def main() -> None:
    """Print the scores as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets"
    )
    parser.add_argument("--bundle", type=Path, required=True)
    options = parser.parse_args()
    print(json.dumps(measure(options.bundle, options.data)))


if __name__ == "__main__":
    main()
