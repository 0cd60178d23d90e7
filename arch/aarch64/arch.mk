# SPDX-License-Identifier: MIT
#
# Flags of aarch64: plain ARMv8.0, no FP registers in the kernel, atomics inline (a kernel has no libgcc to ask).

CROSS_COMPILE ?= aarch64-linux-gnu-
LLVM_TARGET   := aarch64-unknown-none-elf
ARCH_CFLAGS   := -march=armv8-a -mgeneral-regs-only -mno-outline-atomics -fno-pic -fno-pie
ARCH_LDFLAGS  := -nostdlib -static
# The allocator's word in struct percpu: restartable sequences. PROTECT=irqoff leaves it out, and gives the hooks in line.
ifneq ($(PROTECT),irqoff)
ARCH_KERNEL_CFLAGS := -DSLATE_PERCPU_OFFSET=64
else
ARCH_KERNEL_CFLAGS := -include arch/aarch64/port_inline.h
endif
