/* SPDX-License-Identifier: MIT */
/* discard.h - the small machine with an owner to whom frames can be given: what he got, in which
 * order. */
#ifndef TEST_DISCARD_H
#define TEST_DISCARD_H

#include "test-host/unit.h"

#include <slate/port.h>

#define CHUNK     ((size_t)512)
#define MAX_CALLS 20000

static struct {
	pfn_t pfn[MAX_CALLS];
	size_t n[MAX_CALLS];
	size_t calls;
	size_t pages;
	size_t refuse_at; /* the call of that number, 0: none */
	bool zero;
	void (*inside)(pfn_t pfn, size_t n);
} device;

enum slate_discard port_page_discard(pfn_t pfn, size_t n)
{
	assert_true(device.calls < MAX_CALLS);
	device.pfn[device.calls] = pfn;
	device.n[device.calls] = n;
	if (++device.calls == device.refuse_at)
		return SLATE_DISCARD_REFUSED;
	device.pages += n;
	if (device.inside)
		device.inside(pfn, n);
	memset(host_virt(pfn_to_paddr(pfn).v), device.zero ? 0 : 0xdd, n * SLATE_PAGE_SIZE);
	return device.zero ? SLATE_DISCARD_ZEROED : SLATE_DISCARD_UNKNOWN;
}

static inline int set_up(void **state)
{
	memset(&device, 0, sizeof(device));
	return set_up_small(state);
}

#define DEVICE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static inline struct slate_stats figures(void)
{
	struct slate_stats s;

	slate_flush();
	slate_stats(&s);
	assert_int_equal(s.total_pages, s.free_pages + s.cached_pages + s.object_pages +
						s.manual_pages + s.metadata_pages +
						s.reserved_pages + s.released_pages +
						s.stack_pages);
	return s;
}

static inline void polls(unsigned n)
{
	while (n-- > 0)
		slate_poll();
}

#endif
