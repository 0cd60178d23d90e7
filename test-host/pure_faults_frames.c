/* SPDX-License-Identifier: MIT */
/* pure_faults_frames.c - the faults that are planted: frames, stacks, and pointers to none of all.
 */
#include "mm/arena.h"
#include "mm/mheap.h"
#include "test-host/pure_faults.h"

#define FRAMES(n) ((n)*SLATE_PAGE_SIZE)

static size_t pages_of(const struct fault *fault)
{
	return fault->row->size_bytes >> SLATE_PAGE_SHIFT;
}

/* Reports on frames speak of physical addresses. */
static void name_frame(struct fault *fault, pfn_t pfn)
{
	fault->at = (uintptr_t)pfn_to_paddr(pfn).v;
	fault->place = (uintptr_t)slate_virt(pfn_to_paddr(pfn));
}

/* ---- Frames; in parentheses the functions, which look at once ---- */

static void run_double(struct fault *fault)
{
	name_frame(fault, fault->pfn);
	(slate_page_free)(fault->pfn, pages_of(fault));
	(slate_page_free)(fault->pfn, pages_of(fault));
	slate_flush();
	fault->gone = true;
}

/* By magazines of runs. */
static void front_double(struct fault *fault)
{
	name_frame(fault, fault->pfn);
	slate_page_free(fault->pfn, 4);
	slate_page_free(fault->pfn, 4);
	slate_flush();
	fault->gone = true;
}

static void run_part_twice(struct fault *fault)
{
	name_frame(fault, pfn_add(fault->pfn, 3));
	(slate_page_free)(pfn_add(fault->pfn, 3), 2);
	(slate_page_free)(fault->pfn, pages_of(fault));
	(slate_page_free)(fault->pfn, 3);
	(slate_page_free)(pfn_add(fault->pfn, 5), pages_of(fault) - 5);
	fault->gone = true;
}

static void run_none(struct fault *fault)
{
	name_frame(fault, fault->pfn);
	(slate_page_free)(fault->pfn, 0);
}

static void run_far(struct fault *fault)
{
	const pfn_t far = {(size_t)1 << 33};

	name_frame(fault, far);
	(slate_page_free)(far, 3);
}

static void run_as_object(struct fault *fault)
{
	slate_free((void *)fault->object);
	slate_flush();
}

static void run_as_sized_object(struct fault *fault)
{
	slate_free_sized((void *)fault->object, 64);
}

static void run_size(struct fault *fault)
{
	slate_usable_size((void *)fault->object);
}

static void run_realloc(struct fault *fault)
{
	slate_realloc((void *)fault->object, 64);
}

static void run_as_stack(struct fault *fault)
{
	slate_stack_free((void *)fault->object);
}

static void free_run_as_object(struct fault *fault)
{
	slate_page_free(fault->pfn, pages_of(fault));
	slate_flush();
	slate_free((void *)fault->object);
	fault->gone = true;
}

static void object_as_run(struct fault *fault)
{
	pfn_t pfn = paddr_to_pfn(slate_phys((void *)fault->object));

	name_frame(fault, pfn);
	(slate_page_free)(pfn, 2);
}

/* ---- Stacks ---- */

static void stack_double(struct fault *fault)
{
	slate_stack_free((void *)fault->object);
	slate_stack_free((void *)fault->object);
	slate_flush();
	fault->gone = true;
}

static void stack_middle(struct fault *fault)
{
	fault->at += FRAMES(1);
	slate_stack_free((void *)fault->at);
}

static void stack_odd(struct fault *fault)
{
	fault->at += 8;
	slate_stack_free((void *)fault->at);
}

static void stack_as_object(struct fault *fault)
{
	slate_free((void *)fault->object);
}

static void stack_size(struct fault *fault)
{
	slate_usable_size((void *)fault->object);
}

static void object_as_stack(struct fault *fault)
{
	slate_stack_free((void *)fault->object);
}

static void object_used(struct fault *fault)
{
	slate_stack_used((void *)fault->object);
}

static void object_filled(struct fault *fault)
{
	slate_stack_fill((void *)fault->object);
}

/* ---- Strays ---- */

static unsigned char somewhere[64] __attribute__((aligned(16)));

static void stray_free(struct fault *fault)
{
	fault->at = (uintptr_t)somewhere;
	slate_free(somewhere);
}

static void stray_sized(struct fault *fault)
{
	fault->at = (uintptr_t)somewhere;
	slate_free_sized(somewhere, 64);
}

static void stray_realloc(struct fault *fault)
{
	fault->at = (uintptr_t)somewhere;
	slate_realloc(somewhere, 128);
}

static void stray_size(struct fault *fault)
{
	fault->at = (uintptr_t)somewhere;
	slate_usable_size(somewhere);
}

static void stray_stack(struct fault *fault)
{
	fault->at = (uintptr_t)somewhere;
	slate_stack_free(somewhere);
}

static void low_free(struct fault *fault)
{
	fault->at = 8;
	slate_free((void *)fault->at);
}

static void garbage_free(struct fault *fault)
{
	fault->at = ~(uintptr_t)0 / 0xff * 0x5a & ~(uintptr_t)7;
	slate_free((void *)fault->at);
}

/* A frame of Slate's own: where some span's struct lies. */
static void metadata_free(struct fault *fault)
{
	void *object = slate_alloc(64);

	fault->at = (uintptr_t)arena_span(virt_to_pfn(object)) & ~(uintptr_t)SLATE_PAGE_MASK;
	slate_free((void *)fault->at);
	slate_free(object);
}

static void metadata_page_free(struct fault *fault)
{
	void *object = slate_alloc(64);
	pfn_t pfn = virt_to_pfn(arena_span(virt_to_pfn(object)));

	name_frame(fault, pfn);
	(slate_page_free)(pfn, 2);
	slate_free(object);
}

/* ---- What comes of it: the same in all builds, but for double frees of stacks ---- */

#define BAD_RUN(bytes)                                        \
	"slate_page_free: bad page free of {at}, size " bytes \
	": the frame is not part of an allocated run"
#define BOTH(line, held)   \
	{line, held},      \
	{                  \
		line, held \
	}
#define NO_OBJECTS "the frame holds no objects: free, or a frame run"
#define NOT_OURS   "the address lies in no memory that was added"
#define OWN        "the frame is the allocator's own"

const struct fault_row fault_frame_rows[] = {
	{"frames: a run of 8 freed twice", FAULT_FRAMES, FRAMES(8), run_double,
	 BOTH(BAD_RUN("32768"), "=a free frame")},
	{"frames: a run of 3 freed twice", FAULT_FRAMES, FRAMES(3), run_double,
	 BOTH(BAD_RUN("12288"), "=a free frame")},
	{"frames: a run of which a part is free", FAULT_FRAMES, FRAMES(12), run_part_twice,
	 BOTH(BAD_RUN("49152"), "=a free frame")},
	{"frames: one freed twice",
	 FAULT_FRAMES,
	 FRAMES(1),
	 run_double,
	 {"slate_page_free: bad page free of {at}, size 4096: the frame is free already; found "
	  "when "
	  "the magazine was flushed",
	  "=a free frame"},
	 {BAD_RUN("4096"), "=a frame, free, cached on CPU 0"}},
	{"frames: a run of 4 freed twice by its front end",
	 FAULT_FRAMES,
	 FRAMES(4),
	 front_double,
	 {"slate_page_free: bad page free of {at}, size 16384: the frame is free already; found "
	  "when the magazine was flushed",
	  "=a free frame"},
	 {BAD_RUN("16384"), "?"}},
	{"frames: none to free", FAULT_FRAMES, FRAMES(1), run_none,
	 BOTH("slate_page_free: bad argument of {at}: no frames to free", NULL)},
	{"frames: a run that is not ours", FAULT_NOTHING, 0, run_far,
	 BOTH(BAD_RUN("12288"), "=not ours")},
	{"frames: freed as an object", FAULT_FRAMES, FRAMES(4), run_as_object,
	 BOTH("slate_free: not an object of {at}: " NO_OBJECTS, "=a frame, taken")},
	{"frames: one freed as an object", FAULT_FRAMES, FRAMES(1), run_as_object,
	 BOTH("slate_free: not an object of {at}: " NO_OBJECTS, "=a frame, taken")},
	{"frames: freed as an object of a size", FAULT_FRAMES, FRAMES(4), run_as_sized_object,
	 BOTH("slate_free_sized: not an object of {at}: " NO_OBJECTS, "=a frame, taken")},
	{"frames: a free one freed as an object", FAULT_FRAMES, FRAMES(4), free_run_as_object,
	 BOTH("slate_free: not an object of {at}: " NO_OBJECTS, "=a free frame")},
	{"frames: asked for its size", FAULT_FRAMES, FRAMES(4), run_size,
	 BOTH("slate_usable_size: not an object of {at}: the pointer is no object",
	      "=a frame, taken")},
	{"frames: resized as an object", FAULT_FRAMES, FRAMES(4), run_realloc,
	 BOTH("slate_realloc: not an object of {at}: the pointer is no object", "=a frame, taken")},
	{"frames: freed as a stack", FAULT_FRAMES, FRAMES(4), run_as_stack,
	 BOTH("slate_stack_free: not a stack of {at}: the frame is no stack's", "=a frame, taken")},
	{"frames: those of a small object", FAULT_PLAIN, 64, object_as_run,
	 BOTH(BAD_RUN("8192"), "?")},
	{"frames: those of a large object", FAULT_PLAIN, 100000, object_as_run,
	 BOTH(BAD_RUN("8192"), "?")},
	{"frames: those of a stack", FAULT_STACK, FRAMES(4), object_as_run,
	 BOTH(BAD_RUN("8192"), "?")},
	{"frames: Slate's own freed as an object", FAULT_NOTHING, 0, metadata_free,
	 BOTH("slate_free: not an object of {at}: " OWN, "=the allocator's own")},
	{"frames: Slate's own", FAULT_NOTHING, 0, metadata_page_free,
	 BOTH(BAD_RUN("8192"), "=the allocator's own")},
	{"stack: freed twice",
	 FAULT_STACK,
	 FRAMES(2),
	 stack_double,
	 {"slate_stack_free: double free of {at}: the stack is free already; found when its "
	  "magazine was flushed",
	  "=a free frame"},
	 {"slate_stack_free: double free of {at}: the stack is free already",
	  "free, cached on CPU {cpu}"}},
	{"stack: a pointer into it freed", FAULT_STACK, FRAMES(4), stack_middle,
	 BOTH("slate_stack_free: interior pointer of {at}: the pointer is not the lowest address "
	      "of the stack",
	      "taken")},
	{"stack: an odd pointer freed", FAULT_STACK, FRAMES(1), stack_odd,
	 BOTH("slate_stack_free: interior pointer of {at}: the pointer is not the lowest address "
	      "of the stack",
	      "taken")},
	{"stack: freed as an object", FAULT_STACK, FRAMES(2), stack_as_object,
	 BOTH("slate_free: not an object of {at}: the frame is a stack's: slate_stack_free() takes "
	      "it",
	      "taken")},
	{"stack: asked for its size", FAULT_STACK, FRAMES(2), stack_size,
	 BOTH("slate_usable_size: not an object of {at}: the pointer is no object", "taken")},
	{"stack: an object freed as one", FAULT_PLAIN, 64, object_as_stack,
	 BOTH("slate_stack_free: not a stack of {at}: the frame is no stack's", "taken")},
	{"stack: a large object freed as one", FAULT_PLAIN, 100000, object_as_stack,
	 BOTH("slate_stack_free: not a stack of {at}: the frame is no stack's", "taken")},
	{"stack: how much of an object was used", FAULT_PLAIN, 64, object_used,
	 BOTH("slate_stack_used: not a stack of {at}: the frame is no stack's", "taken")},
	{"stack: an object filled as one", FAULT_PLAIN, 64, object_filled,
	 BOTH("slate_stack_fill: not a stack of {at}: the frame is no stack's", "taken")},
	{"stray: data freed", FAULT_NOTHING, 0, stray_free,
	 BOTH("slate_free: foreign pointer of {at}: " NOT_OURS, "=not ours")},
	{"stray: data freed with a size", FAULT_NOTHING, 0, stray_sized,
	 BOTH("slate_free_sized: foreign pointer of {at}: " NOT_OURS, "=not ours")},
	{"stray: data resized", FAULT_NOTHING, 0, stray_realloc,
	 BOTH("slate_realloc: foreign pointer of {at}: the pointer is no object", "=not ours")},
	{"stray: the size of data", FAULT_NOTHING, 0, stray_size,
	 BOTH("slate_usable_size: foreign pointer of {at}: the pointer is no object", "=not ours")},
	{"stray: data freed as a stack", FAULT_NOTHING, 0, stray_stack,
	 BOTH("slate_stack_free: foreign pointer of {at}: " NOT_OURS, "=not ours")},
	{"stray: a low address freed", FAULT_NOTHING, 0, low_free,
	 BOTH("slate_free: foreign pointer of {at}: " NOT_OURS, "=not ours")},
	{"stray: poison freed as a pointer", FAULT_NOTHING, 0, garbage_free,
	 BOTH("slate_free: foreign pointer of {at}: " NOT_OURS, "=not ours")},
	{0},
};
