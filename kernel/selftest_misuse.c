/* SPDX-License-Identifier: MIT */
/*
 * selftest_misuse.c - wrong calls: each must be reported as what it is, and leave the allocator
 * whole.
 */
#include <slate/slate.h>

#include "boot/bootinfo.h"
#include "kernel/fault.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "lib/string.h"

/* Exactly one report of the armed crime, about that pointer. */
static void expect_one(const void *address)
{
	struct slate_report report = fault_last();

	CHECK(report_end() == 1);
	CHECK(report.address == (uintptr_t)address);
	CHECK(report.call != NULL);
}

static void *some(size_t size_bytes)
{
	void *object = slate_alloc(size_bytes);

	CHECK(object);
	return object;
}

static void test_double_free(void)
{
	void *object = some(48);

	report_begin(SLATE_CRIME_DOUBLE_FREE);
	slate_free(object);
	slate_free(object);
	slate_flush();
	expect_one(object);
}

/* Other frees lie between the two. */
static void test_double_free_later(void)
{
	void *object = some(48);
	void *between[10];

	for (size_t i = 0; i < 10; i++)
		between[i] = some(48);
	report_begin(SLATE_CRIME_DOUBLE_FREE);
	slate_free(object);
	for (size_t i = 0; i < 10; i++)
		slate_free(between[i]);
	slate_free(object);
	slate_flush();
	expect_one(object);
}

/* The first free has reached its span already, which stays: none of the two is a sample, for those
 * have spans of their own. */
static void test_double_free_flushed(void)
{
	size_t rate = profile_rate_set(0);
	void *keep = slate_alloc(48);
	void *object = slate_alloc(48);

	profile_rate_set(rate);
	CHECK(keep && object);
	slate_free(object);
	slate_flush();
	report_begin(SLATE_CRIME_DOUBLE_FREE);
	slate_free(object);
	slate_flush();
	expect_one(object);
	slate_free(keep);
}

static void free_it(void *object)
{
	slate_free(object);
}

static void test_double_free_cpus(void)
{
	void *object = some(1000);

	report_begin(SLATE_CRIME_DOUBLE_FREE);
	slate_free(object);
	smp_run(smp_next(0), free_it, object);
	slate_flush();
	expect_one(object);
}

static void test_double_free_large(void)
{
	void *object = some(100000);

	slate_free(object);
	report_begin(SLATE_CRIME_DOUBLE_FREE);
	slate_free(object);
	expect_one(object);
	/* Its frames are in no span any more: nobody can tell that the pointer ever was an
	 * object's. */
	slate_flush();
	report_begin(SLATE_CRIME_NOT_OBJECT);
	slate_free(object);
	slate_flush();
	expect_one(object);
}

static void test_foreign(void)
{
	static int in_data;
	int on_stack = 0;
	void *const pointers[] = {
		&in_data,
		(void *)(uintptr_t)4096,
		(void *)(uintptr_t)0x5a5a5a5a5a5a5a58,
		(void *)~(uintptr_t)7,
	};

	for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		report_begin(SLATE_CRIME_FOREIGN);
		slate_free(pointers[i]);
		expect_one(pointers[i]);
	}
	/* the stack that we run on is Slate's, too */
	report_begin(SLATE_CRIME_NOT_OBJECT);
	slate_free((void *)((uintptr_t)&on_stack & ~(uintptr_t)7));
	expect_one((void *)((uintptr_t)&on_stack & ~(uintptr_t)7));
}

static void test_foreign_reserved(void)
{
	/* RAM that never was Slate's, through the direct map */
	for (size_t i = 0; i < boot_info.map.count; i++) {
		const struct slate_range *range = &boot_info.map.ranges[i];
		void *pointer = slate_virt((paddr_t){range->base});

		if (range->type != SLATE_RANGE_KERNEL)
			continue;
		report_begin(SLATE_CRIME_FOREIGN);
		slate_free(pointer);
		expect_one(pointer);
	}
}

static void test_interior(void)
{
	char *object = some(256);

	report_begin(SLATE_CRIME_INTERIOR);
	slate_free(object + 64);
	slate_flush();
	expect_one(object + 64);
	CHECK(fault_last().object == (uintptr_t)object);
	slate_free(object);
}

static void test_interior_large(void)
{
	char *object = some(200000);

	report_begin(SLATE_CRIME_INTERIOR);
	slate_free(object + 8 * SLATE_PAGE_SIZE);
	slate_flush();
	expect_one(object + 8 * SLATE_PAGE_SIZE);
	slate_free(object);
}

static void test_misaligned(void)
{
	char *object = some(256);

	for (size_t i = 1; i < 8; i++) {
		report_begin(SLATE_CRIME_MISALIGNED);
		slate_free(object + i);
		slate_flush();
		expect_one(object + i);
	}
	slate_free(object);
}

static void test_wrong_size(void)
{
	void *object = some(64);

	report_begin(SLATE_CRIME_WRONG_SIZE);
	slate_free_sized(object, 2000);
	expect_one(object);
	CHECK(fault_last().size_bytes == 2000);
	CHECK(fault_last().object_bytes == 64);
	slate_free(object);
}

static void test_wrong_size_large(void)
{
	void *object = some(100000);

	report_begin(SLATE_CRIME_WRONG_SIZE);
	slate_free_sized(object, 64);
	expect_one(object);
	slate_free(object);
}

static void test_frames_to_free(void)
{
	struct slate_page_constraints fit = {.max = mapped_end(), .node = SLATE_ANY_NODE};
	pfn_t pfn = slate_page_alloc(4, &fit);
	void *pointer = slate_virt(pfn_to_paddr(pfn));

	CHECK(!pfn_is_none(pfn));
	report_begin(SLATE_CRIME_NOT_OBJECT);
	slate_free(pointer);
	slate_flush();
	expect_one(pointer);
	slate_page_free(pfn, 4);
}

static void test_usable_size(void)
{
	static int in_data;

	report_begin(SLATE_CRIME_FOREIGN);
	CHECK(slate_usable_size(&in_data) == 0);
	expect_one(&in_data);
}

static void test_realloc_foreign(void)
{
	static char in_data[64];

	report_begin(SLATE_CRIME_FOREIGN);
	CHECK(!slate_realloc(in_data, 128));
	expect_one(in_data);
}

static void test_page_double(void)
{
	pfn_t pfn = slate_page_alloc(8, NULL);

	CHECK(!pfn_is_none(pfn));
	report_begin(SLATE_CRIME_PAGE_FREE);
	slate_page_free(pfn, 8);
	slate_page_free(pfn, 8);
	slate_flush();
	CHECK(report_end() == 1);
}

static void test_page_double_single(void)
{
	pfn_t pfn = slate_page_alloc(1, NULL);

	CHECK(!pfn_is_none(pfn));
	report_begin(SLATE_CRIME_PAGE_FREE);
	slate_page_free(pfn, 1);
	slate_page_free(pfn, 1);
	slate_flush();
	CHECK(report_end() == 1);
}

static void test_page_part(void)
{
	pfn_t pfn = slate_page_alloc(8, NULL);

	CHECK(!pfn_is_none(pfn));
	/* in parentheses: the function, which looks at once; the front end leaves it to the flush
	 */
	(slate_page_free)(pfn_add(pfn, 3), 2);
	report_begin(SLATE_CRIME_PAGE_FREE);
	/* two frames of the eight are free already: nothing of it may happen */
	(slate_page_free)(pfn, 8);
	CHECK(report_end() == 1);
	slate_page_free(pfn, 3);
	slate_page_free(pfn_add(pfn, 5), 3);
}

static void test_page_foreign(void)
{
	const pfn_t frames[] = {{0}, {SIZE_MAX >> 1}, {SIZE_MAX - 1}, {(size_t)1 << 45}};

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		report_begin(SLATE_CRIME_PAGE_FREE);
		slate_page_free(frames[i], 1);
		slate_flush();
		CHECK(report_end() == 1);
		report_begin(SLATE_CRIME_PAGE_FREE);
		slate_page_free(frames[i], 4);
		slate_flush();
		CHECK(report_end() == 1);
	}
}

static void test_page_object(void)
{
	void *object = some(64);
	void *large = some(50000);

	report_begin(SLATE_CRIME_PAGE_FREE);
	slate_page_free(paddr_to_pfn(slate_phys(object)), 1);
	slate_flush();
	CHECK(report_end() == 1);
	report_begin(SLATE_CRIME_PAGE_FREE);
	slate_page_free(paddr_to_pfn(slate_phys(large)), 2);
	slate_flush();
	CHECK(report_end() == 1);
	slate_free(object);
	slate_free(large);
}

static void test_report_text(void)
{
	char text[256];
	char *object = some(256);
	struct slate_report report;

	report_begin(SLATE_CRIME_INTERIOR);
	slate_free(object + 64);
	slate_flush();
	report = fault_last();
	CHECK(report_end() == 1);
	slate_report_format(text, sizeof(text), &report);
	CHECK(strstr(text, "slate_free"));
	CHECK(strstr(text, slate_crime_name(SLATE_CRIME_INTERIOR)));
	CHECK(strstr(text, "256"));
	slate_free(object);
}

static void test_whole_afterwards(void)
{
	CHECK(slate_validate() == 0);
}

const struct pure_test selftest_misuse[] = {
	{"misuse: double free", test_double_free},
	{"misuse: double free with others in between", test_double_free_later},
	{"misuse: double free after a flush", test_double_free_flushed},
	{"misuse: double free on two CPUs", test_double_free_cpus},
	{"misuse: double free of a large object", test_double_free_large},
	{"misuse: foreign pointers", test_foreign},
	{"misuse: pointers into the kernel image", test_foreign_reserved},
	{"misuse: pointer into an object", test_interior},
	{"misuse: pointer into a large object", test_interior_large},
	{"misuse: misaligned pointer", test_misaligned},
	{"misuse: sized free of another size", test_wrong_size},
	{"misuse: sized free of a large object as a small one", test_wrong_size_large},
	{"misuse: a frame run to slate_free", test_frames_to_free},
	{"misuse: usable size of a foreign pointer", test_usable_size},
	{"misuse: realloc of a foreign pointer", test_realloc_foreign},
	{"misuse: frames freed twice", test_page_double},
	{"misuse: one frame freed twice", test_page_double_single},
	{"misuse: a run of which a part is free", test_page_part},
	{"misuse: frames that are not ours", test_page_foreign},
	{"misuse: an object's frames to slate_page_free", test_page_object},
	{"misuse: the report says what happened", test_report_text},
	{"misuse: the allocator is whole afterwards", test_whole_afterwards},
	{0},
};
