/* SPDX-License-Identifier: MIT */
/*
 * spanof.c (level 4) - address -> span, for any pointer.
 *
 * Span structs never become anything else, so one that is reached by a stale map entry can be read
 * at any time; what was read counts if the same span was alive before and after (its state, its
 * generation).
 */
#include "mm/spanof.h"

#include <slate/span.h>

#include "mm/directmap.h"

/* The fields of a span as they were at one moment. */
struct snapshot {
	uintptr_t base;
	size_t elem_bytes;
	size_t pages;
	uint32_t magic;
	uint16_t elem_count;
	uint8_t page_class;
	uint8_t node;
	bool noscan;
};

static bool holds(uintptr_t base, size_t pages, uintptr_t address)
{
	return address - base < pages << SLATE_PAGE_SHIFT;
}

struct mspan *spanof(const void *address)
{
	struct mspan *span = arena_span(virt_to_pfn(address));

	if (!span || mspan_state(span) == MSPAN_DEAD ||
	    !holds(span->base, span->pages, (uintptr_t)address))
		return NULL;
	return span;
}

static bool is_stack_class(unsigned class)
{
	return class == PAGECLASS_STACK || class - PAGECLASS_STACK_HEAD < SLATE_STACK_ORDERS;
}

struct mspan *spanof_heap(const void *address)
{
	struct mspan *span = spanof(address);

	return span && span->page_class != PAGECLASS_STACK ? span : NULL;
}

/* Classes whose frames only their span tells from others, and the special ones. */
static __attribute__((noinline)) bool special_in_heap(const void *address, unsigned class)
{
	switch (class) {
	case PAGECLASS_LARGE:
	case PAGECLASS_TINY:
	case PAGECLASS_TYPED:
		return true;
	case PAGECLASS_SLOW:
		return spanof_heap(address) != NULL;
	default:
		return false;
	}
}

bool slate_in_heap(const void *address)
{
	unsigned class = arena_class_at(address);

	if (class - 1u < PAGECLASS_SPAN_LAST)
		return true;
	return special_in_heap(address, class);
}

bool slate_in_heap_or_stack(const void *address)
{
	return is_stack_class(arena_class_at(address)) || slate_in_heap(address);
}
/*
 * Read what another CPU may be about to make another span of. The fence keeps the last look at
 * state and generation behind all that is read here. A span that dies does so (release) before its
 * struct goes through the lock of its fixalloc to whoever writes it anew, and there its generation
 * comes before its state (release). So what is torn is seen as dead, or as another generation.
 */
__attribute__((no_sanitize("thread"))) static bool
take_snapshot(const volatile struct mspan *span, struct snapshot *copy, enum mspan_state *state)
{
	*state = (enum mspan_state)atomic_load_explicit(&span->state, memory_order_acquire);

	uint32_t generation = atomic_load_explicit(&span->generation, memory_order_acquire);

	copy->base = span->base;
	copy->elem_bytes = span->elem_bytes;
	copy->pages = span->pages;
	copy->magic = span->magic;
	copy->elem_count = span->elem_count;
	copy->page_class = span->page_class;
	copy->node = span->node;
	copy->noscan = span->noscan;
	/* a large object may be resized meanwhile: of its lengths one counts */
	if (copy->page_class == PAGECLASS_LARGE)
		copy->elem_bytes = copy->pages << SLATE_PAGE_SHIFT;
	/* pairs with the two releases that are told above */
	atomic_thread_fence(memory_order_acquire);
	if (*state == MSPAN_DEAD ||
	    atomic_load_explicit(&span->state, memory_order_acquire) == MSPAN_DEAD)
		return false;
	return atomic_load_explicit(&span->generation, memory_order_relaxed) == generation;
}

/* Where the object starts that holds the address, 0: none does. */
static uintptr_t object_of(const struct snapshot *span, uintptr_t address)
{
	size_t offset = address - span->base;
	size_t index = (size_t)(((uint64_t)offset * span->magic) >> 32);

	if (span->page_class == PAGECLASS_LARGE)
		return span->base;
	if (span->page_class != PAGECLASS_STACK)
		return index < span->elem_count ? span->base + index * span->elem_bytes : 0;

	/* its usable part is the end */
	size_t guard_bytes = (span->pages << SLATE_PAGE_SHIFT) - span->elem_bytes;

	return offset >= guard_bytes ? span->base + guard_bytes : 0;
}

static enum slate_span_kind kind_of(const struct snapshot *span)
{
	return span->page_class == PAGECLASS_LARGE   ? SLATE_SPAN_LARGE
	       : span->page_class == PAGECLASS_STACK ? SLATE_SPAN_STACK
						     : SLATE_SPAN_OBJECTS;
}

bool slate_span_of(const void *address, struct slate_span_info *info)
{
	const struct mspan *span = arena_span(virt_to_pfn(address));
	struct snapshot copy;
	enum mspan_state state;

	if (!span || !take_snapshot(span, &copy, &state) ||
	    !holds(copy.base, copy.pages, (uintptr_t)address))
		return false;
	*info = (struct slate_span_info){
		.base = copy.base,
		.pages = copy.pages,
		.kind = kind_of(&copy),
		.state = mspan_state_name(state),
		.object_bytes = copy.elem_bytes,
		.object = object_of(&copy, (uintptr_t)address),
		.objects = copy.elem_count,
		.node = copy.node,
		.noscan = copy.noscan,
	};
	return true;
}

const char *slate_span_kind_name(enum slate_span_kind kind)
{
	static const char *const names[SLATE_SPAN_KINDS] = {"objects", "large", "stack"};

	return (unsigned)kind < SLATE_SPAN_KINDS ? names[kind] : "unknown";
}
