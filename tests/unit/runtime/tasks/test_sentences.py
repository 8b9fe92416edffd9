import hypothesis
import pytest
from hypothesis import strategies as st

from firstlight.runtime.tasks.sentences import after_marker, sentences, spaceless, spans

PIECES = st.sampled_from(
    ["a", "Dr", "e.g.", "I", "3.14", "12.", ".", "!", "?", "…", "...", "。", "”", '"', ")", "(", " ", "\n", "\n\n",
     "- ", "1. ", "春", "\u3000", "\u2029", "\r\n", "😀", "e\u0301", "the", "The"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=60).map("".join))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Dr. Grey came. He left.", ["Dr. Grey came.", "He left."]),
        ("Pi is 3.14 or so. Yes!", ["Pi is 3.14 or so.", "Yes!"]),
        ("春が来た。花が咲く。", ["春が来た。", "花が咲く。"]),
        ("「これは本です。」と言った。次", ["「これは本です。」", "と言った。", "次"]),
        ("A heading\n\nA text without an end", ["A heading", "A text without an end"]),
        ("One line\nof a paragraph. Two", ["One line\nof a paragraph.", "Two"]),
        ("It is:\n- one\n- two\n3) three", ["It is:", "- one", "- two", "3) three"]),
        ("1. First. It is good.\n2. Second", ["1. First.", "It is good.", "2. Second"]),
        ('He said "Stop!" and left. “Really?” she asked.', ['He said "Stop!" and left.', "“Really?” she asked."]),
        ('"It rained." Then it stopped.', ['"It rained."', "Then it stopped."]),
        ("Well... he came. Hmm... The end.", ["Well... he came.", "Hmm...", "The end."]),
        ("What?! No!!! ok", ["What?!", "No!!!", "ok"]),
        ("I met J. R. Smith in the U.S. The U.S. Army came.", ["I met J. R. Smith in the U.S.", "The U.S. Army came."]),
        ("So do I. The end.", ["So do I.", "The end."]),
        ("See Fig. 3, p. 12 etc. and go on. No. 5 won. He said no. Then", [
            "See Fig. 3, p. 12 etc. and go on.", "No. 5 won.", "He said no.", "Then"]),
        ("Am 3. Mai kam er. Es war 1902. Das Haus", ["Am 3. Mai kam er.", "Es war 1902.", "Das Haus"]),
        ("M. Dupont est là. Il dort.", ["M. Dupont est là.", "Il dort."]),
        ("hello there. how are you?", ["hello there.", "how are you?"]),
        ("foo.bar.com is a site. v1.2.3 is out.", ["foo.bar.com is a site.", "v1.2.3 is out."]),
        ("नमस्ते। आप कैसे हैं?", ["नमस्ते।", "आप कैसे हैं?"]),
        ("كيف حالك؟ بخير.", ["كيف حالك؟", "بخير."]),
        ("(He left.) Then.", ["(He left.)", "Then."]),
        ("a windows line.\r\n\r\nAnother", ["a windows line.", "Another"]),
        ("no spaces.Between these", ["no spaces.Between these"]),
        ("   ", [""]),
        ("", [""]),
    ],
)  # fmt: skip
def test_where_sentences_end(text: str, found: list[str]) -> None:
    assert sentences(text) == found


@hypothesis.given(TEXTS)
def test_only_white_space_is_outside_of_sentences(text: str) -> None:
    before = 0
    for start, end in spans(text):
        assert before <= start < end
        assert not text[before:start].strip()
        assert text[start:end] == text[start:end].strip()
        before = end
    assert not text[before:].strip()


@pytest.mark.parametrize(
    "unit", ["a. ", "...", "\n", '."', "1. ", "e.g. ", "\n      ", "'", "x", "。", "Dr. ", ". \n"]
)
def test_no_text_takes_more_than_its_length(unit: str) -> None:
    class Counted(str):
        """A text that counts how often one of its letters is looked at."""

        __slots__ = ("looks",)
        looks: int

        def __getitem__(self, place: object) -> str:
            piece = super().__getitem__(place)  # type: ignore[index]
            self.looks += max(1, len(piece))
            return piece

    looks = []
    for size in (1000, 4000):
        text = Counted((unit * size)[:size])
        text.looks = 0
        list(spans(text))
        looks.append(text.looks)
    assert looks[1] < 6 * looks[0] + 100


@pytest.mark.parametrize(
    ("letter", "without"),
    [("春", True), ("の", True), ("ก", True), ("한", False), ("a", False), ("я", False)],
)
def test_scripts_without_spaces(letter: str, without: bool) -> None:
    assert spaceless(letter) is without


@pytest.mark.parametrize(
    ("text", "start", "behind"),
    [
        ("- one", 0, 2),
        ("a\n  12) one", 4, 8),
        ("a\n## Two", 2, 5),
        ("- ", 0, 0),
        ("a - b", 2, 2),
        ("1990 was", 0, 0),
        ("-5 is", 0, 0),
        ("x" * 40 + " - b", 41, 41),
        (" " * 40 + "- b", 40, 40),
    ],
)
def test_where_an_entry_of_a_list_begins(text: str, start: int, behind: int) -> None:
    assert after_marker(text, start, len(text)) == behind
