/* SPDX-License-Identifier: MIT */
/*
 * stack.c - the kernel's stacks, their owners, and the pages below them: the demo kernel's side of
 * port_guard_unmap() and port_guard_map().
 */
#include "kernel/stack.h"

#include <stdatomic.h>

#include <slate/port.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/ipi.h"
#include "kernel/smp.h"

/* Stacks beyond these have no name. */
#define OWNERS_MAX (SLATE_MAX_CPUS + 32)

struct owner {
	_Atomic(void *) stack; /* (a) NULL: a free entry; a release store publishes the others */
	const char *name;
	unsigned number;
};

static struct owner owners[OWNERS_MAX];

/* What an entry holds while it is being written. */
static char being_written;

static void owner_add(void *stack, const char *name, unsigned number)
{
	for (size_t i = 0; i < OWNERS_MAX; i++) {
		struct owner *owner = &owners[i];
		void *expected = NULL;

		/* acquire: pairs with the release in owner_remove() */
		if (!atomic_compare_exchange_strong_explicit(&owner->stack, &expected,
							     &being_written, memory_order_acquire,
							     memory_order_relaxed))
			continue;
		owner->name = name;
		owner->number = number;
		/* release: pairs with the acquire in owner_of() */
		atomic_store_explicit(&owner->stack, stack, memory_order_release);
		return;
	}
}

static struct owner *owner_of(const void *stack)
{
	for (size_t i = 0; i < OWNERS_MAX; i++) {
		/* acquire: pairs with the release in owner_add() */
		if (atomic_load_explicit(&owners[i].stack, memory_order_acquire) == stack)
			return &owners[i];
	}
	return NULL;
}

static void owner_remove(const void *stack)
{
	struct owner *owner = owner_of(stack);

	/* release: pairs with the acquire in owner_add() */
	if (owner)
		atomic_store_explicit(&owner->stack, NULL, memory_order_release);
}

void *stack_alloc(unsigned order, const char *owner, unsigned number)
{
	void *stack = slate_stack_alloc(order);

	if (stack) {
		slate_stack_fill(stack);
		owner_add(stack, owner, number);
	}
	return stack;
}

void stack_free(void *stack)
{
	owner_remove(stack);
	slate_stack_free(stack);
}

void *stack_top(void *stack, unsigned order)
{
	return (char *)stack + (SLATE_PAGE_SIZE << order);
}

uintptr_t stack_deepest(void)
{
	struct slate_stack_info info;
	uintptr_t low = UINTPTR_MAX;

	if (slate_stack_find(__builtin_frame_address(0), &info))
		low = (uintptr_t)info.stack + info.size_bytes - slate_stack_used(info.stack);
	return low & ~(sizeof(low) - 1);
}

bool stack_report_overflow(uintptr_t address)
{
	struct slate_stack_info info;
	const struct owner *owner;

	if (!slate_stack_find((const void *)address, &info) || !info.in_guard)
		return false;
	owner = owner_of(info.stack);
	kprintf("STACK OVERFLOW: 0x%lx lies in the guard page of the %zu KiB stack %p of ",
		(unsigned long)address, info.size_bytes >> 10, info.stack);
	if (owner)
		kprintf("%s %u\n", owner->name, owner->number);
	else
		kprintf("nobody known\n");
	return true;
}

/* ---- Guard pages ---- */

static void forget(void *page)
{
	arch_page_forget(page);
}

/*
 * Without a broadcast in hardware the other CPUs are asked to forget the page; not from code whose
 * interrupts are masked, which must not wait for them: there a CPU that touched the page lately
 * may miss an overflow.
 */
bool port_guard_unmap(void *page)
{
	if (!arch_page_rights(page, ARCH_RIGHTS_NONE))
		return false;
	if (arch_page_forget_is_shared || !arch_irq_enabled())
		return true;
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (cpu != arch_cpu() && smp_is_online(cpu))
			ipi_call(cpu, forget, page);
	}
	return true;
}

void port_guard_map(void *page)
{
	arch_page_rights(page, ARCH_RIGHTS_WRITE);
}
