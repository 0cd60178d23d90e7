/* SPDX-License-Identifier: MIT */
/*
 * stop.c - all other CPUs stand still, each in the handler of an interrupt, with its registers on
 * its stack. They acknowledge, wait, and go on together.
 *
 *   asked --each CPU, by interrupt--> counted in `standing` --caller, done--> asked is false
 */
#include "kernel/stop.h"

#include <stdatomic.h>

#include <slate/port.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/smp.h"
#include "lib/spinlock.h"

/* As for a letter to one CPU (ipi.c): this only ends what hangs. */
#define STOP_TIMEOUT_MS 60000

static struct {
	struct spinlock lock; /* who stops the others */
	_Atomic bool asked;
	_Atomic unsigned standing;
	/* [cpu]: written before it counts as standing. On the caller's stack, below what is
	 * scanned: bounds of stacks are addresses of what lies beside them, too. */
	struct slate_live *live;
	bool forget; /* written by the caller before asked becomes false, while all stand */
} stop = {.lock = SPINLOCK_INIT};

void (*stop_then)(void);
uint64_t stop_longest;
size_t stop_count;

/*
 * The stack from low on, its registers in it. Stacks that are none of the allocator's lie in the
 * kernel's image, which is a root.
 */
static struct slate_live live_from(const void *low)
{
	struct slate_live live = {.low = (uintptr_t)low};
	struct slate_stack_info info;

	live.high = live.low;
	if (slate_stack_find((void *)live.low, &info))
		live.high = (uintptr_t)info.stack + info.size_bytes;
	return live;
}

void stop_if_asked(void)
{
	/* acquire: pairs with the release of whoever asks */
	if (!atomic_load_explicit(&stop.asked, memory_order_acquire))
		return;
	/* of the code that was interrupted, not of what handles the interrupt: gaps in its frames
	 * hold old words */
	stop.live[arch_cpu()] = live_from(arch_interrupted_frame());
	/* release: the entry above is visible; pairs with the acquire in all_stand() */
	atomic_fetch_add_explicit(&stop.standing, 1, memory_order_release);
	/* acquire: what the caller changed meanwhile is visible; pairs with the release in let_go()
	 */
	while (atomic_load_explicit(&stop.asked, memory_order_acquire))
		arch_relax();
	if (stop.forget && !arch_page_forget_is_shared)
		arch_forget_all();
	atomic_fetch_sub_explicit(&stop.standing, 1, memory_order_release);
}

static bool all_stand(unsigned self)
{
	uint64_t deadline = smp_millis() + STOP_TIMEOUT_MS;

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (cpu != self && smp_is_online(cpu))
			arch_ipi_send(cpu);
	}
	/* acquire: pairs with the release in stop_if_asked() */
	while (atomic_load_explicit(&stop.standing, memory_order_acquire) + 1 < smp_count()) {
		if (smp_millis() > deadline)
			return false;
		arch_relax();
	}
	return true;
}

/* Until the last one has gone on, a next stop would count it twice. */
static void let_go(void)
{
	atomic_store_explicit(&stop.asked, false, memory_order_release);
	while (atomic_load_explicit(&stop.standing, memory_order_acquire) > 0)
		arch_relax();
}

void stop_forget_translations(void)
{
	stop.forget = true;
}

static void note(uint64_t ticks)
{
	stop_count++;
	if (ticks > stop_longest)
		stop_longest = ticks;
}

__attribute__((noinline)) bool
port_stop_cpus(void (*fn)(const struct slate_live *live, size_t count, void *arg), void *arg)
{
	struct slate_live live[SLATE_MAX_CPUS];
	unsigned long irq;
	unsigned self;
	uint64_t begin;
	bool stand;

	/* two who stop at once: the second is stopped here, with interrupts enabled */
	spinlock_acquire(&stop.lock);
	irq = arch_irq_save();
	begin = arch_instructions();
	self = arch_cpu();
	stop.forget = false;
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++)
		live[cpu] = (struct slate_live){0, 0};
	stop.live = live;
	atomic_store_explicit(&stop.asked, true, memory_order_release);
	stand = all_stand(self);
	if (stand) {
		/* the registers that calls preserve are saved in this frame */
		__builtin_unwind_init();
		live[self] = live_from(__builtin_frame_address(0));
		fn(live, SLATE_MAX_CPUS, arg);
	}
	if (stop.forget)
		arch_forget_all();
	let_go();
	note(arch_instructions() - begin);
	arch_irq_restore(irq);
	spinlock_release(&stop.lock);
	if (stop_then)
		stop_then();
	return stand;
}
