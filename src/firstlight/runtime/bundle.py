"""A bundle: one folder with everything an endpoint needs, described by its ``bundle.json``.

``bundle.json`` names the task, the engine, the labels, where the weights come from, and the size and SHA-256 of
every file. A bundle is checked when it is opened, so that a flipped bit is an error and not a wrong answer.
"""

from __future__ import annotations

import os

from firstlight.runtime import jsons
from firstlight.runtime.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

SCHEMA = 1
MANIFEST = "bundle.json"
_REBUILD = "make the bundle again from its model; its files were changed after it was written"

# Fields of bundle.json: the type each must have, and what stands in for a field that may be left out.
_REQUIRED: dict[str, type] = {"name": str, "task": str, "engine": str, "files": dict}
_OPTIONAL: dict[str, tuple[type, Any]] = {
    "precision": (str, "fp32"),
    "model": (dict, {}),
    "tokenizer": (dict, {}),
    "labels": (list, []),
    "defaults": (dict, {}),
    "source": (dict, {}),
    "parity": (dict, {}),
}


class Bundle:
    """What ``bundle.json`` says, and where its files are.

    Attributes:
        path: the folder.
        name, task, engine, precision: as in ``bundle.json``.
        labels: class names by index.
        defaults: parameters a request may override (``max_length`` and the task's own).
        source: repository, revision and licence of the weights.
        parity: how far the weights are from the original ones, measured at conversion.
        model, tokenizer: the engine's and the tokenizer's own settings (names of files).
        files: file name -> {"size": bytes, "sha256": hex}.
    """

    name: str
    task: str
    engine: str
    precision: str
    labels: list[str]
    defaults: dict[str, Any]
    source: dict[str, Any]
    parity: dict[str, Any]
    model: dict[str, Any]
    tokenizer: dict[str, Any]
    files: dict[str, dict[str, Any]]

    def __init__(self, path: str, content: dict[str, Any]) -> None:
        self.path = path
        self._content = content
        for field, kind in _REQUIRED.items():
            setattr(self, field, _typed(path, content, field, kind))
        for field, (kind, absent) in _OPTIONAL.items():
            setattr(
                self, field, _typed(path, content, field, kind) if content.get(field) is not None else absent
            )
        for name, entry in self.files.items():
            _check_entry(path, name, entry)

    @classmethod
    def open(cls, path: str | os.PathLike[str], verify: str = "sizes") -> Bundle:
        """Read and check the bundle in a folder.

        Args:
            path: the folder that holds ``bundle.json``.
            verify: ``sizes`` compares the size of every file; ``hashes`` also its SHA-256; ``first`` does the
                latter once for a state of a file (size, times, inode) and remembers it in the user's cache;
                ``listed`` looks at no file, for whoever wants to know what ``bundle.json`` says and no more.

        Raises:
            BundleError: ``bundle.json`` is missing or wrong, or a file is missing or differs from it.
        """
        folder = os.path.abspath(os.fspath(path))  # noqa: PTH100 - pathlib costs 5 ms of a cold start
        bundle = cls(folder, _read(folder))
        if verify == "listed":
            return bundle
        state = bundle.check_sizes()
        if verify == "hashes":
            bundle.check_hashes()
        elif verify == "first":
            _check_once(bundle, state)
        elif verify != "sizes":
            raise ValueError(f"verify is {verify!r}, not one of listed, sizes, hashes, first")
        return bundle

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of ``bundle.json`` in canonical form, without ``parity``: equal for equal bundles.

        ``parity`` says what was measured of the weights, on the machine that made them. Other CPUs measure other last
        digits; no answer depends on them.
        """
        import hashlib
        import json

        told = {key: value for key, value in self._content.items() if key != "parity"}
        canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()

    def file(self, name: str) -> str:
        """The path of a file of the bundle, or of a folder that holds some.

        Raises:
            BundleError: ``bundle.json`` lists no such file.
        """
        if name not in self.files and not any(listed.startswith(name + "/") for listed in self.files):
            raise BundleError(
                f"bundle.json in {self.path} names the file {name!r} but does not list it", _REBUILD
            )
        return f"{self.path}/{name}"

    def check_sizes(self) -> str:
        """Compare the size of every file; return the state of the files as text, a line for each.

        A state is size, time of the last change of content, time of the last change of anything, and inode. The second
        time cannot be set, so a file that was swapped is another one even where its size and first time are the same.

        Raises:
            BundleError: a file is missing, is not a regular file, or has another size.
        """
        lines = []
        for name, entry in self.files.items():
            try:
                found = os.stat(f"{self.path}/{name}")  # noqa: PTH116
            except OSError as error:
                raise BundleError(f"{name} is missing from the bundle {self.path}", _REBUILD) from error
            if found.st_size != entry["size"]:
                message = f"{name} in the bundle {self.path} has {found.st_size} bytes, not {entry['size']}"
                raise BundleError(message, _REBUILD)
            times = f"{found.st_mtime_ns} {found.st_ctime_ns}"
            lines.append(f"{name} {found.st_size} {times} {found.st_ino} {entry['sha256']}")
        return "\n".join(lines)

    def check_hashes(self, names: Iterable[str] | None = None) -> None:
        """Compare the SHA-256 of files, of all where none are named.

        Raises:
            BundleError: a file has another hash or cannot be read.
        """
        for name in self.files if names is None else names:
            entry = self.files[name]
            found = _sha256(f"{self.path}/{name}")
            if found != entry["sha256"]:
                message = (
                    f"{name} in the bundle {self.path} has SHA-256 {found[:12]}…, not {entry['sha256'][:12]}…"
                )
                raise BundleError(message, _REBUILD)


def _read(folder: str) -> dict[str, Any]:
    path = f"{folder}/{MANIFEST}"
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            content = jsons.loads(file.read())
    except OSError as error:
        hint = (
            "a bundle is a folder with a bundle.json; a model folder is turned into one by `firstlight serve`"
        )
        raise BundleError(f"there is no {MANIFEST} in {folder} ({error.strerror})", hint) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not JSON: {error}", _REBUILD) from error
    if not isinstance(content, dict):
        raise BundleError(f"{path} is not a JSON object", _REBUILD)
    if content.get("schema") != SCHEMA:
        message = f"{path} has schema {content.get('schema')!r}; this version reads schema {SCHEMA}"
        raise BundleError(message, "update firstlight, or make the bundle again")
    return content


def _typed(path: str, content: dict[str, Any], field: str, kind: type) -> Any:
    value = content.get(field)
    if not isinstance(value, kind):
        found = "missing" if field not in content else f"not {kind.__name__}"
        raise BundleError(f"{field!r} is {found} in {path}/{MANIFEST}", _REBUILD)
    return value


def _check_entry(path: str, name: str, entry: Any) -> None:
    """A file must lie inside the bundle, and have a size and a hash."""
    parts = name.split("/")
    if (
        not name
        or any(character in name for character in "\\\0\n:")
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise BundleError(
            f"{path}/{MANIFEST} lists {name!r}, which is not a path inside the bundle", _REBUILD
        )
    if (
        not isinstance(entry, dict)
        or type(entry.get("size")) is not int
        or not _is_sha256(entry.get("sha256"))
    ):
        raise BundleError(f"{path}/{MANIFEST} has no size and SHA-256 for {name!r}", _REBUILD)


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and not value.strip("0123456789abcdef")


def _sha256(path: str) -> str:
    import hashlib

    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror})", _REBUILD) from error


def _check_once(bundle: Bundle, state: str) -> None:
    """Hash the files, but for those of which a stamp says that exactly this state was hashed before.

    Where no stamp can be kept, as in a read-only image, whoever made the image vouches for its bytes and the sizes
    must do: hashing at every start would cost more than loading.
    """
    stamp, known = _stamp(bundle), ""
    try:
        with open(stamp, encoding="utf-8") as file:  # noqa: PTH123
            known = file.read()
    except (OSError, ValueError):  # none yet, or a damaged one
        pass
    if known == state:
        return
    seen, lines = set(known.split("\n")), state.split("\n") if bundle.files else []
    new = [name for name, line in zip(bundle.files, lines, strict=True) if line not in seen]
    partial = f"{stamp}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(stamp), exist_ok=True)  # noqa: PTH103, PTH120
        file = open(partial, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    except OSError:
        return
    try:
        with file:
            bundle.check_hashes(new)
            file.write(state)
        os.replace(partial, stamp)  # noqa: PTH105
    except BaseException:
        os.unlink(partial)  # noqa: PTH108
        raise


def _stamp(bundle: Bundle) -> str:
    """Where the stamp of a bundle belongs: named by device and inode of its bundle.json, which need no hashing."""
    cache = os.environ.get("XDG_CACHE_HOME") or f"{os.path.expanduser('~')}/.cache"  # noqa: PTH111
    found = os.stat(f"{bundle.path}/{MANIFEST}")  # noqa: PTH116
    return f"{cache}/firstlight/verified/{found.st_dev:x}-{found.st_ino:x}"
