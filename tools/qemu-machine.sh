# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2154 # the options are qemu-run.sh's variables
# shellcheck disable=SC2054 # commas belong to QEMU's option values
#
# The QEMU command for the options of qemu-run.sh, which sources this file: machine_command fills the array command.

# SIZE (a number with M, G or T; QEMU's default unit is M) in MiB.
size_to_mib() {
	local number=${1%[MmGgTt]}

	check_number --memory "$number"
	case $1 in
	*[Gg]) echo $((number << 10)) ;;
	*[Tt]) echo $((number << 20)) ;;
	*) echo "$number" ;;
	esac
}

host_mib() {
	awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo
}

# Value of the last -M or -machine among the raw arguments, which go to rest without it. -cpu and -kernel stay there: given
# twice, QEMU takes the last.
split_raw() {
	raw_machine=
	rest=()
	while [ $# -gt 0 ]; do
		case $1 in
		-M | -machine | --machine)
			[ $# -gt 1 ] || die "$1: its value is missing"
			raw_machine=${2#type=}
			shift 2
			;;
		*)
			rest+=("$1")
			shift
			;;
		esac
	done
}

# add_property NAME=VALUE: to the machine, unless the user chose that property.
add_property() {
	case ,$machine in
	*",${1%%=*}="*) ;;
	*) machine+=,$1 ;;
	esac
}

# Node i gets its part of the memory and CPUs; neighbours are nearer than others.
add_numa_nodes() {
	local i j first last cpus mib part=$((mib_total / numa / 2 * 2))

	[ "$part" -ge 2 ] || die "--numa $numa: too many nodes for $memory"
	for ((i = 0; i < numa; i++)); do
		mib=$part
		[ "$i" -lt $((numa - 1)) ] || mib=$((mib_total - part * (numa - 1)))
		first=$((smp * i / numa))
		last=$((smp * (i + 1) / numa - 1))
		cpus=
		[ "$first" -gt "$last" ] || cpus=,cpus=$first-$last
		command+=(-object "memory-backend-ram,id=node$i,size=${mib}M,reserve=off"
			-numa "node,nodeid=$i,memdev=node$i$cpus")
	done
	for ((i = 0; i < numa; i++)); do
		for ((j = 0; j < numa; j++)); do
			[ "$i" -eq "$j" ] ||
				command+=(-numa "dist,src=$i,dst=$j,val=$((10 + 10 * (i < j ? j - i : i - j)))")
		done
	done
}

add_memory() {
	command+=(-m "${mib_total}M")
	if [ "$numa" -gt 0 ]; then
		add_numa_nodes
	elif [ "$mib_total" -gt $(($(host_mib) * 3 / 4)) ]; then
		# More than there is: pages come when the kernel touches them.
		command+=(-object "memory-backend-ram,id=ram,size=${mib_total}M,reserve=off")
		add_property memory-backend=ram
	fi
}

x86_64_machine() {
	[ -n "$machine" ] || machine=$([ "$balloon" -eq 1 ] && echo microvm || echo q35)
	cpu=max
	# TCG's 40 bits end below 1 TiB of RAM, for some of the addresses are no RAM.
	[ "$mib_total" -lt $((256 << 10)) ] || cpu=max,phys-bits=48
	command+=(-device isa-debug-exit,iobase=0xf4,iosize=4)
}

aarch64_machine() {
	[ -n "$machine" ] || machine=virt
	# GICv2 takes 8 CPUs.
	[ "$smp" -le 8 ] || add_property gic-version=3
	cpu=cortex-a72
	# A counter of 1 GHz steps once an instruction.
	[ "$icount" -eq 0 ] || cpu=cortex-a72,cntfrq=1000000000
	command+=(-semihosting)
}

add_kernel() {
	case $boot in
	direct)
		command+=(-kernel "$kernel")
		[ -z "$command_line" ] || command+=(-append "$command_line")
		[ -z "$initrd" ] || command+=(-initrd "$initrd")
		[ -z "$dtb" ] || command+=(-dtb "$dtb")
		;;
	grub) command+=(-cdrom "$scratch/slate.iso") ;;
	grub-uefi) command+=(-bios /usr/share/ovmf/OVMF.fd -cdrom "$scratch/slate.iso") ;;
	esac
}

# More than twice as many CPUs as this host has: they spin for one another while the host lets others run, and timers
# fire faster than their handlers end. One host thread for all of them, and a clock that counts their instructions
# (4 ns each), is ten times as fast, and repeats exactly. A terminal needs the host's clock.
is_crowded() {
	[ "$accel" = tcg ] && [ "$has_run" -eq 1 ] && [ "$smp" -gt $(($(nproc) * 2)) ] || return
	case " ${raw[*]-} " in *" -icount "* | *" -accel "*) return 1 ;; esac
}

machine_command() {
	local mib_total machine raw_machine rest cpu

	mib_total=$(size_to_mib "$memory")
	split_raw ${raw[@]+"${raw[@]}"}
	machine=$raw_machine
	command=("qemu-system-$arch" -nodefaults -display none -no-reboot -accel "$accel" -smp "$smp")
	if [ "$has_run" -eq 1 ]; then
		command+=(-serial stdio)
	else
		command+=(-serial mon:stdio)
	fi
	"${arch}_machine"
	add_memory
	[ "$accel" = tcg ] || cpu=host
	command+=(-M "$machine" -cpu "$cpu")
	if [ "$icount" -eq 1 ]; then
		command+=(-icount shift=0,sleep=off)
	elif is_crowded; then
		command+=(-icount shift=2,sleep=off)
	fi
	[ "$balloon" -eq 0 ] || command+=(-global virtio-mmio.force-legacy=false
		-device virtio-balloon-device,free-page-reporting=on)
	[ "$gdb" -eq 0 ] || command+=(-s -S)
	add_kernel
	command+=(${rest[@]+"${rest[@]}"})
}

# On one line, quoted where a shell needs it.
print_command() {
	local word line=

	for word in "${command[@]}"; do
		case $word in
		*[!A-Za-z0-9_./:=,+-]*) line+=" $(printf '%q' "$word")" ;;
		*) line+=" $word" ;;
		esac
	done
	echo "${line# }"
}
