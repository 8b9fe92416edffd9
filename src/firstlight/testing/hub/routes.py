"""Which request is answered by what, and who may ask."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from firstlight.testing.hub import api, faults
from firstlight.testing.hub.answers import Answer, Refused, as_json, no_access, no_repository, of_file
from firstlight.testing.hub.content import Store, pointer
from firstlight.testing.hub.log import Log, Request
from firstlight.testing.hub.repositories import SETTINGS, Commit, Repositories, Repository

_REPO = r"(?P<repo>[^/]+/[^/]+)"
_MODEL = rf"/api/models/{_REPO}"


@dataclass
class Asked:
    """A request on its way to an answer: its log entry, the headers and the body, the parts of its path."""

    request: Request
    headers: dict[str, str]
    body: bytes = b""
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def query(self) -> dict[str, str]:
        """The part of the address after ``?``."""
        return dict(parse_qsl(self.request.query))


class Routes:
    """Answers requests from a folder of repositories.

    Args:
        folder: holds ``owner/name/...``.
        store: keeps their content.
        log: for who asks for it over HTTP.
        planned: the faults.
    """

    def __init__(self, folder: Path, store: Store, log: Log, planned: faults.Faults) -> None:
        self._folder, self._store, self._log, self._faults = folder, store, log, planned
        self._secret = secrets.token_bytes(16)
        self.repositories = Repositories(folder, store, planned)
        self.stores = ""
        file = rf"/{_REPO}/(?P<how>resolve|raw)/(?P<rev>[^/]+)/(?P<path>.+)"
        self._table: list[tuple[str, re.Pattern[str], Callable[[Asked], Answer]]] = [
            ("GET", re.compile(r"/api/whoami-v2"), self._whoami),
            ("GET", re.compile(r"/api/models"), self._search),
            ("GET", re.compile(_MODEL), self._info),
            ("GET", re.compile(rf"{_MODEL}/revision/(?P<rev>[^/]+)"), self._info),
            ("GET", re.compile(rf"{_MODEL}/tree/(?P<rev>[^/]+)(?:/(?P<path>.*))?"), self._tree),
            ("POST", re.compile(rf"{_MODEL}/paths-info/(?P<rev>[^/]+)"), self._paths_info),
            ("GET", re.compile(rf"{_MODEL}/refs"), self._refs),
            ("GET", re.compile(rf"{_MODEL}/commits/(?P<rev>[^/]+)"), self._commits),
            ("GET HEAD", re.compile(r"/cdn/(?P<sha256>[0-9a-f]{64})"), self._cdn),
            ("GET DELETE", re.compile(r"/_hub/requests"), self._requests),
            ("POST", re.compile(r"/_hub/faults"), self._fault),
            ("GET HEAD", re.compile(file), self._file),
        ]

    def answer(self, asked: Asked, raw_path: str) -> Answer:
        """The answer to a request.

        Args:
            raw_path: as it was sent: a ``/`` in a revision is written ``%2F``.
        """
        for methods, pattern, act in self._table:
            if (found := pattern.fullmatch(raw_path)) and asked.request.method in methods.split():
                asked.parts = {name: unquote(part) for name, part in found.groupdict(default="").items()}
                try:
                    return act(asked)
                except Refused as refused:
                    return refused.answer
        return Refused(404, "Sorry, we can't find the page you are looking for.").answer

    def _user(self, asked: Asked) -> str:
        """Who a token belongs to.

        Raises:
            Refused: it is nobody's.
        """
        place, token = self._folder / SETTINGS, asked.request.token
        known = json.loads(place.read_bytes()).get("tokens") if place.is_file() else None
        if token and known is not None and token not in known:
            raise Refused(401, "Invalid credentials in Authorization header")
        return str((known or {}).get(token, "test")) if token else ""

    def _repository(self, asked: Asked) -> Repository:
        self._user(asked)
        name, token = asked.parts["repo"], asked.request.token
        found = self.repositories.get(name)
        if found is None and (now := self.repositories.moved_to(name)):
            path = quote(asked.request.path.replace(name, now, 1))
            raise Refused(307, f"Temporary Redirect. Redirecting to {path}", Location=path)
        if found is None or (found.settings.private and not found.open_to(token)):
            raise no_repository(token)
        return found

    def _commit(self, asked: Asked) -> tuple[Repository, Commit]:
        repository, revision = self._repository(asked), asked.parts.get("rev") or "main"
        commit = repository.at(revision)
        if commit is None:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repository, commit

    def _whoami(self, asked: Asked) -> Answer:
        user = self._user(asked)
        if not user:
            raise Refused(401, "Invalid credentials in Authorization header")
        token = {"type": "access_token", "accessToken": {"displayName": "test", "role": "read"}}
        return as_json(
            {"type": "user", "id": user, "name": user, "fullname": user, "orgs": [], "auth": token}
        )

    def _search(self, asked: Asked) -> Answer:
        self._user(asked)
        known = [found for name in self.repositories.names() if (found := self.repositories.get(name))]
        shown = (each for each in known if not each.settings.private or each.open_to(asked.request.token))
        return as_json(
            api.search(
                ((each, each.commits[each.branches["main"]]) for each in shown), asked.query, self._store
            )
        )

    def _info(self, asked: Asked) -> Answer:
        repository, commit = self._commit(asked)
        blobs = asked.query.get("blobs", "").lower() in ("true", "1")
        return as_json(api.info(repository, commit, self._store, blobs))

    def _tree(self, asked: Asked) -> Answer:
        _, commit = self._commit(asked)
        recursive = asked.query.get("recursive", "").lower() in ("true", "1")
        listed = api.entries(commit, asked.parts["path"].strip("/"), recursive)
        return api.page(listed, f"http://{asked.request.host}{quote(asked.request.path)}", asked.query)

    def _paths_info(self, asked: Asked) -> Answer:
        return api.paths_info(self._commit(asked)[1], asked.body, asked.headers.get("content-type", ""))

    def _refs(self, asked: Asked) -> Answer:
        return as_json(api.refs(self._repository(asked)))

    def _commits(self, asked: Asked) -> Answer:
        repository, commit = self._commit(asked)
        return as_json(api.commits(repository, commit), headers={"X-Total-Count": "1"})

    def _file(self, asked: Asked) -> Answer:
        repository, commit = self._commit(asked)
        path, token = asked.parts["path"], asked.request.token
        asked.request.file = f"{repository.name}/{path}"
        if not repository.open_to(token):
            raise no_access(repository.name, token)
        if path not in commit.files:
            raise Refused(404, "Entry not found", "EntryNotFound", X_Repo_Commit=commit.id)
        file = commit.files[path]
        if asked.parts["how"] == "raw" and file.lfs:
            return Answer(headers={"Content-Type": "text/plain"}, body=pointer(file.sha256, file.size))
        headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": commit.id}
        if not file.lfs:
            place = self._store.place(file.sha256)
            return of_file(
                place, file.size, headers, asked.request.range, asked.headers.get("if-none-match", "")
            )
        headers |= {"X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.sha256}"'}
        address = f"/cdn/{file.sha256}?" + urlencode({"file": asked.request.file})
        location = f"{self.stores}{address}&Signature={self._signature(address)}"
        return Answer(302, headers | {"Location": location}, f"Found. Redirecting to {location}".encode())

    def _cdn(self, asked: Asked) -> Answer:
        """Large files; whoever has the signed address may read, and a token has no business here."""
        address, _, signature = f"{asked.request.path}?{asked.request.query}".rpartition("&Signature=")
        if not hmac.compare_digest(signature, self._signature(address)):
            raise Refused(403, "AccessDenied")
        asked.request.file = asked.query["file"]
        sha256 = asked.parts["sha256"]
        place = self._store.place(sha256)
        unless = asked.headers.get("if-none-match", "")
        return of_file(place, place.stat().st_size, {"ETag": f'"{sha256}"'}, asked.request.range, unless)

    def _signature(self, address: str) -> str:
        return hmac.new(self._secret, address.encode(), "sha256").hexdigest()[:32]

    def _requests(self, asked: Asked) -> Answer:
        if asked.request.method == "DELETE":
            self._log.requests.clear()
        return as_json([request.as_json() for request in self._log.requests])

    def _fault(self, asked: Asked) -> Answer:
        try:
            self._faults.add(**faults.of_json(json.loads(asked.body)))
        except (ValueError, TypeError) as error:
            raise Refused(400, str(error)) from error
        return as_json({})
