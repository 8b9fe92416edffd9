#!/usr/bin/env bash
# What the export for the Serverless Framework is tried with: osls, which goes on with version 3 (.venv-osls).
set -euo pipefail
cd "$(dirname "$0")/../.."
version=4.3.1

if [ "$(cat .venv-osls/stamp 2>/dev/null)" != "$version" ]; then
  rm -rf .venv-osls
  mkdir .venv-osls
  npm install --silent --no-fund --no-audit --prefix .venv-osls "osls@$version"
  echo "$version" >.venv-osls/stamp
fi
