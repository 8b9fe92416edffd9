"""Images to a real registry and back: passwords, tokens, TLS, proxies, and all that may go wrong in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import small_images as images
from firstlight.build.pack.types import Image
from firstlight.build.registry import pulling
from firstlight.build.registry.credentials import Credentials
from firstlight.build.registry.pushing import push
from firstlight.build.registry.references import Reference
from firstlight.build.registry.talking import Registry, read_only
from firstlight.runtime.errors import Forbidden, ProjectError, Unauthorized
from parts import between
from parts import registry as parts
from parts.registry import RunningRegistry, TokenGiver

MB = 1 << 20


def small(size: int = 50_000) -> Image:
    return images.python_base(size)


def arrived(registry: RunningRegistry, image: Image) -> bool:
    return {image.digest, image.config.digest, *(layer.digest for layer in image.layers)} <= registry.blobs()


def test_there_and_back_with_a_password(registry: RunningRegistry, tmp_path: Path) -> None:
    image, to = small(), Reference.parse(f"{registry.host}/team/mood:v1")
    done = push(image, to, ("v2",), find=registry.known, cache=tmp_path / "a")
    assert done.sent == image.size + image.config.size
    for tag in ("v1", "v2"):
        base = pulling.base(replace(to, tag=tag), "arm64", tmp_path / "b", find=registry.known)
        assert base.reference == done.reference == f"{registry.host}/team/mood@{image.digest}"
        assert [layer.source.read_bytes() for layer in base.layers] == [
            layer.source for layer in image.layers
        ]
    again = push(image, to, ("v2",), find=registry.known, cache=tmp_path / "c")
    assert (again.sent, again.there) == (0, done.sent)


def test_another_program_reads_what_was_pushed(registry: RunningRegistry, tmp_path: Path) -> None:
    image = small()
    push(image, Reference.parse(f"{registry.host}/team/mood:v1"), find=registry.known, cache=tmp_path)
    known = registry.known()
    source = f"docker://{registry.host}/team/mood:v1"
    out = tmp_path / "out"
    said = ["--src-tls-verify=false", f"--src-creds={known.user}:{known.password}"]
    subprocess.run(["skopeo", "copy", "-q", *said, source, f"dir:{out}"], check=True, timeout=60)
    assert (out / "manifest.json").read_bytes() == image.manifest.source
    for layer in image.layers:
        assert (out / layer.digest.removeprefix("sha256:")).read_bytes() == layer.source


def test_who_is_not_known_or_wrong(registry: RunningRegistry, tmp_path: Path) -> None:
    to = Reference.parse(f"{registry.host}/team/mood")
    with pytest.raises(Unauthorized, match="wants to know who asks"):
        push(small(), to, find=lambda: None, cache=tmp_path)
    wrong = Credentials("AWS", "another", source="a file")
    with pytest.raises(Unauthorized, match="does not take the user and password of a file"):
        push(small(), to, find=lambda: wrong, cache=tmp_path)
    assert not registry.blobs()


def test_what_docker_login_wrote_is_enough(
    registry: RunningRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = registry.known()
    auth = known.basic.removeprefix("Basic ")
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    push(image := small(), Reference.parse(f"{registry.host}/a"), cache=tmp_path / "kept")
    assert arrived(registry, image)


def test_layers_of_another_repository_are_mounted(registry: RunningRegistry, tmp_path: Path) -> None:
    image = small()
    push(image, Reference.parse(f"{registry.host}/one"), find=registry.known, cache=tmp_path)
    origins = {layer.digest: f"{registry.host}/one" for layer in image.layers}
    bare = tuple(replace(layer, source=None) for layer in image.layers)
    moved = replace(image, layers=bare, origins=origins)
    done = push(moved, Reference.parse(f"{registry.host}/two"), find=registry.known, cache=tmp_path)
    assert (done.sent, done.mounted) == (image.config.size, image.size)


def test_a_code_only_change_sends_what_changed(registry: RunningRegistry, tmp_path: Path) -> None:
    to = Reference.parse(f"{registry.host}/mood")
    wheels, code = {"wheels": images.noise(5, 8 * MB)}, {"app.py": images.noise(6, 3000)}
    push(images.image(wheels, code), to, find=registry.known, cache=tmp_path)
    changed = images.image(wheels, {"app.py": images.noise(7, 3000)})
    with between.cutting(registry.host) as counted:
        done = push(
            changed, Reference.parse(f"{counted.host}/mood"), find=registry.known, cache=tmp_path / "other"
        )
    assert done.sent < 5_000
    assert counted.up < 10_000  # with all that is asked on the way


def test_tokens(tokens: tuple[RunningRegistry, TokenGiver], tmp_path: Path) -> None:
    registry, giver = tokens
    image, to = small(), Reference.parse(f"{registry.host}/team/mood:v1")
    push(image, to, find=registry.known, cache=tmp_path)
    assert arrived(registry, image)
    assert giver.asked == [["repository:team/mood:pull,push"]]
    # everybody may pull, with a token for nobody
    assert pulling.base(to, "arm64", tmp_path / "b", find=lambda: None).reference.endswith(image.digest)
    with pytest.raises(Unauthorized, match="wants to know who asks"):
        push(small(10), to, find=lambda: None, cache=tmp_path)
    with pytest.raises(Unauthorized, match="does not take"):
        push(small(10), to, find=lambda: Credentials("AWS", "x", source="a file"), cache=tmp_path)


def test_tokens_for_two_repositories_mount(
    tokens: tuple[RunningRegistry, TokenGiver], tmp_path: Path
) -> None:
    registry, giver = tokens
    image = small()
    push(image, Reference.parse(f"{registry.host}/one"), find=registry.known, cache=tmp_path)
    origins = {layer.digest: f"{registry.host}/one" for layer in image.layers}
    moved = replace(image, origins=origins)
    done = push(moved, Reference.parse(f"{registry.host}/two"), find=registry.known, cache=tmp_path)
    assert done.mounted == image.size
    assert ["repository:two:pull,push", "repository:one:pull"] in giver.asked


def test_a_token_that_ends_is_renewed(tokens: tuple[RunningRegistry, TokenGiver], tmp_path: Path) -> None:
    registry, giver = tokens
    to = Reference.parse(f"{registry.host}/mood:v1")
    push(image := small(), to, find=registry.known, cache=tmp_path)
    with Registry(to, find=registry.known) as asked:
        scopes = read_only(to)
        asked.read(asked.path(f"blobs/{image.config.digest}"), what="a test", scopes=scopes)
        asked.door._said[scopes] = ("Bearer of.an.old", float("inf"))
        before = len(giver.asked)
        asked.read(asked.path(f"blobs/{image.config.digest}"), what="a test", scopes=scopes)
    assert len(giver.asked) == before + 1


def test_a_connection_that_is_cut_is_made_again(registry: RunningRegistry, tmp_path: Path) -> None:
    """This registry forgets an upload that ends within a request, and what is whole is not sent again."""
    image = images.image({"a": images.noise(3, 8 * MB)}, {"b": images.noise(4, 6 * MB)})
    with between.cutting(registry.host) as line:
        line.cuts = [4 * MB, 10 * MB]
        push(image, Reference.parse(f"{line.host}/mood"), find=registry.known, cache=tmp_path)
        assert not line.cuts
    assert arrived(registry, image)
    assert line.up < image.size + 2 * 8 * MB


def test_a_process_that_is_killed_leaves_what_is_whole(registry: RunningRegistry, tmp_path: Path) -> None:
    image = images.image({"a": images.noise(4, 12 * MB)}, {"b": images.noise(5, 6 * MB)})
    with between.cutting(registry.host) as line:
        line.mark = 14 * MB
        program = subprocess.Popen(
            [sys.executable, "-c", _SLOW_PUSH, line.host, str(tmp_path / "kept")],
            env={**os.environ, "PYTHONPATH": f"{Path(__file__).parents[1]}"},
        )
        assert line.passed.wait(60)
        while image.layers[1].digest not in registry.blobs():
            assert program.poll() is None
            os.sched_yield()
        program.send_signal(signal.SIGKILL)
        program.wait()
        line.up = 0
        assert not arrived(registry, image)
        done = push(image, Reference.parse(f"{line.host}/mood"), find=registry.known, cache=tmp_path / "kept")
    assert arrived(registry, image)
    assert done.there >= image.layers[1].size
    assert line.up < image.layers[0].size + MB
    assert not list((tmp_path / "kept" / "uploads").iterdir())


_SLOW_PUSH = """
import sys, threading
from pathlib import Path
import small_images as images
from firstlight.build.registry import bodies
from firstlight.build.registry.credentials import Credentials
from firstlight.build.registry.pushing import push
from firstlight.build.registry.references import Reference
from parts import registry as parts

host, kept = sys.argv[1:]
image = images.image({"a": images.noise(4, 12 << 20)}, {"b": images.noise(5, 6 << 20)})
read = bodies.read

def slowly(source, start, end):
    sent = 0
    for piece in read(source, start, end):
        yield piece
        sent += len(piece)
        if sent > 9 << 20:
            threading.Event().wait(60)

bodies.read = slowly
known = Credentials(parts.USER, parts.PASSWORD)
push(image, Reference.parse(f"{host}/mood"), find=lambda: known, cache=Path(kept))
"""


def test_a_registry_that_is_started_again_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    first = parts.with_password(folder)
    image = images.image({"a": images.noise(8, 12 * MB)})
    with between.cutting(first.host) as line:
        line.cuts, line.mark = [4 * MB], 4 * MB
        second: list[RunningRegistry] = []

        class Shown:
            """Stops the registry when the first bytes went out, and starts it again when it is missed."""

            def stage(self, name: str, total: int | None = None) -> None: ...

            def say(self, text: str) -> None: ...

            def advance(self, count: int) -> None:
                if count > 0 and not second and line.passed.is_set():
                    first.stop()
                    second.append(parts.with_password(folder))
                    line.to = second[0].host

        push(
            image, Reference.parse(f"{line.host}/mood"), shown=Shown(), find=first.known, cache=tmp_path / "c"
        )
    assert second
    assert arrived(second[0], image)
    second[0].stop()


def test_several_at_once(registry: RunningRegistry, tmp_path: Path) -> None:
    """The same image and another one with the same layers, to one repository, from one cache."""
    shared = {"a": images.noise(11, 3 * MB)}
    made = [images.image(shared, {"b": images.noise(number, 1000)}) for number in (1, 1, 2, 3)]
    to = Reference.parse(f"{registry.host}/mood")
    with ThreadPoolExecutor(len(made)) as pool:
        done = list(pool.map(lambda image: push(image, to, find=registry.known, cache=tmp_path), made))
    assert [one.reference for one in done] == [f"{registry.host}/mood@{image.digest}" for image in made]
    assert all(arrived(registry, image) for image in made)
    assert not list((tmp_path / "uploads").iterdir())


def test_several_pull_the_same_base(registry: RunningRegistry, tmp_path: Path) -> None:
    push(image := small(MB), Reference.parse(f"{registry.host}/a:1"), find=registry.known, cache=tmp_path)
    to = Reference.parse(f"{registry.host}/a:1")
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: pulling.base(to, "arm64", tmp_path / "b", find=registry.known), range(4))
        )
    assert {base.reference for base in found} == {f"{registry.host}/a@{image.digest}"}
    assert not list((tmp_path / "b" / "blobs" / "sha256").glob("*.part"))


def test_nobody_there(registry: RunningRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstlight.build.registry.patience.FIRST_DELAY_S", 0.0)
    registry.stop()
    with pytest.raises(ProjectError, match="cannot be reached"):
        push(small(), Reference.parse(f"{registry.host}/a"), find=registry.known, cache=tmp_path)


def test_a_wrong_layer_is_found_by_the_registry(registry: RunningRegistry, tmp_path: Path) -> None:
    image = small()
    wrong = replace(image.layers[0], source=b"?" * image.layers[0].size)
    with pytest.raises(ProjectError, match="has something else"):
        push(
            replace(image, layers=(wrong, image.layers[1])),
            Reference.parse(f"{registry.host}/a"),
            find=registry.known,
            cache=tmp_path,
        )
    assert image.digest not in registry.blobs()


def test_a_registry_that_only_reads(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    running = parts.start(
        folder,
        {
            "storage": {
                "filesystem": {"rootdirectory": str(folder / "s")},
                "maintenance": {"readonly": {"enabled": True}},
            }
        },
    )
    with pytest.raises((Forbidden, ProjectError), match=running.host):
        push(small(), Reference.parse(f"{running.host}/a"), find=lambda: None, cache=tmp_path)
    running.stop()


def test_tls_is_checked(
    encrypted: tuple[RunningRegistry, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, certificate = encrypted
    to = Reference.parse(f"{registry.host}/a")
    with pytest.raises(ProjectError, match="is not who it says it is"):
        push(small(), to, find=lambda: None, cache=tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    push(image := small(), to, find=lambda: None, cache=tmp_path)
    assert arrived(registry, image)


def test_a_proxy_is_used_where_one_is_named(
    encrypted: tuple[RunningRegistry, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, certificate = encrypted
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with between.proxying({"registry.test:443": registry.host}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        push(image := small(), Reference.parse("registry.test/a"), find=lambda: None, cache=tmp_path)
        assert arrived(registry, image)
        assert {line.split()[0] for line in proxy.asked} == {"CONNECT"}
        monkeypatch.setenv("NO_PROXY", ".test")
        monkeypatch.setattr("firstlight.build.registry.patience.FIRST_DELAY_S", 0.0)
        with pytest.raises(ProjectError, match="cannot be reached"):
            push(small(9), Reference.parse("registry.test/a"), find=lambda: None, cache=tmp_path)


def test_a_registry_without_tls_has_to_be_named(
    registry: RunningRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstlight.build.registry.patience.FIRST_DELAY_S", 0.0)
    names = {"registry.test:5000": registry.host}
    with between.proxying(names) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        to = Reference.parse("registry.test:5000/a")
        with pytest.raises(ProjectError, match="does not speak TLS"):
            push(small(), to, find=registry.known, cache=tmp_path)
        monkeypatch.setenv("FIRSTLIGHT_PLAIN_REGISTRIES", "other:1, registry.test:5000")
        push(image := small(), to, find=registry.known, cache=tmp_path)
        assert arrived(registry, image)
