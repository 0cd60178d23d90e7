/* SPDX-License-Identifier: MIT */
/* directmap.c (level 0) - the offset of the direct map, and its public face. */
#include "mm/directmap.h"

#include <slate/slate.h>

uintptr_t directmap_offset;
pfn_t directmap_end;

void *slate_virt(paddr_t pa)
{
	return (void *)((uintptr_t)pa.v + directmap_offset);
}

paddr_t slate_phys(const void *va)
{
	return (paddr_t){(uintptr_t)va - directmap_offset};
}
