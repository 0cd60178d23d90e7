/* SPDX-License-Identifier: MIT */
/*
 * layout.h - the virtual address space, and numbers that C and assembly share. kernel.ld repeats
 * KERNEL_BASE and KERNEL_LOAD.
 *
 *   0xffff000000000000  direct map: physical address + DIRECT_BASE, RAM only
 *   0xffff800000000000  devices: physical address + DEVICE_BASE, nGnRnE, mapped on demand in 2 MiB
 * blocks 0xffffffff80200000  the kernel image, wherever it was loaded 0xffffffffc0000000  the
 * device tree
 */
#ifndef ARCH_AARCH64_LAYOUT_H
#define ARCH_AARCH64_LAYOUT_H

#define DIRECT_BASE 0xffff000000000000
#define DEVICE_BASE 0xffff800000000000
#define WINDOW_SIZE 0x0000800000000000 /* of both: 128 TiB */
#define KERNEL_BASE 0xffffffff80200000
#define DTB_BASE    0xffffffffc0000000
#define DTB_MAX     0x01000000 /* 16 MiB */

/* Where the image lies when nobody says otherwise: 2 MiB above the start of RAM, below it QEMU puts
 * the device tree. */
#define KERNEL_LOAD  0x40200000
#define IMAGE_OFFSET 0x200000
#define RAM_START    0x40000000 /* of QEMU's virt machine */
#define UART_DEFAULT 0x09000000

/* Translation tables: 4 KiB granule, 48 bits, levels 0 to 3. */
#define TABLE_BYTES    4096
#define TABLE_ENTRIES  512
#define L3_SHIFT       12
#define L2_SHIFT       21
#define L1_SHIFT       30
#define L0_SHIFT       39
#define IMAGE_L3_COUNT 8 /* the image with its bss fits 16 MiB */

/* The assembler knows no suffixes and calculates in 64 bits anyway. */
#ifdef __ASSEMBLER__
#define U64(x) x
#else
#define U64(x) x##ull
#endif

#define PTE_TYPE   U64(0x3)
#define PTE_BLOCK  U64(0x1)
#define PTE_TABLE  U64(0x3)      /* levels 0 to 2 */
#define PTE_PAGE   U64(0x3)      /* level 3 */
#define PTE_NORMAL (U64(1) << 2) /* AttrIndx, see MAIR_VALUE */
#define PTE_DEVICE (U64(0) << 2)
#define PTE_RO     (U64(1) << 7)
#define PTE_INNER  (U64(3) << 8)
#define PTE_AF     (U64(1) << 10)
#define PTE_DBM    (U64(1) << 51) /* with PTE_RO: who writes makes it writable */
#define PTE_PXN    (U64(1) << 53)
#define PTE_UXN    (U64(1) << 54)

/* Attribute 0: device nGnRnE. Attribute 1: normal, write-back, allocate on read and write. */
#define MAIR_VALUE 0xff00

#define BOOT_STACK_BYTES      0x8000
#define EMERGENCY_STACK_BYTES 0x2000

/* struct trap_frame */
#define FRAME_PC     0x0f8
#define FRAME_PSTATE 0x100
#define FRAME_SP     0x108
#define FRAME_RECORD 0x110
#define FRAME_RAW_PC 0x120
#define FRAME_BYTES  0x130

/* struct percpu */
#define PERCPU_NUMBER    0
#define PERCPU_STACK_TOP 8

/* Kinds of exception, as the vectors number them. */
#define TRAP_SYNC           0
#define TRAP_IRQ            1
#define TRAP_FIQ            2
#define TRAP_SERROR         3
#define TRAP_STACK_OVERFLOW 4
#define TRAP_UNEXPECTED     5 /* from user mode or on the wrong stack: there is neither */

#endif
