/* SPDX-License-Identifier: MIT */
/* pure_fixalloc.c - mm/bootmem.c and mm/fixalloc.c on small static buffers. */
#include "lib/bits.h"
#include "lib/string.h"
#include "mm/bootmem.h"
#include "mm/fixalloc.h"
#include "test-host/pure.h"

#define BUFFER_BYTES 4096

static _Alignas(4096) unsigned char buffer[BUFFER_BYTES];

/* ---- bootmem ---- */

static void bump_in_order(void)
{
	struct bootmem bm;

	bootmem_init(&bm, buffer, 100);
	CHECK(bootmem_left(&bm) == 100);
	CHECK(bootmem_alloc(&bm, 10, 1) == buffer);
	CHECK(bootmem_alloc(&bm, 1, 1) == buffer + 10);
	CHECK(bootmem_left(&bm) == 89);
}

static void bump_aligned(void)
{
	struct bootmem bm;

	bootmem_init(&bm, buffer + 1, BUFFER_BYTES - 1);
	for (size_t align = 1; align <= 1024; align *= 2) {
		void *p = bootmem_alloc(&bm, 1, align);

		CHECK(p != NULL && is_aligned((uintptr_t)p, align));
	}
	CHECK(bootmem_alloc(&bm, 1, 4096) == NULL);
}

static void bump_to_the_end(void)
{
	struct bootmem bm;

	bootmem_init(&bm, buffer, 64);
	CHECK(bootmem_alloc(&bm, 65, 1) == NULL);
	CHECK(bootmem_alloc(&bm, 60, 1) == buffer);
	CHECK(bootmem_alloc(&bm, 5, 1) == NULL);
	CHECK(bootmem_alloc(&bm, 4, 8) == NULL);
	CHECK(bootmem_left(&bm) == 4);
	CHECK(bootmem_alloc(&bm, 4, 4) == buffer + 60);
	CHECK(bootmem_alloc(&bm, 1, 1) == NULL);
	CHECK(bootmem_alloc(&bm, 0, 1) == NULL);
	CHECK(bootmem_left(&bm) == 0);
}

static void bump_in_nothing(void)
{
	struct bootmem bm = {0, 0};

	CHECK(bootmem_left(&bm) == 0);
	CHECK(bootmem_alloc(&bm, 1, 1) == NULL);
	CHECK(bootmem_alloc(&bm, 64, 0) == NULL);
}

static void bump_without_overflow(void)
{
	struct bootmem bm;

	bootmem_init(&bm, buffer, 64);
	CHECK(bootmem_alloc(&bm, SIZE_MAX, 1) == NULL);
	CHECK(bootmem_alloc(&bm, SIZE_MAX - 63, 64) == NULL);
	CHECK(bootmem_alloc(&bm, 1, (size_t)1 << (8 * sizeof(size_t) - 1)) == NULL);
	/* the last bytes of the address space: aligning up would wrap */
	bootmem_init(&bm, (void *)(UINTPTR_MAX - 100), 100);
	CHECK(bootmem_alloc(&bm, 1, 256) == NULL);
	CHECK(bootmem_alloc(&bm, 101, 1) == NULL);
	CHECK(bootmem_left(&bm) == 100);
}

/* ---- fixalloc ---- */

static void empty_until_fed(void)
{
	struct fixalloc fa;

	fixalloc_init(&fa, "test", 48, 16);
	CHECK(fixalloc_alloc(&fa) == NULL);
	fixalloc_feed(&fa, buffer, 96);
	CHECK(fixalloc_alloc(&fa) == buffer);
	CHECK(fixalloc_alloc(&fa) == buffer + 48);
	CHECK(fixalloc_alloc(&fa) == NULL);
	CHECK(fa.in_use == 2);
	CHECK(fa.chunk_bytes == 96);
}

static void newest_freed_comes_first(void)
{
	struct fixalloc fa;
	void *a;
	void *b;

	fixalloc_init(&fa, "test", 32, 8);
	fixalloc_feed(&fa, buffer, 96);
	a = fixalloc_alloc(&fa);
	b = fixalloc_alloc(&fa);
	fixalloc_free(&fa, a);
	fixalloc_free(&fa, b);
	CHECK(fa.in_use == 0);
	CHECK(fixalloc_alloc(&fa) == b);
	CHECK(fixalloc_alloc(&fa) == a);
	CHECK(fixalloc_alloc(&fa) == buffer + 64);
	CHECK(fixalloc_alloc(&fa) == NULL);
}

static void sizes_are_rounded(void)
{
	struct fixalloc fa;

	fixalloc_init(&fa, "test", 1, 1);
	CHECK(fa.elem_bytes == sizeof(void *));
	CHECK(fa.align_bytes == sizeof(void *));
	fixalloc_init(&fa, "test", 65, 64);
	CHECK(fa.elem_bytes == 128);
	fixalloc_feed(&fa, buffer, 256);
	CHECK(fixalloc_alloc(&fa) == buffer);
	CHECK(fixalloc_alloc(&fa) == buffer + 128);
}

static void crooked_chunks(void)
{
	struct fixalloc fa;

	fixalloc_init(&fa, "test", 64, 64);
	fixalloc_feed(&fa, buffer + 1, 10);
	CHECK(fixalloc_alloc(&fa) == NULL);
	fixalloc_feed(&fa, buffer + 1, 63 + 64);
	CHECK(fixalloc_alloc(&fa) == buffer + 64);
	CHECK(fixalloc_alloc(&fa) == NULL);
	fixalloc_feed(&fa, buffer + 256, 63);
	CHECK(fixalloc_alloc(&fa) == NULL);
}

/* What the former chunk had left is not lost. */
static void second_chunk_keeps_the_first(void)
{
	struct fixalloc fa;
	unsigned count = 0;
	uint64_t seen = 0;

	fixalloc_init(&fa, "test", 64, 64);
	fixalloc_feed(&fa, buffer, 8 * 64);
	CHECK(fixalloc_alloc(&fa) == buffer);
	fixalloc_feed(&fa, buffer + 16 * 64, 8 * 64);
	for (unsigned char *p = fixalloc_alloc(&fa); p; p = fixalloc_alloc(&fa)) {
		size_t index = (size_t)(p - buffer) / 64;

		CHECK((seen >> index & 1) == 0);
		seen |= (uint64_t)1 << index;
		count++;
	}
	CHECK(count == 15);
	CHECK(seen == 0xff00fe);
}

/* Everything in use holds its own pattern: no two objects share a byte. */
static void objects_do_not_overlap(void)
{
	struct fixalloc fa;
	unsigned char *objects[BUFFER_BYTES / 40];
	size_t count = 0;

	fixalloc_init(&fa, "test", 40, 8);
	fixalloc_feed(&fa, buffer, BUFFER_BYTES);
	for (unsigned char *p = fixalloc_alloc(&fa); p; p = fixalloc_alloc(&fa)) {
		for (size_t i = 0; i < 40; i++)
			p[i] = (unsigned char)count;
		objects[count++] = p;
	}
	CHECK(count == BUFFER_BYTES / 40);
	for (size_t n = 0; n < count; n++)
		for (size_t i = 0; i < 40; i++)
			CHECK(objects[n][i] == (unsigned char)n);
}

/* What readers without a lock look at lasts, in debug builds, too. */
static void kept_bytes_last(void)
{
	struct fixalloc fa;
	unsigned char *object;

	fixalloc_init(&fa, "test", 64, 16);
	fixalloc_keep(&fa, 24);
	fixalloc_feed(&fa, buffer, 256);
	object = fixalloc_alloc(&fa);
	CHECK(object != NULL);
	memset(object, 0x11, 64);
	fixalloc_free(&fa, object);
	for (size_t i = sizeof(void *); i < 24; i++)
		CHECK(object[i] == 0x11);
	for (size_t i = 24; i < 64; i++)
		CHECK((object[i] == 0x11) == !SLATE_DEBUG);
	CHECK(fixalloc_alloc(&fa) == object);
}

const struct pure_test pure_fixalloc_tests[] = {
	{"bootmem: hands out in order", bump_in_order},
	{"bootmem: aligns", bump_aligned},
	{"bootmem: the last byte, and not one more", bump_to_the_end},
	{"bootmem: nothing in nothing", bump_in_nothing},
	{"bootmem: sizes and alignments that overflow", bump_without_overflow},
	{"fixalloc: empty until it is fed", empty_until_fed},
	{"fixalloc: the newest freed object comes first", newest_freed_comes_first},
	{"fixalloc: sizes are rounded to a pointer and to the alignment", sizes_are_rounded},
	{"fixalloc: crooked and short chunks", crooked_chunks},
	{"fixalloc: a second chunk keeps the rest of the first", second_chunk_keeps_the_first},
	{"fixalloc: objects do not overlap", objects_do_not_overlap},
	{"fixalloc: kept bytes last", kept_bytes_last},
	{0, 0},
};
