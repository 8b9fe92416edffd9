"""The engine for encoder-decoder models, on small models whose answers numpy works out too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy_models as small
import pytest

from firstlight.build.convert import ct2
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines import ctranslate2_library, load
from firstlight.runtime.engines.ctranslate2 import Translator
from firstlight.runtime.errors import EngineError, MissingExtra
from firstlight.runtime.generation.wishes import Search

SOURCES = ([3, 9, 27, 0], [40, 5, 5, 11, 18, 0], [7, 0], [12, 44, 0])
MODEL = small.like_bart("marian", seed=1)


class Countdown:
    """A deadline that has passed when it was asked so many times."""

    left = 1e9

    def __init__(self, times: int) -> None:
        self.times = times

    @property
    def passed(self) -> bool:
        self.times -= 1
        return self.times < 0


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that wait for each other by spinning are slow where others want the CPU too."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("marian")
    small.words(folder)
    MODEL.save(folder)
    return Bundle.open(ct2.convert(folder, folder / "out"))


@pytest.fixture
def engine(bundle: Bundle) -> Iterator[Translator]:
    made = load(bundle)
    yield made
    made.close()


def tokens(ids: list[int]) -> list[str]:
    return [small.WORDS[one] for one in ids]


@cache
def log_probabilities(source: tuple[int, ...], ids: tuple[int, ...]) -> np.ndarray:
    return small.log_probabilities(MODEL, list(source), list(ids))[-1]


def expected_beams(
    source: list[int], beams: int, most: int, penalty: float, early: bool
) -> list[tuple[float, list[int]]]:
    """Complete hypotheses of a beam search by the rules of transformers, best first; scores and ids without the end."""
    running: list[tuple[float, list[int]]] = [(0.0, [])]
    complete: list[tuple[float, list[int]]] = []
    for length in range(1, most + 1):
        candidates = []
        for total, ids in running:
            row = log_probabilities(tuple(source), tuple(ids)).copy()
            row -= np.log1p(-np.exp(row[-1]))  # the first token of the decoder is no token of the vocabulary
            candidates += [(total + value, [*ids, token]) for token, value in enumerate(row[:-1])]
        candidates.sort(key=lambda one: -one[0])
        best = candidates[: 2 * beams]
        ended = [one for one in best[:beams] if one[1][-1] == 0 or length == most]
        running = [one for one in best if one[1][-1] != 0][:beams]
        complete += [(total / length**penalty, ids) for total, ids in ended]
        complete = sorted(complete, key=lambda one: -one[0])[:beams]
        if len(complete) == beams and (early or running[0][0] / length**penalty <= complete[-1][0]):
            break
    return [(score, ids[:-1] if ids[-1] == 0 else ids) for score, ids in complete]


def test_the_likeliest_token_comes_when_it_is_known(engine: Translator) -> None:
    for source in SOURCES:
        answer = small.greedy(MODEL, source, 12)
        assert list(engine.stream(tokens(source), [], Search(max_tokens=12), NEVER)) == tokens(answer)
        (found,) = engine.search(tokens(source), [], Search(max_tokens=12), NEVER)
        assert found.units == tokens(answer)
        assert found.whole == (len(answer) < 12)


@pytest.mark.parametrize("beams", [2, 4])
@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("early", [True, False])
def test_a_search_finds_what_transformers_would(
    engine: Translator, beams: int, penalty: float, early: bool
) -> None:
    same = 0
    for source in SOURCES:
        wanted = expected_beams(source, beams, 6, penalty, early)
        search = Search(beams, 6, length_penalty=penalty, early_stopping=early, answers=beams)
        found = engine.search(tokens(source), [], search, NEVER)
        assert found[0].score == pytest.approx(wanted[0][0], abs=1e-3) or not early
        same += found[0].units == tokens(wanted[0][1])
        if early:
            assert [one.units for one in found] == [tokens(ids) for _, ids in wanted]
    assert same >= len(SOURCES) - (not early)


def test_an_answer_begins_with_what_it_has_to(engine: Translator) -> None:
    source, begin = SOURCES[1], [30, 2]
    answer = list(engine.stream(tokens(source), tokens(begin), Search(max_tokens=6), NEVER))
    rows = small.log_probabilities(MODEL, source, begin)
    assert answer[0] == small.WORDS[int(rows[-1, :-1].argmax())]
    for beams in (1, 3):
        (found,) = engine.search(tokens(source), tokens(begin), Search(beams, 6), NEVER)
        assert found.units[:1] != tokens(begin)[:1]
        assert len(found.units) <= 6


def test_rules_of_a_request(engine: Translator) -> None:
    for beams in (1, 3):
        for source in SOURCES:
            (found,) = engine.search(tokens(source), [], Search(beams, 12, min_tokens=9), NEVER)
            assert len(found.units) >= 9
            (found,) = engine.search(tokens(source), [], Search(beams, 12, no_repeat_ngram=1), NEVER)
            assert len(set(found.units)) == len(found.units)
            (found,) = engine.search(tokens(source), [], Search(beams, 3, min_tokens=7), NEVER)
            assert len(found.units) == 3


def test_a_stream_that_is_closed_ends_the_work(engine: Translator) -> None:
    stream = engine.stream(tokens(SOURCES[1]), [], Search(max_tokens=30, min_tokens=30), NEVER)
    first = next(stream)
    stream.close()
    assert engine._run is None
    assert next(engine.stream(tokens(SOURCES[1]), [], Search(max_tokens=30), NEVER)) == first


def test_a_stream_ends_at_its_deadline(engine: Translator) -> None:
    search = Search(max_tokens=30, min_tokens=30)
    written = list(engine.stream(tokens(SOURCES[0]), [], search, Countdown(3)))  # type: ignore[arg-type]
    assert 1 <= len(written) <= 4
    assert list(engine.stream(tokens(SOURCES[0]), [], search, Countdown(0))) == []  # type: ignore[arg-type]
    (cut,) = engine.search(tokens(SOURCES[0]), [], search, Countdown(3))  # type: ignore[arg-type]
    assert not cut.whole


def test_a_search_is_for_as_many_tokens_as_time_allows(engine: Translator) -> None:
    """``left`` never changes here, so that what is bounded is told by the pace alone."""
    search, deadline = Search(2, 30, min_tokens=30), Countdown(10**9)
    assert len(engine.search(tokens(SOURCES[0]), [], search, deadline)[0].units) == 30  # type: ignore[arg-type]
    pace = engine._pace[2]
    deadline.left = pace * 8 * 1.3  # type: ignore[misc]
    (cut,) = engine.search(tokens(SOURCES[0]), [], search, deadline)  # type: ignore[arg-type]
    assert 5 <= len(cut.units) <= 8
    assert not cut.whole
    deadline.left = engine._pace[2] / 2  # type: ignore[misc]
    assert engine.search(tokens(SOURCES[0]), [], search, deadline) == []  # type: ignore[arg-type]
    assert engine.search(tokens(SOURCES[0]), [], search, Countdown(0)) == []  # type: ignore[arg-type]


def test_the_pace_is_measured_where_the_slowest_would_be_too_slow(engine: Translator) -> None:
    deadline = Countdown(10**9)
    deadline.left = 1e-9  # type: ignore[misc]
    assert engine.search(tokens(SOURCES[0]), [], Search(2, 30), deadline) == []  # type: ignore[arg-type]
    assert engine._pace[2] > 0


def test_tokens_can_be_drawn(engine: Translator) -> None:
    from firstlight.runtime import notes

    notes.clear()
    search = Search(max_tokens=8, temperature=2.0, top_k=20, top_p=0.9, answers=3)
    found = engine.search(tokens(SOURCES[1]), [], search, NEVER)
    assert len(found) == 3
    assert any("without a seed" in warning for warning in notes.warnings)


def test_what_the_library_refuses(engine: Translator) -> None:
    for beams in (1, 2):
        with pytest.raises(EngineError, match="cannot run this input"):
            engine.search(tokens(SOURCES[0]), [], Search(beams, repetition_penalty=-1.0), NEVER)


def test_a_model_that_cannot_be_loaded(bundle: Bundle, tmp_path: Path) -> None:
    copied = Path(tmp_path / "copy")
    copied.mkdir()
    for name in [*bundle.files, "bundle.json"]:
        (copied / name).write_bytes(Path(bundle.path, name).read_bytes())
    content = bytearray((copied / "model.bin").read_bytes())
    content[0] = 99
    (copied / "model.bin").write_bytes(content)
    with pytest.raises(EngineError, match="cannot load"):
        Translator(Bundle.open(copied))
    (copied / "config.json").write_text("{" + " " * (bundle.files["config.json"]["size"] - 1))
    with pytest.raises(EngineError, match="cannot load"):
        Translator(Bundle.open(copied))


def test_a_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "ctranslate2._ext", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(MissingExtra, match="not installed"):
        ctranslate2_library.load()
    (tmp_path / "ctranslate2").mkdir()
    import _imp

    (tmp_path / f"ctranslate2/_ext{_imp.extension_suffixes()[0]}").write_bytes(b"no library")
    with pytest.raises(EngineError, match="cannot be loaded"):
        ctranslate2_library.load()


def test_the_compiled_module_is_loaded_alone(bundle: Bundle) -> None:
    """And is the one that ``import ctranslate2`` finds afterwards."""
    assert run(ALONE, bundle.path).startswith("[")


ALONE = """
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines import load
from firstlight.runtime.generation.wishes import Search
engine = load(Bundle.open(sys.argv[2]))
assert not {"ctranslate2", "numpy", "asyncio", "typing"} & set(sys.modules), sorted(sys.modules)
print(engine.search(["w3", "</s>"], [], Search(2, 4), NEVER)[0].units)
import ctranslate2
assert ctranslate2.Translator is sys.modules["ctranslate2._ext"].Translator
"""


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_idle_workers_share_their_weights(tmp_path: Path, precision: str) -> None:
    rows = 24_000 if precision == "int8" else 6_000  # the one tensor here that is large enough
    model = small.like_bart("bart", rows=rows, pad_token_id=50, decoder_start_token_id=50)
    small.words(tmp_path, [*small.WORDS, *(f"x{number}" for number in range(rows - len(small.WORDS)))])
    model.save(tmp_path)
    made = Bundle.open(ct2.convert(tmp_path, tmp_path / "out", precision=precision))
    assert run(SHARING, made.path).split() == [str(sys.platform == "linux"), "True", "0"]


SHARING = """
import sys
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines import ctranslate2_library, load
from firstlight.runtime.generation.wishes import Search
bundle = Bundle.open(sys.argv[2])
engine, weights = load(bundle), bundle.file("model.bin")
def answers():
    found = engine.search(["w38", "w3", "</s>"], [], Search(2, 6, answers=2), NEVER)
    return [(one.units, one.score) for one in found]
before = answers()
shared = ctranslate2_library.shrink(weights)
bounds = [line.split()[0].split("-") for line in open("/proc/self/maps") if line.rstrip().endswith(weights)]
mapped = sum(int(high, 16) - int(low, 16) for low, high in bounds)
engine.settle()  # a second time finds nothing more
print(shared > 560_000, answers() == before and mapped == shared, ctranslate2_library.shrink(weights))
"""


def run(code: str, *arguments: str) -> str:
    """What a fresh interpreter prints, which sees what this one sees."""
    prelude = "import sys\nsys.path[:0] = sys.argv[1].split(':')\n"
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        prelude + code,
        ":".join(part for part in sys.path if part),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("content", [b"", b"\x06", b"\x05\0\0\0\x01\0\0", b"\x06\0\0\0\xff\xff" + bytes(40)])
def test_a_file_of_another_form_is_not_shared(tmp_path: Path, content: bytes) -> None:
    from firstlight.runtime.engines.ctranslate2_sharing import share

    (tmp_path / "model.bin").write_bytes(content)
    assert share(str(tmp_path / "model.bin")) == 0
    assert share(str(tmp_path / "nothing.bin")) == 0
