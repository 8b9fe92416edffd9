"""``firstlight.runtime.lambda_function.handler``: what a function that runs AWS's own runtime is pointed at.

What to load is read from the environment, once, when ``handler`` is first asked for: AWS's runtime does that in the
init phase, right after the import.
"""

from __future__ import annotations

import os

from firstlight.runtime import entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.types import Handler

    handler: Handler

__all__ = ["handler"]


def __getattr__(name: str) -> Handler:
    if name != "handler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    loaded = entry.load(os.environ)
    globals()["handler"] = loaded
    return loaded
