from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_function import INTEL_LIBRARY, base, contents, file

from firstlight.build.image import layers, layout, lint, making, tarball
from firstlight.build.pack.types import Blob, Image, Piece, Target
from firstlight.runtime.errors import FirstlightError


def read(blob: Blob) -> dict[str, Any]:
    assert isinstance(blob.source, bytes)
    assert blob.digest == f"sha256:{hashlib.sha256(blob.source).hexdigest()}"
    assert blob.size == len(blob.source)
    document: dict[str, Any] = json.loads(blob.source)
    return document


def fetch(blob: Blob) -> Path | bytes:
    """The base's layer, which only its registry has."""
    return blob.source if blob.source is not None else gzip.compress(bytes(1024), mtime=0).ljust(1000, b"\0")


def test_the_manifest_is_what_lambda_takes(tmp_path: Path) -> None:
    image, own = making.assembled(contents(), base(), tmp_path)
    manifest = read(image.manifest)
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert {layer["mediaType"] for layer in manifest["layers"]} == {layers.OCI_LAYER}
    assert manifest["layers"][0]["digest"] == "sha256:" + "a" * 64
    assert [layer.name for layer in own] == ["wheels", "runtime", "bill"]
    assert image.origins == {"sha256:" + "a" * 64: "registry.example/python"}
    assert image.size == 1000 + sum(layer.blob.size for layer in own)


def test_the_configuration_says_all_of_it(tmp_path: Path) -> None:
    image, own = making.assembled(contents(), base(), tmp_path, snap_start=True)
    config = read(image.config)
    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm64", "v8")
    assert config["rootfs"]["diff_ids"] == ["sha256:" + "c" * 64, *(layer.diff_id for layer in own)]
    assert [entry["created_by"] for entry in config["history"]] == [
        "COPY / /",
        "ENV HOME",
        "firstlight build: wheels",
        "firstlight build: runtime",
        "firstlight build: bill",
    ]
    run = config["config"]
    assert run["Entrypoint"] == [
        *("/var/lang/bin/python3.13", "-I", "-S", "-u"),
        "/var/task/.firstlight/src/firstlight/runtime/start.py",
    ]
    assert "Cmd" not in run
    assert run["Env"] == [
        "PATH=/var/lang/bin:/usr/bin",
        "LANG=C",
        "HOME=/tmp",
        "FIRSTLIGHT_BUNDLE=/var/task/.firstlight/bundle",
        "FIRSTLIGHT_ENDPOINT=mood",
    ]
    assert (run["User"], run["WorkingDir"]) == ("65532:65532", "/var/task")
    assert run["Labels"] == {
        "maker": "them",
        "org.opencontainers.image.title": "mood",
        "org.opencontainers.image.base.name": "registry.example/python",
        "org.opencontainers.image.base.digest": "sha256:" + "b" * 64,
        "com.amazonaws.lambda.feature.snapstart": "Allow",
    }


def test_a_script_gets_what_its_base_installed(tmp_path: Path) -> None:
    packed = contents(file("app.py"), environment={"FIRSTLIGHT_SCRIPT": "/var/task/app.py"})
    image = making.make(packed, base(), tmp_path)
    assert read(image.config)["config"]["Entrypoint"][1:3] == ["-I", "-u"]
    assert making.SNAP_START not in read(image.config)["config"]["Labels"]


def test_a_history_that_fits_no_layers_is_replaced(tmp_path: Path) -> None:
    config = {**base().config, "history": []}
    image = making.make(contents(), base(config=config), tmp_path)
    assert read(image.config)["history"][0]["created_by"].endswith(", layer 1")


def test_the_same_digest_whoever_makes_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_bytes(b"print()\n")
    one = making.make(contents(file("app.py", tmp_path / "app.py")), base(), tmp_path / "one")
    (tmp_path / "copy.py").write_bytes(b"print()\n")
    (tmp_path / "copy.py").chmod(0o700)
    os.utime(tmp_path / "copy.py", (5, 5))
    old = os.umask(0o077)
    try:
        other = making.make(contents(file("app.py", tmp_path / "copy.py")), base(), tmp_path / "two")
    finally:
        os.umask(old)
    assert other.digest == one.digest
    assert [layer.digest for layer in one.layers[1:3]] == GOLDEN


def test_what_is_kept_is_taken_and_what_is_damaged_is_made_again(tmp_path: Path) -> None:
    _, first = making.assembled(contents(), base(), tmp_path)
    _, second = making.assembled(contents(), base(), tmp_path)
    assert [layer.kept for layer in (*first, *second)] == [False] * 3 + [True] * 3
    place = second[0].blob.source
    assert isinstance(place, Path)
    place.write_bytes(b"damaged")
    _, third = making.assembled(contents(), base(), tmp_path)
    assert [layer.kept for layer in third] == [False, True, True]
    assert layers.blob_hash(place) == third[0].blob.digest


def test_what_nobody_uses_for_a_month_is_taken_out(tmp_path: Path) -> None:
    making.make(contents(file("app.py", b"old")), base(), tmp_path)
    notes = {*(tmp_path / "layers").iterdir()}
    for note in notes:
        os.utime(note, (1, 1))
    _, own = making.assembled(contents(file("app.py", b"new")), base(), tmp_path)
    assert [layer.kept for layer in own] == [True, True, False, True]
    assert len({*(tmp_path / "layers").iterdir()} & notes) == 3
    assert len(list((tmp_path / "blobs" / "sha256").iterdir())) == 4


def test_only_what_changed_is_another_layer(tmp_path: Path) -> None:
    before = making.make(contents(file("app.py", b"one")), base(), tmp_path)
    after = making.make(contents(file("app.py", b"two")), base(), tmp_path)
    changed = {layer.digest for layer in after.layers} - {layer.digest for layer in before.layers}
    assert len(changed) == 1
    assert sum(layer.size for layer in after.layers if layer.digest in changed) < 1000


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FirstlightError, match="file cannot be written"):
        making.make(contents(), base(), tmp_path / "file")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target("x86_64", "3.13"), "is for x86_64 and mood for arm64"),
        (Target("arm64", "3.12"), "has Python 3.12"),
    ],
)
def test_a_base_of_another_machine_is_refused(tmp_path: Path, target: Target, words: str) -> None:
    with pytest.raises(FirstlightError, match=words):
        making.make(contents(), base(target=target), tmp_path)


def test_a_base_that_does_not_know_its_layers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FirstlightError, match="has 1 layers and says what is in 0"):
        making.make(contents(), base(config={"rootfs": {}}), tmp_path)


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        (".env", b"KEY=1", "looks like a secret"),
        ("lib/x.so", INTEL_LIBRARY, "is made for x86_64 and the function for arm64"),
        ("lib/x.so.1", b"\x7fELF\x02\x01\x01" + bytes(11) + b"\x28\x00", "the machine 0x28"),
        ("../x", b"", "not a path below"),
        (".firstlight/start", b"", "is in the image twice"),
    ],
)
def test_what_lambda_cannot_run_is_refused(tmp_path: Path, path: str, content: bytes, words: str) -> None:
    with pytest.raises(FirstlightError, match=words):
        making.make(contents(file(path, content)), base(), tmp_path)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("AWS_LAMBDA_RUNTIME_API=127.0.0.1:1", lint.PROBLEM),
        ("AWS_LAMBDA_MAX_CONCURRENCY=2", lint.PROBLEM),
        ("HOME=/root", lint.WARNING),
    ],
)
def test_variables_that_mislead_are_found(line: str, level: str) -> None:
    config = {
        "os": "linux",
        "architecture": "arm64",
        "config": {"Cmd": ["x"], "Env": ["HOME=/tmp", line]},
        "rootfs": {"diff_ids": ["a"]},
        "history": [{}],
    }
    assert [fault.level for fault in lint.configuration(config, 1)] == [level]


def test_configurations_that_lambda_refuses() -> None:
    found = [fault.what for fault in lint.configuration({"os": "windows", "architecture": "amd64"}, 2)]
    assert found == [
        "the image is for windows/amd64",
        "2 layers, 0 diff ids, 0 entries of the history",
        "the image has no command",
    ]
    config = {"os": "linux", "architecture": "amd64", "config": {"Cmd": ["x"]}}
    assert (
        "for linux/amd64 and the function for linux/arm64"
        in next(lint.configuration(config, 0, Target("arm64"))).what
    )


def test_a_layer_that_only_says_it_is_gzip_is_found(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(b"a plain tar")
    image = making.make(contents(), base(), tmp_path / "blobs")
    liar = Blob(layers.OCI_LAYER, "sha256:" + "d" * 64, 11, tmp_path / "layer")
    found = lint.check(replace(image, layers=(*image.layers, liar)))
    assert "a layer says that it is gzip and is not" in [fault.what for fault in found]


def test_torch_and_size_are_told() -> None:
    packed = contents(file(".firstlight/lib/torch/__init__.py"))
    assert [fault.level for fault in lint.files(packed)] == [lint.WARNING]
    huge = replace(file("weights"), size=11 * 1024**3)
    assert "more than 11.0 GB" in lint.files(replace(packed, pieces=(Piece("bundle", (huge,)),)))[0].what


def test_a_layout_has_every_blob_once(tmp_path: Path) -> None:
    image = making.make(contents(), base(), tmp_path / "blobs")
    folder = layout.write(image, tmp_path / "layout", fetch, "mood")
    index = json.loads((folder / "index.json").read_text())
    assert index["manifests"][0]["digest"] == image.digest
    assert index["manifests"][0]["platform"] == {"architecture": "arm64", "os": "linux", "variant": "v8"}
    assert (folder / "oci-layout").read_text() == '{"imageLayoutVersion":"1.0.0"}'
    found = {f"sha256:{blob.name}" for blob in (folder / "blobs" / "sha256").iterdir()}
    assert found == {blob.digest for blob in (image.manifest, image.config, *image.layers)}
    layout.write(image, folder, lambda blob: pytest.fail("it is there already"), "mood")


def test_a_tar_file_is_a_layout_that_docker_loads(tmp_path: Path) -> None:
    image = making.make(contents(), base(), tmp_path / "blobs")
    tarball.write(image, tmp_path / "one.tar", fetch, "mood:latest")
    with tarfile.open(tmp_path / "one.tar") as archive:
        names = [member.name for member in archive if member.isfile()]
        opened = archive.extractfile("manifest.json")
        assert opened is not None
        loaded = json.loads(opened.read())[0]
    assert loaded["RepoTags"] == ["mood:latest"]
    assert {loaded["Config"], *loaded["Layers"], "oci-layout", "index.json"} <= {*names}
    assert len(loaded["Layers"]) == len(image.layers)
    tarball.write(image, tmp_path / "two.tar", fetch, "mood:latest")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    image: Image = making.make(contents(), base(), tmp_path / "blobs")
    (tmp_path / "file").write_text("")
    with pytest.raises(FirstlightError, match="cannot be written"):
        layout.write(image, tmp_path / "file" / "layout", fetch)
    with pytest.raises(FirstlightError, match="cannot be written"):
        tarball.write(image, tmp_path / "none" / "x.tar", fetch)


GOLDEN = [
    "sha256:a00298e07cb52352f7413bd57459e5f57e9c124897f37a0dc08acd9471f1ea98",
    "sha256:d4026766c9736bc57932f984cf70a6c0aa3b243ebd868290f6285da7e47e32ae",
]
"""Layers of the wheels and of the runtime: another compressor, Python or processor must not change them."""
