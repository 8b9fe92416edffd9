"""ONNX repositories of every architecture, token for token against ``transformers.generate`` on the same weights."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import onnx_exports
import pytest
import seq2seq_models
import torch
import transformers
from onnxruntime.quantization import QuantType, quantize_dynamic

from firstlight.build.convert import onnx_seq2seq
from firstlight.build.convert.sentences import SENTENCES
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines.onnx_seq2seq import OnnxSequence
from firstlight.runtime.generation.wishes import Search
from firstlight.runtime.model import Model

NEW_TOKENS = 18
SOURCES = 6
APART = ("bart", "nllb")  # exported as two decoders, the others as one


@dataclass(frozen=True)
class Pair:
    """The same weights on both sides."""

    folder: Path
    bundle: Path
    theirs: Any
    ours: OnnxSequence


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("onnx-seq2seq")

    @cache
    def make(name: str) -> Pair:
        folder = root / name
        seq2seq_models.MODELS[name](folder / "weights")
        onnx_exports.repository(folder / "weights", folder / "repository", merge=name not in APART)
        bundle = onnx_seq2seq.convert(folder / "repository", folder / "bundle")
        theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder / "weights").eval()
        return Pair(folder, bundle, theirs, OnnxSequence(Bundle.open(bundle)))

    return make


def sources(model: Any) -> list[list[int]]:
    """Sources of different lengths, each with the end token."""
    numbers = random.Random(4)
    size, end = model.config.vocab_size, model.config.eos_token_id
    return [
        [*(numbers.randrange(3, size - 1) for _ in range(numbers.randrange(0, 28))), end]
        for _ in range(SOURCES)
    ]


ASKED: dict[str, dict[str, Any]] = {
    "greedy": {"num_beams": 1},
    "greedy, penalised": {"num_beams": 1, "repetition_penalty": 1.7, "no_repeat_ngram_size": 2},
    "2 beams": {"num_beams": 2},
    "4 beams": {"num_beams": 4},
    "4 beams, early": {"num_beams": 4, "early_stopping": True, "length_penalty": 2.0},
    "4 beams, late": {"num_beams": 4, "early_stopping": "never", "length_penalty": 0.4},
    "4 beams, short": {"num_beams": 4, "length_penalty": -1.0},
    "4 beams, penalised": {"num_beams": 4, "repetition_penalty": 1.5, "no_repeat_ngram_size": 2},
    "3 beams, long": {"num_beams": 3, "min_new_tokens": 12},
    "4 beams, barred": {"num_beams": 4, "bad_words_ids": [[10], [11, 12]], "suppress_tokens": [13, 14],
                        "begin_suppress_tokens": [15, 16], "encoder_no_repeat_ngram_size": 2},
    "3 beams, begun and ended": {"num_beams": 3, "forced_bos_token_id": 21, "forced_eos_token_id": 22},
    "greedy, begun and ended": {"num_beams": 1, "forced_bos_token_id": 21, "forced_eos_token_id": [22, 20]},
    "2 beams, two ends": {"num_beams": 2, "eos_token_id": [2, 30, 31]},
}  # fmt: skip
RULES = {
    "bad_words_ids": "bad",
    "suppress_tokens": "suppressed",
    "begin_suppress_tokens": "suppressed_first",
    "encoder_no_repeat_ngram_size": "source_ngram",
    "forced_bos_token_id": "begin",
    "forced_eos_token_id": "forced_end",
    "eos_token_id": "end",
}
SEARCH = {
    "num_beams": "num_beams",
    "early_stopping": "early_stopping",
    "length_penalty": "length_penalty",
    "repetition_penalty": "repetition_penalty",
    "no_repeat_ngram_size": "no_repeat_ngram",
    "min_new_tokens": "min_tokens",
}


def theirs(side: Pair, source: list[int], asked: dict[str, Any]) -> Any:
    """What transformers generates: rows of tokens and their scores."""
    with torch.no_grad():
        return side.theirs.generate(
            torch.tensor([source]),
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            num_return_sequences=asked["num_beams"],
            return_dict_in_generate=True,
            output_scores=True,
            **{"repetition_penalty": 1.0, "bad_words_ids": None, **asked},
        )


def ours(side: Pair, source: list[int], asked: dict[str, Any]) -> Any:
    """The same by the engine: rows of tokens with those an answer begins and ends with, and scores."""
    rules = side.ours.rules
    changed = {name: asked[key] for key, name in RULES.items() if key in asked} | {
        "bad": asked.get("bad_words_ids", [])
    }
    changed = {name: value if isinstance(value, list | int) else [value] for name, value in changed.items()}
    for name in ("begin", "forced_end", "end"):
        changed[name] = (
            [changed[name]] if isinstance(changed.get(name), int) else changed.get(name, getattr(rules, name))
        )
    before = {name: getattr(rules, name) for name in changed}
    try:
        for name, value in changed.items():
            setattr(rules, name, value)
        begin = rules.begin
        wished = {name: asked[key] for key, name in SEARCH.items() if key in asked}
        wished["min_tokens"] = max(0, wished.get("min_tokens", 0) - len(begin))
        search = Search(max_tokens=NEW_TOKENS - len(begin), answers=asked["num_beams"], **wished)
        found = side.ours.search(source, begin, search, NEVER)
        return [[rules.start, *begin, *one.units] for one in found], [one.score for one in found], rules.end
    finally:
        for name, value in before.items():
            setattr(rules, name, value)


def bare(row: list[int], ends: list[int], pad: int) -> list[int]:
    """A row of transformers without the end and what fills it up."""
    for place, token in enumerate(row[1:], 1):
        if token in ends:
            return row[:place]
    while len(row) > 1 and row[-1] == pad:
        row = row[:-1]
    return row


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("name", seq2seq_models.MODELS)
def test_token_for_token(pair: Any, name: str, asked: str) -> None:
    side, wished = pair(name), dict(ASKED[asked])
    if "eos_token_id" in wished:
        wished["eos_token_id"] = [side.theirs.config.eos_token_id, *wished["eos_token_id"][1:]]
    for source in sources(side.theirs):
        expected = theirs(side, source, wished)
        rows, scores, ends = ours(side, source, wished)
        pad = side.theirs.generation_config.pad_token_id
        padded = [bare(row, ends, pad) for row in expected.sequences.tolist()]
        assert [bare(row, ends, pad) for row in rows] == padded
        if wished["num_beams"] > 1:
            assert scores == pytest.approx(expected.sequences_scores.tolist(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", seq2seq_models.MODELS)
def test_after_packing(pair: Any, name: str) -> None:
    side = pair(name)
    packed = OnnxSequence(Bundle.open(side.bundle))
    packed.settle()
    assert packed.packed
    for source in sources(side.theirs):
        for beams in (1, 4):
            search = Search(num_beams=beams, max_tokens=NEW_TOKENS, answers=beams)
            found = [one.units for one in packed.search(source, [], search, NEVER)]
            assert found == [one.units for one in side.ours.search(source, [], search, NEVER)]


@pytest.mark.filterwarnings("ignore::UserWarning")  # transformers recommends a package to Marian's tokenizer
@pytest.mark.parametrize("name", ["bart", "marian", "pegasus", "t5"])
def test_texts(pair: Any, name: str) -> None:
    side = pair(name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(side.folder / "weights")
    model = Model.load(side.bundle, verify="sizes")
    for text in SENTENCES[:8]:
        for beams in (1, 3):
            with torch.no_grad():
                row = side.theirs.generate(
                    **tokenizer(text, return_tensors="pt"),
                    num_beams=beams,
                    max_new_tokens=NEW_TOKENS,
                    do_sample=False,
                )[0]
            (answer,) = model(text, {"num_beams": beams, "max_new_tokens": NEW_TOKENS})
            expected = tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            assert next(iter(answer.values())).strip() == expected.strip()


@pytest.mark.parametrize("name", ["bart", "marian", "t5"])
def test_eight_bits(pair: Any, name: str, tmp_path: Path) -> None:
    """Dynamic quantisation by onnxruntime's own tool: our graphs against those, and the answers against fp32's."""
    side = pair(name)
    onnx_exports.repository(side.folder / "weights", tmp_path / "repository", merge=False)
    place = tmp_path / "repository/onnx"
    for file in list(place.glob("*.onnx")):
        quantize_dynamic(
            file, file.with_name(f"{file.stem}_quantized.onnx"), per_channel=True, weight_type=QuantType.QInt8
        )
    bundle = Bundle.open(onnx_seq2seq.convert(tmp_path / "repository", tmp_path / "bundle", precision="int8"))
    engine, agreed, total = OnnxSequence(bundle), 0, 0
    one = Search(max_tokens=2)  # the last may be forced
    for source in sources(side.theirs):
        row = side.ours.search(source, [], Search(max_tokens=NEW_TOKENS), NEVER)[0].units
        for length in range(len(row)):
            begun = [*side.ours.rules.begin, *row[:length]]
            agreed += engine.search(source, begun, one, NEVER)[0].units[:1] == row[length : length + 1]
        total += len(row)
    worst = bundle.parity["max_logprob_diff"]
    sys.stdout.write(
        f"{name} int8: {agreed / total:.3f} of the next tokens are fp32's; {worst} from its own graphs\n"
    )
    assert agreed / total > 0.6
