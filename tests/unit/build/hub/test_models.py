"""A language model of the hub, from its name to a bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_places import Place

from firstlight.build.resolve import resolve
from firstlight.runtime.bundle import Bundle


@pytest.mark.usefixtures("cache")
def test_a_file_of_the_hub_is_a_model(place: Place, tmp_path: Path, gguf_file: Path) -> None:
    (place.folder / "model.gguf").write_bytes(gguf_file.read_bytes())
    made = resolve("hf:ada/tiny/model.gguf", tmp_path)
    bundle = Bundle.open(str(made), verify="hashes")
    assert (bundle.engine, bundle.task, bundle.name) == ("llama", "text-generation", "model")
    assert bundle.source == {
        "licence": "mit",
        "repo": "ada/tiny",
        "revision": place.hub.commit("ada/tiny"),
        "file": "model.gguf",
    }
    place.hub.forget()
    assert resolve("hf:ada/tiny/model.gguf@main", tmp_path) == made
    assert place.hub.sent("ada/tiny/model.gguf") == place.hub.sent("ada/tiny/model.safetensors") == 0
    assert (made / "model.gguf").stat().st_nlink == 2, "the hub's own file is linked, not copied"
