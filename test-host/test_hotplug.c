/* SPDX-License-Identifier: MIT */
/* test_hotplug.c - memory that comes and goes: ranges added and removed, who holds them, exact
 * frames, boot memory released; and what each of these calls refuses. */
#include "test-host/unit.h"

#include <slate/cache.h>

#include "mm/arena.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"

#define FAR  (512 * MIB)
#define SIZE (8 * MIB)

static struct slate_holder list[64];
static struct slate_holders holders;

static struct slate_stats stats(void)
{
	struct slate_stats now;

	slate_stats(&now);
	return now;
}

static pfn_t hoard[1024];
static size_t hoarded;

/* Metadata for what the tests allocate, from boot memory; and arenas for the range. */
static void warm_up(void)
{
	static const size_t sizes[] = {64, 500, 1024, 2048, 100000};
	void *objects[5];

	host_cpu_online(1);
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		host_cpu_set(cpu);
		for (int i = 0; i < 5; i++)
			objects[i] = slate_alloc(sizes[i]);
		for (int i = 0; i < 5; i++)
			slate_free(objects[i]);
		slate_free(slate_alloc_flags(5, SLATE_NOSCAN));
		slate_frame_free(slate_frame_alloc());
	}
	host_cpu_set(0);
	slate_flush();
	assert_int_equal(slate_add_memory((paddr_t){FAR}, SIZE, 0), SLATE_OK);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, SIZE, NULL), SLATE_OK);
}

/* 16 MiB at 1 MiB, and FAR exists, but is not there. */
static int set_up(void **state)
{
	(void)state;
	host_boot(MIB, 16 * MIB);
	host_memory(FAR, 64 * MIB);
	memset(list, 0, sizeof(list));
	holders = (struct slate_holders){.list = list, .capacity = 64};
	hoarded = 0;
	warm_up();
	return 0;
}

#define HOT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static int add(void)
{
	return slate_add_memory((paddr_t){FAR}, SIZE, 0);
}

static int take_away(void)
{
	return slate_remove_memory((paddr_t){FAR}, SIZE, &holders);
}

static bool is_far(uint64_t paddr)
{
	return paddr >= FAR && paddr < FAR + SIZE;
}

/* A run of n frames inside the range. */
static pfn_t far_run(size_t n)
{
	pfn_t pfn = slate_page_alloc(
		n, &(struct slate_page_constraints){.min = FAR, .node = SLATE_ANY_NODE});

	assert_true(is_far(pfn_to_paddr(pfn).v));
	return pfn;
}

/* All boot memory: what comes next lies far. */
static void hoard_near(void)
{
	struct slate_page_constraints near = {
		.max = FAR, .node = SLATE_ANY_NODE, .flags = SLATE_RESERVE};

	slate_flush();
	for (size_t n = 8; n > 0; n /= 2) {
		pfn_t pfn;

		while (pfn = slate_page_alloc(n, &near), !pfn_is_none(pfn)) {
			assert_true(hoarded < 1024);
			hoard[hoarded++] = pfn;
			if (n > 1)
				hoard[hoarded - 1].v |= (size_t)n << 48;
		}
	}
}

static void unhoard(void)
{
	while (hoarded > 0) {
		size_t n = hoard[--hoarded].v >> 48;

		slate_page_free((pfn_t){hoard[hoarded].v & (((size_t)1 << 48) - 1)}, n ? n : 1);
	}
}

/* ---- There and back ---- */

static void back_and_forth(void **state)
{
	struct slate_stats before = stats();

	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(add(), SLATE_OK);
		assert_int_equal(stats().total_pages, before.total_pages + SIZE / 4096);
		memset(slate_virt(pfn_to_paddr(far_run(1))), 1, 4096);
		assert_int_equal(take_away(), SLATE_EBUSY);
		slate_page_free(paddr_to_pfn(list[0].base), 1);
		assert_int_equal(slate_validate(), 0);
		assert_int_equal(take_away(), SLATE_OK);
		assert_int_equal(holders.count, 0);
		assert_int_equal(stats().total_pages, before.total_pages);
		assert_int_equal(slate_validate(), 0);
		/* the machine's owner may use it again: nothing of it may be touched */
		memset(host_virt(FAR), 0xee, SIZE);
	}
	assert_int_equal(stats().metadata_pages + stats().free_pages + stats().reserved_pages,
			 before.total_pages);
}

static void metadata_does_not_grow(void **state)
{
	struct slate_stats first;

	(void)state;
	assert_int_equal(add(), SLATE_OK);
	assert_int_equal(take_away(), SLATE_OK);
	first = stats();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(add(), SLATE_OK);
		assert_int_equal(take_away(), SLATE_OK);
	}
	assert_int_equal(stats().metadata_pages, first.metadata_pages);
	assert_int_equal(stats().free_pages, first.free_pages);
}

static void no_class_byte_is_left(void **state)
{
	(void)state;
	assert_int_equal(add(), SLATE_OK);
	assert_int_equal(arena_class(paddr_to_pfn((paddr_t){FAR})), PAGECLASS_META);
	assert_int_equal(take_away(), SLATE_OK);
	for (size_t i = 0; i < SIZE / 4096; i++)
		assert_int_equal(arena_class(paddr_to_pfn((paddr_t){FAR + i * 4096})),
				 PAGECLASS_NONE);
	/* so a pointer into it is foreign again */
	expect_report(SLATE_CRIME_FOREIGN);
	slate_free(host_virt(FAR + 4096));
	reported();
}

static void cached_objects_and_frames_come_home(void **state)
{
	void *objects[64];

	(void)state;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	for (int i = 0; i < 64; i++) {
		objects[i] = slate_alloc(1024);
		assert_true(is_far(slate_phys(objects[i]).v));
	}
	pfn_t frame = slate_page_alloc(1, NULL);

	assert_true(is_far(pfn_to_paddr(frame).v));
	for (int i = 0; i < 64; i++)
		slate_free(objects[i]);
	slate_page_free(frame, 1);
	unhoard();
	/* all in magazines now, none drained by us */
	assert_int_equal(take_away(), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
}

static void the_caches_of_other_cpus_come_home(void **state)
{
	void *object;

	(void)state;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	host_cpu_set(1);
	object = slate_alloc(64);
	assert_true(is_far(slate_phys(object).v));
	slate_free(object);
	host_cpu_set(0);
	unhoard();
	assert_int_equal(take_away(), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
}

static void without_interrupts_between_cpus_it_is_held(void **state)
{
	(void)state;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	host_cpu_set(1);
	slate_free(slate_alloc(64));
	host_cpu_set(0);
	unhoard();
	host_ipi_disable();
	assert_int_equal(take_away(), SLATE_EBUSY);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Holders ---- */

static void holders_are_named(void **state)
{
	static const enum slate_holder_kind kinds[] = {SLATE_HOLDER_FRAMES, SLATE_HOLDER_OBJECTS,
						       SLATE_HOLDER_LARGE};
	void *small;
	void *large;
	pfn_t run;

	(void)state;
	assert_int_equal(add(), SLATE_OK);
	run = far_run(700);
	hoard_near();
	small = slate_alloc(2048);
	large = slate_alloc(100000);
	assert_true(is_far(slate_phys(small).v));
	assert_true(is_far(slate_phys(large).v));
	unhoard();
	assert_int_equal(take_away(), SLATE_EBUSY);
	assert_int_equal(holders.count, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(list[i].kind, kinds[i]);
	assert_int_equal(list[0].base.v, pfn_to_paddr(run).v);
	assert_int_equal(list[0].pages, 700);
	assert_int_equal(list[1].object_bytes, 2048);
	assert_true(slate_phys(small).v - list[1].base.v < list[1].pages * 4096);
	assert_int_equal(list[2].base.v, slate_phys(large).v);
	assert_int_equal(list[2].pages, 25);
	assert_int_equal(list[2].object_bytes, 25 * 4096);
	assert_int_equal(holders.pages, list[0].pages + list[1].pages + list[2].pages);
	assert_int_equal(slate_validate(), 0);

	/* with room for one, the count is right all the same */
	holders.capacity = 1;
	list[1].pages = 0;
	assert_int_equal(take_away(), SLATE_EBUSY);
	assert_int_equal(holders.count, 3);
	assert_int_equal(list[1].pages, 0);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, SIZE, NULL), SLATE_EBUSY);

	slate_free(small);
	slate_free(large);
	slate_page_free(run, 700);
	assert_int_equal(take_away(), SLATE_OK);
}

/* A refused removal leaves everything as it was: spans serve, frames come. */
static void service_is_restored(void **state)
{
	void *object;
	void *again;
	pfn_t run;

	(void)state;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	object = slate_alloc(192);
	assert_int_equal(take_away(), SLATE_EBUSY);
	run = far_run(100);
	again = slate_alloc(192);
	/* the same span goes on */
	assert_true(is_far(slate_phys(again).v));
	assert_ptr_equal(arena_span(paddr_to_pfn(slate_phys(object))),
			 arena_span(paddr_to_pfn(slate_phys(again))));
	assert_int_equal(slate_usable_size(object), 192);
	slate_free_sized(object, 192);
	slate_free(again);
	slate_page_free(run, 100);
	unhoard();
	assert_int_equal(slate_validate(), 0);
	assert_int_equal(take_away(), SLATE_OK);
}

/* ---- While it is isolated ---- */

static void *victim;
static size_t seen_far;
static enum { FREE_PLAIN, FREE_SIZED, FREE_TWICE, FREE_RESIZED } deed;

/* Runs in an "interrupt" of this CPU, when the victim's frames are marked and the caches empty. */
static void while_isolated(void)
{
	if (victim && arena_class(paddr_to_pfn(slate_phys(victim))) == PAGECLASS_SLOW &&
	    stats().cached_objects == 0) {
		void *object = victim;

		victim = NULL;
		assert_int_equal(slate_usable_size(object), 2048);
		if (deed == FREE_SIZED)
			slate_free_sized(object, 2048);
		else if (deed == FREE_RESIZED)
			assert_null(slate_realloc(object, 0));
		else
			slate_free(object);
		if (deed == FREE_TWICE)
			slate_free(object);
		/* nothing in there is given to anyone */
		object = slate_alloc(2048);
		seen_far += object && is_far(slate_phys(object).v);
		slate_free(object);
	}
}

static void free_while_isolated(int how)
{
	deed = how;
	seen_far = 0;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	victim = slate_alloc(2048);
	assert_true(is_far(slate_phys(victim).v));
	host_irq_hook(while_isolated);
	assert_int_equal(take_away(), SLATE_OK);
	host_irq_hook(NULL);
	assert_null(victim);
	assert_int_equal(seen_far, 0);
	unhoard();
	assert_int_equal(slate_validate(), 0);
}

/* Objects of other kinds than slate_alloc()'s: of a typed cache, and tiny ones. */
static struct slate_cache *cache;
static size_t wanted_near;

static void *typed_alloc(void)
{
	return slate_cache_alloc(cache);
}

static void *tiny_alloc_one(void)
{
	return slate_alloc_flags(5, SLATE_NOSCAN);
}

static void *(*kind_alloc)(void);

/* When the spans are isolated and the magazines empty: other memory serves. */
static void want_another(void)
{
	struct mspan *span = victim ? arena_span(paddr_to_pfn(slate_phys(victim))) : NULL;

	if (span && span->isolated && wanted_near == 0 && stats().cached_objects == 0) {
		void *object = kind_alloc();

		wanted_near += object && !is_far(slate_phys(object).v);
		seen_far += object && is_far(slate_phys(object).v);
		slate_free(object);
	}
}

/* Nothing comes out of its span while the removal is tried, and the span goes on afterwards. */
static void kind_is_isolated(void *(*alloc)(void))
{
	void *again;

	kind_alloc = alloc;
	seen_far = wanted_near = 0;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	victim = alloc();
	assert_true(is_far(slate_phys(victim).v));
	unhoard();
	host_irq_hook(want_another);
	assert_int_equal(take_away(), SLATE_EBUSY);
	host_irq_hook(NULL);
	assert_int_equal(seen_far, 0);
	assert_true(wanted_near > 0);
	assert_int_equal(slate_validate(), 0);

	assert_int_equal(arena_class(paddr_to_pfn(slate_phys(victim))),
			 arena_span(paddr_to_pfn(slate_phys(victim)))->page_class);
	slate_flush();
	again = alloc();
	assert_ptr_equal(arena_span(paddr_to_pfn(slate_phys(victim))),
			 arena_span(paddr_to_pfn(slate_phys(again))));
	slate_free(again);
	slate_free(victim);
	victim = NULL;
	assert_int_equal(take_away(), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
}

static void typed_objects_are_isolated(void **state)
{
	(void)state;
	cache = slate_cache_create(
		&(struct slate_cache_params){.name = "hotplug", .size_bytes = 40});
	assert_non_null(cache);
	kind_is_isolated(typed_alloc);
	assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
}

static void tiny_objects_are_isolated(void **state)
{
	(void)state;
	kind_is_isolated(tiny_alloc_one);
}

static void a_free_meanwhile_goes_straight_home(void **state)
{
	(void)state;
	free_while_isolated(FREE_PLAIN);
}

static void a_sized_free_meanwhile(void **state)
{
	(void)state;
	free_while_isolated(FREE_SIZED);
}

static void a_realloc_to_nothing_meanwhile(void **state)
{
	(void)state;
	free_while_isolated(FREE_RESIZED);
}

static void a_double_free_meanwhile(void **state)
{
	(void)state;
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	free_while_isolated(FREE_TWICE);
	reported();
}

static int inner_status;

static void nested(void)
{
	if (inner_status == SLATE_OK)
		inner_status = slate_add_memory((paddr_t){FAR + 32 * MIB}, SIZE, 0);
}

/* A handler that interrupts the first one is refused, where it would wait for ever. */
static void one_at_a_time(void **state)
{
	(void)state;
	assert_int_equal(add(), SLATE_OK);
	inner_status = SLATE_OK;
	host_irq_hook(nested);
	assert_int_equal(take_away(), SLATE_OK);
	host_irq_hook(NULL);
	assert_int_equal(inner_status, SLATE_EAGAIN);
	inner_status = SLATE_OK;
	assert_int_equal(add(), SLATE_OK);
	assert_int_equal(slate_add_memory((paddr_t){FAR + 32 * MIB}, SIZE, 0), SLATE_OK);
}

/* ---- Where it may lie ---- */

static void ranges_that_touch(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(slate_add_memory((paddr_t){FAR + i * MIB}, MIB, 0), SLATE_OK);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, 2 * MIB, NULL), SLATE_ENOENT);
	/* from the middle, then the rest */
	for (int i = 0; i < 4; i++) {
		uint64_t base = FAR + (uint64_t)((i + 2) % 4) * MIB;

		assert_int_equal(slate_remove_memory((paddr_t){base}, MIB, NULL), SLATE_OK);
		assert_int_equal(slate_validate(), 0);
	}
	assert_int_equal(slate_add_memory((paddr_t){FAR}, 4 * MIB, 0), SLATE_OK);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, 4 * MIB, NULL), SLATE_OK);
}

static void a_neighbour_keeps_its_class_bytes(void **state)
{
	void *object;

	(void)state;
	hoard_near();
	assert_int_equal(slate_add_memory((paddr_t){FAR}, MIB, 0), SLATE_OK);
	assert_int_equal(slate_add_memory((paddr_t){FAR + MIB}, MIB, 0), SLATE_OK);
	pfn_t all = far_run(200);

	object = slate_alloc(500);
	while (object && slate_phys(object).v < FAR + MIB)
		object = slate_alloc(500);
	assert_non_null(object);
	slate_page_free(all, 200);
	/* same arena: the first range goes or stays, the second one's object is an object */
	slate_remove_memory((paddr_t){FAR}, MIB, NULL);
	assert_int_equal(slate_usable_size(object), 512);
	slate_free(object);
	unhoard();
	assert_int_equal(slate_validate(), 0);
}

static void another_node(void **state)
{
	struct slate_node_stats node;

	(void)state;
	assert_int_equal(slate_add_memory((paddr_t){FAR}, SIZE, 3), SLATE_OK);
	assert_true(slate_node_stats(3, &node));
	assert_int_equal(node.total_pages, SIZE / 4096);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, SIZE, NULL), SLATE_OK);
	assert_false(slate_node_stats(3, &node));
	/* and as another node's */
	assert_int_equal(slate_add_memory((paddr_t){FAR}, SIZE, 2), SLATE_OK);
	assert_true(slate_node_stats(2, &node));
	assert_int_equal(slate_validate(), 0);
}

/* Objects lie lowest, in the range; their metadata does not, while there is other memory. */
static void metadata_keeps_out(void **state)
{
	static void *objects[150];
	unsigned inside = 0;

	(void)state;
	host_boot(FAR, 16 * MIB);
	host_memory(MIB, SIZE);
	assert_int_equal(slate_add_memory((paddr_t){MIB}, SIZE, 0), SLATE_OK);
	for (int i = 0; i < 150; i++) {
		objects[i] = slate_alloc(32 + 32 * (i % 40));
		inside += slate_phys(objects[i]).v < FAR;
	}
	assert_int_equal(inside, 150);
	for (int i = 0; i < 150; i++)
		slate_free(objects[i]);
	assert_int_equal(slate_remove_memory((paddr_t){MIB}, SIZE, NULL), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
}

/* No memory for arenas: the range carries them itself, and stays. */
static void a_range_that_must_stay(void **state)
{
	uint64_t fresh = FAR + 1024 * MIB;

	(void)state;
	host_memory(fresh, SIZE);
	hoard_near();
	assert_int_equal(slate_add_memory((paddr_t){fresh}, SIZE, 0), SLATE_OK);
	assert_int_equal(slate_remove_memory((paddr_t){fresh}, SIZE, &holders), SLATE_EBUSY);
	assert_int_equal(holders.count, 1);
	assert_int_equal(list[0].kind, SLATE_HOLDER_METADATA);
	assert_int_equal(list[0].base.v, fresh);
	unhoard();
	assert_int_equal(slate_validate(), 0);
}

/* ---- Refused ---- */

static const struct bounds {
	const char *what;
	uint64_t base;
	uint64_t size_bytes;
	unsigned node;
	int add_status;
	int remove_status;
} bounds[] = {
	{"nothing", FAR, 0, 0, SLATE_EINVAL, SLATE_EINVAL},
	{"less than a frame", FAR, 4095, 0, SLATE_EINVAL, SLATE_EINVAL},
	{"parts of two frames", FAR + 1, 8190, 0, SLATE_EINVAL, SLATE_EINVAL},
	{"one frame", FAR, 4096, 0, SLATE_ENOMEM, SLATE_ENOENT},
	{"no such node", FAR, MIB, SLATE_MAX_NODES, SLATE_EINVAL, SLATE_ENOENT},
	{"a node far off", FAR, MIB, ~0u, SLATE_EINVAL, SLATE_ENOENT},
	{"boot memory", MIB, 16 * MIB, 0, SLATE_EEXIST, SLATE_ENOENT},
	{"a part of it", 2 * MIB, MIB, 0, SLATE_EEXIST, SLATE_ENOENT},
	{"its last frame", 17 * MIB - 4096, MIB, 0, SLATE_EEXIST, SLATE_ENOENT},
	{"around it", 0, 64 * MIB, 0, SLATE_EEXIST, SLATE_ENOENT},
	{"above all addresses", (uint64_t)1 << SLATE_PADDR_BITS, MIB, 0, SLATE_ERANGE,
	 SLATE_ERANGE},
	{"across the top", ((uint64_t)1 << SLATE_PADDR_BITS) - MIB, 2 * MIB, 0, SLATE_ERANGE,
	 SLATE_ERANGE},
	{"base + size overflows", UINT64_MAX - 4095, 8192, 0, SLATE_ERANGE, SLATE_ERANGE},
	{"all there is", 4096, UINT64_MAX, 0, SLATE_ERANGE, SLATE_ERANGE},
	{"longer than a region", (uint64_t)1 << 45, (uint64_t)1 << 45, 0, SLATE_ERANGE,
	 SLATE_ENOENT},
};

static void bounds_that_cannot_be(void **state)
{
	struct slate_stats before = stats();

	(void)state;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		const struct bounds *b = &bounds[i];
		int added = slate_add_memory((paddr_t){b->base}, b->size_bytes, b->node);
		int removed = slate_remove_memory((paddr_t){b->base}, b->size_bytes, &holders);

		if (added != b->add_status || removed != b->remove_status)
			host_fail(__FILE__, __LINE__, "%s: add %d, remove %d", b->what, added,
				  removed);
	}
	assert_int_equal(stats().total_pages, before.total_pages);
	assert_int_equal(stats().free_pages, before.free_pages);
	assert_int_equal(slate_validate(), 0);
}

static void beyond_the_direct_map(void **state)
{
	struct slate_range ranges[4];
	struct slate_memmap map = {.ranges = ranges, .capacity = 4};
	struct slate_init_params params = {
		.map = &map, .direct_map_offset = host_offset(), .mapped_limit = FAR + MIB};

	(void)state;
	host_reset();
	slate_memmap_add(&map, MIB, 16 * MIB, SLATE_RANGE_USABLE, "ram");
	slate_memmap_build(&map, NULL, NULL);
	host_memory(MIB, 16 * MIB);
	host_memory(FAR, MIB);
	assert_int_equal(slate_init(&params), SLATE_OK);
	host_cpu_online(0);
	assert_int_equal(slate_add_memory((paddr_t){FAR + MIB}, MIB, 0), SLATE_ERANGE);
	/* frames above may be served, as numbers, where the metadata lies below */
	assert_int_equal(slate_add_memory((paddr_t){FAR}, 4 * MIB, 0), SLATE_OK);
	assert_true(pfn_to_paddr(far_run(700)).v < FAR + 4 * MIB);
	assert_int_equal(slate_validate(), 0);
}

static void removing_twice(void **state)
{
	(void)state;
	assert_int_equal(take_away(), SLATE_ENOENT);
	assert_int_equal(add(), SLATE_OK);
	assert_int_equal(add(), SLATE_EEXIST);
	assert_int_equal(slate_add_memory((paddr_t){FAR + MIB}, MIB, 0), SLATE_EEXIST);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, MIB, NULL), SLATE_ENOENT);
	assert_int_equal(slate_remove_memory((paddr_t){FAR + 4096}, SIZE - 4096, NULL),
			 SLATE_ENOENT);
	assert_int_equal(take_away(), SLATE_OK);
	assert_int_equal(take_away(), SLATE_ENOENT);
}

static void too_early(void **state)
{
	struct slate_range range = {.base = FAR, .size_bytes = MIB, .type = SLATE_RANGE_MODULE};

	(void)state;
	host_reset();
	expect_reports(SLATE_CRIME_WRONG_STAGE, 4);
	assert_int_equal(add(), SLATE_ESTAGE);
	assert_int_equal(take_away(), SLATE_ESTAGE);
	assert_int_equal(slate_reserve_release(&range), SLATE_ESTAGE);
	assert_int_equal(slate_page_alloc_at((paddr_t){FAR}, 1), SLATE_ESTAGE);
	reported();
}

/* ---- Exact frames ---- */

static void exact_frames(void **state)
{
	pfn_t run = slate_page_alloc(64, NULL);
	paddr_t at = pfn_to_paddr(run);

	(void)state;
	assert_int_equal(slate_page_alloc_at(at, 1), SLATE_EBUSY);
	assert_int_equal(slate_page_alloc_at(at, 64), SLATE_EBUSY);
	slate_page_free(run, 64);
	assert_int_equal(slate_page_alloc_at(at, 64), SLATE_OK);
	assert_int_equal(stats().manual_pages, 64);
	slate_page_free(pfn_add(run, 10), 20);
	assert_int_equal(slate_page_alloc_at((paddr_t){at.v + 9 * 4096}, 2), SLATE_EBUSY);
	assert_int_equal(slate_page_alloc_at((paddr_t){at.v + 12 * 4096}, 3), SLATE_OK);
	slate_page_free(pfn_add(run, 12), 3);
	slate_page_free(run, 10);
	slate_page_free(pfn_add(run, 30), 34);
	assert_int_equal(stats().manual_pages, 0);
	assert_int_equal(slate_validate(), 0);
}

/* Frames that lie in a magazine are free: they are fetched. */
static void exact_frames_out_of_a_cache(void **state)
{
	pfn_t frame = slate_page_alloc(1, NULL);

	(void)state;
	slate_page_free(frame, 1);
	assert_int_equal(slate_page_alloc_at(pfn_to_paddr(frame), 1), SLATE_OK);
	slate_page_free(frame, 1);
	assert_int_equal(slate_validate(), 0);
}

static void exact_frames_that_cannot_be(void **state)
{
	static const struct {
		uint64_t base;
		size_t n;
		int status;
	} calls[] = {
		{2 * MIB, 0, SLATE_EINVAL},
		{2 * MIB + 1, 1, SLATE_EINVAL},
		{2 * MIB + 2048, 1, SLATE_EINVAL},
		{FAR, 1, SLATE_ENOENT},
		{0, 1, SLATE_ENOENT},
		{16 * MIB, 257, SLATE_ENOENT},
		{2 * MIB, SIZE_MAX, SLATE_ENOENT},
		{2 * MIB, SIZE_MAX - 511, SLATE_ENOENT},
		{(uint64_t)1 << SLATE_PADDR_BITS, 1, SLATE_ENOENT},
		{UINT64_MAX - 4095, 1, SLATE_ENOENT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		assert_int_equal(slate_page_alloc_at((paddr_t){calls[i].base}, calls[i].n),
				 calls[i].status);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Boot memory that is done with ---- */

static int release(uint64_t base, uint64_t size_bytes, unsigned type)
{
	const struct slate_range range = {
		.base = base, .size_bytes = size_bytes, .type = (uint8_t)type};

	return slate_reserve_release(&range);
}

static void an_initrd_becomes_usable(void **state)
{
	struct slate_stats before = stats();

	(void)state;
	assert_int_equal(release(FAR + 100, 3 * MIB, SLATE_RANGE_MODULE), SLATE_OK);
	assert_int_equal(stats().total_pages, before.total_pages + 767);
	far_run(500);
	/* for good */
	assert_int_equal(slate_remove_memory((paddr_t){FAR + 4096}, 767 * 4096, &holders),
			 SLATE_EBUSY);
	assert_int_equal(release(FAR, 3 * MIB, SLATE_RANGE_MODULE), SLATE_EEXIST);
	assert_int_equal(slate_validate(), 0);
}

/* A single frame is worth it, since its metadata lies elsewhere; and it lies where it may. */
static void a_single_frame_is_released(void **state)
{
	(void)state;
	assert_int_equal(release(17 * MIB, 4096, SLATE_RANGE_TRAMPOLINE), SLATE_OK);
	host_memory(17 * MIB, 4096);
	assert_int_equal(slate_page_alloc_at((paddr_t){17 * MIB}, 1), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
}

static void what_is_not_released(void **state)
{
	static const enum slate_range_type never[] = {
		SLATE_RANGE_NONE,     SLATE_RANGE_USABLE, SLATE_RANGE_ACPI_NVS,
		SLATE_RANGE_FIRMWARE, SLATE_RANGE_MMIO,   SLATE_RANGE_BAD,
		SLATE_RANGE_RESERVED, SLATE_RANGE_TYPES,  SLATE_RANGE_PERSISTENT};
	struct slate_range odd = {
		.base = FAR, .size_bytes = MIB, .type = SLATE_RANGE_DTB, .node = SLATE_MAX_NODES};

	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_int_equal(release(FAR, MIB, never[i]), SLATE_EINVAL);
	assert_int_equal(slate_reserve_release(NULL), SLATE_EINVAL);
	assert_int_equal(slate_reserve_release(&odd), SLATE_EINVAL);
	assert_int_equal(release(FAR, 4095, SLATE_RANGE_MODULE), SLATE_EINVAL);
	assert_int_equal(release(FAR, UINT64_MAX, SLATE_RANGE_MODULE), SLATE_ERANGE);
	assert_int_equal(release(2 * MIB, MIB, SLATE_RANGE_MODULE), SLATE_EEXIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOT(back_and_forth),
		HOT(metadata_does_not_grow),
		HOT(no_class_byte_is_left),
		HOT(cached_objects_and_frames_come_home),
		HOT(the_caches_of_other_cpus_come_home),
		HOT(without_interrupts_between_cpus_it_is_held),
		HOT(holders_are_named),
		HOT(service_is_restored),
		HOT(typed_objects_are_isolated),
		HOT(tiny_objects_are_isolated),
		HOT(a_free_meanwhile_goes_straight_home),
		HOT(a_sized_free_meanwhile),
		HOT(a_realloc_to_nothing_meanwhile),
		HOT(a_double_free_meanwhile),
		HOT(one_at_a_time),
		HOT(ranges_that_touch),
		HOT(a_neighbour_keeps_its_class_bytes),
		HOT(another_node),
		HOT(metadata_keeps_out),
		HOT(a_range_that_must_stay),
		HOT(bounds_that_cannot_be),
		HOT(beyond_the_direct_map),
		HOT(removing_twice),
		HOT(too_early),
		HOT(exact_frames),
		HOT(exact_frames_out_of_a_cache),
		HOT(exact_frames_that_cannot_be),
		HOT(an_initrd_becomes_usable),
		HOT(a_single_frame_is_released),
		HOT(what_is_not_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
