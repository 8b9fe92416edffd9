"""BentoML: `bentoml serve bentoml_server:Served`; POST /answer. WORKERS in the environment."""

import os
from typing import Any

import bentoml
import work


@bentoml.service(
    workers=int(os.environ["WORKERS"]), traffic={"timeout": 60}, logging={"access": {"enabled": False}}
)
class Served:
    """One request at a time: the graph takes one row."""

    def __init__(self) -> None:
        self.answer_one = work.load()

    @bentoml.api
    def answer(self, inputs: str) -> dict[str, Any]:
        """What JSON carries has to be a mapping."""
        return {"output": self.answer_one({"inputs": inputs})}
