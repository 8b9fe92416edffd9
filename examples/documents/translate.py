"""Translate a text file of any length: python translate.py FILE [URL [SECONDS]]

An endpoint stops shortly before its timeout, or after so many seconds, and says how to go on. Nothing but the standard
library is needed.
"""

import json
import sys
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit


def pieces(text, url, seconds):
    """The translations of the parts of a text, call by call."""
    place = urlsplit(url)
    parameters = {"num_beams": 1, "max_time": seconds}
    while True:
        connection = HTTPConnection(place.netloc)
        connection.request("POST", place.path, json.dumps({"inputs": text, "parameters": parameters}))
        reply = connection.getresponse()
        body = json.load(reply)
        connection.close()
        if reply.status != 200:
            sys.exit(body["error"])
        answer = body[0]
        yield answer["translation_text"]
        details = answer.get("details", {})
        if "continuation" not in details:
            return
        part = details["parts"]
        sys.stderr.write(f"{part['done']} of {part['of']} parts\n")
        parameters["continuation"] = details["continuation"]


if __name__ == "__main__":
    file, url, seconds = (*sys.argv[1:], *("http://127.0.0.1:8400/models/translate", 60)[len(sys.argv) - 2 :])
    for piece in pieces(Path(file).read_text(encoding="utf-8"), url, float(seconds)):
        sys.stdout.write(piece)
        sys.stdout.flush()
