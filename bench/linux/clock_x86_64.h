/* SPDX-License-Identifier: MIT */
/* clock_x86_64.h - the machine's clock: one step an instruction under -icount shift=0. */
#ifndef BENCH_LINUX_CLOCK_H
#define BENCH_LINUX_CLOCK_H

#include <asm/msr.h>

static inline u64 clock_read(void)
{
	return rdtsc();
}

#endif
