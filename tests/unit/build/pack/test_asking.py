"""What pip says, in words; the texts are those of pip 23.2 and 26.3."""

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from firstlight.build.pack import asking
from firstlight.build.pack.types import Target
from firstlight.runtime.errors import MissingExtra

_NETWORK = (
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<urllib3.connection."
    "HTTPSConnection object>: Failed to establish a new connection: [Errno 111] Connection refused')': /simple/idna/\n"
)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            "ERROR: Could not find a version that satisfies the requirement nltk==99 (from versions: 3.8, 3.9)\n"
            "ERROR: No matching distribution found for nltk==99",
            "nltk==99 has no wheel for arm64, Python 3.13 (versions that have: 3.8, 3.9)",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement docopt (from versions: none)\n"
            "ERROR: No matching distribution found for docopt",
            "docopt has no wheel for arm64, Python 3.13, or does not exist",
        ),
        (
            f"{_NETWORK}ERROR: Could not find a version that satisfies the requirement idna (from versions: none)\n"
            "ERROR: No matching distribution found for idna",
            "the package index cannot be reached",
        ),
        (
            "ERROR: Cannot install idna<3 and idna>=3 because these package versions have conflicting dependencies.\n\n"
            "The conflict is caused by:\n    The user requested idna<3\n    requests 2.34 depends on idna>=3\n\n"
            "To fix this you could try to:\n1. loosen the range\nERROR: ResolutionImpossible: for help visit",
            "The user requested idna<3; requests 2.34 depends on idna>=3",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated them\n"
            "    idna==3.20 from https://user:secret@example.org/idna-3.20-py3-none-any.whl (from -r r.txt):\n"
            "        Expected sha256 aa\n             Got        bb",
            "a package is not the one its hash says",
        ),
        (
            "ERROR: Hashes are required in --require-hashes mode, but they are missing from some requirements here.",
            "some requirements have a hash and others have none",
        ),
        (
            "ERROR: Invalid requirement: 'idna >> 3' (from line 1 of /home/me/r.txt)\nHint: = is not a valid operator",
            "pip says: Invalid requirement: 'idna >> 3'",
        ),
        (
            "Collecting mine (from -r /home/me/r.txt (line 1))\nfirstlight-refused-to-run: git clone https://example.org",
            "mine would have to be built",
        ),
        ("Traceback\nERROR: something odd", "pip failed: something odd"),
    ],
)
def test_what_went_wrong_is_said_in_words(said: str, message: str) -> None:
    error = asking._explained(said, "requirements.txt", Target())
    assert message in error.message
    assert error.message.startswith("requirements.txt: ")
    assert "secret" not in error.message
    assert "/home/me" not in error.message
    assert error.hint


def test_an_interpreter_without_pip_is_told_what_to_install() -> None:
    error = asking._explained("firstlight-found-no-pip", "requirements.txt", Target())
    assert isinstance(error, MissingExtra)
    assert "ensurepip" in error.hint


def test_pip_is_the_installed_one_else_the_one_that_comes_with_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (Path(asking._place_of_pip()) / "pip" / "__init__.py").is_file()
    bundled = tmp_path / "ensurepip" / "_bundled" / "pip-26.0-py3-none-any.whl"
    bundled.parent.mkdir(parents=True)
    known = {"ensurepip": ModuleSpec("ensurepip", None, origin=str(tmp_path / "ensurepip" / "__init__.py"))}
    monkeypatch.setattr("importlib.util.find_spec", known.get)
    with pytest.raises(MissingExtra):
        asking._place_of_pip()
    bundled.write_bytes(b"")
    assert asking._place_of_pip() == str(bundled)
