/* SPDX-License-Identifier: MIT */
/*
 * tracer.c (level 8) - tracing switched on and off, its rings made and read.
 *
 * The rings are frames like any caller's. One call at a time works on them: the others are refused,
 * for the first one may stand below an interrupt handler that is the second.
 */
#include <slate/port.h>
#include <slate/slate.h>
#include <slate/trace.h>

#include "mm/directmap.h"
#include "mm/init.h"
#include "mm/mcache.h"
#include "mm/object.h"
#include "mm/trace.h"

/* Of one ring. */
#define EVENTS_MIN 64u
#define EVENTS_MAX ((size_t)1 << 24)

static _Atomic bool turn_taken; /* (a) acquire when taken, release when left */

static bool turn_take(void)
{
	return !atomic_exchange_explicit(&turn_taken, true, memory_order_acquire);
}

static void turn_leave(void)
{
	atomic_store_explicit(&turn_taken, false, memory_order_release);
}

/* NULL: never online. */
static struct mcache *cache_of(unsigned cpu)
{
	/* acquire: pairs with the release in mcache_online() */
	return atomic_load_explicit(&mcaches[cpu], memory_order_acquire);
}

/* relaxed, both: rings change while nobody records, and by who has the turn */
static struct trace_ring *ring_of(unsigned cpu)
{
	struct mcache *cache = cache_of(cpu);

	return cache ? atomic_load_explicit(&cache->trace.ring, memory_order_relaxed) : NULL;
}

static void ring_set(unsigned cpu, struct trace_ring *ring)
{
	atomic_store_explicit(&cache_of(cpu)->trace.ring, ring, memory_order_relaxed);
}

static struct trace_ring *ring_new(unsigned cpu, size_t capacity)
{
	size_t bytes = sizeof(struct trace_ring) + capacity * sizeof(struct slate_trace_event);
	size_t pages = bytes_to_pages(bytes);
	const struct slate_page_constraints mapped = {
		.max = (uint64_t)directmap_end.v << SLATE_PAGE_SHIFT,
		.node = SLATE_ANY_NODE,
	};
	pfn_t pfn = slate_page_alloc(pages, &mapped);

	if (pfn_is_none(pfn))
		return NULL;
	struct trace_ring *ring = pfn_to_virt(pfn);

	atomic_init(&ring->head, 0);
	ring->capacity = capacity;
	ring->pages = pages;
	ring->cursor = 0;
	ring->cpu = (uint16_t)cpu;
	return ring;
}

static void rings_free(void)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		struct trace_ring *ring = ring_of(cpu);

		if (ring) {
			ring_set(cpu, NULL);
			slate_page_free(virt_to_pfn(ring), ring->pages);
		}
	}
}

/* How many; 0 when there is no memory for one, and then there is none. */
static unsigned rings_make(size_t capacity)
{
	unsigned made = 0;

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		struct mcache *cache = cache_of(cpu);

		/* acquire: pairs with the releases in mcache_online() and mcache_offline() */
		if (!cache || !atomic_load_explicit(&cache->online, memory_order_acquire))
			continue;
		struct trace_ring *ring = ring_new(cpu, capacity);

		if (!ring) {
			rings_free();
			return 0;
		}
		ring_set(cpu, ring);
		made++;
	}
	return made;
}

static int start(size_t events_per_cpu)
{
	size_t capacity = EVENTS_MIN;

	while (capacity < events_per_cpu)
		capacity *= 2;
	if (trace_is_on())
		return SLATE_EBUSY;
	rings_free();
	if (rings_make(capacity) == 0)
		return SLATE_ENOMEM;
	trace_switch_bare();
	slate_flush();
	trace_switch_on();
	/* and once more at each CPU's next slow path, for what was in the middle of an exchange */
	mcache_ask_drain();
	return SLATE_OK;
}

int slate_trace_start(size_t events_per_cpu)
{
	if (!SLATE_TRACE)
		return SLATE_ENOENT;
	if (events_per_cpu == 0 || events_per_cpu > EVENTS_MAX)
		return SLATE_EINVAL;
	if (!init_check("slate_trace_start") || !mcache_any_online)
		return SLATE_ESTAGE;
	if (!turn_take())
		return SLATE_EBUSY;
	int status = start(events_per_cpu);

	turn_leave();
	return status;
}

void slate_trace_stop(void)
{
	trace_switch_off();
}

/* ---- Writing: off everybody's path but a trace's ---- */

void *object_alloc_traced(size_t size_bytes, size_t align_bytes, unsigned flags, const void *caller)
{
	void *object = object_alloc(size_bytes, align_bytes, flags, caller);

	trace_alloc(object, size_bytes, caller);
	return object;
}

void object_free_traced(void *object, const void *caller)
{
	trace_free(object, caller);
	if (object)
		object_free(object);
}

/* ---- Reading ---- */

static size_t oldest(const struct trace_ring *ring)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	return head > ring->capacity ? head - ring->capacity : 0;
}

/* The ring whose next event has the lowest number; NULL: all are read. */
static struct trace_ring *ring_first(void)
{
	struct trace_ring *first = NULL;
	uint32_t lowest = 0;

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		struct trace_ring *ring = ring_of(cpu);

		if (!ring ||
		    ring->cursor == atomic_load_explicit(&ring->head, memory_order_relaxed))
			continue;
		uint32_t number = ring->events[ring->cursor & (ring->capacity - 1)].number;

		/* numbers wrap; what is kept lies close together */
		if (!first || (int32_t)(number - lowest) < 0) {
			first = ring;
			lowest = number;
		}
	}
	return first;
}

size_t slate_trace_walk(bool (*fn)(const struct slate_trace_event *event, void *arg), void *arg)
{
	struct trace_ring *ring;
	size_t count = 0;

	if (trace_is_on() || !turn_take())
		return 0;
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		ring = ring_of(cpu);
		if (ring)
			ring->cursor = oldest(ring);
	}
	while ((ring = ring_first()) != NULL) {
		count++;
		if (!fn(&ring->events[ring->cursor++ & (ring->capacity - 1)], arg))
			break;
	}
	turn_leave();
	return count;
}

void slate_trace_discard(void)
{
	if (trace_is_on() || !turn_take())
		return;
	rings_free();
	turn_leave();
}

void slate_trace_info(struct slate_trace_info *info)
{
	size_t homeless = atomic_load_explicit(&trace_homeless, memory_order_relaxed);

	*info = (struct slate_trace_info){
		.on = trace_is_on(), .recorded = homeless, .lost = homeless};
	if (!turn_take())
		return;
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		const struct trace_ring *ring = ring_of(cpu);

		if (!ring)
			continue;
		info->recorded += atomic_load_explicit(&ring->head, memory_order_relaxed);
		info->lost += oldest(ring);
		info->bytes += ring->pages << SLATE_PAGE_SHIFT;
	}
	turn_leave();
}
