/* SPDX-License-Identifier: MIT */
/*
 * console.c - printing under one lock, so that lines of several CPUs do not mix.
 *
 * The lock is a plain spinlock with interrupts off and has no rank: the console never calls the
 * allocator, and the allocator never prints while it holds a lock of its own.
 */
#include "kernel/console.h"

#include <stdarg.h>
#include <stdatomic.h>

#include "arch/arch.h"
#include "lib/printf.h"
#include "lib/spinlock.h"

static struct spinlock console_lock = SPINLOCK_INIT;
static atomic_bool console_busted; /* relaxed: a late reader merely waits for the lock once more */

void console_bust(void)
{
	atomic_store_explicit(&console_busted, true, memory_order_relaxed);
}

void console_write(const char *text, size_t len)
{
	unsigned long state = arch_irq_save();
	bool locked = !atomic_load_explicit(&console_busted, memory_order_relaxed);

	if (locked)
		spinlock_acquire(&console_lock);
	for (size_t i = 0; i < len; i++)
		arch_putc(text[i]);
	if (locked)
		spinlock_release(&console_lock);
	arch_irq_restore(state);
}

void kprintf(const char *fmt, ...)
{
	char buf[CONSOLE_CALL_MAX];
	va_list args;
	int len;

	va_start(args, fmt);
	len = fmt_vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	if (len < 0)
		return;
	console_write(buf, (size_t)len < sizeof(buf) ? (size_t)len : sizeof(buf) - 1);
}
