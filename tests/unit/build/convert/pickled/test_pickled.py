"""Weights in pickle format: what torch writes is read, what attackers write is refused and runs nothing."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pickled_files as files
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from firstlight.build.convert import pickled
from firstlight.build.convert.checkpoint import Checkpoint
from firstlight.build.convert.pickled import machine
from firstlight.runtime.errors import ConversionError
from trying import examples

ARRAYS = {
    "weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "half": np.array([0.5, -2.0], dtype=np.float16),
    "position_ids": np.arange(5, dtype=np.int64)[None],
    "flags": np.array([True, False, True]),
    "number": np.array(7.25, dtype=np.float32),
    "nothing": np.zeros((0, 3), dtype=np.float32),
}


@pytest.mark.parametrize("save", [files.saved, files.saved_long_ago])
def test_tensors_arrive_as_they_were(tmp_path: Path, save: object) -> None:
    save(tmp_path / "model" / "pytorch_model.bin", ARRAYS)  # type: ignore[operator]
    out = pickled.to_safetensors(tmp_path / "model", tmp_path / "out")
    found = load_file(out / "model.safetensors")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    checkpoint = Checkpoint(out)
    assert checkpoint.array("weight").tolist() == ARRAYS["weight"].tolist()
    assert checkpoint.entry("weight").offset % 4 == 0


def test_views_of_one_storage(tmp_path: Path) -> None:
    numbers = np.arange(12, dtype=np.float32)
    entries = {
        "whole": files.tensor("0", 12, [3, 4], [4, 1]),
        "turned": files.tensor("0", 12, [4, 3], [1, 4]),
        "column": files.tensor("0", 12, [3], [4], offset=2),
        "one": files.tensor("0", 12, [1, 4], [99, 1], offset=4),
        "one of every other": files.tensor("0", 12, [1, 2], [2**31 - 1, 2]),
        "none": files.tensor("0", 12, [0, 2**30], [1, 1], offset=99),
    }
    content = b"\x80\x02" + files.state(entries) + files.STOP
    files.zipped(tmp_path / "pytorch_model.bin", content, {"0": numbers.tobytes()})
    found = load_file(pickled.to_safetensors(tmp_path, tmp_path / "out") / "model.safetensors")
    square = numbers.reshape(3, 4)
    assert found["whole"].tolist() == square.tolist()
    assert found["turned"].tolist() == square.T.tolist()
    assert found["column"].tolist() == square[:, 2].tolist()
    assert found["one"].tolist() == square[1:2].tolist()
    assert found["one of every other"].tolist() == [[0, 2]]
    assert found["none"].shape == (0, 2**30)


def test_views_of_an_old_storage_begin_where_they_say(tmp_path: Path) -> None:
    view = b"(" + files.text("v") + files.number(2) + files.number(3) + b"t"
    content = b"\x80\x02" + files.state({"x": files.tensor("0", 6, [3], [1], more=view)}) + files.STOP
    files.saved_long_ago(tmp_path / "pytorch_model.bin", {"x": np.arange(6, dtype=np.float32)}, content)
    found = load_file(pickled.to_safetensors(tmp_path, tmp_path / "out") / "model.safetensors")
    assert found["x"].tolist() == [2, 3, 4]


def test_parts_become_one_file_and_the_rest_of_the_folder_comes_along(tmp_path: Path) -> None:
    model = tmp_path / "model"
    for part, name in (("1", "weight"), ("2", "half")):
        files.saved(model / f"pytorch_model-{part}.bin", {name: ARRAYS[name]})
    index = {"weight_map": {"weight": "pytorch_model-1.bin", "half": "pytorch_model-2.bin"}}
    (model / pickled.INDEX).write_text(json.dumps(index))
    (model / "config.json").write_text("{}")
    (model / "training_args.bin").write_bytes(b"\x80\x02cos\nsystem\n.")
    (model / "1_Pooling").mkdir()
    (model / "1_Pooling" / "config.json").write_text("{}")
    out = pickled.to_safetensors(model, tmp_path / "out")
    assert load_file(out / "model.safetensors").keys() == {"weight", "half"}
    names = {file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()}
    own = {"model.safetensors", f"{pickled.SCRATCH}/model.safetensors"}
    assert names - own == {"config.json", "1_Pooling/config.json"}


def test_the_same_tensors_give_the_same_bytes(tmp_path: Path) -> None:
    for name, arrays in (("a", ARRAYS), ("b", dict(reversed(ARRAYS.items())))):
        files.saved(tmp_path / name / "pytorch_model.bin", arrays)
        pickled.to_safetensors(tmp_path / name, tmp_path / f"{name}-out")
    first, second = ((tmp_path / f"{name}-out" / "model.safetensors").read_bytes() for name in "ab")
    assert first == second


class Attack:
    """What an object does when Python's own pickle loads it."""

    def __init__(self, call: object, *arguments: object, attributes: object = None) -> None:
        self.call, self.arguments, self.attributes = call, arguments, attributes

    def __reduce__(self) -> tuple[object, ...]:
        found = (self.call, self.arguments)
        return found if self.attributes is None else (*found, self.attributes)


def attacks(canary: Path) -> dict[str, bytes]:
    touch = f"touch {canary}"
    code = f"open({str(canary)!r}, 'w')"
    system = Attack(os.system, touch)
    found: dict[str, bytes] = {}
    for protocol in range(6):
        found[f"os.system in protocol {protocol}"] = pickle.dumps(system, protocol)
        found[f"eval in protocol {protocol}"] = pickle.dumps(Attack(builtins.eval, code), protocol)
        found[f"exec among tensors in protocol {protocol}"] = pickle.dumps(
            {"weight": Attack(builtins.exec, code)}, protocol
        )
        found[f"getattr in protocol {protocol}"] = pickle.dumps(
            Attack(getattr, Attack(builtins.__import__, "os"), "system"), protocol
        )
        found[f"nested in protocol {protocol}"] = pickle.dumps(
            Attack(Attack, Attack(os.system, touch)), protocol
        )
    ordered, rebuild = b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n"
    touched = files.text(touch)
    found |= {
        "INST": b"(" + b"S'" + touch.encode() + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + touched + b"o.",
        "NEWOBJ of a name that is allowed": b"\x80\x02" + ordered + b")\x81.",
        "NEWOBJ_EX": b"\x80\x04" + ordered + b")}\x92.",
        "EXT1": b"\x80\x02\x82\x01.",
        "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
        "PERSID": b"Pstorage\n.",
        "a loader of torch": b"\x80\x02ctorch.storage\n_load_from_bytes\n(" + touched + b"tR.",
        "torch.load": b"\x80\x02ctorch\nload\n(" + touched + b"tR.",
        "torch.hub": b"\x80\x02ctorch.hub\nload\n(" + touched + b"tR.",
        "a storage that is called": b"\x80\x02ctorch\nFloatStorage\n)R.",
        "a storage of another module": b"\x80\x02cos\nFloatStorage\n.",
        "a storage with a path": b"\x80\x02ctorch\nos.path.Storage\n)R.",
        "a result that is called": b"\x80\x02" + ordered + b")R)R.",
        "a name that is built": b"\x80\x02" + rebuild + b"}" + files.text("__code__") + b"Nsb.",
        "a name whose attributes are set": b"\x80\x02"
        + rebuild
        + b"N}"
        + files.text("__call__")
        + b"Ns\x86b.",
        "a tensor that is built": b"\x80\x02"
        + files.tensor("0", 4, [4], [1])
        + b"}"
        + files.text("__setstate__")
        + b"Nsb.",
        "a dictionary as a call": b"\x80\x02" + ordered + b"(" + rebuild + b"tR.",
        "a dotted name": b"\x80\x04"
        + files.text("collections")
        + files.text("OrderedDict.__init__")
        + b"\x93.",
        "a name that is a number": b"\x80\x04K\x01K\x02\x93.",
        "a set": b"\x80\x04\x8f.",
        "a buffer": b"\x80\x05\x97.",
        "nested without end as a call": b"\x80\x02" + b"(" * 50_000 + b"t" * 50_000 + b")R.",
        "nested without end as a key": b"\x80\x02}" + b"(" * 50_000 + b"t" * 50_000 + b"Ns.",
        "nested without end as a storage": b"\x80\x02" + b"(" * 50_000 + b"t" * 50_000 + b"Q.",
        "itself": b"\x80\x02]q\x00h\x00a.",
        "no memo": b"\x80\x02h\x07.",
        "no stack": b"\x80\x02R.",
        "no mark": b"\x80\x02t.",
        "no end": b"\x80\x02]",
        "nothing": b"",
        "a protocol of tomorrow": b"\x80\x63N.",
        "another opcode": b"\x80\x02\xff.",
    }
    return found


NAMES = sorted(attacks(Path("x")))


@pytest.mark.parametrize("form", ["zipped", "long ago", "bare"])
@pytest.mark.parametrize("name", NAMES)
def test_an_attack_is_refused_and_nothing_runs(tmp_path: Path, name: str, form: str) -> None:
    canary = tmp_path / "canary"
    content, file = attacks(canary)[name], tmp_path / "model" / "pytorch_model.bin"
    if form == "zipped":
        files.zipped(file, content, {"0": bytes(16)})
    elif form == "long ago":
        files.saved_long_ago(file, {"x": np.zeros(4, dtype=np.float32)}, content)
    else:
        file.parent.mkdir()
        file.write_bytes(content)
    with pytest.raises(ConversionError, match=r"pytorch_model\.bin"):
        pickled.to_safetensors(file.parent, tmp_path / "out")
    assert not canary.exists()
    assert not list(tmp_path.rglob("*.safetensors"))


def test_what_is_asked_for_is_named(tmp_path: Path) -> None:
    files.zipped(tmp_path / "pytorch_model.bin", pickle.dumps(Attack(os.system, "true"), 2), {})
    with pytest.raises(ConversionError, match=r"its pickle asks for (posix|nt)\.system"):
        pickled.to_safetensors(tmp_path, tmp_path / "out")


def test_weights_are_not_opened_without_permission(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    files.zipped(tmp_path / "pytorch_model.bin", pickle.dumps(Attack(os.system, f"touch {canary}"), 2), {})
    with pytest.raises(ConversionError, match="pickle format") as caught:
        Checkpoint(tmp_path)
    assert "allow_pickle" in caught.value.hint
    assert not canary.exists()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (files.tensor("0", 4, [5], [1]), "shape"),
        (files.tensor("0", 4, [4], [1], offset=1), "shape"),
        (files.tensor("0", 4, [2], [-1]), "steps"),
        (files.tensor("0", 4, [-2], [1]), "steps"),
        (files.tensor("0", 4, [2], [1, 1]), "steps"),
        (files.tensor("0", 4, [1] * 20, [1] * 20), "steps"),
        (files.tensor("0", 4, [2**30, 2**30], [0, 0]), "shape"),
        (files.tensor("0", -4, [0], [1]), "-4 elements"),
        (files.tensor("0", 4, [4], [1], kind=b"QInt8Storage"), "QInt8Storage"),
        (files.tensor("0", 8, [8], [1]), "too short"),
        (files.tensor("../0", 4, [4], [1]), "missing"),
        (files.tensor("9", 4, [4], [1]), "missing"),
    ],
)
def test_tensors_that_reach_too_far_are_refused(tmp_path: Path, entry: bytes, said: str) -> None:
    content = b"\x80\x02" + files.state({"x": entry}) + files.STOP
    files.zipped(tmp_path / "pytorch_model.bin", content, {"0": bytes(16)})
    with pytest.raises(ConversionError, match=said):
        pickled.to_safetensors(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\x80\x02K\x01.", "a int"), (b"\x80\x02}.", "no tensors"), (b"\x80\x02].", "a list")],
)
def test_other_things_than_weights_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    files.zipped(tmp_path / "pytorch_model.bin", content, {})
    with pytest.raises(ConversionError, match=said):
        pickled.to_safetensors(tmp_path, tmp_path / "out")


def test_tensors_that_share_their_numbers_without_measure_are_refused(tmp_path: Path) -> None:
    entries = {str(name): files.tensor("0", 4000, [4000], [1]) for name in range(100)}
    content = b"\x80\x02" + files.state(entries) + files.STOP
    files.zipped(tmp_path / "pytorch_model.bin", content, {"0": bytes(16_000)})
    with pytest.raises(ConversionError, match="far more than the files hold"):
        pickled.to_safetensors(tmp_path, tmp_path / "out")


ARCHIVES = {
    "an entry above": ({"../../x": b""}, "outside"),
    "an entry at the root": ({"/etc/x": b""}, "outside"),
    "an entry of another system": ({"..\\x": b""}, "outside"),
    "two pickles": ({"other/data.pkl": b"N."}, "2 entries"),
    "a program": ({"model/constants.pkl": b"N."}, "TorchScript"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_that_are_no_weights_are_refused(tmp_path: Path, name: str) -> None:
    more, said = ARCHIVES[name]
    files.zipped(tmp_path / "pytorch_model.bin", files.of({}), {}, **more)
    with pytest.raises(ConversionError, match=said):
        pickled.to_safetensors(tmp_path, tmp_path / "out")
    assert not (tmp_path.parent / "x").exists()


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", bytes(1 << 20))
    with pytest.raises(ConversionError, match="compressed"):
        pickled.to_safetensors(tmp_path, tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as archive:
        archive.writestr("model/data.pkl", b"N.")
        archive.writestr("model/data.pkl", b"N.")
    with pytest.raises(ConversionError, match="two entries"):
        pickled.to_safetensors(tmp_path, tmp_path / "out")


def test_other_byte_orders_and_formats_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", files.of({}))
        archive.writestr("model/byteorder", b"big")
    with pytest.raises(ConversionError, match="highest byte first"):
        pickled.read(file)
    file.write_bytes(bytes(257) + b"ustar" + bytes(300))
    with pytest.raises(ConversionError, match="2017"):
        pickled.read(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/other", b"")
    with pytest.raises(ConversionError, match=r"0 entries named data\.pkl"):
        pickled.read(file)


def test_files_that_are_missing_or_elsewhere_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"neither pytorch_model\.bin"):
        pickled.to_safetensors(tmp_path, tmp_path / "out")
    index = tmp_path / pickled.INDEX
    index.write_text(json.dumps({"weight_map": {"x": "../secret.bin"}}))
    with pytest.raises(ConversionError, match="outside its folder"):
        pickled.to_safetensors(tmp_path, tmp_path / "out")
    index.write_text(json.dumps({"weight_map": {"x": "part.bin"}}))
    with pytest.raises(ConversionError, match=r"part\.bin is missing"):
        pickled.to_safetensors(tmp_path, tmp_path / "out")
    index.write_text("[]")
    with pytest.raises(ConversionError, match="does not list"):
        pickled.to_safetensors(tmp_path, tmp_path / "out")


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    whole = files.saved(tmp_path / "whole", ARRAYS).read_bytes()
    old = files.saved_long_ago(tmp_path / "old", ARRAYS).read_bytes()
    for content in (whole[: len(whole) // 2], old[:-20], old[: len(old) // 2]):
        (tmp_path / "pytorch_model.bin").write_bytes(content)
        with pytest.raises(ConversionError, match=r"pytorch_model\.bin"):
            pickled.to_safetensors(tmp_path, tmp_path / "out")


OPCODES = [bytes([code]) for code in b"(.0123]})u}bQRaetuhqKNJXc\x80\x81\x85\x86\x87\x88\x89\x93\x94"]
parts = st.one_of(
    st.sampled_from(
        [*OPCODES, files.ORDERED, files.tensor("0", 4, [4], [1]), b"cos\nsystem\n", files.text("x")]
    ),
    st.binary(max_size=4),
)


@settings(max_examples=examples(60))
@given(st.lists(parts, max_size=30).map(b"".join))
def test_any_pickle_is_read_or_refused(content: bytes) -> None:
    refused = "it "
    try:
        machine.run(BytesIO(content))
    except ConversionError as error:
        refused = error.message
    assert refused.startswith(("it ", "its pickle "))


@settings(max_examples=examples(25))
@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    for save in (files.saved, files.saved_long_ago):
        content = bytearray(save(folder / "pytorch_model.bin", ARRAYS).read_bytes())
        content[place % len(content)] = byte
        (folder / "pytorch_model.bin").write_bytes(content)
        refused = "pytorch_model.bin"
        try:
            assert len(pickled.read(folder / "pytorch_model.bin")) <= len(ARRAYS)
        except ConversionError as error:
            refused = error.message
        assert "pytorch_model.bin" in refused


def test_legacy_counts_that_lie_are_refused(tmp_path: Path) -> None:
    file = files.saved_long_ago(tmp_path / "pytorch_model.bin", {"x": np.zeros(4, dtype=np.float32)})
    content = file.read_bytes()
    for count in (3, -1, 2**40):
        file.write_bytes(content[:-24] + struct.pack("<q", count) + content[-16:])
        with pytest.raises(ConversionError, match="cut short"):
            pickled.to_safetensors(tmp_path, tmp_path / "out")
