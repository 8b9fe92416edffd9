"""Make the starter ``stories`` of a trained folder: a GGUF file, measured as it ships, and its card.

    python starters/make_stories.py --model out/stories --data path/to/data

Perplexity is that of the weights as they were trained. Their likeliest continuations by transformers are compared
with those of the file that ships, in eight bits, and of one in float32, which has to give the same.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from string import Template
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import GPTNeoXForCausalLM

import tales
from firstlight import starters
from firstlight.build.gguf import folder as gguf
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.model import Model
from replacements import REPLACEMENTS
from train_stories import measure

HERE = Path(__file__).parent
OUT = Path(starters.__file__).parent / "stories"
PRECISION, EXACT = "q8_0", "fp32"
SOURCE = {
    "repo": "trained by this project",
    "licence": "apache-2.0",
    "data": "public domain",
    "replace": REPLACEMENTS["stories"],
}
PROMPTS = (
    "Once upon a time there was a king who had",
    "The youngest daughter went into the dark forest, and there she saw",
    '"What is your name?" said the old woman.',
)
GREEDY_TOKENS = 40
SAMPLE = "Once upon a time there was a king who had"


def greedy_by_transformers(model: GPTNeoXForCausalLM, tokenizer: Tokenizer, prompt: str) -> str:
    """The likeliest continuation, by the weights as they were trained."""
    ids = torch.tensor([tokenizer.encode(prompt).ids])
    made = model.generate(
        ids, max_new_tokens=GREEDY_TOKENS, do_sample=False, repetition_penalty=1.0, pad_token_id=0
    )
    return str(tokenizer.decode(made[0, ids.shape[1] :].tolist(), skip_special_tokens=True))


def agreement(bundle: Path, model: GPTNeoXForCausalLM, tokenizer: Tokenizer) -> list[float]:
    """For each prompt the share of its likeliest continuation in which the bundle and transformers are alike."""
    ours = Model.load(bundle)
    asked = {
        "do_sample": False,
        "max_new_tokens": GREEDY_TOKENS,
        "repetition_penalty": 1.0,
        "return_full_text": False,
    }
    shares = []
    for prompt in PROMPTS:
        here = ours(prompt, asked)[0]["generated_text"]
        there = greedy_by_transformers(model, tokenizer, prompt)
        print(f"{prompt!r}\n  bundle       {here!r}\n  transformers {there!r}", flush=True)
        alike = next(
            (at for at, pair in enumerate(zip(here, there, strict=False)) if len({*pair}) > 1), len(there)
        )
        shares.append(alike / len(there))
    return shares


def card(bundle: Bundle, metrics: dict[str, Any], measured: dict[str, float], share: float) -> str:
    """The model card: the text in ``cards`` with what was measured put into it."""
    recipe, training, wishes = metrics["recipe"], metrics["training"], bundle.defaults["generation"]
    told = Model.load(OUT.with_name("stories"))(SAMPLE, {"seed": 1, "max_new_tokens": 90})[0][
        "generated_text"
    ]
    figures = [
        "| weights | perplexity | bits a character |",
        "|---|---|---|",
        f"| as trained | {measured['perplexity']:.1f} | {measured['bits_per_character']:.3f} |",
    ]
    template = Template((HERE / "cards" / "stories.md").read_text(encoding="utf-8"))
    return template.substitute(
        layers=recipe["layers"],
        width=recipe["width"],
        heads=recipe["heads"],
        parameters=f"{recipe['parameters'] / 1e6:.1f}",
        size=f"{sum(entry['size'] for entry in bundle.files.values()) / 1e6:.1f} MB",
        precision=bundle.precision,
        tales=training["tales"],
        characters=f"{training['characters'] / 1e6:.1f}",
        epochs=f"{training['epochs']:.1f}",
        minutes=round(training["seconds"] / 60),
        rate=recipe["plan"]["learning_rate"],
        batch=recipe["plan"]["batch"],
        dropout=recipe["dropout"],
        figures="\n".join(figures),
        prompts=len(PROMPTS),
        tokens=GREEDY_TOKENS,
        share=f"{share:.0%}",
        sample=told.replace("\n", "\n>\n> "),
        replace=REPLACEMENTS["stories"],
        **{name: wishes[name] for name in ("temperature", "top_p", "top_k", "repetition_penalty")},
    )


def main() -> None:
    """Convert, measure, write the card."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="the folder train_stories.py wrote")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    model = GPTNeoXForCausalLM.from_pretrained(options.model).eval()
    measured = measure(model, tokenizer, tales.read(options.data).measure)
    metrics = json.loads((options.model / "metrics.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        exact = gguf.convert(options.model, Path(folder) / "exact", precision=EXACT, name="stories")
        if min(agreement(exact, model, tokenizer)) < 1:
            raise SystemExit("error: the file in float32 does not go on as transformers does")
        made = gguf.convert(
            options.model, Path(folder) / "stories", precision=PRECISION, name="stories", source=SOURCE
        )
        shares = agreement(made, model, tokenizer)
        shutil.rmtree(OUT, ignore_errors=True)
        shutil.copytree(made, OUT)
    shutil.copyfile(HERE / "cards" / "stories.NOTICE", OUT / "NOTICE")
    text = card(Bundle.open(str(OUT)), metrics, measured, sum(shares) / len(shares))
    (OUT / "README.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
