/* SPDX-License-Identifier: MIT */
/*
 * cmd_whois.c - what lies at an address; and at many random ones, so that a debugger's answers can
 * be held against the kernel's.
 */
#include <slate/heapmap.h>
#include <slate/slate.h>
#include <slate/whois.h>

#include "arch/arch.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "lib/string.h"

/* Longest line of slate_whois_format(). */
#define TEXT_BYTES 320

static void print_event(const char *what, const struct slate_event *event)
{
	char text[TEXT_BYTES];

	if (!event->known)
		return;
	slate_event_format(text, sizeof(text), what, event);
	kprintf("  %s\n", text);
}

static void print_whois(const void *address)
{
	struct slate_whois who;
	char text[TEXT_BYTES];

	slate_whois(address, &who);
	slate_whois_format(text, sizeof(text), address, &who);
	kprintf("%s\n", text);
	print_event("allocated", &who.allocated);
	print_event("freed", &who.freed);
}

/* ---- Random addresses ---- */

/* One pass over the heap: its end, what is in use, and the wanted one of the frames in use. */
struct pick {
	size_t end;
	size_t used;
	size_t wanted; /* number of a frame in use; SIZE_MAX: none */
	pfn_t found;
};

static bool look_at(const struct slate_heap_run *run, void *arg)
{
	struct pick *pick = arg;

	pick->end = run->start.v + run->pages;
	if (run->kind == SLATE_HEAP_FREE || run->kind == SLATE_HEAP_RELEASED)
		return true;
	if (pick->wanted - pick->used < run->pages)
		pick->found = pfn_add(run->start, pick->wanted - pick->used);
	pick->used += run->pages;
	return true;
}

/* xorshift64 (Marsaglia 2003) */
static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/*
 * Every other address lies in a frame that somebody holds, the others anywhere up to a quarter
 * beyond the end of memory. Interrupts are off: what this CPU caches stays as it is told.
 */
static void print_random(uint64_t count)
{
	uint64_t seed = 88172645463325252u;
	unsigned long irq = arch_irq_save();

	for (uint64_t i = 0; i < count; i++) {
		struct pick pick = {.wanted = SIZE_MAX, .found = SLATE_PFN_NONE};
		size_t offset = next_random(&seed) & SLATE_PAGE_MASK;

		slate_heap_walk(look_at, &pick);
		if (i % 2 && pick.used > 0) {
			pick.wanted = (size_t)(next_random(&seed) % pick.used);
			pick.used = 0;
			slate_heap_walk(look_at, &pick);
		}
		if (pfn_is_none(pick.found))
			pick.found.v = (size_t)(next_random(&seed) % (pick.end + pick.end / 4 + 1));
		print_whois((char *)slate_virt(pfn_to_paddr(pick.found)) + offset);
	}
	command_breakpoint();
	arch_irq_restore(irq);
}

bool cmd_whois(int argc, char **argv)
{
	uint64_t number;

	if (argc == 3 && strcmp(argv[1], "random") == 0 && parse_number(argv[2], &number)) {
		print_random(number);
		return true;
	}
	if (argc != 2 || !parse_number(argv[1], &number) || number > UINTPTR_MAX)
		return command_usage(argv[0]);
	print_whois((void *)(uintptr_t)number);
	return true;
}
