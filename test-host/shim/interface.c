/* SPDX-License-Identifier: MIT */
/*
 * interface.c - each call of malloc's interface by its contract: alignment, sizes, overflow, errno.
 * Runs on the malloc library; the C library's own passes, too.
 */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "test-host/shim/check.h"

#define HUGE ((size_t)PTRDIFF_MAX + 1)

/* The compiler must not know what a pointer or a size is. */
static void *volatile sink;
static volatile size_t opaque;

static size_t hide(size_t x)
{
	opaque = x;
	return opaque;
}

static bool aligned(const void *p, size_t align_bytes)
{
	return p && ((uintptr_t)p & (align_bytes - 1)) == 0;
}

static bool all(const unsigned char *p, int byte, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++)
		if (p[i] != byte)
			return false;
	return true;
}

static void sizes(void)
{
	for (size_t size = 0; size < 70000; size += size < 2000 ? 1 : 61) {
		unsigned char *p = malloc(hide(size));

		CHECK(aligned(p, 16));
		CHECK(malloc_usable_size(p) >= size);
		memset(p, 0x5a, malloc_usable_size(p));
		sink = p;
		free(sink);
	}
	for (size_t size = 1; size < (size_t)1 << 29; size = size * 2 + 1) {
		unsigned char *p = malloc(hide(size));

		CHECK(aligned(p, 16));
		p[0] = p[size - 1] = 1;
		free(p);
	}
}

static void zero_bytes(void)
{
	void *p = malloc(hide(0));
	void *q = malloc(hide(0));

	CHECK(p && q && p != q);
	free(p);
	free(q);
	free(NULL);
	CHECK(malloc_usable_size(NULL) == 0);
}

static void too_much(void)
{
	errno = 0;
	CHECK(!malloc(hide(HUGE)) && errno == ENOMEM);
	errno = 0;
	CHECK(!malloc(hide(SIZE_MAX)) && errno == ENOMEM);
	errno = 0;
	CHECK(!malloc(hide((size_t)1 << 46)) && errno == ENOMEM);
	errno = 0;
	CHECK(!calloc(hide((size_t)1 << 33), (size_t)1 << 33) && errno == ENOMEM);
	errno = 0;
	CHECK(!calloc(hide(SIZE_MAX), 2) && errno == ENOMEM);

	char *p = malloc(100);

	strcpy(p, "stays");
	errno = 0;
	CHECK(!realloc(p, hide(HUGE)) && errno == ENOMEM);
	errno = 0;
	CHECK(!reallocarray(p, hide(SIZE_MAX / 2), 4) && errno == ENOMEM);
	CHECK(strcmp(p, "stays") == 0);
	errno = 0;
	CHECK(!pvalloc(hide(SIZE_MAX)) && errno == ENOMEM);
	free(p);
}

static void zeroed(void)
{
	static const size_t many[] = {1, 7, 16, 100, 255, 256, 257, 5000, 40000, 3000000};

	for (unsigned i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
		for (unsigned round = 0; round < 3; round++) {
			unsigned char *p = calloc(hide(many[i]), 3);

			CHECK(aligned(p, 16) && all(p, 0, 3 * many[i]));
			memset(p, 0xff, 3 * many[i]);
			free(p);
		}
	}
	CHECK((sink = calloc(hide(0), 5)) != NULL);
	free(sink);
}

static void resized(void)
{
	unsigned char *p = realloc(NULL, 10);
	size_t size = 10;

	memset(p, 1, size);
	/* up through all classes into large ones, and down again */
	while (size < 10000000) {
		size_t more = size + size / 2;

		p = realloc(p, hide(more));
		CHECK(aligned(p, 16) && all(p, 1, size));
		memset(p, 1, more);
		size = more;
	}
	while (size > 10) {
		size = size / 3 + 1;
		p = realloc(p, hide(size));
		CHECK(aligned(p, 16) && all(p, 1, size) && malloc_usable_size(p) >= size);
	}
	CHECK(realloc(p, hide(0)) == NULL);
	p = reallocarray(NULL, 10, 10);
	CHECK(p && malloc_usable_size(p) >= 100);
	free(p);
}

static void alignments(void)
{
	for (size_t align = 16; align <= (size_t)64 << 20; align *= 2) {
		for (size_t size = 0; size < 100000; size = size * 3 + 1) {
			void *p = aligned_alloc(align, hide(size));
			void *q = memalign(align, hide(size));
			void *r = NULL;

			CHECK(aligned(p, align) && aligned(q, align));
			CHECK(posix_memalign(&r, align, hide(size)) == 0 && aligned(r, align));
			CHECK(malloc_usable_size(p) >= size);
			memset(r, 1, size);
			free(p);
			free(q);
			free(r);
		}
	}
	CHECK(aligned(sink = memalign(hide(48), 10), 64));
	free(sink);
	CHECK(aligned(sink = valloc(10), 4096));
	free(sink);
	CHECK(aligned(sink = pvalloc(4097), 4096) && malloc_usable_size(sink) >= 8192);
	free(sink);
}

static void bad_alignments(void)
{
	void *p = &p;

	CHECK(posix_memalign(&p, hide(3), 10) == EINVAL);
	CHECK(posix_memalign(&p, hide(0), 10) == EINVAL);
	CHECK(posix_memalign(&p, hide(4), 10) == EINVAL);
	CHECK(posix_memalign(&p, hide(24), 10) == EINVAL);
	CHECK(posix_memalign(&p, hide(64), HUGE) == ENOMEM);
	CHECK(p == &p);
	errno = 0;
	CHECK(!memalign(hide(HUGE + 1), 10) && errno == EINVAL);
}

/* Freeing, and allocating with success, leave errno alone, system calls or not. */
static void keeps_errno(void)
{
	enum { MANY = 200, BYTES = 4 << 20 };
	static char *blocks[MANY];

	errno = 55;
	for (unsigned i = 0; i < MANY; i++) {
		blocks[i] = malloc(hide(BYTES));
		CHECK(blocks[i]);
		memset(blocks[i], 1, 1 << 16);
	}
	for (unsigned i = 0; i < MANY; i++)
		free(blocks[i]);
	malloc_trim(0);
	CHECK(errno == 55);
}

/* Objects that live at once do not overlap. */
static void distinct(void)
{
	enum { MANY = 20000 };
	static unsigned char *objects[MANY];

	for (unsigned i = 0; i < MANY; i++) {
		objects[i] = malloc(hide(1 + i % 700));
		memset(objects[i], (int)(i & 0xff), 1 + i % 700);
	}
	for (unsigned i = 0; i < MANY; i++) {
		CHECK(all(objects[i], (int)(i & 0xff), 1 + i % 700));
		free(objects[i]);
	}
}

int main(void)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} cases[] = {
		{"sizes", sizes},
		{"zero bytes", zero_bytes},
		{"too much", too_much},
		{"zeroed", zeroed},
		{"resized", resized},
		{"alignments", alignments},
		{"bad alignments", bad_alignments},
		{"keeps errno", keeps_errno},
		{"distinct", distinct},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cases[i].fn();
		printf("ok - %s\n", cases[i].name);
	}
	return 0;
}
