#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A boot records a workload that knows its own figures and dumps the trace; the replay tells the same figures, runs it, and
# refuses a dump that lacks a line.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit
# shellcheck source=tools/rows.sh
. tools/rows.sh

arch=${1:-x86_64}
case $arch in
-*)
	echo "usage: tools/test-replay.sh [ARCH]"
	exit 0
	;;
esac
out=$PWD/build/test-replay/$arch

rm -rf "$out"
mkdir -p "$out"
# both architectures may want it at once
flock build/.lock make -s replay || exit
./qemu-run.sh --arch "$arch" --smp 4 --timeout 100 TRACE=1 --run 'trace on 20000; trace load 4000; trace off; trace dump' >"$out/log" 2>&1
told=$(sed -n 's/^trace load //p' "$out/log")
row "the kernel tells what its workload did" test -n "$told"
timeout 100 tools/slate-replay -n 2 "$out/log" >"$out/replay"
row "the replay ends well" test $? -eq 0
row "its counts and its peak are the kernel's" grep -qx "trace $told" "$out/replay"
row "nothing was lost or unknown" grep -qx 'trace lost 0 failed 0 unknown 0 parts 0' "$out/replay"
row "it tells the time" grep -qE '^time [0-9]+ ns' "$out/replay"
row "and the memory" grep -qE '^memory taken [1-9][0-9]* live [1-9][0-9]* fragmentation [1-9]' "$out/replay"
row "and what other classes would waste" test "$(grep -cE '^classes .* waste [0-9.]+ %$' "$out/replay")" -ge 5
cat >"$out/parts" <<-END
	trace begin events 5 recorded 5 lost 0 code ffffffff80101000
	A 1000000 16384 10 0 0
	A 2000000 16384 10 0 0
	F 1000000 4096 20 1 0
	F 1002000 8192 20 2 0
	F 2001000 4096 20 2 0
	trace end events 5
END
timeout 100 tools/slate-replay -n 1 "$out/parts" >"$out/parts.replay"
row "of a run that went back in parts the rest is held" grep -qx 'held by 0xffffffff80101010: 3, 16384 bytes' "$out/parts.replay"
sed '0,/^f /{/^f /d}' "$out/log" >"$out/short"
refused() {
	! tools/slate-replay "$1" >/dev/null 2>&1
}
row "a dump that lacks a line is refused" refused "$out/short"
[ "$failed" -eq 0 ]
