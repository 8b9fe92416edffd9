"""User scripts: a Python file, of any name, that says in one of three ways how to answer.

* ``handler(event, context)`` (or ``lambda_handler``): AWS Lambda's own. Called with the event as it came.
* ``class EndpointHandler`` with ``__init__(path)`` and ``__call__(data)``: Hugging Face Inference Endpoints.
* ``model_fn``, ``input_fn``, ``predict_fn``, ``output_fn`` or ``transform_fn``: Amazon SageMaker, any of them.

The script's folder is put on ``sys.path``, so that it can import the files beside it.
"""

from __future__ import annotations

import os
import sys

from firstlight.runtime import faults
from firstlight.runtime.errors import HandlerError
from firstlight.runtime.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from firstlight.runtime.types import Handler

LOOKED_FOR = (
    "define handler(event, context), a class EndpointHandler with __call__(data), or model_fn(model_dir) with "
    "predict_fn(data, model)"
)
_NAMES = ("handler", "lambda_handler")
_PARTS = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")


def load(path: str | os.PathLike[str]) -> Handler:
    """The handler of a script.

    Args:
        path: a Python file.

    Raises:
        HandlerError: there is no such file, or nothing in it to call.
        Fault: it cannot be imported (``Runtime.ImportModuleError``) or parsed (``Runtime.UserCodeSyntaxError``).
        Exception: whatever its own code raises.
    """
    path = os.path.abspath(path)  # noqa: PTH100 - pathlib is not imported on this path
    if not os.path.isfile(path):  # noqa: PTH113
        raise HandlerError(f"there is no script {path}", "check the path in firstlight.toml")
    module = execute(path)
    for name in _NAMES:
        if (found := getattr(module, name, None)) is not None:
            if not callable(found):
                raise HandlerError(f"{name} in {path} cannot be called", LOOKED_FOR)
            handler: Handler = found
            return handler
    if hasattr(module, "EndpointHandler") or any(hasattr(module, name) for name in _PARTS):
        from firstlight.runtime import adapters

        return adapters.adapt(module, path)
    raise HandlerError(f"{path} has nothing to call", LOOKED_FOR)


def execute(path: str) -> ModuleType:
    """Run a file as a module whose name is made from the file's (``translate-en2fr.py``: ``translate_en2fr``)."""
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    folder, file = os.path.split(path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    stem = os.path.splitext(file)[0]  # noqa: PTH122
    name = "".join(letter if letter.isalnum() else "_" for letter in stem)
    if name in sys.modules or name in sys.stdlib_module_names:
        name = f"script_{name}"
    spec = spec_from_file_location(name, path, loader=SourceFileLoader(name, path))
    if spec is None or spec.loader is None:
        raise HandlerError(f"{path} cannot be loaded as Python")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    guarded(stem, spec.loader.exec_module, module)
    return module


def guarded(name: str, call: Callable[..., Any], *args: Any) -> Any:
    """Run what imports user code; what goes wrong gets the name AWS gives it.

    Args:
        name: of the module, for the message.

    Raises:
        Fault: ``Runtime.ImportModuleError`` or ``Runtime.UserCodeSyntaxError``.
    """
    try:
        return call(*args)
    except ImportError as error:
        trace = tuple(faults.frames(error.__traceback__, whole=False))
        message = f"Unable to import module '{name}': {error}"
        raise Fault("Runtime.ImportModuleError", message, _advice(error), trace) from error
    except SyntaxError as error:
        trace = (f'  File "{error.filename}" Line {error.lineno}\n    {error.text}',)
        message = f"Syntax error in module '{name}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", message, "", trace) from None


def _advice(error: ImportError) -> str:
    missing = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or not missing:
        return ""
    if missing == "transformers":
        return (
            'write "from firstlight import pipeline": it is called as transformers\' pipeline is and needs no torch; '
            "or install transformers"
        )
    return f"install the package that has {missing}, or put {missing}.py beside the script"
