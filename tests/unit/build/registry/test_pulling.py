import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from small_registry import SmallRegistry

import small_images as images
from firstlight.build.pack.types import Base, Image
from firstlight.build.registry import pulling
from firstlight.build.registry.credentials import Credentials
from firstlight.build.registry.downloading import place
from firstlight.build.registry.finding import look
from firstlight.build.registry.patience import Patience, Stopped, side_by_side
from firstlight.build.registry.references import Reference
from firstlight.build.registry.wire import is_here
from firstlight.runtime.errors import ProjectError, Unauthorized

ME = Credentials("me", "secret", source="a file")
BASE = images.python_base(20_000)


def hold(small: SmallRegistry, image: Image, tag: str = "3.13") -> None:
    for blob in (*image.layers, image.config):
        small.state.blobs[blob.digest] = blob.source
    small.state.manifests[tag] = small.state.manifests[image.digest] = image.manifest.source


def pulled(small: SmallRegistry, tmp_path: Path, named: str = ":3.13", architecture: str = "arm64") -> Base:
    reference = Reference.parse(f"{small.host}/lambda/python{named}")
    return pulling.base(reference, architecture, tmp_path / "cache", find=lambda: ME)


def test_a_base_by_its_tag_is_one_by_its_digest(small: SmallRegistry, tmp_path: Path) -> None:
    hold(small, BASE)
    base = pulled(small, tmp_path)
    assert base.reference == f"{small.host}/lambda/python@{BASE.digest}"
    assert (base.python, base.target.python, base.target.glibc) == ("/usr/bin/python3.13", "3.13", (2, 36))
    assert [layer.digest for layer in base.layers] == [layer.digest for layer in BASE.layers]
    assert all(
        layer.source.read_bytes() == of.source for layer, of in zip(base.layers, BASE.layers, strict=True)
    )
    small.state.asked.clear()
    assert pulled(small, tmp_path, f"@{BASE.digest}") == base
    assert not small.state.asked  # by digest nobody has to be asked twice


def test_the_platform_is_chosen_of_an_index(small: SmallRegistry, tmp_path: Path) -> None:
    other = images.python_base(10, "amd64")
    hold(small, BASE), hold(small, other)
    entries = [
        {
            "mediaType": images.MANIFEST,
            "digest": one.digest,
            "size": 1,
            "platform": {"os": "linux", "architecture": name},
        }
        for one, name in ((BASE, "arm64"), (other, "amd64"), (other, "unknown"))
    ]
    small.state.manifests["3.13"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    assert pulled(small, tmp_path).reference.endswith(BASE.digest)
    assert pulled(small, tmp_path, architecture="x86_64").reference.endswith(other.digest)
    small.state.manifests["3.13"] = json.dumps({"schemaVersion": 2, "manifests": entries[1:]}).encode()
    with pytest.raises(ProjectError, match="not made for linux/arm64, only for linux/amd64"):
        pulled(small, tmp_path)


def test_a_download_that_is_cut_goes_on(small: SmallRegistry, tmp_path: Path) -> None:
    hold(small, BASE)
    small.state.short = [100, 5_000, 0, 5_000]
    pulled(small, tmp_path)
    begun = [headers["Range"] for method, _, headers in small.state.asked if "Range" in headers]
    assert begun
    assert all(said != "bytes=0-" for said in begun)


def test_what_an_earlier_process_fetched_is_not_fetched_again(small: SmallRegistry, tmp_path: Path) -> None:
    hold(small, BASE)
    layer = BASE.layers[0]
    part = place(tmp_path / "cache", layer.digest).with_name(f"{layer.digest[7:]}.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(layer.source[:15_000])
    reference = Reference.parse(f"{small.host}/a")
    assert pulling.fetch(reference, layer, tmp_path / "cache", find=lambda: None).read_bytes() == layer.source
    assert [headers["Range"] for _, _, headers in small.state.asked if "Range" in headers] == ["bytes=15000-"]
    place(tmp_path / "cache", layer.digest).unlink()
    part.write_bytes(b"?" * 15_000)
    assert pulling.fetch(reference, layer, tmp_path / "cache", find=lambda: None).read_bytes() == layer.source
    place(tmp_path / "cache", layer.digest).unlink()
    part.write_bytes(b"?" * (layer.size + 5))
    assert pulling.fetch(reference, layer, tmp_path / "cache", find=lambda: None).read_bytes() == layer.source


def test_other_bytes_than_the_digest_says_are_not_taken(small: SmallRegistry, tmp_path: Path) -> None:
    hold(small, BASE)
    layer = BASE.layers[0]
    small.state.blobs[layer.digest] = b"?" * layer.size
    with pytest.raises(ProjectError, match=f"is not {layer.digest}"):
        pulled(small, tmp_path)
    small.state.blobs[layer.digest] = layer.source + b"more"
    with pytest.raises(ProjectError, match="more"):
        pulled(small, tmp_path)
    assert not place(tmp_path / "cache", layer.digest).exists()
    small.state.manifests[BASE.digest] = b"{}"
    with pytest.raises(ProjectError, match="the manifest of"):
        pulled(small, tmp_path / "other", f"@{BASE.digest}")


def test_redirects_take_no_password_to_another_host(
    small: SmallRegistry, elsewhere: SmallRegistry, tmp_path: Path
) -> None:
    hold(small, BASE), hold(elsewhere, BASE)
    small.state.user, small.state.elsewhere = "me:secret", f"http://{elsewhere.host}"
    pulled(small, tmp_path)
    assert elsewhere.state.count("GET", "blobs") == 3
    assert not any("Authorization" in headers for _, _, headers in elsewhere.state.asked)
    # another host that asks for a password is not told one either
    elsewhere.state.user = "me:secret"
    with pytest.raises(Unauthorized):
        pulled(small, tmp_path / "again")
    assert not any("Authorization" in headers for _, _, headers in elsewhere.state.asked)


def test_a_token_is_not_asked_for_without_tls(small: SmallRegistry, tmp_path: Path) -> None:
    small.state.user = "me:secret"
    challenge = {"WWW-Authenticate": 'Bearer realm="http://tokens.example/",service="x"'}
    small.state.instead = {("GET", "manifests"): [(401, challenge, b"")]}
    with pytest.raises(ProjectError, match="not https"):
        pulled(small, tmp_path)


def test_redirects_to_what_is_not_http_and_in_circles(small: SmallRegistry, tmp_path: Path) -> None:
    small.state.instead = {("GET", "manifests"): [(307, {"Location": "file:///etc/passwd"}, b"")]}
    with pytest.raises(ProjectError, match="leads to file:"):
        pulled(small, tmp_path)
    small.state.instead = {("GET", "manifests"): [(307, {"Location": "?again"}, b"")] * 99}
    with pytest.raises(ProjectError, match="circles"):
        pulled(small, tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"bin/sh": b"x", "lib/aarch64-linux-gnu/libc.so.6": b"release version 2.36"}, "has no Python"),
        ({"usr/bin/python3.13": b"x", "lib/ld-musl-aarch64.so.1": b""}, "musl"),
        ({"usr/bin/python3.13": b"x"}, "no C library"),
    ],
)
def test_bases_that_nothing_can_run_on(
    small: SmallRegistry, tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    hold(small, images.image(files))
    with pytest.raises(ProjectError, match=words):
        pulled(small, tmp_path)


@pytest.mark.parametrize(
    "kind", ["application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.oci.image.layer.v1.tar"]
)
def test_layers_that_lambda_does_not_take(small: SmallRegistry, tmp_path: Path, kind: str) -> None:
    layers = [replace(layer, media_type=kind) for layer in BASE.layers]
    hold(small, replace(BASE, manifest=images.manifest(BASE.config, layers)))
    with pytest.raises(ProjectError, match="gzip only"):
        pulled(small, tmp_path)


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b"<html>", b'{"layers": [], "config": {"digest": "sha256:../.."}}']
)
def test_manifests_that_are_none(small: SmallRegistry, tmp_path: Path, content: bytes) -> None:
    small.state.manifests["3.13"] = content
    with pytest.raises(ProjectError):
        pulled(small, tmp_path)


def test_nobody_at_the_port_is_said(tmp_path: Path) -> None:
    gone = SmallRegistry()
    gone.close()
    with pytest.raises(ProjectError, match="cannot be reached"):
        pulled(gone, tmp_path)


def test_the_interpreter_is_the_one_that_path_finds(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    names = (
        "usr/bin/python3.11",
        "usr/local/bin/python3.13",
        "usr/local/bin/python3.12",
        "opt/bin/python3.14",
    )
    layer.write_bytes(images.tar({"./" + name: b"" for name in names} | {"usr/lib64/libc-2.31.so": b""}))
    found = look([layer])
    assert found.glibc == (2, 31)
    assert found.python("/usr/local/bin:/usr/bin") == "/usr/local/bin/python3.13"
    assert found.python("/usr/bin") == "/usr/bin/python3.11"
    layer.write_bytes(b"no tar")
    with pytest.raises(ProjectError, match="is not a layer"):
        look([layer])


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *(("localhost", True), ("a.localhost", True), ("127.0.0.1", True), ("[::1]", True), ("::1", True)),
        *(("127.example.org", False), ("localhost.example.org", False), ("10.0.0.1", False), ("", False)),
    ],
)
def test_what_is_this_machine(host: str, here: bool) -> None:
    assert is_here(host) is here


def test_an_interruption_ends_what_is_on_its_way() -> None:
    patience, begun = Patience(), threading.Event()

    def work(item: int) -> None:
        if item:
            assert patience.stop.wait(10)
            raise Stopped
        assert begun.wait(10)
        raise KeyboardInterrupt

    begun.set()
    with pytest.raises(KeyboardInterrupt):
        side_by_side(work, (0, 1, 2, 3, 4), patience)
    with pytest.raises(Stopped):
        side_by_side(work, (1, 2), patience)
