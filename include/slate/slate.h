/* SPDX-License-Identifier: MIT */
/*
 * slate.h - the kernel memory allocator: frames, runs of frames, and objects, on every CPU and in
 * interrupt handlers.
 *
 * Start-up has stages. slate_init() (one CPU, interrupts off, no CPU number) makes every allocation
 * call work, through the bootstrap cache; slate_cpu_online() is called once on each CPU when its
 * port_cpu() works; the first one inherits the bootstrap cache.
 *
 * Context, unless a function says otherwise: any except NMI; interrupt handlers included. No
 * function sleeps. Locks are taken inside, with interrupts off; the caller may hold its own locks,
 * but not one that a hook of port.h takes.
 */
#ifndef SLATE_SLATE_H
#define SLATE_SLATE_H

#include <slate/cache.h>
#include <slate/memmap.h>
#include <slate/report.h>
#include <slate/shrinker.h>
#include <slate/span.h>
#include <slate/stats.h>
#include <slate/types.h>

enum slate_status {
	SLATE_OK = 0,
	SLATE_EINVAL = -1, /* an argument outside its contract */
	SLATE_ENOMEM = -2, /* no memory for what the call needs */
	SLATE_EEXIST = -3, /* the range, or a part of it, is there already */
	SLATE_ESTAGE = -4, /* too early, or twice */
	SLATE_ERANGE = -5, /* outside what the direct map or the configuration covers */
	SLATE_EBUSY = -6,  /* somebody holds a part of it */
	SLATE_EAGAIN = -7, /* another call of the kind is under way: again later */
	SLATE_ENOENT = -8, /* no such range is there */
};

/* Flags of an allocation; or them together. */
#define SLATE_NOWAIT 0x01u /* do not wait for other CPUs when memory is short */
#define SLATE_ANYCTX 0x02u /* maybe in an NMI: try locks only; up to 512 KiB, 512 frames */
#define SLATE_ZERO   0x04u /* the memory reads as zero */
#define SLATE_NOSCAN \
	0x08u /* it will hold no pointers: the leak scan skips it; 1 to 7 bytes are packed */
#define SLATE_RESERVE 0x10u /* may use the last frames, when all else has failed */

/* ---- Start-up ---- */

struct slate_init_params {
	struct slate_memmap *map;    /* built by slate_memmap_build(); read only here */
	uintptr_t direct_map_offset; /* virtual = physical + offset, modulo the word */
	uint64_t mapped_limit;       /* physical addresses below it are mapped; 0: all are */
	/*
	 * Optional: where memory may come later, [window_base, window_base + window_bytes), all
	 * multiples of 2^SLATE_ARENA_SHIFT, boot memory included. The caller brings a byte for each
	 * frame of it and a pointer for each 2^SLATE_ARENA_SHIFT bytes, zeroed; then objects there
	 * are found as fast as in boot memory. NULL: the boot map's own window.
	 */
	void *window;
	uint64_t window_base;
	uint64_t window_bytes;
};

/*
 * Take the usable ranges. Metadata is carved out of them (at most 0.4 % of RAM on machines of 64
 * MiB and more). Returns SLATE_OK, SLATE_EINVAL (no map, map not built), SLATE_ENOMEM (no usable
 * range can hold its own metadata), SLATE_ESTAGE (called before). Context: one CPU, interrupts off.
 */
int slate_init(const struct slate_init_params *params);

/*
 * Give more physical memory, frame aligned inward, while all CPUs allocate. Its metadata lies at
 * its own start, so that it can be removed with it, but for its arenas (0.22 % of 64 MiB at a
 * time): these are made once from memory that is there, stay for ever, and serve again when the
 * range comes back. Where they would take more than an eighth of the free frames, the range carries
 * them itself and cannot be removed. Returns SLATE_OK; SLATE_EINVAL (nothing left after alignment,
 * node out of range); SLATE_EEXIST (overlaps memory that was added before); SLATE_ERANGE (beyond
 * SLATE_PADDR_BITS, too long, or unmapped metadata); SLATE_ENOMEM (too small for its own metadata);
 * SLATE_EAGAIN (memory is being added or removed just now). Context: any but NMI, but metadata is
 * cleared in the caller's time: 112 bytes a MiB, and 16 KiB for each fresh arena.
 */
int slate_add_memory(paddr_t base, uint64_t size_bytes, unsigned node);

enum slate_holder_kind {
	SLATE_HOLDER_FRAMES,   /* runs of frames that callers own, or that a CPU caches */
	SLATE_HOLDER_OBJECTS,  /* a span of small objects, of which one at least is out */
	SLATE_HOLDER_LARGE,    /* a large object */
	SLATE_HOLDER_METADATA, /* Slate's own: stays */
	SLATE_HOLDER_STACK,    /* a kernel stack and its guard page */
};

/* Who keeps a range from being removed. */
struct slate_holder {
	paddr_t base;
	size_t pages;
	enum slate_holder_kind kind;
	size_t object_bytes; /* of a span or large object */
};

struct slate_holders {
	struct slate_holder *list; /* the caller's */
	size_t capacity;           /* entries of it */
	size_t count;              /* how many there are: may be more than capacity */
	size_t pages;              /* frames of all of them */
};

/*
 * Take a range back that slate_add_memory() was given: the whole of it, in the same bounds. Nothing
 * is allocated in it from here on; the caches of all CPUs are drained; then it is forgotten if all
 * of its frames are free, with no allocation inside ever after until it is added again. Otherwise
 * it goes on serving, and *holders, which may be NULL, tells who holds it, in ascending order.
 * Returns SLATE_OK; SLATE_EBUSY (it is held); SLATE_EAGAIN (memory is being added or removed just
 * now); SLATE_ENOENT (no range with these bounds was added; ranges of the boot map stay);
 * SLATE_EINVAL, SLATE_ERANGE (no range can have these bounds). Context: interrupts enabled, since
 * the caches of other CPUs hold it otherwise; not from a handler.
 */
int slate_remove_memory(paddr_t base, uint64_t size_bytes, struct slate_holders *holders);

/*
 * Boot memory that its holder has done with becomes usable for good: initrd, ACPI tables, loader
 * data, init sections of the kernel. range is the boot map's, or any part of one with its type and
 * node; frame aligned inward. Metadata comes from memory that is there, so that a few frames are
 * worth it. Returns as slate_add_memory(); SLATE_EINVAL also for a type that never becomes usable
 * (firmware, MMIO, reserved, broken).
 */
int slate_reserve_release(const struct slate_range *range);

/*
 * This CPU joins: called on it, with interrupts off, port_cpu() valid. Returns SLATE_OK,
 * SLATE_ENOMEM, SLATE_ERANGE (number too high) or SLATE_ESTAGE (already online, or before
 * slate_init).
 */
int slate_cpu_online(void);

/*
 * This CPU leaves: called on it, when nothing else allocates or frees there any more, its interrupt
 * handlers included. All that it cached goes home; what other CPUs free later is no concern of it.
 * It may come online again with slate_cpu_online(). Returns SLATE_OK or SLATE_ESTAGE (not online).
 */
int slate_cpu_offline(void);

/* ---- Objects ---- */

/*
 * size_bytes of memory, aligned to 8 (16 for sizes that are multiples of 16, naturally for powers
 * of two), or NULL; NOSCAN objects of 1 to 7 bytes to the largest power of two that divides their
 * size, where SLATE_TINY is set. Size 0 gives a unique pointer that may not be read. Before NULL
 * all caches were drained, those of other CPUs too where interrupts are enabled and
 * port_run_on_cpu() works. slate_zalloc() returns zeroes.
 */
void *slate_alloc(size_t size_bytes);
void *slate_zalloc(size_t size_bytes);
void *slate_alloc_flags(size_t size_bytes, unsigned flags);

/*
 * Behind the front end below: take_index names a class, as slate_fold_index[] of classes.h says.
 * Not for direct use.
 */
void *slate_alloc_index(size_t take_index);
void slate_free_index(void *object, size_t size_and_index);

/* n * size_bytes zeroed bytes; NULL also when the product overflows. */
void *slate_calloc(size_t n, size_t size_bytes);

/*
 * align_bytes must be a power of two, at most half of the memory; otherwise NULL.
 */
void *slate_alloc_aligned(size_t size_bytes, size_t align_bytes, unsigned flags);

/*
 * Resize, keep the first min(old, new) bytes, the largest power of two that divides the old element
 * size, and NOSCAN. Large objects stay where they are when they shrink, and when the frames behind
 * them are free, as far as natural alignment allows. object NULL: as slate_alloc(). size_bytes 0:
 * frees and returns NULL. On NULL otherwise the object is unchanged.
 */
void *slate_realloc(void *object, size_t size_bytes);

/*
 * Give an object back, from any CPU. NULL is nothing. slate_free_sized() takes the size of the
 * allocation, or any that falls in the same class, and reports another. Misuse is a report, and the
 * call is void: foreign, special and misaligned pointers and wrong sizes at once; double frees and
 * interior pointers at the latest when the magazine that took them is flushed (slate_flush()), in
 * debug builds at once, like writes behind the object.
 */
void slate_free(void *object);
void slate_free_sized(void *object, size_t size_bytes);

/*
 * When the object is freed, fn(object, arg) is called before its memory can be used again: in the
 * freeing context if interrupts are enabled there, else from a slate_poll() or slate_flush(); never
 * with a lock of the allocator held. It may allocate and free, but not this object. A second call
 * replaces the first, fn NULL removes it. slate_realloc() counts as a free when the object moves.
 * Of an object that an NMI frees the first word is lost before fn sees it. Returns SLATE_OK;
 * SLATE_EINVAL (not the start of an object of slate_alloc(): frames, stacks, typed caches and
 * objects below 8 bytes have none); SLATE_ENOENT (there was none to remove); SLATE_ENOMEM.
 * Context: any but NMI; the caller owns the object. Frees on the same frame take the slow path
 * meanwhile. Idea: Go's finalizers.
 */
int slate_on_free(void *object, void (*fn)(void *object, void *arg), void *arg);

/*
 * A word of the caller's, kept outside the object until it is freed: for debuggers and dumps. Tag 0
 * removes it; slate_tag() is 0 where there is none. Returns and context as slate_on_free().
 */
int slate_tag_set(void *object, uintptr_t tag);
uintptr_t slate_tag(const void *object);

/* What the object can really hold, at least its requested size; in debug builds just that. 0 and a
 * report for a pointer that is not an object. */
size_t slate_usable_size(const void *object);

/* What slate_alloc(size_bytes) would give room for; in debug builds size_bytes. */
size_t slate_good_size(size_t size_bytes);

/*
 * Many at once: up to n objects into out, returns how many (fewer only when memory is out). Each is
 * an object like any other.
 */
size_t slate_alloc_bulk(size_t size_bytes, size_t n, void **out, unsigned flags);
void slate_free_bulk(void *const *objects, size_t n);

/* ---- Frames ---- */

#define SLATE_ANY_NODE (~0u)

struct slate_page_constraints {
	uint64_t min;            /* lowest physical address of the run */
	uint64_t max;            /* the run ends at or below; 0: no limit */
	uint64_t align_bytes;    /* power of two, 0: a frame */
	uint64_t boundary_bytes; /* power of two that the run does not cross, 0: none */
	unsigned node;           /* SLATE_ANY_NODE, or the node to prefer */
	unsigned flags;          /* SLATE_NOWAIT, _ANYCTX, _ZERO, _RESERVE */
};

/*
 * n consecutive frames, lowest address that fits; constraints NULL: none. Contents are undefined
 * without SLATE_ZERO. Frames may lie above mapped_limit unless SLATE_ZERO or max forbid it. Returns
 * SLATE_PFN_NONE when there are none, or n is 0, or the constraints contradict each other.
 */
pfn_t slate_page_alloc(size_t n, const struct slate_page_constraints *constraints);

/*
 * Exactly these n frames, of one range of memory. Returns SLATE_OK; SLATE_EBUSY (not all are free,
 * even after all caches were drained); SLATE_ENOENT (not all are Slate's); SLATE_EINVAL (n is 0,
 * base not frame aligned). They go back by slate_page_free().
 */
int slate_page_alloc_at(paddr_t base, size_t n);

/* Give n frames back: a whole run, or any part of one. SLATE_PFN_NONE is nothing. Frames that are
 * not an allocated run's are reported. */
void slate_page_free(pfn_t pfn, size_t n);

/*
 * One frame, from this CPU's magazine: slate_page_alloc(1, NULL) and slate_page_free(pfn, 1)
 * without their questions. A frame that was not taken is reported at the latest when the magazine
 * that took it is flushed.
 */
pfn_t slate_frame_alloc(void);
void slate_frame_free(pfn_t pfn);

/* ---- Kernel stacks ---- */

/*
 * A stack of 2^order frames, order < SLATE_STACK_ORDERS: its lowest address, frame aligned, or NULL
 * (no memory, or no such order). The stack pointer starts at the returned address +
 * (SLATE_PAGE_SIZE
 * << order). Contents are undefined. Where the port can unmap pages (port_guard_unmap), the page
 * below faults when it is touched. Cached per CPU; gives what slate_alloc() gives before NULL.
 */
void *slate_stack_alloc(unsigned order);

/*
 * Give it back; nothing may run on it any more. NULL is nothing. Misuse is a report: pointers that
 * are no stack's lowest address at once, double frees at once in debug builds and else at the
 * latest when the magazine that took them is flushed.
 */
void slate_stack_free(void *stack);

/*
 * How deep a stack was used: slate_stack_fill() writes a pattern over all of it (before it is used;
 * debug builds do so at slate_stack_alloc()), slate_stack_used() counts the bytes from its top down
 * to the deepest one that is not the pattern any more. 0 and a report for what is no stack.
 */
void slate_stack_fill(void *stack);
size_t slate_stack_used(const void *stack);

struct slate_stack_info {
	void *stack;       /* as slate_stack_alloc() returned it */
	size_t size_bytes; /* 2^order frames */
	bool guarded;      /* the page below it is unmapped */
	bool in_guard;     /* and the address lies there: an overflow */
};

/*
 * The stack that any address, also garbage, lies in or whose guard page it lies in; false if there
 * is none. For the handler of page faults. Context: any. Takes no lock, touches no stack.
 */
bool slate_stack_find(const void *address, struct slate_stack_info *info);

/* Direct map. slate_virt() of an unmapped address is meaningless. */
void *slate_virt(paddr_t pa);
paddr_t slate_phys(const void *va);

/* ---- Interrupts ---- */

/*
 * Where to resume after an interrupt at pc. Called first thing in every interrupt, exception and
 * NMI entry, before anything that may allocate or switch tasks; the entry returns to what it
 * returns instead of pc. With SLATE_PROTECT_IRQOFF it is pc. Context: any. Takes no lock. Idea:
 * restartable atomic sequences (Bershad, Redell, Ellis 1992).
 */
uintptr_t slate_interrupt_fixup(uintptr_t pc);

/* ---- Upkeep ---- */

/*
 * Periodic work of this CPU, from its timer tick or idle loop: finishes frees that an NMI deferred,
 * drains when another CPU asked for it, and returns by and by what the caches hold but nobody uses
 * (a few classes a call, at most one magazine); with interrupts enabled it gives free frames back
 * at the pace of slate_scavenge_pace(). Context: any but NMI.
 */
void slate_poll(void);

/* Empty this CPU's caches and, where they can be reached, all others', so that frames and figures
 * are exact. */
void slate_flush(void);

/*
 * Give free frames back to whoever owns the machine, by port_page_discard(): at least that many if
 * there are so many, SIZE_MAX: all but the reserve. Whole 2 MiB blocks go first, then runs of 64
 * KiB, then the rest. The frames stay allocatable, and come back by being allocated; lower
 * addresses are preferred then, and higher ones given back. Returns how many were given back: less
 * when the hook refuses some, which ends the call, and 0 while another call is at work.
 * slate_flush() first makes more frames free. Up to 2 MiB look allocated to other CPUs for as long
 * as the hook takes. Context: any but NMI, as far as the hook allows; interrupts better enabled,
 * for hooks are slow.
 */
size_t slate_scavenge(size_t pages);

/*
 * The same in the background, from slate_poll() on any CPU with interrupts enabled, until so many
 * free frames are left as they are: at most pages_per_poll a call, rounded up to a run, and none
 * below 64 KiB. It begins when an eighth more than retain_pages and 2 MiB are free. 0 pages a
 * poll: never, the default. After a refusal it rests for some hundred polls.
 */
void slate_scavenge_pace(size_t retain_pages, size_t pages_per_poll);

/*
 * Zero free frames while nobody waits: from an idle loop. At most max_pages, as long as fewer than
 * goal_pages of the free frames are known to read as zero. Requests with SLATE_ZERO prefer those,
 * and need not zero them. Frames that were given back to the machine's owner stay there. Returns
 * how many frames were zeroed: 0 also while another CPU is at it. Context: any but NMI; some
 * thousand instructions a frame, interrupts as the caller has them.
 */
size_t slate_idle_zero(size_t max_pages, size_t goal_pages);

/* ---- Configuration check ---- */

/*
 * One pointer in each file that includes this: the reference that fails to link (config.h). It
 * survives
 * --gc-sections where compiler and assembler know "retain"; elsewhere such a link is not checked.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wattributes"
static const char *const slate_config_check
#if __has_attribute(retain)
	__attribute__((used, retain))
#else
	__attribute__((used))
#endif
	= &SLATE_CONFIG_SYMBOL;
#pragma GCC diagnostic pop

/* ---- Front ends ---- */

/*
 * Where the compiler knows the arguments, a call goes straight to the sequence it ends in.
 * (slate_alloc)(n), in parentheses, is the function itself.
 */
#include <slate/classes.h>

#define SLATE_FRONT_END static inline __attribute__((always_inline, unused))

/* Debug builds want to know the size. */
#define SLATE_FOLDS(value) (!SLATE_DEBUG && __builtin_constant_p(value))

SLATE_FRONT_END void *slate_alloc_front(size_t size_bytes)
{
	if (SLATE_FOLDS(size_bytes) && size_bytes <= SLATE_FOLD_MAX)
		return slate_alloc_index(slate_fold_index[(size_bytes + 7) / 8]);
	return slate_alloc(size_bytes);
}

SLATE_FRONT_END void slate_free_sized_front(void *object, size_t size_bytes)
{
	if (SLATE_FOLDS(size_bytes) && size_bytes <= SLATE_FOLD_MAX)
		slate_free_index(object, size_bytes << 8 | (slate_fold_index[(size_bytes + 7) / 8] -
							    SLATE_FOLD_TAKE));
	else
		slate_free_sized(object, size_bytes);
}

/* Beyond it a call of the clearing function is cheaper than unrolled stores. */
#define SLATE_FOLD_ZERO_MAX 128

SLATE_FRONT_END void *slate_zalloc_front(size_t size_bytes)
{
	if (!SLATE_FOLDS(size_bytes) || size_bytes > SLATE_FOLD_ZERO_MAX)
		return slate_zalloc(size_bytes);

	void *object = slate_alloc_front(size_bytes);

	/* volatile: the compiler must not gather the stores into the call */
	if (object) {
#pragma GCC unroll 16
		for (size_t i = 0; i < (size_bytes + 7) / 8; i++)
			((volatile uint64_t *)object)[i] = 0;
	}
	return object;
}

/* The magazine class of runs of n frames, for the lengths that have magazines; 0: none. Not for
 * direct use. */
#define SLATE_RUN_CLASS 161
#define SLATE_RUN_CLASS_OF(n)               \
	((n) == 2     ? SLATE_RUN_CLASS     \
	 : (n) == 4   ? SLATE_RUN_CLASS + 1 \
	 : (n) == 8   ? SLATE_RUN_CLASS + 2 \
	 : (n) == 512 ? SLATE_RUN_CLASS + 3 \
		      : 0)

SLATE_FRONT_END pfn_t slate_page_alloc_front(size_t n,
					     const struct slate_page_constraints *constraints)
{
	if (__builtin_constant_p(n) && n == 1 && __builtin_constant_p(!constraints) && !constraints)
		return slate_frame_alloc();
	/* a slot holds frame number + 1: NULL becomes SLATE_PFN_NONE */
	if (__builtin_constant_p(n) && SLATE_RUN_CLASS_OF(n) &&
	    __builtin_constant_p(!constraints) && !constraints)
		return (pfn_t){(size_t)(uintptr_t)slate_alloc_index(SLATE_FOLD_TAKE +
								    SLATE_RUN_CLASS_OF(n)) -
			       1};
	return slate_page_alloc(n, constraints);
}

SLATE_FRONT_END void slate_page_free_front(pfn_t pfn, size_t n)
{
	if (__builtin_constant_p(n) && n == 1)
		slate_frame_free(pfn);
	else if (!__builtin_constant_p(n) || !SLATE_RUN_CLASS_OF(n))
		slate_page_free(pfn, n);
	else if (!pfn_is_none(pfn))
		slate_give_index(SLATE_RUN_CLASS_OF(n), (void *)(uintptr_t)(pfn.v + 1));
}

#define slate_alloc(size_bytes)              slate_alloc_front(size_bytes)
#define slate_free_sized(object, size_bytes) slate_free_sized_front((object), (size_bytes))
#define slate_zalloc(size_bytes)             slate_zalloc_front(size_bytes)
/* variadic, because a compound literal has commas that no macro sees as one argument's */
#define slate_page_alloc(n, ...) slate_page_alloc_front((n), (__VA_ARGS__))
#define slate_page_free(pfn, n)  slate_page_free_front((pfn), (n))

#ifdef SLATE_TRACK
#include <slate/track.h>
#endif

#endif
