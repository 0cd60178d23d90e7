/* SPDX-License-Identifier: MIT */
/* early.c - the static arena by itself: alignment, sizes, what is its own, and its end. */
#include "host/early.h"

#include <stdint.h>
#include <string.h>

#include "test-host/shim/check.h"

int main(void)
{
	char *former = NULL;
	size_t former_bytes = 0;
	size_t total = 0;
	unsigned n = 0;
	char elsewhere;

	CHECK(!early_owns(NULL) && !early_owns(&elsewhere));
	for (size_t align = 1; align <= 4096; align *= 2) {
		char *p = early_alloc(100, align);

		CHECK(p && ((uintptr_t)p & (align - 1)) == 0 && ((uintptr_t)p & 15) == 0);
		CHECK(early_owns(p) && early_owns(p + 99) && early_size(p) == 100);
	}
	CHECK(!early_alloc(SIZE_MAX, 1) && !early_alloc(1, (size_t)1 << 40));
	for (;; n++) {
		size_t bytes = n * 7 % 500;
		char *p = early_alloc(bytes, 16);

		if (!p)
			break;
		for (size_t i = 0; i < bytes; i++)
			CHECK(p[i] == 0);
		memset(p, 1, bytes);
		CHECK(p >= former + former_bytes && early_size(p) == bytes);
		former = p;
		former_bytes = bytes;
		total += bytes;
	}
	CHECK(n > 100 && total <= EARLY_BYTES && total > EARLY_BYTES / 2);
	CHECK(!early_owns(former + EARLY_BYTES));
	printf("ok - %u early objects\n", n);
	return 0;
}
