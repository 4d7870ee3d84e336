#!/usr/bin/env bash
# Checks what deploys the fleet, without a container engine and without a cluster: see scripts/check-deploy/__main__.py. `--write` writes what is generated.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=target/tools/deploy/bin/python
[ -x "$python" ] || { echo "check-deploy: its tools are missing: run make setup" >&2; exit 1; }
# No trace in the sources.
PYTHONDONTWRITEBYTECODE=1 exec "$python" scripts/check-deploy "$@"
