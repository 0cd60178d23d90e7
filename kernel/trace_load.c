/* SPDX-License-Identifier: MIT */
/* trace_load.c - a workload that knows its own figures: what a trace of it must say. */
#include "kernel/trace_load.h"

#include <slate/slate.h>

#include "kernel/selftest.h"

#define PLACES 256u

/* One of the things held: an object, or a run of frames. */
static struct place {
	void *object; /* NULL: none */
	size_t size_bytes;
	pfn_t pfn;
	size_t pages; /* 0: none */
} places[PLACES];

static void grow(struct trace_load *load, size_t size_bytes)
{
	load->live_bytes += size_bytes;
	if (load->live_bytes > load->peak_bytes)
		load->peak_bytes = load->live_bytes;
}

/* Small ones mostly; one in sixteen has frames of its own. */
static size_t random_size(uint32_t *seed)
{
	uint32_t random = random_next(seed);

	return random % 16 == 0 ? 33000 + (random >> 8) % 100000 : 1 + (random >> 8) % 3000;
}

static void release(struct place *place, struct trace_load *load)
{
	if (place->object) {
		slate_free(place->object);
		load->frees++;
		load->live_bytes -= place->size_bytes;
		place->object = NULL;
	}
	if (place->pages) {
		slate_page_free(place->pfn, place->pages);
		load->page_frees++;
		load->live_bytes -= place->pages << SLATE_PAGE_SHIFT;
		place->pages = 0;
	}
}

static bool resize(struct place *place, uint32_t *seed, struct trace_load *load)
{
	size_t size_bytes = random_size(seed);
	void *object = slate_realloc(place->object, size_bytes);

	if (!object)
		return false;
	load->reallocs++;
	load->live_bytes -= place->size_bytes;
	grow(load, size_bytes);
	place->object = object;
	place->size_bytes = size_bytes;
	return true;
}

static bool fill(struct place *place, uint32_t *seed, struct trace_load *load)
{
	uint32_t random = random_next(seed);

	if (random % 8 == 0) {
		place->pages = 1 + (random >> 8) % 9;
		place->pfn = slate_page_alloc(place->pages, NULL);
		if (pfn_is_none(place->pfn)) {
			place->pages = 0;
			return false;
		}
		load->page_allocs++;
		grow(load, place->pages << SLATE_PAGE_SHIFT);
		return true;
	}
	place->size_bytes = random_size(seed);
	place->object = (slate_alloc)(place->size_bytes);
	if (!place->object)
		return false;
	load->allocs++;
	grow(load, place->size_bytes);
	return true;
}

bool trace_load_run(size_t steps, struct trace_load *load)
{
	uint32_t seed = 2463534242u;
	bool ok = true;

	*load = (struct trace_load){.allocs = 0};
	for (size_t i = 0; i < steps && ok; i++) {
		struct place *place = &places[random_next(&seed) % PLACES];

		if (place->object && random_next(&seed) % 3 == 0)
			ok = resize(place, &seed, load);
		else if (place->object || place->pages)
			release(place, load);
		else
			ok = fill(place, &seed, load);
	}
	for (size_t i = 0; i < PLACES; i++)
		release(&places[i], load);
	return ok;
}
