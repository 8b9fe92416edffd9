"""Tokenizers as GGUF files carry them. That they cut texts alike is shown in tests/parity/test_gguf.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import old_files
import pytest
from tokenizers import Regex, Tokenizer, pre_tokenizers

from firstlight.build.gguf import byte_level, sentence_pieces, tokenizer
from firstlight.build.gguf.vocabulary import BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, Vocabulary
from firstlight.runtime.errors import ConversionError

END = "<|endoftext|>"
SPACE = sentence_pieces.SPACE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    old_files.tokenizer(tmp_path)
    return tmp_path


def edit(folder: Path, **parts: Any) -> None:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | parts))


def settings(folder: Path, **values: Any) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(values))


def pieces(folder: Path, normalizer: Any = None, pre_tokenizer: Any = None, **model: Any) -> None:
    """A small tokenizer of SentencePiece's kind: a, b, ab, abab and the 256 bytes."""
    names = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{number:02X}>" for number in range(256)),
        SPACE,
        "a",
        "b",
        "ab",
        f"{SPACE}a",
    ]
    content = {
        "added_tokens": [
            {"id": number, "content": name, "special": True} for number, name in enumerate(names[:3])
        ],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "model": {
            "type": "BPE",
            "byte_fallback": True,
            "vocab": {name: number for number, name in enumerate(names)},
            "merges": [f"{SPACE} a", "a b"],
            **model,
        },
    }
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(content))
    settings(folder, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


LEGACY = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": SPACE},
        {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
    ],
}


def metaspace(scheme: str, split: bool = False) -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": split}


def test_byte_level_tokens_keep_their_letters(folder: Path) -> None:
    found = tokenizer.read(folder)
    theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert (found.model, found.pre) == ("gpt2", "gpt-2")
    assert [theirs.id_to_token(number) for number in range(len(found.tokens))] == list(found.tokens)
    assert found.kinds[0] == CONTROL
    assert set(found.kinds[1:]) == {NORMAL}
    assert found.ids == {"bos": 0, "eos": 0}
    assert found.flags == {"add_bos_token": False, "add_eos_token": False}
    assert found.merges[0].count(" ") == 1
    assert byte_level.text_bytes("Ġthe") == b" the"
    assert byte_level.text_bytes("Ã©") == "é".encode()
    assert byte_level.text_bytes(END) == END.encode()


@pytest.mark.parametrize(
    ("cutter", "ignores", "name"),
    [
        (pre_tokenizers.ByteLevel(add_prefix_space=False), False, "gpt-2"),
        (
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
            False,
            "smollm",
        ),
        ("llama-bpe", True, "llama-bpe"),
        ("llama-bpe", False, "smaug-bpe"),
        ("qwen2", False, "qwen2"),
        ("tekken", True, "tekken"),
        ("gpt-4o", False, "gpt-4o"),
    ],
)
def test_rules_are_known_by_what_they_do(folder: Path, cutter: Any, ignores: bool, name: str) -> None:
    if isinstance(cutter, str):
        pattern = next(rules[0] for (rules, _), known in byte_level._NAMES.items() if known == cutter)
        cutter = [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.pre_tokenizer = pre_tokenizers.Sequence(cutter) if isinstance(cutter, list) else cutter
    made.save(str(folder / "tokenizer.json"))
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    edit(folder, model=model | {"ignore_merges": ignores})
    assert tokenizer.read(folder).pre == name


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "a space before every text"),
        (
            {
                "pre_tokenizer": {
                    "type": "Sequence",
                    "pretokenizers": [{"type": "Whitespace"}, {"type": "ByteLevel"}],
                }
            },
            "no rules",
        ),
        ({"normalizer": {"type": "Lowercase"}}, "Lowercase"),
        ({"pre_tokenizer": None}, "BPE of a kind"),
        ({"post_processor": {"type": "BertProcessing"}}, "BertProcessing"),
        ({"pre_tokenizer": 3}, "tokenizer.json"),
        ({"added_tokens": [{"id": 10**9, "content": "x"}]}, "up to 1000000000"),
        ({"added_tokens": [{"id": -1, "content": "x"}]}, "numbers"),
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}}}, "WordPiece of a kind"),
        ({"model": 7}, "does not describe a tokenizer"),
    ],
)
def test_what_llama_cpp_does_otherwise_is_refused(folder: Path, parts: dict[str, Any], said: str) -> None:
    edit(folder, **parts)
    with pytest.raises(ConversionError, match=said):
        tokenizer.read(folder)


def test_composed_characters_are_told(folder: Path) -> None:
    edit(folder, normalizer={"type": "NFC"})
    (note,) = tokenizer.read(folder).notes
    assert "NFC" in note


def test_added_tokens_have_their_kinds(folder: Path) -> None:
    number = len(tokenizer.read(folder).tokens)
    added = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    more = [
        {"id": number, "content": "   ", "special": False},
        {"id": number + 2, "content": "<|im_end|>", "special": True, "rstrip": True},
    ]
    edit(folder, added_tokens=added + more)
    found = tokenizer.read(folder)
    assert found.tokens[number:] == ["   ", f"[PAD{number + 1}]", "<|im_end|>"]
    assert [found.kinds[number], found.kinds[number + 2]] == [USER_DEFINED, CONTROL]
    assert "<|im_end|>" in found.notes[0]


def test_tokens_that_end_an_answer(folder: Path) -> None:
    settings(folder, eos_token={"content": END})
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [5, 0, 7]}))
    assert tokenizer.read(folder).ids == {"bos": 0, "eos": 0, "eot": 5, "eom": 7}
    settings(folder)
    (folder / "generation_config.json").unlink()
    (folder / "config.json").write_text(json.dumps({"eos_token_id": 9, "bos_token_id": 4}))
    assert tokenizer.read(folder).ids == {"bos": 4, "eos": 9}
    (folder / "config.json").unlink()
    with pytest.raises(ConversionError, match="no token that ends a text"):
        tokenizer.read(folder)


def test_a_beginning_token_is_put_where_the_original_puts_one(folder: Path) -> None:
    single = [{"SpecialToken": {"id": END, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    edit(folder, post_processor={"type": "TemplateProcessing", "single": single})
    settings(folder, eos_token=END, bos_token=END)
    assert tokenizer.read(folder).flags == {"add_bos_token": True, "add_eos_token": False}
    settings(folder, eos_token=END, bos_token=END, tokenizer_class="LlamaTokenizerFast", add_bos_token=False)
    assert tokenizer.read(folder).flags["add_bos_token"] is False
    edit(folder, post_processor={"type": "TemplateProcessing", "single": single[:1] * 2 + single[1:]})
    with pytest.raises(ConversionError, match=r"puts .* before a text"):
        tokenizer.read(folder)


def test_the_chat_template(folder: Path) -> None:
    settings(folder, eos_token=END, chat_template="one")
    assert tokenizer.read(folder).template == "one"
    settings(
        folder,
        eos_token=END,
        chat_template=[{"name": "tools", "template": "x"}, {"name": "default", "template": "two"}],
    )
    assert tokenizer.read(folder).template == "two"
    (folder / "chat_template.jinja").write_text("three")
    found = tokenizer.read(folder)
    assert found.metadata(len(found.tokens))["tokenizer.chat_template"] == "three"


def test_sentence_pieces_get_scores(tmp_path: Path) -> None:
    pieces(tmp_path, normalizer=LEGACY)
    found = tokenizer.read(tmp_path)
    assert found.model == "llama"
    assert [found.kinds[number] for number in (0, 1, 3, 258, 259)] == [UNKNOWN, CONTROL, BYTE, BYTE, NORMAL]
    scores = dict(zip(found.tokens, found.scores, strict=True))
    assert scores[f"{SPACE}a"] == -1.0
    assert scores["ab"] == -2.0
    assert scores["a"] == sentence_pieces.LEAST
    assert found.flags["add_space_prefix"] is True
    assert found.notes == ()


@pytest.mark.parametrize(
    ("scheme", "prefix", "notes"), [("never", False, 0), ("always", True, 1), ("first", True, 2)]
)
def test_where_spaces_are_put_in_front(tmp_path: Path, scheme: str, prefix: bool, notes: int) -> None:
    pieces(tmp_path, pre_tokenizer=metaspace(scheme))
    found = tokenizer.read(tmp_path)
    assert found.flags["add_space_prefix"] is prefix
    assert len(found.notes) == notes


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"merges": [f"{SPACE} a"]}, "'a' and 'b' are not merged into 'ab'"),
        ({"merges": ["a b", f"{SPACE} a", "a b"]}, "do not stand together"),
        ({"merges": [f"{SPACE} a", "a b", "b a"]}, "into no token"),
    ],
)
def test_merges_without_scores_that_do_the_same_are_refused(
    tmp_path: Path, model: dict[str, Any], said: str
) -> None:
    pieces(tmp_path, normalizer=LEGACY, **model)
    with pytest.raises(ConversionError, match=said):
        tokenizer.read(tmp_path)


@pytest.mark.parametrize(
    ("normalizer", "cutter", "said"),
    [
        (None, None, "keeps spaces as they are"),
        ({"type": "NFKC"}, metaspace("always"), "NFKC"),
        (LEGACY, {"type": "Split"}, "a step Split"),
        (LEGACY, {"type": "Metaspace", "replacement": "_"}, "a step Metaspace"),
    ],
)
def test_spaces_that_are_treated_otherwise_are_refused(
    tmp_path: Path, normalizer: Any, cutter: Any, said: str
) -> None:
    pieces(tmp_path, normalizer, cutter)
    with pytest.raises(ConversionError, match=said):
        tokenizer.read(tmp_path)


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"has no tokenizer\.json"):
        tokenizer.read(tmp_path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tokens": ["a", "a"]}, "same text"),
        ({"ids": {"eos": 9}}, "the eos token is number 9 of 2 rows"),
        ({"ids": {"eos": -1}}, "number -1"),
    ],
)
def test_a_vocabulary_that_contradicts_itself_is_refused(changed: dict[str, Any], said: str) -> None:
    plain: dict[str, Any] = {"tokens": ["a", "b"], "kinds": [1, 1], "ids": {}, "flags": {}}
    with pytest.raises(ConversionError, match=said):
        Vocabulary("gpt2", **(plain | changed)).metadata(2)
