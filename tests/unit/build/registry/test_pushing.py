from dataclasses import replace
from pathlib import Path

import pytest
from small_registry import SmallRegistry

import small_images as images
from firstlight.build.registry.credentials import Credentials
from firstlight.build.registry.pushing import push
from firstlight.build.registry.references import Reference
from firstlight.build.registry.types import Pushed
from firstlight.build.registry.unfinished import noted
from firstlight.runtime.errors import Conflict, FirstlightError, Forbidden, ProjectError, Unauthorized

ME = Credentials("me", "secret", source="a file")
IMAGE = images.image({"a": images.noise(1, 60_000)}, {"b": images.noise(2, 30_000)})
BYTES = sum(blob.size for blob in (*IMAGE.layers, IMAGE.config))


def pushed(small: SmallRegistry, tmp_path: Path, name: str = "team/mood", **more: object) -> Pushed:
    to = Reference.parse(f"{small.host}/{name}")
    return push(more.pop("image", IMAGE), to, find=lambda: ME, cache=tmp_path / "kept", **more)


def whole(small: SmallRegistry) -> bool:
    return {*small.state.blobs} == {blob.digest for blob in (*IMAGE.layers, IMAGE.config)}


def test_all_of_an_image_arrives_and_nothing_is_sent_twice(small: SmallRegistry, tmp_path: Path) -> None:
    done = pushed(small, tmp_path, tags=("v1",))
    assert done == Pushed(f"{small.host}/team/mood@{IMAGE.digest}", BYTES, 0, 0)
    assert small.state.manifests["v1"] == IMAGE.manifest.source
    assert pushed(small, tmp_path, tags=("v1",)) == replace(done, sent=0, there=BYTES)
    changed = images.image({"a": images.noise(1, 60_000)}, {"b": images.noise(3, 10)})
    assert pushed(small, tmp_path, image=changed).sent == changed.layers[1].size + changed.config.size


def test_progress_ends_at_the_size_whatever_fails(small: SmallRegistry, tmp_path: Path) -> None:
    told: list[int] = []

    class Shown:
        def stage(self, name: str, total: int | None = None) -> None:
            assert total == BYTES

        def advance(self, count: int) -> None:
            told.append(count)

        def say(self, text: str) -> None: ...

    small.state.cut = [20_000, 5_000, 0]
    pushed(small, tmp_path, shown=Shown())
    assert sum(told) == BYTES


def test_an_upload_that_is_cut_goes_on_where_the_registry_is(small: SmallRegistry, tmp_path: Path) -> None:
    small.state.cut = [20_000, 20_000]
    assert pushed(small, tmp_path).sent == BYTES
    assert whole(small)
    ranges = [
        headers["Content-Range"] for method, _, headers in small.state.asked if "Content-Range" in headers
    ]
    assert ranges
    assert not any(said.startswith("0-") for said in ranges)
    assert small.state.count("POST", "uploads/$") == 3


def test_what_an_earlier_process_sent_is_not_sent_again(small: SmallRegistry, tmp_path: Path) -> None:
    small.state.cut = [25_000] * 12
    small.state.instead = {("GET", "uploads"): [(503, {}, b"")] * 99}
    with pytest.raises(ProjectError, match="cannot be reached"):
        pushed(small, tmp_path)
    had = sum(len(upload) for upload in small.state.uploads.values()) + sum(
        map(len, small.state.blobs.values())
    )
    small.state.cut, small.state.instead = [], {}
    assert 0 < had < BYTES
    assert pushed(small, tmp_path).sent <= BYTES - 25_000
    assert whole(small)
    assert not list((tmp_path / "kept" / "uploads").iterdir())


def test_damage_in_what_was_sent_before_is_sent_anew(small: SmallRegistry, tmp_path: Path) -> None:
    small.state.cut = [25_000] * 12
    small.state.instead = {("GET", "uploads"): [(503, {}, b"")] * 99}
    with pytest.raises(ProjectError):
        pushed(small, tmp_path)
    small.state.cut, small.state.instead = [], {}
    for upload in small.state.uploads.values():
        upload[:1] = b"?"
    pushed(small, tmp_path)
    assert whole(small)


def test_a_registry_that_forgot_an_upload_gets_it_from_the_start(
    small: SmallRegistry, tmp_path: Path
) -> None:
    small.state.cut = [20_000]
    small.state.instead = {("GET", "uploads"): [(404, {}, b"")]}
    pushed(small, tmp_path)
    assert whole(small)


def test_an_upload_that_was_whole_when_the_answer_got_lost_is_seen(
    small: SmallRegistry, tmp_path: Path
) -> None:
    one = images.image({"a": b"x"})
    small.state.instead = {("PUT", "uploads"): [(502, {}, b"")], ("GET", "uploads"): [(404, {}, b"")]}
    for blob in (one.config, *one.layers):
        small.state.blobs[blob.digest] = blob.source
    small.state.instead[("HEAD", "blobs")] = [(404, {}, b"")] * 2
    pushed(small, tmp_path, image=one)
    assert small.state.count("POST", "uploads/$") == 2


@pytest.mark.parametrize("status", [429, 503])
def test_what_passes_is_waited_for(small: SmallRegistry, tmp_path: Path, status: int) -> None:
    busy = (status, {"Retry-After": "30"}, b"")
    small.state.instead = {
        ("HEAD", "blobs"): [busy, busy],
        ("POST", ""): [busy],
        ("PATCH", ""): [busy, busy],
        ("PUT", "uploads"): [busy],
        ("PUT", "manifests"): [busy],
    }
    assert pushed(small, tmp_path).sent == BYTES
    assert whole(small)


@pytest.mark.parametrize(
    ("method", "status", "body", "error", "words"),
    [
        ("POST", 403, b'{"errors":[{"code":"DENIED","message":"read\\u0007 only"}]}', Forbidden, "read only"),
        (
            "POST",
            404,
            b'{"errors":[{"code":"NAME_UNKNOWN","message":"no repository"}]}',
            ProjectError,
            "no repository",
        ),
        ("HEAD", 403, b"", Forbidden, "does not allow"),
        ("PATCH", 413, b"<html>", ProjectError, "no pieces of that size"),
        ("POST", 429, b"", ProjectError, "too many requests"),
        ("POST", 503, b"", ProjectError, "answered 503"),
        ("PUT", 400, b'{"errors":[{"code":"DIGEST_INVALID"}]}', ProjectError, "what arrived is not sha256:"),
        ("POST", 202, b"", ProjectError, "where to go on"),
        ("POST", 418, b"", ProjectError, "answered 418"),
    ],
)
def test_refusals_in_words(
    small: SmallRegistry,
    tmp_path: Path,
    method: str,
    status: int,
    body: bytes,
    error: type[FirstlightError],
    words: str,
) -> None:
    small.state.instead = {(method, "blobs"): [(status, {}, body)] * 999}
    with pytest.raises(error, match=words) as raised:
        pushed(small, tmp_path)
    assert raised.value.hint
    assert small.host in raised.value.message
    assert raised.value.message.isprintable()


def test_a_registry_that_takes_no_large_pieces_gets_smaller_ones(
    small: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstlight.build.registry.uploading._SMALLER", 10_000)
    small.state.most = 10_000
    pushed(small, tmp_path)
    assert whole(small)
    assert small.state.count("PATCH") >= 9


def test_who_is_not_known_is_told_where_the_password_came_from(small: SmallRegistry, tmp_path: Path) -> None:
    small.state.user = "me:another"
    with pytest.raises(Unauthorized, match="does not take the user and password of a file"):
        pushed(small, tmp_path)
    with pytest.raises(Unauthorized, match="wants to know who asks"):
        push(IMAGE, Reference.parse(f"{small.host}/a"), find=lambda: None, cache=tmp_path)


def test_tokens_are_had_once_for_a_repository_and_renewed(small: SmallRegistry, tmp_path: Path) -> None:
    small.state.user, small.state.bearer = "me:secret", True
    pushed(small, tmp_path)
    assert small.state.count("GET", "^/token") == 1
    (path,) = [path for _, path, _ in small.state.asked if path.startswith("/token")]
    assert "scope=repository%3Ateam%2Fmood%3Apull%2Cpush" in path
    assert whole(small)
    small.state.user = "me:another"
    with pytest.raises(Unauthorized, match="a file"):
        pushed(small, tmp_path / "again", name="team/other")


def test_what_one_repository_has_another_one_mounts(small: SmallRegistry, tmp_path: Path) -> None:
    pushed(small, tmp_path)
    origins = {layer.digest: f"{small.host}/team/mood" for layer in IMAGE.layers}
    small.state.manifests.clear()
    small.state.instead = {("HEAD", "blobs"): [(404, {}, b"")] * 3}
    bare = tuple(replace(layer, source=None) for layer in IMAGE.layers)
    moved = replace(IMAGE, origins=origins, layers=bare)
    done = pushed(small, tmp_path, name="team/other", image=moved)
    assert done.mounted == sum(layer.size for layer in IMAGE.layers)
    assert done.sent == IMAGE.config.size


def test_layers_of_another_registry_are_brought_over(
    small: SmallRegistry, elsewhere: SmallRegistry, tmp_path: Path
) -> None:
    for layer in IMAGE.layers:
        elsewhere.state.blobs[layer.digest] = layer.source
    origins = {layer.digest: f"{elsewhere.host}/lambda/python" for layer in IMAGE.layers}
    bare = tuple(replace(layer, source=None) for layer in IMAGE.layers)
    pushed(small, tmp_path, image=replace(IMAGE, origins=origins, layers=bare))
    assert whole(small)
    with pytest.raises(ProjectError, match="nowhere to be found"):
        pushed(
            small,
            tmp_path,
            name="x",
            image=replace(
                images.image({"c": b"c"}),
                layers=(replace(IMAGE.layers[0], digest=f"sha256:{'0' * 64}", source=None),),
            ),
        )


def test_a_tag_that_does_not_move_is_a_conflict_unless_it_is_there(
    small: SmallRegistry, tmp_path: Path
) -> None:
    said = b'{"errors":[{"code":"TAG_INVALID","message":"the repository is immutable"}]}'
    small.state.instead = {("PUT", "manifests/v1"): [(400, {}, said)] * 2}
    with pytest.raises(Conflict, match="immutable"):
        pushed(small, tmp_path, tags=("v1",))
    small.state.manifests["v1"] = IMAGE.manifest.source
    assert pushed(small, tmp_path, tags=("v1",)).sent == 0


@pytest.mark.parametrize("path", ["uploads", "manifests"])
def test_a_registry_that_names_another_digest_is_not_believed(
    small: SmallRegistry, tmp_path: Path, path: str
) -> None:
    small.state.instead = {("PUT", path): [(201, {"Docker-Content-Digest": f"sha256:{'0' * 64}"}, b"")] * 9}
    with pytest.raises(ProjectError, match="is not sha256:"):
        pushed(small, tmp_path)


def test_an_upload_that_goes_on_at_another_host_takes_no_password_there(
    small: SmallRegistry, elsewhere: SmallRegistry, tmp_path: Path
) -> None:
    small.state.user = "me:secret"
    elsewhere.state.uploads["u"] = bytearray()
    one = images.image({"a": b"x"})
    for blob in (one.config,):
        small.state.blobs[blob.digest] = blob.source
    place = f"http://{elsewhere.host}/v2/team/mood/blobs/uploads/u"
    small.state.instead = {("POST", "uploads"): [(202, {"Location": place}, b"")]}
    pushed(small, tmp_path, image=one)
    assert elsewhere.state.asked
    assert not any("Authorization" in headers for _, _, headers in elsewhere.state.asked)


def test_a_kept_layer_that_was_damaged_is_removed(small: SmallRegistry, tmp_path: Path) -> None:
    layer = IMAGE.layers[0]
    kept = tmp_path / layer.digest.removeprefix("sha256:")
    kept.write_bytes(b"?" * layer.size)
    with pytest.raises(ProjectError, match="was damaged since it was kept"):
        pushed(small, tmp_path, image=replace(IMAGE, layers=(replace(layer, source=kept), IMAGE.layers[1])))
    assert not kept.exists()
    given = tmp_path / "layer"
    given.write_bytes(b"?" * layer.size)
    with pytest.raises(ProjectError, match="has something else"):
        pushed(small, tmp_path, image=replace(IMAGE, layers=(replace(layer, source=given), IMAGE.layers[1])))
    assert given.exists()
    given.write_bytes(b"short")
    with pytest.raises(ProjectError, match="is shorter"):
        pushed(small, tmp_path, image=replace(IMAGE, layers=(replace(layer, source=given), IMAGE.layers[1])))


def test_an_identity_token_is_exchanged(small: SmallRegistry, tmp_path: Path) -> None:
    small.state.user, small.state.bearer, small.state.refresh = "me:secret", True, "long"
    known = Credentials(refresh="long", source="a file")
    push(IMAGE, Reference.parse(f"{small.host}/a"), find=lambda: known, cache=tmp_path)
    assert whole(small)
    assert small.state.count("POST", "^/token") == 1
    with pytest.raises(Unauthorized):
        push(
            images.image({"x": b"x"}),
            Reference.parse(f"{small.host}/b"),
            find=lambda: replace(known, refresh="another"),
            cache=tmp_path,
        )


def test_a_note_that_leads_nowhere_is_no_hindrance(small: SmallRegistry, tmp_path: Path) -> None:
    gone = SmallRegistry()
    gone.close()
    for blob in (*IMAGE.layers, IMAGE.config):
        with noted(tmp_path / "kept" / "uploads", f"{small.host}/team/mood", blob.digest) as note:
            note.write(f"http://{gone.host}/v2/a/blobs/uploads/1")
    assert pushed(small, tmp_path).sent == BYTES
    assert whole(small)


def test_a_mount_that_is_refused_is_sent(small: SmallRegistry, tmp_path: Path) -> None:
    small.state.instead = {("POST", "mount"): [(404, {}, b""), (405, {}, b"")]}
    origins = {layer.digest: f"{small.host}/other" for layer in IMAGE.layers}
    assert pushed(small, tmp_path, image=replace(IMAGE, origins=origins)).sent == BYTES
    assert whole(small)


@pytest.mark.parametrize("status", [201, 204])
def test_registries_that_take_pieces_with_another_status(
    small: SmallRegistry, tmp_path: Path, status: int
) -> None:
    small.state.taken = status
    assert pushed(small, tmp_path).sent == BYTES
    assert whole(small)


def test_a_scope_of_the_registrys_own_is_asked_for_too(small: SmallRegistry, tmp_path: Path) -> None:
    small.state.user, small.state.bearer, small.state.own_scope = "me:secret", True, "aws"
    pushed(small, tmp_path)
    (path,) = [path for _, path, _ in small.state.asked if path.startswith("/token")]
    assert path.endswith("scope=repository%3Ateam%2Fmood%3Apull%2Cpush&scope=aws")


def test_a_registry_whose_storage_shows_layers_late(small: SmallRegistry, tmp_path: Path) -> None:
    late = (404, {}, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}')
    mixed = (400, {}, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
    small.state.instead = {("PUT", "manifests"): [late, mixed, late]}
    pushed(small, tmp_path)
    small.state.manifests.clear()
    small.state.instead = {("PUT", "manifests"): [late] * 9}
    with pytest.raises(ProjectError, match="MANIFEST_BLOB_UNKNOWN"):
        pushed(small, tmp_path)
