/* SPDX-License-Identifier: MIT */
/* shadow_more.c - the rarer half of the public calls against the shadow model. */
#include <string.h>

#include "test-host/shadow.h"

#define FAIL(...) host_fail(__FILE__, __LINE__, __VA_ARGS__)

#define BULK 30

static const size_t typed_bytes[SHADOW_CACHES] = {24, 320, 5000};

static void construct(void *object)
{
	memset(object, 0x3c, 24);
}

void shadow_more_init(struct shadow *shadow)
{
	for (size_t i = 0; i < SHADOW_CACHES; i++) {
		struct slate_cache_params params = {
			.name = "shadow", .size_bytes = typed_bytes[i], .constructor = construct};

		shadow->caches[i] = slate_cache_create(&params);
		if (!shadow->caches[i])
			FAIL("no typed cache");
	}
}

/* ---- Objects ---- */

static void step_bulk(struct shadow *shadow)
{
	void *out[BULK];
	size_t size_bytes = shadow_random_size(shadow);
	size_t wanted = 1 + host_random_below(&shadow->random, BULK);
	unsigned flags = host_random_below(&shadow->random, 4) ? 0 : SLATE_ZERO | SLATE_NOSCAN;
	size_t n = slate_alloc_bulk(size_bytes, wanted, out, flags);
	size_t kept = 0;

	shadow->refused += n < wanted;
	shadow->done[SHADOW_BULK] += n;
	for (; kept < n; kept++) {
		struct shadow_object *slot = shadow_free_slot(shadow);

		if (!slot || shadow->live_bytes > shadow->limit_bytes)
			break;
		if (flags & SLATE_ZERO)
			shadow_check_zero(out[kept], size_bytes);
		shadow_enter(shadow, slot, SHADOW_OBJECT, out[kept], size_bytes);
	}
	slate_free_bulk(out + kept, n - kept);
}

static void step_bulk_free(struct shadow *shadow)
{
	void *out[BULK];
	/* fewer than came: memory is to fill up */
	size_t wanted = host_random_below(&shadow->random, BULK / 2);
	size_t n = 0;

	for (size_t i = 0; i < wanted; i++) {
		struct shadow_object *slot = shadow_live_slot(shadow);

		if (!slot || slot->kind != SHADOW_OBJECT)
			continue;
		out[n++] = slot->start;
		shadow_leave(shadow, slot);
	}
	slate_free_bulk(out, n);
}

static void step_typed(struct shadow *shadow)
{
	size_t i = host_random_below(&shadow->random, SHADOW_CACHES);
	struct shadow_object *slot = shadow_free_slot(shadow);
	char *start = slot ? slate_cache_alloc(shadow->caches[i]) : NULL;

	if (!start) {
		shadow->refused += slot != NULL;
		return;
	}
	for (size_t at = 0; at < 24; at++)
		if (start[at] != 0x3c)
			FAIL("typed object %p is not in its constructed state", (void *)start);
	shadow_enter(shadow, slot, SHADOW_TYPED, start, typed_bytes[i]);
	slot->cache = shadow->caches[i];
	shadow->done[SHADOW_TYPE]++;
}

/* A cache with objects out does not go; what is put aside stays aside. */
static void step_cache(struct shadow *shadow)
{
	size_t i = host_random_below(&shadow->random, SHADOW_CACHES);
	struct slate_cache *cache = shadow->caches[i];
	bool in_use = false;

	if (slate_cache_prefill(cache, host_random_below(&shadow->random, 12)))
		shadow->done[SHADOW_PREFILL]++;
	for (size_t n = 0; n < SHADOW_MAX && !in_use; n++)
		in_use = shadow->objects[n].start && shadow->objects[n].kind == SHADOW_TYPED &&
			 shadow->objects[n].cache == cache;
	if (in_use && slate_cache_destroy(cache) != SLATE_EBUSY)
		FAIL("a typed cache goes while objects of it are in use");
}

/* ---- Frames ---- */

static void check_fit(const struct slate_page_constraints *fit, paddr_t base, size_t size_bytes)
{
	uint64_t last = base.v + size_bytes - 1;

	if (base.v < fit->min || (fit->max && last >= fit->max))
		FAIL("run 0x%llx outside its limits", (unsigned long long)base.v);
	if (fit->align_bytes && base.v % fit->align_bytes)
		FAIL("run 0x%llx is not aligned", (unsigned long long)base.v);
	if (fit->boundary_bytes && base.v / fit->boundary_bytes != last / fit->boundary_bytes)
		FAIL("run 0x%llx crosses its boundary", (unsigned long long)base.v);
}

static void step_fit(struct shadow *shadow)
{
	uint64_t r = host_random(&shadow->random);
	size_t pages = 1 + r % 16;
	struct slate_page_constraints fit = {
		.min = r & 0x100 ? SHADOW_PLUG_AT : 0,
		.max = r & 0x200 ? SHADOW_PLUG_AT : 0,
		.align_bytes = SLATE_PAGE_SIZE << (r >> 16) % 7,
		.boundary_bytes = r & 0x400 ? (uint64_t)16 * SLATE_PAGE_SIZE << (r >> 20) % 4 : 0,
		.node = r & 0x800 ? 0 : SLATE_ANY_NODE,
		.flags = (r & 0x1000 ? SLATE_RESERVE : 0) | (r & 0x2000 ? SLATE_NOWAIT : 0),
	};
	struct shadow_object *slot = shadow_free_slot(shadow);
	pfn_t pfn = slot ? slate_page_alloc(pages, &fit) : SLATE_PFN_NONE;

	if (pfn_is_none(pfn)) {
		shadow->refused += slot && !(r & 0x300);
		return;
	}
	check_fit(&fit, pfn_to_paddr(pfn), pages << SLATE_PAGE_SHIFT);
	shadow_enter(shadow, slot, SHADOW_RUN, slate_virt(pfn_to_paddr(pfn)),
		     pages << SLATE_PAGE_SHIFT);
	shadow->done[SHADOW_FIT]++;
}

/* Frames that were given back just now: nobody else is there who could have them. */
static void step_at(struct shadow *shadow)
{
	size_t pages = 1 + host_random_below(&shadow->random, 8);
	struct shadow_object *slot = shadow_free_slot(shadow);
	pfn_t pfn = slot ? slate_page_alloc(pages, NULL) : SLATE_PFN_NONE;
	int status;

	if (pfn_is_none(pfn))
		return;
	if (slate_page_alloc_at(pfn_to_paddr(pfn), pages) != SLATE_EBUSY)
		FAIL("frames of somebody are given again");
	slate_page_free(pfn, pages);
	status = slate_page_alloc_at(pfn_to_paddr(pfn), pages);
	if (status != SLATE_OK)
		FAIL("frames that are free: %d", status);
	shadow_enter(shadow, slot, SHADOW_RUN, slate_virt(pfn_to_paddr(pfn)),
		     pages << SLATE_PAGE_SHIFT);
	shadow->done[SHADOW_AT]++;
}

static void step_stack(struct shadow *shadow)
{
	unsigned order = (unsigned)host_random_below(&shadow->random, SLATE_STACK_ORDERS);
	struct shadow_object *slot = shadow_free_slot(shadow);
	char *stack = slot ? slate_stack_alloc(order) : NULL;
	struct slate_stack_info info;

	if (!stack) {
		shadow->refused += slot != NULL;
		return;
	}
	if (!slate_stack_find(stack + 100, &info) || info.stack != stack ||
	    info.size_bytes != SLATE_PAGE_SIZE << order)
		FAIL("stack %p is not found", (void *)stack);
	shadow_enter(shadow, slot, SHADOW_STACK, stack, SLATE_PAGE_SIZE << order);
	shadow->done[SHADOW_STACKS]++;
}

void shadow_more_free(struct shadow *shadow, struct shadow_object *slot)
{
	char *start = slot->start;

	shadow_leave(shadow, slot);
	if (slot->kind == SHADOW_STACK) {
		slate_stack_free(start);
		return;
	}
	construct(start);
	if (host_random_below(&shadow->random, 2))
		slate_cache_free(slot->cache, start);
	else
		slate_free(start);
}

/* ---- CPUs and memory ---- */

static void step_offline(struct shadow *shadow)
{
	unsigned cpu = (unsigned)host_random_below(&shadow->random, shadow->cpus);
	struct slate_cpu_stats stats;

	host_cpu_set(cpu);
	if (slate_cpu_offline() != SLATE_OK)
		FAIL("CPU %u does not leave", cpu);
	if (!slate_cpu_stats(cpu, &stats) || stats.online || stats.cached_objects)
		FAIL("CPU %u left, and has %zu objects", cpu, stats.cached_objects);
	if (slate_cpu_online() != SLATE_OK)
		FAIL("CPU %u does not return", cpu);
	shadow->done[SHADOW_OFFLINE]++;
}

static bool lies_in_plug(const struct shadow_object *object)
{
	return object->start && slate_phys(object->start).v - SHADOW_PLUG_AT < SHADOW_PLUG_BYTES;
}

/* Out when nothing lies there, whatever the allocator thinks of it; held when something does. */
static void unplug(struct shadow *shadow)
{
	int status = slate_remove_memory((paddr_t){SHADOW_PLUG_AT}, SHADOW_PLUG_BYTES, NULL);

	if (status == SLATE_OK)
		shadow->plugged = false;
	else if (status != SLATE_EBUSY)
		FAIL("remove: %d", status);
	for (size_t i = 0; i < SHADOW_MAX; i++)
		if (status == SLATE_OK && lies_in_plug(&shadow->objects[i]))
			FAIL("memory went with an object in it");
	shadow->done[SHADOW_REMOVE] += status == SLATE_OK;
}

/* Everything there goes back first, now and then. */
static void step_plug(struct shadow *shadow)
{
	bool leave = host_random_below(&shadow->random, 2);
	int status;

	if (!shadow->plugged) {
		status = slate_add_memory((paddr_t){SHADOW_PLUG_AT}, SHADOW_PLUG_BYTES, 0);
		if (status != SLATE_OK && status != SLATE_ENOMEM)
			FAIL("add: %d", status);
		shadow->plugged = status == SLATE_OK;
		shadow->done[SHADOW_ADD] += status == SLATE_OK;
		return;
	}
	for (size_t i = 0; leave && i < SHADOW_MAX; i++)
		if (lies_in_plug(&shadow->objects[i]))
			shadow_free_one(shadow, &shadow->objects[i]);
	unplug(shadow);
}

void shadow_more_step(struct shadow *shadow)
{
	static void (*const steps[])(struct shadow * shadow) = {
		step_bulk, step_bulk_free, step_typed, step_typed, step_typed,
		step_fit,  step_fit,       step_at,    step_stack, step_stack};
	uint64_t kind = host_random_below(&shadow->random, 400);

	if (kind == 0) {
		step_plug(shadow);
	} else if (kind == 1) {
		step_offline(shadow);
	} else if (kind == 2) {
		slate_scavenge(host_random_below(&shadow->random, 1000));
		shadow->done[SHADOW_SCAVENGE]++;
	} else if (kind == 3) {
		step_cache(shadow);
	} else if (kind < 20) {
		slate_poll();
		shadow->done[SHADOW_POLL]++;
	} else {
		steps[kind % 10](shadow);
	}
}

void shadow_more_drain(struct shadow *shadow)
{
	for (size_t i = 0; i < SHADOW_CACHES; i++)
		if (slate_cache_destroy(shadow->caches[i]) != SLATE_OK)
			FAIL("typed cache %zu does not go", i);
	if (!shadow->plugged)
		return;

	struct slate_holder list[64];
	struct slate_holders held = {.list = list, .capacity = 64};

	if (slate_remove_memory((paddr_t){SHADOW_PLUG_AT}, SHADOW_PLUG_BYTES, &held) == SLATE_OK)
		return;
	/* Where there was no other memory, metadata lies there, and stays. */
	for (size_t i = 0; i < held.count && i < held.capacity; i++)
		if (!shadow->refused || list[i].kind != SLATE_HOLDER_METADATA)
			FAIL("memory that nobody uses does not go");
	shadow->staying_pages = SHADOW_PLUG_BYTES >> SLATE_PAGE_SHIFT;
}
