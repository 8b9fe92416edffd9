"""The bill of materials of a function: what is in it that somebody made, in CycloneDX 1.6 (ECMA-424).

The same contents give the same bytes: no time, and a serial number that is made from the content.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from firstlight.build.pack.types import OURS, Base, Component, Contents

PATH = f"{OURS}/bill-of-materials.cdx.json"
"""Where it lies in a function."""
MEDIA_TYPE = "application/vnd.cyclonedx+json"
_COMMON = (
    "0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause BSL-1.0 CC-BY-4.0 CC-BY-NC-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 "
    "GPL-2.0-only GPL-3.0-only GPL-3.0-or-later HPND ISC LGPL-3.0-or-later MIT MIT-0 MPL-2.0 PSF-2.0 Unlicense Zlib"
)
_IDS = {name.lower(): name for name in _COMMON.split()}
"""Of the SPDX licence list, those of what functions are usually made of; others go by the words they come with."""
_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def bill(contents: Contents, base: Base | None) -> bytes:
    """The bill of a function.

    Args:
        base: the image it is built on; None for a zip.

    Returns:
        JSON, keys sorted.
    """
    parts = sorted(contents.components, key=lambda part: (part.kind, part.name, part.version))
    components = [_component(part) for part in parts]
    if base is not None:
        components.append(_base(base))
    top = {
        "type": "application",
        "bom-ref": f"function:{contents.endpoint}",
        "name": contents.endpoint,
        "properties": _properties(contents),
    }
    references = sorted(part["bom-ref"] for part in components)
    document: dict[str, Any] = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": top},
        "components": components,
        "dependencies": [{"ref": top["bom-ref"], "dependsOn": references}],
    }
    digest = hashlib.sha256(_text(document)).digest()
    document["serialNumber"] = f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}"
    return _text(document)


def _text(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def _properties(contents: Contents) -> list[dict[str, str]]:
    told = {
        "firstlight:architecture": contents.target.architecture,
        "firstlight:python": contents.target.python,
    }
    return [{"name": name, "value": value} for name, value in sorted(told.items())]


def _component(part: Component) -> dict[str, Any]:
    reference = part.purl or f"{part.kind}:{part.name}@{part.version or part.sha256[:12]}"
    found: dict[str, Any] = {"type": part.kind, "bom-ref": reference, "name": part.name}
    if part.version:
        found["version"] = part.version
    if part.purl:
        found["purl"] = part.purl
    if part.sha256:
        found["hashes"] = [{"alg": "SHA-256", "content": part.sha256}]
    if part.licence:
        found["licenses"] = [_licence(part.licence)]
    return found


def _licence(told: str) -> dict[str, Any]:
    """A licence by its SPDX id or expression where it is one, whatever its case (the hub writes ``mit``)."""
    if told.lower() in _IDS:
        return {"license": {"id": _IDS[told.lower()]}}
    words = re.split(r" (?:AND|OR|WITH) ", told)
    if len(words) > 1 and all(word.strip("()").lower() in _IDS for word in words):
        return {"expression": told}
    return {"license": {"name": told}}


def _base(base: Base) -> dict[str, Any]:
    name, _, digest = base.reference.partition("@")
    digest = digest or name.removeprefix("rootfs:")
    return {
        "type": "container",
        "bom-ref": base.reference,
        "name": "rootfs" if name.startswith("rootfs:") else name,
        "version": digest,
        "hashes": [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}],
    }
