#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Tests of the scripts themselves: which QEMU command the options give, and what a runner counts.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit
# shellcheck source=tools/rows.sh
. tools/rows.sh

counts=
while getopts hc: option; do
	case $option in
	c) counts=$OPTARG ;;
	*) echo "usage: tools/test-scripts.sh [-c FILE]" && exit 0 ;;
	esac
done
out=build/test-scripts
mkdir -p "$out"

# says PATTERN OPTION...: the QEMU command holds the text; says_not: it does not.
says() {
	local pattern=$1 text
	shift

	text=$(./qemu-run.sh --dry-run "$@") || return
	echo "$text"
	grep -qF -- "$pattern" <<<"$text"
}

says_not() {
	! says "$@"
}

# refuses OPTION...: status 2, and a message.
refuses() {
	local status=0

	./qemu-run.sh --dry-run "$@" 2>"$out/message" || status=$?
	cat "$out/message"
	[ "$status" -eq 2 ] && [ -s "$out/message" ]
}

# heapmap_refuses TEXT...: status 1, and a message that names the log.
heapmap_refuses() {
	local status=0

	heapmap "$@" 2>"$out/message" || status=$?
	cat "$out/message"
	[ "$status" -eq 1 ] && grep -q '^slate-heapmap: -' "$out/message"
}

# heapmap TEXT...: what tools/slate-heapmap makes of a log.
heapmap() {
	printf '%s\n' "$@" | tools/slate-heapmap -o "$out/heapmap.html" - && grep -q '"runs":\[\[' "$out/heapmap.html"
}

row "the default machine" says "qemu-system-x86_64 -nodefaults -display none -no-reboot -accel tcg -smp 4 -serial mon:stdio"
row "512M by default" says " -m 512M "
row "commands reach the command line" says "-append run=\\\"mem\\;\\ selftest\\\"" --run 'mem; selftest'
row "a batch run leaves the terminal alone" says "-serial stdio" --run mem
row "options with = signs" says "-smp 2 " --smp=2
row "aarch64 takes the flat image" says "slate.img" --arch aarch64
row "DEBUG=1 takes the debug build" says "build/x86_64-debug/slate.elf" DEBUG=1
row "eight CPUs have a GICv2" says_not gic-version --arch aarch64 --smp 8
row "nine CPUs have a GICv3" says "-M virt,gic-version=3" --arch aarch64 --smp 9
row "the user's machine replaces ours" says_not "-M q35 " -- -M microvm
row "the user's GIC stays" says "-M virt,gic-version=max " --arch aarch64 --smp 24 -- -M virt,gic-version=max
row "the user's -cpu comes last" says "-kernel build/x86_64-release/slate.elf -cpu qemu64" -- -cpu qemu64
row "more memory than there is" says "memory-backend-ram,id=ram,size=1048576M,reserve=off" --memory 1T
row "the big backend joins the user's machine" says "-M q35,max-ram-below-4g=1G,memory-backend=ram" \
	--memory 1T -- -M q35,max-ram-below-4g=1G
row "1T needs physical bits" says "max,phys-bits=48" --memory 1T
row "nodes split CPUs" says "node,nodeid=1,memdev=node1,cpus=2-3" --numa 2
row "nodes split memory" says "id=node2,size=172M" --numa 3
row "nodes have distances" says "dist,src=0,dst=2,val=30" --numa 3
row "icount has one CPU" says "-smp 1 " --icount
row "icount counts" says "-icount shift=0,sleep=off" --icount
row "icount sets aarch64's counter" says "cntfrq=1000000000" --arch aarch64 --icount
row "the balloon on x86_64 is a microvm's" says "-M microvm -cpu max" --balloon
row "the balloon on aarch64 is virt's" says "virtio-balloon-device,free-page-reporting=on" --arch aarch64 --balloon
row "GRUB boots from an ISO" says "slate.iso" --boot grub
row "UEFI brings its firmware" says "OVMF.fd" --boot grub-uefi
row "gdb waits" says "-s -S" --gdb
row "help ends well" ./qemu-run.sh --help
row "an unknown option" refuses --frobnicate
row "an unknown architecture" refuses --arch vax
row "no CPUs" refuses --smp 0
row "letters for a number" refuses --smp four
row "GRUB on aarch64" refuses --arch aarch64 --boot grub
row "quotes in --run" refuses --run 'echo "a"'
row "a missing initrd" refuses --initrd no-such-file
row "letters for a profile's rate" refuses --profile often
row "a bad memory size" refuses --memory lots
row "KVM with icount" refuses --accel kvm --icount

# fake NAME STATUS LINE...: a program that prints cmocka's lines and ends with the status.
fake() {
	local program=$out/$1 status=$2
	shift 2

	printf '%s\n' "$@" >"$program.txt"
	printf '#!/bin/sh\ncat "%s.txt"\nexit %d\n' "$program" "$status" >"$program"
	chmod +x "$program"
}

# counts EXPECTED PROGRAM...: what test-host.sh sums up.
sums() {
	local expected=$1
	shift

	tools/test-host.sh -c "$out/counts" "${@/#/$out/}"
	cat "$out/counts"
	[ "$(cat "$out/counts")" = "$expected" ]
}

good=('[ RUN      ] a' '[       OK ] a' '[ RUN      ] b' '[       OK ] b' '[  PASSED  ] 2 test(s).')
fake all-good 0 "${good[@]}"
fake one-bad 1 '[ RUN      ] a' '[       OK ] a' '[ RUN      ] b' '[  FAILED  ] b' '[  FAILED  ] 1 test(s), listed below:' '[  FAILED  ] b'
fake crash 139 '[ RUN      ] a' '[       OK ] a' '[ RUN      ] b'
fake leak 23 "${good[@]}"
fake empty 0 ''
fake skipped 0 '[ RUN      ] a' '[  SKIPPED ] a' '[  SKIPPED ] 1 test(s), listed below:' '[  SKIPPED ] a'
row "cases are counted" sums "2 0" all-good
row "a failed case is counted once" sums "1 1" one-bad
row "a crash is a failed case" sums "1 1" crash
row "a leak at the end is a failure" sums "2 1" leak
row "a program without cases is a failure" sums "0 1" empty
row "a skipped case is neither" sums "0 0" skipped
row "programs are summed up" sums "4 2" all-good one-bad crash

begin='heapmap begin page 4096 counter 7'
row "a heap map becomes a page" heapmap 'boot' "$begin" 'class 26 104 118' 'at 50000 o26.3.32 .71*2 s5' 'heapmap end runs 4' 'end'
row "a heap map without its end is refused" heapmap_refuses "$begin" 'at 50000 .71'
row "a heap map that lost a run is refused" heapmap_refuses "$begin" 'at 50000 .71' 'heapmap end runs 2'
row "a span of an unknown class is refused" heapmap_refuses "$begin" 'at 50000 o26.3.32' 'heapmap end runs 1'
row "a log without a heap map is refused" heapmap_refuses 'All commands passed.'

if [ -n "$counts" ]; then
	echo "$passed $failed" >"$counts"
else
	echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
