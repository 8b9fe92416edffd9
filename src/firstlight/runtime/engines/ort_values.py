"""Results of a graph that stay where the library made them, and are fed to the next run without being copied."""

from __future__ import annotations

from firstlight.runtime.engines.library import Address, Text
from firstlight.runtime.engines.ort_api import Api, Session
from firstlight.runtime.errors import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.runtime.tensor import Tensor


class Kept:
    """Values of the library by name, given back when this is closed or forgotten.

    Args:
        handles: ``OrtValue`` by name; owned from now on.
    """

    def __init__(self, api: Api, handles: dict[str, int]) -> None:
        self._api = api
        self.handles = handles

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the values back."""
        handles, self.handles = self.handles, {}
        for handle in handles.values():
            self._api.ReleaseValue(handle)


class KeepingSession(Session):
    """A graph of which some results stay in the library."""

    def step(
        self,
        feeds: Mapping[str, Tensor],
        kept: Sequence[Kept],
        outputs: Sequence[str],
        keep: Mapping[str, str],
    ) -> tuple[list[Tensor], Kept]:
        """Run the graph once.

        Args:
            feeds: small inputs.
            kept: inputs that earlier runs left in the library; of two of one name the later counts.
            outputs: names of the outputs to copy out.
            keep: names of the outputs that stay, and the names they are kept under.

        Raises:
            EngineError: an input is missing, a name, type or shape is not the graph's, or the run failed.
        """
        api = self._api
        held = {name: handle for values in kept for name, handle in values.handles.items()}
        missing = [name for name in self.inputs if name not in feeds and name not in held]
        if missing:
            raise EngineError(f"the graph needs the input {missing[0]!r}")
        count, wanted = len(self.inputs), len(outputs) + len(keep)
        values, results = (Address * count)(), (Address * wanted)()
        alive, own = [], []  # the bytes behind the inputs, until the run is over; the values around them
        try:
            for index, name in enumerate(self.inputs):
                if name in held:
                    values[index] = held[name]
                    continue
                raw, element = self._fed(name, feeds[name].data)
                alive.append(raw)
                values[index] = self._value(feeds[name].shape, raw, element)
                own.append(values[index])
            names = (Text * count)(*[name.encode() for name in self.inputs])
            asked = (Text * wanted)(*[name.encode() for name in (*outputs, *keep)])
            api.Run(self._handle, None, names, values, count, asked, wanted, results)
            copied = [self._tensor(results[index]) for index in range(len(outputs))]
        except BaseException:
            own += [value for value in results if value]
            raise
        else:
            own += results[: len(outputs)]
            return copied, Kept(api, dict(zip(keep.values(), results[len(outputs) :], strict=True)))
        finally:
            for value in own:
                api.ReleaseValue(value)
