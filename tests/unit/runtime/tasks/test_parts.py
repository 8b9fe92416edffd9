import hypothesis
import pytest
from hypothesis import strategies as st

from firstlight.runtime.tasks import parts
from firstlight.runtime.tasks.parts import Room, between, by_sentence, packed, pieces
from firstlight.runtime.tokenizers.hf import HfTokenizer

from . import sequences

PIECES = st.sampled_from(
    [
        "The cat sat",
        "Dr",
        ".",
        ". ",
        "! ",
        ", ",
        " ",
        "\n\n",
        "春が来た",
        "。",
        "a",
        "…",
        "😀",
        "e\u0301",
        "\t",
    ]
)
TEXTS = st.one_of(st.text(max_size=120), st.lists(PIECES, max_size=40).map("".join))


def letters(text: str) -> list[tuple[int, int]]:
    """A tokenizer whose tokens are the characters."""
    return [(at, at + 1) for at in range(len(text))]


def of(tokenizer: HfTokenizer, size: int) -> Room:
    def offsets(text: str) -> list[tuple[int, int]]:
        found = tokenizer.encode(text)
        return [
            pair for pair, owner in zip(found.offsets, found.sequence_ids, strict=True) if owner is not None
        ]

    return Room(offsets, size)


@pytest.fixture(scope="module", params=["words", "bytes_of_text"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HfTokenizer:
    made: HfTokenizer = getattr(sequences, request.param)(tmp_path_factory.mktemp("parts"))
    return made


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(text=TEXTS, size=st.integers(8, 40), way=st.sampled_from([by_sentence, packed]))
def test_parts_are_the_text_and_fit(tokenizer: HfTokenizer, text: str, size: int, way: object) -> None:
    room = of(tokenizer, size)
    before = 0
    for start, end in way(text, room):  # type: ignore[operator]
        assert before <= start < end
        assert not text[before:start].strip()
        assert text[start:end] == text[start:end].strip()
        assert room.count(text[start:end]) <= size
        before = end
    assert not text[before:].strip()


@hypothesis.given(
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200), size=st.integers(1, 12)
)
def test_pieces_are_the_text_and_fit(text: str, size: int) -> None:
    stripped = text.strip()
    found = pieces(stripped, 0, len(stripped), Room(letters, size))
    assert "".join("".join(stripped[start:end] for start, end in found).split()) == "".join(stripped.split())
    assert all(end - start <= size for start, end in found)


@pytest.mark.parametrize(
    ("text", "size", "found"),
    [
        ("one two, three four", 12, ["one two,", "three four"]),
        ("one two three four", 12, ["one two", "three four"]),
        ("onetwothreefour", 8, ["onetwoth", "reefour"]),
        ("春が来た、花が咲く", 6, ["春が来た、", "花が咲く"]),
        ("ab; cd ef gh, ij", 9, ["ab; cd ef", "gh, ij"]),
        ("cafe\u0301cafe\u0301", 5, ["cafe\u0301", "cafe\u0301"]),
        ("👩\u200d👩👩\u200d👩", 4, ["👩\u200d👩", "👩\u200d👩"]),
    ],
)
def test_where_a_sentence_that_does_not_fit_is_cut(text: str, size: int, found: list[str]) -> None:
    assert [text[start:end] for start, end in pieces(text, 0, len(text), Room(letters, size))] == found


def test_a_sentence_is_a_part() -> None:
    text = "It rained. It rained! It rained?"
    assert [text[start:end] for start, end in by_sentence(text, Room(letters, 12))] == [
        "It rained.",
        "It rained!",
        "It rained?",
    ]


def test_packs_are_few_and_alike() -> None:
    text = " ".join(["Ten letters"[:9] + "."] * 11)  # 120 characters
    lengths = [end - start for start, end in packed(text, Room(letters, 50))]
    assert len(lengths) == 3
    assert max(lengths) - min(lengths) <= 11
    assert packed("One. Two.", Room(letters, None)) == [(0, 9)]
    assert packed("  ", Room(letters, 5)) == []


def test_a_text_without_spaces_is_cut_in_one_pass() -> None:
    counted = 0

    def counting(text: str) -> list[tuple[int, int]]:
        nonlocal counted
        counted += len(text)
        return letters(text)

    looked = []
    for size in (10_000, 40_000):
        counted = 0
        found = by_sentence("x" * size, Room(counting, 64))
        assert sum(end - start for start, end in found) == size
        looked.append(counted)
    assert looked[1] < 5 * looked[0]


def test_room_of_no_limit_and_of_little() -> None:
    assert Room(letters, None).takes("x" * 10_000)
    assert Room(letters, 0).takes("x")
    assert not Room(letters, 2).takes("xxx")
    assert not Room(lambda _: [], 1).takes("x" * (parts._WIDEST + 1))


@pytest.mark.parametrize(
    ("separator", "before", "after", "found"),
    [
        ("\n\n", "a", "b", "\n\n"),
        ("", "a", "b", " "),
        ("", "。", "B", ""),
        ("", "a", "春", ""),
        ("", "", "b", ""),
        ("", " ", "b", ""),
        (" ", "。", "春", " "),
    ],
)
def test_what_goes_between_answers(separator: str, before: str, after: str, found: str) -> None:
    assert between(separator, before, after) == found
