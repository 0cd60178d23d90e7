// SPDX-License-Identifier: MIT
/*
 * slate_bench.c - a Linux module that times kmalloc, kmem_cache and alloc_pages by the rows and
 * rounds of Slate's own benchmarks (kernel/bench_*.c), prints them, and fails to load on purpose,
 * so that nothing stays behind.
 *
 * Under QEMU's -icount the machine's clock steps by one an instruction: a round of 1000 operations,
 * less that of an empty loop, over 1000. The median of many rounds leaves out those that a timer
 * interrupt fell into.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include <clock.h> /* clock_ARCH.h, by tools/bench-linux.sh */

#define BATCH   1000
#define WARM_UP 3
#define ROUNDS  21

#define OPAQUE(variable) asm volatile("" : "+r"(variable))

typedef u64 round_fn(size_t size);

static void *slots[BATCH];
static unsigned int order[BATCH]; /* in which slots are freed */
static u64 freeing;               /* of the last batch */
static struct kmem_cache *cache;

/* ---- Rounds ---- */

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static u64 empty_index(size_t size)
{
	u64 start = clock_read();

	for (size_t i = BATCH; i > 0; i--)
		OPAQUE(i);
	return clock_read() - start;
}

/* free_median: of the second half of a batch; NULL: the rounds are pairs. */
static u64 median(round_fn *round, size_t size, u64 *free_median)
{
	static u64 values[ROUNDS], frees[ROUNDS];

	for (int i = -WARM_UP; i < ROUNDS; i++) {
		u64 value = round(size);

		if (i < 0)
			continue;
		values[i] = value;
		frees[i] = freeing;
	}
	sort(values, ROUNDS, sizeof(u64), compare, NULL);
	sort(frees, ROUNDS, sizeof(u64), compare, NULL);
	if (free_median)
		*free_median = frees[ROUNDS / 2];
	return values[ROUNDS / 2];
}

static void print_row(const char *name, size_t size, const char *metric, u64 total)
{
	u64 empty = median(empty_index, 0, NULL);
	u64 tenths = (total > empty ? total - empty : 0) / (BATCH / 10);

	pr_err("bench %s %zu %s %llu.%llu\n", name, size, metric, tenths / 10, tenths % 10);
}

static void pair(const char *name, size_t size, round_fn *round)
{
	print_row(name, size, "insn", median(round, size, NULL));
}

/* ---- Pairs ---- */

#define PAIR(name, take, give)                       \
	static u64 name(size_t size)                 \
	{                                            \
		u64 start = clock_read();            \
                                                     \
		for (size_t i = BATCH; i > 0; i--) { \
			void *object = take;         \
                                                     \
			OPAQUE(i);                   \
			give;                        \
		}                                    \
		return clock_read() - start;         \
	}

PAIR(pair_8, kmalloc(8, GFP_KERNEL), kfree(object))
PAIR(pair_16, kmalloc(16, GFP_KERNEL), kfree(object))
PAIR(pair_32, kmalloc(32, GFP_KERNEL), kfree(object))
PAIR(pair_64, kmalloc(64, GFP_KERNEL), kfree(object))
PAIR(pair_128, kmalloc(128, GFP_KERNEL), kfree(object))
PAIR(pair_256, kmalloc(256, GFP_KERNEL), kfree(object))
PAIR(pair_512, kmalloc(512, GFP_KERNEL), kfree(object))
PAIR(pair_1024, kmalloc(1024, GFP_KERNEL), kfree(object))
PAIR(pair_2048, kmalloc(2048, GFP_KERNEL), kfree(object))
PAIR(pair_4096, kmalloc(4096, GFP_KERNEL), kfree(object))
PAIR(pair_8192, kmalloc(8192, GFP_KERNEL), kfree(object))
PAIR(pair_varsize, ({
	     OPAQUE(size);
	     kmalloc(size, GFP_KERNEL);
     }),
     kfree(object))
PAIR(pair_zalloc, kzalloc(64, GFP_KERNEL), kfree(object))
PAIR(pair_typed, kmem_cache_alloc(cache, GFP_KERNEL), kmem_cache_free(cache, object))
PAIR(pair_pages, alloc_pages(GFP_KERNEL, get_order(size)), __free_pages(object, get_order(size)))

static void object_pairs(void)
{
	static const struct {
		size_t size;
		round_fn *round;
	} rows[] = {{8, pair_8},       {16, pair_16},     {32, pair_32},    {64, pair_64},
		    {128, pair_128},   {256, pair_256},   {512, pair_512},  {1024, pair_1024},
		    {2048, pair_2048}, {4096, pair_4096}, {8192, pair_8192}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		pair("object_pair", rows[i].size, rows[i].round);
	pair("object_pair_varsize", 64, pair_varsize);
	pair("object_pair_const", 64, pair_64);
	pair("zalloc_pair", 64, pair_zalloc);
	pair("large_pair", 16384, pair_varsize);
	pair("large_pair", 32768, pair_varsize);
}

/* ---- Batches ---- */

#define BATCH_ROUND(name, take, give)                   \
	static u64 name(size_t size)                    \
	{                                               \
		u64 start = clock_read(), middle;       \
                                                        \
		for (size_t i = 0; i < BATCH; i++)      \
			slots[i] = take;                \
		middle = clock_read();                  \
		for (size_t i = 0; i < BATCH; i++) {    \
			void *object = slots[order[i]]; \
                                                        \
			give;                           \
		}                                       \
		freeing = clock_read() - middle;        \
		return middle - start;                  \
	}

BATCH_ROUND(batch_objects, kmalloc(size, GFP_KERNEL), kfree(object))
BATCH_ROUND(batch_pages, alloc_pages(GFP_KERNEL, 0), __free_pages(object, 0))

/* Objects of half the size are made larger: the moves alone. On arm64 64 bytes have room for 128,
 * so that nothing moves. */
static u64 batch_realloc(size_t size)
{
	u64 cost;

	for (size_t i = 0; i < BATCH; i++)
		slots[i] = kmalloc(size / 2, GFP_KERNEL);
	cost = clock_read();
	for (size_t i = 0; i < BATCH; i++)
		slots[i] = krealloc(slots[i], size, GFP_KERNEL);
	cost = clock_read() - cost;
	for (size_t i = 0; i < BATCH; i++)
		kfree(slots[i]);
	return cost;
}

static void batch(const char *name, size_t size, round_fn *round)
{
	u64 frees;
	u64 allocs = median(round, size, &frees);

	print_row(name, size, "alloc_insn", allocs);
	print_row(name, size, "free_insn", frees);
}

static void order_lifo(void)
{
	for (unsigned int i = 0; i < BATCH; i++)
		order[i] = BATCH - 1 - i;
}

static void order_fifo(void)
{
	for (unsigned int i = 0; i < BATCH; i++)
		order[i] = i;
}

static void order_shuffled(void)
{
	u32 random = 2463534242u;

	for (unsigned int i = BATCH - 1; i > 0; i--) {
		random ^= random << 13;
		random ^= random >> 17;
		random ^= random << 5;
		swap(order[i], order[random % (i + 1)]);
	}
}

static void batches(void)
{
	for (size_t size = 64; size <= 1024; size *= 16) {
		order_lifo();
		batch("object_batch_lifo", size, batch_objects);
		order_fifo();
		batch("object_batch_fifo", size, batch_objects);
		order_shuffled();
		batch("object_batch_shuffled", size, batch_objects);
	}
	order_lifo();
	batch("page_batch", 1, batch_pages);
}

/* ---- All rows ---- */

static void page_pairs(void)
{
	static const size_t pages[] = {1, 2, 8, 512};

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		print_row("page_pair", pages[i], "insn",
			  median(pair_pages, pages[i] * PAGE_SIZE, NULL));
}

static int __init bench_init(void)
{
	cache = kmem_cache_create("slate_bench", 64, 64, 0, NULL);
	if (!cache)
		return -ENOMEM;
	object_pairs();
	pair("typed_pair", 64, pair_typed);
	batches();
	page_pairs();
	pair("realloc_copy", 128, batch_realloc);
	kmem_cache_destroy(cache);
	pr_err("bench end\n");
	return -ECANCELED;
}

module_init(bench_init);
MODULE_DESCRIPTION("Instructions of the kernel's allocators");
MODULE_LICENSE("Dual MIT/GPL");
