"""Start of a worker process: ``python -I -S bootstrap.py``.

Without ``site`` there is no site-packages on the path, so ``FIRSTLIGHT_PATH`` (entries joined as in PYTHONPATH) says
where to look. The file is compiled anew at every start, so there is next to nothing in it.
"""

from time import perf_counter_ns

start_ns = perf_counter_ns()

import gc  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402

gc.disable()  # until the worker has loaded: what is made before then stays
path = os.environ.get("FIRSTLIGHT_PATH", "")
home = __file__.rsplit(os.sep, 3)[0]
# Before what the interpreter's installation brings, if it looks there at all: a function's own versions win.
at = next((number for number, entry in enumerate(sys.path) if entry.endswith("-packages")), len(sys.path))
sys.path[at:at] = [entry for entry in [*path.split(os.pathsep), home] if entry and entry not in sys.path]

if "FIRSTLIGHT_BUNDLE" in os.environ:  # the library loads while the worker imports the rest
    from firstlight.runtime.engines import library

    library.begin(os.environ["FIRSTLIGHT_BUNDLE"])

from firstlight.runtime.worker import main  # noqa: E402

main(start_ns)
