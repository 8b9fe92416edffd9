"""How many examples of a property are tried: all in ``make test``, fewer in the inner loop (``make check``)."""

import os

_INNER = os.environ.get("FIRSTLIGHT_TESTS") == "inner"


def examples(count: int) -> int:
    """``count``, or a fifth of it in the inner loop and at least 10."""
    return max(count // 5, min(count, 10)) if _INNER else count
