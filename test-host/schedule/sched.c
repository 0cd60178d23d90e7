/* SPDX-License-Identifier: MIT */
/*
 * sched.c - simulated CPUs as coroutines: points, turns, interrupts, locks.
 *
 * A coroutine is entered by makecontext() once; from then on the turn passes by _setjmp() and
 * _longjmp(), which leave the signal mask alone and so cost some ten nanoseconds. Each schedule
 * begins by jumping back to where its function began, whatever the last one left on the stack.
 */
#include "test-host/schedule/sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <slate/port.h>

#include "test-host/schedule/buffer.h"
#include "test-host/schedule/checkpoint.h"
#include "test-host/schedule/explore.h"
#include "test-host/schedule/sched_atomic.h"
#include "test-host/schedule/state.h"

/* the names are the allocator's here */
#undef memset
#undef memcpy
#undef memmove

#define STACK_BYTES (256u << 10)

/* A schedule that takes more points than this goes round in circles. */
#define POINTS_MAX 100000u

/* Turns in which all CPUs only wait for each other. */
#define IDLE_TURNS_MAX 500u

#define TRACE_ENTRIES 8192u

/* rbx and r12 to r15 */
#define SAVED_REGISTERS 5

/* So much of a stack is cleared before a schedule: what lies there must not tell states apart. */
#define STACK_CLEAR 8192u

/* ... and so much of each stack when it goes on at a checkpoint. */
#define STACK_BELOW 1024u

/* The frame of coroutine() itself is no larger. */
#define STACK_FIRST 96u

/* Nor are, below its frame address, those of functions that call _setjmp(). */
#define STACK_LAST 256u

/* So much of a stack is worth a checkpoint. */
#define STACK_KEPT 8192u

enum state {
	STATE_READY,
	STATE_LOCK,  /* until the lock is free */
	STATE_CALL,  /* until another CPU has run the function, or it is asked itself */
	STATE_RELAX, /* until another CPU has done something */
	STATE_DONE,
};

struct cpu {
	jmp_buf here; /* where it goes on */
	jmp_buf base; /* where each schedule begins */
	unsigned number;
	unsigned acts_as; /* number, but while it runs another CPU's function */
	enum state state;
	const struct spinlock *lock; /* waited for */
	struct cpu *callee;          /* waited for */
	unsigned seen_steps;         /* steps when it relaxed */
	bool irq_off;
	bool in_handler;
	bool in_nmi;
	bool interrupt_due;
	bool interruptible;
	unsigned locks;          /* held */
	bool marked;             /* ... and a moment had been marked by then */
	void (*call)(void *arg); /* that another CPU wants to be run here */
	void *call_arg;
	struct event *event; /* its last point */
	const uint64_t *low; /* its stack as it was there: registers, then frames */
	const uint64_t *high;
	const char *left; /* where it gave the turn away: a frame address */
	void *stored;     /* announced by its last plain store */
	size_t stored_bytes;
	struct buffer buffer;
};

static struct cpu cpus[SCHED_CPUS];
static struct cpu *current = &cpus[0];
static jmp_buf creator;
static jmp_buf ending;
static bool active;
static const struct sched_setting *setting;
static bool plain_points; /* setting->plain, in a schedule */
static bool hashing;      /* the memory is hashed, likewise */
static bool reads_count;  /* one of the two */
static unsigned preemptions;
static unsigned steps; /* stores and releases: what a waiting CPU may wait for */
static unsigned idle_turns;
static bool marked;
static char failure[512];

/* ---- Trace ---- */

static const char *const kind_names[SCHED_KINDS] = {"operation", "load",   "store", "rmw",
						    "lock",      "unlock", "irq",   "read",
						    "write",     "relax",  "slot"};

struct event {
	uint8_t cpu;
	uint8_t kind;
	uint8_t chosen;
	bool interrupt; /* inside a handler */
	uintptr_t place;
	const char *name;
};

static struct event trace[TRACE_ENTRIES];
static unsigned points;
static uint64_t hash;
static const char *op_name; /* of the event to come */

static void note(enum sched_kind kind, const volatile void *place)
{
	struct event *event = &trace[points++ % TRACE_ENTRIES];

	*event = (struct event){(uint8_t)current->number, (uint8_t)kind,    0,
				current->in_handler,      (uintptr_t)place, op_name};
	op_name = NULL;
	current->event = event;
	hash = (hash ^ (uintptr_t)place ^ (uint64_t)kind << 56 ^ current->number) * 0x100000001b3u;
}

void sched_print_trace(void)
{
	unsigned first = points > TRACE_ENTRIES ? points - TRACE_ENTRIES : 0;

	for (unsigned i = first; i < points; i++) {
		const struct event *event = &trace[i % TRACE_ENTRIES];

		printf("  %5u cpu %u%s %s", i, event->cpu, event->interrupt ? "!" : "",
		       kind_names[event->kind]);
		if (event->name)
			printf(" %s %zu", event->name, (size_t)event->place);
		else if (event->place)
			printf(" 0x%zx", (size_t)event->place);
		printf(event->chosen ? " -> %u\n" : "\n", event->chosen);
	}
	printf("  %u points, trace %016llx\n", points, (unsigned long long)hash);
}

uint64_t sched_hash(void)
{
	return hash;
}

/* ---- Failing ---- */

const char *sched_failure(void)
{
	return failure;
}

void sched_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(failure, sizeof(failure), format, args);
	va_end(args);
	_longjmp(ending, 2);
}

bool sched_guard(void (*fn)(void))
{
	if (_setjmp(ending) != 0)
		return false;
	fn();
	return true;
}

/* ---- Turns ---- */

static bool may_run(const struct cpu *cpu)
{
	switch (cpu->state) {
	case STATE_READY:
		return true;
	case STATE_LOCK:
		return !cpu->lock->held;
	case STATE_CALL:
		return !cpu->callee->call || cpu->call;
	case STATE_RELAX:
		return cpu->seen_steps != steps;
	default:
		return false;
	}
}

static __attribute__((noinline)) void pass_turn(struct cpu *to)
{
	struct cpu *from = current;

	if (from->buffer.count > 0) {
		unsigned variants = buffer_variants(&from->buffer, setting->memory == SCHED_WEAK);

		buffer_apply(&from->buffer, explore_choose(variants, EXPLORE_FORCED));
	}
	current = to;
	from->left = __builtin_frame_address(0);
	if (_setjmp(from->here) == 0)
		_longjmp(to->here, 1);
}

/* Others than the current CPU that may run; returns how many. */
static unsigned find_others(struct cpu *others[SCHED_CPUS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < SCHED_CPUS; i++)
		if (&cpus[i] != current && may_run(&cpus[i]))
			others[n++] = &cpus[i];
	return n;
}

/* Everybody waits: who relaxes looks again, and if that leads nowhere it is a deadlock. */
static unsigned find_relaxing(struct cpu *others[SCHED_CPUS])
{
	unsigned n = 0;

	if (++idle_turns > IDLE_TURNS_MAX)
		sched_fail("deadlock: all CPUs wait for each other");
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		if (cpus[i].state == STATE_RELAX)
			others[n++] = &cpus[i];
	if (n == 0)
		sched_fail("deadlock: all CPUs wait for locks");
	return n;
}

static void yield_turn(void)
{
	struct cpu *others[SCHED_CPUS];
	unsigned n = find_others(others);

	if (n == 0 && may_run(current))
		return;
	if (n == 0)
		n = find_relaxing(others);
	struct cpu *to = others[explore_choose(n, EXPLORE_FORCED)];

	if (to != current)
		pass_turn(to);
}

/*
 * For state_of(): from here on the stack is as the caller left it, below its frame the registers
 * that a caller finds unchanged, which __builtin_unwind_init() has the compiler save there.
 */
#define REMEMBER_STACK()                                                                       \
	do {                                                                                   \
		__builtin_unwind_init();                                                       \
		current->low = (const uint64_t *)__builtin_frame_address(0) - SAVED_REGISTERS; \
	} while (0)

/* Give the turn away until the state's condition holds. */
static __attribute__((noinline)) void wait(enum state state)
{
	REMEMBER_STACK();
	current->state = state;
	yield_turn();
	current->state = STATE_READY;
}

/* ---- Interrupts ---- */

static void run_interrupt(void)
{
	struct cpu *cpu = current;
	const struct sched_program *program = &setting->program[cpu->number];
	const uint64_t *low = cpu->low;
	bool irq_off = cpu->irq_off;

	cpu->interrupt_due = false;
	cpu->irq_off = true;
	cpu->in_nmi = program->nmi;
	cpu->in_handler = true;
	program->interrupt(cpu->number);
	cpu->in_nmi = false;
	cpu->in_handler = false;
	cpu->irq_off = irq_off;
	cpu->low = low;
}

/* What another CPU has asked for. */
static void run_call(void)
{
	struct cpu *cpu = current;
	const uint64_t *low = cpu->low;

	cpu->irq_off = true;
	cpu->call(cpu->call_arg);
	cpu->irq_off = false;
	cpu->low = low;
	buffer_drain(&cpu->buffer);
	cpu->call = NULL;
	steps++;
}

static void finish(void) __attribute__((noreturn));

static void finish(void)
{
	struct cpu *others[SCHED_CPUS];
	unsigned n;
	bool all = true;

	while (current->call)
		run_call();
	buffer_drain(&current->buffer);
	steps++;
	current->state = STATE_DONE;
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		all = all && cpus[i].state == STATE_DONE;
	if (all)
		_longjmp(ending, 1);
	n = find_others(others);
	if (n == 0)
		n = find_relaxing(others);
	current = others[explore_choose(n, EXPLORE_FORCED)];
	_longjmp(current->here, 1);
}

static bool may_interrupt(const struct cpu *cpu)
{
	if (!cpu->interrupt_due || !cpu->interruptible || cpu->in_nmi)
		return false;
	return !cpu->irq_off || (setting->program[cpu->number].nmi && cpu->locks > 0);
}

/* ---- Points ---- */

static uint64_t cpu_hash(const struct cpu *cpu)
{
	uint64_t sum = (uint64_t)cpu->state;

	if (cpu->state == STATE_DONE)
		return sum;
	for (const uint64_t *word = cpu->low; word < cpu->high; word++)
		sum = state_mix(sum, *word);
	sum = state_mix(sum, cpu->irq_off | cpu->in_handler << 1 | cpu->in_nmi << 2 |
				     cpu->interrupt_due << 3 | cpu->interruptible << 4 |
				     cpu->marked << 5 | (cpu->seen_steps != steps) << 6 |
				     cpu->acts_as << 8 | cpu->locks << 16);
	if (cpu->state == STATE_LOCK)
		sum = state_mix(sum, (uintptr_t)cpu->lock);
	if (cpu->state == STATE_CALL)
		sum = state_mix(sum, (uintptr_t)cpu->callee);
	if (cpu->call)
		sum = state_mix(state_mix(sum, (uintptr_t)cpu->call), (uintptr_t)cpu->call_arg);
	for (unsigned i = 0; i < cpu->buffer.count; i++) {
		const struct held *held = &cpu->buffer.store[i];

		sum = state_mix(sum, (uintptr_t)held->place + ((uint64_t)held->release << 63));
		sum = state_mix(sum, held->value);
	}
	return sum;
}

/* All that decides what can happen from here on, but for the preemptions that are left. */
static uint64_t state_of(void)
{
	uint64_t all = state_mix(state_hash(), setting->hash());

	all = state_mix(all, current->number | marked << 8);
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		all = state_mix(all, cpu_hash(&cpus[i]));
	return all;
}

/* What can happen from a state that is known was tried when the search came to it first. Not
 * inline: the hash must not stay in a frame that a handler's states include. */
static __attribute__((noinline)) void cut_if_known(void)
{
	if (setting->hash && explore_is_new() &&
	    state_is_known(state_of(), preemptions, explore_schedule()))
		_longjmp(ending, 3);
}

/* ---- Checkpoints ---- */

static jmp_buf resumed; /* of the checkpoint that was found */

static size_t stack_bytes(const struct cpu *cpu)
{
	return (size_t)((const char *)cpu->high - cpu->left) + STACK_LAST;
}

/* What a CPU that goes on finds; the frame of the caller included. */
static void keep_stacks(void)
{
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		if (cpus[i].state != STATE_DONE)
			checkpoint_keep((char *)(uintptr_t)cpus[i].left - STACK_LAST,
					stack_bytes(&cpus[i]));
}

static bool are_stacks_short(void)
{
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		if (cpus[i].state != STATE_DONE && stack_bytes(&cpus[i]) > STACK_KEPT)
			return false;
	return true;
}

static void keep_all(void)
{
	checkpoint_keep(cpus, sizeof(cpus));
	checkpoint_keep(&current, sizeof(current));
	checkpoint_keep(&preemptions, sizeof(preemptions));
	checkpoint_keep(&steps, sizeof(steps));
	checkpoint_keep(&idle_turns, sizeof(idle_turns));
	checkpoint_keep(&marked, sizeof(marked));
	checkpoint_keep(&points, sizeof(points));
	checkpoint_keep(&hash, sizeof(hash));
	checkpoint_keep(&resumed, sizeof(resumed));
	keep_stacks();
	setting->keep();
}

/* Before a decision that no schedule has taken yet. Returns once more whenever sched_go_on() comes
 * back here. */
static __attribute__((noinline)) void remember(void)
{
	current->left = __builtin_frame_address(0);
	if (!are_stacks_short() || !checkpoint_begin(explore_depth()))
		return;
	/* announced, and perhaps still to come */
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		if (cpus[i].stored_bytes > 0)
			state_note(cpus[i].stored, cpus[i].stored_bytes);
	if (_setjmp(resumed) == 0)
		keep_all();
}

bool sched_can_go_on(void)
{
	return !explore_is_random() && explore_prefix() > 0 &&
	       checkpoint_find(explore_prefix() - 1);
}

/* What calls that have returned left behind must not tell states apart. */
static __attribute__((noinline)) void clear_calls(void)
{
	char below[STACK_BELOW];

	memset(below, 0, sizeof(below));
	__asm__ volatile("" : : "r"(below) : "memory");
}

static inline void clear_below(void)
{
	if (setting->hash)
		clear_calls();
}

/* worth: a switch of CPUs makes a difference here. */
static void decide(bool worth)
{
	for (;;) {
		struct cpu *others[SCHED_CPUS];
		bool interrupt = may_interrupt(current);
		unsigned n = worth && preemptions > 0 ? find_others(others) : 0;
		unsigned chosen;

		if (worth || interrupt)
			cut_if_known();
		if (n + interrupt > 0 && explore_is_new())
			remember();
		chosen = explore_choose(1 + n + interrupt, EXPLORE_TURN);
		if (chosen == 0)
			return;
		current->event->chosen = (uint8_t)chosen;
		hash = (hash ^ chosen) * 0x100000001b3u;
		if (chosen <= n) {
			preemptions--;
			pass_turn(others[chosen - 1]);
			return;
		}
		clear_below();
		run_interrupt();
	}
}

static __attribute__((noinline)) void point(enum sched_kind kind, const volatile void *place,
					    unsigned size_bytes, enum explore_access access)
{
	bool worth = true;

	if (!active)
		return;
	REMEMBER_STACK();
	if (points >= POINTS_MAX)
		sched_fail("%u points, and no end", points);
	note(kind, place);
	if (current->call && !current->irq_off)
		run_call();
	if (!explore_is_random()) {
		if (kind == SCHED_AT_OP || kind == SCHED_AT_IRQ || kind == SCHED_AT_UNLOCK ||
		    kind == SCHED_AT_RELAX)
			worth = false; /* the next shared place is as good */
		else
			worth = explore_shared(place, size_bytes, current->number, access);
	}
	clear_below();
	decide(worth);
}

void sched_op(const char *name, unsigned argument)
{
	if (!active)
		return;
	if (current->irq_off != current->in_handler)
		sched_fail("an operation has left interrupts %s",
			   current->irq_off ? "disabled" : "enabled");
	op_name = name;
	point(SCHED_AT_OP, (const void *)(uintptr_t)argument, 0, EXPLORE_READ);
}

void sched_slot(const void *place)
{
	point(SCHED_AT_SLOT, place, 1, EXPLORE_WRITE);
	buffer_drain(&current->buffer);
	steps++;
}

void sched_mark(void)
{
	marked = true;
}

bool sched_marked_before_lock(void)
{
	return current->marked;
}

void sched_interruptible(bool yes)
{
	current->interruptible = yes;
}

/* ---- Atomic operations ---- */

static uint64_t value_of(const void *value, unsigned size_bytes)
{
	uint64_t number = 0;

	memcpy(&number, value, size_bytes);
	return number;
}

void sched_load(const volatile void *place, void *value, unsigned size_bytes, memory_order order)
{
	point(SCHED_AT_LOAD, place, size_bytes, EXPLORE_READ);
	if (current->buffer.count == 0) {
		memcpy(value, (const void *)(uintptr_t)place, size_bytes);
		return;
	}
	if (order == memory_order_seq_cst)
		buffer_drain(&current->buffer);
	uint64_t number = buffer_load(&current->buffer, place, size_bytes);

	memcpy(value, &number, size_bytes);
}

/* A store that no other CPU can see yet, or that needs no order, is made at once. */
static bool is_held_back(const volatile void *place, unsigned size_bytes, memory_order order)
{
	if (!active || setting->memory == SCHED_STRONG)
		return false;
	if (order == memory_order_seq_cst) {
		buffer_drain(&current->buffer);
		return false;
	}
	return explore_is_random() ||
	       explore_shared(place, size_bytes, current->number, EXPLORE_WRITE);
}

void sched_store(volatile void *place, const void *value, unsigned size_bytes, memory_order order)
{
	point(SCHED_AT_STORE, place, size_bytes, EXPLORE_WRITE);
	steps++;
	if (is_held_back(place, size_bytes, order)) {
		buffer_store(&current->buffer, place, value_of(value, size_bytes), size_bytes,
			     order != memory_order_relaxed);
		return;
	}
	state_note(place, size_bytes);
	memcpy((void *)(uintptr_t)place, value, size_bytes);
}

/* What a read-modify-write makes visible first. */
static void drain_for_rmw(volatile void *place, unsigned size_bytes, memory_order order)
{
	if (current->buffer.count == 0)
		return;
	if (setting->memory == SCHED_WEAK &&
	    (order == memory_order_relaxed || order == memory_order_acquire))
		buffer_drain_place(&current->buffer, place, size_bytes);
	else
		buffer_drain(&current->buffer);
}

uint64_t sched_rmw(volatile void *place, uint64_t operand, unsigned size_bytes, enum sched_rmw what,
		   memory_order order)
{
	uint64_t old;
	uint64_t new;

	point(SCHED_AT_RMW, place, size_bytes,
	      what <= SCHED_SUB && order == memory_order_relaxed ? EXPLORE_ADD : EXPLORE_WRITE);
	drain_for_rmw(place, size_bytes, order);
	old = value_of((const void *)(uintptr_t)place, size_bytes);
	new = what == SCHED_ADD   ? old + operand
	      : what == SCHED_SUB ? old - operand
	      : what == SCHED_OR  ? old | operand
	      : what == SCHED_AND ? old &operand
				  : operand;
	state_note(place, size_bytes);
	memcpy((void *)(uintptr_t)place, &new, size_bytes);
	steps++;
	return old;
}

bool sched_cas(volatile void *place, void *expected, const void *desired, unsigned size_bytes,
	       memory_order order)
{
	point(SCHED_AT_RMW, place, size_bytes, EXPLORE_WRITE);
	drain_for_rmw(place, size_bytes, order);
	if (memcmp((const void *)(uintptr_t)place, expected, size_bytes) != 0) {
		memcpy(expected, (const void *)(uintptr_t)place, size_bytes);
		return false;
	}
	state_note(place, size_bytes);
	memcpy((void *)(uintptr_t)place, desired, size_bytes);
	steps++;
	return true;
}

/* Coarser than what a release fence promises: all is visible. Loads are never early here. */
void sched_fence(memory_order order)
{
	if (active && order != memory_order_acquire && order != memory_order_relaxed)
		buffer_drain(&current->buffer);
}

/* ---- Locks ---- */

static void lock_taken(struct spinlock *lock)
{
	state_note(lock, sizeof(*lock));
	lock->held = 1;
	current->locks++;
	current->marked = marked;
	steps++;
	if (active)
		buffer_drain(&current->buffer);
}

void sched_lock(struct spinlock *lock)
{
	point(SCHED_AT_LOCK, lock, 1, EXPLORE_WRITE);
	if (lock->held && !active)
		sched_fail("a lock is held that nobody can hold");
	while (lock->held) {
		current->lock = lock;
		wait(STATE_LOCK);
	}
	lock_taken(lock);
}

bool sched_try(struct spinlock *lock)
{
	point(SCHED_AT_LOCK, lock, 1, EXPLORE_WRITE);
	if (lock->held)
		return false;
	lock_taken(lock);
	return true;
}

void sched_unlock(struct spinlock *lock)
{
	point(SCHED_AT_UNLOCK, lock, 1, EXPLORE_WRITE);
	if (!lock->held)
		sched_fail("a lock is released that is not held");
	buffer_drain(&current->buffer);
	state_note(lock, sizeof(*lock));
	lock->held = 0;
	current->locks--;
	steps++;
}

/* ---- Plain accesses, as the compiler's instrumentation for TSan announces them ---- */

/* Under a lock nothing shared can be touched by others, and stacks nowhere: there a plain access is
 * no point. */
static inline void plain(const volatile void *place, unsigned size_bytes, bool write)
{
	if (plain_points && current->locks == 0 && state_is_watched(place))
		point(write ? SCHED_AT_WRITE : SCHED_AT_READ, place, size_bytes,
		      write ? EXPLORE_WRITE : EXPLORE_READ);
}

/* A store that was announced comes after the points of the same statement, in which others may have
 * hashed the memory: it is announced again, where there are hashes. */
static inline void announce(void *place, size_t size_bytes)
{
	current->stored = place;
	current->stored_bytes = size_bytes;
	state_note(place, size_bytes);
}

static inline void read_plain(const void *place, unsigned size_bytes)
{
	/* most are reads of which nothing depends */
	if (!reads_count)
		return;
	plain(place, size_bytes, false);
	if (hashing && current->stored_bytes > 0)
		state_note(current->stored, current->stored_bytes);
}

static inline void write_plain(void *place, unsigned size_bytes)
{
	plain(place, size_bytes, true);
	announce(place, size_bytes);
}

#define PLAIN_SIZE(size)                           \
	void __tsan_read##size(const void *place); \
	void __tsan_write##size(void *place);      \
	void __tsan_read##size(const void *place)  \
	{                                          \
		read_plain(place, size);           \
	}                                          \
	void __tsan_write##size(void *place)       \
	{                                          \
		write_plain(place, size);          \
	}
PLAIN_SIZE(1)
PLAIN_SIZE(2)
PLAIN_SIZE(4)
PLAIN_SIZE(8)
PLAIN_SIZE(16)

void __tsan_read_range(const void *place, size_t size_bytes);
void __tsan_read_range(const void *place, size_t size_bytes)
{
	for (size_t at = 0; at < size_bytes; at += 8)
		read_plain((const char *)place + at, 8);
}

void __tsan_write_range(void *place, size_t size_bytes);
void __tsan_write_range(void *place, size_t size_bytes)
{
	for (size_t at = 0; at < size_bytes; at += 8)
		plain((char *)place + at, 8, true);
	announce(place, size_bytes);
}

void *sched_memset(void *to, int byte, size_t size_bytes)
{
	state_note(to, size_bytes);
	return memset(to, byte, size_bytes);
}

void *sched_memcpy(void *to, const void *from, size_t size_bytes)
{
	state_note(to, size_bytes);
	return memcpy(to, from, size_bytes);
}

void *sched_memmove(void *to, const void *from, size_t size_bytes)
{
	state_note(to, size_bytes);
	return memmove(to, from, size_bytes);
}

void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
	(void)caller;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}
void __tsan_init(void);
void __tsan_init(void)
{
}

/* _Atomic variables that are read by their name alone. */
#define NAMED_LOAD(bits)                                                         \
	uint##bits##_t __tsan_atomic##bits##_load(const void *place, int order); \
	uint##bits##_t __tsan_atomic##bits##_load(const void *place, int order)  \
	{                                                                        \
		uint##bits##_t value;                                            \
                                                                                 \
		sched_load(place, &value, sizeof(value), (memory_order)order);   \
		return value;                                                    \
	}
NAMED_LOAD(8)
NAMED_LOAD(16)
NAMED_LOAD(32)
NAMED_LOAD(64)

/* ---- port.h ---- */

unsigned sched_cpu(void)
{
	return current->number;
}

void sched_cpu_set(unsigned cpu)
{
	current = &cpus[cpu];
}

unsigned port_cpu(void)
{
	return current->acts_as;
}

unsigned long port_irq_save(void)
{
	unsigned long state = current->irq_off;

	current->irq_off = true;
	return state;
}

void port_irq_restore(unsigned long state)
{
	if (!current->irq_off)
		sched_fail("interrupts are restored, but they are enabled");
	current->irq_off = state;
	if (!state)
		point(SCHED_AT_IRQ, NULL, 0, EXPLORE_READ);
}

bool port_irq_enabled(void)
{
	return !current->irq_off;
}

bool port_in_nmi(void)
{
	return current->in_nmi;
}

void port_relax(void)
{
	if (!active)
		return;
	point(SCHED_AT_RELAX, NULL, 0, EXPLORE_READ);
	current->seen_steps = steps;
	wait(STATE_RELAX);
}

/* Nobody plays that CPU any more: this one does. Who does so next sees what it did. */
static void act_as(unsigned number, void (*fn)(void *arg), void *arg)
{
	struct cpu *cpu = current;

	buffer_drain(&cpu->buffer);
	cpu->irq_off = true;
	cpu->acts_as = number;
	fn(arg);
	buffer_drain(&cpu->buffer);
	cpu->acts_as = cpu->number;
	cpu->irq_off = false;
}

/* Until that CPU has run what it was asked to; what this one is asked to, it runs meanwhile. */
static void wait_for(struct cpu *callee)
{
	while (callee->call) {
		current->callee = callee;
		wait(STATE_CALL);
		if (current->call)
			run_call();
	}
}

bool port_run_on_cpu(unsigned number, void (*fn)(void *arg), void *arg)
{
	struct cpu *callee = &cpus[number];

	if (current->irq_off)
		sched_fail("port_run_on_cpu: interrupts are disabled");
	if (current->locks > 0)
		sched_fail("port_run_on_cpu: a lock is held");
	if (!active) {
		act_as(number, fn, arg);
		return true;
	}
	wait_for(callee);
	callee->call = fn;
	if (callee->state == STATE_DONE) {
		act_as(number, fn, arg);
		callee->call = NULL;
		steps++;
		return true;
	}
	buffer_drain(&current->buffer);
	callee->call_arg = arg;
	steps++;
	wait_for(callee);
	return true;
}

/* ---- Coroutines ---- */

static unsigned born;

static void coroutine(void)
{
	cpus[born].high = (const uint64_t *)__builtin_frame_address(0);
	if (_setjmp(cpus[born].base) == 0)
		_longjmp(creator, 1);
	setting->program[current->number].run(current->number);
	/* an interrupt may come after everything */
	sched_op("end", 0);
	finish();
}

void sched_init(void)
{
	for (born = 0; born < SCHED_CPUS; born++) {
		ucontext_t context;

		cpus[born].number = cpus[born].acts_as = born;
		getcontext(&context);
		context.uc_stack.ss_sp = malloc(STACK_BYTES);
		context.uc_stack.ss_size = STACK_BYTES;
		context.uc_link = NULL;
		makecontext(&context, coroutine, 0);
		if (_setjmp(creator) == 0)
			setcontext(&context);
	}
}

static void prepare(struct cpu *cpu)
{
	const struct sched_program *program = &setting->program[cpu->number];

	memcpy(cpu->here, cpu->base, sizeof(cpu->here));
	cpu->acts_as = cpu->number;
	cpu->state = program->run ? STATE_READY : STATE_DONE;
	cpu->irq_off = false;
	cpu->in_nmi = false;
	cpu->in_handler = false;
	cpu->interrupt_due = program->interrupt != NULL;
	cpu->interruptible = true;
	cpu->locks = 0;
	cpu->marked = false;
	cpu->low = cpu->high;
	cpu->left = (const char *)cpu->high - STACK_FIRST;
	cpu->stored_bytes = 0;
	cpu->call = NULL;
	cpu->buffer.count = 0;
}

/* Whose turn it is first. */
static void begin(void)
{
	struct cpu *ready[SCHED_CPUS];
	unsigned n = 0;

	for (unsigned i = 0; i < SCHED_CPUS; i++)
		if (may_run(&cpus[i]))
			ready[n++] = &cpus[i];
	current = ready[explore_choose(n, EXPLORE_FORCED)];
	_longjmp(current->here, 1);
}

static void go_on(void)
{
	checkpoint_return();
	/* as at the start of a schedule */
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		memset((char *)(uintptr_t)cpus[i].left - STACK_LAST - STACK_BELOW, 0, STACK_BELOW);
	_longjmp(resumed, 1);
}

static enum sched_result run(void (*from)(void))
{
	int end = _setjmp(ending);

	if (end == 0) {
		active = true;
		plain_points = setting->plain;
		hashing = setting->hash || !explore_is_random();
		reads_count = plain_points || hashing;
		from();
	}
	active = plain_points = hashing = reads_count = false;
	current = &cpus[0];
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		prepare(&cpus[i]);
	return end == 1 ? SCHED_DONE : end == 3 ? SCHED_CUT : SCHED_FAILED;
}

enum sched_result sched_run(const struct sched_setting *what)
{
	setting = what;
	points = 0;
	hash = 0xcbf29ce484222325u;
	steps = 0;
	marked = false;
	idle_turns = 0;
	preemptions = explore_is_random() ? POINTS_MAX : what->preemptions;
	checkpoint_forget_all();
	explore_begin();
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		prepare(&cpus[i]);
	for (unsigned i = 0; i < SCHED_CPUS && what->hash; i++)
		memset((char *)(uintptr_t)cpus[i].high - STACK_FIRST - STACK_CLEAR, 0, STACK_CLEAR);
	return run(begin);
}

enum sched_result sched_go_on(const struct sched_setting *what)
{
	setting = what;
	return run(go_on);
}
