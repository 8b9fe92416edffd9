import contextlib
import json
import os
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import BundleError

CONTENT = {"weights.bin": b"\0\1\2\3" * 64, "deep/er/notes.txt": b"hello"}


def manifest(**changes):
    files = {name: {"size": len(data), "sha256": sha256(data).hexdigest()} for name, data in CONTENT.items()}
    whole = {"schema": 1, "name": "test", "task": "echo", "engine": "echo", "files": files, **changes}
    return {field: value for field, value in whole.items() if value is not ...}


def write(folder, described):
    for name, data in CONTENT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    text = described if isinstance(described, (str, bytes)) else json.dumps(described)
    (folder / "bundle.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "bundle").mkdir()
    return write(tmp_path / "bundle", manifest(labels=["a", "b"], defaults={"max_length": 9}))


def test_a_bundle_says_what_it_holds(folder):
    bundle = Bundle.open(folder, verify="hashes")
    assert (bundle.name, bundle.task, bundle.engine, bundle.precision) == ("test", "echo", "echo", "fp32")
    assert (bundle.labels, bundle.defaults) == (["a", "b"], {"max_length": 9})
    assert (bundle.model, bundle.tokenizer, bundle.source, bundle.parity) == ({}, {}, {}, {})
    assert bundle.path == str(folder)
    assert bundle.file("weights.bin") == str(folder / "weights.bin")
    assert bundle.file("deep") == str(folder / "deep")


def test_a_file_that_is_not_listed(folder):
    with pytest.raises(BundleError, match=r"other\.bin"):
        Bundle.open(folder).file("other.bin")


def test_the_digest_is_that_of_the_content(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    described = manifest(labels=["a", "b"], defaults={"max_length": 9})
    write(other, json.dumps(dict(reversed(described.items())), indent=3))
    assert Bundle.open(folder).digest == Bundle.open(other).digest
    canonical = json.dumps(described, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert Bundle.open(folder).digest == sha256(canonical.encode()).hexdigest()
    write(other, {**described, "parity": {"max_score_diff": 0.01}})
    assert Bundle.open(folder).digest == Bundle.open(other).digest, "measured figures are the machine's"
    write(other, {**described, "labels": ["b", "a"]})
    assert Bundle.open(folder).digest != Bundle.open(other).digest


@pytest.mark.parametrize("verify", ["sizes", "hashes", "first"])
def test_a_missing_file(folder, verify):
    (folder / "weights.bin").unlink()
    with pytest.raises(BundleError, match=r"weights\.bin is missing") as caught:
        Bundle.open(folder, verify)
    assert "again" in caught.value.hint


@pytest.mark.parametrize("verify", ["sizes", "hashes", "first"])
def test_a_wrong_size(folder, verify):
    (folder / "weights.bin").write_bytes(b"short")
    with pytest.raises(BundleError, match=r"weights\.bin .* has 5 bytes, not 256"):
        Bundle.open(folder, verify)


def flip(path):
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("verify", ["hashes", "first"])
def test_a_flipped_bit(folder, verify):
    flip(folder / "weights.bin")
    with pytest.raises(BundleError, match=r"weights\.bin .* SHA-256"):
        Bundle.open(folder, verify)


def test_hashes_are_compared_once_for_a_state_of_a_file(folder, monkeypatch):
    hashed = []
    check = Bundle.check_hashes
    monkeypatch.setattr(
        Bundle, "check_hashes", lambda bundle, names: (hashed.append(list(names)), check(bundle, names))
    )
    Bundle.open(folder, "first")
    Bundle.open(folder, "first")
    assert hashed == [["weights.bin", "deep/er/notes.txt"]]
    os.utime(folder / "weights.bin", ns=(1, 1))
    Bundle.open(folder, "first")
    assert hashed[1:] == [["weights.bin"]], "the other file is as it was"


@pytest.mark.parametrize("way", ["in place", "another file"])
def test_a_file_swapped_for_one_of_the_same_size_and_time_is_found(folder, way):
    Bundle.open(folder, "first")
    weights = folder / "weights.bin"
    before = weights.stat()
    flip(weights)
    if way == "another file":
        weights.rename(folder / "aside")
        weights.write_bytes((folder / "aside").read_bytes())
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = weights.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    with pytest.raises(BundleError, match=r"weights\.bin .* SHA-256"):
        Bundle.open(folder, "first")


def test_a_bit_flipped_after_the_first_time_is_found(folder):
    Bundle.open(folder, "first")
    flip(folder / "weights.bin")
    os.utime(folder / "weights.bin", ns=(1, 1))
    for _ in range(2):  # a failure is not remembered as a success
        with pytest.raises(BundleError, match=r"weights\.bin"):
            Bundle.open(folder, "first")


def test_a_damaged_stamp_is_no_stamp(folder, tmp_path):
    Bundle.open(folder, "first")
    [stamp] = (tmp_path / "cache/firstlight/verified").iterdir()
    stamp.write_bytes(b"\xff\xfe")
    Bundle.open(folder, "first")
    assert stamp.read_text().startswith("weights.bin 256 ")
    flip(folder / "weights.bin")
    os.utime(folder / "weights.bin", ns=(1, 1))
    with pytest.raises(BundleError):
        Bundle.open(folder, "first")
    assert list(stamp.parent.iterdir()) == [stamp]


def test_a_stamp_of_a_bundle_that_was_here_before_means_nothing(folder, tmp_path):
    """Its name is an inode, which the next file may get."""
    Bundle.open(folder, "first")
    [stamp] = (tmp_path / "cache/firstlight/verified").iterdir()
    place = folder / "bundle.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"files": {}}))
    assert Bundle.open(folder, "first").files == {}
    assert stamp.read_text() == ""


def test_where_nothing_can_be_remembered_sizes_do(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way of a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(Bundle, "check_hashes", lambda _: pytest.fail("hashed"))
    assert Bundle.open(folder, "first").name == "test"


def test_an_unknown_way_to_verify(folder):
    with pytest.raises(ValueError, match="verify"):
        Bundle.open(folder, "twice")


def test_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"no bundle\.json"):
        Bundle.open(tmp_path / "nowhere")


ENTRY = {"size": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ("{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        (manifest(schema=2), "schema 2"),
        (manifest(schema=...), "schema None"),
        (manifest(name=...), "'name' is missing"),
        (manifest(task=3), "'task' is not str"),
        (manifest(engine=None), "'engine' is not str"),
        (manifest(labels={}), "'labels' is not list"),
        (manifest(files=[]), "'files' is not dict"),
        (manifest(files={"a": 1}), "no size and SHA-256 for 'a'"),
        (manifest(files={"a": {"size": "1", "sha256": "0" * 64}}), "no size and SHA-256 for 'a'"),
        (manifest(files={"a": {"size": 1, "sha256": "0" * 63}}), "no size and SHA-256 for 'a'"),
        (manifest(files={"a": {"size": 1, "sha256": "X" * 64}}), "no size and SHA-256 for 'a'"),
        *(
            (manifest(files={name: ENTRY}), "not a path inside the bundle")
            for name in (
                "../x",
                "/etc/passwd",
                "a/../../x",
                "a//b",
                "",
                ".",
                "a\\b",
                "C:x",
                "a\0b",
                "a\nb",
                "deep/",
            )
        ),
    ],
)
def test_a_manifest_that_is_wrong(tmp_path, described, said):
    with pytest.raises(BundleError, match=said) as caught:
        Bundle.open(write(tmp_path, described))
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from(
        ["name", "task", "engine", "files", "labels", "defaults", "model", "schema", "precision"]
    ),
)
def test_any_value_in_any_field_is_an_error_or_a_bundle(tmp_path_factory, value, field):
    folder = tmp_path_factory.mktemp("bundle")
    write(folder, manifest(**{field: value}))
    with contextlib.suppress(BundleError):
        assert isinstance(Bundle.open(folder).engine, str)
