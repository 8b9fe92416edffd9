"""The code that the pages show, run as it stands."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from serving import Server

EXPECTED = {
    "sentiment": "POSITIVE",
    "qa": "James Douglass",
    "embeddings": "0.",
    "embeddings?task=zero-shot-classification": "sport",
    "embeddings?task=feature-extraction": "[[",
    "router": "POSITIVE",
}


def blocks(server: Server, endpoint: str) -> dict[str, str]:
    """Name of each snippet and its code."""
    page = server.ask("GET", f"/endpoints/{endpoint}")[2].decode()
    found = re.findall(r'<div class="snippet"><h3>(\w+)</h3>.*?<code>(.*?)</code>', page, re.DOTALL)
    return {name: html.unescape(code) for name, code in found}


@pytest.mark.parametrize("endpoint", EXPECTED)
def test_every_snippet_runs(server: Server, endpoint: str, tmp_path: Path) -> None:
    found = blocks(server, endpoint)
    assert set(found) == {"curl", "boto3"} | (set() if endpoint == "router" else {"huggingface_hub"})
    for name, code in found.items():
        command = ["bash", "-c", code] if name == "curl" else [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
        assert done.returncode == 0, done.stderr
        assert EXPECTED[endpoint] in done.stdout, f"{name}: {done.stdout}"
