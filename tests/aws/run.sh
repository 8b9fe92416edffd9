#!/usr/bin/env bash
# The tests against real parts: a Docker daemon, a registry, an emulator of AWS, AWS's own emulator of Lambda, and the
# programs that read what is exported. What is missing is installed first. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

missing=()
command -v dockerd >/dev/null || missing+=(docker.io)
command -v docker >/dev/null || missing+=(docker.io)
command -v docker-registry >/dev/null || missing+=(docker-registry)
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap debian-archive-keyring)
command -v ip >/dev/null || missing+=(iproute2)
command -v skopeo >/dev/null || missing+=(skopeo)
command -v npm >/dev/null || missing+=(nodejs npm)
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

for setup in tests/aws/*.setup.sh; do
  [ -e "$setup" ] && bash "$setup"
done

# One daemon for all, at a bridge of its own: each test that wants one finds it by its address.
if [ -z "${DOCKER_HOST:-}" ]; then
  home=$(mktemp -d /tmp/docker.XXXXXX)
  bridge=dock$$
  ip link add "$bridge" type bridge
  ip addr add "172.30.$(($$ % 250)).1/24" dev "$bridge"
  ip link set "$bridge" up
  export DOCKER_HOST=unix://$home/docker.sock
  dockerd --data-root "$home/data" --exec-root "$home/exec" --pidfile "$home/pid" --host "$DOCKER_HOST" \
    --iptables=false --ip6tables=false --bridge "$bridge" >"$home/log" 2>&1 &
  daemon=$!
  trap 'kill "$daemon"; wait "$daemon" || true; ip link delete "$bridge"; rm -rf "$home"' EXIT
  for _ in $(seq 150); do
    docker version >/dev/null 2>&1 && break
    kill -0 "$daemon" || { cat "$home/log"; exit 1; }
    sleep 0.2
  done
fi

# Two at a time, file by file: each has its own emulator.
.venv/bin/python -m pytest -n 2 --dist loadfile tests/aws "$@"
