/* SPDX-License-Identifier: MIT */
/*
 * mcache_anyctx.c (level 7) - an object, a frame or a short run for a caller in any context, NMIs
 * among them: by sequences on this CPU's magazines, and by locks that are tried only.
 *
 * What is guarded by masked interrupts alone an NMI may find half changed, so it is not used here:
 * the CPU's page cache, its large objects, its blocks of tiny ones. Nor is a magazine attached or
 * taken away, for that may take a lock to undo. What is left over is freed as an NMI frees.
 */
#include <slate/port.h>
#include <slate/slate.h>

#include "mm/mcache_source.h"
#include "mm/mcentral.h"
#include "mm/mheap_try.h"
#include "mm/percpu.h"
#include "mm/plant.h"

void mcache_free_later(const struct mheap_parts *left)
{
	mcache_defer_frames(left->frames.pfn, left->frames.pages);
	mcache_defer_frames(left->table.pfn, left->table.pages);
}

static bool is_frames(unsigned class)
{
	return class == PAGECLASS_FRAME || mcache_is_run(class);
}

static void *take_frames(unsigned class)
{
	size_t pages = class == PAGECLASS_FRAME ? 1 : mcache_run_pages(class);
	struct mheap_frames frames = mheap_try_frames(pages, NULL, SLATE_ANY_NODE);

	return frames.pages > 0 ? frame_to_slot(frames.pfn) : NULL;
}

/* Is this CPU's magazine to give to there, and empty? For the moment. */
static bool has_room(unsigned class)
{
	unsigned long irq = port_irq_save();
	magtop_t give = mcache_top(&percpu_cache()->give[class]);

	port_irq_restore(irq);
	return give != MAGAZINE_DUMMY && magazine_count(give, mcache_capacity(class)) == 0;
}

/* One of a full magazine's objects, the others go to this CPU's own; should it have been filled
 * meanwhile, they are freed like any. */
static void *take_depot(unsigned class)
{
	void *objects[MAGAZINE_CAP_MAX];
	unsigned n = 0;

	if (has_room(class))
		n = depot_try_unload(mcache_depot(class), objects, mcache_capacity(class));
	for (unsigned i = 1; i < n; i++) {
		if (!percpu_give(class, objects[i]))
			mcache_defer(objects[i]);
	}
	return n > 0 ? objects[0] : NULL;
}

static void *take_new(unsigned class, bool reserve)
{
	struct mheap_parts left;
	void *object = mcentral_try_new(class, reserve, &left);

	mcache_free_later(&left);
	return object;
}

/* Stacks have guard pages, which the kernel's hook unmaps. */
void *mcache_take_anyctx(unsigned class)
{
	void *object = percpu_take(class);

	if (SLATE_PROFILE && !object && plant_give_way(class))
		object = percpu_take(class);
	if (!object)
		object = percpu_exchange(class);
	if (object || mcache_is_stack(class))
		return object;
	if (is_frames(class))
		return take_frames(class);
	if (mcache_has_magazines(class))
		object = take_depot(class);
	if (!object)
		object = mcentral_try_take(class);
	if (!object)
		object = take_new(class, false);
	return object ? object : mcentral_try_take_spare(class);
}

void *mcache_take_anyctx_reserve(unsigned class)
{
	return take_new(class, true);
}
