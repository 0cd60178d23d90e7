/* SPDX-License-Identifier: MIT */
/*
 * kernel.c - somebody else's kernel, as small as it can be: a memory map, a port, and the four mem
 * functions; the rest is libslate.a's. <arch>.h and <arch>.S hold what the machine wants.
 */
#include <slate/kmalloc.h>
#include <slate/port.h>

#include MACHINE_HEADER

#define OBJECTS 1000

extern char image_start[], image_end[]; /* link.ld */

void *memset(void *to, int byte, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((char *)to)[i] = (char)byte;
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	for (size_t i = 0; i < n && to < from; i++)
		((char *)to)[i] = ((const char *)from)[i];
	while (n-- > 0 && to > from)
		((char *)to)[n] = ((const char *)from)[n];
	return to;
}

void *memcpy(void *to, const void *from, size_t n) __attribute__((alias("memmove")));

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	while (n > 0 && *x == *y)
		n--, x++, y++;
	return n > 0 ? *x - *y : 0;
}

static void put(const char *text)
{
	while (*text)
		machine_putc(*text++);
}

static void put_number(const char *text, uintptr_t value, unsigned base)
{
	char digits[24] = "", *digit = digits + sizeof(digits) - 1;

	put(text);
	do {
		*--digit = "0123456789abcdef"[value % base];
	} while ((value /= base) != 0);
	put(digit);
}

static void check(bool good, const char *what)
{
	if (good)
		return;
	put(what);
	put(": FAILED\n");
	machine_exit(1);
}

/* ---- The port: the four hooks that have no default ---- */

unsigned long port_irq_save(void)
{
	unsigned long state;

	__asm__ volatile(MACHINE_IRQ_SAVE : "=r"(state) : : "memory");
	return state;
}

void port_irq_restore(unsigned long state)
{
	__asm__ volatile(MACHINE_IRQ_RESTORE : : "r"(state) : "memory", "cc");
}

unsigned port_cpu(void)
{
	return 0;
}

void port_panic(const struct slate_report *report)
{
	char line[200];

	slate_report_format(line, sizeof(line), report);
	check(false, line);
}

/* ---- The kernel ---- */

/* Prints a line, returns the frames that are free or could be: the same before and after. */
static size_t show(const char *when)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	put_number(when, stats.objects, 10);
	put_number(" objects of ", stats.object_bytes, 10);
	put_number(" bytes; of ", stats.total_pages, 10);
	put_number(" frames ", stats.free_pages, 10);
	put_number(" free, ", stats.metadata_pages, 10);
	put(" metadata\n");
	return stats.free_pages + stats.metadata_pages;
}

void kernel_main(void)
{
	static unsigned *objects[OBJECTS];
	struct slate_memmap map = {.ranges = (struct slate_range[64]){{0}}, .capacity = 64};

	machine_memory(&map);
	slate_memmap_add(&map, (uintptr_t)image_start - MACHINE_OFFSET,
			 (uintptr_t)(image_end - image_start), SLATE_RANGE_KERNEL, "kernel");
	slate_memmap_build(&map, NULL, NULL);
	check(!slate_init(&(struct slate_init_params){&map, MACHINE_OFFSET, MACHINE_MAPPED}),
	      "init");
	check(!slate_cpu_online(), "CPU 0");
	size_t before = show("at first: ");
	pfn_t frame = alloc_page(), run = alloc_pages(8);

	check(!pfn_is_none(frame) && !pfn_is_none(run), "frames");
	put_number("a frame at 0x", (uintptr_t)pfn_to_paddr(frame).v, 16);
	put_number(", 8 frames at 0x", (uintptr_t)pfn_to_paddr(run).v, 16);
	for (unsigned i = 0; i < OBJECTS; i++) {
		objects[i] = kzalloc(8 + i * 4);
		check(objects[i] && *objects[i] == 0, "an object of zeroes");
		*objects[i] = i;
	}
	objects[7] = krealloc(objects[7], 100000);
	check(objects[7] && ksize(objects[7]) >= 100000, "realloc");
	put_number("\nobject 7, made 100000 bytes long, at 0x", (uintptr_t)objects[7], 16);
	show("\nin use: ");
	for (unsigned i = 0; i < OBJECTS; i++) {
		check(*objects[i] == i, "an object's contents");
		kfree(objects[i]);
	}
	free_pages(run, 8);
	free_page(frame);
	check(show("all freed: ") == before, "not every frame came back");
	put("passed\n");
	machine_exit(0);
}
