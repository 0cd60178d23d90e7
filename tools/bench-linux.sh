#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Time Linux's allocators by the instrument that Slate's are timed by: Debian's kernel package, booted in QEMU under the
# same -icount with a module of our own (bench/linux/). Then both kernels' columns are printed.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
# shellcheck source=tools/setup.sh
. tools/setup.sh

usage() {
	cat <<-'END'
		usage: tools/bench-linux.sh [-n] [ARCH...]
		  ARCH  x86_64, aarch64 (default: both)
		  -n    Linux alone: its rows as they are printed, no Slate

		Downloads Debian's linux-image and linux-headers (some 70 MB each) below build/linux/ with an apt of its own:
		nothing of them is installed here.
	END
}

out=$PWD/build/linux
boot_args="quiet loglevel=4 mitigations=off init_on_alloc=0 printk.time=0 rdinit=/init panic=-1"

die() {
	echo "tools/bench-linux.sh: $*" >&2
	exit 2
}

debian_name() {
	case $1 in
	x86_64) echo amd64 ;;
	aarch64) echo arm64 ;;
	*) die "$1: x86_64 or aarch64" ;;
	esac
}

# An apt that knows one architecture, and keeps all it knows below $1.
apt_root() {
	local root=$1 name=$2

	mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial"
	cat >"$root/apt.conf" <<-END
		Dir::State "$root/state";
		Dir::State::status "/dev/null";
		Dir::Cache "$root/cache";
		APT::Architecture "$name";
		APT::Architectures "$name";
		APT::Sandbox::User "";
	END
	APT_CONFIG=$root/apt.conf apt-get update -qq
}

# Unpack packages into $1/root, once.
fetch() {
	local root=$1 package
	shift

	for package; do
		[ ! -e "$root/$package.done" ] || continue
		(cd "$root" && APT_CONFIG=$root/apt.conf apt-get download -qq "$package")
		dpkg -x "$root/$package"_*.deb "$root/root"
		rm "$root/$package"_*.deb
		touch "$root/$package.done"
	done
}

# The package that an unversioned one of Debian's depends on.
newest() {
	APT_CONFIG=$1/apt.conf apt-cache depends "$2" | awk '$1 == "Depends:" { print $2; exit }'
}

fetch_linux() {
	local arch=$1 root=$out/$1 host=$out/host name image version

	name=$(debian_name "$arch")
	[ -e "$root/version" ] || {
		apt_root "$root" "$name"
		apt_root "$host" "$(dpkg --print-architecture)"
		image=$(newest "$root" "linux-image-$name")
		[ -n "$image" ] || die "no linux-image-$name where this machine's packages come from"
		version=${image#linux-image-}
		fetch "$root" "$image" "linux-headers-$version" "linux-headers-${version%-"$name"}-common"
		# The build's own programs run here.
		fetch "$host" "linux-kbuild-$(cut -d. -f1-2 <<<"$version")"
		mkdir -p "$root/root/usr/lib"
		cp -a "$host/root/usr/lib/." "$root/root/usr/lib/"
		sed -i "s|/usr/src/|$root/root&|" "$root/root/usr/src/linux-headers-$version/Makefile"
		echo "$version" >"$root/version"
	}
}

# The module and the initial process, in an archive that Linux unpacks.
build() {
	local arch=$1 root=$out/$1 version work prefix=

	version=$(<"$root/version")
	work=$root/module
	[ "$arch" = "$(uname -m)" ] || prefix=$arch-linux-gnu-
	mkdir -p "$work/initrd"
	cp bench/linux/slate_bench.c "$work/"
	cp "bench/linux/clock_$arch.h" "$work/clock.h"
	# shellcheck disable=SC2016 # make's
	printf 'obj-m := slate_bench.o\nccflags-y := -I$(src)\n' >"$work/Makefile"
	make -s -C "$root/root/usr/src/linux-headers-$version" M="$work" CC="${prefix}gcc" "CROSS_COMPILE=$prefix" modules \
		>"$root/build.log" 2>&1 || {
		cat "$root/build.log" >&2
		die "the module does not build"
	}
	"${prefix}gcc" -O2 -static -o "$work/init" bench/linux/init.c
	python3 tools/mkcpio.py "$root/initrd.cpio" "init=$work/init" "slate_bench.ko=$work/slate_bench.ko"
}

# Prints the rows.
boot() {
	local arch=$1 root=$out/$1 version machine=()

	version=$(<"$root/version")
	case $arch in
	x86_64) machine=(-M q35 -cpu max -append "console=ttyS0 reboot=t $boot_args") ;;
	aarch64) machine=(-M virt -cpu "cortex-a72,cntfrq=1000000000" -append "console=ttyAMA0 $boot_args") ;;
	esac
	timeout -k 10 600 "qemu-system-$arch" -nodefaults -display none -serial stdio -no-reboot -accel tcg -smp 1 -m 1024M \
		-icount shift=0,sleep=off -kernel "$root/root/boot/vmlinuz-$version" -initrd "$root/initrd.cpio" \
		"${machine[@]}" </dev/null >"$root/boot.log" 2>&1 || true
	grep -aq 'bench end' "$root/boot.log" || {
		tail -n 30 "$root/boot.log" >&2
		die "Linux did not come to the end of its rows ($root/boot.log)"
	}
	tr -d '\r' <"$root/boot.log" | grep -aoE 'bench [a-z_]+ [0-9]+ [a-z_]+ [0-9.]+$' >"$root/rows"
}

main() {
	local arch tool arches=() only_linux=0

	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help) usage && return ;;
		-n) only_linux=1 ;;
		-*) usage >&2 && return 2 ;;
		*) arches+=("$1") ;;
		esac
		shift
	done
	[ ${#arches[@]} -gt 0 ] || arches=(x86_64 aarch64)
	for tool in apt-get dpkg; do
		command -v "$tool" >/dev/null || die "needs Debian's $tool"
	done
	set_up bench-linux
	for arch in "${arches[@]}"; do
		debian_name "$arch" >/dev/null
		fetch_linux "$arch"
		build "$arch"
		boot "$arch"
		echo "Linux $(<"$out/$arch/version"), $(wc -l <"$out/$arch/rows") rows" >&2
		[ "$only_linux" -eq 0 ] || cat "$out/$arch/rows"
	done
	[ "$only_linux" -eq 1 ] || tools/bench.py "--linux=$out"
}

main "$@"
