#!/bin/sh
# The phone app. scripts/web.sh bundle: build it, through the same hook as every wheel, if its sources have changed.
# scripts/web.sh tools: what its tests and checks need besides. Both are quick when nothing has changed.
set -eu
cd "$(dirname "$0")/.."
web=server/web

# Not "node_modules is there": the hook leaves one without the development tools.
tools_are_there() {
    [ -x $web/node_modules/.bin/vitest ] && [ "$(cat $web/node_modules/.locked 2>/dev/null)" = "$(cksum < $web/package-lock.json)" ]
}

say() { printf '%s\n' "$*" >&2; }

case ${1:?bundle or tools} in
bundle)
    sources=$(find $web hatch_build.py -name node_modules -prune -o -name dist -prune -o -type f -print | LC_ALL=C sort |
        while read -r each; do cksum "$each"; done | cksum)
    if [ -e $web/dist/index.html ] && [ "$(cat .venv/web-bundle 2>/dev/null)" = "$sources" ]; then exit 0; fi
    say "Building the phone app ..."
    rm -f .venv/web-bundle
    if tools_are_there; then
        # The hook's own second step; its first would take the test tools away.
        scripts/node.sh npm run build -- --logLevel warn
        printf '%s\n' "$sources" > .venv/web-bundle
        exit 0
    fi
    [ -w "${HOME:-/nonexistent}" ] || export PIP_NO_CACHE_DIR=1
    npm_config_cache=$PWD/.venv/npm-cache NODE_USE_SYSTEM_CA=1 WEB_BUILD=force PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
        .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
    [ -e $web/dist/index.html ] || { say "The hook ended without a bundle in $web/dist."; exit 1; }
    printf '%s\n' "$sources" > .venv/web-bundle
    ;;
tools)
    if tools_are_there; then exit 0; fi
    say "Installing the phone app's test tools ..."
    scripts/node.sh npm ci --no-audit --no-fund --loglevel=error
    cksum < $web/package-lock.json > $web/node_modules/.locked
    ;;
esac
