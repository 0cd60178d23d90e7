# SPDX-License-Identifier: MIT
#
# x86_64: flags only. The kernel lies in the top 2 GiB and uses general registers alone, so interrupts save nothing else.

LLVM_TARGET   := x86_64-unknown-none-elf
CROSS_COMPILE ?=

ARCH_CFLAGS := -m64 -march=x86-64 -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
	-fno-pic -fno-pie -fcf-protection=none
ARCH_LDFLAGS := -m elf_x86_64 -nostdlib -static -z max-page-size=4096 --no-dynamic-linker
# The allocator's word in struct percpu: restartable sequences. PROTECT=irqoff leaves it out, and gives the hooks in line.
ifneq ($(PROTECT),irqoff)
ARCH_KERNEL_CFLAGS := -DSLATE_PERCPU_OFFSET=64
else
ARCH_KERNEL_CFLAGS := -include arch/x86_64/port_inline.h
endif
