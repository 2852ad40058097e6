#!/usr/bin/env bash
# Makes packages of what is built and committed, in target/packages (or PACKAGES).
#
#   package.sh deb     a Debian package for the server's major version, of the library that `make build` has made
#   package.sh dist    the sources of HEAD as PGXN takes them, with META.json
#   package.sh meta    prints META.json
. "$(dirname "$0")/environment.sh"

packages=${PACKAGES:-$repo/target/packages}
manifest() { python3 "$repo/scripts/meta.py" "$repo" "$@"; }

# Paths are those of Debian's and apt.postgresql.org's servers, whatever server it was built with: the library's interface
# is the same for all servers of a major version.
deb() {
    PG_CONFIG=${PG_CONFIG:-$(embedded_pg_config 18)}
    export PG_CONFIG
    local major name root library programs extension architecture glibc file
    major=$(pg_major "$PG_CONFIG")
    name=postgresql-$major-memory-ext
    architecture=$(dpkg --print-architecture)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    DESTDIR=$work/staged "$repo/scripts/install.sh" >/dev/null

    root=$work/$name
    library=$root/usr/lib/postgresql/$major/lib
    # Beside the server's own: packages of two majors do not collide there.
    programs=$root/usr/lib/postgresql/$major/bin
    extension=$root/usr/share/postgresql/$major/extension
    mkdir -p "$library" "$programs" "$extension" "$root/usr/share/doc/$name" "$root/DEBIAN"
    install -m 644 "$work/staged$("$PG_CONFIG" --pkglibdir)/memory_ext.so" "$library/"
    install -m 644 "$work/staged$("$PG_CONFIG" --sharedir)"/extension/memory_ext* "$extension/"
    install -m 755 "$work/staged$("$PG_CONFIG" --bindir)"/memory-{backup,audit} "$programs/"
    # Backtraces name what is exported; of programs nothing is.
    strip --strip-debug "$library/memory_ext.so"
    strip --strip-unneeded "$programs"/*

    # shellcheck disable=SC2016
    {
        echo 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
        printf 'Upstream-Name: memory_ext\n\nFiles: *\nCopyright: 2026 the memory_ext authors\nLicense: PostgreSQL\n'
        sed -n '5,$s/^/ /p' "$repo/LICENSE" | sed 's/^ $/ ./'
    } >"$root/usr/share/doc/$name/copyright"
    printf '%s (%s-1) unstable; urgency=medium\n\n  * Release %s.\n\n -- %s  %s\n' "$name" "$version" "$version" "$(manifest maintainer)" \
        "$(TZ=UTC git -C "$repo" log -1 --date=rfc-local --format=%cd 2>/dev/null || date -uR)" | gzip -9n >"$root/usr/share/doc/$name/changelog.Debian.gz"

    # The newest symbol version of glibc that is named.
    glibc=$(objdump -T "$library/memory_ext.so" "$programs"/* | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -uV | tail -n 1)
    cat >"$root/DEBIAN/control" <<-CONTROL
		Package: $name
		Version: $version-1
		Architecture: $architecture
		Maintainer: $(manifest maintainer)
		Section: database
		Priority: optional
		Depends: postgresql-$major, postgresql-$major-pgvector (>= 0.8.0), libc6 (>= $glibc), libgcc-s1
		Installed-Size: $(du -sk "$root/usr" | cut -f1)
		Description: $(manifest description)
		 The extension memory_ext for PostgreSQL $major: adding, searching, expiring, sharing and auditing the memories of agents, with
		 functions in SQL, in ordinary tables, with vectors of pgvector. The programs memory-backup and memory-audit read its encrypted
		 backups and verify its sealed audit trails without a server.
	CONTROL
    (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
    find "$root" -type d -exec chmod 755 {} +

    mkdir -p "$packages"
    file=$packages/${name}_$version-1_$architecture.deb
    dpkg-deb --root-owner-group --build "$root" "$file.new" >/dev/null
    mv "$file.new" "$file"
    echo "$file"
}

dist() {
    local file=$packages/memory_ext-$version.zip
    git -C "$repo" diff --quiet HEAD || say "not in it: changes that are not committed" >&2
    mkdir -p "$packages"
    git -C "$repo" archive --format zip --prefix "memory_ext-$version/" --add-virtual-file="memory_ext-$version/META.json:$(manifest)" -o "$file.new" HEAD
    mv "$file.new" "$file"
    echo "$file"
}

case ${1:-} in
    deb | dist) "$1" ;;
    meta) manifest ;;
    *) die "usage: package.sh deb | dist | meta" ;;
esac
