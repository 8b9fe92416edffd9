"""Files that are no model, or a damaged one: an error that says so, and a process that lives on."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from gguf_files import (
    BOOL,
    F16,
    FLOAT32,
    INT32,
    STRING,
    UINT32,
    UINT64,
    Items,
    bundle,
    byte_level,
    content,
    metadata,
    tiny,
    weights,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.runtime import engines
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.engines.llama import checks, header
from firstlight.runtime.errors import EngineError
from trying import examples

WHOLE = tiny()
START = header.parsed(WHOLE, len(WHOLE)).start
SMALL = {key: value for key, value in metadata().items() if not isinstance(value, Items)}
TOKENS = byte_level()["tokenizer.ggml.tokens"]


def load(folder, raw):
    return engines.load(Bundle.open(bundle(folder, raw)))


def read(folder, raw):
    path = Path(folder) / "model.gguf"
    path.write_bytes(raw)
    return header.read(str(path))


class TestHeader:
    def test_what_is_in_it(self, tmp_path):
        found = read(tmp_path, WHOLE)
        assert found.architecture == "llama"
        assert found.own("block_count") == 2
        assert found.own("nothing") is None
        assert found.values["tokenizer.ggml.add_bos_token"] is False
        assert found.values["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-5)
        tokens, kinds, merges = (
            found.values[f"tokenizer.ggml.{name}"] for name in ("tokens", "token_type", "merges")
        )
        assert [token.decode() for token in tokens.items] == TOKENS
        assert (kinds.kind, kinds.count, list(kinds.items[:3])) == (INT32, len(TOKENS), [3, 3, 1])
        assert (merges.kind, merges.count, list(merges.items)) == (STRING, 12, [])
        named = {tensor.name: tensor for tensor in found.tensors}
        assert named["blk.1.ffn_up.weight"].shape == (32, 64)
        assert named["token_embd.weight"].kind == 0
        assert found.size == len(WHOLE)
        assert found.start % 32 == 0

    def test_all_types_of_values(self, tmp_path):
        kinds = (0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12)
        values = {f"n{kind}": (kind, 1) for kind in kinds} | {"text": "é", "array": Items(FLOAT32, [1.5])}
        found = read(tmp_path, content(values, {"x": ((2, 3), 0, bytes(24))})).values
        assert [found[f"n{kind}"] for kind in kinds] == [1] * len(kinds)
        assert found["text"] == "é"
        assert found["array"].items == (1.5,)

    def test_the_second_version(self, tmp_path):
        assert (
            read(tmp_path, content(metadata(), weights("llama", len(TOKENS)), version=2)).architecture
            == "llama"
        )

    @pytest.mark.parametrize(
        ("raw", "said"),
        [
            (b"", "has 0 bytes, too few"),
            (b"GGUF", "too few"),
            (b"lmgg" + bytes(40), "a GGML file from before GGUF"),
            (b"tjgg" + bytes(40), "a GGJT file from before GGUF"),
            (b"fmgg" + bytes(40), "a GGMF file"),
            (b"PK\3\4" + bytes(40), "zip archive, as PyTorch writes them"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS pointer"),
            (b"<!DOCTYPE html><html></html>" + bytes(9), "a web page"),
            (b"\n  <html><body>Not found</body></html>", "a web page"),
            (b'{"weights": [1, 2, 3, 4, 5, 6, 7, 8]}', "it begins with b'{\"we'"),
            (b"GGUF" + bytes([9, 0, 0, 0]) + bytes(40), "GGUF of version 9, not 2 or 3"),
            (b"GGUF" + bytes([0, 0, 0, 3]) + bytes(40), "big-endian"),
            (b"GGUF\3\0\0\0" + b"\xff" * 16 + bytes(40), "more than it has room for"),
            (b"GGUF\3\0\0\0" + bytes(8) + b"\xff" * 8 + bytes(40), "more than it has room for"),
        ],
    )
    def test_what_is_no_gguf(self, tmp_path, raw, said):
        with pytest.raises(EngineError, match=said.replace("[", r"\[").replace("{", r"\{")) as raised:
            load(tmp_path, raw)
        assert str(tmp_path) in raised.value.message

    @pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.9, 0.999])
    def test_headers_that_are_cut_short(self, tmp_path, part):
        with pytest.raises(EngineError):
            read(tmp_path, WHOLE[: 24 + int((START - 200) * part)])

    def test_a_file_that_is_gone(self, tmp_path):
        with pytest.raises(EngineError, match="No such file"):
            header.read(str(tmp_path / "none.gguf"))
        with pytest.raises(EngineError, match=str(tmp_path)):
            header.read(str(tmp_path))

    @given(st.binary(max_size=400), st.booleans())
    @settings(max_examples=examples(300))
    def test_any_bytes(self, raw, begun):
        raw = WHOLE[:8] + raw if begun else raw
        with pytest.raises((header.Damaged, header.StructError, OverflowError)):
            header.parsed(raw, len(raw))


def changed(**changes):
    return tiny(changes={key.replace("__", "."): value for key, value in changes.items()})


def with_tensor(name, tensor):
    tensors = weights("llama", len(TOKENS))
    tensors[name] = tensor(tensors[name]) if callable(tensor) else tensor
    return content(metadata(), tensors)


WRONG = {
    "no architecture": (changed(general__architecture=None), "does not name an architecture"),
    "another architecture": (changed(general__architecture="nonsense"), "nonsense"),
    "an adapter": (changed(general__type="adapter"), "it holds no model but 'adapter'"),
    "a part": (changed(split__count=(2, 3)), "one of 3 parts"),
    "no layers": (changed(llama__block_count=(UINT32, 0)), "block_count is 0"),
    "too many layers": (changed(llama__block_count=(UINT32, 1000)), "block_count is 1000"),
    "no width": (changed(llama__embedding_length=(UINT32, 0)), "embedding_length is 0"),
    "no context": (changed(llama__context_length=(UINT64, 1 << 63)), "context_length"),
    "no heads": (changed(llama__attention__head_count=None), "attn_q"),
    "an epsilon below 0": (
        changed(llama__attention__layer_norm_rms_epsilon=(FLOAT32, -1.0)),
        "epsilon is -1",
    ),
    "an epsilon that is no number": (
        changed(llama__attention__layer_norm_rms_epsilon=(FLOAT32, float("nan"))),
        "epsilon is nan",
    ),
    "no rotation": (changed(llama__rope__dimension_count=(UINT32, 0)), "rope.dimension_count is 0"),
    "an odd rotation": (changed(llama__rope__dimension_count=(UINT32, 7)), "rope.dimension_count is 7"),
    "too much rotation": (changed(llama__rope__dimension_count=(UINT32, 16)), "up to the 8 of a head"),
    "an unknown scaling": (changed(llama__rope__scaling__type="odd"), "rope.scaling.type is 'odd'"),
    "experts of which none is used": (
        changed(llama__expert_count=(UINT32, 8)),
        "8 experts of which 0 are used",
    ),
    "too few experts": (changed(llama__expert_used_count=(UINT32, 9)), "0 experts of which 9"),
    "no tokenizer": (changed(tokenizer__ggml__model=None), "no vocabulary"),
    "no tokens": (changed(tokenizer__ggml__tokens=None), "no list of tokens"),
    "tokens that are numbers": (changed(tokenizer__ggml__tokens=Items(INT32, [1, 2])), "no list of tokens"),
    "a token twice": (
        changed(tokenizer__ggml__tokens=Items(STRING, [*TOKENS[:-1], "t"])),
        "the token 't' twice",
    ),
    "a token twice up to a zero": (
        changed(tokenizer__ggml__tokens=Items(STRING, [*TOKENS[:-1], "t\0h"])),
        "the token 't' twice",
    ),
    "no token for a byte": (changed(tokenizer__ggml__model="llama"), "no token for the byte 0x00"),
    "an odd alignment": (changed(general__alignment=(UINT32, 1)), "general.alignment is 1"),
    "a norm of float16": (
        with_tensor("output_norm.weight", lambda numbers: ((32,), F16, bytes(64))),
        "output_norm.weight has type 1",
    ),
    "weights that are integers": (
        with_tensor("blk.0.attn_q.weight", lambda numbers: ((32, 32), 26, bytes(4096))),
        "attn_q.weight has type 26",
    ),
    "weights of another shape": (
        with_tensor("blk.0.attn_q.weight", lambda numbers: numbers[:8]),
        "blk.0.attn_q.weight",
    ),
    "no weights": (content(metadata(), {}), "holds no weights"),
    "weights that are missing": (
        content(metadata(), {"token_embd.weight": weights("llama", len(TOKENS))["token_embd.weight"]}),
        "output_norm",
    ),
    "cut short": (WHOLE[:-500], "cut short"),
    "no weights at all": (WHOLE[:START], "cut short"),
}


@pytest.mark.parametrize("name", WRONG)
def test_models_that_are_wrong(tmp_path, name):
    raw, said = WRONG[name]
    with pytest.raises(EngineError, match=said) as raised:
        load(tmp_path, raw)
    assert "model.gguf" in raised.value.message
    assert "GGML_ASSERT" not in raised.value.message


def test_a_bundle_made_of_a_checked_file_is_not_checked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(header, "read", lambda path: pytest.fail("it was read"))
    folder = bundle(tmp_path, WHOLE, checked=checks.VERSION)
    assert engines.load(Bundle.open(folder)).context == 1024


CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from firstlight.runtime import engines
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.errors import FirstlightError
from firstlight.runtime.generation.wishes import Sampling
for line in sys.stdin:
    try:
        engine = engines.load(Bundle(line.strip(), {
            "name": "x", "task": "", "engine": "llama", "files": {"model.gguf": {"size": 0, "sha256": "0" * 64}},
        }))
        tokens = engine.encode("the cat in the hat")
        print("written", len(list(engine.generate(tokens, Sampling(max_tokens=2), NEVER))), flush=True)
    except FirstlightError as error:
        print("refused", error.message, flush=True)
"""


class Child:
    """Another process that loads files and says what became of it; a new one where it has ended."""

    def __init__(self):
        self._process = None

    def ask(self, folder):
        if self._process is None:
            command = [sys.executable, "-I", "-c", CHILD, json.dumps(sys.path)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            status = self.close()
            answer = f"ended with status {status}"
        return answer

    def close(self):
        process, self._process = self._process, None
        if process is None:
            return None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        return process.wait(60)


@pytest.fixture(scope="module")
def child():
    made = Child()
    yield made
    made.close()


NUMBERS = st.sampled_from(
    [0, 1, 2, 3, 7, 13, 255, 256, 1000, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]
)
PLACES = st.integers(4, START - 9)


def damage():
    """What is done to a file: bytes, a whole number, its end, or a value of the metadata."""
    return st.one_of(
        st.tuples(st.just("bytes"), st.lists(st.tuples(PLACES, st.integers(0, 255)), min_size=1, max_size=4)),
        st.tuples(st.just("number"), PLACES, NUMBERS, st.sampled_from([4, 8])),
        st.tuples(st.just("end"), st.integers(4, len(WHOLE))),
        st.tuples(st.just("value"), st.sampled_from(sorted(SMALL)), values()),
        st.tuples(st.just("value"), st.sampled_from(sorted(SMALL)), values()),
    )


def damaged(kind, *how):
    raw = bytearray(WHOLE)
    if kind == "bytes":
        for place, byte in how[0]:
            raw[place] = byte
    elif kind == "number":
        place, number, size = how
        raw[place : place + size] = (number & (1 << 8 * size) - 1).to_bytes(size, "little")
    elif kind == "end":
        del raw[how[0] :]
    else:
        return tiny(changes={how[0]: how[1]})
    return bytes(raw)


def values():
    return st.one_of(
        st.none(),
        st.sampled_from(["", "none", "bert", "llama", "gpt2", "t5", "rwkv", "plamo2", "gptneox", "x" * 300]),
        st.tuples(st.just(UINT32), NUMBERS.map(lambda number: number & 0xFFFFFFFF)),
        st.tuples(st.just(UINT64), NUMBERS),
        st.tuples(st.just(INT32), st.sampled_from([-1, -(2**31), 5])),
        st.tuples(st.just(FLOAT32), st.sampled_from([0.0, -1.0, float("nan"), float("inf"), 1e30])),
        st.tuples(st.just(BOOL), st.booleans()),
        st.just(Items(UINT32, [1, 2])),
    )


@given(how=damage())
@settings(max_examples=examples(150))
def test_no_file_ends_the_process(child, tmp_path_factory, how):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    (folder / "model.gguf").write_bytes(damaged(*how))
    answer = child.ask(folder)
    assert answer.startswith(("written", "refused")), answer
