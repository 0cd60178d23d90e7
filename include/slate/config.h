/* SPDX-License-Identifier: MIT */
/*
 * config.h - every build-time choice, with its default, its cost and a range check.
 *
 * Override with -DSLATE_X=... in SLATE_CFLAGS: plain decimal numbers, they become part of a
 * symbol's name. A program whose headers disagree with the library it links fails at link time, see
 * SLATE_CONFIG_SYMBOL.
 */
#ifndef SLATE_CONFIG_H
#define SLATE_CONFIG_H

/* log2 of the frame size in bytes. 4 KiB everywhere so far. */
#ifndef SLATE_PAGE_SHIFT
#define SLATE_PAGE_SHIFT 12
#endif

/*
 * log2 of the bytes that one heap arena covers. Each arena that holds RAM costs a span pointer and
 * a class byte a frame: 0.22 % of a 64-bit arena, whether or not all of it is populated. Small
 * machines want small arenas.
 */
#ifndef SLATE_ARENA_SHIFT
#define SLATE_ARENA_SHIFT 26
#endif

/* Physical address bits. Ranges above are clipped and reported by the memory-map linter. */
#ifndef SLATE_PADDR_BITS
#if __SIZEOF_POINTER__ == 8
#define SLATE_PADDR_BITS 52
#else
#define SLATE_PADDR_BITS 32
#endif
#endif

/* Most CPUs that may come online. One pointer each; the caches are made at slate_cpu_online(). */
#ifndef SLATE_MAX_CPUS
#define SLATE_MAX_CPUS 64
#endif

/* What one CPU's caches may hold, in bytes, before slate_poll() sends home more than what is idle.
 */
#ifndef SLATE_CACHE_BYTES
#define SLATE_CACHE_BYTES (sizeof(void *) == 8 ? 8u << 20 : 256u << 10)
#endif

/*
 * Pack NOSCAN objects of 1 to 7 bytes several to a block of 16 bytes, aligned to the largest power
 * of two that divides their size. 0 or 1; 16 % of a block for its places, 112 bytes a CPU. Not
 * where a malloc's callers expect more alignment.
 */
#ifndef SLATE_TINY
#define SLATE_TINY (SLATE_PROTECT != SLATE_PROTECT_THREAD)
#endif

/*
 * What one CPU may keep of freed large objects (above 32 KiB), in bytes, 0: nothing; and all CPUs
 * together: that part of the memory, as a shift (6: 1.6 %).
 */
#ifndef SLATE_LARGE_CACHE_BYTES
#define SLATE_LARGE_CACHE_BYTES (sizeof(void *) == 8 ? 4u << 20 : 256u << 10)
#endif
#ifndef SLATE_LARGE_CACHE_SHIFT
#define SLATE_LARGE_CACHE_SHIFT 6
#endif

/*
 * Pointers in a magazine, one of which stays unused: what moves between a CPU and the rest at once,
 * and with it how often it does. Two magazines a class and CPU, a pointer's size each. Restartable
 * sequences know that they are 64.
 */
#ifndef SLATE_MAGAZINE_SLOTS
#define SLATE_MAGAZINE_SLOTS 64
#endif

/*
 * Between the CPUs wait full magazines, of each class at most so many, and so many bytes of
 * objects. slate_poll() sends home what stays unused, where interrupts are enabled.
 */
#ifndef SLATE_DEPOT_BYTES
#define SLATE_DEPOT_BYTES (4u << 20)
#endif
#ifndef SLATE_DEPOT_MAGAZINES
#define SLATE_DEPOT_MAGAZINES 32
#endif

/*
 * What RESERVE requests find when nobody else gets any more: of each node's memory that part, as a
 * shift (11: 0.05 %), and at most so many frames.
 */
#ifndef SLATE_RESERVE_SHIFT
#define SLATE_RESERVE_SHIFT 11
#endif
#ifndef SLATE_RESERVE_MAX_PAGES
#define SLATE_RESERVE_MAX_PAGES 4096
#endif

/* Traces (trace.h). They cost nothing where a magazine serves, some instructions on slow paths. 0
 * or 1. */
#ifndef SLATE_TRACE
#define SLATE_TRACE 0
#endif

/*
 * The heap profile (profile.h), 0 or 1: 6 KiB of code, 1.3 KiB a CPU, and no instruction on a fast
 * path; 64-bit machines only. How many bytes are allocated between two samples on the average,
 * until slate_profile_rate(); 1: every object, 0: none. And how many call stacks are kept, of 176
 * bytes each.
 */
#ifndef SLATE_PROFILE
#define SLATE_PROFILE (__SIZEOF_POINTER__ == 8)
#endif
#ifndef SLATE_PROFILE_RATE
#define SLATE_PROFILE_RATE 524288
#endif
#ifndef SLATE_PROFILE_BUCKETS
#define SLATE_PROFILE_BUCKETS 4096
#endif

/* Most ranges that the leak scan looks at (slate_root_add()). */
#ifndef SLATE_ROOTS
#define SLATE_ROOTS 64
#endif

/* Words that a mark looks at while the CPUs stand still once, where the port can tell what is
 * written in between (port_written_begin()): some ten instructions each. */
#ifndef SLATE_MARK_CHUNK_WORDS
#define SLATE_MARK_CHUNK_WORDS 8192
#endif

/* Most NUMA nodes. One page heap each. */
#ifndef SLATE_MAX_NODES
#define SLATE_MAX_NODES 8
#endif

/* Checks that cost time: lock ranks, owners, MM_ASSERT; and a record of 136 bytes, a red zone and
 * poison for each object. 0 or 1. */
#ifndef SLATE_DEBUG
#define SLATE_DEBUG 0
#endif

/*
 * Debug builds: freed objects of so many bytes wait in quarantine before their memory has a next
 * owner, 64 a CPU at most. slate_flush() and every shortage end the wait.
 */
#ifndef SLATE_QUARANTINE_BYTES
#define SLATE_QUARANTINE_BYTES (sizeof(void *) == 8 ? 1u << 20 : 64u << 10)
#endif

/*
 * How the per-CPU caches are protected. RSEQ: restartable sequences, no cost on the fast path; the
 * kernel gives a pointer-sized word per CPU at SLATE_PERCPU_OFFSET from its per-CPU base register
 * (GS base, TPIDR_EL1), and calls slate_interrupt_fixup() first thing in every interrupt, exception
 * and NMI entry. IRQOFF: interrupts masked for some instructions. THREAD: nothing, the mcache is
 * found by a thread-local pointer; for programs on a host whose threads each are a CPU for good,
 * one a CPU, and take no signals that allocate. The default follows from whether the offset is
 * given.
 */
#define SLATE_PROTECT_IRQOFF 0
#define SLATE_PROTECT_RSEQ   1
#define SLATE_PROTECT_THREAD 2
#ifndef SLATE_PROTECT
#ifdef SLATE_PERCPU_OFFSET
#define SLATE_PROTECT 1
#else
#define SLATE_PROTECT 0
#endif
#endif

#if SLATE_PROTECT != SLATE_PROTECT_IRQOFF && SLATE_PROTECT != SLATE_PROTECT_RSEQ && \
	SLATE_PROTECT != SLATE_PROTECT_THREAD
#error "SLATE_PROTECT must be 0 (interrupts off), 1 (restartable sequences) or 2 (threads)"
#endif
#if SLATE_PROTECT == SLATE_PROTECT_RSEQ && !defined(SLATE_PERCPU_OFFSET)
#error "SLATE_PROTECT_RSEQ needs SLATE_PERCPU_OFFSET"
#endif
#if SLATE_MAGAZINE_SLOTS < 32 || SLATE_MAGAZINE_SLOTS > 512 || \
	(SLATE_MAGAZINE_SLOTS & (SLATE_MAGAZINE_SLOTS - 1)) != 0
#error "SLATE_MAGAZINE_SLOTS must be a power of two, 32 to 512"
#endif
#if SLATE_PROTECT == SLATE_PROTECT_RSEQ && SLATE_MAGAZINE_SLOTS != 64
#error "SLATE_PROTECT_RSEQ needs 64 SLATE_MAGAZINE_SLOTS"
#endif
#if SLATE_PAGE_SHIFT != 12
#error "SLATE_PAGE_SHIFT: only 4 KiB frames (12) are supported"
#endif
#if SLATE_ARENA_SHIFT < 20 || SLATE_ARENA_SHIFT > 30
#error "SLATE_ARENA_SHIFT must be 20 (1 MiB) to 30 (1 GiB)"
#endif
#if SLATE_MAX_CPUS < 1 || SLATE_MAX_CPUS > 4096
#error "SLATE_MAX_CPUS must be 1 to 4096"
#endif
#if SLATE_RESERVE_SHIFT < 4 || SLATE_RESERVE_SHIFT > 31
#error "SLATE_RESERVE_SHIFT must be 4 (a sixteenth) to 31 (nothing)"
#endif
#if SLATE_LARGE_CACHE_SHIFT < 2 || SLATE_LARGE_CACHE_SHIFT > 31
#error "SLATE_LARGE_CACHE_SHIFT must be 2 (a quarter) to 31 (nothing)"
#endif
#if SLATE_MARK_CHUNK_WORDS < 1024
#error "SLATE_MARK_CHUNK_WORDS must be at least 1024"
#endif
#if SLATE_MAX_NODES < 1 || SLATE_MAX_NODES > 64
#error "SLATE_MAX_NODES must be 1 to 64"
#endif
#if SLATE_PADDR_BITS < 32 || SLATE_PADDR_BITS > 52
#error "SLATE_PADDR_BITS must be 32 to 52"
#endif
#if SLATE_PROFILE != 0 && SLATE_PROFILE != 1
#error "SLATE_PROFILE must be 0 or 1"
#endif
#if SLATE_PROFILE && __SIZEOF_POINTER__ != 8
#error "SLATE_PROFILE needs 64-bit arithmetic"
#endif
#if SLATE_PROFILE_RATE < 0 || SLATE_PROFILE_RATE > 1073741824
#error "SLATE_PROFILE_RATE must be 0 to 1 GiB"
#endif
#if SLATE_TINY != 0 && SLATE_TINY != 1
#error "SLATE_TINY must be 0 or 1"
#endif
#if SLATE_DEBUG != 0 && SLATE_DEBUG != 1
#error "SLATE_DEBUG must be 0 or 1"
#endif

/*
 * A symbol that spells the configuration. The library defines its own, every file that includes
 * slate.h refers to its own: when the two differ, the linker's message names both sides' values.
 * Every choice above belongs here.
 */
#define SLATE_CONFIG_NAME(page, arena, paddr, cpus, nodes, debug, protect) \
	slate_config_page##page##_arena##arena##_paddr##paddr##_cpus##cpus##_nodes##nodes##_debug##debug##_protect##protect
#define SLATE_CONFIG_EXPAND(...) SLATE_CONFIG_NAME(__VA_ARGS__)
#define SLATE_CONFIG_SYMBOL                                                                        \
	SLATE_CONFIG_EXPAND(SLATE_PAGE_SHIFT, SLATE_ARENA_SHIFT, SLATE_PADDR_BITS, SLATE_MAX_CPUS, \
			    SLATE_MAX_NODES, SLATE_DEBUG, SLATE_PROTECT)
#ifndef __ASSEMBLER__
extern const char SLATE_CONFIG_SYMBOL;
#endif

#endif
