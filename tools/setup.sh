#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Install the Debian packages that a job needs and that are not there. Looks for commands and files, so that a toolchain
# from elsewhere is good enough. Run it, or source it and call set_up.

setup_usage() {
	cat <<-'END'
		usage: tools/setup.sh JOB...

		Jobs: x86_64 aarch64 arm   build the library and the kernel of that architecture
		      llvm                 the same with LLVM=1
		      qemu-x86_64 qemu-aarch64 qemu-arm grub grub-uefi dtb gdb browser pprof
		      host                 host tests
		      shim shim-long       the programs that run on the malloc library, in make test and make test-long
		      peers                the libraries that make bench-peers compares with
		      test                 everything that make test needs
		      check bench bench-linux
		                           everything that make check, make bench, make bench-linux need

		Installs with apt-get, as root or through sudo. Without either it prints the command.
	END
}

setup_missing=()

# need PACKAGE COMMAND-OR-FILE: the package is wanted unless the command or the file is there.
need() {
	case $2 in
	*/*) [ ! -e "$2" ] || return 0 ;;
	*) ! command -v "$2" >/dev/null || return 0 ;;
	esac
	setup_missing+=("$1")
}

need_build_tools() {
	need make make
	need gawk awk
	need python3 python3
}

# TSan's and libFuzzer's libraries belong to clang, but come in a package of their own, named after its version.
need_clang_runtime() {
	local directory version

	need clang clang
	if command -v clang >/dev/null; then
		directory=$(clang -print-resource-dir)
		version=$(clang -dumpversion)
		compgen -G "$directory/lib/linux/libclang_rt.tsan-*.a" >/dev/null ||
			setup_missing+=("libclang-rt-${version%%.*}-dev")
	else
		setup_missing+=(libclang-rt-14-dev)
	fi
}

# Other malloc libraries, and what draws the plots.
need_peers() {
	local package file

	while read -r package file; do
		compgen -G "/usr/lib/*/$file" >/dev/null || setup_missing+=("$package")
	done <<-'END'
		libjemalloc2 libjemalloc.so.2
		libmimalloc2.0 libmimalloc.so.2
		libtcmalloc-minimal4 libtcmalloc_minimal.so.4
		libtbbmalloc2 libtbbmalloc_proxy.so.2
	END
	compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-*.so' >/dev/null ||
		setup_missing+=(libclang-rt-14-dev)
	need gnuplot-nox gnuplot
}

# CPython's own tests come in a package that is named after its version.
need_python_tests() {
	local version=3.11

	[ ! -x /usr/bin/python3 ] ||
		version=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	need "libpython$version-testsuite" "/usr/lib/python$version/test/test_list.py"
}

setup_job() {
	case $1 in
	x86_64) need_build_tools && need gcc "${CROSS_COMPILE:-}gcc" ;;
	aarch64) need_build_tools && need gcc-aarch64-linux-gnu "${CROSS_COMPILE:-aarch64-linux-gnu-}gcc" ;;
	arm) need_build_tools && need gcc-arm-none-eabi "${CROSS_COMPILE:-arm-none-eabi-}gcc" ;;
	llvm)
		need_build_tools
		need clang clang
		need lld ld.lld
		need llvm llvm-objcopy
		;;
	qemu-x86_64) need qemu-system-x86 qemu-system-x86_64 ;;
	qemu-aarch64) need qemu-system-arm qemu-system-aarch64 ;;
	qemu-arm) need qemu-system-arm qemu-system-arm ;;
	grub)
		need grub-common grub-mkrescue
		need grub-pc-bin /usr/lib/grub/i386-pc/multiboot2.mod
		need xorriso xorriso
		;;
	grub-uefi)
		need grub-common grub-mkrescue
		need grub-efi-amd64-bin /usr/lib/grub/x86_64-efi/multiboot2.mod
		need xorriso xorriso
		need mtools mformat
		need ovmf /usr/share/ovmf/OVMF.fd
		;;
	gdb) need gdb-multiarch gdb-multiarch ;;
	browser) need chromium chromium ;;
	pprof) need google-perftools google-pprof ;;
	dtb) need device-tree-compiler dtc ;;
	host)
		need_build_tools
		need gcc gcc
		need libc6-dev /usr/include/stdio.h
		need libcmocka-dev /usr/include/cmocka.h
		need_clang_runtime
		;;
	shim)
		setup_jobs host
		need python3 /usr/bin/python3
		need perl perl
		need sqlite3 sqlite3
		need redis-server redis-server
		need redis-tools redis-benchmark
		;;
	shim-long)
		setup_jobs shim
		need stress-ng stress-ng
		need_python_tests
		;;
	peers) setup_jobs host && need_peers ;;
	test) setup_jobs host shim x86_64 aarch64 arm qemu-x86_64 qemu-aarch64 qemu-arm grub grub-uefi dtb gdb pprof ;;
	check)
		setup_jobs host x86_64 aarch64 arm llvm
		need clang-format clang-format
		need cppcheck cppcheck
		need shellcheck shellcheck
		;;
	bench-linux)
		setup_jobs x86_64 aarch64 qemu-x86_64 qemu-aarch64
		need libc6-dev-arm64-cross /usr/aarch64-linux-gnu/lib/libc.a
		need libelf1 "/usr/lib/$(uname -m)-linux-gnu/libelf.so.1"
		;;
	bench) setup_jobs x86_64 aarch64 arm qemu-x86_64 qemu-aarch64 ;;
	*)
		echo "tools/setup.sh: unknown job $1" >&2
		return 2
		;;
	esac
}

setup_jobs() {
	local job

	for job; do
		setup_job "$job" || return
	done
}

setup_install() {
	local as=()

	if ! command -v apt-get >/dev/null; then
		echo "setup: missing here, in Debian's names: $*" >&2
		return 1
	fi
	if [ "$(id -u)" -ne 0 ]; then
		as=(sudo)
		# Nobody is there to type a password: ask for rights that need none.
		[ -t 0 ] || as=(sudo -n)
		if ! command -v sudo >/dev/null || ! "${as[@]}" true 2>/dev/null; then
			echo "setup: packages are missing. Please run: sudo apt-get install -y --no-install-recommends $*" >&2
			return 1
		fi
	fi
	echo "setup: installing $*" >&2
	{
		"${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
			"${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
	} >&2 </dev/null
}

# set_up JOB...: after it, what the jobs need is there, or the status is not 0.
set_up() {
	local wanted

	setup_missing=()
	setup_jobs "$@" || return
	[ ${#setup_missing[@]} -ne 0 ] || return 0
	mapfile -t wanted < <(printf '%s\n' "${setup_missing[@]}" | sort -u)
	setup_install "${wanted[@]}"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	set -euo pipefail
	if [ $# -eq 0 ] || [ "$1" = -h ] || [ "$1" = --help ]; then
		setup_usage
		exit 0
	fi
	set_up "$@"
fi
