/* SPDX-License-Identifier: MIT */
/*
 * test_pagealloc.c - the page allocator against a naive model, call by call, on sparse addresses;
 * summaries against counting; work under the lock; huge regions. Rows of single cases are in
 * pure_pagealloc.c and pure_pagefit.c.
 *
 * OPS= operations of each property test, SEED= replays one.
 */
#include "test-host/unit.h"

#include "mm/page_search.h"
#include "mm/pagealloc.h"
#include "test-host/page_model.h"

#define CHUNK PAGE_CHUNK_PAGES

static struct pagealloc node;
static struct page_model model;

/* ---- Regions with metadata and a model of their own ---- */

static void *metadata_of[MODEL_REGIONS];
static bool *taken_of[MODEL_REGIONS];
static unsigned made;

static void start(void)
{
	pagealloc_init(&node, 0);
	memset(&model, 0, sizeof(model));
}

static void *make_metadata(size_t pages)
{
	size_t bytes = pagealloc_region_bytes(pages);
	void *metadata = NULL;

	/* exactly so many bytes, so that ASan sees one more */
	assert_int_equal(posix_memalign(&metadata, 64, bytes), 0);
	if (bytes < MIB)
		memset(metadata, 0xa5, bytes);
	metadata_of[made] = metadata;
	return metadata;
}

static void grow(size_t pfn, size_t pages)
{
	assert_true(pagealloc_add(&node, (pfn_t){pfn}, pages, make_metadata(pages)));
	taken_of[made] = malloc(pages * sizeof(bool));
	assert_true(model_add(&model, (pfn_t){pfn}, pages, taken_of[made]));
	made++;
}

static int end(void **state)
{
	(void)state;
	while (made > 0) {
		made--;
		free(metadata_of[made]);
		free(taken_of[made]);
	}
	memset(taken_of, 0, sizeof(taken_of));
	host_reset();
	return 0;
}

static void assert_valid(void)
{
	pfn_t where = SLATE_PFN_NONE;
	const char *wrong = pagealloc_validate(&node, &where);

	if (wrong)
		host_fail(__FILE__, __LINE__, "%s at frame 0x%zx", wrong, where.v);
}

/* ---- Property ---- */

static uint64_t draw(void *random)
{
	return host_random(random) >> 8;
}

/* every: operations between comparisons of all frames. */
static void run_property(const char *name, uint64_t seed, size_t ops, size_t every)
{
	struct host_random random = host_random_seed(name, seed);

	ops = host_ops(ops);
	for (size_t op = 0; op < ops; op++) {
		const char *wrong = model_step(&model, &node, draw, &random);

		if (wrong)
			host_fail(__FILE__, __LINE__, "operation %zu differs from the model: %s",
				  op, wrong);
		if (op % every == every - 1 && !model_agrees(&model, &node)) {
			assert_valid();
			host_fail(__FILE__, __LINE__, "after operation %zu frames differ", op);
		}
	}
	assert_true(model_agrees(&model, &node));
}

/* Regions that touch, that share a chunk, that end inside one, far apart. */
static void property_sparse(void **state)
{
	(void)state;
	start();
	grow((size_t)1 << 40, 5000);
	grow(3 * CHUNK + 9100, 700);
	grow(((size_t)1 << 20) - 7, 64);
	grow(3 * CHUNK + 100, 9000);
	run_property("property_sparse", 1, 100000, 97);
}

static void property_tall(void **state)
{
	(void)state;
	start();
	grow(((size_t)1 << 33) + 1, CHUNK * 131);
	run_property("property_tall", 2, 12000, 499);
}

static void property_tiny(void **state)
{
	(void)state;
	start();
	for (size_t i = 0; i < MODEL_REGIONS; i++)
		grow(i * 65 + 1, 1 + i * 12);
	run_property("property_tiny", 3, 100000, 31);
}

/* All free, all taken, all free again: the same state as before. */
static void property_drained(void **state)
{
	struct host_random random = host_random_seed("property_drained", 4);
	size_t frames = 0;
	pfn_t where;

	(void)state;
	start();
	grow(1000, 30000);
	for (size_t op = 0; op < host_ops(5000); op++)
		assert_null(model_step(&model, &node, draw, &random));
	for (size_t i = 0; i < 30000; i++) {
		pfn_t pfn = {1000 + i};

		if (pagealloc_is_allocated(&node, pfn))
			frames += pagealloc_free(&node, pfn, 1);
	}
	assert_true(frames > 0);
	assert_int_equal(node.free_pages, 30000);
	assert_int_equal(pagealloc_largest(&node), 30000);
	assert_null(pagealloc_validate(&node, &where));
	assert_int_equal(pagealloc_alloc(&node, 30000, NULL).v, 1000);
}

/* ---- Summaries ---- */

/* By counting each bit. */
static struct page_summary count_summary(const bitword_t *words, size_t pages)
{
	struct page_summary sum = {0, 0, 0};
	uint32_t run = 0;
	bool inside = false;

	for (size_t bit = 0; bit < pages; bit++) {
		run = bitmap_test(words, bit) ? 0 : run + 1;
		inside = inside || run == 0;
		if (run > sum.max)
			sum.max = run;
		if (!inside)
			sum.start = run;
	}
	sum.end = run;
	return sum;
}

/* Words that are all free, all taken, thin, dense, or have one run. */
static bitword_t draw_word(struct host_random *random)
{
	bitword_t word = host_random(random);

	switch (host_random_below(random, 6)) {
	case 0:
		return 0;
	case 1:
		return ~(bitword_t)0;
	case 2:
		return word & host_random(random) & host_random(random);
	case 3:
		return word | host_random(random) | host_random(random);
	case 4:
		return ~bitword_mask(word % 32, 33 + word / 64 % 32);
	default:
		return word;
	}
}

static void summary_of_a_chunk(void **state)
{
	struct host_random random = host_random_seed("summary_of_a_chunk", 5);
	bitword_t words[PAGE_CHUNK_WORDS];

	(void)state;
	for (size_t op = 0; op < host_ops(100000); op++) {
		struct page_summary sum = {7, 7, 7};
		struct page_summary counted;

		for (size_t i = 0; i < PAGE_CHUNK_WORDS; i++)
			words[i] = draw_word(&random);
		counted = count_summary(words, CHUNK);
		assert_true(page_summary_chunk(&sum, words));
		assert_memory_equal(&sum, &counted, sizeof(sum));
		assert_false(page_summary_chunk(&sum, words));
	}
}

static void summary_of_neighbours(void **state)
{
	struct host_random random = host_random_seed("summary_of_neighbours", 6);
	bitword_t words[SUMMARY_FAN * PAGE_CHUNK_WORDS];
	struct page_summary children[SUMMARY_FAN];

	(void)state;
	for (size_t op = 0; op < host_ops(20000); op++) {
		struct page_summary sum = {9999, 9999, 9999};
		struct page_summary counted;

		for (size_t i = 0; i < SUMMARY_FAN; i++) {
			uint64_t kind = host_random_below(&random, 3);

			for (size_t w = 0; w < PAGE_CHUNK_WORDS; w++)
				words[i * PAGE_CHUNK_WORDS + w] = kind == 0   ? 0
								  : kind == 1 ? ~(bitword_t)0
									      : draw_word(&random);
			page_summary_chunk(&children[i], words + i * PAGE_CHUNK_WORDS);
		}
		counted = count_summary(words, SUMMARY_FAN * CHUNK);
		assert_true(page_summary_merge(&sum, children, CHUNK));
		assert_memory_equal(&sum, &counted, sizeof(sum));
		assert_false(page_summary_merge(&sum, children, CHUNK));
	}
}

static void runs_in_a_word(void **state)
{
	struct host_random random = host_random_seed("runs_in_a_word", 7);

	(void)state;
	for (size_t op = 0; op < host_ops(3000); op++) {
		bitword_t word = draw_word(&random);

		for (size_t n = 1; n <= BITWORD_BITS; n++) {
			bitword_t runs = bitword_runs(word, n);

			for (size_t bit = 0; bit < BITWORD_BITS; bit++) {
				bool here = bit + n <= BITWORD_BITS &&
					    (word & bitword_mask(bit, bit + n)) ==
						    bitword_mask(bit, bit + n);

				assert_int_equal((runs >> bit) & 1, here);
			}
		}
	}
}

static void chunks_that_are_not_full(void **state)
{
	struct host_random random = host_random_seed("chunks_that_are_not_full", 8);
	size_t chunks = 64 * 64 + 70;
	void *memory = make_metadata(1);
	struct page_tree tree;
	bool *some = calloc(chunks, sizeof(bool));
	bitword_t *bitmap = calloc(chunks, 64);

	(void)state;
	free(memory);
	memory = metadata_of[made] = malloc(page_tree_bytes(chunks));
	taken_of[made++] = some;
	memset(bitmap, 0xff, chunks * 64);
	page_tree_init(&tree, memory, chunks);
	assert_int_equal(tree.some_levels, 3);
	for (size_t op = 0; op < host_ops(30000); op++) {
		size_t chunk = host_random_below(&random, chunks);
		size_t from = host_random_below(&random, chunks + 1);
		size_t next = from;

		some[chunk] = host_random_below(&random, 64) == 0;
		bitmap[chunk * PAGE_CHUNK_WORDS + 3] = some[chunk] ? ~(bitword_t)16 : ~(bitword_t)0;
		page_tree_note(&tree, chunk);
		assert_true(page_tree_next_some(&tree, chunk) == chunk);
		page_tree_update(&tree, bitmap, chunk, chunk + 1);
		while (next < chunks && !some[next])
			next++;
		assert_true(page_tree_next_some(&tree, from) == (next < chunks ? next : SIZE_MAX));
	}
	free(bitmap);
}

/* ---- Work under the lock ---- */

/* Every other frame taken, everywhere: what is asked for stands at no place that is free. */
static void constrained_search_opens_the_lock(void **state)
{
	struct page_fit fit = {.align_pages = 2};
	struct page_search search;
	unsigned steps = 0;

	(void)state;
	start();
	grow(0, CHUNK * 100);
	assert_int_equal(pagealloc_alloc(&node, CHUNK * 100, NULL).v, 0);
	for (size_t frame = 1; frame < CHUNK * 100; frame += 2)
		assert_int_equal(pagealloc_free(&node, (pfn_t){frame}, 1), 1);
	assert_true(pfn_is_none(pagealloc_alloc(&node, 1, &fit)));

	assert_true(page_search_begin(&search, node.regions, 1, &fit));
	while (page_search_step(&search) == PAGE_SEARCH_MORE)
		steps++;
	assert_in_range(steps, 20, 200);

	/* the last place of all */
	assert_int_equal(pagealloc_free(&node, (pfn_t){CHUNK * 100 - 2}, 1), 1);
	assert_int_equal(pagealloc_alloc(&node, 1, &fit).v, CHUNK * 100 - 2);
	assert_valid();
}

/* ---- Size ---- */

#define TIB ((size_t)1 << 28) /* frames of it */

static void region_of_one_tib(void **state)
{
	size_t base = (size_t)1 << 30;

	(void)state;
	start();
	assert_true(pagealloc_region_bytes(TIB) < 106 * MIB);
	assert_true(pagealloc_add(&node, (pfn_t){base}, TIB, make_metadata(TIB)));
	taken_of[made++] = NULL;
	assert_int_equal(pagealloc_largest(&node), TIB);
	assert_int_equal(pagealloc_alloc(&node, TIB, NULL).v, base);
	assert_true(pfn_is_none(pagealloc_alloc(&node, 1, NULL)));
	assert_int_equal(pagealloc_free(&node, (pfn_t){base + TIB - 1}, 1), 1);
	assert_int_equal(pagealloc_free(&node, (pfn_t){base}, 1), 1);
	assert_int_equal(pagealloc_alloc(&node, 1, NULL).v, base);
	assert_int_equal(pagealloc_alloc(&node, 1, NULL).v, base + TIB - 1);
	assert_int_equal(pagealloc_free(&node, (pfn_t){base + TIB / 2 - 5}, 600), 600);
	assert_true(pfn_is_none(pagealloc_alloc(&node, 601, NULL)));
	assert_int_equal(pagealloc_alloc(&node, 600, NULL).v, base + TIB / 2 - 5);
	assert_int_equal(node.free_pages, 0);
}

/* Longer than the first fitting run of any node below: a run that spans whole levels. */
static void run_across_levels(void **state)
{
	(void)state;
	start();
	grow(0, CHUNK * 600);
	assert_true(pagealloc_alloc_at(&node, (pfn_t){CHUNK * 63 + 100}, 1));
	assert_true(pagealloc_alloc_at(&node, (pfn_t){CHUNK * 577 + 9}, 1));
	assert_int_equal(pagealloc_alloc(&node, CHUNK * 514 - 91, NULL).v, SIZE_MAX);
	assert_int_equal(pagealloc_alloc(&node, CHUNK * 514 - 92, NULL).v, CHUNK * 63 + 101);
	assert_int_equal(pagealloc_largest(&node), CHUNK * 63 + 100);
	assert_valid();
}

static void regions_up_to_the_last_frame(void **state)
{
	size_t base = SIZE_MAX - 1000;

	(void)state;
	start();
	grow(base, 1000);
	assert_int_equal(pagealloc_alloc(&node, 1000, NULL).v, base);
	assert_int_equal(pagealloc_free(&node, (pfn_t){base + 500}, 500), 500);
	/* rounding up wraps */
	assert_true(pfn_is_none(pagealloc_alloc(
		&node, 1, &(struct page_fit){.align_pages = 1024, .min = {base + 600}})));
	assert_true(pfn_is_none(pagealloc_alloc(
		&node, 8, &(struct page_fit){.boundary_pages = 16, .min = {base + 995}})));
	assert_int_equal(pagealloc_free(&node, (pfn_t){SIZE_MAX - 1}, 5), 0);
	assert_int_equal(pagealloc_alloc(&node, 500, NULL).v, base + 500);
	assert_valid();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(property_sparse, set_up_bare, end),
		cmocka_unit_test_setup_teardown(property_tall, set_up_bare, end),
		cmocka_unit_test_setup_teardown(property_tiny, set_up_bare, end),
		cmocka_unit_test_setup_teardown(property_drained, set_up_bare, end),
		cmocka_unit_test_setup_teardown(summary_of_a_chunk, set_up_bare, end),
		cmocka_unit_test_setup_teardown(summary_of_neighbours, set_up_bare, end),
		cmocka_unit_test_setup_teardown(runs_in_a_word, set_up_bare, end),
		cmocka_unit_test_setup_teardown(chunks_that_are_not_full, set_up_bare, end),
		cmocka_unit_test_setup_teardown(constrained_search_opens_the_lock, set_up_bare,
						end),
		cmocka_unit_test_setup_teardown(region_of_one_tib, set_up_bare, end),
		cmocka_unit_test_setup_teardown(run_across_levels, set_up_bare, end),
		cmocka_unit_test_setup_teardown(regions_up_to_the_last_frame, set_up_bare, end),
	};

	return cmocka_run_group_tests_name("pagealloc", tests, NULL, NULL);
}
