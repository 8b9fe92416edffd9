"""The credentials of a function's role.

Lambda puts them into the environment. Where a snapshot may be restored with old ones in it (SnapStart), and in other
containers, a local address gives them out for a while instead ("Container credential provider", AWS SDKs and tools
reference guide).
"""

from __future__ import annotations

from firstlight.runtime.aws.errors import CallFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EARLY_S = 300.0
"""Credentials are asked for anew this long before they end."""
_ECS = "http://169.254.170.2"
_TIMEOUT_S = 2.0


class Credentials:
    """Keys of a role.

    Args:
        until: when they end, seconds since the epoch; 0 for never.
    """

    __slots__ = ("key_id", "secret", "token", "until")

    def __init__(self, key_id: str, secret: str, token: str = "", until: float = 0.0) -> None:
        self.key_id = key_id
        self.secret = secret
        self.token = token
        self.until = until


class Source:
    """Where the credentials come from, and those that were found.

    Args:
        env: the environment; looked at on each call, as a restored snapshot may have other ones.
        clock: seconds since the epoch.
    """

    def __init__(self, env: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._env = env
        self._clock = clock
        self._fetched: Credentials | None = None

    def get(self) -> Credentials:
        """Credentials that are good for some minutes.

        Raises:
            CallFailed: there are none.
        """
        env = self._env
        if "AWS_ACCESS_KEY_ID" in env and "AWS_SECRET_ACCESS_KEY" in env:
            return Credentials(
                env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN", "")
            )
        fetched = self._fetched
        if fetched is None or fetched.until - _EARLY_S < self._clock():
            fetched = self._fetched = self._fetch()
        return fetched

    def _fetch(self) -> Credentials:
        url = self._env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
        if not url and (relative := self._env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")):
            url = _ECS + relative
        if not url:
            raise CallFailed("NoCredentials", "there are no AWS credentials in the environment")
        import json
        from urllib.request import Request, urlopen

        token = self._env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        try:
            if file := self._env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
                with open(file, encoding="utf-8") as opened:  # noqa: PTH123 - pathlib costs a cold start
                    token = opened.read().strip()
            asked = Request(url, headers={"Authorization": token} if token else {})  # noqa: S310 - AWS's own address
            with urlopen(asked, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                told = json.loads(answer.read())
            return Credentials(
                told["AccessKeyId"],
                told["SecretAccessKey"],
                told.get("Token", ""),
                _seconds(told["Expiration"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CallFailed("NoCredentials", f"{url} gave no credentials: {error}") from error


def _seconds(written: str) -> float:
    """A time such as ``2026-11-21T23:00:00Z``."""
    from datetime import datetime

    return datetime.fromisoformat(written.replace("Z", "+00:00")).timestamp()
