#!/usr/bin/env bash
# Builds the fuzz targets, replays every input that is known, then lets each target look for others.
#
# fuzz.sh SECONDS            all targets
# fuzz.sh SECONDS TARGET …   some
#
# Inputs: fuzz/corpus (committed), larger ones of our own and the recorded ones that are made below target/fuzz, and what earlier
# runs found there. A failure names the input and the command that shows it again. Stable Rust, no sanitizer: our code has no
# `unsafe` to watch. docs/fuzzing.md says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:?seconds for each target}
shift
targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then
    mapfile -t targets < <(cd fuzz/targets && printf '%s\n' *.rs | sed 's/\.rs$//')
fi
command -v cargo-fuzz >/dev/null || { echo "fuzz: cargo-fuzz is missing: run make setup" >&2; exit 1; }

work=$PWD/target/fuzz
mkdir -p "$work"
# An own folder: what is built here has other flags than everything else. Debug information would double the time of linking.
export CARGO_TARGET_DIR=${PASSEREAU_FUZZ_TARGET_DIR:-$work/build} CARGO_PROFILE_RELEASE_DEBUG=0
cargo fuzz build --sanitizer none
programs=$CARGO_TARGET_DIR/$(rustc -vV | sed -n 's/^host: //p')/release

fixtures=${PASSEREAU_FIXTURES:-../shared/fixtures}
rm -rf "$work/seeds" "$work/large"
scripts/fuzz-seeds.py large "$work/large"
if [ -d "$fixtures" ]; then
    scripts/fuzz-seeds.py fixtures "$fixtures" "$work/seeds"
elif [ -n "${PASSEREAU_REQUIRE_FIXTURES:-}" ] && [ "$PASSEREAU_REQUIRE_FIXTURES" != 0 ]; then
    echo "fuzz: recorded archives and answers are not at $fixtures: set PASSEREAU_FIXTURES to their folder, or unset PASSEREAU_REQUIRE_FIXTURES" >&2
    exit 1
else
    echo "fuzz: notice: recorded archives and answers are not at $fixtures; only our own inputs are used"
fi

failed() { # target log
    local input
    input=$(sed -n 's/^.*Test unit written to \(.*\)$/\1/p' "$2" | tail -n 1)
    [ -n "$input" ] || input=$(sed -n 's/^Running: //p' "$2" | tail -n 1)
    tail -n 40 "$2" >&2
    echo "fuzz: target $1 failed; show it again with: $programs/$1 $input" >&2
    echo "fuzz: once it is mended, keep the input as fuzz/corpus/$1/<what it is>" >&2
    return 1
}

run() { # one target
    local target=$1 log=$work/$1.log known=0 tried
    local folders=("$work/found/$target" "fuzz/corpus/$target")
    mkdir -p "$work/found/$target" "$work/artifacts/$target"
    [ ! -d "$work/seeds/$target" ] || folders+=("$work/seeds/$target")
    local limits=(-timeout=20 -rss_limit_mb=1024 "-artifact_prefix=$work/artifacts/$target/")
    mapfile -t inputs < <(find "${folders[@]:1}" "$work/large/$target" -type f 2>/dev/null | sort)
    known=${#inputs[@]}
    # libFuzzer without an input would look for some for ever.
    [ "$known" -gt 0 ] || { echo "fuzz: $target has no corpus: put an input into fuzz/corpus/$target" >&2; return 1; }
    "$programs/$target" "${limits[@]}" "${inputs[@]}" >"$log" 2>&1 || failed "$target" "$log" || return 1
    "$programs/$target" "${limits[@]}" "-max_total_time=$seconds" -max_len=65536 -print_final_stats=1 "${folders[@]}" \
        >"$log" 2>&1 || failed "$target" "$log" || return 1
    tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$known $tried" >"$work/$target.count"
    echo "fuzz: $target: $known known inputs replayed, $tried tried"
}

# Two at once on two cores; the first failure counts, the others end by themselves.
export -f run failed
export work programs seconds
if ! printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I {} bash -euo pipefail -c 'run {}'; then
    exit 1
fi
for target in "${targets[@]}"; do cat "$work/$target.count"; done |
    awk '{ known += $1; tried += $2 } END { printf "fuzz: ok, %d known inputs replayed, %d tried\n", known, tried }'
