"""firstlight.toml and the scripts beside it, read into a frozen Project.

This package is the only reader of the project file. Precedence: flag > environment > firstlight.toml >
default. Of the environment it reads FIRSTLIGHT_STAGE, FIRSTLIGHT_RECORDS (what is stored of the text),
FIRSTLIGHT_DATA_DIR and, where there is no project file, HF_MODEL_ID, HF_TASK and HF_REVISION.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstlight.project import checks, deploy_checks, discovery, dotenv
from firstlight.project.checks import Place
from firstlight.project.types import Asynchronous, Deployment, Endpoint, Front, Project, RecordPolicy

__all__ = [
    "FILE",
    "Asynchronous",
    "Deployment",
    "Endpoint",
    "Front",
    "Project",
    "RecordPolicy",
    "data_dir",
    "find",
    "load",
    "with_starters",
]

FILE = "firstlight.toml"
Table = dict[str, Any]


def find(start: Path) -> Path | None:
    """The nearest folder from ``start`` upwards that has a firstlight.toml; None when there is none."""
    start = start.absolute()
    return next((folder for folder in (start, *start.parents) if (folder / FILE).is_file()), None)


def load(root: Path | None, stage: str | None = None, env: Mapping[str, str] = os.environ) -> Project:
    """Read a project.

    Args:
        root: its folder, with or without a firstlight.toml; None for no project, which has no endpoints.
        stage: the stage whose tables win over the plain ones; None takes FIRSTLIGHT_STAGE.
        env: the environment, for the variables named above.

    Returns:
        the project, its endpoints in the order of the file, then those found by looking.

    Raises:
        ProjectError: naming file, table and key of the first mistake.
    """
    root = root.absolute() if root is not None else None
    file = root / FILE if root is not None and (root / FILE).is_file() else None
    place = Place(_shown(file) if file else FILE)
    stage = stage or env.get("FIRSTLIGHT_STAGE") or None
    tables = _staged(_checked(_read(file, place), place), stage, place)
    name = tables["name"] or discovery.slug(root.name if root else "starters")
    records = tables["records"]
    if store := env.get("FIRSTLIGHT_RECORDS"):
        records["store"] = checks.choice(*checks.STORES)(Place("environment"), "FIRSTLIGHT_RECORDS", store)
    settings = _completed(tables["endpoints"], root, name, {} if file else env, place)
    endpoints = {key: _endpoint(key, table, root, place) for key, table in settings.items()}
    _no_shared_route(endpoints, place)
    variables = dotenv.read(root) if root else {}
    deployment = Deployment(**tables["deploy"])
    kept = RecordPolicy(**records)
    return Project(name, root, stage, endpoints, kept, data_dir(root, env), file, variables, deployment)


def with_starters(project: Project, names: Iterable[str]) -> Project:
    """The project with the starter endpoints of these names beside its own."""
    starters = {name: Endpoint(name, model=f"starter:{name}") for name in names}
    return replace(project, endpoints={**starters, **project.endpoints})


def _shown(file: Path) -> str:
    """A path as the user would type it: relative where it lies below the current folder."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _read(file: Path | None, place: Place) -> Table:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        problem = str(error)
        raise place.error("", f"is not valid TOML: {problem[0].lower()}{problem[1:]}", "") from error
    except UnicodeDecodeError as error:
        raise place.error("", "is not UTF-8", "save the file as UTF-8") from error
    except RecursionError as error:
        raise place.error("", "is nested too deeply") from error
    except OSError as error:
        raise place.error("", f"cannot be read: {error.strerror}", "check its permissions") from error


def _endpoint_tables(place: Place, key: str, value: Any) -> dict[str, Table]:
    """``[endpoints.*]``: names and settings checked one by one."""
    inner = place.inside(key)
    checked = {}
    for name, table in checks.table(place, key, value).items():
        checks.name(inner, repr(name)[1:-1], name)
        checked[name] = checks.keys(inner.inside(name), checks.table(inner, name, table), checks.ENDPOINT)
    return checked


def _records_table(place: Place, key: str, value: Any) -> Table:
    return checks.keys(place.inside(key), checks.table(place, key, value), checks.RECORDS)


def _deploy_table(place: Place, key: str, value: Any) -> Table:
    return deploy_checks.checked(place.inside(key), checks.table(place, key, value))


def _stage_tables(place: Place, key: str, value: Any) -> dict[str, Table]:
    inner = place.inside(key)
    allowed = {"endpoints": _endpoint_tables, "records": _records_table, "deploy": _deploy_table}
    stages = checks.table(place, key, value)
    return {
        checks.name(inner, repr(name)[1:-1], name): checks.keys(
            inner.inside(name), checks.table(inner, name, table), allowed
        )
        for name, table in stages.items()
    }


def _checked(raw: Table, place: Place) -> Table:
    """Every value of the file checked on its own, also those of stages that were not asked for."""
    allowed: dict[str, checks.Check] = {
        "name": checks.name,
        "endpoints": _endpoint_tables,
        "records": _records_table,
        "deploy": _deploy_table,
        "stage": _stage_tables,
    }
    empty: Table = {"name": None, "endpoints": {}, "records": {}, "deploy": {}, "stage": {}}
    return {**empty, **checks.keys(place, raw, allowed)}


def _staged(tables: Table, stage: str | None, place: Place) -> Table:
    """The tables with those of one stage laid over them, key by key."""
    if stage is None:
        return tables
    if stage not in tables["stage"]:
        known = checks.close(stage, tables["stage"]) or f"add [stage.{discovery.slug(stage)}.endpoints.NAME]"
        raise place.error("", f"there is no stage {stage[:80]!r}", known)
    over = tables["stage"][stage]
    endpoints = dict(tables["endpoints"])
    for name, settings in over.get("endpoints", {}).items():
        endpoints[name] = _laid_over(endpoints.get(name, {}), settings)
    laid = {key: {**tables[key], **over.get(key, {})} for key in ("records", "deploy")}
    return {**tables, **laid, "endpoints": endpoints}


def _laid_over(base: Table, over: Table) -> Table:
    dropped = {"model": "script", "script": "model"}
    kept = {key: value for key, value in base.items() if not any(dropped.get(new) == key for new in over)}
    merged = {**kept, **over}
    if "env" in base and "env" in over:
        merged["env"] = {**base["env"], **over["env"]}
    return merged


def _completed(
    endpoints: dict[str, Table], root: Path | None, name: str, env: Mapping[str, str], place: Place
) -> dict[str, Table]:
    """The endpoints of the file and those found by looking; a found script fills in a table without one."""
    found = discovery.scripts(root, name) if root else {}
    named = {_script(table["script"], root) for table in endpoints.values() if "script" in table}
    completed = dict(endpoints)
    for key, script in found.items():
        if script in named:
            continue
        table = completed.get(key, {})
        if "model" not in table and "script" not in table:
            completed[key] = {**table, "script": str(script)}
    for key, table in discovery.from_variables(env).items():
        completed.setdefault(key, checks.keys(Place("environment", "HF_*"), table, checks.ENDPOINT))
    for key, table in completed.items():
        _one_source(key, table, completed, place)
    return completed


def _one_source(key: str, table: Table, everything: Mapping[str, Table], place: Place) -> None:
    """Raise unless an endpoint has a model or a script, and not both."""
    inside = place.inside("endpoints", key)
    if "model" in table and "script" in table:
        raise inside.error("model", "is given beside script", "an endpoint has one of them; remove the other")
    if "model" not in table and "script" not in table:
        others = [
            other for other, its in everything.items() if other != key and ("model" in its or "script" in its)
        ]
        near = checks.close(key, others)
        hint = (
            near if near.startswith("did you") else f"write model = ..., script = ..., or inference/{key}.py"
        )
        raise inside.error("", "has neither model nor script", hint)


def _script(path: str, root: Path | None) -> Path:
    return Path(os.path.normpath((root or Path.cwd()) / path))


def _endpoint(name: str, table: Table, root: Path | None, place: Place) -> Endpoint:
    table = {**table, "reserved": table.get("concurrency")}
    if "script" not in table:
        return Endpoint(name, **table)
    script = _script(table["script"], root)
    inside = place.inside("endpoints", name)
    if not script.is_file():
        raise inside.error(
            "script", f"there is no file {table['script']!r}", "the path starts at the project's folder"
        )
    for key in ("task", "quantize", "allow_pickle", "trust_remote_code"):
        if key in table:
            raise inside.error(
                key, "says nothing about a script", f"remove it, or name a model instead of {script.name}"
            )
    return Endpoint(name, **{**table, "script": script})


def _no_shared_route(endpoints: Mapping[str, Endpoint], place: Place) -> None:
    owners: dict[str, str] = {}
    for endpoint in endpoints.values():
        if endpoint.route is None:
            continue
        if endpoint.route in owners:
            inside = place.inside("endpoints", endpoint.name)
            taken = owners[endpoint.route]
            raise inside.error(
                "route", f"{endpoint.route!r} is already the route of {taken!r}", "give each its own path"
            )
        owners[endpoint.route] = endpoint.name


def data_dir(root: Path | None, env: Mapping[str, str]) -> Path:
    """Where state goes: FIRSTLIGHT_DATA_DIR, the project's .firstlight, or the user's data folder."""
    if given := env.get("FIRSTLIGHT_DATA_DIR"):
        return Path(given).absolute()
    if root is not None:
        return root / ".firstlight"
    base = env.get("XDG_DATA_HOME") or str(Path(env.get("HOME") or Path.home()) / ".local" / "share")
    return Path(base) / "firstlight"
