/* SPDX-License-Identifier: MIT */
/* test_mmdebug.c - reports and their texts, assertions, poison, fault injection, freed metadata. */
#include "test-host/unit.h"

#include "mm/fixalloc.h"
#include "mm/mmdebug.h"

/* ---- Texts ---- */

static void check_format(const struct slate_report *report, const char *expected)
{
	char text[512];
	size_t length = slate_report_format(text, sizeof(text), report);

	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(expected));
}

static void text_of_a_double_free(void **state)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_DOUBLE_FREE,
		.call = "slate_free",
		.address = 0xffff800000123440,
		.object = 0xffff800000123440,
		.object_bytes = 64,
		.span_base = 0xffff800000123000,
		.span_pages = 2,
		.cpu = 1,
	};

	(void)state;
	check_format(&report, "slate_free: double free of 0xffff800000123440 (64-byte object in "
			      "span 0xffff800000123000+2 pages) on CPU 1");
}

static void text_of_an_interior_pointer(void **state)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_INTERIOR,
		.call = "slate_free",
		.address = 0x1008,
		.object = 0x1000,
		.object_bytes = 64,
	};

	(void)state;
	check_format(&report, "slate_free: interior pointer of 0x0000000000001008 (64-byte object "
			      "at 0x0000000000001000) on CPU 0");
}

static void text_with_a_size_and_a_detail(void **state)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_WRONG_SIZE,
		.call = "slate_free_sized",
		.address = 0x1000,
		.size_bytes = 24,
		.detail = "class of 32 bytes",
		.cpu = 3,
	};

	(void)state;
	check_format(&report, "slate_free_sized: wrong size of 0x0000000000001000, size 24: class "
			      "of 32 bytes on CPU 3");
}

static void text_of_a_span_without_an_object(void **state)
{
	struct slate_report report = {.crime = SLATE_CRIME_CORRUPT,
				      .call = "slate_validate",
				      .span_base = 0x7000,
				      .span_pages = 3};

	(void)state;
	check_format(&report, "slate_validate: corruption (object in span "
			      "0x0000000000007000+3 pages) on CPU 0");
}

static void text_of_an_assertion(void **state)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_ASSERT, .detail = "a == b", .file = "mm/x.c", .line = 12};

	(void)state;
	check_format(&report, "slate: assertion failed: a == b on CPU 0 at mm/x.c:12");
}

static void text_in_a_short_buffer(void **state)
{
	struct slate_report report = {.crime = SLATE_CRIME_FOREIGN, .call = "slate_free"};
	const char *whole = "slate_free: foreign pointer on CPU 0";
	char text[64];

	(void)state;
	for (size_t size = 0; size < sizeof(text); size++) {
		memset(text, 'z', sizeof(text));
		assert_int_equal(slate_report_format(text, size, &report), strlen(whole));
		if (size)
			assert_int_equal(strlen(text),
					 size > strlen(whole) ? strlen(whole) : size - 1);
		assert_memory_equal(text, whole,
				    size > strlen(whole) ? strlen(whole)
				    : size               ? size - 1
							 : 0);
		assert_int_equal(text[sizeof(text) - 1], 'z');
	}
}

static void names_of_crimes(void **state)
{
	(void)state;
	for (int crime = 0; crime < SLATE_CRIMES; crime++)
		for (int other = 0; other < crime; other++)
			assert_string_not_equal(slate_crime_name((enum slate_crime)crime),
						slate_crime_name((enum slate_crime)other));
	assert_string_equal(slate_crime_name(SLATE_CRIME_DOUBLE_FREE), "double free");
	assert_string_equal(slate_crime_name(SLATE_CRIMES), "unknown crime");
	assert_string_equal(slate_crime_name((enum slate_crime) - 1), "unknown crime");
}

/* ---- Reports ---- */

static void reports_are_counted(void **state)
{
	struct slate_report report = {.crime = SLATE_CRIME_FOREIGN};

	(void)state;
	assert_int_equal(mm_report_count(), 0);
	expect_reports(SLATE_CRIME_FOREIGN, 2);
	mm_report(&report);
	mm_report(&report);
	reported();
	assert_int_equal(mm_report_count(), 2);
	assert_int_equal(mm_leak_count(), 0);
	mm_leak_add(3);
	mm_leak_add(1);
	assert_int_equal(mm_leak_count(), 4);
	mm_debug_reset();
	assert_int_equal(mm_report_count() + mm_leak_count(), 0);
}

static void a_report_names_its_cpu(void **state)
{
	struct slate_report report = {.crime = SLATE_CRIME_FOREIGN, .cpu = 99};

	(void)state;
	mm_cpu_ids_valid();
	host_cpu_set(7);
	expect_report(SLATE_CRIME_FOREIGN);
	mm_report(&report);
	assert_int_equal(reported()->cpu, 7);
}

static void no_report_under_a_lock(void **state)
{
	struct slate_report report = {.crime = SLATE_CRIME_FOREIGN};
	struct mm_lock lock;

	(void)state;
	mm_lock_init(&lock, RANK_MCENTRAL);
	mm_lock_acquire(&lock);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_report(&report));
}

static void a_false_assertion(void **state)
{
	int one = 1;

	(void)state;
	MM_ASSERT(one == 1);
	expect_report(SLATE_CRIME_ASSERT);
	MM_ASSERT(one == 2);
	assert_string_equal(reported()->detail, "one == 2");
	assert_non_null(strstr(reported()->file, "test_mmdebug.c"));
	assert_true(reported()->line > 0);
}

/* ---- Poison ---- */

static void poison_is_found_intact(void **state)
{
	unsigned char bytes[40];

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	mm_poison(bytes + 1, POISON_FREED, 38);
	assert_int_equal(bytes[0], 0);
	assert_int_equal(bytes[39], 0);
	assert_int_equal(mm_poison_check(bytes + 1, POISON_FREED, 38), 38);
	assert_int_equal(mm_poison_check(bytes + 1, POISON_FRESH, 38), 0);
	assert_int_equal(mm_poison_check(bytes, POISON_FREED, 0), 0);
}

static void poison_shows_the_first_byte_written(void **state)
{
	unsigned char bytes[40];

	(void)state;
	for (size_t at = 0; at < sizeof(bytes); at++) {
		mm_poison(bytes, POISON_REDZONE, sizeof(bytes));
		bytes[at] ^= 1;
		bytes[sizeof(bytes) - 1] ^= 2;
		assert_int_equal(mm_poison_check(bytes, POISON_REDZONE, sizeof(bytes)), at);
	}
}

static void poisons_differ(void **state)
{
	const uint8_t all[] = {POISON_FRESH, POISON_FREED, POISON_REDZONE, POISON_METADATA};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(all[i], all[j]);
}

/* ---- Faults ---- */

static void no_fault_unless_armed(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		assert_false(mm_fault_now());
}

static void the_nth_request_fails_once(void **state)
{
	(void)state;
	for (size_t nth = 1; nth < 6; nth++) {
		mm_fault_arm(nth, false);
		for (size_t i = 1; i < 12; i++)
			assert_int_equal(mm_fault_now(), i == nth);
	}
}

static void the_nth_request_fails_and_all_after(void **state)
{
	(void)state;
	for (size_t nth = 1; nth < 6; nth++) {
		mm_fault_arm(nth, true);
		for (size_t i = 1; i < 12; i++)
			assert_int_equal(mm_fault_now(), i >= nth);
	}
	mm_fault_arm(0, true);
	assert_false(mm_fault_now());
	mm_fault_arm(1, true);
	mm_debug_reset();
	assert_false(mm_fault_now());
}

/* ---- Freed metadata ---- */

static _Alignas(64) unsigned char chunk[1024];

static void freed_metadata_is_poisoned(void **state)
{
	struct fixalloc fa;
	unsigned char *object;

	(void)state;
	need_checks_for(SLATE_CRIME_ASSERT);
	fixalloc_init(&fa, "thing", 64, 8);
	fixalloc_feed(&fa, chunk, sizeof(chunk));
	object = fixalloc_alloc(&fa);
	memset(object, 0, 64 + 8);
	fixalloc_free(&fa, object);
	assert_int_equal(object[64], 0); /* the neighbour's */
	assert_int_equal(
		mm_poison_check(object + sizeof(void *), POISON_METADATA, 64 - sizeof(void *)),
		64 - sizeof(void *));
}

static void a_write_to_freed_metadata_is_reported(void **state)
{
	struct fixalloc fa;
	unsigned char *object;

	(void)state;
	need_checks_for(SLATE_CRIME_ASSERT);
	fixalloc_init(&fa, "thing", 64, 8);
	fixalloc_feed(&fa, chunk, sizeof(chunk));
	object = fixalloc_alloc(&fa);
	fixalloc_free(&fa, object);
	object[40] = 1;
	expect_report(SLATE_CRIME_CORRUPT);
	assert_ptr_equal(fixalloc_alloc(&fa), object);
	assert_string_equal(reported()->call, "thing");
	assert_int_equal(reported()->address, (uintptr_t)object + 40);
	assert_int_equal(reported()->object, (uintptr_t)object);
}

static void a_misaligned_metadata_free_is_an_assertion(void **state)
{
	struct fixalloc fa;
	unsigned char *object;

	(void)state;
	fixalloc_init(&fa, "thing", 64, 64);
	fixalloc_feed(&fa, chunk, sizeof(chunk));
	object = fixalloc_alloc(&fa);
	EXPECT_FATAL(SLATE_CRIME_ASSERT, fixalloc_free(&fa, object + 8));
	EXPECT_FATAL(SLATE_CRIME_ASSERT, fixalloc_free(&fa, NULL));
}

static void more_metadata_freed_than_taken(void **state)
{
	struct fixalloc fa;

	(void)state;
	fixalloc_init(&fa, "thing", 64, 64);
	fixalloc_feed(&fa, chunk, sizeof(chunk));
	EXPECT_FATAL(SLATE_CRIME_ASSERT, fixalloc_free(&fa, chunk));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(text_of_a_double_free),
		BARE(text_of_an_interior_pointer),
		BARE(text_with_a_size_and_a_detail),
		BARE(text_of_a_span_without_an_object),
		BARE(text_of_an_assertion),
		BARE(text_in_a_short_buffer),
		BARE(names_of_crimes),
		BARE(reports_are_counted),
		BARE(a_report_names_its_cpu),
		BARE(no_report_under_a_lock),
		BARE(a_false_assertion),
		BARE(poison_is_found_intact),
		BARE(poison_shows_the_first_byte_written),
		BARE(poisons_differ),
		BARE(no_fault_unless_armed),
		BARE(the_nth_request_fails_once),
		BARE(the_nth_request_fails_and_all_after),
		BARE(freed_metadata_is_poisoned),
		BARE(a_write_to_freed_metadata_is_reported),
		BARE(a_misaligned_metadata_free_is_an_assertion),
		BARE(more_metadata_freed_than_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
