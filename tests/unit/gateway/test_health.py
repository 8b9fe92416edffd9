from __future__ import annotations

from gateways import Client, TableInvoker, failed


async def test_an_endpoint_sleeps_until_it_is_asked(client: Client, invoker: TableInvoker) -> None:
    invoker.pools = {
        "qa": {"starting": 0, "idle": 1, "busy": 0, "queued": 0},
        "ner": {"starting": 0, "idle": 0, "busy": 1, "queued": 4},
        "zero": {"starting": 1, "idle": 0, "busy": 0, "queued": 1},
    }
    found = (await client("GET", "/health")).json()
    assert found["status"] == "READY"
    states = {name: entry["status"] for name, entry in found["endpoints"].items()}
    assert (states["sentiment"], states["qa"], states["ner"], states["zero"]) == (
        "ASLEEP",
        "READY",
        "BUSY",
        "STARTING",
    )
    assert found["endpoints"]["ner"]["queued"] == 4
    assert invoker.seen == []


async def test_metrics_count_what_happened(client: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = {}
    invoker.table["ner"] = failed()
    invoker.pools = {"qa": {"starting": 0, "idle": 2, "busy": 0, "queued": 3, "concurrency": 4, "pids": [1]}}
    for _ in range(2):
        await client("POST", "/models/qa", {"inputs": {}})
    await client("POST", "/models/ner", {"inputs": "x"})
    await client("POST", "/models/nope", {"inputs": "x"})
    response = await client("GET", "/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = response.text.splitlines()
    assert 'firstlight_invocations_total{endpoint="qa",status="ok"} 2' in lines
    assert 'firstlight_invocations_total{endpoint="ner",status="error"} 1' in lines
    assert 'firstlight_in_flight{endpoint="qa"} 0' in lines
    assert 'firstlight_queue_depth{endpoint="qa"} 3' in lines
    assert 'firstlight_workers_idle{endpoint="qa"} 2' in lines
    assert 'firstlight_invocation_duration_seconds_count{endpoint="qa"} 2' in lines
    assert not any("nope" in line for line in lines)
