/* SPDX-License-Identifier: MIT */
/*
 * test_everything_threads.c - all kinds of calls on all CPUs at once, under TSan: objects of all
 * sizes, tiny, typed, with finalizers, large, by the batch, in any context; frames and stacks;
 * polls, flushes, CPUs that leave and come back, a range that comes and goes, and somebody who
 * validates all the while. Contents are checked at each free; in the end nothing is missing.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "test-host/unit.h"

#include <slate/cache.h>
#include <slate/port.h>

#define CPUS       4
#define MEMORY     (48 * MIB)
#define PLUG_BASE  (MIB + MEMORY)
#define PLUG_BYTES (4 * MIB)
#define SLOTS      256u
#define OPS        2500
#define VALIDATED  8u

enum kind { KIND_NONE, KIND_OBJECT, KIND_TYPED, KIND_FRAMES, KIND_STACK, KIND_KINDS };

/* What a slot holds; (p) of whoever has taken it out of its slot. */
struct holding {
	enum kind kind;
	unsigned char fill;
	size_t size_bytes;
	unsigned char *start;
};

struct worker {
	pthread_t thread;
	unsigned cpu;
	struct host_random random;
	size_t ops;
};

/* A holding wanders from CPU to CPU: acq_rel exchanges of its address. */
static _Atomic(struct holding *) slots[SLOTS];
static struct holding holdings[SLOTS + CPUS * 2];
static struct worker workers[CPUS];
static struct slate_cache *cache;
static _Atomic size_t finals, finalized;
static _Atomic bool stop;

static size_t below(struct worker *worker, size_t bound)
{
	return (size_t)host_random_below(&worker->random, bound);
}

/* ---- One holding ---- */

static void finalizer(void *object, void *arg)
{
	/* its owner is done with it: nobody else's bytes */
	memset(object, (int)(uintptr_t)arg, 64);
	atomic_fetch_add_explicit(&finalized, 1, memory_order_relaxed);
}

static void take_object(struct worker *worker, struct holding *h)
{
	static const unsigned flags[] = {
		0, 0, SLATE_NOWAIT, SLATE_ANYCTX, SLATE_ANYCTX | SLATE_RESERVE, SLATE_NOSCAN};
	size_t r = below(worker, 16);

	h->kind = KIND_OBJECT;
	h->size_bytes = r < 4    ? 1 + below(worker, 7)
			: r < 12 ? 64 + below(worker, 2000)
			: r < 14 ? 5000 + below(worker, 20000)
				 : 40000 + below(worker, 300000);
	h->start = slate_alloc_flags(h->size_bytes, r < 4 ? SLATE_NOSCAN : flags[below(worker, 6)]);
	if (!h->start || h->size_bytes < 64 || h->size_bytes > 2000 || r != 4)
		return;
	if (slate_on_free(h->start, finalizer, (void *)(uintptr_t)h->fill) == SLATE_OK)
		atomic_fetch_add_explicit(&finals, 1, memory_order_relaxed);
}

static void take_frames(struct worker *worker, struct holding *h)
{
	const struct slate_page_constraints fit = {
		.align_bytes = SLATE_PAGE_SIZE << below(worker, 4),
		.node = SLATE_ANY_NODE,
		.flags = below(worker, 2) ? SLATE_ANYCTX : 0,
	};
	size_t n = below(worker, 3) ? 1 : 1 + below(worker, 40);
	pfn_t pfn = (slate_page_alloc)(n, below(worker, 3) ? NULL : &fit);

	h->kind = KIND_FRAMES;
	h->size_bytes = n * SLATE_PAGE_SIZE;
	h->start = pfn_is_none(pfn) ? NULL : slate_virt(pfn_to_paddr(pfn));
}

static void take(struct worker *worker, struct holding *h)
{
	size_t r = below(worker, 16);

	h->fill = (unsigned char)host_random(&worker->random);
	if (r < 10) {
		take_object(worker, h);
	} else if (r < 12) {
		h->kind = KIND_TYPED;
		h->size_bytes = 100;
		h->start = slate_cache_alloc(cache);
	} else if (r < 15) {
		take_frames(worker, h);
	} else {
		h->kind = KIND_STACK;
		h->size_bytes = SLATE_PAGE_SIZE;
		h->start = slate_stack_alloc(0);
	}
	if (h->start)
		memset(h->start, h->fill, h->size_bytes);
	else
		h->kind = KIND_NONE;
}

static void drop(struct holding *h)
{
	for (size_t i = 0; h->kind != KIND_NONE && i < h->size_bytes; i += 61)
		if (h->start[i] != h->fill)
			host_fail(__FILE__, __LINE__, "%p: byte %zu was overwritten",
				  (void *)h->start, i);
	if (h->kind == KIND_OBJECT)
		slate_free(h->start);
	else if (h->kind == KIND_TYPED)
		slate_cache_free(cache, h->start);
	else if (h->kind == KIND_FRAMES)
		(slate_page_free)(paddr_to_pfn(slate_phys(h->start)),
				  h->size_bytes / SLATE_PAGE_SIZE);
	else if (h->kind == KIND_STACK)
		slate_stack_free(h->start);
	h->kind = KIND_NONE;
}

/* ---- Workers ---- */

static void some_bulk(struct worker *worker)
{
	void *out[40];
	size_t n = slate_alloc_bulk(24 + below(worker, 200), 40, out, 0);

	for (size_t i = 0; i < n; i++)
		memset(out[i], 0x11, 24);
	slate_free_bulk(out, n);
}

static void leave_and_return(void)
{
	unsigned long irq;

	slate_cpu_offline();
	irq = port_irq_save();
	slate_cpu_online();
	port_irq_restore(irq);
}

static void something_else(struct worker *worker, size_t which)
{
	struct slate_stats stats;

	if (which < 20)
		slate_poll();
	else if (which < 24)
		some_bulk(worker);
	else if (which == 24)
		slate_flush();
	else if (which == 25)
		slate_stats(&stats);
	else if (which == 26 && worker->cpu > 0)
		leave_and_return();
	else if (which == 27)
		slate_scavenge(16);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct holding *mine = &holdings[SLOTS + worker->cpu];

	host_cpu_enter(worker->cpu);
	if (worker->cpu)
		host_cpu_online(worker->cpu);
	for (size_t op = 0; op < worker->ops; op++) {
		drop(mine);
		take(worker, mine);
		mine = atomic_exchange_explicit(&slots[below(worker, SLOTS)], mine,
						memory_order_acq_rel);
		something_else(worker, below(worker, 60));
		host_cpu_serve();
	}
	drop(mine);
	host_cpu_leave();
	return NULL;
}

/* ---- Who looks on, and who plugs ---- */

static void plug(bool *in)
{
	int status = *in ? slate_remove_memory((paddr_t){PLUG_BASE}, PLUG_BYTES, NULL)
			 : slate_add_memory((paddr_t){PLUG_BASE}, PLUG_BYTES, 0);

	if (status == SLATE_OK)
		*in = !*in;
	else if (status != SLATE_EBUSY && status != SLATE_EAGAIN)
		host_fail(__FILE__, __LINE__, "a range: status %d", status);
}

static void *watch(void *arg)
{
	bool in = false;

	host_cpu_enter(CPUS);
	host_cpu_online(CPUS);
	for (unsigned i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
		plug(&in);
		if (i < VALIDATED && slate_validate() != 0)
			host_fail(__FILE__, __LINE__, "contradictions while CPUs run");
		host_cpu_serve();
	}
	host_cpu_leave();
	return arg;
}

static void run(size_t ops)
{
	struct host_random random = host_random_seed("everything", 1);
	pthread_t watcher;

	atomic_store(&stop, false);
	for (unsigned i = 0; i < SLOTS; i++)
		atomic_store(&slots[i], &holdings[i]);
	pthread_create(&watcher, NULL, watch, NULL);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		workers[cpu] =
			(struct worker){.cpu = cpu, .random = {host_random(&random)}, .ops = ops};
		pthread_create(&workers[cpu].thread, NULL, work, &workers[cpu]);
	}
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		pthread_join(workers[cpu].thread, NULL);
	atomic_store(&stop, true);
	pthread_join(watcher, NULL);
}

static void all_kinds_of_calls(void **state)
{
	struct slate_stats before;
	struct slate_stats after;

	(void)state;
	host_boot(MIB, MEMORY);
	host_memory(PLUG_BASE, PLUG_BYTES);
	slate_stats(&before);
	cache = slate_cache_create(
		&(struct slate_cache_params){.name = "everything", .size_bytes = 100});
	assert_non_null(cache);
	run(host_ops(OPS));
	for (unsigned i = 0; i < SLOTS + CPUS; i++)
		drop(&holdings[i]);
	slate_flush();
	assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
	for (unsigned i = 0; i < 100 && atomic_load(&finalized) < atomic_load(&finals); i++)
		slate_poll();
	assert_int_equal(finalized, finals);
	slate_flush();
	/* the range is there or not */
	int status = slate_remove_memory((paddr_t){PLUG_BASE}, PLUG_BYTES, NULL);

	assert_true(status == SLATE_OK || status == SLATE_ENOENT);
	slate_stats(&after);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
	assert_int_equal(after.objects + after.large_objects, 0);
	assert_int_equal(after.reports, 0);
	assert_int_equal(slate_validate(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(all_kinds_of_calls, tear_down),
	};

	return cmocka_run_group_tests_name("everything, threads", tests, NULL, NULL);
}
