/* SPDX-License-Identifier: MIT */
/* written.c - port.h's hooks for memory that is written while a mark is under way. */
#include "kernel/written.h"

#include <slate/port.h>

#include "arch/arch.h"
#include "kernel/stop.h"

enum written_mode written_mode;
bool written_works;

bool port_written_begin(void)
{
	written_works = false;
	if (written_mode == WRITTEN_REFUSED)
		return false;
	stop_forget_translations();
	written_works = arch_written_begin();
	return written_works;
}

bool port_written_next(uintptr_t low, uintptr_t high, struct slate_written *written)
{
	if (written_mode == WRITTEN_HIDDEN || !arch_written_next(low, high, written))
		return false;
	stop_forget_translations();
	return true;
}
