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
MODE  := $(if $(filter 1,$(DEBUG)),debug,release)
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
include tools/test.mk

.PHONY: all clean help format
all: $(KERNEL)

clean:
	$(Q)rm -rf build

format:
	$(Q)clang-format -i $(FORMAT_FILES)

help:
	$(Q)sed -n 's/^#help //p' $(MAKEFILE_LIST)

#help make [TARGET] [VARIABLE=VALUE...]
#help
#help Targets
#help   all         the demo kernel of ARCH: build/<arch>-<mode>/slate.elf (aarch64: slate.img, too)
#help   lib         build/<arch>-<mode>/libslate.a and its headers; prints the text size
