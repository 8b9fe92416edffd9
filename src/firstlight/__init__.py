"""firstlight: a Hugging Face model, or a script with a handler, as a serverless endpoint."""

__version__ = "0.1.0"
__all__ = ["Project", "__version__", "pipeline"]

# A worker imports this package on its way to the first answer, so public names load on first use (PEP 562).
_HOMES = {"pipeline": "firstlight.pipelines", "Project": "firstlight.project"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'firstlight' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
