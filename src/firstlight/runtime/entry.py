"""From the environment of a worker to the handler it calls.

``FIRSTLIGHT_BUNDLE`` (a bundle folder; ``FIRSTLIGHT_TASK`` where another task than its own is meant), else
``FIRSTLIGHT_SCRIPT`` (a user's file), else ``_HANDLER`` as Lambda sets it (``module.function``, found from
``LAMBDA_TASK_ROOT``).
"""

from __future__ import annotations

import os
import sys

from firstlight.runtime.errors import HandlerError
from firstlight.runtime.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.runtime.types import Handler


def load(env: Mapping[str, str]) -> Handler:
    """The handler an environment names.

    Raises:
        HandlerError: nothing is named, or what is named cannot be loaded (a ``Fault`` where AWS has a name for it).
        BundleError, EngineError: the bundle is broken.
    """
    if bundle := env.get("FIRSTLIGHT_BUNDLE"):
        from firstlight.runtime import handler, model

        return handler.make(model.Model.load(bundle, task=env.get("FIRSTLIGHT_TASK") or None))
    if script := env.get("FIRSTLIGHT_SCRIPT"):
        from firstlight.runtime import scripts

        if "FIRSTLIGHT_LINKED" in os.environ:
            from firstlight.runtime import links

            links.follow(os.environ)

        return scripts.load(script)
    if named := env.get("_HANDLER"):
        return _named(named, env.get("LAMBDA_TASK_ROOT"))
    raise HandlerError(
        "the worker was not told what to run",
        "set FIRSTLIGHT_BUNDLE to a bundle folder, FIRSTLIGHT_SCRIPT to a script, or _HANDLER to module.function",
    )


def _named(handler: str, root: str | None) -> Handler:
    module_name, dot, name = handler.rpartition(".")
    if not dot:
        raise Fault(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{handler}': not enough values to unpack (expected 2, got 1)",
            "write it as module.function",
        )
    if module_name.partition(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict", f"Cannot use built-in module {module_name} as a handler module"
        )
    if root and root not in sys.path:
        sys.path.insert(0, root)
    from importlib import import_module

    from firstlight.runtime import scripts

    module = scripts.guarded(module_name, import_module, module_name.replace("/", "."))
    try:
        found: Handler = getattr(module, name)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'"
        ) from None
    return found
