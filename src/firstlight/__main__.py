"""``python -m firstlight``, the same as the ``firstlight`` command."""

from firstlight.cli import main

main()
