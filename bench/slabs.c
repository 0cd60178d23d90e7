/* SPDX-License-Identifier: MIT */
/*
 * slabs.c - four classes from each power of two to the next, 16 bytes apart at least, so at most a
 * fifth is lost to rounding; the slab's order is the lowest that loses at most an eighth to its
 * tail.
 */
#include "bench/slabs.h"

#include "bench/buddy.h"
#include "bench/host.h"

#define STEP_BYTES   16u
#define CLASSES      (SLABS_MAX_BYTES / STEP_BYTES + 1)
#define SLAB_OBJECTS (SLATE_PAGE_SIZE / STEP_BYTES)
#define SLAB_WORDS   (SLAB_OBJECTS / 64)
#define NONE         UINT32_MAX

/* Of a slab's first frame; next and prev link those that have room. */
struct slab {
	uint32_t next;
	uint32_t prev;
	uint32_t elem_bytes;
	uint16_t used;
	uint16_t elems;
	uint8_t order;
	uint64_t taken[SLAB_WORDS];
};

static struct slab *slabs;        /* by frame number */
static uint32_t *first_frame;     /* of the slab that holds the frame */
static uint32_t partial[CLASSES]; /* by element size / STEP_BYTES */
static size_t slab_count;

void slabs_init(size_t frames)
{
	slabs = bench_map(frames * sizeof(*slabs));
	first_frame = bench_map(frames * sizeof(*first_frame));
	for (unsigned i = 0; i < CLASSES; i++)
		partial[i] = NONE;
}

static size_t class_bytes(size_t size_bytes)
{
	size_t step = STEP_BYTES;

	while (step * 8 < size_bytes)
		step *= 2;
	return (size_bytes + step - 1) / step * step;
}

static void list_push(uint32_t frame)
{
	struct slab *slab = &slabs[frame];
	uint32_t *head = &partial[slab->elem_bytes / STEP_BYTES];

	slab->next = *head;
	slab->prev = NONE;
	if (*head != NONE)
		slabs[*head].prev = frame;
	*head = frame;
}

static void list_remove(uint32_t frame)
{
	struct slab *slab = &slabs[frame];

	if (slab->prev != NONE)
		slabs[slab->prev].next = slab->next;
	else
		partial[slab->elem_bytes / STEP_BYTES] = slab->next;
	if (slab->next != NONE)
		slabs[slab->next].prev = slab->prev;
}

static unsigned order_for(size_t elem_bytes)
{
	unsigned order = 0;

	while ((SLATE_PAGE_SIZE << order) % elem_bytes * 8 > SLATE_PAGE_SIZE << order)
		order++;
	return order;
}

static uint32_t slab_new(size_t elem_bytes)
{
	unsigned order = order_for(elem_bytes);
	pfn_t pfn = buddy_alloc(order);
	uint32_t frame = (uint32_t)pfn.v;

	if (pfn_is_none(pfn))
		return NONE;
	slabs[frame] = (struct slab){
		.elem_bytes = (uint32_t)elem_bytes,
		.elems = (uint16_t)((SLATE_PAGE_SIZE << order) / elem_bytes),
		.order = (uint8_t)order,
	};
	for (uint32_t i = 0; i < 1u << order; i++)
		first_frame[frame + i] = frame;
	slab_count++;
	list_push(frame);
	return frame;
}

static unsigned take_first(struct slab *slab)
{
	unsigned word = 0;

	while (slab->taken[word] == UINT64_MAX)
		word++;

	unsigned bit = (unsigned)__builtin_ctzll(~slab->taken[word]);

	slab->taken[word] |= (uint64_t)1 << bit;
	return word * 64 + bit;
}

uintptr_t slabs_alloc(size_t size_bytes)
{
	size_t elem_bytes = class_bytes(size_bytes);
	uint32_t frame = partial[elem_bytes / STEP_BYTES];

	if (frame == NONE)
		frame = slab_new(elem_bytes);
	if (frame == NONE)
		return 0;

	struct slab *slab = &slabs[frame];
	unsigned index = take_first(slab);

	if (++slab->used == slab->elems)
		list_remove(frame);
	return ((uintptr_t)frame + 1) * SLATE_PAGE_SIZE + index * elem_bytes;
}

void slabs_free(uintptr_t object)
{
	uint32_t frame = first_frame[object / SLATE_PAGE_SIZE - 1];
	struct slab *slab = &slabs[frame];
	size_t offset = object - ((uintptr_t)frame + 1) * SLATE_PAGE_SIZE;
	size_t index = offset / slab->elem_bytes;

	slab->taken[index / 64] &= ~((uint64_t)1 << index % 64);
	if (slab->used-- == slab->elems)
		list_push(frame);
	if (slab->used > 0)
		return;
	list_remove(frame);
	slab_count--;
	buddy_free((pfn_t){frame}, slab->order);
}

size_t slabs_metadata_bytes(void)
{
	return slab_count * sizeof(struct slab);
}
