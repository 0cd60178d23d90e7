/* SPDX-License-Identifier: MIT */
/* test_misuse.c - what must be reported by the public object calls, and with which values. */
#include "test-host/unit.h"

#include "mm/mmdebug.h"
#include "mm/sizeclass.h"

static void double_free_of_the_newest(void **state)
{
	void *p = slate_alloc(64);

	(void)state;
	slate_free(p);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_free(p);
	slate_flush();
	assert_int_equal(reported()->address, (uintptr_t)p);
	assert_int_equal(reported()->object_bytes, 64);
	assert_int_equal(slate_validate(), 0);
}

static void double_free_with_others_between(void **state)
{
	void *objects[200];

	(void)state;
	for (int i = 0; i < 200; i++)
		objects[i] = slate_alloc(48);
	for (int i = 0; i < 200; i++)
		slate_free(objects[i]);
	slate_flush();
	objects[0] = slate_alloc(48); /* its span exists */
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_free(objects[117]);
	slate_flush();
	assert_int_equal(reported()->address, (uintptr_t)objects[117]);
	slate_free(objects[0]);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

static void double_free_of_a_large_object(void **state)
{
	void *p = slate_alloc(100000);
	unsigned reports;

	(void)state;
	slate_free(p);
	/* it lies in this CPU's cache */
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_free(p);
	assert_int_equal(reported()->object, (uintptr_t)p);
	slate_flush();
	expect_report(SLATE_CRIME_NOT_OBJECT);
	slate_free(p);
	reported();
	reports = reports_seen();
	assert_int_equal(reports, 1);
	assert_int_equal(slate_validate(), 0);
}

static void foreign_pointers(void **state)
{
	static int global;
	int local = 0;
	void *pointers[] = {&global,
			    &local,
			    (void *)8,
			    (void *)-8,
			    host_virt(0),
			    host_virt(17 * MIB),
			    (void *)((uintptr_t)1 << 63)};

	(void)state;
	for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		expect_report(SLATE_CRIME_FOREIGN);
		slate_free(pointers[i]);
		assert_int_equal(reported()->address, (uintptr_t)pointers[i]);
		assert_string_equal(reported()->call, "slate_free");
	}
	assert_int_equal(slate_validate(), 0);
}

static void interior_pointers(void **state)
{
	char *p = slate_alloc(64);
	char *large = slate_alloc(100000);

	(void)state;
	expect_report(SLATE_CRIME_INTERIOR);
	slate_free(p + 8);
	if (SLATE_DEBUG)
		assert_int_equal(reports_seen(), 1); /* at once */
	slate_flush();
	assert_int_equal(reported()->object, (uintptr_t)p);
	assert_int_equal(reported()->object_bytes, 64);
	assert_int_equal(reported()->span_pages, sizeclass_pages[sizeclass_of(64)]);
	assert_true(reported()->span_base <= (uintptr_t)p &&
		    (uintptr_t)p <
			    reported()->span_base + reported()->span_pages * SLATE_PAGE_SIZE);
	expect_report(SLATE_CRIME_INTERIOR);
	slate_free(large + 4096);
	assert_int_equal(reported()->object, (uintptr_t)large);
	slate_free(p);
	slate_free(large);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

static void misaligned_pointers(void **state)
{
	char *p = slate_alloc(64);

	(void)state;
	for (int offset = 1; offset < 8; offset++) {
		expect_report(SLATE_CRIME_MISALIGNED);
		slate_free(p + offset);
		assert_int_equal(reported()->address, (uintptr_t)p + (unsigned)offset);
	}
	slate_free(p);
}

static void wrong_sizes(void **state)
{
	void *p = slate_alloc(64);
	void *large = slate_alloc(100000);

	(void)state;
	expect_report(SLATE_CRIME_WRONG_SIZE);
	slate_free_sized(p, 65);
	assert_int_equal(reported()->size_bytes, 65);
	expect_report(SLATE_CRIME_WRONG_SIZE);
	slate_free_sized(p, 56);
	reported();
	expect_report(SLATE_CRIME_WRONG_SIZE);
	slate_free_sized(p, 100000);
	reported();
	expect_report(SLATE_CRIME_WRONG_SIZE);
	slate_free_sized(large, 64);
	reported();
	slate_free_sized(p, 64);
	slate_free_sized(large, 100000);
}

/* What is no object at all is reported as that, whatever size comes with it. */
static void sized_free_of_a_foreign_pointer(void **state)
{
	int local;

	(void)state;
	expect_report(SLATE_CRIME_FOREIGN);
	slate_free_sized(&local, sizeof(local));
	assert_string_equal(reported()->call, "slate_free_sized");
}

static void frames_are_no_objects(void **state)
{
	pfn_t one = slate_page_alloc(1, NULL);
	pfn_t run = slate_page_alloc(5, NULL);

	(void)state;
	expect_report(SLATE_CRIME_NOT_OBJECT);
	slate_free(slate_virt(pfn_to_paddr(one)));
	reported();
	expect_report(SLATE_CRIME_NOT_OBJECT);
	slate_free(slate_virt(pfn_to_paddr(run)));
	reported();
	slate_page_free(one, 1);
	slate_page_free(run, 5);
}

static void sizes_of_what_is_no_object(void **state)
{
	int local;
	char *large = slate_alloc(100000);

	(void)state;
	expect_report(SLATE_CRIME_FOREIGN);
	assert_int_equal(slate_usable_size(&local), 0);
	assert_string_equal(reported()->call, "slate_usable_size");
	expect_report(SLATE_CRIME_INTERIOR);
	assert_int_equal(slate_usable_size(large + 8192), 0);
	reported();
	expect_report(SLATE_CRIME_FOREIGN);
	assert_null(slate_realloc(&local, 10));
	assert_string_equal(reported()->call, "slate_realloc");
	slate_free(large);
}

static void the_text_of_a_misuse(void **state)
{
	char *p = slate_alloc(64);
	char expected[128];

	(void)state;
	expect_report(SLATE_CRIME_MISALIGNED);
	slate_free(p + 1);
	snprintf(expected, sizeof(expected), "slate_free: misaligned pointer of 0x%016llx",
		 (unsigned long long)(uintptr_t)p + 1);
	assert_report_starts(expected);
	slate_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(double_free_of_the_newest),
		SMALL(double_free_with_others_between),
		SMALL(double_free_of_a_large_object),
		SMALL(foreign_pointers),
		SMALL(interior_pointers),
		SMALL(misaligned_pointers),
		SMALL(wrong_sizes),
		SMALL(sized_free_of_a_foreign_pointer),
		SMALL(frames_are_no_objects),
		SMALL(sizes_of_what_is_no_object),
		SMALL(the_text_of_a_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
