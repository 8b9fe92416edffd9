"""Walls around a command: what it may read, write and reach is cut down to what a function has on AWS Lambda.

On Linux these are namespaces, made without any right that a user does not have; where a system refuses them, Landlock
does a part; where there is neither, ``support`` says what is not enforced and why.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.isolation.machine import Support, command, support
    from firstlight.isolation.walls import LAMBDA, Walls

__all__ = ["LAMBDA", "Support", "Walls", "command", "support"]
_OF_VALUES = ("LAMBDA", "Walls")


def __getattr__(name: str) -> object:
    """Imported when it is asked for: the program that puts up the walls starts before every command."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{'walls' if name in _OF_VALUES else 'machine'}"), name)
