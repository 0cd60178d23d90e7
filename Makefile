# SPDX-License-Identifier: MIT
#
# Slate: the library, the demo kernel, the tests. Everything is built below build/<arch>-<mode>/.
# `make help` lists targets and variables.

SILENT    := $(findstring s,$(filter-out --%,$(firstword $(MAKEFLAGS))))
MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

ARCH  ?= x86_64
DEBUG ?= 0
PROTECT ?= rseq
TRACK ?= 0
TRACE ?= 0
MODE  := $(if $(filter 1,$(DEBUG)),debug,release)$(if $(filter irqoff,$(PROTECT)),-irqoff)$(if $(filter 1,$(TRACK)),-track)$(if $(filter 1,$(TRACE)),-trace)
BUILD ?= build/$(ARCH)-$(MODE)
V     ?= 0
Q     := $(if $(filter 1,$(V)),,@)
# say NAME FILE: a line a step, unless make is silent (-s: results only) or shows the commands themselves
say   := $(if $(SILENT)$(filter 1,$(V)),:,printf '  %-8s%s\n')

ifeq ($(wildcard arch/$(ARCH)/),)
$(error ARCH=$(ARCH): there is no arch/$(ARCH))
endif

# Flags of the architecture: ARCH_CFLAGS, ARCH_LDFLAGS, LLVM_TARGET, and a default for CROSS_COMPILE.
-include arch/$(ARCH)/arch.mk

include tools/toolchain.mk
include tools/build.mk
include tools/lib.mk
include tools/host.mk
include tools/shim.mk
include tools/bench-host.mk
include tools/test.mk

.PHONY: all clean help format
all: $(KERNEL)

clean:
	$(Q)rm -rf build

format:
	$(Q)clang-format -i $(FORMAT_FILES)

help:
	$(Q)sed -n 's/^#help \{0,1\}//p' $(MAKEFILE_LIST)

#help make [TARGET] [VARIABLE=VALUE...]
#help
#help Targets
#help   all         the demo kernel of ARCH: build/<arch>-<mode>/slate.elf (aarch64: slate.img, too)
#help   lib         build/<arch>-<mode>/libslate.a and its headers; prints the text size
#help   test-host   host tests (T=NAME: one file; OPS=, SEED=: property tests; HOST_DEBUG=0: release)
#help   test-qemu   boots under QEMU (T=WORD: those whose name contains it)
#help   test        both, host tests in debug and release
#help   test-long   the same with long runs
#help   fuzz        T=NAME SECONDS=60: libFuzzer on test-host/fuzz_NAME.c
#help   bench       instruction counts on both architectures beside Linux's, and the library's size
#help   bench-linux the same with Linux's column from Debian's kernel, booted just now (downloads it)
#help   shim        build/host-release/libslate-malloc.so: the allocator as malloc, for LD_PRELOAD
#help   bench-host  nanoseconds on this host, beside yardsticks (T=pages: one of bench/bench_*.c)
#help   replay      what tools/slate-replay runs a kernel's trace on
#help   bench-peers the malloc library beside others, row by row (T=ROW, ROUNDS=5, PEERS=lib.so:...)
#help   check       format, analysis, levels, symbols, builds by gcc and clang (T=WORD: some steps)
#help   format      let clang-format write the house style
#help   clean       remove build/
#help
#help Variables
#help   ARCH=x86_64|aarch64|arm   default x86_64; arm: lib only
#help   DEBUG=1                   mode debug: assertions, lock ranks, witnesses of each object
#help   PROTECT=irqoff            a kernel that masks interrupts instead of restartable sequences
#help   TRACK=1                   count each call site of the demo kernel (owners)
#help   TRACE=1                   record allocations and frees on demand (trace)
#help   LLVM=1                    clang and lld
#help   CROSS_COMPILE=PREFIX      default aarch64-linux-gnu-, arm-none-eabi-
#help   SLATE_CFLAGS=FLAGS        code model, -DSLATE_X=VALUE (include/slate/config.h), come last
#help   WERROR=1                  warnings are errors
#help   V=1                       show the commands
