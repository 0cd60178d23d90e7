/* SPDX-License-Identifier: MIT */
/*
 * fixalloc.c (level 2) - fixed-size metadata objects. Freed ones are chained through their first
 * word; debug builds fill the rest with POISON_METADATA and look at it again when the object is
 * handed out.
 */
#include "mm/fixalloc.h"

#include "lib/bits.h"
#include "mm/mmdebug.h"

/* Conservation, under the lock: every object of every chunk is in use, on the free list, or above
 * bump. */

void fixalloc_init(struct fixalloc *fa, const char *name, size_t elem_bytes, size_t align_bytes)
{
	MM_ASSERT(bits_is_pow2(align_bytes));
	MM_ASSERT(elem_bytes > 0);

	/* Room and alignment for the chain's pointer. */
	if (align_bytes < sizeof(void *))
		align_bytes = sizeof(void *);
	mm_lock_init(&fa->lock, RANK_FIXALLOC);
	fa->free_list = NULL;
	fa->bump = 0;
	fa->bump_end = 0;
	fa->elem_bytes = align_up(elem_bytes, align_bytes);
	fa->align_bytes = align_bytes;
	fa->kept_bytes = sizeof(void *);
	fa->in_use = 0;
	fa->chunk_bytes = 0;
	fa->name = name;
}

void fixalloc_keep(struct fixalloc *fa, size_t size_bytes)
{
	MM_ASSERT(size_bytes >= sizeof(void *) && size_bytes <= fa->elem_bytes);
	MM_ASSERT(fa->chunk_bytes == 0);
	fa->kept_bytes = size_bytes;
}

static void push_locked(struct fixalloc *fa, void *object)
{
	mm_lock_assert_held(&fa->lock);
#if SLATE_DEBUG
	mm_poison((char *)object + fa->kept_bytes, POISON_METADATA,
		  fa->elem_bytes - fa->kept_bytes);
#endif
	*(void **)object = fa->free_list;
	fa->free_list = object;
}

static void *pop_locked(struct fixalloc *fa)
{
	void *object = fa->free_list;

	mm_lock_assert_held(&fa->lock);
	if (object) {
		fa->free_list = *(void **)object;
	} else if (fa->bump_end - fa->bump >= fa->elem_bytes) {
		object = (void *)fa->bump;
		fa->bump += fa->elem_bytes;
	} else {
		return NULL;
	}
	fa->in_use++;
	return object;
}

#if SLATE_DEBUG
static void check_poison(const struct fixalloc *fa, const void *object)
{
	const char *rest = (const char *)object + fa->kept_bytes;
	size_t rest_bytes = fa->elem_bytes - fa->kept_bytes;
	struct slate_report report = {
		.crime = SLATE_CRIME_CORRUPT,
		.call = fa->name,
		.detail = "freed metadata was written to",
		.object = (uintptr_t)object,
		.object_bytes = fa->elem_bytes,
	};
	size_t offset = mm_poison_check(rest, POISON_METADATA, rest_bytes);

	if (offset == rest_bytes)
		return;
	report.address = (uintptr_t)rest + offset;
	mm_report(&report);
}
#endif

void *fixalloc_alloc(struct fixalloc *fa)
{
	unsigned long irq_state = mm_lock_acquire(&fa->lock);
	bool recycled = fa->free_list != NULL;
	void *object = pop_locked(fa);

	mm_lock_release(&fa->lock, irq_state);
#if SLATE_DEBUG
	if (recycled)
		check_poison(fa, object);
#else
	(void)recycled;
#endif
	return object;
}

void fixalloc_free(struct fixalloc *fa, void *object)
{
	unsigned long irq_state;

	MM_ASSERT(object != NULL);
	MM_ASSERT(is_aligned((uintptr_t)object, fa->align_bytes));
	irq_state = mm_lock_acquire(&fa->lock);
	MM_ASSERT(fa->in_use > 0);
	push_locked(fa, object);
	fa->in_use--;
	mm_lock_release(&fa->lock, irq_state);
}

bool fixalloc_has_free(struct fixalloc *fa, const void *object)
{
	unsigned long irq_state = mm_lock_acquire(&fa->lock);
	void *free = fa->free_list;

	while (free && free != object)
		free = *(void **)free;
	mm_lock_release(&fa->lock, irq_state);
	return free != NULL;
}

static void feed_locked(struct fixalloc *fa, void *chunk, size_t size_bytes)
{
	uintptr_t start = align_up((uintptr_t)chunk, fa->align_bytes);
	uintptr_t end = (uintptr_t)chunk + size_bytes;

	mm_lock_assert_held(&fa->lock);
	if (start > end || start < (uintptr_t)chunk)
		return; /* too small to hold an aligned byte */
	for (; fa->bump_end - fa->bump >= fa->elem_bytes; fa->bump += fa->elem_bytes)
		push_locked(fa, (void *)fa->bump);
	fa->bump = start;
	fa->bump_end = end;
	fa->chunk_bytes += size_bytes;
}

void fixalloc_feed(struct fixalloc *fa, void *chunk, size_t size_bytes)
{
	unsigned long irq_state = mm_lock_acquire(&fa->lock);

	feed_locked(fa, chunk, size_bytes);
	mm_lock_release(&fa->lock, irq_state);
}

/* ---- Any context ---- */

bool fixalloc_try_stock(struct fixalloc *fa)
{
	unsigned long irq_state;
	bool some;

	if (!mm_lock_try(&fa->lock, &irq_state))
		return false;
	some = fa->free_list || fa->bump_end - fa->bump >= fa->elem_bytes;
	mm_lock_release(&fa->lock, irq_state);
	return some;
}

/* Nobody looks at the poison: a report would come out with the caller's locks held. */
static void *try_pop(struct fixalloc *fa)
{
	unsigned long irq_state;
	void *object;

	if (!mm_lock_try(&fa->lock, &irq_state))
		return NULL;
	object = pop_locked(fa);
	mm_lock_release(&fa->lock, irq_state);
	return object;
}

void *fixalloc_try_alloc(struct fixalloc *fa, struct fixalloc *with, void **second)
{
	unsigned long irq_state;
	void *object;

	if (!with)
		return try_pop(fa);
	/* held until the second one is there, so that the first can go back: a lock that was let go
	 * of may be busy by then */
	if (!mm_lock_try(&fa->lock, &irq_state))
		return NULL;
	object = pop_locked(fa);
	if (object)
		*second = try_pop(with);
	if (object && !*second) {
		push_locked(fa, object);
		fa->in_use--;
		object = NULL;
	}
	mm_lock_release(&fa->lock, irq_state);
	return object;
}

bool fixalloc_try_feed(struct fixalloc *fa, size_t size_bytes,
		       void *(*bring)(void *arg, size_t size_bytes, size_t align_bytes), void *arg)
{
	unsigned long irq_state;
	void *chunk;

	if (!mm_lock_try(&fa->lock, &irq_state))
		return false;
	chunk = bring(arg, size_bytes, fa->align_bytes);
	if (chunk)
		feed_locked(fa, chunk, size_bytes);
	mm_lock_release(&fa->lock, irq_state);
	return chunk != NULL;
}
