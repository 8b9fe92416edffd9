"""What of the files that a run left behind is worth packing: what was downloaded, and not what surrounds it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import pairwise

LEFT_OUT = {
    "compiled Python": ("__pycache__", "*.pyc", "*.pyo"),
    "a lock": ("*.lock", ".locks", ".lock", "lockfile"),
    "a log": ("*.log", "*.log.[0-9]*"),
    "half written": ("*.incomplete", "*.part", "*.partial", "*.crdownload", "*.tmp", "*.temp", "*.aria2"),
    "a database's journal": ("*-journal", "*-wal", "*-shm"),
    "pieces of files that lie beside them": ("huggingface/xet",),
    "a secret": (
        *(
            "huggingface/token",
            "huggingface/stored_tokens",
            ".aws",
            ".ssh",
            ".gnupg",
            ".docker",
            "config/gcloud",
        ),
        *(".netrc", "_netrc", "kaggle.json", ".git-credentials", ".pypirc", "id_rsa*", "id_ed25519*"),
    ),
    "a program's history": (".bash_history", ".python_history", ".wget-hsts", ".DS_Store"),
}
"""Why -> names of files or folders; with ``/``, of a folder and what lies in it."""


def why_left(path: str) -> str | None:
    """Why a file is not packed, judged by its name and those of the folders it lies in; None where it is worth it.

    Args:
        path: in the clean folders, such as ``cache/huggingface/token``.
    """
    parts = path.split("/")
    pairs = ["/".join(pair) for pair in pairwise(parts)]
    for why, patterns in LEFT_OUT.items():
        for pattern in patterns:
            names = pairs if "/" in pattern else parts[1:]
            if any(fnmatchcase(name, pattern) for name in names):
                return why
    return None


def unpacked_beside(path: str, folders: set[str]) -> bool:
    """Whether a file is an archive whose content lies beside it, as NLTK's downloader leaves them.

    Args:
        folders: all folders that hold something.
    """
    stem, _, ending = path.rpartition(".")
    return ending == "zip" and stem in folders
