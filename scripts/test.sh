#!/bin/sh
# Every test, in lanes beside each other (tests/lanes.py).
# With arguments, pytest alone with these: scripts/test.sh -k valve tests/unit/edge
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then exec .venv/bin/python -m pytest "$@"; fi
exec .venv/bin/python -m tests.lanes
