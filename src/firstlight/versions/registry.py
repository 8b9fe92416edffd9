"""The versions and aliases of a project, and where an invocation goes by them.

Copies of what a version runs are made before the version is written down, so a program that ends in the middle leaves
at most a copy nobody needs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from firstlight.invoke.types import LATEST, WorkerSpec, function_arn
from firstlight.project.types import Asynchronous
from firstlight.runtime.errors import Conflict, InvalidInput
from firstlight.versions import rules
from firstlight.versions.errors import Outdated
from firstlight.versions.ledger import Change, without
from firstlight.versions.pools import pools_of
from firstlight.versions.publishing import Publisher, new_revision, same
from firstlight.versions.settings import Settings
from firstlight.versions.types import Alias, Target, Version


class Registry(Settings):
    """Versions, aliases and settings of a project's functions. May be used from several threads.

    Args:
        folder: the project's data folder; the state is ``functions.json`` in it, copies are in ``versions``.
        specs: how the project's endpoints are started now.
        asynchronous: what the project says of their Event invocations.
        chance: a number from 0 up to 1 for each weighted choice.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        folder: Path,
        specs: Callable[[], Mapping[str, WorkerSpec]],
        asynchronous: Callable[[], Mapping[str, Asynchronous]] = dict,
        *,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(folder, specs, asynchronous)
        self._chance = chance
        self._publisher = Publisher(folder / "versions", clock)

    # Where an invocation goes.

    def resolve(self, endpoint: str, qualifier: str = LATEST) -> Target:
        """The version that answers an invocation; an alias with weights chooses anew each time.

        Raises:
            EndpointNotFound: there is no such endpoint, version or alias.
            VersionError: the state cannot be read, so nobody knows.
        """
        if endpoint not in self._specs():
            raise rules.not_found(endpoint, qualifier)
        if qualifier == LATEST:
            return Target(endpoint)
        function = self._function(endpoint)
        if qualifier in function.versions:
            return Target(endpoint, qualifier, qualifier)
        alias = function.aliases.get(qualifier)
        if alias is None:
            if self.problem is not None:
                raise self.problem
            raise rules.not_found(endpoint, qualifier, "`firstlight alias list` shows what there is")
        version = alias.version
        for other, share in alias.weights.items():
            if self._chance() < share:
                version = other
        return Target(endpoint, version, qualifier)

    def pools(self) -> Mapping[str, WorkerSpec]:
        """What a pool is to serve: every endpoint, and every version of it, with their concurrency."""
        return pools_of(self._specs(), self._fresh())

    # Versions.

    def versions(self, endpoint: str) -> list[Version]:
        """The published versions of an endpoint, oldest first.

        Raises:
            EndpointNotFound: there is no such endpoint.
        """
        found = self._known(endpoint).versions.values()
        return sorted(found, key=lambda version: version.number)

    def version(self, endpoint: str, number: int | str) -> Version:
        """One version.

        Raises:
            EndpointNotFound: there is none of that number.
        """
        found = self._known(endpoint).versions.get(str(number))
        if found is None:
            raise rules.not_found(endpoint, str(number))
        return found

    def latest(self, endpoint: str) -> Version:
        """What publishing would keep now, as a version without a number (0).

        Raises:
            EndpointNotFound: there is no such endpoint.
            InvalidInput, VersionError: its files are too many or cannot be read.
        """
        self._known(endpoint)
        return self._publisher.latest(endpoint, self._specs())

    def publish(
        self,
        endpoint: str,
        description: str = "",
        code_sha256: str | None = None,
        revision_id: str | None = None,
        snap_start: bool | None = None,
    ) -> Version:
        """Keep what an endpoint is now as a version; the last one where nothing has changed since (as on AWS).

        Args:
            code_sha256: publish only if the content is the one this names.
            revision_id: publish only if this is the one of ``latest``.
            snap_start: its workers start from a snapshot; None as the project says.

        Raises:
            EndpointNotFound: there is no such endpoint.
            InvalidInput: the content is another, or too large.
            Outdated: the revision is another.
            VersionError: it cannot be kept.
        """
        self._known(endpoint)
        with self._publisher.undisturbed():
            latest = self._publisher.latest(endpoint, self._specs())
            if code_sha256 is not None and code_sha256 != latest.code_sha256:
                raise InvalidInput(
                    f"CodeSHA256 ({code_sha256}) is different from current CodeSHA256 in $LATEST "
                    f"({latest.code_sha256}). Please try again with the CodeSHA256 in $LATEST."
                )
            if revision_id is not None and revision_id != latest.revision_id:
                raise Outdated
            if snap_start is not None:
                latest = replace(
                    latest, spec=replace(latest.spec, snap_start=snap_start), snap_start=snap_start
                )
            if (last := _last(self._function(endpoint).versions)) and same(last, latest):
                return last
            frozen = self._publisher.freeze(latest, self._specs())
            with self._change(endpoint) as change:
                function = change.function
                if (last := _last(function.versions)) and same(last, latest):
                    return last  # another program was faster
                made = self._publisher.numbered(frozen, function.last + 1, description)
                versions = {**function.versions, str(made.number): made}
                change.function = replace(function, last=made.number, versions=versions)
            return made

    def delete_version(self, endpoint: str, number: int | str) -> None:
        """Forget a version, and what it alone needed; its number is not given again.

        Raises:
            EndpointNotFound: there is none of that number.
            Conflict: an alias leads to it.
        """
        name = str(number)
        with self._change(endpoint) as change:
            function = change.function
            if name not in function.versions:
                raise rules.not_found(endpoint, name)
            rules.check_unused(endpoint, name, function)
            change.function = replace(
                function,
                versions=without(function.versions, name),
                provisioned=without(function.provisioned, name),
                asynchronous=without(function.asynchronous, name),
            )
        self._publisher.sweep(self._fresh)

    # Aliases.

    def aliases(self, endpoint: str, version: str | None = None) -> list[Alias]:
        """The aliases of an endpoint by name; those that lead to a version, where one is given.

        Raises:
            EndpointNotFound: there is no such endpoint.
        """
        function = self._known(endpoint)
        found = [a for a in function.aliases.values() if version is None or version in function.weights(a)]
        return sorted(found, key=lambda alias: alias.name)

    def alias(self, endpoint: str, name: str) -> Alias:
        """One alias.

        Raises:
            EndpointNotFound: there is none of that name.
        """
        found = self._known(endpoint).aliases.get(name)
        if found is None:
            raise rules.alias_not_found(endpoint, name)
        return found

    def create_alias(self, alias: Alias) -> Alias:
        """Add an alias; the one that is kept has a revision id.

        Raises:
            Conflict: there is one of that name.
            InvalidInput: its name, version or weights are not what Lambda takes.
            EndpointNotFound: there is no such endpoint or version.
        """
        with self._change(alias.endpoint) as change:
            if alias.name in change.function.aliases:
                arn = function_arn(alias.endpoint, alias.name)
                raise Conflict(f"Alias already exists: {arn}", "`firstlight alias set` changes it")
            return self._put(change, alias)

    def update_alias(self, alias: Alias, revision_id: str | None = None) -> Alias:
        """Put an alias in the place of the one of that name.

        Args:
            revision_id: only if this is still the one of the alias.

        Raises:
            EndpointNotFound: there is no such alias, or version.
            Outdated: it was changed meanwhile.
            InvalidInput: as for ``create_alias``.
        """
        with self._change(alias.endpoint) as change:
            there = change.function.aliases.get(alias.name)
            if there is None:
                raise rules.alias_not_found(alias.endpoint, alias.name)
            if revision_id is not None and revision_id != there.revision_id:
                raise Outdated
            return self._put(change, alias)

    def delete_alias(self, endpoint: str, name: str) -> None:
        """Forget an alias; nothing happens where there is none (as on AWS).

        Raises:
            EndpointNotFound: there is no such endpoint.
        """
        with self._change(endpoint) as change:
            function = change.function
            change.function = replace(
                function,
                aliases=without(function.aliases, name),
                provisioned=without(function.provisioned, name),
                asynchronous=without(function.asynchronous, name),
            )

    def _put(self, change: Change, alias: Alias) -> Alias:
        rules.check_alias(alias, change.function)
        made = replace(alias, revision_id=new_revision())
        change.function = replace(change.function, aliases={**change.function.aliases, alias.name: made})
        return made


def _last(versions: Mapping[str, Version]) -> Version | None:
    return max(versions.values(), key=lambda version: version.number, default=None)
