/* SPDX-License-Identifier: MIT */
/* clock_aarch64.h - the machine's clock: one step an instruction under -icount shift=0, when it is
 * told to run at 1 GHz. */
#ifndef BENCH_LINUX_CLOCK_H
#define BENCH_LINUX_CLOCK_H

#include <asm/sysreg.h>

static inline u64 clock_read(void)
{
	return read_sysreg(cntvct_el0);
}

#endif
