/* SPDX-License-Identifier: MIT */
/*
 * ipi.c - one mailbox a CPU. A caller takes the mailbox's lock, posts, interrupts the CPU and waits
 * for the acknowledge. It waits with interrupts enabled, so that it answers others meanwhile.
 *
 *   EMPTY --caller--> POSTED --target--> TAKEN --target--> DONE --caller--> EMPTY
 *                       `------- caller, too long unanswered: EMPTY
 */
#include "kernel/ipi.h"

#include <stdatomic.h>

#include <slate/config.h>

#include "arch/arch.h"
#include "kernel/smp.h"
#include "kernel/stop.h"
#include "lib/spinlock.h"

/* A CPU of a virtual machine may get no time at all for seconds; this only ends what hangs. */
#define IPI_TIMEOUT_MS 60000

enum mailbox_state { MAILBOX_EMPTY, MAILBOX_POSTED, MAILBOX_TAKEN, MAILBOX_DONE };

struct mailbox {
	_Alignas(64) struct spinlock lock; /* callers, one at a time */
	_Atomic unsigned state;
	void (*fn)(void *arg); /* written before POSTED, read after TAKEN */
	void *arg;
	_Atomic unsigned long handled; /* (p) written by the target */
};

static struct mailbox mailboxes[SLATE_MAX_CPUS];

/* The target is gone quiet: take the letter back, unless it is being read at this moment. */
static bool mailbox_withdraw(struct mailbox *box)
{
	unsigned expected = MAILBOX_POSTED;

	/* relaxed: nothing was handed over */
	return atomic_compare_exchange_strong_explicit(&box->state, &expected, MAILBOX_EMPTY,
						       memory_order_relaxed, memory_order_relaxed);
}

static bool mailbox_wait(struct mailbox *box)
{
	uint64_t deadline = smp_millis() + IPI_TIMEOUT_MS;

	/* acquire: what fn wrote is visible here; pairs with the release in kernel_ipi() */
	while (atomic_load_explicit(&box->state, memory_order_acquire) != MAILBOX_DONE) {
		if (smp_millis() > deadline && mailbox_withdraw(box))
			return false;
		arch_relax();
	}
	atomic_store_explicit(&box->state, MAILBOX_EMPTY, memory_order_relaxed);
	return true;
}

bool ipi_call(unsigned cpu, void (*fn)(void *arg), void *arg)
{
	unsigned long state = arch_irq_save();
	struct mailbox *box;
	bool done;

	if (cpu == arch_cpu()) {
		fn(arg);
		arch_irq_restore(state);
		return true;
	}
	arch_irq_restore(state);
	if (!smp_is_online(cpu))
		return false;
	box = &mailboxes[cpu];
	spinlock_acquire(&box->lock);
	box->fn = fn;
	box->arg = arg;
	/* release: fn and arg are visible to the target; pairs with the acquire in kernel_ipi() */
	atomic_store_explicit(&box->state, MAILBOX_POSTED, memory_order_release);
	arch_ipi_send(cpu);
	done = mailbox_wait(box);
	box->arg = NULL; /* or the leak scan finds it here */
	spinlock_release(&box->lock);
	return done;
}

void kernel_ipi(void)
{
	struct mailbox *box = &mailboxes[arch_cpu()];
	unsigned expected = MAILBOX_POSTED;

	stop_if_asked();
	atomic_fetch_add_explicit(&box->handled, 1, memory_order_relaxed);
	/* acquire: pairs with the release in ipi_call(). Nothing posted: only meant to wake us. */
	if (!atomic_compare_exchange_strong_explicit(&box->state, &expected, MAILBOX_TAKEN,
						     memory_order_acquire, memory_order_relaxed))
		return;
	box->fn(box->arg);
	/* release: pairs with the acquire in mailbox_wait() */
	atomic_store_explicit(&box->state, MAILBOX_DONE, memory_order_release);
}

unsigned long ipi_count(unsigned cpu)
{
	return atomic_load_explicit(&mailboxes[cpu].handled, memory_order_relaxed);
}
