#!/bin/sh
# Write requirements/*.lock anew from pyproject.toml: every version and hash, for x86_64 and ARM, Python 3.11 and later.
# Needs uv on the PATH. `scripts/lock.sh --upgrade` takes newer versions.
set -eu
cd "$(dirname "$0")/.."
lock() {
    out=requirements/$1.lock
    shift
    # With extras: older pips (Debian's 23.0) look for an extra of a pinned package anew, and hit the newest release.
    uv pip compile --quiet --no-strip-extras --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links pyproject.toml requirements/build.in --output-file "$out" "$@"
    if grep -n '://' "$out"; then echo "$out holds an address" >&2; exit 1; fi
}
lock dev --extra dev "$@"
# The same versions everywhere, so that a venv can grow from one to the other.
lock demo --extra demo --constraint requirements/dev.lock
lock edge --extra edge --constraint requirements/dev.lock
