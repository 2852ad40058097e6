#!/usr/bin/env bash
# Runs the steps of docker/Dockerfile without a container engine: in a root of plain Debian that debootstrap makes, with Debian's own
# PostgreSQL and pgvector. Then makes the Debian package of what was built and installs it into another such root.
#
#   image-test.sh [suite] [major]      default: trixie 17, the first Debian with a PostgreSQL that memory_ext supports
#
# For root, with debootstrap and access to Debian's mirror. It takes a build of the extension (minutes) and 2 GB below IMAGE_TEST_DIR
# (/var/tmp/memory_ext-image), which is removed at the end unless KEEP is set.
. "$(dirname "$0")/environment.sh"

suite=${1:-trixie}
major=${2:-17}
place=${IMAGE_TEST_DIR:-/var/tmp/memory_ext-image}
build=$place/build
clean=$place/clean
cargo_home=${CARGO_HOME:-$HOME/.cargo}
rustup_home=${RUSTUP_HOME:-$HOME/.rustup}

[ "$(id -u)" -eq 0 ] || die "only root can make a root directory of another system"
command -v debootstrap >/dev/null || die "debootstrap is missing" "Run: apt-get install debootstrap"

unmount() {
    local root
    for root in "$build" "$clean"; do
        awk -v root="$root/" 'index($2, root) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mounted; do umount "$mounted"; done
    done
}
finish() {
    unmount
    # Never through a mount that is left.
    if [ -z "${KEEP:-}" ] && ! grep -q " $place/" /proc/mounts; then rm -rf "$place"; fi
}
trap finish EXIT

# A root of the suite with the server, as the official image is one.
make_root() {
    local root=$1
    unmount
    if [ ! -e "$root/etc/debian_version" ]; then
        rm -rf "$root"
        debootstrap --variant=minbase --include="postgresql-$major,ca-certificates" "$suite" "$root" >"$place/debootstrap.log" ||
            die "debootstrap failed" "$(tail -n 3 "$place/debootstrap.log")"
        printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
        chmod 755 "$root/usr/sbin/policy-rc.d"
    fi
    [ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    if compgen -G '/etc/apt/apt.conf.d/*' >/dev/null; then cp -L /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/"; fi
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    mount --bind /dev/pts "$root/dev/pts"
}

in_root() {
    local root=$1
    shift
    chroot "$root" env -i HOME=/root TERM=dumb LANG=C.UTF-8 PATH="/usr/local/cargo/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        PG_MAJOR="$major" OUT=/out CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup "$@"
}

mkdir -p "$place"
say "the stage that builds: packages, build"
make_root "$build"
# What .dockerignore lets through of what is committed or about to be.
mkdir -p "$build/src"
(cd "$repo" && git ls-files -z -- Cargo.toml Cargo.lock Makefile LICENSE clippy.toml memory_ext.control core src sql scripts bench/Cargo.toml bench/src docker/build-steps.sh docker/scripts docker/init |
    tar -c --null --files-from -) | tar -x -C "$build/src"
mkdir -p "$build/usr/local/cargo" "$build/usr/local/rustup"
mount --bind "$cargo_home" "$build/usr/local/cargo"
mount --bind "$rustup_home" "$build/usr/local/rustup"
in_root "$build" /src/docker/build-steps.sh packages >"$place/packages.log" || die "step packages failed" "$(tail -n 5 "$place/packages.log")"
in_root "$build" /src/docker/build-steps.sh build
(cd "$build/out" && find . -type f -size +0 -printf '%s %P\n' | sort -k2)
in_root "$build" env PG_CONFIG="/usr/lib/postgresql/$major/bin/pg_config" PACKAGES=/packages /src/scripts/package.sh deb

say "the stage that is shipped: runtime, check"
make_root "$clean"
mkdir -p "$clean/out" "$clean/build"
cp "$repo/docker/build-steps.sh" "$clean/build/"
mount --bind "$build/out" "$clean/out"
in_root "$clean" /build/build-steps.sh runtime >"$place/runtime.log" || die "step runtime failed" "$(tail -n 5 "$place/runtime.log")"
in_root "$clean" runuser -u postgres -- env PG_MAJOR="$major" /build/build-steps.sh check
for tool in cc gcc cargo make clang; do
    if in_root "$clean" sh -c "command -v $tool" >/dev/null; then die "the image has a build tool: $tool"; fi
done

say "the package, instead of the files of the image"
umount "$clean/out"
in_root "$clean" sh -ec "rm /usr/lib/postgresql/$major/lib/memory_ext.so /usr/share/postgresql/$major/extension/memory_ext* /usr/lib/postgresql/$major/bin/memory-*"
if in_root "$clean" runuser -u postgres -- env PG_MAJOR="$major" /build/build-steps.sh check >/dev/null 2>&1; then die "the check passes without the extension"; fi
cp "$build"/packages/*.deb "$clean/build/"
in_root "$clean" sh -ec 'apt-get update -qq && apt-get install -y -qq /build/*.deb' >"$place/deb.log" 2>&1 || die "the package is not installed" "$(tail -n 5 "$place/deb.log")"
in_root "$clean" dpkg --verify "postgresql-$major-memory-ext"
in_root "$clean" runuser -u postgres -- env PG_MAJOR="$major" /build/build-steps.sh check
in_root "$clean" sh -ec "dpkg --purge postgresql-$major-memory-ext" >/dev/null
[ -z "$(find "$clean"/usr/{lib,share}/postgresql -name 'memory[_-]*')" ] || die "purging the package leaves files"
say "image-test: passed on Debian $(cat "$clean/etc/debian_version"), PostgreSQL $major"
