/* SPDX-License-Identifier: MIT */
/*
 * whois.c (level 9) - from any address to what lies there, and who has it. The class byte of the
 * frame leads to the span, the span's bits tell whether an object is out, and a look through all
 * magazines whether it only waits there for the next allocation. And, in debug builds, the way
 * back: all that somebody has.
 */
#include <slate/whois.h>

#include "lib/printf.h"
#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/mcache.h"
#include "mm/mheap.h"
#include "mm/witness.h"

/* ---- Magazines ---- */

/* A slot of a magazine of the class holds value: then it is free, and who holds it says where. */
static void find_in_magazines(struct slate_whois *who, unsigned class, const void *value)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		/* acquire: pairs with the release in mcache_online() */
		struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_acquire);

		if (cache && mcache_holds(cache, class, value)) {
			who->holder = SLATE_HELD_BY_CPU;
			who->cpu = cpu;
			return;
		}
	}
	if (!mcache_any_online && mcache_holds(&mcache_boot, class, value)) {
		who->holder = SLATE_HELD_BY_CPU;
		who->cpu = 0;
	} else if (mcache_depot_holds(class, value)) {
		who->holder = SLATE_HELD_BY_DEPOT;
	}
}

/* ---- Witnesses ---- */

#if SLATE_DEBUG

_Static_assert(SLATE_EVENT_DEPTH == WITNESS_DEPTH, "the same stacks");

static struct slate_event event_of(const struct witness_event *event)
{
	struct slate_event copy = {
		.known = event->known,
		.cpu = event->cpu,
		.tick = event->tick,
		.depth = event->depth <= WITNESS_DEPTH ? event->depth : WITNESS_DEPTH,
	};

	for (size_t i = 0; i < copy.depth; i++)
		copy.pcs[i] = event->pcs[i];
	return copy;
}

/* What its record says. A stack's tells no state: its span does. */
static void ask_witness(struct slate_whois *who, const struct mspan *span)
{
	const struct witness *witness = who->object ? witness_of(span, who->object) : NULL;

	if (!witness)
		return;
	enum witness_state state = witness_state(witness);

	who->allocated = event_of(&witness->allocated);
	who->freed = event_of(&witness->freed);
	who->asked_known = state != WITNESS_NONE;
	who->asked_bytes = witness->size_bytes;
	if (state == WITNESS_ASIDE || state == WITNESS_FREED)
		who->holder = SLATE_HELD_BY_QUARANTINE;
	else if (state == WITNESS_LOST)
		who->holder = SLATE_HELD_BY_REPORT;
	else if (state == WITNESS_HOME && who->kind == SLATE_WHOIS_LARGE)
		who->holder = SLATE_HELD_BY_NOBODY;
}

#else

static void ask_witness(struct slate_whois *who, const struct mspan *span)
{
	(void)who;
	(void)span;
}

#endif

/* ---- Kinds ---- */

static void ask_frame(struct slate_whois *who, pfn_t pfn)
{
	struct pagealloc_run run = {.pages = 0};

	for (unsigned node = 0; node < mheap_node_count() && run.pages == 0; node++)
		run = pagealloc_run_at(&mheaps[node].pages, pfn, 1);
	who->kind = run.released ? SLATE_WHOIS_RELEASED
		    : run.free   ? SLATE_WHOIS_FREE
				 : SLATE_WHOIS_FRAME;
	who->object = (uintptr_t)pfn_to_virt(pfn);
	who->object_bytes = SLATE_PAGE_SIZE;
	who->holder = run.free ? SLATE_HELD_BY_NOBODY : SLATE_HELD_BY_CALLER;
	if (!run.free)
		find_in_magazines(who, PAGECLASS_FRAME, frame_to_slot(pfn));
}

static void ask_stack(struct slate_whois *who, const struct mspan *span, uintptr_t addr)
{
	unsigned class = arena_class(virt_to_pfn(mheap_manual_start(span)));

	who->object = (uintptr_t)mheap_manual_start(span);
	who->object_bytes = span->elem_bytes;
	who->kind = addr < who->object ? SLATE_WHOIS_GUARD : SLATE_WHOIS_STACK;
	who->holder = SLATE_HELD_BY_CALLER;
	ask_witness(who, span);
	if (class - PAGECLASS_STACK_HEAD < SLATE_STACK_ORDERS)
		find_in_magazines(who, MCACHE_STACK + (class - PAGECLASS_STACK_HEAD),
				  (void *)who->object);
}

static void ask_object(struct slate_whois *who, const struct mspan *span, uintptr_t addr)
{
	who->span_class = span->span_class;
	who->objects = span->elem_count;
	who->object_bytes = span->elem_bytes;
	who->object = mspan_object_start(span, addr);
	who->kind = who->object ? SLATE_WHOIS_OBJECT : SLATE_WHOIS_TAIL;
	if (!who->object)
		return;
	who->number = mspan_object_number(span, addr);
	if (!mspan_is_taken(span, who->object)) {
		ask_witness(who, span);
		return;
	}
	who->holder = SLATE_HELD_BY_CALLER;
	find_in_magazines(who, span->span_class, (void *)who->object);
	ask_witness(who, span);
}

static void ask_span(struct slate_whois *who, const struct mspan *span, uintptr_t addr)
{
	who->span_base = span->base;
	who->span_pages = span->pages;
	if (span->span_class == PAGECLASS_STACK) {
		ask_stack(who, span, addr);
	} else if (span->span_class == PAGECLASS_LARGE) {
		who->kind = SLATE_WHOIS_LARGE;
		who->holder = SLATE_HELD_BY_CALLER;
		who->object = span->base;
		who->object_bytes = span->elem_bytes;
		who->objects = 1;
		ask_witness(who, span);
	} else {
		ask_object(who, span, addr);
	}
}

void slate_whois(const void *address, struct slate_whois *who)
{
	pfn_t pfn = virt_to_pfn(address);
	unsigned class = arena_class(pfn);
	const struct mspan *span = NULL;

	*who = (struct slate_whois){.kind = SLATE_WHOIS_FOREIGN};
	if (class == PAGECLASS_NONE)
		return;
	if (class == PAGECLASS_META) {
		who->kind = SLATE_WHOIS_METADATA;
		return;
	}
	if (class != PAGECLASS_FREE)
		span = arena_span(pfn);
	/* an address between two looks: the span went, its frames are free or somebody else's */
	if (span && (uintptr_t)address - span->base < span->pages << SLATE_PAGE_SHIFT)
		ask_span(who, span, (uintptr_t)address);
	else
		ask_frame(who, pfn);
}

/* ---- Text ---- */

static const char *holder_text(const struct slate_whois *who, char *buf, size_t size_bytes)
{
	switch (who->holder) {
	case SLATE_HELD_BY_CALLER:
		return "taken";
	case SLATE_HELD_BY_CPU:
		fmt_snprintf(buf, size_bytes, "free, cached on CPU %u", who->cpu);
		return buf;
	case SLATE_HELD_BY_DEPOT:
		return "free, cached in the depot";
	case SLATE_HELD_BY_QUARANTINE:
		return "free, in quarantine";
	case SLATE_HELD_BY_REPORT:
		return "given up after a report";
	case SLATE_HELD_BY_NOBODY:
		break;
	}
	return "free";
}

/* The holder, and what its owner asked for. */
static const char *held_text(const struct slate_whois *who, char *buf, size_t size_bytes)
{
	char holder[40];
	const char *text = holder_text(who, holder, sizeof(holder));

	if (!who->asked_known)
		fmt_snprintf(buf, size_bytes, "%s", text);
	else
		fmt_snprintf(buf, size_bytes, "%s, asked for %zu bytes", text, who->asked_bytes);
	return buf;
}

size_t slate_event_format(char *buf, size_t size_bytes, const char *what,
			  const struct slate_event *event)
{
	size_t length =
		(size_t)fmt_snprintf(buf, size_bytes, "%s on CPU %u at %lu, called from:", what,
				     event->cpu, (unsigned long)event->tick);

	for (size_t i = 0; i < event->depth; i++) {
		size_t used = length < size_bytes ? length : size_bytes;

		length += (size_t)fmt_snprintf(buf + used, size_bytes - used, " 0x%zx",
					       (size_t)event->pcs[i]);
	}
	return length;
}

size_t slate_whois_format(char *buf, size_t size_bytes, const void *address,
			  const struct slate_whois *who)
{
	static const char *const plain[SLATE_WHOIS_KINDS] = {
		[SLATE_WHOIS_FOREIGN] = "not ours",
		[SLATE_WHOIS_FREE] = "a free frame",
		[SLATE_WHOIS_RELEASED] = "a free frame, given back",
		[SLATE_WHOIS_METADATA] = "the allocator's own",
	};
	unsigned long long addr = (uintptr_t)address, object = who->object, span = who->span_base;
	unsigned long long inside = addr - object;
	char held[80];
	const char *holder = held_text(who, held, sizeof(held));

	switch (who->kind) {
	case SLATE_WHOIS_FRAME:
		return (size_t)fmt_snprintf(buf, size_bytes, "0x%llx: a frame, %s", addr, holder);
	case SLATE_WHOIS_OBJECT:
		return (size_t)fmt_snprintf(buf, size_bytes,
					    "0x%llx: %llu bytes into object %zu of %zu, %zu bytes "
					    "at 0x%llx, class %u, span 0x%llx+%zu: %s",
					    addr, inside, who->number, who->objects,
					    who->object_bytes, object, who->span_class, span,
					    who->span_pages, holder);
	case SLATE_WHOIS_TAIL:
		return (size_t)fmt_snprintf(buf, size_bytes,
					    "0x%llx: behind the last of %zu objects, class %u, "
					    "span 0x%llx+%zu",
					    addr, who->objects, who->span_class, span,
					    who->span_pages);
	case SLATE_WHOIS_LARGE:
		return (size_t)fmt_snprintf(buf, size_bytes,
					    "0x%llx: %llu bytes into a large object, %zu bytes at "
					    "0x%llx: %s",
					    addr, inside, who->object_bytes, object, holder);
	case SLATE_WHOIS_STACK:
		return (size_t)fmt_snprintf(buf, size_bytes,
					    "0x%llx: %llu bytes into a stack, %zu bytes at 0x%llx: "
					    "%s",
					    addr, inside, who->object_bytes, object, holder);
	case SLATE_WHOIS_GUARD:
		return (size_t)fmt_snprintf(buf, size_bytes,
					    "0x%llx: the guard of a stack, %zu bytes at 0x%llx: %s",
					    addr, who->object_bytes, object, holder);
	default:
		return (size_t)fmt_snprintf(buf, size_bytes, "0x%llx: %s", addr,
					    who->kind < SLATE_WHOIS_KINDS ? plain[who->kind]
									  : "unknown");
	}
}

/* ---- Everything that is held ---- */

#if SLATE_DEBUG

struct held_walk {
	bool (*fn)(const struct slate_held *held, void *arg);
	void *arg;
	bool goes_on;
};

/* Does somebody have it? Spans of stacks tell it themselves. */
static bool is_held(const struct mspan *span, const struct witness *witness)
{
	return span->page_class == PAGECLASS_STACK ? mspan_state(span) == MSPAN_IN_USE
						   : witness_state(witness) == WITNESS_TAKEN;
}

/* An object that changes hands meanwhile is passed over. */
static bool tell_held(const struct mspan *span, struct witness *witness, uintptr_t object,
		      const struct held_walk *walk)
{
	/* acquire, both: pair with the release of who changes the record (witness.c) */
	uint32_t before = atomic_load_explicit(&witness->changes, memory_order_acquire);
	struct slate_held held = {.object = (const void *)object,
				  .size_bytes = witness->size_bytes,
				  .allocated = event_of(&witness->allocated)};

	if (span->page_class == PAGECLASS_STACK)
		held.size_bytes = span->elem_bytes;
	if (!is_held(span, witness) ||
	    atomic_load_explicit(&witness->changes, memory_order_acquire) != before)
		return true;
	return walk->fn(&held, walk->arg);
}

static bool walk_held(struct mspan *span, void *arg)
{
	struct held_walk *walk = arg;
	uintptr_t start = span->page_class == PAGECLASS_STACK ? (uintptr_t)mheap_manual_start(span)
							      : span->base;

	for (size_t i = 0; span->witnesses && i < span->elem_count && walk->goes_on; i++)
		walk->goes_on = tell_held(span, &span->witnesses->list[i],
					  start + i * span->elem_bytes, walk);
	return walk->goes_on;
}

void slate_held_walk(bool (*fn)(const struct slate_held *held, void *arg), void *arg)
{
	struct held_walk walk = {.fn = fn, .arg = arg, .goes_on = true};

	for (unsigned node = 0; node < mheap_node_count() && walk.goes_on; node++)
		mheap_for_each_span(node, walk_held, &walk);
}

#else

void slate_held_walk(bool (*fn)(const struct slate_held *held, void *arg), void *arg)
{
	(void)fn;
	(void)arg;
}

#endif
