#!/bin/sh
# Make or refresh .venv from one lock file: scripts/venv.sh demo|dev. Quick when nothing has changed.
# Works with an empty or unwritable HOME; asks for nothing; fetches only what the lock names, by hash.
set -eu
cd "$(dirname "$0")/.."
what=${1:?demo or dev}
lock=requirements/$what.lock

say() { printf '%s\n' "$*" >&2; }

# dev holds all that demo holds, so a venv made for the tests also runs the demo.
stamp() { cat requirements/"$1".lock pyproject.toml scripts/venv.sh | cksum; }
fresh() { [ -x .venv/bin/tuoi ] && [ "$(cat .venv/lock."$1" 2>/dev/null)" = "$(stamp "$1")" ]; }
if fresh "$what" || { [ "$what" = demo ] && fresh dev; }; then exit 0; fi

good() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
whole() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

if ! good .venv/bin/python; then
    python=
    bare=
    # The system's own before others: it is built for speed (profile-guided), half as fast again as one built by hand.
    for each in ${PYTHON:-} /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        good "$each" || continue
        if whole "$each"; then python=$each; break; fi
        bare=${bare:-$each}
    done
    if [ -z "$python" ] && [ -n "$bare" ]; then
        version=$("$bare" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        say "Python $version is here, but not the part that makes virtual environments."
        say "Install it, then run make again:   sudo apt-get install python3-venv python$version-venv"
        exit 1
    fi
    if [ -z "$python" ]; then
        say "Tưới needs Python 3.11 or later. On Debian 12 and Raspberry Pi OS:   sudo apt-get install python3 python3-venv"
        say "If it is somewhere unusual, name it:   make run PYTHON=/path/to/python3"
        exit 1
    fi
    rm -rf .venv
    "$python" -m venv .venv
fi

say "Installing what requirements/$what.lock names into .venv ..."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=
# Without a home of ours pip has no cache, and would say so at length.
[ -w "${HOME:-/nonexistent}" ] || export PIP_NO_CACHE_DIR=1
rm -f .venv/lock.*
.venv/bin/python -m pip install --quiet --require-hashes -r "$lock"
# The build tools are in the lock, so nothing is fetched unpinned to build; the web bundle has its own make target.
WEB_BUILD=skip .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
stamp "$what" > .venv/lock."$what"
