"""Which graph of a folder is taken, by the names optimum, transformers.js and sentence-transformers give their files.

The graphs lie in the folder or in its ``onnx/``: ``model.onnx``, and quantised ones with a suffix.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from firstlight.runtime.errors import ConversionError

EXACT = ("model", "model_optimized", "model_O2", "model_O1", "model_O3")
"""File names (without ``.onnx``) of float32 graphs, the preferred first."""

EIGHT_BITS = (
    "model_quantized", "model_int8", "model_quint8_avx2", "model_uint8", "model_qint8_arm64", "model_qint8_avx512",
    "model_qint8_avx512_vnni",
)  # fmt: skip
"""Those of graphs with eight-bit weights."""

NOT_TAKEN = {
    "model_fp16": "half precision is the slowest on CPUs, which compute it in float32",
    "model_O4": "half precision is the slowest on CPUs, which compute it in float32",
    "model_q4": "four bits cost an encoder more than they gain on CPUs",
    "model_q4f16": "four bits and half precision are for GPUs",
    "model_bnb4": "four bits cost an encoder more than they gain on CPUs",
}
"""Those that are left alone, and why."""

_FOLDERS = ("onnx", ".")


@dataclass(frozen=True, slots=True)
class Files:
    """What a bundle is made of.

    Attributes:
        graph: the graph that is taken.
        exact: the float32 graph of the same model, if it lies beside one of eight bits; otherwise None.
        home: folder of config.json, the tokenizer and sentence-transformers' files.
    """

    graph: Path
    exact: Path | None
    home: Path


def find(place: Path, precision: str | None) -> Files:
    """The graph of a folder, or a file that was named, with what belongs to it.

    Args:
        place: a folder, or an ONNX file with config.json beside it or one folder above.
        precision: ``fp32`` or ``int8``; where there is no graph of eight bits the exact one is taken for ``int8`` too.
            None takes the most exact there is.

    Raises:
        ConversionError: there is none, or only such as are not taken.
    """
    if place.is_file():
        exact = None
        if place.stem in EIGHT_BITS:
            exact = _first([place.parent], EXACT)
        return Files(place, exact, _home(place))
    folders = [place / name for name in _FOLDERS]
    exact, eight = _first(folders, EXACT), _first(folders, EIGHT_BITS)
    if precision == "int8":
        chosen = eight or exact
    elif precision in (None, "fp32"):
        chosen = exact or (eight if precision is None else None)
    else:
        raise ConversionError(f"ONNX graphs are taken in fp32 or int8, not in {precision}")
    chosen = chosen or _only(folders)
    if chosen is None:
        raise _nothing(place, folders, precision)
    return Files(chosen, exact if chosen != exact else None, place)


def there(folder: Path) -> bool:
    """Whether a folder has ONNX graphs at all."""
    return any(any((folder / name).glob("*.onnx")) for name in _FOLDERS)


def _first(folders: list[Path], names: tuple[str, ...]) -> Path | None:
    files = (folder / f"{name}.onnx" for name in names for folder in folders)
    return next((file for file in files if file.is_file()), None)


def _only(folders: list[Path]) -> Path | None:
    """The one graph of a folder, whatever its name."""
    graphs = [file for folder in folders for file in sorted(folder.glob("*.onnx"))]
    return graphs[0] if len(graphs) == 1 and graphs[0].stem not in NOT_TAKEN | _known() else None


def _known() -> dict[str, str]:
    return dict.fromkeys((*EXACT, *EIGHT_BITS), "")


def _home(file: Path) -> Path:
    folders = (file.parent, file.parent.parent) if file.parent.name == "onnx" else (file.parent,)
    return next((folder for folder in folders[::-1] if (folder / "config.json").is_file()), file.parent)


def _nothing(place: Path, folders: list[Path], precision: str | None) -> ConversionError:
    graphs = [file for folder in folders for file in sorted(folder.glob("*.onnx"))]
    if not graphs:
        return ConversionError(f"{place} has no ONNX graphs", "it should have onnx/model.onnx or model.onnx")
    refused = next((file for file in graphs if file.stem in NOT_TAKEN), None)
    names = ", ".join(sorted({file.name for file in graphs})[:8])
    if refused is not None:
        message = f"{place} has no graph in fp32 or int8: {names}"
        return ConversionError(message, f"{refused.name} is not taken: {NOT_TAKEN[refused.stem]}")
    if precision == "fp32" and _first(folders, EIGHT_BITS):
        return ConversionError(f"{place} has its graph in eight bits only: {names}", "ask for int8")
    return ConversionError(f"{place} has graphs of other names: {names}", "name the file that is meant")
