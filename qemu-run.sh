#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Build the demo kernel and boot it under QEMU: with its shell on this terminal, or with --run as a batch job whose
# status says whether every command passed.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")"
# shellcheck source=tools/setup.sh
. tools/setup.sh
# shellcheck source=tools/qemu-machine.sh
. tools/qemu-machine.sh

usage() {
	cat <<-'END'
		usage: ./qemu-run.sh [OPTION...] [-- QEMU-ARGUMENT...]

		  --arch ARCH       x86_64 (default) or aarch64
		  --smp N           CPUs (default 4; 1 with --icount); with --run and more than twice what this machine has:
		                    on one thread, by a clock that counts instructions
		  --memory SIZE     512M (default), 3G ... 1T; more than this machine has is fine
		  --numa N          split memory and CPUs over N nodes
		  --balloon         add a virtio-balloon with free page reporting; when "selftest scavenge" runs, say what
		                    QEMU held at its peak and after, "rss BEFORE AFTER MiB": fails if too little left
		  --boot HOW        direct (default), grub (BIOS) or grub-uefi; the last two on x86_64
		  --accel ACCEL     tcg (default) or kvm
		  --icount          one virtual nanosecond an instruction: counts repeat exactly
		  --run 'CMD; CMD'  run shell commands, power off; status 0 only if all passed
		  --timeout S       kill QEMU after S seconds (default with --run: 300)
		  --initrd FILE     hand FILE over as the initrd (by GRUB: as a module)
		  --dtb FILE        device tree in place of QEMU's own (aarch64)
		  --profile BYTES   sample the heap profile every so many bytes (0: never, 1: each object)
		  --gdb             wait for gdb on port 1234
		  --dry-run         print the QEMU command and stop
		  -h, --help        this text

		Without --run the kernel's shell talks on this terminal; `poweroff` or Ctrl-A x ends it.
		DEBUG=1 in the environment boots the debug build, PROTECT=irqoff the one whose allocator
		masks interrupts, TRACK=1 one that counts call sites, TRACE=1 one that can record; LLVM=1 and CROSS_COMPILE= go to make.
		A -M, -cpu or -kernel after -- replaces the one chosen here.
	END
}

die() {
	echo "qemu-run.sh: $*" >&2
	exit 2
}

arch=x86_64
smp=
memory=512M
numa=0
balloon=0
boot=direct
accel=tcg
icount=0
run=
has_run=0
profile=
timeout=
initrd=
dtb=
gdb=0
dry_run=0
raw=()
scratch=build/qemu-run.$$ # for an ISO, removed at the end

parse_options() {
	local option value

	while [ $# -gt 0 ]; do
		option=$1
		shift
		case $option in
		-h | --help) usage && exit 0 ;;
		--balloon) balloon=1 && continue ;;
		--icount) icount=1 && continue ;;
		--gdb) gdb=1 && continue ;;
		--dry-run) dry_run=1 && continue ;;
		--) raw=("$@") && break ;;
		DEBUG=[01] | TRACK=[01] | TRACE=[01] | LLVM=[01] | PROTECT=rseq | PROTECT=irqoff) export "${option?}" && continue ;;
		--*=*)
			value=${option#*=}
			option=${option%%=*}
			;;
		--*)
			[ $# -gt 0 ] || die "$option: no such option, or its value is missing (see -h)"
			value=$1
			shift
			;;
		*) die "$option: no such option (see -h)" ;;
		esac
		case $option in
		--arch) arch=$value ;;
		--smp) smp=$value ;;
		--memory) memory=$value ;;
		--numa) numa=$value ;;
		--boot) boot=$value ;;
		--accel) accel=$value ;;
		--run) run=$value has_run=1 ;;
		--timeout) timeout=$value ;;
		--initrd) initrd=$(readlink -f "$value") ;;
		--dtb) dtb=$(readlink -f "$value") ;;
		--profile) profile=$value ;;
		*) die "$option: no such option (see -h)" ;;
		esac
	done
}

check_number() {
	case $2 in
	'' | *[!0-9]* | 0*) die "$1 $2: not a positive number" ;;
	esac
}

check_options() {
	case $arch in x86_64 | aarch64) ;; *) die "--arch $arch: x86_64 or aarch64" ;; esac
	case $boot in direct | grub | grub-uefi) ;; *) die "--boot $boot: direct, grub or grub-uefi" ;; esac
	case $accel in tcg | kvm) ;; *) die "--accel $accel: tcg or kvm" ;; esac
	: "${smp:=$([ "$icount" -eq 1 ] && echo 1 || echo 4)}"
	check_number --smp "$smp"
	[ "$numa" = 0 ] || check_number --numa "$numa"
	[ -z "$timeout" ] || check_number --timeout "$timeout"
	[ "$arch" = x86_64 ] || [ "$boot" = direct ] || die "--boot $boot: x86_64 only"
	[ "$arch" = aarch64 ] || [ -z "$dtb" ] || die "--dtb: aarch64 only"
	[ "$balloon" -eq 0 ] || [ "$boot" = direct ] || die "--balloon: needs --boot direct"
	case $profile in *[!0-9]*) die "--profile $profile: not a number" ;; esac
	[ -z "$initrd" ] || [ -f "$initrd" ] || die "--initrd: there is no such file"
	[ -z "$dtb" ] || [ -f "$dtb" ] || die "--dtb: there is no such file"
	# These characters end or escape the quotes around the commands on the kernel's command line.
	case $run in *[\"\'\\]*) die "--run: no quotes and no backslashes" ;; esac
	if [ "$accel" = kvm ]; then
		[ "$icount" -eq 0 ] || die "--icount: needs --accel tcg"
		[ "$arch" = "$(uname -m)" ] || die "--accel kvm: this machine is no $arch"
		[ -w /dev/kvm ] || die "--accel kvm: /dev/kvm is not there, or not ours"
		# /dev/kvm alone proves nothing: software-emulated KVM is thousands of times slower than TCG.
		[ "$arch" != x86_64 ] || grep -qwE 'vmx|svm' /proc/cpuinfo ||
			die "--accel kvm: this CPU has no virtualisation, TCG is faster"
	fi
}

install_packages() {
	local jobs=("$arch" "qemu-$arch")

	[ "${LLVM:-0}" = 0 ] || jobs+=(llvm)
	[ "$boot" = direct ] || jobs+=(grub)
	[ "$boot" != grub-uefi ] || jobs+=(grub-uefi)
	set_up "${jobs[@]}"
}

# One make at a time: test runs start several of these scripts.
build_kernel() {
	mkdir -p build
	flock build/.lock make -s -j2 all "ARCH=$arch" "DEBUG=${DEBUG:-0}" "LLVM=${LLVM:-0}" \
		"PROTECT=${PROTECT:-rseq}" "TRACK=${TRACK:-0}" "TRACE=${TRACE:-0}" >&2
}

# GRUB quotes a word with blanks again and escapes its quotes; the kernel undoes that (kernel/shell.c).
make_iso() {
	local word=

	[ -z "$1" ] || word="'$1'"
	mkdir -p "$scratch/iso/boot/grub"
	cp "$kernel" "$scratch/iso/boot/slate.elf"
	{
		echo "set timeout=0"
		echo "serial --unit=0 --speed=115200"
		echo "menuentry Slate {"
		echo "	multiboot2 /boot/slate.elf $word"
		if [ -n "$initrd" ]; then
			cp "$initrd" "$scratch/iso/boot/initrd"
			echo "	module2 /boot/initrd initrd"
		fi
		echo "}"
	} >"$scratch/iso/boot/grub/grub.cfg"
	grub-mkrescue -o "$scratch/slate.iso" "$scratch/iso" >"$scratch/mkrescue.log" 2>&1 || {
		cat "$scratch/mkrescue.log" >&2
		die "grub-mkrescue failed"
	}
}

# What the process of that file holds, in KiB.
resident() {
	awk '/^VmRSS:/ { print $2 }' "/proc/$(<"$1")/status"
}

# Copy QEMU's output; look at it from outside where the kernel says "# rss peak" and "# rss after N MiB were freed", and
# waits. At least nine tenths of what was freed must have left.
watch_resident() {
	local line before='' after='' freed=0 failed=0

	while IFS= read -r line || [ -n "$line" ]; do
		printf '%s\n' "$line"
		case $line in
		"# rss peak"*) before=$(resident "$scratch/pid") ;;
		"# rss after "*)
			after=$(resident "$scratch/pid")
			freed=${line#"# rss after "}
			freed=${freed%% *}
			;;
		esac
	done
	[ -n "$before" ] || return 0
	[ -n "$after" ] || after=$before failed=1
	echo "rss $((before >> 10)) $((after >> 10)) MiB"
	[ "$(((before - after) * 10))" -ge $(((freed << 10) * 9)) ] && [ "$failed" -eq 0 ] && return
	echo "qemu-run.sh: of $freed MiB that were freed, $(((before - after) >> 10)) left QEMU" >&2
	return 1
}

# The command in a shell that becomes it, so that its process is known.
run_watched() {
	local statuses

	mkdir -p "$scratch"
	# shellcheck disable=SC2016 # the inner shell's
	"${limit[@]}" bash -c 'echo $$ >"$0"; exec "$@"' "$scratch/pid" "${command[@]}" </dev/null | watch_resident ||
		statuses=("${PIPESTATUS[@]}")
	status=${statuses[0]:-0}
	rss_status=${statuses[1]:-0}
}

# QEMU's status to ours: the kernel's own success is 33 on x86_64 (isa-debug-exit never gives 0) and 0 on aarch64.
translate_status() {
	local status=$1

	if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		echo "qemu-run.sh: no end after $timeout seconds" >&2
		return 124
	fi
	[ "$arch" = x86_64 ] || return "$status"
	[ "$status" -ne 33 ] || return 0
	# A reset or a triple fault ends QEMU with 0 as well: no success unless somebody just closed the window.
	[ "$status" -ne 0 ] || return "$has_run"
	# The kernel's n comes as 2n + 1; 1 is QEMU's own.
	[ $((status % 2)) -eq 0 ] || [ "$status" -eq 1 ] || status=$((status / 2))
	return "$status"
}

main() {
	local command_line='' kernel='' status=0 rss_status=0 command=() limit=()

	parse_options "$@"
	check_options
	[ "$has_run" -eq 0 ] || : "${timeout:=300}"
	[ -z "$profile" ] || command_line="profile=$profile"
	[ "$has_run" -eq 0 ] || command_line+="${profile:+ }run=\"$run\""
	kernel=build/$arch-$([ "${DEBUG:-0}" = 1 ] && echo debug || echo release)
	[ "${PROTECT:-rseq}" != irqoff ] || kernel+=-irqoff
	[ "${TRACK:-0}" != 1 ] || kernel+=-track
	[ "${TRACE:-0}" != 1 ] || kernel+=-trace
	kernel+=/slate
	[ "$arch" = x86_64 ] && kernel+=.elf || kernel+=.img

	machine_command
	if [ "$dry_run" -eq 1 ]; then
		print_command
		return 0
	fi

	install_packages
	build_kernel
	trap 'rm -rf "$scratch"' EXIT
	[ "$boot" = direct ] || make_iso "$command_line"
	[ "$gdb" -eq 0 ] || echo "qemu-run.sh: gdb $kernel -ex 'target remote :1234'" >&2
	[ -z "$timeout" ] || limit=(timeout --foreground -k 10 "$timeout")
	if [ "$has_run" -eq 1 ] && [ "$balloon" -eq 1 ]; then
		run_watched
	elif [ "$has_run" -eq 1 ]; then
		"${limit[@]}" "${command[@]}" </dev/null || status=$?
	else
		"${limit[@]}" "${command[@]}" || status=$?
	fi
	translate_status "$status" || return
	return "$rss_status"
}

main "$@"
