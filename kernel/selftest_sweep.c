/* SPDX-License-Identifier: MIT */
/*
 * selftest_sweep.c - the operations that are swept.
 */
#include <slate/cache.h>
#include <slate/slate.h>
#include <slate/stats.h>

#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/selftest.h"
#include "kernel/selftest_sweep.h"
#include "kernel/tap.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/sizeclass.h"

#define SIZE        64
#define STACK_ORDER 1
#define RUN_PAGES   8
#define HUGE_PAGES  512
#define MANY        256 /* more than two magazines of any class used here hold */
#define BULK        40

/* What the operation works on. */
static uint64_t *subject;
static uint64_t *many[MANY];
static size_t many_count;
static struct slate_cache *cache;

/* ---- Kinds ---- */

static uint64_t *object_take(void)
{
	return (slate_alloc)(SIZE);
}

static void object_give(uint64_t *object)
{
	slate_free(object);
}

static uint64_t *folded_take(void)
{
	return slate_alloc(SIZE);
}

static void folded_give(uint64_t *object)
{
	slate_free_sized(object, SIZE);
}

static void sized_give(uint64_t *object)
{
	(slate_free_sized)(object, SIZE);
}

static uint64_t *zeroed_take(void)
{
	return (slate_zalloc)(SIZE);
}

static uint64_t *typed_take(void)
{
	return slate_cache_alloc(cache);
}

static void typed_give(uint64_t *object)
{
	slate_cache_free(cache, object);
}

static uint64_t *virt_of(pfn_t pfn)
{
	return pfn_is_none(pfn) ? NULL : slate_virt(pfn_to_paddr(pfn));
}

static pfn_t frame_of(const uint64_t *frame)
{
	return paddr_to_pfn(slate_phys(frame));
}

static uint64_t *frame_take(void)
{
	return virt_of(slate_page_alloc(1, NULL));
}

static void frame_give(uint64_t *frame)
{
	slate_page_free(frame_of(frame), 1);
}

static uint64_t *run_take(void)
{
	return virt_of(slate_page_alloc(RUN_PAGES, NULL));
}

static void run_give(uint64_t *frame)
{
	slate_page_free(frame_of(frame), RUN_PAGES);
}

static uint64_t *stack_take(void)
{
	return slate_stack_alloc(STACK_ORDER);
}

static void stack_give(uint64_t *stack)
{
	slate_stack_free(stack);
}

static uint64_t *huge_take(void)
{
	return virt_of(slate_page_alloc(HUGE_PAGES, NULL));
}

static void huge_give(uint64_t *frame)
{
	slate_page_free(frame_of(frame), HUGE_PAGES);
}

static const struct sweep_kind objects = {object_take, object_give};
static const struct sweep_kind folded = {folded_take, folded_give};
static const struct sweep_kind sized = {object_take, sized_give};
static const struct sweep_kind zeroed = {zeroed_take, object_give};
static const struct sweep_kind typed = {typed_take, typed_give};
static const struct sweep_kind frames = {frame_take, frame_give};
static const struct sweep_kind runs = {run_take, run_give};
static const struct sweep_kind stacks = {stack_take, stack_give};
static const struct sweep_kind huges = {huge_take, huge_give};

/* ---- Takes and gives that the magazines serve ---- */

static void take_run(void *arg)
{
	const struct sweep_op *op = arg;

	subject = op->kind->take();
}

static void give_run(void *arg)
{
	const struct sweep_op *op = arg;

	op->kind->give(subject);
}

static void nothing(const struct sweep_op *op)
{
	(void)op;
}

/* The take magazine has some, the give magazine has room. */
static void warm(const struct sweep_op *op)
{
	uint64_t *a = op->kind->take();
	uint64_t *b = op->kind->take();

	op->kind->give(a);
	op->kind->give(b);
}

static void warm_subject(const struct sweep_op *op)
{
	warm(op);
	subject = op->kind->take();
	if (!subject)
		sweep_wrong();
}

static void subject_back(const struct sweep_op *op)
{
	sweep_disown(op->kind, sweep_own(subject));
	subject = NULL;
}

static void zeroed_back(const struct sweep_op *op)
{
	if (subject && !bytes_are(subject, 0, SIZE))
		sweep_wrong();
	subject_back(op);
}

#define TAKE(name, kind)                                                                           \
	{                                                                                          \
		name "_alloc", name "_alloc_nmi", 1, &(kind), warm, take_run, subject_back, false, \
	}
#define GIVE(name, kind)                                                                     \
	{                                                                                    \
		name "_free", name "_free_nmi", 1, &(kind), warm_subject, give_run, nothing, \
			false,                                                               \
	}

/* ---- Many at once ---- */

static void bulk_alloc_run(void *arg)
{
	(void)arg;
	many_count = slate_alloc_bulk(SIZE, BULK, (void **)many, 0);
}

static void many_back(const struct sweep_op *op)
{
	for (size_t i = 0; i < many_count; i++)
		many[i] = sweep_own(many[i]);
	while (many_count > 0)
		sweep_disown(op->kind, many[--many_count]);
}

static void bulk_back(const struct sweep_op *op)
{
	if (many_count != BULK)
		sweep_wrong();
	many_back(op);
}

static void bulk_subject(const struct sweep_op *op)
{
	warm(op);
	many_count = slate_alloc_bulk(SIZE, BULK, (void **)many, 0);
}

static void bulk_free_run(void *arg)
{
	(void)arg;
	slate_free_bulk((void *const *)many, many_count);
	many_count = 0;
}

/* ---- Slow paths ---- */

static void take_many(const struct sweep_op *op, size_t n)
{
	while (n-- > 0)
		many[many_count++] = op->kind->take();
}

static void give_many(const struct sweep_op *op, size_t n)
{
	for (size_t i = 0; i < n; i++)
		op->kind->give(many[--many_count]);
}

static unsigned class_of_bytes(size_t size_bytes)
{
	return sizeclass_of(size_bytes) << 1;
}

static size_t cached_take(unsigned class)
{
	return magazine_count(mcache_top(&mcaches[arch_cpu()]->take[class]),
			      mcache_capacity(class));
}

/* Take runs dry while give holds a refill's worth. */
static void exchange_prepare(const struct sweep_op *op)
{
	unsigned class = class_of_bytes(SIZE);

	take_many(op, 2 * MAGAZINE_SLOTS);
	take_many(op, cached_take(class));
	give_many(op, mcache_capacity(class) - 1);
}

static void exchange_finish(const struct sweep_op *op)
{
	subject_back(op);
	give_many(op, many_count);
}

/* Give is full while take is empty. */
static void exchange_full_prepare(const struct sweep_op *op)
{
	unsigned class = class_of_bytes(SIZE);

	take_many(op, 2 * MAGAZINE_SLOTS);
	take_many(op, cached_take(class));
	give_many(op, mcache_capacity(class));
	subject = many[--many_count];
}

static void rest_back(const struct sweep_op *op)
{
	give_many(op, many_count);
}

/* After a flush both magazines are the dummy; what the handler holds keeps a span. */
static void empty_prepare(const struct sweep_op *op)
{
	(void)op;
	slate_flush();
}

/* Both magazines are full: the next free leaves one to the depot. */
static void flush_prepare(const struct sweep_op *op)
{
	unsigned class = class_of_bytes(SIZE);

	take_many(op, 3 * MAGAZINE_SLOTS);
	take_many(op, cached_take(class));
	give_many(op, 2 * mcache_capacity(class));
	subject = many[--many_count];
}

/* So is the depot: the next free sends a magazine home. Two runs a magazine, two magazines. */
static void flush_home_prepare(const struct sweep_op *op)
{
	take_many(op, 9);
	slate_flush();
	give_many(op, 8);
	subject = many[--many_count];
}

static void drain_prepare(const struct sweep_op *op)
{
	warm(op);
	warm(&(struct sweep_op){.kind = &frames});
	warm(&(struct sweep_op){.kind = &typed});
}

static void drain_run(void *arg)
{
	(void)arg;
	mcache_drain();
}

static const struct sweep_op fast[] = {
	{"alloc", "alloc_nmi", 1, &objects, warm, take_run, subject_back, false},
	{"free", "free_nmi", 1, &objects, warm_subject, give_run, nothing, false},
	TAKE("folded", folded),
	GIVE("folded", folded),
	GIVE("sized", sized),
	{"zalloc", "zalloc_nmi", 1, &zeroed, warm, take_run, zeroed_back, false},
	TAKE("typed", typed),
	GIVE("typed", typed),
	TAKE("frame", frames),
	GIVE("frame", frames),
	TAKE("run", runs),
	GIVE("run", runs),
	TAKE("stack", stacks),
	GIVE("stack", stacks),
	{"bulk_alloc", "bulk_alloc_nmi", 1, &objects, warm, bulk_alloc_run, bulk_back, false},
	{"bulk_free", "bulk_free_nmi", 1, &objects, bulk_subject, bulk_free_run, nothing, false},
};

static const struct sweep_op slow[] = {
	{"exchange_irq", "exchange", 20, &objects, exchange_prepare, take_run, exchange_finish,
	 false},
	{"exchange_full_irq", "exchange_full", 20, &objects, exchange_full_prepare, give_run,
	 rest_back, false},
	{"refill_irq", "refill", 100, &objects, empty_prepare, take_run, subject_back, false},
	{"flush_irq", "flush", 100, &objects, flush_prepare, give_run, rest_back, false},
	{NULL, "flush_home", 100, &huges, flush_home_prepare, give_run, rest_back, false},
	{NULL, "drain", 100, &objects, drain_prepare, drain_run, nothing, false},
};

/* Each is a sample of the heap profile. */
static const struct sweep_op sampled[] = {
	{"sampled_alloc_irq", "sampled_alloc", 500, &objects, warm, take_run, subject_back, true},
	{"sampled_free_irq", "sampled_free", 200, &objects, warm_subject, give_run, nothing, true},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static size_t former_rate;

/* The same way is gone each time: every object is a sample (1), or none (0). */
static bool begin(size_t profile_rate)
{
	if (!sweep_can_run())
		return false;
	former_rate = profile_rate_set(profile_rate);
	cache = slate_cache_create(&(struct slate_cache_params){.name = "sweep", .size_bytes = 64});
	CHECK(cache);
	return true;
}

static void end(void)
{
	profile_rate_set(former_rate);
	CHECK(slate_cache_destroy(cache) == SLATE_OK);
	CHECK(slate_validate() == 0);
}

static void sweep_table_by_timer(const struct sweep_op *table, size_t count, size_t profile_rate)
{
	if (!begin(profile_rate))
		return;
	for (size_t i = 0; i < count; i++) {
		if (table[i].by_timer)
			sweep_by_timer(&table[i], 1);
	}
	end();
}

static bool can_nmi(void)
{
	if (SLATE_PROTECT == SLATE_PROTECT_RSEQ)
		return true;
	tap_skip("the allocator masks interrupts: no NMI may allocate");
	return false;
}

static void sweep_table_by_step(const struct sweep_op *table, size_t count, size_t profile_rate)
{
	if (!can_nmi() || !begin(profile_rate))
		return;
	for (size_t i = 0; i < count; i++)
		sweep_by_step(&table[i], table[i].least_steps);
	end();
}

static void test_fast_by_timer(void)
{
	sweep_table_by_timer(fast, COUNT(fast), 0);
}

static void test_slow_by_timer(void)
{
	sweep_table_by_timer(slow, COUNT(slow), 0);
}

static void test_fast_by_step(void)
{
	sweep_table_by_step(fast, COUNT(fast), 0);
}

static void test_slow_by_step(void)
{
	sweep_table_by_step(slow, COUNT(slow), 0);
}

static void test_sampled_by_timer(void)
{
	sweep_table_by_timer(sampled, COUNT(sampled), 1);
}

static void test_sampled_by_step(void)
{
	sweep_table_by_step(sampled, COUNT(sampled), 1);
}

static void test_control(void)
{
	size_t found;

	if (!can_nmi() || !begin(0))
		return;
	found = sweep_without_fixup(&fast[0]);
	kprintf("control: corruption %sfound\n", found ? "" : "not ");
	CHECK(found > 0);
	end();
}

const struct pure_test selftest_sweep[] = {
	{"irq-sweep: a timer on every instruction of the fast paths", test_fast_by_timer},
	{"irq-sweep: a timer on every open instruction of the slow paths", test_slow_by_timer},
	{"irq-sweep: an NMI on every instruction of the fast paths", test_fast_by_step},
	{"irq-sweep: an NMI on every instruction of the slow paths", test_slow_by_step},
	{"irq-sweep: a timer on every open instruction of samples", test_sampled_by_timer},
	{"irq-sweep: an NMI on every instruction of samples", test_sampled_by_step},
	{"irq-sweep: without the fixup the same finds corruption", test_control},
	{0},
};
