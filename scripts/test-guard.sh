#!/bin/sh
# The valve guard's own tests, with its processes under a tracer: every branch of it must be gone through.
set -eu
cd "$(dirname "$0")/.."
rc=--rcfile=tests/unit/edge/guard/coverage.toml
rm -f .coverage.guard*
.venv/bin/python -m coverage run $rc -m pytest -q tests/unit/edge/guard
.venv/bin/python -m coverage combine -q $rc
exec .venv/bin/python -m coverage report $rc
