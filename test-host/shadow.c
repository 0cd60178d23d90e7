/* SPDX-License-Identifier: MIT */
/* shadow.c - random operations on the allocator, each checked against what the model knows. */
#include "test-host/shadow.h"

#include <stdbool.h>
#include <string.h>

#define FAIL(...) host_fail(__FILE__, __LINE__, __VA_ARGS__)

void shadow_init(struct shadow *shadow, struct host_random random, size_t limit_bytes,
		 unsigned cpus)
{
	memset(shadow, 0, sizeof(*shadow));
	shadow->random = random;
	shadow->limit_bytes = limit_bytes;
	shadow->cpus = cpus;
	shadow_more_init(shadow);
}

/* ---- Content: the token at both ends and at steps between ---- */

/* Far enough apart to be quick, near enough to hit every object and cache line of small ones. */
#define TOKEN_STEP 256

static unsigned char token_byte(uint64_t token, size_t at)
{
	return (unsigned char)((token >> (at % 8 * 8)) + at / 8);
}

static void write_one(struct shadow_object *object, size_t at)
{
	object->start[at] = (char)token_byte(object->token, at);
}

static void check_one(const struct shadow_object *object, size_t at, uint64_t token)
{
	unsigned char seen = (unsigned char)object->start[at];

	if (seen != token_byte(token, at))
		FAIL("object %p of %zu bytes: byte %zu is 0x%02x instead of 0x%02x",
		     (void *)object->start, object->size_bytes, at, seen, token_byte(token, at));
}

/* Every offset at which content is kept, of an object of that size: all of its first and last 16
 * bytes, and steps. */
static size_t next_offset(size_t at, size_t size_bytes)
{
	at++;
	if (at < 16 || at + 16 >= size_bytes)
		return at;
	at = (at + TOKEN_STEP - 1) / TOKEN_STEP * TOKEN_STEP;
	return at + 16 < size_bytes ? at : size_bytes - 16;
}

static void write_content(struct shadow *shadow, struct shadow_object *object)
{
	object->token = host_random(&shadow->random);
	for (size_t at = 0; at < object->size_bytes; at = next_offset(at, object->size_bytes))
		write_one(object, at);
}

static void check_content(const struct shadow_object *object)
{
	for (size_t at = 0; at < object->size_bytes; at = next_offset(at, object->size_bytes))
		check_one(object, at, object->token);
}

void shadow_check_zero(const char *start, size_t size_bytes)
{
	for (size_t at = 0; at < size_bytes; at++)
		if (start[at] != 0)
			FAIL("zeroed object %p: byte %zu of %zu is not zero", (const void *)start,
			     at, size_bytes);
}

/* ---- Taking ---- */

static void act_as_some_cpu(struct shadow *shadow)
{
	host_cpu_set((unsigned)host_random_below(&shadow->random, shadow->cpus));
}

struct shadow_object *shadow_free_slot(struct shadow *shadow)
{
	size_t i = host_random_below(&shadow->random, SHADOW_MAX);

	for (size_t n = 0; n < SHADOW_MAX; n++, i = (i + 1) % SHADOW_MAX)
		if (!shadow->objects[i].start)
			return &shadow->objects[i];
	return NULL;
}

struct shadow_object *shadow_live_slot(struct shadow *shadow)
{
	size_t i = host_random_below(&shadow->random, SHADOW_MAX);

	for (size_t n = 0; n < SHADOW_MAX; n++, i = (i + 1) % SHADOW_MAX)
		if (shadow->objects[i].start)
			return &shadow->objects[i];
	return NULL;
}

/* Mostly small, some of every class, few large; sizes next to powers of two more often. */
size_t shadow_random_size(struct shadow *shadow)
{
	unsigned log2 = (unsigned)host_random_below(&shadow->random, 12);
	uint64_t kind = host_random_below(&shadow->random, 64);
	size_t size;

	if (kind == 0)
		return host_random_below(&shadow->random, 300000);
	if (kind < 4)
		log2 += 4;
	size = (size_t)1 << log2;
	if (kind < 16)
		return size + host_random_below(&shadow->random, 3) - 1;
	return size + host_random_below(&shadow->random, size);
}

/* A fresh object: no live one shares a byte. The content check of the other would tell, too, but
 * later. */
static void check_overlap(const struct shadow *shadow, const struct shadow_object *fresh)
{
	uintptr_t start = (uintptr_t)fresh->start;
	uintptr_t end = start + fresh->size_bytes;

	for (size_t i = 0; i < SHADOW_MAX; i++) {
		const struct shadow_object *object = &shadow->objects[i];
		uintptr_t other = (uintptr_t)object->start;

		if (object != fresh && object->start && other < end &&
		    start < other + object->size_bytes)
			FAIL("object %p of %zu bytes overlaps %p of %zu bytes",
			     (void *)fresh->start, fresh->size_bytes, (void *)object->start,
			     object->size_bytes);
	}
}

void shadow_enter(struct shadow *shadow, struct shadow_object *slot, enum shadow_kind kind,
		  void *start, size_t size_bytes)
{
	slot->kind = kind;
	slot->start = start;
	slot->size_bytes = size_bytes;
	slot->pages = size_bytes >> SLATE_PAGE_SHIFT;
	shadow->live++;
	shadow->live_bytes += size_bytes;
	if (shadow->live % 8 == 0)
		check_overlap(shadow, slot);
	write_content(shadow, slot);
}

static void check_shape(const char *start, size_t size_bytes, size_t align_bytes)
{
	uintptr_t address = (uintptr_t)start;
	size_t usable = slate_usable_size(start);

	if (address % align_bytes)
		FAIL("object %p of %zu bytes is not aligned to %zu", (const void *)start,
		     size_bytes, align_bytes);
	if (usable < size_bytes)
		FAIL("object %p holds %zu bytes instead of %zu", (const void *)start, usable,
		     size_bytes);
}

/* What size_bytes alone promises. */
static size_t promised_align(size_t size_bytes)
{
	if (size_bytes >= 8 && (size_bytes & (size_bytes - 1)) == 0)
		return size_bytes;
	return size_bytes && size_bytes % 16 == 0 ? 16 : 8;
}

/* The same of an object that may be tiny. */
static size_t tiny_align(size_t size_bytes)
{
	return size_bytes - 1 < 7 ? size_bytes & (~size_bytes + 1) : 8;
}

static void step_alloc(struct shadow *shadow)
{
	size_t size_bytes = shadow_random_size(shadow);
	size_t align_bytes = promised_align(size_bytes);
	struct shadow_object *slot = shadow_free_slot(shadow);
	bool zero = false;
	char *start;

	if (!slot)
		return;
	switch (host_random_below(&shadow->random, 8)) {
	case 0:
		start = slate_zalloc(size_bytes);
		zero = true;
		break;
	case 1:
		start = slate_calloc(size_bytes / 8 + 1, 8);
		size_bytes = (size_bytes / 8 + 1) * 8;
		align_bytes = promised_align(size_bytes);
		zero = true;
		break;
	case 2:
		align_bytes = (size_t)1 << host_random_below(&shadow->random, 14);
		start = slate_alloc_aligned(size_bytes, align_bytes, 0);
		break;
	case 3:
		start = slate_alloc_flags(size_bytes, SLATE_NOSCAN);
		if (size_bytes < 8)
			align_bytes = tiny_align(size_bytes);
		break;
	default:
		start = slate_alloc(size_bytes);
		break;
	}
	if (!start) {
		shadow->refused++;
		return;
	}
	check_shape(start, size_bytes, align_bytes);
	if (zero)
		shadow_check_zero(start, size_bytes);
	shadow_enter(shadow, slot, SHADOW_OBJECT, start, size_bytes);
}

static void step_page_alloc(struct shadow *shadow)
{
	size_t pages = 1 + host_random_below(&shadow->random,
					     host_random_below(&shadow->random, 8) ? 4 : 64);
	struct slate_page_constraints constraints = {
		.align_bytes = SLATE_PAGE_SIZE << host_random_below(&shadow->random, 5),
		.node = SLATE_ANY_NODE,
		.flags = SLATE_ZERO,
	};
	bool constrained = host_random_below(&shadow->random, 4) == 0;
	struct shadow_object *slot = shadow_free_slot(shadow);
	pfn_t pfn;

	if (!slot)
		return;
	pfn = slate_page_alloc(pages, constrained ? &constraints : NULL);
	if (pfn_is_none(pfn)) {
		shadow->refused++;
		return;
	}
	char *start = slate_virt(pfn_to_paddr(pfn));

	if (constrained && pfn_to_paddr(pfn).v % constraints.align_bytes)
		FAIL("frame run %p is not aligned", (void *)start);
	if (constrained)
		shadow_check_zero(start, pages << SLATE_PAGE_SHIFT);
	shadow_enter(shadow, slot, SHADOW_RUN, start, pages << SLATE_PAGE_SHIFT);
}

/* ---- Giving ---- */

void shadow_leave(struct shadow *shadow, struct shadow_object *slot)
{
	check_content(slot);
	shadow->live--;
	shadow->live_bytes -= slot->size_bytes;
	slot->start = NULL;
}

static void free_pages(struct shadow *shadow, struct shadow_object *slot)
{
	pfn_t pfn = paddr_to_pfn(slate_phys(slot->start));
	size_t pages = slot->pages;
	size_t first = host_random_below(&shadow->random, pages);

	shadow_leave(shadow, slot);
	/* In two parts, the upper first: runs return in any parts. */
	slate_page_free(pfn_add(pfn, first), pages - first);
	if (first)
		slate_page_free(pfn, first);
}

void shadow_free_one(struct shadow *shadow, struct shadow_object *slot)
{
	char *start = slot->start;
	size_t usable;

	if (slot->kind == SHADOW_RUN) {
		free_pages(shadow, slot);
		return;
	}
	if (slot->kind != SHADOW_OBJECT) {
		shadow_more_free(shadow, slot);
		return;
	}
	shadow_leave(shadow, slot);
	if (host_random_below(&shadow->random, 4)) {
		slate_free(start);
		return;
	}
	usable = slate_usable_size(start);
	slate_free_sized(start, usable);
}

static void step_free(struct shadow *shadow)
{
	struct shadow_object *slot = shadow_live_slot(shadow);

	if (slot)
		shadow_free_one(shadow, slot);
}

static void step_realloc(struct shadow *shadow)
{
	struct shadow_object *slot = shadow_live_slot(shadow);
	struct shadow_object old;
	size_t size_bytes;
	char *start;

	if (!slot || slot->kind != SHADOW_OBJECT)
		return;
	old = *slot;
	check_content(slot);
	size_bytes = shadow_random_size(shadow) + 1;
	start = slate_realloc(old.start, size_bytes);
	if (!start) {
		shadow->refused++;
		check_content(slot);
		return;
	}
	/* a tiny object may become another one */
	check_shape(start, size_bytes, old.size_bytes < 8 ? tiny_align(size_bytes) : 8);
	/* What is kept still says what was written before; offsets depend on the old size. */
	old.start = start;
	for (size_t at = 0; at < old.size_bytes && at < size_bytes;
	     at = next_offset(at, old.size_bytes))
		check_one(&old, at, old.token);
	shadow->live--;
	shadow->live_bytes -= old.size_bytes;
	shadow_enter(shadow, slot, SHADOW_OBJECT, start, size_bytes);
}

void shadow_step(struct shadow *shadow)
{
	uint64_t kind = host_random_below(&shadow->random, 1000);
	bool crowded = shadow->live_bytes > shadow->limit_bytes || shadow->live == SHADOW_MAX;

	act_as_some_cpu(shadow);
	if (kind < 2)
		slate_flush();
	else if (kind < 60)
		step_realloc(shadow);
	else if (kind < 100 && !crowded)
		step_page_alloc(shadow);
	else if (kind < 160)
		shadow_more_step(shadow);
	else if (kind < 190 && !crowded)
		shadow_calls_step(shadow);
	else if (kind < 580 && !crowded)
		step_alloc(shadow);
	else
		step_free(shadow);
}

void shadow_check(const struct shadow *shadow)
{
	for (size_t i = 0; i < SHADOW_MAX; i++)
		if (shadow->objects[i].start)
			check_content(&shadow->objects[i]);
}

void shadow_drain(struct shadow *shadow)
{
	for (size_t i = 0; i < SHADOW_MAX; i++)
		if (shadow->objects[i].start)
			shadow_free_one(shadow, &shadow->objects[i]);
	shadow_more_drain(shadow);
	shadow_calls_drain();
	if (shadow->live || shadow->live_bytes)
		FAIL("the shadow is left with %zu objects", shadow->live);
}
