/* SPDX-License-Identifier: MIT */
/*
 * sched.c - simulated CPUs as coroutines: turns, interrupts, points, checkpoints.
 *
 * A coroutine is entered by makecontext() once; from then on the turn passes by _setjmp() and
 * _longjmp(), which leave the signal mask alone and so cost some ten nanoseconds. Each schedule
 * begins by jumping back to where its function began, whatever the last one left on the stack.
 */
#include "test-host/schedule/sched_cpu.h"

#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "test-host/schedule/checkpoint.h"
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

struct cpu sched_cpus[SCHED_CPUS];
struct sched sched = {.current = &sched_cpus[0]};

static jmp_buf creator;
static unsigned preemptions;
static unsigned idle_turns;

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
		return cpu->seen_steps != sched.steps;
	default:
		return false;
	}
}

static __attribute__((noinline)) void pass_turn(struct cpu *to)
{
	struct cpu *from = sched.current;

	if (from->buffer.count > 0) {
		unsigned variants =
			buffer_variants(&from->buffer, sched.setting->memory == SCHED_WEAK);

		buffer_apply(&from->buffer, explore_choose(variants, EXPLORE_FORCED));
	}
	sched.current = to;
	from->left = __builtin_frame_address(0);
	if (_setjmp(from->here) == 0)
		_longjmp(to->here, 1);
}

/* Others than the current CPU that may run; returns how many. */
static unsigned find_others(struct cpu *others[SCHED_CPUS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < SCHED_CPUS; i++)
		if (&sched_cpus[i] != sched.current && may_run(&sched_cpus[i]))
			others[n++] = &sched_cpus[i];
	return n;
}

/* Everybody waits: who relaxes looks again, and if that leads nowhere it is a deadlock. */
static unsigned find_relaxing(struct cpu *others[SCHED_CPUS])
{
	unsigned n = 0;

	if (++idle_turns > IDLE_TURNS_MAX)
		sched_fail("deadlock: all CPUs wait for each other");
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		if (sched_cpus[i].state == STATE_RELAX)
			others[n++] = &sched_cpus[i];
	if (n == 0)
		sched_fail("deadlock: all CPUs wait for locks");
	return n;
}

static void yield_turn(void)
{
	struct cpu *others[SCHED_CPUS];
	unsigned n = find_others(others);

	if (n == 0 && may_run(sched.current))
		return;
	if (n == 0)
		n = find_relaxing(others);
	struct cpu *to = others[explore_choose(n, EXPLORE_FORCED)];

	if (to != sched.current)
		pass_turn(to);
}

/*
 * For state_of(): from here on the stack is as the caller left it, below its frame the registers
 * that a caller finds unchanged, which __builtin_unwind_init() has the compiler save there.
 */
#define REMEMBER_STACK()                                                                \
	do {                                                                            \
		__builtin_unwind_init();                                                \
		sched.current->low =                                                    \
			(const uint64_t *)__builtin_frame_address(0) - SAVED_REGISTERS; \
	} while (0)

__attribute__((noinline)) void sched_wait(enum state state)
{
	REMEMBER_STACK();
	sched.current->state = state;
	yield_turn();
	sched.current->state = STATE_READY;
}

/* ---- Interrupts ---- */

static void run_interrupt(void)
{
	struct cpu *cpu = sched.current;
	const struct sched_program *program = &sched.setting->program[cpu->number];
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

void sched_run_call(void)
{
	struct cpu *cpu = sched.current;
	const uint64_t *low = cpu->low;

	cpu->irq_off = true;
	cpu->call(cpu->call_arg);
	cpu->irq_off = false;
	cpu->low = low;
	buffer_drain(&cpu->buffer);
	cpu->call = NULL;
	sched.steps++;
}

static void finish(void) __attribute__((noreturn));

static void finish(void)
{
	struct cpu *others[SCHED_CPUS];
	unsigned n;
	bool all = true;

	while (sched.current->call)
		sched_run_call();
	buffer_drain(&sched.current->buffer);
	sched.steps++;
	sched.current->state = STATE_DONE;
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		all = all && sched_cpus[i].state == STATE_DONE;
	if (all)
		_longjmp(sched_ending, 1);
	n = find_others(others);
	if (n == 0)
		n = find_relaxing(others);
	sched.current = others[explore_choose(n, EXPLORE_FORCED)];
	_longjmp(sched.current->here, 1);
}

static bool may_interrupt(const struct cpu *cpu)
{
	if (!cpu->interrupt_due || !cpu->interruptible || cpu->in_nmi)
		return false;
	return !cpu->irq_off || (sched.setting->program[cpu->number].nmi && cpu->locks > 0);
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
				     cpu->marked << 5 | (cpu->seen_steps != sched.steps) << 6 |
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
	uint64_t all = state_mix(state_hash(), sched.setting->hash());

	all = state_mix(all, sched.current->number | sched.marked << 8);
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		all = state_mix(all, cpu_hash(&sched_cpus[i]));
	return all;
}

/* What can happen from a state that is known was tried when the search came to it first. Not
 * inline: the hash must not stay in a frame that a handler's states include. */
static __attribute__((noinline)) void cut_if_known(void)
{
	if (sched.setting->hash && explore_is_new() &&
	    state_is_known(state_of(), preemptions, explore_schedule()))
		_longjmp(sched_ending, 3);
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
		if (sched_cpus[i].state != STATE_DONE)
			checkpoint_keep((char *)(uintptr_t)sched_cpus[i].left - STACK_LAST,
					stack_bytes(&sched_cpus[i]));
}

static bool are_stacks_short(void)
{
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		if (sched_cpus[i].state != STATE_DONE && stack_bytes(&sched_cpus[i]) > STACK_KEPT)
			return false;
	return true;
}

static void keep_all(void)
{
	checkpoint_keep(sched_cpus, sizeof(sched_cpus));
	checkpoint_keep(&sched.current, sizeof(sched.current));
	checkpoint_keep(&preemptions, sizeof(preemptions));
	checkpoint_keep(&sched.steps, sizeof(sched.steps));
	checkpoint_keep(&idle_turns, sizeof(idle_turns));
	checkpoint_keep(&sched.marked, sizeof(sched.marked));
	checkpoint_keep(&sched_points, sizeof(sched_points));
	checkpoint_keep(&sched_trace_hash, sizeof(sched_trace_hash));
	checkpoint_keep(&resumed, sizeof(resumed));
	keep_stacks();
	sched.setting->keep();
}

/* Before a decision that no schedule has taken yet. Returns once more whenever sched_go_on() comes
 * back here. */
static __attribute__((noinline)) void remember(void)
{
	sched.current->left = __builtin_frame_address(0);
	if (!are_stacks_short() || !checkpoint_begin(explore_depth()))
		return;
	/* announced, and perhaps still to come */
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		if (sched_cpus[i].stored_bytes > 0)
			state_note(sched_cpus[i].stored, sched_cpus[i].stored_bytes);
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
	if (sched.setting->hash)
		clear_calls();
}

/* worth: a switch of CPUs makes a difference here. */
static void decide(bool worth)
{
	for (;;) {
		struct cpu *others[SCHED_CPUS];
		bool interrupt = may_interrupt(sched.current);
		unsigned n = worth && preemptions > 0 ? find_others(others) : 0;
		unsigned chosen;

		if (worth || interrupt)
			cut_if_known();
		if (n + interrupt > 0 && explore_is_new())
			remember();
		chosen = explore_choose(1 + n + interrupt, EXPLORE_TURN);
		if (chosen == 0)
			return;
		sched_note_choice(chosen);
		if (chosen <= n) {
			preemptions--;
			pass_turn(others[chosen - 1]);
			return;
		}
		clear_below();
		run_interrupt();
	}
}

__attribute__((noinline)) void sched_point(enum sched_kind kind, const volatile void *place,
					   unsigned size_bytes, enum explore_access access)
{
	bool worth = true;

	if (!sched.active)
		return;
	REMEMBER_STACK();
	if (sched_points >= POINTS_MAX)
		sched_fail("%u points, and no end", sched_points);
	sched_note(kind, place);
	if (sched.current->call && !sched.current->irq_off)
		sched_run_call();
	if (!explore_is_random()) {
		if (kind == SCHED_AT_OP || kind == SCHED_AT_IRQ || kind == SCHED_AT_UNLOCK ||
		    kind == SCHED_AT_RELAX)
			worth = false; /* the next shared place is as good */
		else
			worth = explore_shared(place, size_bytes, sched.current->number, access);
	}
	clear_below();
	decide(worth);
}

void sched_op(const char *name, unsigned argument)
{
	if (!sched.active)
		return;
	if (sched.current->irq_off != sched.current->in_handler)
		sched_fail("an operation has left interrupts %s",
			   sched.current->irq_off ? "disabled" : "enabled");
	sched_name(name);
	sched_point(SCHED_AT_OP, (const void *)(uintptr_t)argument, 0, EXPLORE_READ);
}

void sched_slot(const void *place)
{
	sched_point(SCHED_AT_SLOT, place, 1, EXPLORE_WRITE);
	buffer_drain(&sched.current->buffer);
	sched.steps++;
}

void sched_mark(void)
{
	sched.marked = true;
}

bool sched_marked_before_lock(void)
{
	return sched.current->marked;
}

void sched_interruptible(bool yes)
{
	sched.current->interruptible = yes;
}

/* ---- Coroutines ---- */

static unsigned born;

static void coroutine(void)
{
	sched_cpus[born].high = (const uint64_t *)__builtin_frame_address(0);
	if (_setjmp(sched_cpus[born].base) == 0)
		_longjmp(creator, 1);
	sched.setting->program[sched.current->number].run(sched.current->number);
	/* an interrupt may come after everything */
	sched_op("end", 0);
	finish();
}

void sched_init(void)
{
	for (born = 0; born < SCHED_CPUS; born++) {
		ucontext_t context;

		sched_cpus[born].number = sched_cpus[born].acts_as = born;
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
	const struct sched_program *program = &sched.setting->program[cpu->number];

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
		if (may_run(&sched_cpus[i]))
			ready[n++] = &sched_cpus[i];
	sched.current = ready[explore_choose(n, EXPLORE_FORCED)];
	_longjmp(sched.current->here, 1);
}

static void go_on(void)
{
	checkpoint_return();
	/* as at the start of a schedule */
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		memset((char *)(uintptr_t)sched_cpus[i].left - STACK_LAST - STACK_BELOW, 0,
		       STACK_BELOW);
	_longjmp(resumed, 1);
}

static enum sched_result run(void (*from)(void))
{
	int end = _setjmp(sched_ending);

	if (end == 0) {
		sched.active = true;
		sched.plain_points = sched.setting->plain;
		sched.hashing = sched.setting->hash || !explore_is_random();
		sched.reads_count = sched.plain_points || sched.hashing;
		from();
	}
	sched.active = sched.plain_points = sched.hashing = sched.reads_count = false;
	sched.current = &sched_cpus[0];
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		prepare(&sched_cpus[i]);
	return end == 1 ? SCHED_DONE : end == 3 ? SCHED_CUT : SCHED_FAILED;
}

enum sched_result sched_run(const struct sched_setting *what)
{
	sched.setting = what;
	sched_trace_begin();
	sched.steps = 0;
	sched.marked = false;
	idle_turns = 0;
	preemptions = explore_is_random() ? POINTS_MAX : what->preemptions;
	checkpoint_forget_all();
	explore_begin();
	for (unsigned i = 0; i < SCHED_CPUS; i++)
		prepare(&sched_cpus[i]);
	for (unsigned i = 0; i < SCHED_CPUS && what->hash; i++)
		memset((char *)(uintptr_t)sched_cpus[i].high - STACK_FIRST - STACK_CLEAR, 0,
		       STACK_CLEAR);
	return run(begin);
}

enum sched_result sched_go_on(const struct sched_setting *what)
{
	sched.setting = what;
	return run(go_on);
}
