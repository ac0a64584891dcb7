#!/bin/sh
# The tests of the emulated Raspberry Pi: its card is made once, then both kernels are tried at the same time, for an
# emulator keeps one core busy. With arguments, pytest alone with these: scripts/test-pi.sh -k "releasing and frozen"
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then exec .venv/bin/python -m pytest tests/pi "$@"; fi
.venv/bin/python -m tests.pi.card
try() {
    .venv/bin/python -m pytest --durations=5 tests/pi -k "$1" >"build/pi/$1.log" 2>&1
}
try persisting &
other=$!
status=0
try releasing || status=$?
wait "$other" || status=$?
cat build/pi/persisting.log build/pi/releasing.log
exit "$status"
