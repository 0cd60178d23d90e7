/* SPDX-License-Identifier: MIT */
/* stress_object.c - the objects of a stress run: of every size and kind, one by one and in bulk. */
#include "kernel/selftest.h"
#include "kernel/stress_mix.h"

#define CACHES     4
#define BULK       24
#define STATE_WORD 0x436f6e7374727563u

/* What a handler takes is small: it stamps with interrupts off. */
#define HANDLER_BYTES 3000

static struct slate_cache *caches[CACHES];

void stress_construct(void *object)
{
	*(uint64_t *)object = STATE_WORD;
}

bool stress_caches_make(void)
{
	static const struct slate_cache_params params[CACHES] = {
		{"stress 40", 40, 0, stress_construct},
		{"stress 200", 200, 64, stress_construct},
		{"stress 1000", 1000, 0, stress_construct},
		{"stress 6000", 6000, 0, stress_construct},
	};
	bool ok = true;

	for (unsigned i = 0; i < CACHES; i++) {
		caches[i] = slate_cache_create(&params[i]);
		ok &= caches[i] != NULL;
	}
	return ok;
}

bool stress_caches_destroy(void)
{
	bool ok = true;

	for (unsigned i = 0; i < CACHES; i++) {
		if (caches[i])
			ok &= slate_cache_destroy(caches[i]) == SLATE_OK;
		caches[i] = NULL;
	}
	return ok;
}

/* Mostly small, sometimes to 128 KiB; each power of two as likely as the next below 4 KiB. */
static size_t random_size(struct hand *hand)
{
	uint32_t r = random_next(&hand->random);
	unsigned log2 = r % 16 ? 3 + (r >> 8) % 9 : 12 + (r >> 8) % 5;

	if (hand_is_handler(hand))
		return 8 + (r >> 8) % HANDLER_BYTES;
	return ((size_t)1 << log2) + (random_next(&hand->random) & (((uint32_t)1 << log2) - 1));
}

static enum stress_kind take_plain(struct hand *hand, struct holding *h)
{
	h->size_bytes = random_size(hand);
	h->own_class = true;
	if (!hand_is_handler(hand) && h->size_bytes % 2)
		h->start = slate_alloc(h->size_bytes);
	else
		h->start = slate_alloc_flags(h->size_bytes, hand->flags);
	return h->size_bytes > 32768 ? STRESS_LARGE : STRESS_OBJECT;
}

static enum stress_kind take_zeroed(struct hand *hand, struct holding *h)
{
	h->size_bytes = random_size(hand);
	h->own_class = true;
	h->start = slate_alloc_flags(h->size_bytes, hand->flags | SLATE_ZERO);
	if (h->start && !bytes_are(h->start, 0, h->size_bytes))
		hand->wrong++;
	return STRESS_ZEROED;
}

static enum stress_kind take_aligned(struct hand *hand, struct holding *h)
{
	size_t align = (size_t)64 << random_next(&hand->random) % 5;

	h->size_bytes = random_size(hand);
	h->start = slate_alloc_aligned(h->size_bytes, align, hand->flags);
	if ((uintptr_t)h->start & (align - 1))
		hand->wrong++;
	return STRESS_ALIGNED;
}

static enum stress_kind take_noscan(struct hand *hand, struct holding *h)
{
	h->size_bytes = random_size(hand);
	h->own_class = true;
	h->start = slate_alloc_flags(h->size_bytes, hand->flags | SLATE_NOSCAN);
	return STRESS_NOSCAN;
}

static enum stress_kind take_tiny(struct hand *hand, struct holding *h)
{
	h->size_bytes = 1 + random_next(&hand->random) % 7;
	h->own_class = true;
	h->start = slate_alloc_flags(h->size_bytes, hand->flags | SLATE_NOSCAN);
	/* the largest power of two that divides the size */
	if ((uintptr_t)h->start & ((h->size_bytes & -h->size_bytes) - 1))
		hand->wrong++;
	return STRESS_TINY;
}

static enum stress_kind take_large(struct hand *hand, struct holding *h)
{
	if (hand_is_handler(hand))
		return take_plain(hand, h);
	h->size_bytes = 32769 + random_next(&hand->random) % (1u << 20);
	h->own_class = true;
	h->start = slate_alloc_flags(h->size_bytes, hand->flags);
	return STRESS_LARGE;
}

static enum stress_kind take_typed(struct hand *hand, struct holding *h)
{
	static const size_t sizes[CACHES] = {40, 200, 1000, 6000};
	unsigned i = random_next(&hand->random) % CACHES;

	h->kind = HOLDING_TYPED;
	h->cache = caches[i];
	h->size_bytes = sizes[i];
	h->start = slate_cache_alloc(h->cache);
	if (h->start && *(uint64_t *)h->start != STATE_WORD)
		hand->wrong++;
	return STRESS_TYPED;
}

void stress_object_take(struct hand *hand, struct holding *h)
{
	/* each as often as it stands here */
	static enum stress_kind (*const takes[])(struct hand * hand, struct holding * h) = {
		take_plain, take_plain,  take_plain,   take_plain, take_plain,
		take_plain, take_zeroed, take_tiny,    take_tiny,  take_typed,
		take_typed, take_typed,  take_aligned, take_large, take_noscan};
	enum stress_kind kind;

	*h = (struct holding){.kind = HOLDING_OBJECT};
	kind = takes[random_next(&hand->random) % (sizeof(takes) / sizeof(takes[0]))](hand, h);
	if (!h->start) {
		h->kind = HOLDING_NONE;
		hand->refused++;
		return;
	}
	hand->did[kind]++;
	holding_begin(hand, h);
}

void stress_object_resize(struct hand *hand, struct holding *h)
{
	size_t size_bytes = random_size(hand);
	struct holding moved = *h;

	if (h->kind != HOLDING_OBJECT)
		return;
	if (!holding_is_intact(h))
		hand->wrong++;
	/* what survives is compared with a stamp of its own */
	moved.size_bytes = size_bytes < h->size_bytes ? size_bytes : h->size_bytes;
	holding_stamp(&moved);
	moved.start = slate_realloc(h->start, size_bytes);
	if (!moved.start) {
		hand->refused++;
		holding_stamp(h);
		return;
	}
	if (!holding_is_intact(&moved))
		hand->wrong++;
	moved.size_bytes = size_bytes;
	moved.own_class = false; /* it may have stayed where it was */
	holding_stamp(&moved);
	*h = moved;
	hand->did[STRESS_REALLOC]++;
}

/* The next slot from *at on that is filled with plain objects, or empty; NULL: none. */
static struct holding *next_slot(struct holding *slots, size_t count, size_t *at,
				 enum holding_kind kind)
{
	while (*at < count) {
		if (slots[(*at)++].kind == kind)
			return &slots[*at - 1];
	}
	return NULL;
}

void stress_bulk_take(struct hand *hand, struct holding *slots, size_t count)
{
	void *objects[BULK];
	size_t size_bytes = random_size(hand);
	size_t wanted = 1 + random_next(&hand->random) % BULK;
	size_t n = slate_alloc_bulk(size_bytes, wanted, objects, hand->flags);
	size_t at = 0;

	if (n < wanted)
		hand->refused++;
	hand->did[STRESS_BULK] += n;
	for (size_t i = 0; i < n; i++) {
		struct holding *h = next_slot(slots, count, &at, HOLDING_NONE);

		if (!h) {
			slate_free_bulk(objects + i, n - i);
			return;
		}
		*h = (struct holding){.start = objects[i],
				      .size_bytes = size_bytes,
				      .kind = HOLDING_OBJECT,
				      .own_class = true};
		holding_begin(hand, h);
	}
}

void stress_bulk_drop(struct hand *hand, struct holding *slots, size_t count)
{
	void *objects[BULK];
	size_t at = random_next(&hand->random) % count;
	size_t n = 0;

	while (n < BULK) {
		struct holding *h = next_slot(slots, count, &at, HOLDING_OBJECT);

		if (!h)
			break;
		if (!holding_is_intact(h))
			hand->wrong++;
		objects[n++] = h->start;
		h->kind = HOLDING_NONE;
	}
	slate_free_bulk(objects, n);
	hand->did[STRESS_BULK] += n;
}
