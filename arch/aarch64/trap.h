/* SPDX-License-Identifier: MIT */
/*
 * trap.h - the frame that trap.S leaves on the stack.
 */
#ifndef ARCH_AARCH64_TRAP_H
#define ARCH_AARCH64_TRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/aarch64/layout.h"

struct trap_frame {
	uint64_t x[31];
	uint64_t pc;
	uint64_t pstate;
	uint64_t sp;
	uint64_t record[2]; /* a frame record: the interrupted function's x29 and pc */
	uint64_t raw_pc;    /* where it was interrupted, not fixed up */
	uint64_t unused;
};
_Static_assert(offsetof(struct trap_frame, pc) == FRAME_PC, "used by assembly");
_Static_assert(offsetof(struct trap_frame, pstate) == FRAME_PSTATE, "used by assembly");
_Static_assert(offsetof(struct trap_frame, sp) == FRAME_SP, "used by assembly");
_Static_assert(offsetof(struct trap_frame, record) == FRAME_RECORD, "used by assembly");
_Static_assert(offsetof(struct trap_frame, raw_pc) == FRAME_RAW_PC, "used by assembly");
_Static_assert(sizeof(struct trap_frame) == FRAME_BYTES,
	       "used by assembly; keeps the stack aligned");

/* trap.S calls it; interrupts are off. kind: TRAP_SYNC and so on. */
void trap_dispatch(struct trap_frame *frame, unsigned kind);
uintptr_t trap_fixup(uintptr_t pc);

/* A software step exception, or the breakpoint that begins stepping: was it arch_step()'s? */
bool step_trap(struct trap_frame *frame);
bool step_begin(struct trap_frame *frame);

#endif
