"""Train the starter ``qa``: it answers a question with a span of a text, or says that there is none in it.

    python starters/train_qa.py --data path/to/data --out out/qa --minutes 50

The questions are those of SQuAD's development sets, less ten articles kept for measuring, and of QAMR. A
question without an answer points at the first token, as Hugging Face's ``handle_impossible_answer``
expects.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import BertForQuestionAnswering

import data as sources
from data import Question
from encoder import build, load_base, save
from evaluate import measure_qa
from loop import Plan, Run, seed_everything, train
from spans import STRIDE, WINDOW, Window, inputs, point, windows

LAYERS, DROPOUT, LEARNING_RATE, BATCH = 6, 0.1, 2e-4, 24
PASSES = 3
QAMR_QUESTIONS, STRAYS = 30_000, 3_000


def examples_of(tokenizer: Tokenizer, question: Question) -> list[Window]:
    """The windows to train on for one question: one that holds a random answer of it, or the first."""
    stretches = windows(tokenizer, question)
    if not question.answers:
        return stretches[:1]
    answer = random.choice(question.answers)
    return [window for window in (point(stretch, answer) for stretch in stretches) if window.start][:1]


def training_questions(data: Path) -> list[Question]:
    """Every question of one run: SQuAD several times, QAMR once, and some of QAMR with a wrong sentence.

    Without the strays a lone sentence would always hold an answer.
    """
    answered = list(sources.squad(data, "1.1", held_out=False))
    impossible = [question for question in sources.squad(data, "2.0", held_out=False) if not question.answers]
    qamr = list({(question.text, question.context): question for question in sources.qamr(data)}.values())
    random.shuffle(qamr)
    strays = [
        Question(question.text, other.context, ())
        for question, other in zip(qamr[:STRAYS], reversed(qamr), strict=False)
        if question.context != other.context
    ]
    print(
        f"qa: {PASSES} passes over {len(answered):,} answered and {len(impossible):,} impossible "
        f"questions of SQuAD, one over {len(qamr[:QAMR_QUESTIONS]):,} of QAMR and {len(strays):,} strays",
        flush=True,
    )
    return (answered + impossible) * PASSES + qamr[:QAMR_QUESTIONS] + strays


def fit(model: BertForQuestionAnswering, examples: list[Window], plan: Plan) -> Run:
    """Train on the cross-entropy of the span's first and last token."""

    def loss_of(batch: list[Window]) -> torch.Tensor:
        output = model(**inputs(batch))
        entropy = torch.nn.functional.cross_entropy
        first = entropy(output.start_logits.float(), torch.tensor([window.start for window in batch]))
        last = entropy(output.end_logits.float(), torch.tensor([window.end for window in batch]))
        return (first + last) / 2

    return train(model, examples, loss_of, lambda window: len(window.ids), plan)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--minutes", type=float, default=50, help="the time box of the training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--test-questions", type=int, default=1000)
    return parser.parse_args()


def main() -> None:
    """Read, train, measure, save."""
    options = arguments()
    torch.set_num_threads(options.threads)
    seed_everything(options.seed)
    base = load_base()
    tokenizer = base.tokenizer
    examples = [w for question in training_questions(options.data) for w in examples_of(tokenizer, question)]
    print(f"qa: {len(examples):,} windows, {sum(len(w.ids) for w in examples):,} tokens", flush=True)
    # Attention weights are not dropped: drawing random numbers for them takes a quarter of the time.
    settings = {"hidden_dropout_prob": DROPOUT, "attention_probs_dropout_prob": 0.0}
    model = build(BertForQuestionAnswering, base, LAYERS, attn_implementation="eager", **settings)
    plan = Plan(1, options.minutes, LEARNING_RATE, BATCH, options.seed)
    run = fit(model, examples, plan)
    save(model, base, options.out, WINDOW)
    metrics = {
        "starter": "qa",
        "data": sources.CREDITS["qa"],
        "recipe": {"layers": LAYERS, "window": WINDOW, "stride": STRIDE, "dropout": DROPOUT, "passes": PASSES}
        | {"vocabulary": base.config["vocab_size"], "plan": asdict(plan)},
        "training": asdict(run)
        | {"windows": len(examples), "share_seen": round(run.examples / len(examples), 3)},
        "tests": measure_qa(model, tokenizer, options.data, options.test_questions),
    }
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(metrics, indent=2), flush=True)


if __name__ == "__main__":
    main()
