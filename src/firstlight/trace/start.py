"""Start of a traced run: ``python -I -B -u start.py``, with what to run as JSON on stdin.

As in a worker, ``FIRSTLIGHT_PATH`` says where packages are (entries joined as in PYTHONPATH).
"""

import os
import sys

home = __file__.rsplit(os.sep, 3)[0]
path = os.environ.pop("FIRSTLIGHT_PATH", "")
sys.path += [entry for entry in [*path.split(os.pathsep), home] if entry and entry not in sys.path]

from firstlight.trace.running import main  # noqa: E402

main()
