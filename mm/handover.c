/* SPDX-License-Identifier: MIT */
/*
 * handover.c (level 8) - a CPU's caches, let go part by part.
 *
 * The first part is what classes are filled from or have yet to receive; then come the classes, as
 * many at a time as a part has room for; then large objects and the note that this CPU is drained.
 * A CPU that holds nothing is asked once. What it frees in the meantime is not meant.
 */
#include "mm/handover.h"

#include "mm/largecache.h"
#include "mm/mcache_pages.h"
#include "mm/mcache_source.h"
#include "mm/percpu.h"
#include "mm/plant.h"
#include "mm/tiny.h"

void handover_begin(struct handover *handover, const struct mcache *cache)
{
	*handover = (struct handover){.cache = cache, .wanted = mcache_drain_asked()};
}

static bool holds(const struct mcache *cache, unsigned class)
{
	return mcache_top(&cache->take[class]) != MAGAZINE_DUMMY ||
	       mcache_top(&cache->give[class]) != MAGAZINE_DUMMY;
}

void handover_look(struct handover *handover)
{
	while (handover->next < MCACHE_ENTRIES && handover->count < HANDOVER_CLASSES) {
		unsigned class = handover->next++;

		if (mcache_has_magazines(class) && holds(handover->cache, class))
			handover->classes[handover->count++].class = class;
	}
}

/* Tiny objects' blocks go into a magazine. */
static void first_part(struct handover *handover)
{
	if (SLATE_PROFILE)
		plant_forget();
	if (SLATE_TINY)
		tiny_drain();
	handover->pages = mcache_pages_detach();
	deferred_take(&handover->deferred);
	handover->begun = true;
	/* what the look found is left to the next one */
	if (handover->count > 0 || (SLATE_TINY && holds(handover->cache, SPANCLASS_TINY)))
		handover->next = 0;
	handover->count = 0;
}

static void part_of_classes(struct handover *handover)
{
	for (unsigned i = 0; i < handover->count; i++) {
		unsigned class = handover->classes[i].class;

		handover->classes[i].take = plant_detach(class);
		handover->classes[i].give = percpu_detach(MCACHE_GIVE, class);
	}
}

static void last_part(struct handover *handover)
{
	handover->large = largecache_take_out();
	if (handover->large)
		return;
	mcache_note_drained(handover->wanted);
	handover->done = true;
}

void handover_part(void *arg)
{
	struct handover *handover = arg;

	if (!handover->begun)
		first_part(handover);
	else if (handover->count > 0)
		part_of_classes(handover);
	if (handover->next == MCACHE_ENTRIES && handover->count == 0)
		last_part(handover);
}

static void send_home(unsigned class, magtop_t top)
{
	if (top != MAGAZINE_DUMMY)
		mcache_magazine_delete(mcache_magazine_flush(class, top, "slate_flush"));
}

void handover_finish(struct handover *handover)
{
	for (unsigned i = 0; i < handover->count; i++) {
		send_home(handover->classes[i].class, handover->classes[i].take);
		send_home(handover->classes[i].class, handover->classes[i].give);
	}
	handover->count = 0;
	mcache_pages_send_home(&handover->pages, "slate_flush");
	largecache_send_home(handover->large);
	handover->large = NULL;
	deferred_finish(&handover->deferred);
}
