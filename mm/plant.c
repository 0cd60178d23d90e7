/* SPDX-License-Identifier: MIT */
/*
 * plant.c (level 7) - samples of the heap profile in take magazines.
 *
 * quiet[] is also counted down by the exchanges, in sequences (arch/ARCH/rseq.S) that an NMI or a
 * migration may overtake: the worst is a threshold that is one magazine off.
 */
#include "mm/plant.h"

#include "mm/mcache_source.h"
#include "mm/profile.h"
#include "mm/sampling.h"

#if SLATE_PROFILE

#define NEVER INT32_MAX

static int32_t quiet_of(struct mcache *cache, unsigned class)
{
	return atomic_load_explicit(&cache->quiet[class], memory_order_relaxed);
}

static void set_quiet(struct mcache *cache, unsigned class, int32_t quiet)
{
	atomic_store_explicit(&cache->quiet[class], quiet, memory_order_relaxed);
}

/* 0: a threshold is drawn when it is first wanted. */
static int32_t first_quiet(unsigned class)
{
	return spanclass_is_size(class) && profile_rate() > 0 ? 0 : NEVER;
}

static void draw(struct mcache *cache, unsigned class)
{
	if (profile_rate() == 0) {
		set_quiet(cache, class, NEVER);
		cache->place[class] = 0;
		return;
	}
	uint64_t bytes = sampling_threshold(&cache->random, profile_rate());
	size_t objects = (size_t)bytes / mcache_object_bytes(class);
	size_t magazines = objects / mcache_capacity(class);

	set_quiet(cache, class, magazines < NEVER ? (int32_t)magazines : NEVER);
	cache->place[class] = (uint16_t)(objects % mcache_capacity(class) + 1);
}

/* The place of a sample in the take magazine that comes now, counted from 1; 0: none. */
static unsigned next_place(unsigned class)
{
	unsigned long irq;
	struct mcache *cache = percpu_hold(&irq);
	unsigned place = 0;

	if (quiet_of(cache, class) <= 0 && cache->place[class] == 0)
		draw(cache, class);
	int32_t quiet = quiet_of(cache, class);

	if (quiet > 0) {
		set_quiet(cache, class, quiet - 1);
	} else {
		place = cache->place[class];
		draw(cache, class);
	}
	percpu_let_go(irq);
	return place;
}

void plant_expose_slow(unsigned class, magtop_t top)
{
	unsigned place = next_place(class);

	if (place == 0 || place > magazine_count(top, mcache_capacity(class)))
		return;
	magtop_t slot = top - (place - 1);

	magazine_of(top)->slot[0] = *slot;
	*slot = NULL;
}

void plant_undo_slow(magtop_t top)
{
	magtop_t slot = top;

	while (*slot)
		slot--;
	*slot = magazine_of(top)->slot[0];
	magazine_of(top)->slot[0] = NULL;
}

/*
 * The magazine is detached meanwhile, for an NMI may take all that it holds, or free into it. It
 * finds the dummy, and cannot attach another one there: exchanges need an empty magazine, and
 * refills are no NMI's.
 */
bool plant_give_way(unsigned class)
{
	unsigned long irq;
	magtop_t top = mcache_top(&percpu_hold(&irq)->take[class]);
	bool due = !*top && magazine_has_plant(top);

	if (due) {
		top = plant_detach(class);
		percpu_attach(MCACHE_TAKE, class, top);
	}
	percpu_let_go(irq);
	return due;
}

size_t plant_skip(size_t size_bytes)
{
	unsigned long irq;
	struct mcache *cache;
	uint64_t bytes;

	if (profile_rate() == 0)
		return SIZE_MAX;
	cache = percpu_hold(&irq);
	bytes = sampling_threshold(&cache->random, profile_rate());
	percpu_let_go(irq);
	return (size_t)bytes / size_bytes;
}

bool plant_is_bytes_due(size_t size_bytes)
{
	return plant_skip(size_bytes) == 0;
}

bool plant_is_single_due(unsigned class)
{
	return profile_rate() > 0 && spanclass_is_size(class) &&
	       plant_is_bytes_due(mcache_object_bytes(class));
}

void plant_forget(void)
{
	unsigned long irq;
	struct mcache *cache = percpu_hold(&irq);
	size_t rate = profile_rate();

	for (unsigned class = 2; class <= PAGECLASS_SPAN_LAST && cache->rate != rate; class ++) {
		set_quiet(cache, class, first_quiet(class));
		cache->place[class] = 0;
	}
	cache->rate = rate;
	percpu_let_go(irq);
}

void plant_renew_quiet(struct mcache *cache, unsigned class)
{
	if (!spanclass_is_size(class))
		set_quiet(cache, class, NEVER);
}

void plant_init(struct mcache *cache, unsigned seed)
{
	cache->rate = profile_rate();
	for (unsigned class = 0; class < MCACHE_SAMPLED; class ++) {
		atomic_init(&cache->quiet[class], first_quiet(class));
		cache->place[class] = 0;
	}
	/* the golden ratio: neighbouring seeds are far apart, and none is 0 */
	cache->random = ((uint64_t)seed + 1) * 0x9e3779b97f4a7c15ull;
}

#endif
