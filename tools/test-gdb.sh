#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Ask the debugger about random addresses and hold its answers against the kernel's own, on the running machine and on a
# dump of its memory. A boot of an architecture each; the kernel stops in command_breakpoint().
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit
# shellcheck source=tools/rows.sh
. tools/rows.sh

usage() {
	cat <<-'END'
		usage: [DEBUG=1] tools/test-gdb.sh ARCH [COUNT]
		  COUNT  addresses (default 1000)
	END
}

case ${1:-} in
x86_64 | aarch64) ;;
-h) usage && exit 0 ;;
*) usage >&2 && exit 2 ;;
esac
arch=$1
count=${2:-1000}
out=build/test-gdb/$arch
debug=${DEBUG:-0}
mode=release
[ "$debug" -eq 0 ] || mode=debug
elf=build/$arch-$mode/slate.elf
plant='selftest object; alloc 100; leak 20000 64; leak 5000 1000; leak 40 20000; leak 1 3m'

# The kernel waits for the debugger at its first instruction, on a socket of this run.
boot() {
	./qemu-run.sh --arch "$arch" --timeout 120 --run "$plant; mem; whois random $count" "DEBUG=$debug" -- \
		-S -gdb "unix:$out/gdb,server=on,wait=off" >"$out/kernel.log" 2>&1 &
	for _ in $(seq 200); do
		[ ! -S "$out/gdb" ] || return 0
		sleep 0.1
	done
	echo "not ok 0 - QEMU's debug socket appears"
	return 1
}

# ask NAME ARGUMENT...: gdb with our commands; the questions lie in a file each.
ask() {
	local name=$1
	shift

	timeout 120 gdb-multiarch -batch -nx -x tools/gdb/slate.py "$@" >"$out/$name.log" 2>&1
}

# Frames in all, those for stacks and for metadata: of the kernel's mem, of the debugger's.
kernel_mem() {
	tr -d '\r' <"$out/kernel.log" | awk '/^  (total|stacks|metadata) .* frames /{ printf "%s ", $2 }'
}

gdb_mem() {
	awk '/^node .* frames .* metadata$/{ getline; printf "%s %s %s ", $2, $5, $7 }' "$out/$1.log"
}

same_mem() {
	[ -n "$(kernel_mem)" ] && [ "$(kernel_mem)" = "$(gdb_mem "$1")" ]
}

# The lines of whois in a log.
answers() {
	tr -d '\r' <"$1" | grep -aE '^0x[0-9a-f]+: '
}

same() {
	answers "$out/kernel.log" >"$out/kernel.answers"
	answers "$out/$1.log" >"$out/$1.answers"
	diff "$out/kernel.answers" "$out/$1.answers" >"$out/$1.diff"
}

rm -rf "$out"
mkdir -p "$out"
tools/setup.sh gdb
make -s ARCH="$arch" "DEBUG=$debug" || exit
boot || exit
cat >"$out/live.gdb" <<-END
	target remote $out/gdb
	hbreak command_breakpoint
	continue
	python import re
	python log = open("$out/kernel.log", encoding="utf-8", errors="replace").read()
	python addresses = [m for m in re.findall(r"^(0x[0-9a-f]+): ", log, re.M)]
	python open("$out/dump.gdb", "w").write("slate whois " + " ".join(addresses) + "\nslate mem\nslate check\n")
	source $out/dump.gdb
	slate locks
	monitor dump-guest-memory $PWD/$out/raw
	set var mheaps[0].pages.lock.spin.next += 3
	slate locks
	kill
END
ask live -x "$out/live.gdb" "$elf"
wait

lines=$(answers "$out/kernel.log" | wc -l)
verdict $((lines == count ? 0 : 1)) "the kernel tells about $count addresses"
kinds=$(answers "$out/kernel.log" | sed -E 's/^0x[0-9a-f]+: //; s/0x[0-9a-f]+|[0-9]+//g' | sort -u | wc -l)
verdict $((kinds >= 6 ? 0 : 1)) "they are of $kinds kinds"
same live
verdict $? "gdb on the running machine says the same"
grep -q '^0 contradictions' "$out/live.log"
verdict $? "slate check finds nothing wrong"

grep -q '^0 locks held' "$out/live.log"
verdict $? "no lock is held"
grep -q '^page allocator of node 0: held, 2 wait' "$out/live.log"
verdict $? "one that is held and waited for is named"
same_mem live
verdict $? "slate mem tells the kernel's figures"

tools/slate-core "$out/raw" "$elf" "$out/core" >"$out/slate-core.log" 2>&1
verdict $? "the dump is made readable"
ask dump "$elf" "$out/core" -x "$out/dump.gdb"
same dump
verdict $? "gdb on the dump says the same"
same_mem dump
verdict $? "so does slate mem"
grep -q '^0 contradictions' "$out/dump.log"
verdict $? "slate check finds nothing wrong in the dump"
rm -f "$out/raw" "$out/core"
[ "$failed" -eq 0 ]
