"""What stands before the app on Lambda, in the place of ``gateway.security.Guard``.

Who comes was asked by the front, by IAM mostly, before the function was invoked; the names by which the function is
reached are AWS's matter. What is left is what browsers do for other sites where a cookie lets them in (a signed share
link), and the headers that keep pages safe.
"""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstlight.gateway.asgi import Call, Explain
from firstlight.gateway.security import with_headers
from firstlight.runtime.errors import Forbidden

_OTHERS = (b"cross-site", b"same-site")


class Door:
    """ASGI middleware around what is behind the app's own guard.

    Args:
        app: what the scopes say the app is.
        inside: answers.
        explain: makes the answer to a refused request.
    """

    def __init__(self, app: Any, inside: ASGIApp, explain: Explain) -> None:
        self._app = app
        self._inside = inside
        self._explain = explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._app

        async def safe_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": with_headers(message["headers"])}
            await send(message)

        call = Call(scope, receive)
        if scope["method"] not in ("GET", "HEAD") and call.headers.get(b"sec-fetch-site") in _OTHERS:
            refused = Forbidden(
                "a page of another site may not use this server", "open the server's own page"
            )
            await self._explain(refused, call).send(safe_send)
            return
        await self._inside(scope, receive, safe_send)
