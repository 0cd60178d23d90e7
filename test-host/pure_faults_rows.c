/* SPDX-License-Identifier: MIT */
/*
 * pure_faults_rows.c - the faults that are planted: objects of every kind. Frames, stacks and
 * strays are in pure_faults_frames.c.
 */
#include "lib/string.h"
#include "test-host/pure_faults.h"

#define SMALL  48
#define MEDIUM 3000
#define LARGE  100000
#define TINY   3

/* ---- What is done ---- */

static void give(volatile unsigned char *object)
{
	slate_free((void *)object);
}

static void double_free(struct fault *fault)
{
	give(fault->object);
	give(fault->object);
	slate_flush();
	fault->gone = true;
}

/* It has left quarantine, or its magazine, when the second free comes. */
static void double_free_late(struct fault *fault)
{
	give(fault->object);
	slate_flush();
	give(fault->object);
	slate_flush();
	fault->gone = true;
}

static void double_free_sized(struct fault *fault)
{
	slate_free_sized((void *)fault->object, fault->row->size_bytes);
	slate_free_sized((void *)fault->object, fault->row->size_bytes);
	slate_flush();
	fault->gone = true;
}

static void double_free_bulk(struct fault *fault)
{
	void *objects[2] = {(void *)fault->object, (void *)fault->object};

	slate_free_bulk(objects, 2);
	slate_flush();
	fault->gone = true;
}

static void free_inside(struct fault *fault)
{
	size_t inside = fault->row->size_bytes / 2 & ~(size_t)7;

	if (inside == 0)
		inside = 1;
	fault->at += inside;
	give(fault->object + inside);
	slate_flush();
}

static void free_odd(struct fault *fault)
{
	fault->at += 3;
	give(fault->object + 3);
	slate_flush();
}

static void free_wrong_size(struct fault *fault)
{
	slate_free_sized((void *)fault->object, fault->row->size_bytes == 2000 ? 1 : 2000);
}

static void overflow_at(struct fault *fault, size_t offset, unsigned char flip)
{
	fault->object[fault->row->size_bytes + offset] ^= flip;
	give(fault->object);
	fault->gone = true;
}

static void overflow_first(struct fault *fault)
{
	overflow_at(fault, 0, 0xff);
}

static void overflow_last(struct fault *fault)
{
	overflow_at(fault, 7, 0xff);
}

static void overflow_bit(struct fault *fault)
{
	overflow_at(fault, 2, 0x08);
}

static void overflow_validate(struct fault *fault)
{
	fault->object[fault->row->size_bytes] = 0;
	slate_validate();
	fault->gone = true;
}

static void overflow_realloc(struct fault *fault)
{
	fault->object[fault->row->size_bytes] = 0;
	fault->gone = slate_realloc((void *)fault->object, 1) == NULL;
}

/* The owner of the next object writes before it. */
static void overflow_left(struct fault *fault)
{
	struct slate_span_info info;

	if (!slate_span_of((void *)fault->object, &info))
		return;
	fault->object[info.object_bytes - 8] = 0;
	slate_validate();
	fault->gone = true;
}

static void write_free(struct fault *fault, size_t offset, unsigned char flip)
{
	give(fault->object);
	fault->object[offset] ^= flip;
	fault->gone = true;
}

static void write_after_free(struct fault *fault)
{
	write_free(fault, 0, 0xff);
	slate_flush();
}

static void write_after_free_end(struct fault *fault)
{
	size_t last = fault->row->size_bytes - 1;

	write_free(fault, last < 4095 ? last : 4095, 0xff);
	slate_flush();
}

static void flip_after_free(struct fault *fault)
{
	write_free(fault, 1, 0x40);
	slate_flush();
}

static void write_after_free_validate(struct fault *fault)
{
	write_free(fault, 2, 0xff);
	slate_validate();
}

/* Its quarantine is over; the next owner would have got it as it is. */
static void write_before_reuse(struct fault *fault)
{
	void *taken[200];
	size_t n = 0;

	give(fault->object);
	slate_flush();
	fault->object[5] = 1;
	fault->gone = true;
	while (n < 200 && (taken[n] = slate_alloc(fault->row->size_bytes)) != NULL)
		n++;
	while (n > 0)
		slate_free(taken[--n]);
}

static void realloc_freed(struct fault *fault)
{
	give(fault->object);
	fault->gone = !slate_realloc((void *)fault->object, 10);
}

static void size_of_freed(struct fault *fault)
{
	give(fault->object);
	fault->gone = slate_usable_size((void *)fault->object) == 0;
}

/* The pointer from before the object moved. */
static void free_moved(struct fault *fault)
{
	void *moved = slate_realloc((void *)fault->object, 4 * fault->row->size_bytes);

	give(fault->object);
	slate_flush();
	slate_free(moved);
	fault->gone = true;
}

/* ---- Typed caches ---- */

static void cache_double_free(struct fault *fault)
{
	slate_cache_free(fault->cache, (void *)fault->object);
	slate_cache_free(fault->cache, (void *)fault->object);
	slate_flush();
	fault->gone = true;
}

static void cache_then_plain(struct fault *fault)
{
	slate_cache_free(fault->cache, (void *)fault->object);
	slate_free((void *)fault->object);
	slate_flush();
	fault->gone = true;
}

static void cache_wrong(struct fault *fault)
{
	slate_cache_free(fault->other, (void *)fault->object);
	slate_flush();
}

static void cache_inside(struct fault *fault)
{
	fault->at += 8;
	slate_cache_free(fault->cache, (void *)(fault->object + 8));
	slate_flush();
}

/* ---- What comes of it ---- */

#define THE    " of {at} ({bytes}-byte object in span {span}): "
#define INSIDE " of {at} ({bytes}-byte object at {object} in span {span}): "

#define AT_THE_FLUSH "found when the magazine that took it was flushed"
#define NO_START     "the pointer is not the start of an object"
#define ZONE         "its red zone was written to, byte "
#define WRITTEN      "it was written to while it was free, byte "
#define ASIDE        "it is free, in quarantine"
#define HOME         "it is free"
#define GIVEN_UP     "given up after a report"

#define NOTHING            \
	{                  \
		NULL, NULL \
	}
#define TEXT(l, h)   \
	{            \
		l, h \
	}

/* Of a class, and a large object: who notices is another. */
#define BOTH(what, plant, debug_line, debug_held)                                                  \
	{"small: " what, FAULT_PLAIN, SMALL, plant, NOTHING, TEXT(debug_line, debug_held)},        \
	{                                                                                          \
		"medium: " what, FAULT_PLAIN, MEDIUM, plant, NOTHING, TEXT(debug_line, debug_held) \
	}

#define ALL(what, plant, debug_line, debug_held)                                                 \
	BOTH(what, plant, debug_line, debug_held),                                               \
	{                                                                                        \
		"large: " what, FAULT_PLAIN, LARGE, plant, NOTHING, TEXT(debug_line, debug_held) \
	}

/* Both kinds of builds find it, each in its own words. */
#define SMALLS(what, plant, line, held, debug_line, debug_held)                  \
	{                                                                        \
		"small: " what, FAULT_PLAIN,      SMALL,                         \
		plant,          TEXT(line, held), TEXT(debug_line, debug_held)}, \
	{                                                                        \
		"medium: " what, FAULT_PLAIN, MEDIUM, plant, TEXT(line, held),   \
			TEXT(debug_line, debug_held)                             \
	}

static const struct fault_row object_rows[] = {
	SMALLS("double free", double_free, "slate_free: double free" THE AT_THE_FLUSH, "free",
	       "slate_free: double free" THE ASIDE, "free, in quarantine"),
	SMALLS("double free after a flush", double_free_late,
	       "slate_free: double free" THE AT_THE_FLUSH, "free",
	       "slate_free: double free" THE HOME, "free"),
	SMALLS("double sized free", double_free_sized, "slate_free: double free" THE AT_THE_FLUSH,
	       "free", "slate_free_sized: double free" THE ASIDE, "free, in quarantine"),
	SMALLS("double free by one bulk", double_free_bulk,
	       "slate_free: double free" THE AT_THE_FLUSH, "free",
	       "slate_free: double free" THE ASIDE, "free, in quarantine"),
	SMALLS("free of where it was before a realloc", free_moved,
	       "slate_free: double free" THE AT_THE_FLUSH, "free",
	       "slate_free: double free" THE ASIDE, "free, in quarantine"),
	SMALLS("free of a pointer inside", free_inside,
	       "slate_free: interior pointer" INSIDE NO_START, "taken",
	       "slate_free: interior pointer" INSIDE NO_START, "taken"),
	{"large: double free",
	 FAULT_PLAIN,
	 LARGE,
	 double_free,
	 {"slate_free: double free" THE "the large object is free already, or being freed",
	  "taken"},
	 {"slate_free: double free" THE ASIDE, "free, in quarantine"}},
	{"large: free of a pointer inside",
	 FAULT_PLAIN,
	 LARGE,
	 free_inside,
	 {"slate_free: interior pointer" INSIDE "the pointer is not the start of the large object",
	  "taken"},
	 {"slate_free: interior pointer" INSIDE "the pointer is not the start of the large object",
	  "taken"}},
	{"large: free of where it was before a realloc",
	 FAULT_PLAIN,
	 LARGE,
	 free_moved,
	 NOTHING,
	 {"slate_free: double free" THE ASIDE, "free, in quarantine"}},
	SMALLS("free of a misaligned pointer", free_odd,
	       "slate_free: misaligned pointer" INSIDE "objects are aligned to 8 bytes", "taken",
	       "slate_free: misaligned pointer" INSIDE "objects are aligned to 8 bytes", "taken"),
	SMALLS("sized free of another size", free_wrong_size,
	       "slate_free_sized: wrong size of {at}, size 2000 ({bytes}-byte object in span "
	       "{span}): the size belongs to another class than the object",
	       "taken",
	       "slate_free_sized: wrong size of {at}, size 2000 ({bytes}-byte object in span "
	       "{span}): the size belongs to another class than the object",
	       "taken"),
	{"large: sized free of another size",
	 FAULT_PLAIN,
	 LARGE,
	 free_wrong_size,
	 {"slate_free_sized: wrong size of {at}, size 2000 ({bytes}-byte object in span {span}): "
	  "the size belongs to another class than the object",
	  "taken"},
	 {"slate_free_sized: wrong size of {at}, size 2000 ({bytes}-byte object in span {span}): "
	  "the size belongs to another class than the object",
	  "taken"}},
	ALL("overflow by a byte", overflow_first,
	    "slate_free: overflow" THE ZONE "{size} is 0x44, not 0xbb", GIVEN_UP),
	ALL("overflow that skips some bytes", overflow_last,
	    "slate_free: overflow" THE ZONE "{size+7} is 0x44, not 0xbb", GIVEN_UP),
	ALL("a bit flipped behind it", overflow_bit,
	    "slate_free: overflow" THE ZONE "{size+2} is 0xb3, not 0xbb (one bit flipped, bit 3)",
	    GIVEN_UP),
	ALL("overflow, found by validate", overflow_validate,
	    "slate_validate: overflow" THE ZONE "{size} is 0x00, not 0xbb", GIVEN_UP),
	ALL("overflow, found by realloc", overflow_realloc,
	    "slate_realloc: overflow" THE ZONE "{size} is 0x00, not 0xbb", GIVEN_UP),
	BOTH("overflow to the left from the one behind", overflow_left,
	     "slate_validate: overflow" THE ZONE "{elem-8} is 0x00, not 0xbb", GIVEN_UP),
	ALL("write after free", write_after_free,
	    "slate_free: write after free" THE WRITTEN "0 is 0xa5, not 0x5a", GIVEN_UP),
	ALL("write after free to its end", write_after_free_end,
	    "slate_free: write after free" THE WRITTEN "{last} is 0xa5, not 0x5a", GIVEN_UP),
	ALL("a bit flipped after free", flip_after_free,
	    "slate_free: write after free" THE WRITTEN
	    "1 is 0x1a, not 0x5a (one bit flipped, bit 6)",
	    GIVEN_UP),
	ALL("write after free, found by validate", write_after_free_validate,
	    "slate_validate: write after free" THE WRITTEN "2 is 0xa5, not 0x5a", GIVEN_UP),
	BOTH("write after free, found by the next owner", write_before_reuse,
	     "slate_alloc: write after free" THE WRITTEN "5 is 0x01, not 0x5a", GIVEN_UP),
	ALL("realloc of a free object", realloc_freed, "slate_realloc: use after free" THE ASIDE,
	    "free, in quarantine"),
	ALL("size of a free object", size_of_freed, "slate_usable_size: use after free" THE ASIDE,
	    "free, in quarantine"),
	{0},
};

static const struct fault_row other_rows[] = {
	{"aligned: double free",
	 FAULT_ALIGNED,
	 100,
	 double_free,
	 {"slate_free: double free" THE AT_THE_FLUSH, "free"},
	 {"slate_free: double free" THE ASIDE, "free, in quarantine"}},
	{"aligned: overflow by a byte",
	 FAULT_ALIGNED,
	 100,
	 overflow_first,
	 NOTHING,
	 {"slate_free: overflow" THE ZONE "100 is 0x44, not 0xbb", GIVEN_UP}},
	{"tiny: double free",
	 FAULT_NOSCAN,
	 TINY,
	 double_free,
	 {"slate_free: double free of {at} (3-byte object in span {span}): the tiny object is free "
	  "already",
	  "taken"},
	 {"slate_free: double free" THE ASIDE, "free, in quarantine"}},
	{"tiny: overflow by a byte",
	 FAULT_NOSCAN,
	 TINY,
	 overflow_first,
	 NOTHING,
	 {"slate_free: overflow" THE ZONE "3 is 0x44, not 0xbb", GIVEN_UP}},
	{"tiny: write after free",
	 FAULT_NOSCAN,
	 TINY,
	 write_after_free,
	 NOTHING,
	 {"slate_free: write after free" THE WRITTEN "0 is 0xa5, not 0x5a", GIVEN_UP}},
	{"tiny: free of a pointer inside",
	 FAULT_NOSCAN,
	 TINY,
	 free_inside,
	 {"slate_free: interior pointer of {at} (3-byte object at {object} in span {span}): the "
	  "pointer is not the start of a tiny object",
	  "taken"},
	 {"slate_free: misaligned pointer" INSIDE "objects are aligned to 8 bytes", "taken"}},
	{"tiny: size of a free object",
	 FAULT_NOSCAN,
	 TINY,
	 size_of_freed,
	 NOTHING,
	 {"slate_usable_size: use after free" THE ASIDE, "free, in quarantine"}},
	{"typed: double free",
	 FAULT_TYPED,
	 80,
	 cache_double_free,
	 {"slate_free: double free" THE AT_THE_FLUSH, "free"},
	 {"slate_cache_free: double free" THE ASIDE, "free, in quarantine"}},
	{"typed: freed to its cache, then plainly",
	 FAULT_TYPED,
	 80,
	 cache_then_plain,
	 {"slate_free: double free" THE AT_THE_FLUSH, "free"},
	 {"slate_free: double free" THE ASIDE, "free, in quarantine"}},
	{"typed: freed to another cache",
	 FAULT_TYPED,
	 80,
	 cache_wrong,
	 {"slate_free: wrong size" THE AT_THE_FLUSH, "taken"},
	 {"slate_cache_free: wrong size" THE "the object is not of this cache", "taken"}},
	{"typed: free of a pointer inside",
	 FAULT_TYPED,
	 80,
	 cache_inside,
	 {"slate_free: interior pointer" INSIDE NO_START, "taken"},
	 {"slate_cache_free: interior pointer" INSIDE
	  "the pointer is not the start of a cache's object",
	  "taken"}},
	{"typed: overflow by a byte",
	 FAULT_TYPED,
	 80,
	 overflow_first,
	 NOTHING,
	 {"slate_free: overflow" THE ZONE "80 is 0x44, not 0xbb", GIVEN_UP}},
	{"typed: write after free",
	 FAULT_TYPED,
	 80,
	 write_after_free,
	 NOTHING,
	 {"slate_free: write after free" THE WRITTEN "0 is 0xa5, not 0x5a", GIVEN_UP}},
	{"constructed: double free",
	 FAULT_BUILT,
	 80,
	 cache_double_free,
	 {"slate_free: double free" THE AT_THE_FLUSH, "free"},
	 {"slate_cache_free: double free" THE ASIDE, "free, in quarantine"}},
	{"constructed: overflow by a byte",
	 FAULT_BUILT,
	 80,
	 overflow_first,
	 NOTHING,
	 {"slate_free: overflow" THE ZONE "80 is 0x44, not 0xbb", GIVEN_UP}},
	{"constructed: write after free",
	 FAULT_BUILT,
	 80,
	 write_after_free,
	 NOTHING,
	 {"slate_free: write after free" THE "its contents changed while it was free", GIVEN_UP}},
	{"constructed: a bit flipped after free",
	 FAULT_BUILT,
	 80,
	 flip_after_free,
	 NOTHING,
	 {"slate_free: write after free" THE "its contents changed while it was free", GIVEN_UP}},
	{0},
};

const struct fault_row *const fault_tables[] = {object_rows, other_rows, fault_frame_rows, NULL};
