/* SPDX-License-Identifier: MIT */
/* smp.h - what booting must set aside for the other CPUs. */
#ifndef ARCH_X86_64_SMP_H
#define ARCH_X86_64_SMP_H

/*
 * Once on the boot CPU, when boot_info.cpus and the map are complete: take the trampoline page and
 * the CPUs' own areas out of the map. Needs the direct map. CPUs for which there is no room are
 * never started.
 */
void smp_setup(void);

#endif
