/* SPDX-License-Identifier: MIT */
/*
 * fuzz_hotplug.c - libFuzzer's way into memory that comes and goes: the bytes add and remove ranges
 * of any bounds, and take and free runs in between. A range goes exactly when nobody holds a frame
 * of it, an answer is one that the header allows, and in the end nothing is missing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test-host/host.h"

#define MIB   ((uint64_t)1 << 20)
#define AT    (256 * MIB)
#define SLOTS 8 /* side by side */
/* Small, for the host fills memory before each run. */
#define SLOT_BYTES (MIB / 4)
#define RUNS       32
#define OPS        60

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static struct {
	bool in[SLOTS];
	pfn_t runs[RUNS];
	size_t pages[RUNS];
} model;

static void fail(const char *what, int status)
{
	fprintf(stderr, "%s: %d\n", what, status);
	abort();
}

static paddr_t slot_base(unsigned slot)
{
	return (paddr_t){AT + slot * SLOT_BYTES};
}

static bool is_held(unsigned slot)
{
	size_t first = paddr_to_pfn(slot_base(slot)).v;
	size_t end = paddr_to_pfn(slot_base(slot + 1)).v;

	for (unsigned i = 0; i < RUNS; i++)
		if (model.pages[i] && model.runs[i].v < end &&
		    first < model.runs[i].v + model.pages[i])
			return true;
	return false;
}

static void add(unsigned slot)
{
	int status = slate_add_memory(slot_base(slot), SLOT_BYTES, 0);

	if (status != (model.in[slot] ? SLATE_EEXIST : SLATE_OK))
		fail("add", status);
	model.in[slot] = true;
}

/* Bounds that were never added: none of it goes. */
static void remove_other(unsigned slot, unsigned skew)
{
	paddr_t base = {slot_base(slot).v + (skew & 1 ? SLATE_PAGE_SIZE : 0)};
	int status = slate_remove_memory(base, (skew & 2 ? 2 * SLOT_BYTES : SLOT_BYTES / 2), NULL);

	if (status != SLATE_ENOENT)
		fail("remove of other bounds", status);
}

static void drop(unsigned slot)
{
	bool held = is_held(slot);
	int status = slate_remove_memory(slot_base(slot), SLOT_BYTES, NULL);

	if (!model.in[slot] && status != SLATE_ENOENT)
		fail("remove of nothing", status);
	if (model.in[slot] && status != (held ? SLATE_EBUSY : SLATE_OK))
		fail("remove", status);
	if (status == SLATE_OK)
		model.in[slot] = false;
}

static void take(unsigned run, unsigned slot, size_t pages)
{
	struct slate_page_constraints fit = {
		.min = slot_base(slot).v, .node = SLATE_ANY_NODE, .flags = SLATE_NOWAIT};

	if (model.pages[run]) {
		slate_page_free(model.runs[run], model.pages[run]);
		model.pages[run] = 0;
		return;
	}
	model.runs[run] = slate_page_alloc(pages, slot % 3 ? &fit : NULL);
	if (pfn_is_none(model.runs[run]))
		return;
	model.pages[run] = pages;
	/* whoever may have a frame may write to it */
	memset(slate_virt(pfn_to_paddr(model.runs[run])), 0x77, SLATE_PAGE_SIZE);
	for (unsigned i = 0; i < SLOTS; i++)
		if (!model.in[i] && is_held(i))
			fail("a run of memory that is gone", (int)i);
}

static size_t home(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return stats.free_pages + stats.reserved_pages + stats.metadata_pages;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	size_t before;

	memset(&model, 0, sizeof(model));
	host_boot(MIB, 3 * MIB);
	host_memory(AT, SLOTS * SLOT_BYTES);
	before = home();
	for (size_t i = 0; i + 2 < size_bytes && i < 3 * OPS; i += 3) {
		unsigned slot = data[i + 1] % SLOTS;

		switch (data[i] % 8) {
		case 0:
		case 1:
			add(slot);
			break;
		case 2:
		case 3:
			drop(slot);
			break;
		case 4:
			remove_other(slot, data[i + 2] % 3 + 1);
			break;
		default:
			take(data[i + 2] % RUNS, slot, 1 + data[i] / 8 * 2);
		}
	}
	for (unsigned run = 0; run < RUNS; run++)
		if (model.pages[run])
			slate_page_free(model.runs[run], model.pages[run]);
	memset(model.pages, 0, sizeof(model.pages));
	for (unsigned slot = 0; slot < SLOTS; slot++)
		drop(slot);
	if (home() != before || slate_validate() != 0)
		fail("frames are missing, or more", 0);
	return 0;
}
