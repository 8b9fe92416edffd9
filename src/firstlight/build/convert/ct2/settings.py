"""config.json of a model that generates, with values that are what they should be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.build.convert.source import read_json
from firstlight.runtime.errors import ConversionError

_ACTIVATIONS = {
    "gelu": "GELU",
    "gelu_python": "GELU",
    "gelu_fast": "GELUTanh",
    "gelu_new": "GELUTanh",
    "gelu_pytorch_tanh": "GELUTanh",
    "quick_gelu": "GELUSigmoid",
    "relu": "RELU",
    "silu": "SWISH",
    "swish": "SWISH",
}
"""Names of transformers and of CTranslate2 for the same function."""


class Settings:
    """One config.json.

    Args:
        folder: of the model.

    Attributes:
        file: where it lies.
        type: its ``model_type``.
        values: all of it.

    Raises:
        ConversionError: there is none, or it is not JSON.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "config.json"
        self.values: Mapping[str, Any] = read_json(self.file, required=True)
        self.type = str(self.values.get("model_type", ""))

    def get(self, name: str, absent: Any = None) -> Any:
        """A value as it is; ``absent`` where there is none."""
        value = self.values.get(name)
        return absent if value is None else value

    def count(self, name: str, absent: int | None = None) -> int:
        """A number from 1 up.

        Raises:
            ConversionError: it is something else.
        """
        value = self.get(name, absent)
        if type(value) is not int or value < 1:
            raise ConversionError(
                f"{self.file}: {name} is {value!r}, not a number from 1 up", "download it again"
            )
        return value

    def number(self, name: str, absent: float) -> float:
        """A number.

        Raises:
            ConversionError: it is something else.
        """
        value = self.get(name, absent)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConversionError(f"{self.file}: {name} is {value!r}, not a number", "download it again")
        return value

    def activation(self, name: str, value: str | None = None) -> Any:
        """CTranslate2's number of an activation function.

        Args:
            name: of the field.
            value: of the function, where the field has more in it.

        Raises:
            ConversionError: it has none like it.
        """
        from ctranslate2.specs import Activation

        value = self.get(name) if value is None else value
        if value not in _ACTIVATIONS:
            known = ", ".join(sorted(_ACTIVATIONS))
            raise ConversionError(f"{self.file}: {name} {value!r} is not known here", f"known are {known}")
        return Activation[_ACTIVATIONS[value]]
