"""What a repository has to offer: files that can be taken, or a reason why not."""

from __future__ import annotations

from dataclasses import dataclass, field

from firstlight.runtime.errors import FirstlightError


@dataclass(frozen=True, slots=True)
class Offer:
    """Weights that a converter takes.

    Attributes:
        form: as in ``Artefact``.
        weights: paths, the one a converter is given first.
        converter: ``module:function``.
        engine, task: the bundle's.
        precision: the bundle's; None where the converter decides.
        why: of the sentence that is shown, what follows the name of the weights.
        bundle_bytes: what the weights are expected to take in the bundle.
        kept_as: precision the weights are in, for the estimate of memory.
        runs_code: code of the repository is run.
    """

    form: str
    weights: tuple[str, ...]
    converter: str
    engine: str
    task: str
    precision: str | None
    why: str
    bundle_bytes: float
    kept_as: str
    runs_code: bool = False

    @property
    def what(self) -> str:
        """The weights by name, for a list of what was passed over."""
        first, more = self.weights[0], len(self.weights) - 1
        return f"{first} and {more} more" if more else first


@dataclass(frozen=True, slots=True)
class Refusal:
    """Weights that are not taken.

    Attributes:
        what: a path, or words for several.
        why: one clause.
        error: what to raise when there is nothing else; None where this alone explains nothing.
    """

    what: str
    why: str
    error: FirstlightError | None = field(default=None, compare=False)
