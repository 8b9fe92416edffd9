"""Scripts written for other servers, as ``handler(event, context)``.

Hugging Face Inference Endpoints: "Create custom Inference Handler" (``EndpointHandler``). Amazon SageMaker: "Adapting
your own inference container", and the defaults of the SageMaker Hugging Face Inference Toolkit. Their requests may
come through any trigger a model endpoint has; numpy arrays in their answers become lists.
"""

from __future__ import annotations

import os

from firstlight.runtime import jsons, notes, triggers
from firstlight.runtime.errors import FirstlightError, HandlerError, UnsupportedMedia

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from firstlight.runtime.types import Handler

_JSON = "application/json"


def adapt(module: ModuleType, path: str) -> Handler:
    """The handler of a module that has an ``EndpointHandler`` or SageMaker's functions.

    Args:
        path: of the script; the model is beside it, or above a folder named ``code``.

    Raises:
        HandlerError: the functions do not make a whole.
    """
    folder = os.path.dirname(path)  # noqa: PTH120 - pathlib is not imported on this path
    if os.path.basename(folder) == "code":  # noqa: PTH119
        folder = os.path.dirname(folder)  # noqa: PTH120
    folder = os.environ.get("SM_MODEL_DIR") or folder
    if hasattr(module, "EndpointHandler"):
        answer = fitted(module.EndpointHandler, folder)
        return lambda event, context: _whole(event, context, answer)
    functions = Functions(module, path, folder)
    return lambda event, context: _raw(event, context, functions)


def fitted(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function with as many of the arguments as it takes: SageMaker's have an optional context at the end."""
    from inspect import Parameter, signature

    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = signature(function).parameters.values()
    except ValueError:  # written in C
        return function(*args)
    if any(parameter.kind is Parameter.VAR_POSITIONAL for parameter in parameters):
        return function(*args)
    return function(*args[: sum(parameter.kind in kinds for parameter in parameters)])


def plain(value: Any) -> Any:
    """A value JSON can carry: numpy arrays and scalars, and tensors, become lists and numbers."""
    if isinstance(value, dict):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (str, int, float, bool)) or value is None:
        return float(value) if isinstance(value, float) else value
    as_list = getattr(value, "tolist", None)
    return as_list() if as_list is not None else value


def _key(key: Any) -> Any:
    item = getattr(key, "item", None)
    return item() if item is not None else key


def _whole(event: Any, context: Any, answer: Callable[..., Any]) -> Any:
    notes.clear()
    shape = triggers.shape(event)
    if shape.ping:
        return {"warm": True}
    try:
        return shape.reply(plain(fitted(answer, shape.payload(), context)))
    except FirstlightError as error:
        return shape.fail(error)


def _raw(event: Any, context: Any, functions: Functions) -> Any:
    notes.clear()
    shape = triggers.shape(event)
    if shape.ping:
        return {"warm": True}
    try:
        body, content_type, accept = shape.raw()
        return shape.reply_raw(*functions(body, content_type, accept, context))
    except FirstlightError as error:
        return shape.fail(error)


class Functions:
    """SageMaker's functions, with its toolkit's defaults for those a script leaves out.

    Args:
        module: has any of ``model_fn``, ``input_fn``, ``predict_fn``, ``output_fn``, ``transform_fn``.
        path: of the script, for messages.
        folder: where the model's files are.

    Raises:
        HandlerError: there is no ``model_fn`` and no bundle in the folder.
    """

    def __init__(self, module: ModuleType, path: str, folder: str) -> None:
        self._input = getattr(module, "input_fn", default_input)
        self._predict = getattr(module, "predict_fn", default_predict)
        self._output = getattr(module, "output_fn", default_output)
        self._transform = getattr(module, "transform_fn", None)
        if hasattr(module, "model_fn"):
            self._model = fitted(module.model_fn, folder, None)
        elif os.path.isfile(os.path.join(folder, "bundle.json")):  # noqa: PTH113, PTH118
            from firstlight.runtime.model import Model

            self._model = Model.load(folder)
        else:
            raise HandlerError(
                f"{path} has no model_fn, and there is no bundle in {folder}",
                "define model_fn(model_dir), which returns the model that predict_fn is given",
            )

    def __call__(self, body: bytes, content_type: str, accept: str, context: Any) -> tuple[bytes, str]:
        """Bytes and media type of the answer to a request's bytes and media type."""
        accept = _JSON if "*/*" in accept else accept
        request = body.decode() if _is_text(content_type) else body
        if self._transform is not None:
            result = fitted(self._transform, self._model, request, content_type, accept, context)
        else:
            data = fitted(self._input, request, content_type, context)
            prediction = fitted(self._predict, data, self._model, context)
            result = fitted(self._output, prediction, accept, context)
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], str):
            result, accept = result
        if isinstance(result, (bytes, bytearray)):
            return bytes(result), accept
        return (result if isinstance(result, str) else jsons.dumps(plain(result))).encode(), accept


def default_input(body: str | bytes, content_type: str) -> Any:
    """JSON as its value, text as text, anything else as bytes."""
    kind = content_type.partition(";")[0].strip()
    if kind != _JSON:
        return body
    try:
        return jsons.loads(body)
    except ValueError as error:
        raise UnsupportedMedia(f"the body is not JSON: {error}", "send JSON, or define input_fn") from None


def default_predict(data: Any, model: Any) -> Any:
    """``inputs`` and ``parameters`` of the data handed to the model, or all of it where they are not named."""
    if not isinstance(data, dict):
        return model(data)
    parameters = data.get("parameters") or {}
    inputs = data.get("inputs", data)
    from firstlight.runtime.model import Model

    return model(inputs, parameters) if isinstance(model, Model) else model(inputs, **parameters)


def default_output(prediction: Any, accept: str) -> tuple[str, str]:  # noqa: ARG001 - SageMaker's signature
    """The prediction as JSON."""
    return jsons.dumps(plain(prediction)), _JSON


def _is_text(content_type: str) -> bool:
    return content_type.startswith(("text/", _JSON)) or "+json" in content_type
