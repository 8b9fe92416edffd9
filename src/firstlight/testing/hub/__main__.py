"""``python -m firstlight.testing.hub FOLDER``: a hub of the repositories in a folder, until it is interrupted."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from firstlight.testing.hub.server import local_hub


def main(arguments: list[str] | None = None) -> int:
    """Serve; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m firstlight.testing.hub", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds owner/name/...")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--json", action="store_true", help="say the address as one line of JSON")
    chosen = parser.parse_args(arguments)
    if not chosen.folder.is_dir():
        parser.error(f"there is no folder {chosen.folder}")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        with local_hub(chosen.folder, chosen.host, chosen.port) as hub:
            said = (
                json.dumps({"url": hub.url, "stores": hub.stores})
                if chosen.json
                else f"HF_ENDPOINT={hub.url}"
            )
            sys.stdout.write(said + "\n")
            sys.stdout.flush()
            ended.wait()
    except OSError as error:
        parser.error(f"{chosen.host}:{chosen.port}: {error.strerror}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
