/* SPDX-License-Identifier: MIT */
/*
 * host.h - the machine that host tests run on: threads are CPUs, a big reservation of address space
 * is the direct map, and reports are caught. Tests include it after <cmocka.h>'s own headers.
 *
 *   static int set_up(void **state) { host_reset(); host_memory(0x100000, 16 << 20); return 0; }
 *
 *   expect_report(SLATE_CRIME_DOUBLE_FREE);
 *   slate_free(p);
 *   slate_flush();
 *   assert_int_equal(reported()->address, (uintptr_t)p);
 *
 * A report that nobody expects fails the test with its text; so does an expected one that does not
 * come, in reported() or at the next host_reset().
 */
#ifndef TEST_HOST_H
#define TEST_HOST_H

#include <setjmp.h>

#include <slate/slate.h>

/* ---- Physical memory ---- */

/* Simulated physical addresses are [0, host_memory_limit()): 2 TiB, less under TSan. */
uint64_t host_memory_limit(void);

/* virtual = physical + offset; a multiple of 1 GiB, so that alignment is the same on both sides. */
uintptr_t host_offset(void);

void *host_virt(uint64_t paddr);

/*
 * Populate [paddr, paddr + size_bytes), rounded to frames. Ranges of up to 64 MiB are filled with
 * 0xc3, since memory after start-up is not zero. Anything else faults when touched.
 */
void host_memory(uint64_t paddr, uint64_t size_bytes);

/* ---- The allocator on it ---- */

/*
 * A program that defines it as true runs with witnesses in debug builds (mm/witness.h); most look
 * at what lies below them, and do without.
 */
extern const bool host_witnesses __attribute__((weak));

/* Forget all memory, CPUs, expectations and the whole state of mm; the test's thread is CPU 0. */
void host_reset(void);

/*
 * host_reset(), then start Slate on one range of memory; CPU 0 is online. Returns the free frames.
 */
size_t host_boot(uint64_t paddr, uint64_t size_bytes);

/* The same on a map of the caller's, which is built here; its usable ranges are populated. */
size_t host_boot_map(struct slate_memmap *map);

/* ---- CPUs ---- */

/* This thread acts as that CPU from now on. One thread may act as several, one after another. */
void host_cpu_set(unsigned cpu);

/* This CPU, taken online. */
void host_cpu_online(unsigned cpu);

/*
 * Threads of a threaded test: between the two calls the thread runs as this CPU and serves
 * port_run_on_cpu() whenever it enables interrupts, spins, or calls host_cpu_serve(). A CPU that no
 * thread runs is served by the asking thread.
 */
void host_cpu_enter(unsigned cpu);
void host_cpu_leave(void);
void host_cpu_serve(void);

/* port_run_on_cpu() fails from now on (until host_reset()). */
void host_ipi_disable(void);

/* NUMA: a CPU's node, asked when it comes online; and what the distances are (NULL: by number).
 * They stay until host_nodes_reset(). */
void host_cpu_node(unsigned cpu, unsigned node);
void host_node_distance(unsigned (*distance)(unsigned from, unsigned to));
void host_nodes_reset(void);

/* Interrupts of this thread, as an interrupt handler sees them. */
void host_irq_set(bool enabled);

/* A function that runs each time this thread enables interrupts; NULL: none. It runs with them
 * disabled. */
void host_irq_hook(void (*fn)(void));

/* A program that defines it sees each port_relax() that its threads call. */
void host_relaxes(void) __attribute__((weak));

/* ---- Guard pages ---- */

/* Can the port take pages away for guards? Not after host_reset(). */
void host_guards(bool on);

/* Pages that are taken now. */
unsigned host_guard_count(void);

/* ---- Reports ---- */

/* Exactly one report of this kind is to come; reports of this thread's operations only. */
void expect_report(enum slate_crime crime);

/* n of them. */
void expect_reports(enum slate_crime crime, unsigned n);

/* All expected reports have come, else the test fails; the last one. */
#define reported() host_reported(__FILE__, __LINE__)
const struct slate_report *host_reported(const char *file, int line);

/*
 * From now on each report and its evidence becomes text at the end of buf, terminated, and nothing
 * else; NULL: that is over.
 */
void host_capture(char *buf, size_t size_bytes);

/* Reports that came since the last expect_report(). */
unsigned reports_seen(void);

/*
 * For a report after which the operation cannot go on (lock misuse, failed assertion): runs the
 * statement, which must end in this report. Its locks stay as they are: host_reset() follows.
 */
extern sigjmp_buf host_fatal_jump;
void host_fatal_arm(enum slate_crime crime);
void host_fatal_missed(void);
#define EXPECT_FATAL(crime, statement)                    \
	do {                                              \
		host_fatal_arm(crime);                    \
		if (sigsetjmp(host_fatal_jump, 0) == 0) { \
			statement;                        \
			host_fatal_missed();              \
		}                                         \
	} while (0)

/* Fail the test with a text; in a program without cmocka, or in a second thread, end the program.
 */
void host_fail(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));

/* ---- Random numbers ---- */

/* xorshift64*: one seed, one sequence, on every host. */
struct host_random {
	uint64_t state;
};

/* From SEED= in the environment if it is set, else from the caller's default; printed, so that it
 * can be replayed. */
struct host_random host_random_seed(const char *test, uint64_t seed);
uint64_t host_random(struct host_random *random);
/* 0 <= result < bound, bound > 0. */
uint64_t host_random_below(struct host_random *random, uint64_t bound);

/* OPS= in the environment if it is set, else the default. */
size_t host_ops(size_t ops);

#endif
