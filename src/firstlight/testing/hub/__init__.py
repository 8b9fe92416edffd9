"""A small Hugging Face hub on a local port, for tests: the real ``huggingface_hub`` talks to it unmodified.

    with local_hub(folder) as hub:           # folder/owner/name/config.json, model.safetensors, README.md ...
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        ...
        assert hub.sent("owner/name/model.safetensors") == 1_000_000

or ``python -m firstlight.testing.hub FOLDER [--port 0] [--json]``, which prints its address and answers until it is
interrupted.

**Repositories** are folders, ``FOLDER/owner/name``. What lies in one is its branch ``main``; it is read again at each
request, so that a changed file is a new commit. Commits seen earlier are still answered. The id of a commit is computed
from the content. Files that real repositories keep in LFS (by ``.gitattributes``, or by name and size where there is
none) are answered with a redirect to another host name.

``FOLDER/owner/name/hub.json`` may say, all of it optional::

    {"gated": true,                      # its files want a token of "tokens"; what it is may be read by anyone
     "private": true,                    # as if it were not there without a token of "tokens"
     "tokens": ["hf_reader"],
     "branches": {"dev": "at-dev"},      # name -> a folder inside this one, which is then not part of main
     "tags": {"v1": "at-v1"},
     "commit": "<40 hex digits>",        # main has this id whatever its content: files change under the same revision
     "formerly": ["owner/old-name"],     # names that are redirected to this one
     "lfs": ["*.txt"],                   # patterns of the files in LFS, instead of .gitattributes and the usual ones
     "info": {"pipeline_tag": "..."},    # added to what the API answers about it, or in place of what it would
     "faults": [{"on": "model.bin", "after": 1000}]}

``FOLDER/hub.json`` may say ``{"tokens": {"hf_reader": "ada"}}``: then other tokens are refused; else any token is
a user's.

**Hub**, what ``local_hub`` gives: ``url`` (for HF_ENDPOINT), ``requests`` (a list of ``Request``, the bytes each was
sent counted while they go out), ``sent(file)`` (bytes of content sent of ``owner/name/path``), ``fetched(file)`` (the
requests that carried some), ``wait(condition)`` (until it holds; looked at after each piece that is sent), ``forget()``
(empties the log), ``faults``, ``commit("owner/name", "main")`` (the id).

**Faults**: ``hub.faults.add(on, ...)``, see ``Fault``. ``on`` is a pattern: ``owner/name/model.safetensors`` hits the
requests that carry the content of such files, ``/api/models/*`` (a path) hits any request::

    hub.faults.add("owner/name/model.*", after=5000)                  # the connection ends after 5000 bytes, once
    hub.faults.add("owner/name/*", bytes_per_second=100_000, times=None)
    hub.faults.add("owner/name/model.bin", content=b"something else")  # under the headers of the right one
    hub.faults.add("/api/models/*", status=503, times=2)

From outside: ``GET /_hub/requests``, ``DELETE /_hub/requests``, ``POST /_hub/faults`` with a fault as JSON.

Protocol: https://huggingface.co/docs/hub/api and what huggingface_hub 0.36 and 2.4 send and read.
"""

from firstlight.testing.hub.faults import Fault, Faults
from firstlight.testing.hub.log import Request
from firstlight.testing.hub.server import Hub, local_hub

__all__ = ["Fault", "Faults", "Hub", "Request", "local_hub"]
