/* SPDX-License-Identifier: MIT */
/* pure_sizeclass.c - mm/sizeclass.h: every size, every class, every offset. */
#include "lib/bits.h"
#include "mm/sizeclass.h"
#include "test-host/pure.h"

static void smallest_that_holds(void)
{
	for (size_t size = 1; size <= SIZECLASS_MAX_BYTES; size++) {
		unsigned c = sizeclass_of(size);

		CHECK(c >= 1 && c < SIZECLASS_COUNT);
		CHECK(sizeclass_bytes[c] >= size);
		CHECK(sizeclass_bytes[c - 1] < size);
	}
	CHECK(sizeclass_of(0) == 1);
}

static void alignment_of_sizes(void)
{
	for (size_t size = 8; size <= SIZECLASS_MAX_BYTES; size += 8) {
		size_t elem = sizeclass_bytes[sizeclass_of(size)];

		CHECK(elem % 8 == 0);
		if (size % 16 == 0)
			CHECK(elem % 16 == 0);
		if (bits_is_pow2(size))
			CHECK(elem == size);
	}
}

static void class_zero_is_none(void)
{
	CHECK(sizeclass_bytes[0] == 0);
	CHECK(sizeclass_pages[0] == 0);
	CHECK(sizeclass_elems[0] == 0);
	CHECK(sizeclass_bytes[SIZECLASS_COUNT - 1] == SIZECLASS_MAX_BYTES);
}

static void spans(void)
{
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
		size_t span = sizeclass_pages[c] * SLATE_PAGE_SIZE;
		size_t used = (size_t)sizeclass_elems[c] * sizeclass_bytes[c];

		CHECK(sizeclass_pages[c] >= 1 && sizeclass_pages[c] <= SIZECLASS_MAX_PAGES);
		CHECK(sizeclass_elems[c] >= 1 && sizeclass_elems[c] <= SIZECLASS_MAX_ELEMS);
		CHECK(used <= span);
		/* the tail: no further object fits, and at most 2 % are lost */
		CHECK(span - used < sizeclass_bytes[c]);
		CHECK((span - used) * 50 <= span);
	}
}

/* From 57 bytes up, at most one eighth of a full span is lost to rounding and tail. */
static void waste_bound(void)
{
	for (size_t size = 57; size <= SIZECLASS_MAX_BYTES; size++) {
		unsigned c = sizeclass_of(size);
		size_t span = sizeclass_pages[c] * SLATE_PAGE_SIZE;

		CHECK((span - size * sizeclass_elems[c]) * 8 <= span);
	}
}

static void small_sizes_lose_seven_bytes(void)
{
	for (size_t size = 1; size <= 128; size++)
		CHECK(sizeclass_bytes[sizeclass_of(size)] - size <= 7);
}

static void index_of_every_offset(void)
{
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
		size_t index = 0;
		size_t next = sizeclass_bytes[c];

		for (size_t offset = 0; offset < sizeclass_pages[c] * SLATE_PAGE_SIZE; offset++) {
			if (offset == next) {
				index++;
				next += sizeclass_bytes[c];
			}
			CHECK(sizeclass_index(c, offset) == index);
		}
	}
}

/* Against a search from the first class. */
static void aligned_classes(void)
{
	for (size_t align = 1; align <= SLATE_PAGE_SIZE; align *= 2) {
		for (size_t size = 1; size <= SIZECLASS_MAX_BYTES; size += 1 + size / 64) {
			unsigned expected = 1;

			while (sizeclass_bytes[expected] < size ||
			       sizeclass_bytes[expected] % align != 0)
				expected++;
			CHECK(sizeclass_of_aligned(size, align) == expected);
		}
	}
}

static void aligned_refusals(void)
{
	CHECK(sizeclass_of_aligned(SIZECLASS_MAX_BYTES + 1, 8) == 0);
	CHECK(sizeclass_of_aligned(SIZE_MAX, 8) == 0);
	CHECK(sizeclass_of_aligned(SIZECLASS_MAX_BYTES, 8) == SIZECLASS_COUNT - 1);
	CHECK(sizeclass_of_aligned(64, 0) == 0);
	CHECK(sizeclass_of_aligned(64, 24) == 0);
	CHECK(sizeclass_of_aligned(64, 2 * SLATE_PAGE_SIZE) == 0);
	CHECK(sizeclass_of_aligned(0, 64) == sizeclass_of(64));
	CHECK(sizeclass_of_aligned(0, 1) == 1);
}

/* With its span aligned as asked, every object of a power-of-two class is naturally aligned. */
static void natural_alignment(void)
{
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
		size_t elem = sizeclass_bytes[c];
		size_t align = sizeclass_align_pages(c) * SLATE_PAGE_SIZE;

		if (bits_is_pow2(elem))
			CHECK(elem % align == 0 || align % elem == 0);
		if (bits_is_pow2(elem) && elem > SLATE_PAGE_SIZE)
			CHECK(align == elem);
		else
			CHECK(align == SLATE_PAGE_SIZE);
	}
}

const struct pure_test pure_sizeclass_tests[] = {
	{"sizeclass: every size gets the smallest class that holds it", smallest_that_holds},
	{"sizeclass: multiples of 16 and powers of two keep their alignment", alignment_of_sizes},
	{"sizeclass: class 0 is none, the last is 32 KiB", class_zero_is_none},
	{"sizeclass: spans, their objects and tails", spans},
	{"sizeclass: at most 12.5 % are lost from 57 bytes up", waste_bound},
	{"sizeclass: small sizes lose at most 7 bytes", small_sizes_lose_seven_bytes},
	{"sizeclass: the index of every offset, by multiplication", index_of_every_offset},
	{"sizeclass: aligned classes are the smallest", aligned_classes},
	{"sizeclass: what no class can align", aligned_refusals},
	{"sizeclass: span alignment of large powers of two", natural_alignment},
	{0, 0},
};
