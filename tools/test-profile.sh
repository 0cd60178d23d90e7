#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A boot loses objects and dumps its heap profile: what tools/slate-profile makes of it names the function that lost them
# first, google-pprof does, too, and a dump that lacks a line is refused.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit
# shellcheck source=tools/rows.sh
. tools/rows.sh

arch=${1:-x86_64}
case $arch in
-*)
	echo "usage: tools/test-profile.sh [ARCH]"
	exit 0
	;;
esac
out=$PWD/build/test-profile/$arch

# first_row FILE OPTION...: the function in pprof's first row.
first_row() {
	local file=$1
	shift

	google-pprof --text "$@" "$file" 2>"$out/pprof.log" | awk '$2 ~ /%$/ { print $NF; exit }'
}

rm -rf "$out"
mkdir -p "$out"
tools/setup.sh pprof || exit
./qemu-run.sh --arch "$arch" --timeout 100 --profile 65536 \
	--run 'profile; profile rate 4096; leak 2000 2000; profile dump' >"$out/log" 2>&1
row "the command line sets the rate" grep -q '^profile rate 65536 ' "$out/log"
row "a profile is dumped" grep -q '^profile end buckets [1-9]' "$out/log"
tools/slate-profile -o "$out/profile" "$out/log" >"$out/told"
row "the tool understands it" test $? -eq 0
# 2000 objects of 2048 bytes: 790 samples or so, 3.6 % of deviation
# shellcheck disable=SC2016 # awk's fields
row "the estimate is near the truth" awk '/^profile/ { ok = $7 > 3400000 && $7 < 4800000 } END { exit !ok }' "$out/told"
# shellcheck disable=SC2016 # awk's fields
row "it names the right function first" awk 'NR == 2 { ok = $4 ~ /^lose/ } END { exit !ok }' "$out/told"
row "google-pprof does, too" grep -q '^lose' <<<"$(first_row "$out/profile.heap" --inuse_space)"
row "by what was allocated as well" grep -q '^lose' <<<"$(first_row "$out/profile.heap" --alloc_space)"
row "the picture is whole" grep -q '^</svg>$' "$out/profile.svg"
row "and has its box" grep -qE '<title>lose_?[a-z]*: [34]\.[0-9] MiB in [0-9]+ objects, [0-9.]+ %</title>' "$out/profile.svg"
grep -v '^[0-9]*: [0-9]* \[' "$out/log" >"$out/broken"
# shellcheck disable=SC2016 # eval's own
row "a dump without its lines is refused" eval '! tools/slate-profile -o "$out/x" "$out/broken" 2>"$out/refusal"'
row "with the reason" grep -q 'buckets are announced, 0 are there' "$out/refusal"
[ "$failed" -eq 0 ]
