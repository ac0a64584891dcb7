#!/bin/sh
# What the tests need of the system: a broker, an InfluxDB, nginx in front of it, a PostgreSQL, a browser, a font with
# Vietnamese, and systemd's own reader of units.
# With `pi`: what the emulated Raspberry Pi of `make test-pi` needs instead.
# Installs what is missing where it may; otherwise says exactly what to type. Quick when nothing is missing.
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
vietnamese() {
    [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || [ -n "$(fc-list :lang=vi 2>/dev/null | head -n 1)" ]
}
for_the_tests() {
    need mosquitto mosquitto
    need influxd influxdb
    need nginx nginx-light
    need chromium chromium
    [ -n "$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null)" ] || need initdb postgresql
    need systemd-analyze systemd # only its tool that reads units; nothing of it is started
    vietnamese || missing="$missing fonts-dejavu-core"
}
for_the_pi() {
    need mosquitto mosquitto
    need qemu-system-aarch64 qemu-system-arm
    need fdtput device-tree-compiler
    need depmod kmod
    need cpio cpio
    need mkfs.ext4 e2fsprogs
    need xz xz-utils
    need aarch64-linux-gnu-gcc-12 gcc-12-aarch64-linux-gnu
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$missing debian-archive-keyring"
}
case ${1:-test} in
test) command=test && for_the_tests ;;
pi) command=test-pi && for_the_pi ;;
*) printf 'scripts/system.sh takes nothing or pi, not %s\n' "$1" >&2 && exit 2 ;;
esac
[ -n "$missing" ] || exit 0

say() { printf '%s\n' "$*" >&2; }
by_hand() {
    say "The tests need these Debian packages, which are not installed:$missing"
    say "Install them, then run make $command again:"
    say "    sudo apt-get update && sudo apt-get install --no-install-recommends$missing"
    exit 1
}

command -v apt-get >/dev/null 2>&1 || by_hand
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || by_hand
    # Without a terminal sudo can ask nobody.
    sudo -n true 2>/dev/null || [ -t 0 ] || by_hand
    sudo=sudo
fi
say "Installing$missing ..."
install() {
    # shellcheck disable=SC2086 # a list of words
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends $missing </dev/null >&2
}
install || { $sudo apt-get update --quiet >&2 && install; } || by_hand
