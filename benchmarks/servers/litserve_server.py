"""LitServe: `python litserve_server.py PORT WORKERS`; POST /predict."""

import sys
from typing import Any

import litserve
import work


class Api(litserve.LitAPI):
    """One request at a time: the graph takes one row."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        self.answer = work.load()

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        return request

    def predict(self, x: dict[str, Any]) -> Any:
        return self.answer(x)

    def encode_response(self, output: Any) -> Any:
        return {"output": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        Api(), accelerator="cpu", devices=1, workers_per_device=int(sys.argv[2]), timeout=60
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        generate_client_file=False,
        access_log=False,
    )
