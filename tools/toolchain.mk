# SPDX-License-Identifier: MIT
#
# Which compiler and which flags. CROSS_COMPILE=prefix or LLVM=1 choose; SLATE_CFLAGS come last and win.

CROSS_COMPILE ?=
LLVM          ?= 0
WERROR        ?= 0
SLATE_CFLAGS  ?=

ifeq ($(LLVM),1)
CC      := clang $(addprefix --target=,$(LLVM_TARGET))
LD      := ld.lld
AR      := llvm-ar
NM      := llvm-nm
OBJCOPY := llvm-objcopy
SIZE    := llvm-size
else
CC      := $(CROSS_COMPILE)gcc
LD      := $(CROSS_COMPILE)ld
AR      := $(CROSS_COMPILE)gcc-ar
NM      := $(CROSS_COMPILE)gcc-nm
OBJCOPY := $(CROSS_COMPILE)objcopy
SIZE    := $(CROSS_COMPILE)size
endif

WARNINGS := -Wall -Wextra -Wshadow -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wwrite-strings -Wimplicit-fallthrough \
	$(if $(filter 1,$(WERROR)),-Werror)

DEBUG_DEFINE := $(if $(filter 1,$(DEBUG)),-DSLATE_DEBUG=1)

# For everything that runs without an operating system.
BASE_CFLAGS := -std=gnu11 -I. -Iinclude -g -ffreestanding -fno-stack-protector -fno-common \
	-fno-strict-aliasing -fno-asynchronous-unwind-tables -fno-unwind-tables \
	-ffunction-sections -fdata-sections \
	$(if $(filter 1,$(DEBUG)),-O1 -fno-omit-frame-pointer $(DEBUG_DEFINE),-O2) $(if $(filter 1,$(TRACE)),-DSLATE_TRACE=1) $(WARNINGS)

# The allocator in the library; in the demo kernel, which adds what arch.mk says about its own port
# (ARCH_KERNEL_CFLAGS, such as -DSLATE_PERCPU_OFFSET); the kernel itself, with frame pointers for backtraces.
MM_CFLAGS      = $(BASE_CFLAGS) $(FILE_CFLAGS) $(ARCH_CFLAGS) $(SLATE_CFLAGS)
KERNEL_MM_CFLAGS = $(BASE_CFLAGS) $(FILE_CFLAGS) $(ARCH_CFLAGS) $(ARCH_KERNEL_CFLAGS) $(SLATE_CFLAGS)
KERNEL_CFLAGS  = $(BASE_CFLAGS) $(if $(filter 1,$(TRACK)),-DSLATE_TRACK) -fno-omit-frame-pointer $(ARCH_CFLAGS) $(ARCH_KERNEL_CFLAGS) $(SLATE_CFLAGS)
MM_ASFLAGS     = -I. -Iinclude -g $(DEBUG_DEFINE) $(ARCH_CFLAGS) $(SLATE_CFLAGS) $(QUIET_AS)
KERNEL_ASFLAGS = -I. -Iinclude -g $(DEBUG_DEFINE) $(ARCH_CFLAGS) $(ARCH_KERNEL_CFLAGS) $(SLATE_CFLAGS) $(QUIET_AS)
QUIET_AS      := $(if $(filter 1,$(LLVM)),-Wno-unused-command-line-argument)

# lib/mem.c is memcpy and memset: its loops must not become calls of themselves.
MEM_CFLAGS := $(if $(filter 1,$(LLVM)),-fno-builtin,-fno-tree-loop-distribute-patterns)
