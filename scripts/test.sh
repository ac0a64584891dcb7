#!/bin/sh
# Every test: what stands alone on all cores first, then what watches real seconds (e2e, browser) with the machine to itself.
# The valve guard's tests are run by `make test-guard`, which measures what they cover.
# With arguments, pytest alone with these: scripts/test.sh -k valve tests/unit/edge
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then exec .venv/bin/python -m pytest "$@"; fi
.venv/bin/python -m pytest -n auto --dist worksteal --durations=10 --ignore=tests/e2e --ignore=tests/browser \
    --ignore=tests/unit/edge/guard
exec .venv/bin/python -m pytest --durations=10 tests/e2e tests/browser
