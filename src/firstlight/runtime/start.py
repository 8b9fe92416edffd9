"""What the image of a function starts: ``python -I -S start.py``.

Where a Runtime API is named (on Lambda, under its emulators) it is the worker, at once. Everywhere else it is an HTTP
server that starts workers itself: the module that FIRSTLIGHT_SERVER names. Compiled anew at every start, so there is
next to nothing in it.
"""

import os
import sys

home = __file__.rsplit(os.sep, 3)[0]

if os.environ.get("AWS_LAMBDA_RUNTIME_API"):
    sys.path.append(home)
    import firstlight.runtime.bootstrap  # noqa: F401 - the worker itself, which returns when it is done
else:
    # What the server is made of lies apart: a script may require another version of it.
    path = [os.environ.get(name, "") for name in ("FIRSTLIGHT_SERVER_PATH", "FIRSTLIGHT_PATH")]
    at = next((number for number, entry in enumerate(sys.path) if entry.endswith("-packages")), len(sys.path))
    sys.path[at:at] = [
        entry for entry in (*":".join(path).split(":"), home) if entry and entry not in sys.path
    ]
    server = os.environ.get("FIRSTLIGHT_SERVER")
    if not server:
        sys.exit(
            "error: AWS_LAMBDA_RUNTIME_API names no Runtime API, FIRSTLIGHT_SERVER no server in its place"
        )
    from importlib import import_module

    import_module(server).main()
