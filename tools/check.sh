#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Everything that can be known without running the code. Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit

if [ "${1:-}" = -h ]; then
	echo "usage: tools/check.sh [STEP...]   run all steps, or those whose name contains one of the words"
	exit 0
fi
wanted=("$@")
passed=0
failed=0
out=build/check
mkdir -p "$out"

# step NAME COMMAND...: one row; what the command says is shown when it fails.
step() {
	local name=$1 word log="$out/log" selected=1
	shift

	for word in ${wanted[@]+"${wanted[@]}"}; do
		selected=0
		case $name in *"$word"*) selected=1 && break ;; esac
	done
	[ "$selected" -eq 1 ] || return 0
	if "$@" >"$log" 2>&1; then
		echo "ok - $name"
		passed=$((passed + 1))
	else
		echo "FAILED - $name"
		sed 's/^/    /' "$log" | head -60
		failed=$((failed + 1))
	fi
}

scripts() {
	grep -rlE '^#!.*\b(bash|sh)$|^# shellcheck shell=' qemu-run.sh tools .ci examples bench
}

formatted() {
	# shellcheck disable=SC2046 # file names without blanks
	clang-format --dry-run -Werror $(make -s print-format-files)
}

shell_scripts() {
	# shellcheck disable=SC2046
	shellcheck -x $(scripts)
}

static_analysis() {
	local arch

	for arch in x86_64 aarch64; do
		cppcheck -q -j2 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 --std=c11 \
			--suppressions-list=tools/cppcheck.txt -I. -Iinclude -D__SIZEOF_POINTER__=8 lib mm boot kernel \
			"arch/$arch" || return
	done
}

# compiler_for FOLDER: architecture headers need their own architecture's compiler.
compiler_for() {
	case $1 in
	arch/aarch64/*) echo aarch64-linux-gnu-gcc ;;
	arch/arm/*) echo arm-none-eabi-gcc -mcpu=cortex-m3 ;;
	*) echo gcc ;;
	esac
}

headers_alone() {
	local header status=0 hosted

	for header in include/slate/*.h lib/*.h mm/*.h boot/*.h kernel/*.h arch/*.h arch/*/*.h test-host/*.h test-host/*/*.h host/*.h; do
		[ -e "$header" ] || continue
		hosted=-ffreestanding
		case $header in test-host/* | host/*) hosted=-D_GNU_SOURCE ;; esac
		# shellcheck disable=SC2046 # compiler and flags
		echo "#include \"$header\"" | $(compiler_for "$header") -std=gnu11 -Wall -Wextra -Wundef -Werror \
			-Wno-unused-const-variable "$hosted" -I. -Iinclude -fsyntax-only -x c - || {
			echo "$header does not compile alone"
			status=1
		}
	done
	return $status
}

# build COMPILER TARGET ARCH MODE: with warnings as errors, into a folder of its own.
build() {
	local llvm=0 debug=0

	[ "$1" != clang ] || llvm=1
	[ "$4" != debug ] || debug=1
	make -s -j2 "$2" "ARCH=$3" "LLVM=$llvm" "DEBUG=$debug" WERROR=1 "BUILD=$out/$1-$3-$4"
}

# library COMPILER ARCH: it builds, and its symbols are those that were promised.
library() {
	build "$1" lib "$2" release && tools/check-symbols "$out/$1-$2-release/libslate.a"
}

# A program with other choices than the library's must not link; one with the same ones has no such complaint.
config_mismatch() {
	local lib=$out/gcc-x86_64-release name flag

	build gcc lib x86_64 release || return
	printf '#include <slate/slate.h>\nint main(void)\n{\n\treturn slate_init(0);\n}\n' >"$out/user.c"
	for name in same other; do
		flag=-DCPUS_AS_THEY_ARE
		[ "$name" = same ] || flag=-DSLATE_MAX_CPUS=7
		gcc -c -ffreestanding -fno-pic -mcmodel=kernel "$flag" -I "$lib/include" -o "$out/$name.o" \
			"$out/user.c" || return
		ld -e main --gc-sections -o "$out/user" "$out/$name.o" "$lib/libslate.a" >"$out/$name.log" 2>&1
	done
	grep slate_config_ "$out/other.log" | grep -q _cpus7_ || {
		echo "another SLATE_MAX_CPUS went unnoticed:"
		cat "$out/other.log"
		return 1
	}
	! grep slate_config_ "$out/same.log"
}

# Code models and LTO that a kernel may ask of the library. Warnings may come here: with LTO, gcc warns of paths through
# functions of other files that nobody takes.
library_flags() {
	local flags

	for flags in "-mcmodel=large" "-mcmodel=small -fPIC" "-flto" "-DSLATE_MAX_CPUS=4 -DSLATE_ARENA_SHIFT=22"; do
		make -s -j2 lib "BUILD=$out/flags" "SLATE_CFLAGS=$flags" &&
			NM=gcc-nm tools/check-symbols "$out/flags/libslate.a" || return
	done
}

no_leftovers() {
	! grep -rnE '\b(TODO|FIXME|XXX)\b' include lib mm boot arch kernel test-host examples Makefile qemu-run.sh
}

step "clang-format" formatted
step "dependencies go downward" tools/check-levels
step "file and function sizes" tools/check-style
step "the checkers find planted faults" eval 'tools/check-levels --selftest && tools/check-style --selftest'
step "generated tables are up to date" tools/mksizeclasses.py --check
step "shellcheck" shell_scripts
step "cppcheck" static_analysis
step "no unfinished corners" no_leftovers
step "headers compile alone" headers_alone
for compiler in gcc clang; do
	for arch in x86_64 aarch64; do
		step "build kernel, $compiler, $arch, release" build $compiler all $arch release
		step "build kernel, $compiler, $arch, debug" build $compiler all $arch debug
		step "build library, symbols, $compiler, $arch" library $compiler $arch
	done
	step "build library, symbols, $compiler, arm" library $compiler arm
done
step "build malloc library" make -s -j2 shim shim-tests SLATE_CFLAGS=-Werror
step "a library of another configuration does not link" config_mismatch
step "library with other code models and LTO" library_flags

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
