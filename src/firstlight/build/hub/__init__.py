"""Repositories of the Hugging Face hub: named, looked at, fetched into the hub's own cache.

What ``huggingface_hub`` goes by holds here too, as the environment says it at the moment of the call: HF_ENDPOINT,
HF_TOKEN or the token of ``hf auth login``, HF_HOME and HF_HUB_CACHE, HF_HUB_OFFLINE. Its cache is shared with other
tools: the same folders, the same locks. Three things are done here that the library leaves out: a download goes on
where it ended after its process was killed (the library of version 2 begins anew), every file is compared with the
hash the hub gives for it, and what was found out about a repository is kept, so that it can be looked at offline.
"""

from __future__ import annotations

from firstlight.build.hub.cache import cached
from firstlight.build.hub.fetching import fetch
from firstlight.build.hub.looking import listed, locked, look
from firstlight.build.hub.names import parse

__all__ = ["cached", "fetch", "listed", "locked", "look", "parse"]
