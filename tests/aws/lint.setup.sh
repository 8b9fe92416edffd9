#!/usr/bin/env bash
# What templates are checked with, in an environment of its own: cfn-lint, and SAM's translator (.venv-aws). Made once; a
# requirements file that was changed makes it anew.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

if ! { [ -e .venv-aws/stamp ] && cmp -s .venv-aws/stamp requirements/aws.txt; }; then
  rm -rf .venv-aws
  python3 -m venv .venv-aws
  .venv-aws/bin/python -m pip install --quiet --no-deps -r requirements/aws.txt
  cp requirements/aws.txt .venv-aws/stamp
fi
