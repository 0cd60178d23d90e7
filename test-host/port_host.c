/* SPDX-License-Identifier: MIT */
/*
 * port_host.c - port.h for host tests: simulated memory and CPUs, and reports that tests catch.
 *
 * The direct map is one reservation without access; what a test populates is made accessible, so a
 * stray access to a hole of the physical address space is a fault here as it would be there. A CPU
 * is a number that a thread carries; "interrupts" are calls that are served when the thread has
 * them enabled.
 */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <slate/evidence.h>
#include <slate/port.h>
#include <slate/slate.h>

#include "mm/init.h"
#include "mm/lockrank.h"
#include "mm/mmdebug.h"
#include "mm/witness.h"
#include "test-host/host.h"
#include "test-host/pure.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

/* TSan gives a program little more than one TiB of address space. */
#ifdef UNDER_TSAN
#define MEMORY_LIMIT ((uint64_t)1 << 37)
#else
#define MEMORY_LIMIT ((uint64_t)1 << 41)
#endif
#define DIRECT_MAP_ALIGN ((uint64_t)1 << 30)
#define FILL_MAX         ((uint64_t)64 << 20)
#define MAX_POPULATED    1024

/* Present in programs that are linked with cmocka: leaves the test. */
extern void _fail(const char *file, int line) __attribute__((weak, noreturn));

/* ---- Failing ---- */

static pthread_t test_thread;

static void __attribute__((constructor)) note_test_thread(void)
{
	test_thread = pthread_self();
}

static void end_test(const char *file, int line) __attribute__((noreturn));

static void end_test(const char *file, int line)
{
	/* cmocka can leave a test from the thread that runs it only. */
	if (_fail && pthread_equal(pthread_self(), test_thread))
		_fail(file, line);
	abort();
}

void host_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s:%d: ", file, line);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	end_test(file, line);
}

void pure_fail(const char *file, int line, const char *expr)
{
	host_fail(file, line, "%s", expr);
}

void assert_failed(const char *expr, const char *file, int line) __attribute__((noreturn));

void assert_failed(const char *expr, const char *file, int line)
{
	host_fail(file, line, "%s", expr);
}

/* ---- Physical memory ---- */

static char *direct_map;
static struct populated {
	uint64_t base;
	uint64_t size_bytes;
} populated[MAX_POPULATED];
static size_t populated_count;

uint64_t host_memory_limit(void)
{
	return MEMORY_LIMIT;
}

static char *reserve(void)
{
	uint64_t size = MEMORY_LIMIT + DIRECT_MAP_ALIGN;
	char *start =
		mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED) {
		perror("mmap");
		abort();
	}
	return start + (-(uintptr_t)start & (DIRECT_MAP_ALIGN - 1));
}

uintptr_t host_offset(void)
{
	if (!direct_map)
		direct_map = reserve();
	return (uintptr_t)direct_map;
}

void *host_virt(uint64_t paddr)
{
	return (void *)(host_offset() + (uintptr_t)paddr);
}

/* Fresh pages with that protection in place of what was there. */
static void remap(uint64_t paddr, uint64_t size_bytes, int protection)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;

	if (mmap(host_virt(paddr), size_bytes, protection, flags, -1, 0) == MAP_FAILED) {
		perror("mmap");
		abort();
	}
}

void host_memory(uint64_t paddr, uint64_t size_bytes)
{
	uint64_t start = paddr & ~(uint64_t)SLATE_PAGE_MASK;
	uint64_t end = (paddr + size_bytes + SLATE_PAGE_MASK) & ~(uint64_t)SLATE_PAGE_MASK;

	if (end > MEMORY_LIMIT || start >= end || populated_count == MAX_POPULATED)
		host_fail(__FILE__, __LINE__, "host_memory: no room");
	remap(start, end - start, PROT_READ | PROT_WRITE);
	populated[populated_count++] = (struct populated){start, end - start};
	if (end - start <= FILL_MAX)
		memset(host_virt(start), 0xc3, end - start);
}

static void forget_memory(void)
{
	while (populated_count) {
		const struct populated *range = &populated[--populated_count];

		remap(range->base, range->size_bytes, PROT_NONE);
	}
}

/* ---- CPUs and interrupts ---- */

/* A function that another CPU shall run, and its reply. */
struct mailbox {
	_Atomic bool attached; /* a thread runs this CPU; changed under ipi_lock only */
	_Atomic bool pending;  /* release by the sender, acquire by the receiver, and back */
	void (*fn)(void *arg);
	void *arg;
};

static struct mailbox mailboxes[SLATE_MAX_CPUS];
static pthread_mutex_t ipi_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool ipi_disabled;

static _Thread_local unsigned this_cpu;
static _Thread_local bool irq_off;
static _Thread_local void (*irq_hook)(void);

unsigned port_cpu(void)
{
	return this_cpu;
}

void host_cpu_serve(void)
{
	struct mailbox *box = &mailboxes[this_cpu];

	if (irq_off || !atomic_load_explicit(&box->attached, memory_order_relaxed))
		return;
	if (!atomic_load_explicit(&box->pending, memory_order_acquire))
		return;
	irq_off = true;
	box->fn(box->arg);
	irq_off = false;
	atomic_store_explicit(&box->pending, false, memory_order_release);
}

static void interrupt(void)
{
	void (*hook)(void) = irq_hook;

	host_cpu_serve();
	if (!hook)
		return;
	irq_off = true;
	irq_hook = NULL; /* a handler is not interrupted by itself */
	hook();
	irq_hook = hook;
	irq_off = false;
}

unsigned long port_irq_save(void)
{
	unsigned long state = irq_off;

	irq_off = true;
	return state;
}

void port_irq_restore(unsigned long state)
{
	if (!irq_off)
		host_fail(__FILE__, __LINE__, "port_irq_restore: interrupts are enabled");
	irq_off = state;
	if (!irq_off)
		interrupt();
}

bool port_irq_enabled(void)
{
	return !irq_off;
}

void port_relax(void)
{
	if (host_relaxes)
		host_relaxes();
	host_cpu_serve();
	sched_yield();
}

/* Never blocks for good: whoever waits serves. */
static void lock_ipi(void)
{
	while (pthread_mutex_trylock(&ipi_lock) != 0)
		port_relax();
}

/* No thread is that CPU: this one plays it. */
static void impersonate(unsigned cpu, void (*fn)(void *arg), void *arg)
{
	unsigned self = this_cpu;

	irq_off = true;
	this_cpu = cpu;
	fn(arg);
	this_cpu = self;
	irq_off = false;
}

bool port_run_on_cpu(unsigned cpu, void (*fn)(void *arg), void *arg)
{
	struct mailbox *box = &mailboxes[cpu];

	if (irq_off)
		host_fail(__FILE__, __LINE__, "port_run_on_cpu: interrupts are disabled");
	if (ipi_disabled || cpu >= SLATE_MAX_CPUS)
		return false;
	lock_ipi();
	if (!atomic_load_explicit(&box->attached, memory_order_relaxed)) {
		impersonate(cpu, fn, arg);
	} else {
		box->fn = fn;
		box->arg = arg;
		atomic_store_explicit(&box->pending, true, memory_order_release);
		while (atomic_load_explicit(&box->pending, memory_order_acquire))
			port_relax();
	}
	pthread_mutex_unlock(&ipi_lock);
	return true;
}

static unsigned nodes_of_cpus[SLATE_MAX_CPUS];
static unsigned (*node_distance)(unsigned from, unsigned to);

unsigned port_cpu_node(unsigned cpu)
{
	return nodes_of_cpus[cpu];
}

unsigned port_node_distance(unsigned from, unsigned to)
{
	if (node_distance)
		return node_distance(from, to);
	return from < to ? to - from : from - to;
}

void host_cpu_node(unsigned cpu, unsigned node)
{
	nodes_of_cpus[cpu] = node;
}

void host_node_distance(unsigned (*distance)(unsigned from, unsigned to))
{
	node_distance = distance;
}

void host_nodes_reset(void)
{
	memset(nodes_of_cpus, 0, sizeof(nodes_of_cpus));
	node_distance = NULL;
}

void host_cpu_set(unsigned cpu)
{
	this_cpu = cpu;
}

void host_cpu_enter(unsigned cpu)
{
	irq_off = false;
	this_cpu = cpu;
	lock_ipi();
	atomic_store_explicit(&mailboxes[cpu].attached, true, memory_order_relaxed);
	pthread_mutex_unlock(&ipi_lock);
}

void host_cpu_leave(void)
{
	lock_ipi(); /* nobody can be waiting for this CPU now */
	atomic_store_explicit(&mailboxes[this_cpu].attached, false, memory_order_relaxed);
	pthread_mutex_unlock(&ipi_lock);
}

void host_ipi_disable(void)
{
	ipi_disabled = true;
}

void host_irq_set(bool enabled)
{
	irq_off = !enabled;
}

void host_irq_hook(void (*fn)(void))
{
	irq_hook = fn;
}

/* ---- Guard pages ---- */

static _Atomic bool guards_on;
static _Atomic unsigned guard_count;

static bool protect(void *page, int protection)
{
	mm_lock_assert_none();
	return mprotect(page, SLATE_PAGE_SIZE, protection) == 0;
}

bool port_guard_unmap(void *page)
{
	if (!guards_on || !protect(page, PROT_NONE))
		return false;
	guard_count++;
	return true;
}

void port_guard_map(void *page)
{
	if (!protect(page, PROT_READ | PROT_WRITE))
		host_fail(__FILE__, __LINE__, "port_guard_map: %p", page);
	guard_count--;
}

void host_guards(bool on)
{
	guards_on = on;
}

unsigned host_guard_count(void)
{
	return guard_count;
}

/* ---- Reports ---- */

static pthread_mutex_t report_lock = PTHREAD_MUTEX_INITIALIZER;
static struct slate_report last_report;
static enum slate_crime expected_crime;
static unsigned expected_count; /* still to come */
static unsigned seen_count;
static bool fatal_armed;

sigjmp_buf host_fatal_jump;

static void print_report(const char *what, const struct slate_report *report)
{
	char text[512];

	slate_report_format(text, sizeof(text), report);
	fprintf(stderr, "%s: %s\n", what, text);
}

static char *capture;
static size_t capture_bytes;

static void capture_line(const char *text, void *arg)
{
	size_t used = strlen(capture);

	(void)arg;
	snprintf(capture + used, capture_bytes - used, "%s\n", text);
}

void host_capture(char *buf, size_t size_bytes)
{
	capture = buf;
	capture_bytes = size_bytes;
}

void port_panic(const struct slate_report *report)
{
	if (capture) {
		struct slate_evidence evidence;

		slate_evidence(report, &evidence);
		slate_evidence_print(report, &evidence, capture_line, NULL);
		return;
	}
	pthread_mutex_lock(&report_lock);
	last_report = *report;
	seen_count++;
	if (expected_count && report->crime == expected_crime) {
		expected_count--;
		pthread_mutex_unlock(&report_lock);
		if (fatal_armed) {
			fatal_armed = false;
			siglongjmp(host_fatal_jump, 1);
		}
		return;
	}
	expected_count = 0;
	fatal_armed = false;
	pthread_mutex_unlock(&report_lock);
	print_report("unexpected report", report);
	end_test(__FILE__, __LINE__);
}

void port_log(const char *line)
{
	if (getenv("HOST_VERBOSE"))
		fprintf(stderr, "%s\n", line);
}

void expect_reports(enum slate_crime crime, unsigned n)
{
	expected_crime = crime;
	expected_count = n;
	seen_count = 0;
}

void expect_report(enum slate_crime crime)
{
	expect_reports(crime, 1);
}

const struct slate_report *host_reported(const char *file, int line)
{
	unsigned missing = expected_count;

	expected_count = 0;
	if (missing)
		host_fail(file, line, "%u reports of %s did not come", missing,
			  slate_crime_name(expected_crime));
	return &last_report;
}

unsigned reports_seen(void)
{
	return seen_count;
}

void host_fatal_arm(enum slate_crime crime)
{
	expect_report(crime);
	fatal_armed = true;
}

void host_fatal_missed(void)
{
	fatal_armed = false;
	reported();
	host_fail(__FILE__, __LINE__, "the operation went on");
}

/* ---- Start and end ---- */

void host_reset(void)
{
	unsigned missing = expected_count;

	expected_count = 0;
	seen_count = 0;
	fatal_armed = false;
	ipi_disabled = false;
	guards_on = false;
	guard_count = 0;
	irq_off = false;
	irq_hook = NULL;
	this_cpu = 0;
	memset(&last_report, 0, sizeof(last_report));
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		mailboxes[cpu].attached = false;
		mailboxes[cpu].pending = false;
	}
#if SLATE_DEBUG
	witness_enable(&host_witnesses && host_witnesses);
#endif
	mm_reset();
	mm_lock_reset();
	mm_debug_reset();
	forget_memory();
	if (missing)
		host_fail(__FILE__, __LINE__, "the last test expected %u more reports of %s",
			  missing, slate_crime_name(expected_crime));
}

void host_cpu_online(unsigned cpu)
{
	unsigned long irq_state;

	this_cpu = cpu;
	irq_state = port_irq_save();
	if (slate_cpu_online() != SLATE_OK)
		host_fail(__FILE__, __LINE__, "slate_cpu_online failed on CPU %u", cpu);
	port_irq_restore(irq_state);
}

size_t host_boot_map(struct slate_memmap *map)
{
	struct slate_init_params params = {.map = map, .direct_map_offset = host_offset()};
	struct slate_stats stats;
	int status;

	host_reset();
	slate_memmap_build(map, NULL, NULL);
	for (size_t i = 0; i < map->count; i++)
		if (map->ranges[i].type == SLATE_RANGE_USABLE)
			host_memory(map->ranges[i].base, map->ranges[i].size_bytes);
	irq_off = true;
	status = slate_init(&params);
	irq_off = false;
	if (status != SLATE_OK)
		host_fail(__FILE__, __LINE__, "slate_init: %d", status);
	host_cpu_online(0);
	slate_stats(&stats);
	return stats.free_pages;
}

size_t host_boot(uint64_t paddr, uint64_t size_bytes)
{
	struct slate_range ranges[4];
	struct slate_memmap map = {.ranges = ranges, .capacity = 4};

	slate_memmap_add(&map, paddr, size_bytes, SLATE_RANGE_USABLE, "test");
	return host_boot_map(&map);
}
