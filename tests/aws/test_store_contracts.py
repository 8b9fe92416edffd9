"""The contracts of the stores again, over a second server that speaks DynamoDB and SQS (``make test`` has moto's)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (("test_store.py",), "dynamodb"),
        (("test_jobs_function.py", "runtime_api/test_worker_records.py"), ""),
        (("test_job_store.py", "test_desk.py"), "sqs"),
    ],
)
def test_it_holds_here_too(local_emulator, files, chosen):
    env = {
        **os.environ,
        "FIRSTLIGHT_TEST_DYNAMODB": local_emulator.url,
        "FIRSTLIGHT_TEST_SQS": "1",
        "PYTEST_ADDOPTS": "",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *(f"tests/contract/{one}" for one in files),
    ]
    ran = subprocess.run(
        [*command, "-k", chosen] if chosen else command,
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-5000:]
    assert " passed" in ran.stdout
