"""tokenizer.json of encoders from the files older repositories have; tests/parity compares with transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import random_bert
import small_pieces
from tokenizers import Tokenizer

from firstlight.build.convert import encoder, tokenizer
from firstlight.runtime.errors import ConversionError

FILES = {
    "bert": "vocab.txt", "roberta": "merges.txt", "albert": "spiece.model", "xlm-roberta": "sentencepiece.bpe.model",
         "camembert": "sentencepiece.bpe.model", "deberta-v2": "spm.model", "mpnet": "vocab.txt"}  # fmt: skip


WORDS = list(dict.fromkeys(random_bert.WORDS))


def wordpiece(folder: Path, words: list[str] = WORDS, **settings: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def written(folder: Path, model_type: str = "bert") -> Tokenizer:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    tokenizer.write(folder, out, model_type)
    return Tokenizer.from_file(str(out / "tokenizer.json"))


def test_a_vocabulary_alone_is_berts_tokenizer(tmp_path: Path) -> None:
    ours = written(wordpiece(tmp_path))
    described = random_bert.tokenizer() | {"padding": None, "truncation": None}
    described["model"]["vocab"] = {word: number for number, word in enumerate(WORDS)}
    theirs = Tokenizer.from_str(json.dumps(described))
    for text in ("The day was not with HER, [MASK]!", "they 123", ""):
        assert ours.encode(text).ids == theirs.encode(text).ids
        assert ours.encode(text, "and his").type_ids == theirs.encode(text, "and his").type_ids


def test_settings_of_the_tokenizer_are_followed(tmp_path: Path) -> None:
    upper = [*WORDS, "Day", "d", "é"]
    assert written(wordpiece(tmp_path / "a", upper, do_lower_case=False)).encode("Day").tokens[1] == "Day"
    assert written(wordpiece(tmp_path / "b", upper)).encode("Day").tokens[1] == "day"
    assert written(wordpiece(tmp_path / "c", upper, strip_accents=False)).encode("é").tokens[1] == "é"
    assert written(wordpiece(tmp_path / "d", upper)).encode("é").tokens[1] == "e"


def test_tokens_that_were_added_keep_their_numbers(tmp_path: Path) -> None:
    size = len(WORDS)
    folder = wordpiece(tmp_path / "new", added_tokens_decoder={
        str(size + 1): {"content": "[B]", "special": True}, str(size): {"content": "[A]", "special": False},
    })  # fmt: skip
    ours = written(folder)
    assert (ours.token_to_id("[A]"), ours.token_to_id("[B]")) == (size, size + 1)
    older = wordpiece(tmp_path / "old")
    (older / "added_tokens.json").write_text(json.dumps({"[B]": size + 1, "[A]": size}))
    assert written(older).get_vocab() == ours.get_vocab()
    (older / "added_tokens.json").write_text(json.dumps({"[B]": "x"}))
    with pytest.raises(ConversionError, match="no number"):
        written(older)


def test_a_folder_with_a_vocabulary_becomes_a_bundle_with_its_table(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model")
    described = random_bert.tokenizer()
    described["model"]["vocab"] = {word: number for number, word in enumerate(WORDS)}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    with_file = encoder.convert(folder, tmp_path / "one")
    (folder / "tokenizer.json").unlink()
    wordpiece(folder)
    without = encoder.convert(folder, tmp_path / "two")
    first, second = (json.loads((made / "bundle.json").read_text()) for made in (with_file, without))
    assert first["tokenizer"] == second["tokenizer"]
    assert second["tokenizer"]["kind"] == "wordpiece"


@pytest.mark.parametrize("model_type", FILES)
def test_the_missing_file_is_named(tmp_path: Path, model_type: str) -> None:
    with pytest.raises(ConversionError, match=FILES[model_type].replace(".", r"\.")):
        written(tmp_path, model_type)


@pytest.mark.parametrize("model_type", ["albert", "xlm-roberta", "camembert", "deberta-v2"])
def test_a_file_that_is_no_vocabulary_is_named(tmp_path: Path, model_type: str) -> None:
    (tmp_path / FILES[model_type]).write_bytes(b"nonsense")
    with pytest.raises(ConversionError, match=FILES[model_type].replace(".", r"\.")):
        written(tmp_path, model_type)


def test_a_vocabulary_of_another_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"no token '\[UNK\]'"):
        written(wordpiece(tmp_path, ["a", "b"]))
    (tmp_path / "spiece.model").write_bytes(small_pieces.trained())
    with pytest.raises(ConversionError, match=r"no token '\[CLS\]'"):
        written(tmp_path, "albert")


def test_a_tokenizer_of_another_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="BertJapaneseTokenizer"):
        written(wordpiece(tmp_path, tokenizer_class="BertJapaneseTokenizer"))
    assert written(wordpiece(tmp_path, tokenizer_class="BertTokenizerFast")).encode("a").tokens[1] == "a"
    assert (
        written(wordpiece(tmp_path, tokenizer_class="PreTrainedTokenizerFast")).encode("a").tokens[1] == "a"
    )
