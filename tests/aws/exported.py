"""Stacks that exports are tried on: one as most are, and one with all there is."""

from __future__ import annotations

import tempfile
from pathlib import Path

from firstlight.deploy import graph
from firstlight.deploy.types import Account, Artifact, Stack
from firstlight.project.types import Asynchronous, Deployment, Endpoint, Front, Project, RecordPolicy

ACCOUNT = Account("123456789012", "eu-central-1")
_HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxStB36r8ZPK84NeViqTy
OuuqzgQ5Gbkp4HwSp1iuhLKJgVIPhTZzaHZBbAHDHUMor+8C6Q5e2oFSwCHxor9M
aE0p5VTqr5Uijk/KxxlhsO0bDJHZPD3+RjJGjMir7pRlZ/EsSzQ4mI/BRcvdNEvY
MJXHpGmLCU+2BE40Iav6N+BhbTvRMYKPzgUNhY2JauBAITnQ+0h5Kq0bOlkMC8sp
1TLEatwGJJZGj+5/lMP6lecDNTSgAVRyNNbSt+pKAgbVbP4spC4BXpNbtMc4ojSL
ee2NBsQC4uzDyvYjk2pwIGpAITQBm7zMtu3bzH0oqajk52J5ABi9griHtkzjSZ6T
uQIDAQAB
-----END PUBLIC KEY-----
"""


def plain() -> Stack:
    """Two endpoints, nothing asked for."""
    return _stack(
        {name: Endpoint(name, model=f"starter:{name}") for name in ("qa", "sentiment")}, Deployment()
    )


def everything(cache: str = "none") -> Stack:
    """Every option that goes with the others."""
    endpoints = {
        "qa": Endpoint(
            "qa",
            model="starter:qa",
            concurrency=4,
            reserved=4,
            provisioned=1,
            route="/qa",
            front=Front("http"),
            env={"LABEL": "one ${two} {three}", "KEY": "secretsmanager:demo:key"},
        ),
        "Big_model": Endpoint(
            "Big_model",
            model="starter:stories",
            memory=4096,
            timeout=600,
            snap_start=cache == "none",
            route="/big",
            front=Front("rest", "key", stream=True),
            asynchronous=Asynchronous(retries=1, on_failure="endpoint:import", on_success="endpoint:qa"),
        ),
        "import": Endpoint(
            "import",
            model="starter:lyrics",
            route="/lyrics",
            front=Front("url", "iam", stream=True),
            asynchronous=Asynchronous(on_failure="endpoint:Big_model"),
        ),
        "speech": Endpoint("speech", model="starter:speech", route="/speech", front=Front("rest", "iam")),
    }
    deployment = Deployment(
        api="rest" if cache == "none" else "http",
        public=cache == "none",
        share=True,
        share_key="share.pem",
        cache=cache,
        budget=20.0,
        kill_switch=True,
        email="someone@example.org",
    )
    return _stack(endpoints, deployment)


def _stack(endpoints: dict[str, Endpoint], deployment: Deployment) -> Stack:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "share.pem").write_text(_KEY)
        project = Project("demo", root, None, endpoints, RecordPolicy("hash"), root, deployment=deployment)
        return graph.stack(project, {name: artifact(name) for name in (*endpoints, "router")}, ACCOUNT)


def artifact(name: str) -> Artifact:
    digest = f"{sum(name.encode()):064x}"
    if name in ("router", "sentiment"):
        uri, python = f"s3://firstlight-demo-123456789012-eu-central/{name}/{digest}.zip", "python3.13"
        handler = (
            "firstlight.gateway.aws.handler"
            if name == "router"
            else "firstlight.runtime.lambda_function.handler"
        )
        size = 40_000_000
        variables = {"PYTHONPATH": "/var/task/.firstlight/src:/var/task/.firstlight/lib", "HOME": "/tmp"}
        return Artifact(name, "zip", digest, uri, size, 3 * size, "arm64", python, handler, variables)
    uri = f"{_HOST}/firstlight/demo@sha256:{digest}"
    return Artifact(name, "image", f"sha256:{digest}", uri, 60_000_000, 150_000_000, "arm64")


STACKS = {
    "plain": plain,
    "everything": everything,
    "efs": lambda: everything("efs"),
    "s3files": lambda: everything("s3files"),
}
"""What to try exports on, by name."""
