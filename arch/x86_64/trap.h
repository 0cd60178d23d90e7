/* SPDX-License-Identifier: MIT */
/*
 * trap.h - the frame that an interrupt or exception leaves on the stack.
 */
#ifndef ARCH_X86_64_TRAP_H
#define ARCH_X86_64_TRAP_H

#include <stdbool.h>
#include <stdint.h>

/* As trap.S pushes it, lowest address first; the CPU pushed from rip on. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector;
	uint64_t error; /* 0 where the CPU pushes none */
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Fill the interrupt descriptor table at the first call; load it on this CPU. */
void trap_install(void);

/* trap.S calls it; interrupts are off. */
void trap_dispatch(struct trap_frame *frame);

/* A debug exception at pc, frame->rip being fixed up: was it a step of arch_step()? */
bool step_trap(struct trap_frame *frame, uintptr_t pc);

#endif
