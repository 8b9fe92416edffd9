"""Train the starter ``translate-en2fr``: a Marian model for short everyday sentences, from nothing or further.

    python starters/train_translation.py --data path/to/data --out out/translate --minutes 80
    python starters/train_translation.py --data path/to/data --out out/translate-2 --begin out/translate --minutes 70

Both runs read the pairs of Tatoeba. The second begins at a lower rate with the weights of the first, reads short
sentences more often, some of them without their full stop, and a page of greetings, which Tatoeba lacks.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

import sentencepiece
import torch
from transformers import MarianConfig, MarianMTModel

from data import letters
from loop import Plan, Run, seed_everything, train

WIDTH, FEED_FORWARD, ENCODER_LAYERS, DECODER_LAYERS, HEADS = 192, 768, 4, 2, 4
PIECES, LONGEST = 6000, 64
BATCH, DROPOUT, SMOOTHING, WEIGHT_DECAY = 128, 0.1, 0.1, 0.01
FIRST_RATE, FURTHER_RATE = 8e-4, 4e-4
SHORT_WORDS, BARE_SHARE, GREETING_TIMES = 3, 0.1, 12
SNAPSHOTS, CHECK_SECONDS = 6, 240
BEAMS, MOST_TOKENS = 4, 96
"""How answers are searched for, kept in the folder's generation_config.json."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The piece ids of a sentence and of its translation, each ending in ``</s>``."""

    source: list[int]
    target: list[int]

    @property
    def length(self) -> int:
        """What a batch is sorted by: the longer of the two."""
        return max(len(self.source), len(self.target))


def sentences(data: Path, split: str) -> list[tuple[str, str]]:
    """The pairs of a split of Tatoeba (CC BY 2.0 FR): "train", "dev" or "test"."""

    def lines(language: str) -> list[str]:
        file = data / "tatoeba-en-fr" / f"{split}.{language}"
        if file.is_file():
            return file.read_text(encoding="utf-8").splitlines()
        with gzip.open(f"{file}.gz", "rt", encoding="utf-8") as packed:
            return packed.read().splitlines()

    return list(zip(lines("en"), lines("fr"), strict=True))


def greetings(data: Path) -> list[tuple[str, str]]:
    """The pairs written by hand, less those whose English is held out."""
    held = {letters(english) for split in ("dev", "test") for english, _ in sentences(data, split)}
    lines = (Path(__file__).parent / "greetings.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [tuple(line.split("\t")) for line in lines]
    return [(english, french) for english, french in pairs if letters(english) not in held]


def bare(pair: tuple[str, str]) -> tuple[str, str]:
    """A pair without its full stops, as people type."""
    return pair[0].removesuffix("."), pair[1].removesuffix(".").rstrip()


def further(data: Path) -> list[tuple[str, str]]:
    """What a second run reads in one pass: all pairs, the short ones twice, some bare, and greetings."""
    pairs = sentences(data, "train")
    short = [pair for pair in pairs if len(pair[0].split()) <= SHORT_WORDS]
    stopped = [pair for pair in pairs if pair[0].endswith(".") and pair[1].endswith(".")]
    some = random.sample(stopped, int(len(pairs) * BARE_SHARE))
    return pairs + short + [bare(pair) for pair in some] + greetings(data) * GREETING_TIMES


class Vocabulary:
    """Pieces of one unigram model for both languages; one more id, the last, pads."""

    def __init__(self, file: Path) -> None:
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(file))
        self.pad: int = self.pieces.vocab_size()
        self.end: int = self.pieces.eos_id()

    def pairs(self, texts: list[tuple[str, str]]) -> list[Pair]:
        """The ids of sentence pairs, cut at the longest a batch takes."""
        source = self.pieces.encode([english for english, _ in texts])
        target = self.pieces.encode([french for _, french in texts])
        return [
            Pair([*a[:LONGEST], self.end], [*b[:LONGEST], self.end])
            for a, b in zip(source, target, strict=True)
        ]

    def block(self, rows: list[list[int]]) -> torch.Tensor:
        """Rows as one tensor, padded at their ends."""
        width = max(map(len, rows))
        return torch.tensor([row + [self.pad] * (width - len(row)) for row in rows])


def learn_pieces(data: Path, out: Path) -> None:
    """Make the unigram model of both languages, ``source.spm``; ``</s>`` has id 0 and ``<unk>`` id 1."""
    lines = [text for pair in sentences(data, "train") for text in pair]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=str(out / "source"), vocab_size=PIECES,
        character_coverage=1.0, eos_id=0, unk_id=1, bos_id=-1, pad_id=-1,
    )  # fmt: skip
    (out / "source.model").rename(out / "source.spm")


def build(vocabulary: Vocabulary) -> MarianMTModel:
    """A fresh model. Xavier's draw matters: with the library's own (0.02) it never learns to look at the source."""
    size = vocabulary.pad + 1
    model = MarianMTModel(
        MarianConfig(
            vocab_size=size, decoder_vocab_size=size, d_model=WIDTH,
            encoder_layers=ENCODER_LAYERS, decoder_layers=DECODER_LAYERS,
            encoder_attention_heads=HEADS, decoder_attention_heads=HEADS,
            encoder_ffn_dim=FEED_FORWARD, decoder_ffn_dim=FEED_FORWARD, max_position_embeddings=256,
            pad_token_id=vocabulary.pad, eos_token_id=vocabulary.end, decoder_start_token_id=vocabulary.pad,
            forced_eos_token_id=None, bos_token_id=None, activation_function="swish", dropout=DROPOUT,
            scale_embedding=True, share_encoder_decoder_embeddings=True, tie_word_embeddings=True,
        )
    )  # fmt: skip
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "embed_positions" not in name:
            torch.nn.init.xavier_uniform_(parameter)
    with torch.no_grad():
        model.model.shared.weight.normal_(0, WIDTH**-0.5)
    return model


def loss_of(
    model: MarianMTModel, vocabulary: Vocabulary, batch: list[Pair], smoothing: float
) -> torch.Tensor:
    """Cross-entropy of every target piece, told the pieces before it.

    The softmax leaves out the padding id: it shares its row with the embedding that decoding starts from, and
    that row must stay exactly zero, since CTranslate2 starts from zero whatever it holds.
    """
    source, target = vocabulary.block([p.source for p in batch]), vocabulary.block([p.target for p in batch])
    before = torch.cat([torch.full((len(batch), 1), vocabulary.pad), target[:, :-1]], 1)
    mask = (source != vocabulary.pad).long()
    states = model.model(input_ids=source, attention_mask=mask, decoder_input_ids=before, use_cache=False)
    real = target != vocabulary.pad
    logits = torch.nn.functional.linear(
        states.last_hidden_state[real], model.model.shared.weight[: vocabulary.pad]
    )
    return torch.nn.functional.cross_entropy(logits.float(), target[real], label_smoothing=smoothing)


class Keeper:
    """Averages the weights of the last minutes and keeps the best average, by loss on the development set."""

    def __init__(self, model: MarianMTModel, vocabulary: Vocabulary, aside: list[Pair], out: Path) -> None:
        self.model, self.vocabulary, self.out = model, vocabulary, out
        self.aside = sorted(aside, key=lambda pair: pair.length)
        self.snapshots: deque[dict[str, torch.Tensor]] = deque(maxlen=SNAPSHOTS)
        self.best, self.checked = float("inf"), 0.0

    def watch(self, _run: Run) -> None:
        """Take the weights of the minute; measure their average now and then."""
        self.snapshots.append({name: value.clone() for name, value in self.model.state_dict().items()})
        if time.monotonic() - self.checked > CHECK_SECONDS:
            self.check()
            self.checked = time.monotonic()

    def check(self) -> None:
        """Measure the average of the snapshots and save it if it is the best so far."""
        own = {name: value.clone() for name, value in self.model.state_dict().items()}
        kept = self.snapshots or [own]
        self.model.load_state_dict({n: sum(shot[n] for shot in kept) / len(kept) for n in own})
        loss = self.loss()
        print(f"  aside: loss {loss:.4f} (average of {len(kept)}), best {self.best:.4f}", flush=True)
        if loss < self.best:
            self.best = loss
            self.model.save_pretrained(self.out)
        self.model.load_state_dict(own)

    def loss(self) -> float:
        """Mean loss of the development set's batches, without smoothing."""
        training = self.model.training
        self.model.eval()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            parts = [self.aside[at : at + BATCH] for at in range(0, len(self.aside), BATCH)]
            losses = [loss_of(self.model, self.vocabulary, part, 0.0).item() for part in parts]
        self.model.train(training)
        return sum(losses) / len(losses)


def save_vocabulary(vocabulary: Vocabulary, out: Path) -> None:
    """Write what Marian's tokenizer in transformers reads beside the weights and the SentencePiece model."""
    entries = {vocabulary.pieces.id_to_piece(index): index for index in range(vocabulary.pad)}
    entries["<pad>"] = vocabulary.pad
    (out / "vocab.json").write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
    shutil.copyfile(out / "source.spm", out / "target.spm")
    config = {"source_lang": "en", "target_lang": "fr", "unk_token": "<unk>", "eos_token": "</s>"}
    config |= {"pad_token": "<pad>", "model_max_length": 128, "tokenizer_class": "MarianTokenizer"}
    (out / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--begin", type=Path, help="the folder of a first run, to go on from")
    parser.add_argument("--minutes", type=float, default=70, help="the time box of the training")
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Read, train, save."""
    options = arguments()
    torch.set_num_threads(options.threads)
    seed_everything(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.begin:
        shutil.copyfile(options.begin / "source.spm", options.out / "source.spm")
    else:
        learn_pieces(options.data, options.out)
    vocabulary = Vocabulary(options.out / "source.spm")
    save_vocabulary(vocabulary, options.out)
    model = MarianMTModel.from_pretrained(options.begin) if options.begin else build(vocabulary)
    model.generation_config.update(num_beams=BEAMS, max_length=MOST_TOKENS)
    with torch.no_grad():
        model.model.shared.weight[vocabulary.pad].zero_()
    texts = further(options.data) if options.begin else sentences(options.data, "train")
    examples = vocabulary.pairs(texts)
    print(f"translate-en2fr: {len(examples):,} pairs a pass", flush=True)
    rate = FURTHER_RATE if options.begin else FIRST_RATE
    plan = Plan(options.epochs, options.minutes, rate, BATCH, options.seed, 0.05, WEIGHT_DECAY)
    keeper = Keeper(model, vocabulary, vocabulary.pairs(sentences(options.data, "dev")), options.out)
    keeper.check()
    run = train(
        model,
        examples,
        lambda batch: loss_of(model, vocabulary, batch, SMOOTHING),
        lambda pair: pair.length,
        plan,
        keeper.watch,
    )
    keeper.check()
    keeper.snapshots.clear()
    keeper.check()
    metrics = {
        "starter": "translate-en2fr",
        "recipe": {"dropout": DROPOUT, "label_smoothing": SMOOTHING, "plan": asdict(plan)},
        "training": asdict(run) | {"pairs": len(examples), "epochs": round(run.examples / len(examples), 2)},
        "tests": {"dev_loss": round(keeper.best, 4)},
    }
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(metrics, indent=2), flush=True)


if __name__ == "__main__":
    main()
