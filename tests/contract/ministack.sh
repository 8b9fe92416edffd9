#!/usr/bin/env bash
# The contract of the job store against ministack, a second server that speaks DynamoDB (tests/contract has moto's) and
# enforces rights. It pins an older botocore than the project does, so it lives in an environment of its own, .venv-ministack.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PIP_DISABLE_PIP_VERSION_CHECK=1
if [ ! -x .venv-ministack/bin/ministack ]; then
  python3 -m venv .venv-ministack
  .venv-ministack/bin/python -m pip install --quiet -r requirements/emulator.txt
fi

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
home=$(mktemp -d)
HOME=$home AUTH=true BIND_HOST=127.0.0.1 GATEWAY_PORT=$port .venv-ministack/bin/ministack >"$home/log" 2>&1 &
server=$!
trap 'kill "$server"; wait "$server" || true; rm -rf "$home"' EXIT
for _ in $(seq 100); do
  curl --silent --fail --output /dev/null "http://127.0.0.1:$port/_ministack/health" && break
  kill -0 "$server" || { cat "$home/log"; exit 1; }
  sleep 0.2
done

FIRSTLIGHT_TEST_DYNAMODB=http://127.0.0.1:$port .venv/bin/python -m pytest tests/contract/test_job_store*.py \
  tests/contract/rights.py -k "dynamo or rights" "$@"
