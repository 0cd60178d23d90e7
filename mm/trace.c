/* SPDX-License-Identifier: MIT */
/*
 * trace.c (level 7) - writes events. A writer has interrupts off and says so in `busy` of its CPU's
 * place before it looks at the switch once more; who switches off waits for all of them. So rings
 * are read and freed only when nobody writes, and readers need no lock. An NMI on top of a writer
 * gets the next place of the ring by the atomic head.
 */
#include "mm/trace.h"

#include <slate/port.h>

#include "mm/directmap.h"
#include "mm/mcache.h"
#include "mm/mcache_source.h"
#include "mm/mheap.h"
#include "mm/percpu.h"

_Atomic uint8_t trace_state;
_Atomic size_t trace_homeless;
static _Atomic uint32_t numbers; /* (a) relaxed, of all CPUs: order comes from what the numbers
				    enclose */

static void write_event(struct trace_ring *ring, const struct slate_trace_event *event)
{
	if (!ring) {
		atomic_fetch_add_explicit(&trace_homeless, 1, memory_order_relaxed);
		return;
	}
	/* relaxed: readers wait for `busy` */
	size_t at = atomic_fetch_add_explicit(&ring->head, 1, memory_order_relaxed);
	struct slate_trace_event *place = &ring->events[at & (ring->capacity - 1)];

	*place = *event;
	place->cpu = ring->cpu;
}

static uint32_t note(struct slate_trace_event *event)
{
	unsigned long irq;
	struct mcache *cache = percpu_hold(&irq);
	struct trace_place *place = &cache->trace;

	event->tick = port_tick();
	/* sequentially consistent, both: with the store and the load in trace_switch_off(), either
	 * it sees this writer or this writer sees that it is off */
	atomic_fetch_add_explicit(&place->busy, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&trace_state, memory_order_seq_cst) == TRACE_ON) {
		event->number = atomic_fetch_add_explicit(&numbers, 1, memory_order_relaxed);
		/* relaxed: set before the switch */
		write_event(atomic_load_explicit(&place->ring, memory_order_relaxed), event);
	}
	/* release: pairs with the load in trace_switch_off() */
	atomic_fetch_sub_explicit(&place->busy, 1, memory_order_release);
	percpu_let_go(irq);
	return event->number;
}

uint32_t trace_note(enum slate_trace_kind kind, uint64_t address, size_t size_bytes,
		    const void *caller)
{
	struct slate_trace_event event = {
		.kind = (uint8_t)kind,
		.address = address,
		.size_bytes = size_bytes,
		.caller = (uintptr_t)caller,
	};

	return note(&event);
}

void trace_note_linked(enum slate_trace_kind kind, uint64_t address, size_t size_bytes,
		       const void *caller, uint32_t link)
{
	struct slate_trace_event event = {
		.kind = (uint8_t)kind,
		.address = address,
		.size_bytes = size_bytes,
		.caller = (uintptr_t)caller,
		.link = link,
	};

	note(&event);
}

static uint64_t run_address(void *slot)
{
	return slot ? pfn_to_paddr(slot_to_frame(slot)).v : ~(uint64_t)0;
}

void *trace_index_alloc(unsigned class, void *value, const void *caller)
{
	size_t size_bytes = mcache_object_bytes(class);

	if (mcache_is_run(class))
		trace_note(SLATE_TRACE_PAGE_ALLOC, run_address(value), size_bytes, caller);
	else
		trace_note(SLATE_TRACE_ALLOC, (uintptr_t)value, size_bytes, caller);
	return value;
}

void trace_index_give(unsigned class, void *value, const void *caller)
{
	if (mcache_is_run(class))
		trace_note(SLATE_TRACE_PAGE_FREE, run_address(value), mcache_object_bytes(class),
			   caller);
	else
		trace_note(SLATE_TRACE_FREE, (uintptr_t)value, 0, caller);
}

void trace_switch_bare(void)
{
	/* relaxed: each CPU sees it when it is drained at the latest */
	atomic_store_explicit(&trace_state, TRACE_BARE, memory_order_relaxed);
}

void trace_switch_on(void)
{
	atomic_store_explicit(&numbers, 0, memory_order_relaxed);
	atomic_store_explicit(&trace_homeless, 0, memory_order_relaxed);
	/* sequentially consistent: pairs with the load in note(), which then sees its ring */
	atomic_store_explicit(&trace_state, TRACE_ON, memory_order_seq_cst);
}

void trace_switch_off(void)
{
	/* sequentially consistent, both: see note() */
	atomic_store_explicit(&trace_state, TRACE_OFF, memory_order_seq_cst);
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		/* acquire: pairs with the release in mcache_online() */
		struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_acquire);

		while (cache && atomic_load_explicit(&cache->trace.busy, memory_order_seq_cst) > 0)
			port_relax();
	}
}

void trace_reset(void)
{
	atomic_store_explicit(&trace_state, TRACE_OFF, memory_order_relaxed);
}
