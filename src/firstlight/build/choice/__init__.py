"""Of all that a repository or folder holds, the files that are taken, and what makes a bundle of them.

The order in which forms are preferred, with the reason:

1. GGUF in the quantisation that is wanted anyway: nothing has to be converted, and the download is smallest.
2. Safetensors whose architecture is converted without torch: exact, and an encoder keeps the hub's own file.
3. CTranslate2's format, then exported ONNX graphs: made by others, so they are checked when they are converted.
4. GGUF in another quantisation, of which the wanted one is made.
5. Safetensors whose architecture only torch can export: minutes and gigabytes, once.
6. The same two for pickles, where the user allows them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from firstlight.build.types import Artefact, Card, Wish


def choose(files: Mapping[str, int], read: Callable[[str], bytes | None], card: Card, wish: Wish) -> Artefact:
    """What is taken of a repository or folder.

    Args:
        files: bytes by path.
        read: the content of a small file by its path; None where there is none.
        card: what its README.md says.
        wish: the model as it was asked for.

    Raises:
        ConversionError: nothing in it can be served; which architectures can, and how to add one.
        ProjectError: its task is not known, or a permission is missing: for pickles, or for its code.
    """
    from firstlight.build.choice import (
        choosing,
    )  # which knows every converter; the table beside is for anybody

    return choosing.choose(files, read, card, wish)
