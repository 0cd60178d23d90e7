/* SPDX-License-Identifier: MIT */
/* sched_port.c - port.h, by simulated CPUs. */
#include <slate/port.h>

#include "test-host/schedule/sched_cpu.h"

unsigned sched_cpu(void)
{
	return sched.current->number;
}

void sched_cpu_set(unsigned cpu)
{
	sched.current = &sched_cpus[cpu];
}

unsigned port_cpu(void)
{
	return sched.current->acts_as;
}

unsigned long port_irq_save(void)
{
	unsigned long state = sched.current->irq_off;

	sched.current->irq_off = true;
	return state;
}

void port_irq_restore(unsigned long state)
{
	if (!sched.current->irq_off)
		sched_fail("interrupts are restored, but they are enabled");
	sched.current->irq_off = state;
	if (!state)
		sched_point(SCHED_AT_IRQ, NULL, 0, EXPLORE_READ);
}

bool port_irq_enabled(void)
{
	return !sched.current->irq_off;
}

bool port_in_nmi(void)
{
	return sched.current->in_nmi;
}

void port_relax(void)
{
	if (!sched.active)
		return;
	sched_point(SCHED_AT_RELAX, NULL, 0, EXPLORE_READ);
	sched.current->seen_steps = sched.steps;
	sched_wait(STATE_RELAX);
}

/* Nobody plays that CPU any more: this one does. Who does so next sees what it did. */
static void act_as(unsigned number, void (*fn)(void *arg), void *arg)
{
	struct cpu *cpu = sched.current;

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
		sched.current->callee = callee;
		sched_wait(STATE_CALL);
		if (sched.current->call)
			sched_run_call();
	}
}

bool port_run_on_cpu(unsigned number, void (*fn)(void *arg), void *arg)
{
	struct cpu *callee = &sched_cpus[number];

	if (sched.current->irq_off)
		sched_fail("port_run_on_cpu: interrupts are disabled");
	if (sched.current->locks > 0)
		sched_fail("port_run_on_cpu: a lock is held");
	if (!sched.active) {
		act_as(number, fn, arg);
		return true;
	}
	wait_for(callee);
	callee->call = fn;
	if (callee->state == STATE_DONE) {
		act_as(number, fn, arg);
		callee->call = NULL;
		sched.steps++;
		return true;
	}
	buffer_drain(&sched.current->buffer);
	callee->call_arg = arg;
	sched.steps++;
	wait_for(callee);
	return true;
}
