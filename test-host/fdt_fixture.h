/* SPDX-License-Identifier: MIT */
/*
 * fdt_fixture.h - what tests of the device tree's readers have in common: one tree that is being
 * built, and its blob, which goes after each test.
 */
#ifndef TEST_FDT_FIXTURE_H
#define TEST_FDT_FIXTURE_H

#include "boot/fdt.h"
#include "test-host/fdt_build.h"

extern struct fdt_build fdt_tree;
extern uint8_t *fdt_blob; /* NULL until it is finished */
extern size_t fdt_blob_bytes;

/* For cmocka: an empty tree without a blob; and free the blob. */
int fdt_set_up(void **state);
int fdt_tear_down(void **state);

/* Finish the tree's blob and open it. */
bool fdt_open_tree(struct fdt *fdt);

/* A root with one property and a child. */
void fdt_tree_small(void);

#endif
