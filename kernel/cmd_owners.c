/* SPDX-License-Identifier: MIT */
/*
 * cmd_owners.c - call sites by the bytes that they ever allocated: exact totals, in files that were
 * compiled with SLATE_TRACK.
 */
#include <slate/slate.h>
#include <slate/track.h>

#include "kernel/command.h"
#include "kernel/console.h"

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
