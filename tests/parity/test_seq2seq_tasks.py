"""What the encoder-decoder tasks ask of an engine and make of its answers, against transformers' pipelines.

The engine here is transformers itself, so that what may differ is the tasks' part: how lengths are counted, which
tokens are forced and around a source, how answers become text, and the shapes of answers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import seq2seq_models as small
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from firstlight.build.convert import ct2
from firstlight.build.convert.sentences import SENTENCES
from firstlight.runtime import tasks
from firstlight.runtime.deadline import NEVER, Deadline
from firstlight.runtime.generation.wishes import Hypothesis, Search
from firstlight.runtime.model import Model
from firstlight.runtime.tokenizers.hf import HfTokenizer

TEXTS = (
    "Robert Burns was born in Alloway, and the whole town sang.",
    "It 's late . Do n't go !",
    " two\n\nété 😀 ",
)
WORDS = ["the", "and", "town", "sang", "was", "born", "late", "go", "two", "in", "Robert", "whole"]


class Torch:
    """A ``SequenceEngine`` that is ``transformers.generate``."""

    units = "ids"

    def __init__(self, model: Any) -> None:
        self._model = model

    def search(
        self, source: Sequence[int], prefix: Sequence[int], search: Search, _: Deadline
    ) -> list[Hypothesis]:
        """The answers of ``generate`` to one source."""
        wished = {
            "num_beams": search.num_beams,
            "num_return_sequences": search.answers,
            "max_new_tokens": search.max_tokens + len(prefix),
            "min_new_tokens": search.min_tokens + len(prefix),
            "length_penalty": search.length_penalty,
            "early_stopping": search.early_stopping,
            "repetition_penalty": search.repetition_penalty,
            "no_repeat_ngram_size": search.no_repeat_ngram,
            "forced_bos_token_id": prefix[0] if prefix else None,
            "do_sample": False,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._model.generate(input_ids=torch.tensor([list(source)]), **wished)
        end = self._model.generation_config.eos_token_id
        answers = []
        for row in found.tolist():
            units = row[1 + len(prefix) :]
            whole = end in units
            answers.append(Hypothesis(units[: units.index(end)] if whole else units, 0.0, whole))
        return answers

    def stream(
        self, source: Sequence[int], prefix: Sequence[int], search: Search, deadline: Deadline
    ) -> Iterator[int]:
        """The same token by token, when all are known."""
        yield from self.search(source, prefix, search, deadline)[0].units  # type: ignore[misc]


class Side:
    """One model on both sides."""

    def __init__(self, model: Any, folder: Path, task: str, **defaults: Any) -> None:
        config = model.generation_config.to_diff_dict()
        self.bundle = SimpleNamespace(
            name="small", task=task, labels=[], digest="", defaults={"generation": config, **defaults}
        )
        self._engine = Torch(model)
        self._tokenizer = HfTokenizer(str(folder / "tokenizer.json"))
        names = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>"}
        theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **names)
        self._pipelines = {
            name: transformers.pipeline(name, model=model, tokenizer=theirs, device="cpu")
            for name in ("text2text-generation", "summarization", "translation_en_to_fr")
        }

    def ours(self, task: str, inputs: Any, **parameters: Any) -> Any:
        """The task's answer."""
        doing: Any = tasks.load(task, self.bundle, self._tokenizer)  # type: ignore[arg-type]
        items, single, checked = doing.check(inputs, {**tasks.implied(task), **parameters})
        found = [
            doing.answer(item, list(doing.stream(self._engine, item, checked, NEVER)), checked)
            for item in items
        ]
        return found[0] if single else found

    def theirs(self, task: str, inputs: Any, **parameters: Any) -> Any:
        """The pipeline's answer."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._pipelines[task](inputs, **parameters)


def tokenizer(folder: Path, metaspace: bool) -> None:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    if metaspace:
        letters = sorted({letter for text in TEXTS for letter in text if not letter.isspace()})
        pieces = [*((token, 0.0) for token in special), ("▁", -3.0), *((letter, -5.0) for letter in letters)]
        made = Tokenizer(models.Unigram([*pieces, *((f"▁{word}", -2.0) for word in WORDS)], 3))
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    else:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        made = Tokenizer(
            models.BPE({token: number for number, token in enumerate([*special, *alphabet])}, [])
        )
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    made.add_special_tokens(special)
    folder.mkdir(exist_ok=True)
    made.save(str(folder / "tokenizer.json"))


SIZES = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "init_std": 0.6, "max_position_embeddings": 256, "vocab_size": 320,
}  # fmt: skip


@pytest.fixture(scope="module", params=["marian", "bart"])
def side(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Side:
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("tasks") / request.param
    tokenizer(folder, request.param == "marian")
    model: Any
    if request.param == "marian":
        config = transformers.MarianConfig(
            pad_token_id=1, eos_token_id=2, decoder_start_token_id=1, forced_eos_token_id=None, **SIZES
        )
        model = transformers.MarianMTModel(config)
        chosen = {"max_length": 40, "bad_words_ids": [[1]]}
    else:
        model = transformers.BartForConditionalGeneration(
            transformers.BartConfig(decoder_start_token_id=2, **SIZES)
        )
        chosen = {
            "max_length": 40, "min_length": 8, "no_repeat_ngram_size": 3, "length_penalty": 2.0, "early_stopping": True,
            "forced_bos_token_id": 0, "forced_eos_token_id": 2,
        }  # fmt: skip
    start = 1 if request.param == "marian" else 2
    model.generation_config = transformers.GenerationConfig(
        pad_token_id=1, eos_token_id=2, decoder_start_token_id=start, num_beams=4, **chosen
    )
    return Side(model.eval(), folder, "translation", max_length=256, src_lang="en", tgt_lang="fr")


WISHES: list[dict[str, Any]] = [
    {},
    {"num_beams": 1},
    {"num_beams": 1, "repetition_penalty": 1.5, "no_repeat_ngram_size": 2},
    {"max_length": 12},
    {"max_length": 12, "num_beams": 1},
    {"max_new_tokens": 9, "num_beams": 3},
    {"max_length": 12, "min_length": 10},
    {"max_new_tokens": 14, "min_new_tokens": 12, "num_beams": 1},
    {"num_beams": 3, "num_return_sequences": 2, "max_length": 15},
    {"num_beams": 2, "length_penalty": -1.0, "early_stopping": "never"},
    {"num_beams": 2, "early_stopping": True, "length_penalty": 0.3},
    {"clean_up_tokenization_spaces": True},
]


@pytest.mark.parametrize("wishes", WISHES, ids=str)
@pytest.mark.parametrize("task", ["text2text-generation", "translation_en_to_fr"])
def test_answers_are_the_pipelines(side: Side, task: str, wishes: dict[str, Any]) -> None:
    # A text whose translation might not fit goes through in parts, which a pipeline does not.
    texts = TEXTS if task == "text2text-generation" else TEXTS[1:]
    for text in texts:
        assert side.ours(task, text, **wishes) == side.theirs(task, text, **wishes), text
    both = list(texts[-2:])
    assert side.ours(task, both, **wishes) == side.theirs(task, both, **wishes)


@pytest.mark.parametrize("wishes", WISHES, ids=str)
def test_summaries_are_the_pipelines(side: Side, wishes: dict[str, Any]) -> None:
    for text in TEXTS[:2]:
        assert side.ours("summarization", text, **wishes) == side.theirs("summarization", text, **wishes), (
            text
        )


# Bundles of every architecture, from the folder to the answer.

ASKED: dict[str, tuple[str, dict[str, str]]] = {
    "bart": ("summarization", {}),
    "pegasus": ("summarization", {}),
    "t5": ("text2text-generation", {}),
    "marian": ("translation_en_to_fr", {}),
    "mbart": ("translation", {"src_lang": "en_XX", "tgt_lang": "fr_XX"}),
    "nllb": ("translation", {"src_lang": "eng_Latn", "tgt_lang": "fra_Latn"}),
    "m2m100": ("translation", {"src_lang": "en", "tgt_lang": "fr"}),
}
COMMON = {"src_lang": "en", "tgt_lang": "fr"}
"""The same languages in codes that are some other model's."""


@pytest.mark.parametrize("name", ASKED)
def test_a_folder_answers_as_its_pipeline_does(tmp_path: Path, name: str) -> None:
    task, named = ASKED[name]
    small.MODELS[name](tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = transformers.pipeline(task, model=str(tmp_path / name), device="cpu")
    model = Model.load(ct2.convert(tmp_path / name, tmp_path / "bundle", task=task.partition("_")[0]))
    for text in (*SENTENCES[:4], "Where is the station?"):
        for wishes in ({"num_beams": 1, "max_new_tokens": 9}, {"num_beams": 3, "max_new_tokens": 12}):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = theirs(text, **named, **wishes)
            assert model(text, {**named, **wishes}, task=task) == expected, (text, wishes)
            if named:
                assert model(text, {**COMMON, **wishes}) == expected
            streamed = list(model.stream(text, {**named, **wishes}, task=task))
            said = "".join(event["token"]["text"] for event in streamed)
            assert [said] == [next(iter(answer.values())) for answer in expected]
