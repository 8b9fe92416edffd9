"""tokenizer.json made of SentencePiece files cuts texts as SentencePiece does, with the ids of the model's family."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import small_pieces
from tokenizers import Tokenizer

from firstlight.build.convert import tokenizer
from firstlight.build.convert.tokenizer import languages
from firstlight.runtime import tokenizers
from firstlight.runtime.errors import ConversionError


def made(folder: Path, model_type: str, **more: Any) -> tuple[tokenizer.Vocabulary, Any]:
    """What was written, and the runtime's reading of it."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    vocabulary = tokenizer.add(folder, out, model_type, **more)
    settings = vocabulary.settings or {"kind": "tokenizers"}
    bundle: Any = SimpleNamespace(tokenizer=settings, path=str(out), file=lambda name: str(out / name))
    return vocabulary, tokenizers.load(bundle)


def configured(folder: Path, **settings: Any) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize(
    "more", [{}, {"normalization_rule_name": "identity"}, {"remove_extra_whitespaces": False},
             {"add_dummy_prefix": False}, {"split_by_whitespace": False}],
    ids=["usual", "identity", "untrimmed", "unprefixed", "crossing"],
)  # fmt: skip
def test_t5_ids_are_those_of_the_file(tmp_path: Path, kind: str, more: dict[str, Any]) -> None:
    content = small_pieces.trained(kind, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, **more)
    (tmp_path / "spiece.model").write_bytes(content)
    configured(tmp_path, extra_ids=2)
    vocabulary, ours = made(tmp_path, "t5")
    reference = small_pieces.reference(content)
    for text in small_pieces.TEXTS:
        assert ours.encode(text).ids == [*reference.encode(text), 1], text
    assert vocabulary.source[-2:] == ["<extra_id_1>", "<extra_id_0>"]
    assert ours.encode("a <extra_id_0>").ids[-2] == len(vocabulary.source) - 1


def test_bytes_stand_for_what_no_piece_covers(tmp_path: Path) -> None:
    content = small_pieces.trained(
        byte_fallback=True, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, vocab_size=400, character_coverage=0.99
    )
    (tmp_path / "spiece.model").write_bytes(content)
    _, ours = made(tmp_path, "t5")
    reference = small_pieces.reference(content)
    for text in ("日本語", "a 日 b"):
        ids = ours.encode(text).ids
        assert ids[:-1] == reference.encode(text)
        assert ours.decode(ids) == text


@pytest.mark.parametrize(
    ("name", "codes", "around"),
    [
        ("MBartTokenizer", languages.MBART, lambda ids: [*ids, "</s>", "en_XX"]),
        ("MBart50Tokenizer", languages.MBART50, lambda ids: ["en_XX", *ids, "</s>"]),
        ("NllbTokenizerFast", languages.NLLB, lambda ids: ["eng_Latn", *ids, "</s>"]),
    ],
)
def test_fairseq_put_four_tokens_in_front_and_languages_behind(
    tmp_path: Path, name: str, codes: tuple[str, ...], around: Any
) -> None:
    content = small_pieces.trained()
    (tmp_path / "sentencepiece.bpe.model").write_bytes(content)
    configured(tmp_path, tokenizer_class=name)
    vocabulary, ours = made(tmp_path, "mbart" if name.startswith("MB") else "m2m_100")
    reference = small_pieces.reference(content)
    for text in small_pieces.TEXTS:
        ids = [one + 1 if one else 3 for one in reference.encode(text)]
        assert ours.encode(text).ids == [one if isinstance(one, int) else ours.id(one) for one in around(ids)]
    size = reference.get_piece_size()
    assert vocabulary.source[:4] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert vocabulary.source[size + 1 :] == [*codes, "<mask>"]
    assert vocabulary.marked > set(codes)


def test_tokens_that_were_added_follow_in_the_order_of_their_ids(tmp_path: Path) -> None:
    content = small_pieces.trained()
    (tmp_path / "sentencepiece.bpe.model").write_bytes(content)
    first = small_pieces.reference(content).get_piece_size() + 1
    listed = {
        str(first + place): {"content": text} for place, text in enumerate(["<mask>", "eng_Latn", "new"])
    }
    configured(tmp_path, tokenizer_class="NllbTokenizer", added_tokens_decoder=listed)
    vocabulary, ours = made(tmp_path, "m2m_100")
    assert vocabulary.source[first:] == ["<mask>", "eng_Latn", "new"]
    assert ours.encode("a new day").ids[0] == first + 1
    configured(
        tmp_path, tokenizer_class="NllbTokenizer", added_tokens_decoder={str(first + 5): {"content": "x"}}
    )
    with pytest.raises(ConversionError, match="do not follow a vocabulary"):
        made(tmp_path, "m2m_100")


def test_pegasus_keeps_room_for_its_training(tmp_path: Path) -> None:
    content = small_pieces.trained(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    (tmp_path / "spiece.model").write_bytes(content)
    vocabulary, ours = made(tmp_path, "pegasus")
    reference = small_pieces.reference(content)
    for text in small_pieces.TEXTS:
        assert ours.encode(text).ids == [*(one + 103 for one in reference.encode(text)), 1]
    assert vocabulary.source[:6] == ["<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk_2>", "<unk_3>"]
    assert vocabulary.source[105] == "<unk>"


@pytest.mark.parametrize("missing", [0, 9])
def test_m2m100_has_a_vocabulary_of_its_own(tmp_path: Path, missing: int) -> None:
    content = small_pieces.trained("bpe")
    (tmp_path / "sentencepiece.bpe.model").write_bytes(content)
    reference = small_pieces.reference(content)
    names = [reference.id_to_piece(number) for number in range(3, reference.get_piece_size() - missing)]
    ids = {token: number for number, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *reversed(names)])}
    (tmp_path / "vocab.json").write_text(json.dumps(ids))
    vocabulary, ours = made(tmp_path, "m2m_100")
    english = len(ids) + languages.M2M100.index("en")
    for text in small_pieces.TEXTS:
        pieces = reference.encode(text, out_type=str)
        assert ours.encode(text).ids == [english, *(ids.get(piece, 3) for piece in pieces), 2]
    assert vocabulary.source[english] == "__en__"
    assert len(vocabulary.source) == len(ids) + 100


@pytest.mark.parametrize("missing", [0, 9])
def test_marian_has_one_vocabulary_of_two_files(tmp_path: Path, missing: int) -> None:
    ids = small_pieces.marian(tmp_path, missing)
    vocabulary, ours = made(tmp_path, "marian")
    reference = small_pieces.reference(small_pieces.trained())
    for text in small_pieces.TEXTS:
        expected = [ids.get(piece, 1) for piece in reference.encode(text, out_type=str)]
        assert ours.encode(text).ids == [*expected, 0], text
        assert len(ours.encode(text).sequence_ids) == len(expected) + 1
    assert ours.encode(">>fr<< a").ids[0] == ids[">>fr<<"]
    assert vocabulary.source == vocabulary.target == list(ids)


def test_an_answer_has_tokens_that_no_source_is_cut_into(tmp_path: Path) -> None:
    ids = small_pieces.marian(tmp_path)
    _, ours = made(tmp_path, "marian")
    french = small_pieces.reference(small_pieces.trained(lines="french"))
    for text in small_pieces.FRENCH:
        written = [ids[piece] for piece in french.encode(text, out_type=str) if piece in ids]
        assert ours.decode([*written, ids["</s>"], ids["<pad>"]]) == french.decode(
            [piece for piece in french.encode(text, out_type=str) if piece in ids]
        )
        assert [ours.token(one) for one in written] == [
            p for p in french.encode(text, out_type=str) if p in ids
        ]
        assert b"".join(ours.bytes_of(one) for one in written).decode() == " " + ours.decode(written)


def test_two_vocabularies_do_not_share_numbers(tmp_path: Path) -> None:
    ids = small_pieces.marian(tmp_path, separate=True)
    vocabulary, ours = made(tmp_path, "marian")
    assert vocabulary.source == list(ids)
    assert vocabulary.target != vocabulary.source
    source = ours.encode("What a day.").ids
    assert max(source) < len(ids)
    assert [ours.token(one) for one in source] == [list(ids)[one] for one in source]
    number = ours.id("▁Le") or ours.id(vocabulary.target[5])
    assert number >= len(ids)
    assert ours.token(number) in vocabulary.target
    _, by_id = made(tmp_path, "marian", tokens=False)
    assert by_id.token(5) == vocabulary.target[5]


def test_byte_level_files(tmp_path: Path) -> None:
    from tokenizers import ByteLevelBPETokenizer

    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trained.train_from_iterator(
        small_pieces.SENTENCES, vocab_size=400, special_tokens=special, show_progress=False
    )
    trained.save_model(str(tmp_path))
    vocabulary, ours = made(tmp_path, "bart")
    for text in small_pieces.TEXTS:
        assert ours.encode(text).ids == [0, *trained.encode(text).ids, 2]
        assert ours.decode(ours.encode(text).ids) == text
    assert vocabulary.source[-1] == "<mask>"
    (tmp_path / "merges.txt").write_text("#version: 0.2\nunheard of\n")
    with pytest.raises(ConversionError, match="do not fit"):
        made(tmp_path, "bart")


def test_a_tokenizer_json_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(small_pieces.trained(pad_id=0, eos_id=1, unk_id=2, bos_id=-1))
    first, _ = made(tmp_path, "t5")
    (tmp_path / "spiece.model").unlink()
    (tmp_path / "out/tokenizer.json").rename(tmp_path / "tokenizer.json")
    second, _ = made(tmp_path, "t5")
    assert second.source == first.source
    assert second.settings == {}
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConversionError, match="is not a tokenizer"):
        made(tmp_path, "t5")


@pytest.mark.parametrize(
    ("model_type", "file"),
    [
        ("t5", "spiece.model"),
        ("mbart", "sentencepiece.bpe.model"),
        ("marian", "source.spm"),
        ("bart", "merges.txt"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, model_type: str, file: str) -> None:
    with pytest.raises(ConversionError, match=f"neither tokenizer.json nor {file}") as caught:
        made(tmp_path, model_type)
    assert "download" in caught.value.hint


@pytest.mark.parametrize(
    "content", ["[]", '{"a": 0}', '{"<unk>": 0, "a": 0}', '{"<unk>": 0, "a": "b"}', '{"<unk>": 9999}']
)
def test_a_vocabulary_that_is_none(tmp_path: Path, content: str) -> None:
    small_pieces.marian(tmp_path)
    (tmp_path / "vocab.json").write_text(content)
    with pytest.raises(ConversionError, match=r"vocab\.json"):
        made(tmp_path, "marian")


def test_an_unknown_kind_of_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"has no tokenizer\.json"):
        made(tmp_path, "gpt_neox")


def test_a_file_of_tokens_that_is_none(tmp_path: Path) -> None:
    from firstlight.runtime.errors import BundleError

    small_pieces.marian(tmp_path)
    made(tmp_path, "marian")
    for content in ("", "{}", '{"tokens": 3, "special": [], "first": 0}'):
        (tmp_path / "out/target.json").write_text(content)
        with pytest.raises(BundleError, match="not a list of tokens"):
            tokenizers.load(
                SimpleNamespace(  # type: ignore[arg-type]
                    tokenizer={"kind": "tokenizers", "target": "target.json", "unknown": 1},
                    path="",
                    file=lambda name: str(tmp_path / "out" / name),
                )
            )


def test_the_tokenizer_json_has_no_limits(tmp_path: Path) -> None:
    small_pieces.marian(tmp_path)
    made(tmp_path, "marian")
    found = json.loads((tmp_path / "out/tokenizer.json").read_text())
    assert found["truncation"] is None
    assert found["padding"] is None
    assert Tokenizer.from_file(str(tmp_path / "out/tokenizer.json")).get_vocab_size() > 0
