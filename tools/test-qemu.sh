#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Boot the demo kernel and the examples on every machine of the table below, two at a time, and sum up the TAP lines that
# they print. A boot that ends badly without a "not ok" line is one failure of its own.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit

usage() {
	cat <<-'END'
		usage: tools/test-qemu.sh [-c FILE] [-l] [-L] [-s SECONDS] [WORD...]
		  WORD  only boots whose name contains one of the words
		  -l    list the boots
		  -L    the long list, longer stress
		  -s    seconds of stress a boot (default 2)
		  -c    no total line: "PASSED FAILED" goes to FILE instead (make test adds them up)
	END
}

counts=
list=0
long=0
seconds=2
while getopts hc:lLs: option; do
	case $option in
	c) counts=$OPTARG ;;
	l) list=1 ;;
	L) long=1 seconds=20 ;;
	s) seconds=$OPTARG ;;
	h) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
done
shift $((OPTIND - 1))

full=$((seconds < 5 ? 5 : seconds))
out=build/test-qemu
jobs=2
host_gib=$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
# Two boots may want 9 GiB together.
[ "$host_gib" -ge 10 ] || jobs=1
names=()
commands=()

# boot NAME COMMAND...: a row of the table. run: qemu-run.sh with the usual commands.
boot() {
	names+=("$1")
	shift
	commands+=("$(printf '%q ' "$@")")
}

run() {
	local name=$1 arch=$2
	shift 2
	boot "$name" ./qemu-run.sh --arch "$arch" --timeout 400 --run "mem; selftest; stress $seconds; leaks 0" "$@"
}

# The self test fills all memory. Where this machine has less, the big one boots, but without that.
big() {
	local name=$1 arch=$2
	shift 2

	if [ "$host_gib" -ge 7 ]; then
		run "$name" "$arch" "$@"
	else
		boot "$name" ./qemu-run.sh --arch "$arch" --timeout 400 --run "mem; selftest object; stress $seconds; leaks 0" "$@"
	fi
}

# must_fail COMMAND...: passes when the command ends with a failure of its own, not by a time-out.
must_fail() {
	local status=0

	"$@" || status=$?
	[ "$status" -ne 0 ] && [ "$status" -ne 2 ] && [ "$status" -ne 124 ]
}

# must_end STATUS PATTERN COMMAND...: passes when the command ends with that status, and prints a line that matches.
must_end() {
	local wanted=$1 pattern=$2 log status=0
	shift 2

	log=$("$@" 2>&1) || status=$?
	echo "$log"
	if [ "$status" -ne "$wanted" ] || ! grep -qE "$pattern" <<<"$log"; then
		echo "not ok 0 - ends with status $wanted (not $status) and a line that matches $pattern"
		return 1
	fi
}

# must_say PATTERN COMMAND...: passes when the command does, and prints a line that matches.
must_say() {
	local pattern=$1 log
	shift

	log=$("$@" 2>&1) || {
		echo "$log"
		return 1
	}
	echo "$log"
	grep -qE "$pattern" <<<"$log" || {
		echo "not ok 0 - prints a line that matches $pattern"
		return 1
	}
}

table() {
	local arch

	# The slow ones first: they overlap with the others.
	run x86_64-grub-uefi x86_64 --boot grub-uefi
	run x86_64-grub-bios x86_64 --boot grub
	for arch in x86_64 aarch64; do
		run $arch-1-cpu $arch --smp 1
		# from 5 seconds on stress wants to have met every kind of operation
		boot $arch-4-cpus ./qemu-run.sh --arch $arch --smp 4 --timeout 400 --run "mem; selftest; stress $full; leaks 0"
		boot $arch-24-cpus-stress ./qemu-run.sh --arch $arch --smp 24 --memory 1G --timeout 400 --run "stress $full; leaks 0"
		# on one thread, or CPUs that spin starve the others beside another boot
		run $arch-4-cpus-debug $arch --smp 4 DEBUG=1 -- -accel tcg,thread=single
		run $arch-64M $arch --smp 2 --memory 64M
		run $arch-3G $arch --smp 2 --memory 3G
		big $arch-6G $arch --smp 2 --memory 6G
		run $arch-numa-2 $arch --smp 4 --memory 1G --numa 2 -- -accel tcg,thread=single
		run $arch-initrd $arch --smp 2 --initrd "$out/initrd"
		boot $arch-initrd-seen must_say '[Ii]nitrd|[Mm]odule' \
			./qemu-run.sh --arch $arch --smp 1 --timeout 60 --initrd "$out/initrd" --run mem
		boot $arch-overflow must_end 4 \
			'STACK OVERFLOW: .* guard page of the 8 KiB stack .* of overflow task 1$' \
			./qemu-run.sh --arch $arch --smp 2 --timeout 60 --run 'overflow 1'
		boot $arch-balloon must_say '^rss [0-9]+ [0-9]+ MiB$' \
			./qemu-run.sh --arch $arch --smp 2 --balloon --timeout 100 --run 'selftest scavenge'
		run $arch-irqoff $arch --smp 2 PROTECT=irqoff
		boot $arch-irq-sweep must_say '^control: corruption found$' \
			./qemu-run.sh --arch $arch --icount --timeout 200 --run 'selftest irq-sweep'
		boot $arch-no-such-test must_fail ./qemu-run.sh --arch $arch --smp 1 --timeout 60 --run 'selftest no-such-test'
		boot $arch-no-such-command must_fail ./qemu-run.sh --arch $arch --smp 1 --timeout 60 --run 'echo a; no-such-command; echo b'
	done
	run x86_64-low-hole x86_64 --smp 2 --memory 1G -- -M q35,max-ram-below-4g=256M
	run x86_64-microvm x86_64 --smp 2 --balloon
	boot x86_64-grub-module must_say '[Ii]nitrd|[Mm]odule' \
		./qemu-run.sh --boot grub --smp 2 --timeout 120 --initrd "$out/initrd" --run 'mem; selftest'
	run aarch64-gicv3-8-cpus aarch64 --smp 8 -- -M virt,gic-version=3 -cpu max
	run aarch64-el2 aarch64 --smp 2 -- -M virt,virtualization=on
	run aarch64-elf aarch64 --smp 2 -- -kernel build/aarch64-release/slate.elf
	run aarch64-reserved-dtb aarch64 --smp 2 --dtb "$out/reserved.dtb" --initrd "$out/initrd"
	for arch in x86_64 aarch64 arm; do
		boot minimal-$arch timeout -k 10 60 make -s -C examples/minimal run ARCH=$arch
	done
	for arch in x86_64 aarch64; do
		boot $arch-typed timeout -k 10 200 tools/test-typed.py $arch
		boot $arch-gdb timeout -k 10 200 tools/test-gdb.sh $arch
		boot $arch-owners must_say '^owner bytes [0-9]+ allocs [0-9]+ failed [0-9]+ kernel/stress' \
			./qemu-run.sh --arch $arch --smp 2 --timeout 100 TRACK=1 TRACE=1 --run 'selftest owners; selftest trace; stress 1; leaks 0; owners'
		boot $arch-profile timeout -k 10 200 tools/test-profile.sh $arch
		boot $arch-replay timeout -k 10 200 tools/test-replay.sh $arch
	done
	[ "$long" -eq 0 ] || long_table
}

long_table() {
	local arch

	boot heapmap-in-a-browser tools/test-heapmap.sh
	for arch in x86_64 aarch64; do
		run $arch-24-cpus $arch --smp 24 --memory 2G
		boot $arch-24-cpus-seeds ./qemu-run.sh --arch $arch --smp 24 --memory 1G --timeout 400 \
			--run 'stress 10 2; stress 10 3; stress 10 4; stress 10 5; stress 10 6; stress 10 7; leaks 0'
		run $arch-24-cpus-debug $arch --smp 24 --memory 2G DEBUG=1
		run $arch-numa-4 $arch --smp 8 --memory 2G --numa 4
		boot $arch-1T ./qemu-run.sh --arch $arch --smp 2 --memory 1T --timeout 200 --run 'mem; stats'
	done
}

# What the table's boots need: the kernels, an initrd, a device tree with reservations of every kind.
prepare() {
	local arch debug

	for arch in x86_64 aarch64; do
		for debug in 0 1; do
			make -s -j$jobs all "ARCH=$arch" "DEBUG=$debug" || return
		done
	done
	head -c 3000001 /dev/urandom >"$out/initrd"
	reserved_dtb
}

reserved_dtb() {
	qemu-system-aarch64 -M "virt,dumpdtb=$out/virt.dtb" -cpu cortex-a72 -smp 2 -m 512M -display none >/dev/null 2>&1
	dtc -q -I dtb -O dts -o "$out/virt.dts" "$out/virt.dtb" || return
	{
		sed 's|^/dts-v1/;|&\n/memreserve/ 0x48000000 0x123000;|' "$out/virt.dts"
		cat <<-'END'
			/ {
				reserved-memory {
					#address-cells = <2>;
					#size-cells = <2>;
					ranges;
					fixed@50000000 { reg = <0 0x50000000 0 0x200000>; };
					hidden@51000800 { reg = <0 0x51000800 0 0x1000>; no-map; };
					pool { size = <0 0x400000>; alignment = <0 0x200000>; };
				};
			};
		END
	} >"$out/reserved.dts"
	dtc -q -I dts -O dtb -o "$out/reserved.dtb" "$out/reserved.dts"
}

selected() {
	local word

	[ ${#words[@]} -ne 0 ] || return 0
	for word in "${words[@]}"; do
		case $1 in *"$word"*) return 0 ;; esac
	done
	return 1
}

run_row() {
	local name=$1 status=0 begin=$SECONDS

	eval "$2" >"$out/$name.log" 2>&1 </dev/null || status=$?
	echo "$status $((SECONDS - begin))" >"$out/$name.status"
	sum_up "$name"
}

# One line a boot, and the log of a bad one.
sum_up() {
	local name=$1 log=$out/$1.log status took ok bad

	read -r status took <"$out/$name.status"
	# a skipped case is neither passed nor failed
	ok=$(grep -aE '^ok [0-9]' "$log" | grep -avc '# SKIP')
	bad=$(grep -ac '^not ok ' "$log")
	# The boot is a case, too.
	if [ "$status" -eq 0 ] && [ "$bad" -eq 0 ]; then
		ok=$((ok + 1))
	elif [ "$bad" -eq 0 ]; then
		bad=1
	fi
	echo "$ok $bad" >"$out/$name.count"
	if [ "$bad" -eq 0 ]; then
		printf '%-26s %4d ok  %4d s\n' "$name" "$ok" "$took"
	else
		printf '%-26s %4d ok  %4d s, %d FAILED (status %d, %s):\n%s\n' "$name" "$ok" "$took" "$bad" "$status" "$log" \
			"$(grep -aE -B 2 -A 4 '^not ok ' "$log" | head -n 40)
$(tail -n 25 "$log")"
	fi
}

# report PASSED FAILED
report() {
	if [ -n "$counts" ]; then
		echo "$1 $2" >"$counts"
	else
		echo "$1 passed, $2 failed"
	fi
}

words=("$@")
mkdir -p "$out"
rm -f "$out"/*.count
table
if [ "$list" -eq 1 ]; then
	for i in "${!names[@]}"; do
		selected "${names[i]}" && printf '%-26s %s\n' "${names[i]}" "${commands[i]}"
	done
	exit 0
fi
prepare || {
	echo "tools/test-qemu.sh: the kernels do not build" >&2
	report 0 1
	exit 1
}
trap 'jobs -p | xargs -r kill 2>/dev/null' EXIT
for i in "${!names[@]}"; do
	selected "${names[i]}" || continue
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
		wait -n
	done
	run_row "${names[i]}" "${commands[i]}" &
done
wait
read -r passed failed < <(cat "$out"/*.count 2>/dev/null | awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }')
if [ $((passed + failed)) -eq 0 ]; then
	echo "tools/test-qemu.sh: no such boot" >&2
	failed=1
fi
report "$passed" "$failed"
[ "$failed" -eq 0 ]
