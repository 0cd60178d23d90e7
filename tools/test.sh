#!/bin/bash
# SPDX-License-Identifier: MIT
#
# All tests: the host programs with the allocator's checks on and off, then the boots under QEMU. Ends with one line,
# "N passed, N failed".
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit

case ${1:-} in
'')
	operations=1000000
	fuzz_seconds=4
	long=()
	;;
-L)
	operations=10000000
	fuzz_seconds=60
	long=(-L)
	;;
*)
	echo "usage: tools/test.sh [-L]   -L: the long runs"
	exit 0
	;;
esac
# The property tests that stand against a model run longer than in make test-host. Operations of the page allocator
# cost four times as much.
declare -A long_ones=([property]=$operations [pagealloc]=$((operations / 4)))
folder=build/test-counts
rm -rf "$folder"
mkdir -p "$folder"

# part NAME COMMAND...: a part that ends without a count has failed as a whole.
part() {
	local name=$1 begin=$SECONDS
	shift

	echo "== $name"
	"$@" || echo "== $name: status $?"
	echo "== $name took $((SECONDS - begin)) s"
	[ -s "$folder/$name" ] || echo "0 1" >"$folder/$name"
}

fuzz() {
	local log ok=0

	log=$(make -s "-j$(nproc)" fuzz "T=$1" "SECONDS=$fuzz_seconds" 2>&1) && ok=1
	[ "$ok" -eq 1 ] || tail -n 40 <<<"$log"
	echo "$ok $((1 - ok))" >"$folder/fuzz-$1"
}

# long_one NAME
long_one() {
	part "long-$1" make -s test-host "T=$1" "OPS=${OPS:-${long_ones[$1]:-$operations}}" "COUNTS=$folder/long-$1"
}

# The scheduler's programs have a build of their own, the same for both; its long run below does all that a short one
# does.
part host-debug make -s test-host HOST_DEBUG=1 WITHOUT=schedule "COUNTS=$folder/host-debug"
part host-release make -s test-host HOST_DEBUG=0 WITHOUT=schedule "COUNTS=$folder/host-release"
# One core each, their programs are built; the fuzzers fill what is left of the other one.
for name in "${!long_ones[@]}"; do
	long_one "$name" >"$folder-$name.log" 2>&1 &
done
# Some seconds of each fuzzer: no more than a proof that it runs, and finds nothing at once.
for name in pagealloc constraints summary hotplug; do
	part "fuzz-$name" fuzz "$name"
done
wait
for name in "${!long_ones[@]}"; do
	cat "$folder-$name.log"
done
# A search of some seconds, then random schedules for which one core is enough: they run beside what follows.
long_one schedule >"$folder-schedule.log" 2>&1 &
schedules=$!
part scripts tools/test-scripts.sh -c "$folder/scripts"
part shim tools/test-shim.sh -c "$folder/shim" ${long[@]+"${long[@]}"}
part qemu tools/test-qemu.sh -c "$folder/qemu" ${long[@]+"${long[@]}"}
wait "$schedules"
cat "$folder-schedule.log"

read -r passed failed < <(cat "$folder"/* | awk '{ p += $1; f += $2 } END { print p, f }')
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
