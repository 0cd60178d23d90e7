/* SPDX-License-Identifier: MIT */
/* stacks.c - half a stack at a time moves between a thread and the buddy. */
#include "bench/stacks.h"

#include "bench/buddy.h"

#define STACK_FRAMES 128u

static _Thread_local struct {
	unsigned count;
	pfn_t frame[STACK_FRAMES];
} stack;

static __attribute__((noinline)) pfn_t refill(void)
{
	stack.count = buddy_alloc_frames(stack.frame, STACK_FRAMES / 2);
	return stack.count ? stack.frame[--stack.count] : SLATE_PFN_NONE;
}

pfn_t stacks_alloc(void)
{
	return stack.count ? stack.frame[--stack.count] : refill();
}

static __attribute__((noinline)) void spill(void)
{
	stack.count -= STACK_FRAMES / 2;
	buddy_free_frames(stack.frame + stack.count, STACK_FRAMES / 2);
}

void stacks_free(pfn_t pfn)
{
	if (stack.count == STACK_FRAMES)
		spill();
	stack.frame[stack.count++] = pfn;
}

void stacks_flush(void)
{
	buddy_free_frames(stack.frame, stack.count);
	stack.count = 0;
}
