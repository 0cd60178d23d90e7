/* SPDX-License-Identifier: MIT */
/* fdt_fixture.c - one device tree a test. */
#include "test-host/fdt_fixture.h"

#include <stdlib.h>

struct fdt_build fdt_tree;
uint8_t *fdt_blob;
size_t fdt_blob_bytes;

int fdt_set_up(void **state)
{
	(void)state;
	fdt_build_start(&fdt_tree);
	fdt_blob = NULL;
	return 0;
}

int fdt_tear_down(void **state)
{
	(void)state;
	free(fdt_blob);
	return 0;
}

bool fdt_open_tree(struct fdt *fdt)
{
	fdt_blob = fdt_build_finish(&fdt_tree, &fdt_blob_bytes);
	return fdt_open(fdt, fdt_blob, fdt_blob_bytes);
}

void fdt_tree_small(void)
{
	fdt_build_begin(&fdt_tree, "");
	FDT_CELLS(&fdt_tree, "x", 7);
	fdt_build_begin(&fdt_tree, "child@1");
	fdt_build_string(&fdt_tree, "y", "text");
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
}
