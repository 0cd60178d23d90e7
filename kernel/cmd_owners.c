/* SPDX-License-Identifier: MIT */
/*
 * cmd_owners.c - who allocates: call sites by the bytes that they ever allocated, exact totals, in
 * files that were compiled with SLATE_TRACK; and who has what now, in debug builds.
 */
#include <slate/slate.h>
#include <slate/track.h>
#include <slate/whois.h>

#include "kernel/command.h"
#include "kernel/console.h"
#include "lib/string.h"

#define DEFAULT_COUNT 20u

/* Is the rest of the kernel? Tests have some sites in any case. */
#ifdef SLATE_TRACK
#define COUNTED true
#else
#define COUNTED false
#endif

/* Is a before b in the list? Sites of the same bytes by their place. */
static bool before(struct slate_site *a, struct slate_site *b)
{
	uint64_t bytes_a = slate_site_bytes(a);
	uint64_t bytes_b = slate_site_bytes(b);

	return bytes_a != bytes_b ? bytes_a > bytes_b : a < b;
}

/* The first behind `last`, or NULL. Looks at all of them: nothing need be sorted or allocated. */
static struct slate_site *site_next(struct slate_site *last)
{
	struct slate_site *next = NULL;

	for (struct slate_site *site = __start_slate_sites; site < __stop_slate_sites; site++) {
		if (slate_site_allocs(site) > 0 && (!last || before(last, site)) &&
		    (!next || before(site, next)))
			next = site;
	}
	return next;
}

bool cmd_owners(int argc, char **argv)
{
	uint64_t count = DEFAULT_COUNT;
	uint64_t shown = 0;
	struct slate_site *site = NULL;

	if (argc > 2 || (argc == 2 && !parse_number(argv[1], &count)))
		return command_usage(argv[0]);
	if (!COUNTED) {
		kprintf("owners: this kernel counts no call sites; one that is built with TRACK=1 "
			"does\n");
		return false;
	}
	while (shown < count && (site = site_next(site)) != NULL) {
		kprintf("owner bytes %llu allocs %zu failed %zu %s:%u %s\n",
			(unsigned long long)slate_site_bytes(site), slate_site_allocs(site),
			atomic_load_explicit(&site->failed, memory_order_relaxed), site->file,
			site->line, site->function);
		shown++;
	}
	kprintf("owners %llu of %zu sites\n", (unsigned long long)shown,
		(size_t)(__stop_slate_sites - __start_slate_sites));
	return true;
}

/* ---- Held now ---- */

/* Callers that are told apart; what others have is told in one line. */
#define CALLERS 256u

struct holder {
	uintptr_t pc;
	size_t count;
	size_t bytes;
};

struct holders {
	struct holder list[CALLERS];
	size_t used;
	struct holder others;
	struct holder all;
};

static void add(struct holder *holder, size_t bytes)
{
	holder->count++;
	holder->bytes += bytes;
}

static struct holder *holder_of(struct holders *holders, uintptr_t pc)
{
	size_t i = 0;

	while (i < holders->used && holders->list[i].pc != pc)
		i++;
	if (i == CALLERS)
		return &holders->others;
	if (i == holders->used)
		holders->list[holders->used++] = (struct holder){.pc = pc};
	return &holders->list[i];
}

static bool count_held(const struct slate_held *held, void *arg)
{
	struct holders *holders = arg;
	uintptr_t pc = held->allocated.depth > 0 ? held->allocated.pcs[0] : 0;

	add(holder_of(holders, pc), held->size_bytes);
	add(&holders->all, held->size_bytes);
	return true;
}

/* The one with the most bytes leaves the list. */
static struct holder largest_of(struct holders *holders)
{
	size_t at = 0;
	struct holder largest;

	for (size_t i = 1; i < holders->used; i++) {
		if (holders->list[i].bytes > holders->list[at].bytes)
			at = i;
	}
	largest = holders->list[at];
	holders->list[at] = holders->list[--holders->used];
	return largest;
}

bool cmd_held(int argc, char **argv)
{
	static struct holders holders;
	uint64_t count = DEFAULT_COUNT;

	if (argc > 2 || (argc == 2 && !parse_number(argv[1], &count)))
		return command_usage(argv[0]);
	if (!SLATE_DEBUG) {
		kprintf("held: this kernel does not know; one that is built with DEBUG=1 does\n");
		return false;
	}
	memset(&holders, 0, sizeof(holders));
	slate_flush();
	slate_held_walk(count_held, &holders);
	while (count-- > 0 && holders.used > 0) {
		struct holder holder = largest_of(&holders);

		kprintf("held bytes %zu count %zu by 0x%lx\n", holder.bytes, holder.count,
			(unsigned long)holder.pc);
	}
	if (holders.others.count > 0)
		kprintf("held bytes %zu count %zu by others\n", holders.others.bytes,
			holders.others.count);
	kprintf("held %zu bytes in %zu objects and stacks\n"
		"  (addr2line -fpe slate.elf ADDRESS names callers)\n",
		holders.all.bytes, holders.all.count);
	return true;
}
