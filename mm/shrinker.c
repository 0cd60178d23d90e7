/* SPDX-License-Identifier: MIT */
/*
 * shrinker.c (level 8) - shrinkers in, out, and called.
 *
 * The lock guards the list, never a call. A walker that is inside a shrinker is counted there, and
 * a shrinker stays linked while anybody is, so the walker finds its way on.
 *
 * A shrinker that allocates must not make shrinkers run inside shrinkers, which has no end. So a
 * CPU is marked while it walks. Shortcoming: another task that comes to run there meanwhile does
 * without shrinkers, too.
 */
#include "mm/shrinker.h"

#include <stdatomic.h>

#include <slate/port.h>
#include <slate/shrinker.h>
#include <slate/slate.h>

#include "mm/init.h"
#include "mm/lockrank.h"

static struct mm_lock lock;          /* RANK_SHRINKER */
static struct slate_shrinker *first; /* (lock) in order of arrival */

static _Atomic bool walking[SLATE_MAX_CPUS]; /* (a) relaxed: a CPU's own mark */
static _Atomic size_t calls;                 /* (a) relaxed */
static _Atomic size_t freed_pages;           /* (a) relaxed */

void shrinker_init(void)
{
	mm_lock_init(&lock, RANK_SHRINKER);
	first = NULL;
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++)
		atomic_store_explicit(&walking[cpu], false, memory_order_relaxed);
	atomic_store_explicit(&calls, 0, memory_order_relaxed);
	atomic_store_explicit(&freed_pages, 0, memory_order_relaxed);
}

/* ---- The list ---- */

/* The link that points to it, or the last one, which is NULL. */
static struct slate_shrinker **link_of_locked(const struct slate_shrinker *shrinker)
{
	struct slate_shrinker **link = &first;

	mm_lock_assert_held(&lock);
	while (*link && *link != shrinker)
		link = &(*link)->next;
	return link;
}

int slate_shrinker_add(struct slate_shrinker *shrinker)
{
	struct slate_shrinker **link;
	unsigned long irq;
	int status = SLATE_EEXIST;

	if (!shrinker || !shrinker->count || !shrinker->shrink)
		return SLATE_EINVAL;
	if (!init_check("slate_shrinker_add"))
		return SLATE_ESTAGE;
	irq = mm_lock_acquire(&lock);
	link = link_of_locked(shrinker);
	if (!*link) {
		shrinker->next = NULL;
		shrinker->in_flight = 0;
		shrinker->leaving = false;
		*link = shrinker;
		status = SLATE_OK;
	}
	mm_lock_release(&lock, irq);
	return status;
}

int slate_shrinker_remove(struct slate_shrinker *shrinker)
{
	unsigned long irq;
	int status = SLATE_EINVAL;

	if (!shrinker || !init_check("slate_shrinker_remove"))
		return status;
	irq = mm_lock_acquire(&lock);
	if (*link_of_locked(shrinker) == shrinker && !shrinker->leaving) {
		shrinker->leaving = true;
		while (shrinker->in_flight > 0) {
			mm_lock_release(&lock, irq);
			port_relax();
			irq = mm_lock_acquire(&lock);
		}
		*link_of_locked(shrinker) = shrinker->next;
		status = SLATE_OK;
	}
	mm_lock_release(&lock, irq);
	return status;
}

/* ---- The walk ---- */

/* Out of `last` (NULL: none), and into the next one, which nobody removes until this CPU leaves. */
static struct slate_shrinker *step(struct slate_shrinker *last)
{
	unsigned long irq = mm_lock_acquire(&lock);
	struct slate_shrinker *next = last ? last->next : first;

	if (last)
		last->in_flight--;
	while (next && next->leaving)
		next = next->next;
	if (next)
		next->in_flight++;
	mm_lock_release(&lock, irq);
	return next;
}

static void leave(struct slate_shrinker *last)
{
	unsigned long irq = mm_lock_acquire(&lock);

	last->in_flight--;
	mm_lock_release(&lock, irq);
}

static size_t ask(struct slate_shrinker *shrinker, size_t pages)
{
	size_t has, freed;

	mm_lock_assert_none();
	has = shrinker->count(shrinker);
	if (has == 0)
		return 0;
	freed = shrinker->shrink(shrinker, has < pages ? has : pages);
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&freed_pages, freed, memory_order_relaxed);
	return freed;
}

/* The mark of this CPU; NULL: it walks already. The task may go elsewhere; the mark is the same. */
static _Atomic bool *mark(void)
{
	unsigned long irq = port_irq_save();
	_Atomic bool *own = &walking[mm_cpu()];
	bool was = atomic_exchange_explicit(own, true, memory_order_relaxed);

	port_irq_restore(irq);
	return was ? NULL : own;
}

size_t shrinker_run(size_t pages)
{
	_Atomic bool *own = mark();
	struct slate_shrinker *shrinker = NULL;
	size_t freed = 0;

	if (!own)
		return 0;
	while (freed < pages && (shrinker = step(shrinker)) != NULL)
		freed += ask(shrinker, pages - freed);
	if (shrinker)
		leave(shrinker);
	atomic_store_explicit(own, false, memory_order_relaxed);
	return freed;
}

size_t shrinker_calls(void)
{
	return atomic_load_explicit(&calls, memory_order_relaxed);
}

size_t shrinker_pages(void)
{
	return atomic_load_explicit(&freed_pages, memory_order_relaxed);
}
