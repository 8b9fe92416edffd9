"""Train the starter ``stories``: a small language model of Pythia's architecture that has read four books of tales.

    python starters/train_stories.py --data path/to/data --out out/stories --minutes 80

The books are small for a language model, so what is kept is the moment at which it did best on tales kept aside.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

import tales
from loop import Plan, Run, seed_everything, train

END = "<|endoftext|>"
VOCABULARY, WIDTH, LAYERS, HEADS, CONTEXT = 4096, 256, 5, 4, 512
WINDOW, BATCH, LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 256, 8, 1.5e-3, 0.1, 0.1
CHECK_SECONDS = 150
WISHES = GenerationConfig(
    do_sample=True,
    temperature=0.7,
    top_k=40,
    top_p=0.9,
    repetition_penalty=1.1,
    max_new_tokens=120,
    bos_token_id=0,
    eos_token_id=0,
)
"""How a model this small writes best: its likeliest words soon repeat themselves, its unlikely ones make no sense."""


def tokenizer_of(texts: tuple[str, ...]) -> Tokenizer:
    """A byte-level BPE made from the training tales alone; ``<|endoftext|>``, id 0, is put before every text.

    Without it a prompt is read as the middle of some tale; with it, as a tale's first words.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([line for text in texts for line in text.split("\n")], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{END} $A", special_tokens=[(END, 0)])
    return tokenizer


def build(dropout: float = DROPOUT) -> GPTNeoXForCausalLM:
    """The model, freshly drawn. Its two embeddings are one while it trains, which suits so little text."""
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=4 * WIDTH,
            max_position_embeddings=CONTEXT,
            rotary_pct=0.25,
            use_parallel_residual=True,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
            hidden_dropout=dropout,
            attention_dropout=0.0,
        )
    )


def ids_of(tokenizer: Tokenizer, texts: tuple[str, ...]) -> torch.Tensor:
    """All texts in one row of ids, each after its ``<|endoftext|>``, and one at the end."""
    return torch.tensor([*(token for text in texts for token in tokenizer.encode(text).ids), 0])


def nats(model: GPTNeoXForCausalLM, ids: torch.Tensor) -> float:
    """Mean cross-entropy of each token of a text, read in windows whose second half is scored.

    So every token but the first ones is told after at least half a window of text, as when a story goes on.
    """
    training, half, sums, count = model.training, WINDOW // 2, 0.0, 0
    model.eval()
    with torch.no_grad():
        for at in range(0, len(ids) - 1, half):
            start = max(0, at - half)
            row = ids[start : at + half + 1]
            logits = model(row[None, :-1]).logits[0, at - start :]
            wanted = row[at - start + 1 :]
            sums += torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="sum").item()
            count += len(wanted)
    model.train(training)
    return sums / count


def fit(model: GPTNeoXForCausalLM, ids: torch.Tensor, plan: Plan, watch: Callable[[Run], None]) -> Run:
    """Train on windows of the text; each starts at a place of its own in every pass."""
    starts = list(range(0, len(ids) - 2 * WINDOW, WINDOW))

    def loss_of(batch: list[int]) -> torch.Tensor:
        rows = [ids[at : at + WINDOW + 1] for at in (start + random.randrange(WINDOW) for start in batch)]
        block = torch.stack(rows)
        logits = model(block[:, :-1], use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), block[:, 1:].flatten())

    return train(model, starts, loss_of, lambda _: WINDOW, plan, watch)


class Keeper:
    """Keeps the weights that did best on the tales kept aside, on disk at once: a run may be stopped at any time."""

    def __init__(
        self, model: GPTNeoXForCausalLM, tokenizer: Tokenizer, aside: torch.Tensor, out: Path
    ) -> None:
        self.model, self.tokenizer, self.aside, self.out = model, tokenizer, aside, out
        self.best, self.at, self.checked = math.inf, 0.0, 0.0

    def watch(self, run: Run) -> None:
        """Measure now and then."""
        if time.monotonic() - self.checked > CHECK_SECONDS:
            self.check(run)
            self.checked = time.monotonic()

    def check(self, run: Run) -> None:
        """Measure, and save if it is the best so far."""
        loss = nats(self.model, self.aside)
        print(f"  aside: loss {loss:.4f}, perplexity {math.exp(loss):.1f}, best {self.best:.4f}", flush=True)
        if loss < self.best:
            self.best, self.at = loss, run.tokens
            save(self.model, self.tokenizer, self.out)


def save(model: GPTNeoXForCausalLM, tokenizer: Tokenizer, out: Path) -> None:
    """Write a Hugging Face folder. The output embedding is written out, as most readers of NeoX expect it."""
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    weights["embed_out.weight"] = weights["gpt_neox.embed_in.weight"].clone()
    model.config.tie_word_embeddings = False
    model.generation_config = WISHES
    model.save_pretrained(out, state_dict=weights)
    model.config.tie_word_embeddings = True
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, model_max_length=CONTEXT
    ).save_pretrained(out)


def measure(model: GPTNeoXForCausalLM, tokenizer: Tokenizer, text: str) -> dict[str, float]:
    """Perplexity of a token, and bits of a character, which compare models of different vocabularies."""
    ids = torch.tensor(tokenizer.encode(text).ids)
    loss = nats(model, ids)
    bits = loss * (len(ids) - 1) / len(text) / math.log(2)
    return {
        "perplexity": round(math.exp(loss), 2),
        "bits_per_character": round(bits, 4),
        "tokens": len(ids) - 1,
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--minutes", type=float, default=80, help="the time box of the training")
    parser.add_argument("--epochs", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Read, train, measure, save."""
    options = arguments()
    torch.set_num_threads(options.threads)
    seed_everything(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    read = tales.read(options.data)
    tokenizer = tokenizer_of(read.train)
    ids = ids_of(tokenizer, read.train)
    characters = sum(map(len, read.train))
    model = build()
    size = sum(parameter.numel() for parameter in model.parameters())
    print(
        f"stories: {len(read.train)} tales, {characters:,} characters, {len(ids):,} tokens; {size:,} parameters",
        flush=True,
    )
    plan = Plan(options.epochs, options.minutes, LEARNING_RATE, BATCH, options.seed, 0.03, WEIGHT_DECAY)
    keeper = Keeper(model, tokenizer, ids_of(tokenizer, (read.choose,)), options.out)
    run = fit(model, ids, plan, keeper.watch)
    keeper.check(run)
    best = GPTNeoXForCausalLM.from_pretrained(options.out).eval()
    metrics = {
        "starter": "stories",
        "recipe": {"layers": LAYERS, "width": WIDTH, "heads": HEADS, "vocabulary": VOCABULARY}
        | {"parameters": size}
        | {"dropout": DROPOUT, "window": WINDOW, "plan": asdict(plan)},
        "training": asdict(run)
        | {"tales": len(read.train), "characters": characters, "text_tokens": len(ids)}
        | {"epochs": round(run.tokens / len(ids), 2), "best_at_epoch": round(keeper.at / len(ids), 2)},
        "tests": {"held_out": measure(best, tokenizer, read.measure)},
    }
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(metrics, indent=2), flush=True)


if __name__ == "__main__":
    main()
