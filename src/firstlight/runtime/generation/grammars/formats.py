"""What JSON Schema's ``format`` means for a string, as regular expressions: the usual spelling of each.

Sources: RFC 3339 (dates and times), RFC 5321 (mail), RFC 1123 (host names), RFC 4291 (IPv6), RFC 4122 (UUID).
"""

from __future__ import annotations

_DATE = "[0-9]{4}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
_DATE = f"({_DATE}|[0-9]{{4}}-(0[469]|11)-(0[1-9]|[12][0-9]|30)|[0-9]{{4}}-02-(0[1-9]|1[0-9]|2[0-8]))"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+\-]([01][0-9]|2[0-3]):[0-5][0-9])"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LABEL = "[a-zA-Z0-9]([a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9])?"
_HOST = f"{_LABEL}(\\.{_LABEL}){{0,8}}"

FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": "P([0-9]{1,4}W|[0-9]{1,4}D(T[0-9]{1,4}H)?|T[0-9]{1,4}(H|M|S)|T[0-9]{1,4}H[0-9]{1,2}M)",
    "email": f"[a-zA-Z0-9_+\\-]{{1,64}}(\\.[a-zA-Z0-9_+\\-]{{1,64}}){{0,4}}@{_LABEL}(\\.{_LABEL}){{1,8}}",
    "hostname": _HOST,
    "ipv4": f"{_BYTE}(\\.{_BYTE}){{3}}",
    "ipv6": "[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}",
    "uri": f"https?://{_HOST}(:[0-9]{{1,5}})?(/[a-zA-Z0-9._~\\-]{{0,64}}){{0,8}}",
    "uuid": "[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
}
