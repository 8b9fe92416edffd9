"""What is known of a requirements file before pip reads it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.build.pack import requirements
from firstlight.runtime.errors import ProjectError


def _read(folder: Path, text: str) -> requirements.Requirements:
    (folder / "requirements.txt").write_text(text, encoding="utf-8")
    return requirements.read(folder / "requirements.txt", folder)


def test_lines_are_joined_and_comments_taken_out(tmp_path: Path) -> None:
    its = _read(
        tmp_path,
        "# all of it\nnumpy>=2 \\\n  ,<3   # fast\n\nidna==3.20 --hash=sha256:ab \\\n --hash=sha256:cd\n",
    )
    assert its.lines == ("numpy>=2 ,<3", "idna==3.20 --hash=sha256:ab --hash=sha256:cd")
    assert its.names == {"numpy", "idna"}
    assert its.shown == "requirements.txt"


def test_what_is_asked_for_is_told_apart_by_its_lines_and_not_by_comments(tmp_path: Path) -> None:
    first = _read(tmp_path, "numpy\n").asked
    assert _read(tmp_path, "numpy   # for sums\r\n").asked == first
    assert _read(tmp_path, "numpy<3\n").asked != first


def test_names_with_markers_extras_and_addresses(tmp_path: Path) -> None:
    text = (
        "Foo.Bar[fast,big] >= 1 ; python_version < '3.12'\n"
        "baz @ https://example.org/baz-1.0-py3-none-any.whl ; sys_platform == 'linux'\n"
        "https://example.org/files/qux-2.0-py3-none-any.whl\n"
        "--extra-index-url https://user:secret@example.org/simple\n"
    )
    its = _read(tmp_path, text)
    assert {"foo-bar", "baz"} <= its.names
    assert len(its.direct) == 2
    assert its.options == ("--extra-index-url https://user:secret@example.org/simple",)


def test_files_that_are_included_count_too(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "base.txt").write_text("idna\n-r deeper.txt\n")
    (tmp_path / "more" / "deeper.txt").write_text("h11\n")
    (tmp_path / "limits.txt").write_text("idna<4\n")
    its = _read(tmp_path, "-r more/base.txt\n--constraint=limits.txt\n")
    assert (its.lines, its.limits) == (("idna", "h11"), ("idna<4",))
    before = its.asked
    (tmp_path / "limits.txt").write_text("idna<5\n")
    assert requirements.read(tmp_path / "requirements.txt", tmp_path).asked != before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-e .", "is editable"),
        ("--editable=./mine", "is editable"),
        ("git+https://user:secret@example.org/mine.git@v1", "repository of sources"),
        ("mine @ git+ssh://git@example.org/mine.git", "repository of sources"),
        ("mine @ https://example.org/mine-1.0.tar.gz", "archive of sources"),
        ("https://example.org/mine.zip#sha256=ab", "archive of sources"),
        ("./mine", "a folder or an archive"),
        ("../mine-1.0.tar.gz", "a folder or an archive"),
        ("mine-1.0.tar.gz", "a folder or an archive"),
        ("./wheels/mine-1.0-py3-none-any.whl", "names a file that is not there"),
        ("--no-binary :all:", "asks for sources to be built"),
        ("numpy --config-settings=a=b", "asks for sources to be built"),
        ("-r nothing.txt", "cannot be read"),
        ("-r requirements.txt", "includes itself"),
        ("-r https://example.org/list.txt", "of another machine"),
    ],
)
def test_what_would_have_to_be_built_is_refused(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ProjectError, match=said) as raised:
        _read(tmp_path, f"numpy\n{line}\n")
    assert "secret" not in raised.value.message
    assert raised.value.hint


def test_a_file_that_is_no_list_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "requirements.txt"
    place.write_bytes(b"\xff\xfe\x00n")
    with pytest.raises(ProjectError, match="UTF-8"):
        requirements.read(place, tmp_path)
    place.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ProjectError, match="1,000,001 bytes"):
        requirements.read(place, tmp_path)


def test_a_wheel_that_lies_beside_the_file_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "mine-1.0-py3-none-any.whl").write_bytes(b"")
    assert _read(tmp_path, "./mine-1.0-py3-none-any.whl\n").direct == (
        str(tmp_path / "mine-1.0-py3-none-any.whl"),
    )


def test_paths_start_at_the_file_they_are_in(tmp_path: Path) -> None:
    place = tmp_path / "more" / "wheels" / "mine-1.0-py3-none-any.whl"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    (tmp_path / "more" / "list.txt").write_text(
        f"./wheels/{place.name} --hash=sha256:ab ; python_version > '3'\n"
    )
    its = _read(tmp_path, "-r more/list.txt\n")
    assert its.direct == (f"{place} --hash=sha256:ab ; python_version > '3'",)
    there = its.asked
    place.parent.parent.rename(tmp_path / "moved")
    assert _read(tmp_path, "-r moved/list.txt\n").asked == there


def test_firstlight_itself_is_not_asked_for(tmp_path: Path) -> None:
    its = _read(
        tmp_path,
        "firstlight[aws]==0.1.0\nidna\nFirstLight @ https://example.org/firstlight-1-py3-none-any.whl\n",
    )
    assert its.lines == ("idna",)


def test_links_start_at_the_files_folder(tmp_path: Path) -> None:
    its = _read(tmp_path, "--find-links wheels\n-f https://example.org/wheels\n")
    assert its.options == (f"--find-links {tmp_path / 'wheels'}", "-f https://example.org/wheels")


def test_the_nearest_file_is_a_scripts(tmp_path: Path) -> None:
    script = tmp_path / "inference" / "mood.py"
    script.parent.mkdir()
    assert requirements.of_script(script, tmp_path) is None
    (tmp_path / "requirements.txt").write_text("numpy")
    assert requirements.of_script(script, tmp_path) == tmp_path / "requirements.txt"
    (script.parent / "requirements.txt").write_text("idna")
    assert requirements.of_script(script, tmp_path) == script.parent / "requirements.txt"


@settings(max_examples=15)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_in_words(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        its = _read(folder, text.encode("utf-8", "ignore").decode())
    except ProjectError:
        return
    assert len(its.asked) == 64
