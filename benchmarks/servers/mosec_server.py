"""mosec: `python mosec_server.py --address 127.0.0.1 --port PORT`; POST /inference. WORKERS in the environment."""

import os
from typing import Any

import work
from mosec import Server, Worker


class Answering(Worker):
    """One request at a time: the graph takes one row."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = work.load()

    def forward(self, data: dict[str, Any]) -> Any:
        return self.answer(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Answering, num=int(os.environ["WORKERS"]))
    server.run()
