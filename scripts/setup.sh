#!/bin/bash
# setup.sh run|test: what vpcore needs on a Debian or Ubuntu machine, to run or to be tested.
# Installs missing packages (with sudo when not root), makes .venv, installs vpcore into it and builds the C engine.
# Does only what is not done yet, and says nothing when that is nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

goal=${1:-}
case $goal in
    run | test) ;;
    *) echo "usage: scripts/setup.sh run|test" >&2; exit 2 ;;
esac

packages=(
    python3-venv python3-dev gcc libc6-dev              # vpcore and its C engine
    seabios libportaudio2                               # firmware; sound
    apt dpkg e2fsprogs grub-common grub-pc-bin xorriso  # vpcore image
    debian-archive-keyring
)
test_packages=(tmux nasm clang gcc-multilib isolinux syslinux-common cpio mtools dosfstools)
extras="all"
if [ "$goal" = test ]; then
    packages+=("${test_packages[@]}")
    extras="test"
fi
# shellcheck source=/dev/null
. /etc/os-release
[ "${ID:-}" = debian ] || packages+=(debootstrap)       # knows where Debian's archive is

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

install_packages() {
    local missing
    if ! command -v dpkg-query > /dev/null; then
        echo "setup: no Debian or Ubuntu here; install what these packages have: ${packages[*]}" >&2
        return
    fi
    missing=$(comm -23 <(printf '%s\n' "${packages[@]}" | sort) \
        <(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "${packages[@]}" 2> /dev/null | sed -n 's/^.i //p' | sort -u))
    [ -n "$missing" ] || return 0
    local command=(apt-get) list
    list=$(echo "$missing" | tr '\n' ' ')
    if [ "$(id -u)" != 0 ]; then
        command=(sudo apt-get)
        if ! command -v sudo > /dev/null || { [ ! -t 0 ] && ! sudo -n true 2> /dev/null; }; then
            fail "as root, run: apt-get install --no-install-recommends $list"
        fi
    fi
    say "installing $list"
    "${command[@]}" update -q || say "not all package lists could be renewed; going on"
    # shellcheck disable=SC2086
    "${command[@]}" install -y -q --no-install-recommends $list
}

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            echo "$name"
            return
        fi
    done
    fail "vpcore needs Python 3.11 or later: apt-get install python3.11-venv python3.11-dev"
}

# A later goal's stamp stands for an earlier one's: the tests' packages include all that running needs.
installed() {
    local stamp
    for stamp in .venv/.installed-test ".venv/.installed-$goal"; do
        if [ -e "$stamp" ] && [ ! pyproject.toml -nt "$stamp" ] && [ ! setup.py -nt "$stamp" ]; then
            return
        fi
    done
    return 1
}

install_vpcore() {
    installed && return
    if [ ! -x .venv/bin/pip ]; then
        say "making .venv"
        local python
        python=$(find_python)
        "$python" -m venv .venv
    fi
    say "installing vpcore and what it needs into .venv, building the C engine"
    touch .venv/.engine.new
    .venv/bin/pip install -q --disable-pip-version-check -e ".[$extras]"
    mkdir -p .venv/src  # the import name of plugins/, for mypy, which does not see what an editable install maps
    ln -sfn ../../plugins .venv/src/vpcore_plugins
    mv .venv/.engine.new .venv/.engine
    touch ".venv/.installed-$goal"
}

recipes=(vpcore/*/build.py plugins/*/build.py)

built() {
    local recipe newer
    [ -e .venv/.engine ] || return 1
    for recipe in "${recipes[@]}"; do
        compgen -G "$(dirname "$recipe")/_*.so" > /dev/null || return 1
    done
    newer=$(find vpcore plugins \( -path '*/csrc/*' -o -path '*/isa/*' -o -name glue.c -o -name '*build.py' \) -newer .venv/.engine \
        -name '*.[chpS]*' -not -path '*/gen/*' -not -name '*.so' -type f -print -quit)
    [ -z "$newer" ]
}

build_c() {
    built && return
    say "building the C engine"
    touch .venv/.engine.new  # older than what is edited meanwhile
    local recipe
    for recipe in "${recipes[@]}"; do
        .venv/bin/python "$recipe" > /dev/null
    done
    mv .venv/.engine.new .venv/.engine
}

install_packages
install_vpcore
build_c
