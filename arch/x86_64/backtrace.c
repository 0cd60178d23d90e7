/* SPDX-License-Identifier: MIT */
/*
 * backtrace.c - return addresses along the frame pointers. Code without frame pointers leaves
 * anything in rbp, so every step is checked: it goes up, stays on the stack that we run on, and
 * finds a return address in the kernel's text.
 */
#include <slate/slate.h>

#include "arch/arch.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/percpu.h"

/* Longer stacks than this are not the CPU's own: then only the innermost page is trusted. */
#define STACK_BYTES_MAX (256 * 1024)

extern const char text_end[];

/* The end of the stack on which address lies. */
static uintptr_t stack_end(uintptr_t address)
{
	const struct percpu *percpu = percpu_self();
	struct slate_stack_info info;

	for (unsigned i = 0; i < IST_COUNT; i++) {
		uintptr_t start = (uintptr_t)percpu->ist_stacks[i];

		if (address >= start && address < start + IST_BYTES)
			return start + IST_BYTES;
	}
	if (slate_stack_find((const void *)address, &info))
		return (uintptr_t)info.stack + info.size_bytes;
	if (address < percpu->stack_top && percpu->stack_top - address <= STACK_BYTES_MAX)
		return percpu->stack_top;
	return (address | SLATE_PAGE_MASK) + 1;
}

size_t arch_backtrace(uintptr_t *pcs, size_t max)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	uintptr_t end = stack_end(frame);
	size_t count = 0;

	while (count < max && frame % sizeof(uintptr_t) == 0 && frame < end &&
	       end - frame >= 2 * sizeof(uintptr_t)) {
		const uintptr_t *words = (const uintptr_t *)frame;

		if (words[1] < (uintptr_t)text_start || words[1] >= (uintptr_t)text_end)
			break;
		pcs[count++] = words[1];
		if (words[0] <= frame)
			break;
		frame = words[0];
	}
	return count;
}
