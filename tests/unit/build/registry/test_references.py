import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.build.registry.references import Reference
from firstlight.runtime.errors import ProjectError

DIGEST = f"sha256:{'ab' * 32}"


@pytest.mark.parametrize(
    ("text", "host", "name", "tag", "digest"),
    [
        ("public.ecr.aws/lambda/python:3.13", "public.ecr.aws", "lambda/python", "3.13", ""),
        (f"localhost:5000/mood@{DIGEST}", "localhost:5000", "mood", "", DIGEST),
        (f"ghcr.io/a/b-c__d:v1@{DIGEST}", "ghcr.io", "a/b-c__d", "v1", DIGEST),
        ("localhost/mood", "localhost", "mood", "", ""),
        ("[::1]:5000/mood:x", "[::1]:5000", "mood", "x", ""),
        ("python:3.13-slim", "docker.io", "library/python", "3.13-slim", ""),
        ("team/mood", "docker.io", "team/mood", "", ""),
    ],
)
def test_the_forms_that_docker_takes(text: str, host: str, name: str, tag: str, digest: str) -> None:
    read = Reference.parse(text)
    assert (read.host, read.name, read.tag, read.digest) == (host, name, tag, digest)
    assert Reference.parse(str(read)) == read


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "ghcr.io/",
            "ghcr.io/Team/mood",
            "ghcr.io/a//b",
            "ghcr.io/a:",
            "ghcr.io/a:b c",
            "ghcr.io/a@sha256:12",
        ),
        *(
            "https://ghcr.io/a",
            "ghcr.io/a@md5:x",
            "-x.y/a",
            "ghcr.io/../a",
            "a.b:port/c",
            f"ghcr.io/{'a' * 256}",
        ),
    ],
)
def test_what_names_no_image_is_said_to_name_none(text: str) -> None:
    with pytest.raises(ProjectError, match="does not name an image"):
        Reference.parse(text)


@settings(max_examples=25)
@given(st.text(alphabet="ab.:/@-_A1[] ", max_size=30))
def test_a_text_is_refused_or_comes_back(text: str) -> None:
    try:
        read = Reference.parse(text)
    except ProjectError:
        return
    assert Reference.parse(str(read)) == read


def test_docker_hub_answers_at_another_host() -> None:
    assert Reference.parse("python").address == "registry-1.docker.io"
    assert Reference.parse("ghcr.io/a/b").address == "ghcr.io"
    assert Reference.parse("python").wanted == "latest"
