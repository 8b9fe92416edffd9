from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from firstlight import starters
from firstlight.runtime.generation.growing import GrowingText
from firstlight.runtime.tokenizers.hf import HfTokenizer


def byte_level() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({token: number for number, token in enumerate(alphabet)}, []))
    made.decoder = decoders.ByteLevel()
    return made


def byte_fallback() -> Tokenizer:
    pieces = [("<unk>", 0.0), ("▁", -1.0), ("▁a", -1.0), ("b", -1.0)]
    pieces += [(f"<0x{byte:02X}>", 0.0) for byte in range(256)]
    made = Tokenizer(models.Unigram(pieces, 0, byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return made


def pieces_of_words() -> Tokenizer:
    vocabulary = {
        token: number for number, token in enumerate(["[UNK]", "a", "##b", "c", ",", ".", "don", "'", "t"])
    }
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.decoder = decoders.WordPiece()
    return made


MADE = {"byte level": byte_level, "byte fallback": byte_fallback, "word pieces": pieces_of_words}


@pytest.fixture(scope="module", params=[*MADE, "a starter"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HfTokenizer:
    if request.param == "a starter":
        return HfTokenizer(str(Path(starters.path("translate-en2fr")) / "tokenizer.json"))
    path = tmp_path_factory.mktemp("growing") / "tokenizer.json"
    MADE[request.param]().save(str(path))
    return HfTokenizer(str(path))


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(text=st.text(max_size=60), repeats=st.integers(1, 4))
def test_the_pieces_of_a_text_are_the_text(tokenizer: HfTokenizer, text: str, repeats: int) -> None:
    ids = tokenizer.encode(text).ids * repeats
    growing = GrowingText(tokenizer.decode)
    pieces = [growing.add(one) for one in ids]
    assert "".join(pieces) + growing.rest() == tokenizer.decode(ids)


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(text=st.text(min_size=1, max_size=40), cut=st.integers(0, 200))
def test_what_is_released_does_not_depend_on_where_it_is_taken_up(
    tokenizer: HfTokenizer, text: str, cut: int
) -> None:
    ids = tokenizer.encode(text * 3).ids
    cut %= len(ids) + 1
    through, first, second = (GrowingText(tokenizer.decode) for _ in range(3))
    whole = [through.add(one) for one in ids]
    before = "".join(first.add(one) for one in ids[:cut])
    assert "".join(second.add(one) for one in ids[:cut]) == before
    assert before + "".join(second.add(one) for one in ids[cut:]) == "".join(whole)


def test_a_character_of_several_tokens_comes_when_it_is_whole() -> None:
    tokenizer = byte_level()
    growing = GrowingText(lambda ids: tokenizer.decode(list(ids)))
    tokens = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str("é😀")
    ids = [tokenizer.token_to_id(letter) for word, _ in tokens for letter in word]
    assert [growing.add(one) for one in ids] == ["", "é", "", "", "", "😀"]
    assert growing.rest() == ""


def test_a_long_text_is_not_decoded_again_and_again(tokenizer: HfTokenizer) -> None:
    decoded = 0

    def decode(ids: object) -> str:
        nonlocal decoded
        decoded += len(ids)  # type: ignore[arg-type]
        return tokenizer.decode(ids)  # type: ignore[arg-type]

    (unit,) = tokenizer.encode("a").ids[:1]
    growing = GrowingText(decode)
    text = "".join(growing.add(unit) for _ in range(2000)) + growing.rest()
    assert text == tokenizer.decode([unit] * 2000)
    assert decoded < 2000 * 80
