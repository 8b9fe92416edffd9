#!/usr/bin/env bash
# What the export for Terraform is read with where there is no Terraform: a parser of its language (.venv-hcl).
set -euo pipefail
cd "$(dirname "$0")/../.."
export PIP_DISABLE_PIP_VERSION_CHECK=1
wanted=python-hcl2==8.1.4

if [ "$(cat .venv-hcl/stamp 2>/dev/null)" != "$wanted" ]; then
  rm -rf .venv-hcl
  python3 -m venv .venv-hcl
  .venv-hcl/bin/python -m pip install --quiet "$wanted"
  echo "$wanted" >.venv-hcl/stamp
fi
