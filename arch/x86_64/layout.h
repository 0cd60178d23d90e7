/* SPDX-License-Identifier: MIT */
/*
 * layout.h - virtual addresses and the numbers that C and assembly share. No C in here.
 */
#ifndef ARCH_X86_64_LAYOUT_H
#define ARCH_X86_64_LAYOUT_H

/*
 * Virtual memory:
 *   0                   unmapped, the null page with it
 *   0xffff800000000000  all RAM, at its physical address + this (no execution)
 *   0xffffffff80000000  the kernel image, at its physical address + this
 *   0xffffffffc0000000  devices, mapped page by page (uncached)
 */
#define DIRECT_MAP_BASE   0xffff800000000000
#define KERNEL_VMA        0xffffffff80000000
#define DEVICE_MAP_BASE   0xffffffffc0000000
#define DIRECT_PML4_INDEX 256
#define KERNEL_PML4_INDEX 511
#define KERNEL_PDPT_INDEX 510
#define DEVICE_PDPT_INDEX 511

#define BOOT_STACK_BYTES 32768

/* Segment selectors. */
#define SEG_CODE 0x08
#define SEG_DATA 0x10
#define SEG_TSS  0x18

/* arch_boot()'s first argument. */
#define LOADER_PVH        1
#define LOADER_MULTIBOOT2 2

/* struct ap_mailbox (smp.c): offsets and states. */
#define AP_STATE  0
#define AP_CR3    8
#define AP_STACK  16
#define AP_PERCPU 24

#define AP_IDLE   0
#define AP_WANTED 1
#define AP_TAKEN  2
#define AP_ONLINE 3

/* struct percpu (percpu.h). */
#define PERCPU_SELF      0
#define PERCPU_NUMBER    8
#define PERCPU_NMI_STACK 348 /* tss.ist[IST_NMI - 1] */

/* Interrupt stack table slots, counted from 1; 0 is the current stack. */
#define IST_DOUBLE 1
#define IST_MCE    2
#define IST_COUNT  2
#define IST_BYTES  4096
#define IST_NMI    3 /* nmi_stack */

/* Each NMI on top of another one begins that much lower; two levels, see trap.S. */
#define NMI_LEVEL_BYTES 8192
#define NMI_STACK_BYTES (2 * NMI_LEVEL_BYTES)

#define VECTOR_DEBUG 1
#define VECTOR_NMI   2

/* Vectors above the exceptions. The legacy PIC is moved to 0x20 and masked. */
#define VECTOR_PIC      0x20
#define VECTOR_TIMER    0x40
#define VECTOR_IPI      0x41
#define VECTOR_ERROR    0x42
#define VECTOR_SPURIOUS 0xff

#endif
