/* SPDX-License-Identifier: MIT */
/*
 * balloon.c - port_page_discard() by free page reporting of the virtio balloon (virtio 1.2,
 * 5.5.6.7): a buffer is the free memory itself, and when the device hands it back, its contents
 * are gone. The pages may read as zero then, or as before: the device promises neither.
 *
 * Shortcoming: a device that does not answer for seconds is reset and not asked again.
 */
#include "kernel/balloon.h"

#include <slate/port.h>
#include <slate/slate.h>

#include "kernel/console.h"
#include "kernel/virtio.h"

#define FEATURE_REPORTING ((uint64_t)1 << 5)

/* Behind inflate, deflate and statistics, which we leave alone. */
#define QUEUE_REPORTING 3

/* Background: this share of all memory stays, so much goes at a poll (1 MiB). */
#define RETAIN_SHIFT   2
#define PAGES_PER_POLL 256

static struct virtio_device device;
static struct virtio_queue reporting;
static bool works;

void balloon_init(void)
{
	if (!virtio_find(&device, VIRTIO_ID_BALLOON))
		return;
	works = virtio_begin(&device, FEATURE_REPORTING) &&
		virtio_queue_set(&device, &reporting, QUEUE_REPORTING);
	if (!works) {
		kprintf("The balloon takes no free pages.\n");
		return;
	}
	virtio_ready(&device);
	balloon_pace();
}

void balloon_pace(void)
{
	struct slate_stats stats;

	slate_stats(&stats);
	slate_scavenge_pace(stats.total_pages >> RETAIN_SHIFT, PAGES_PER_POLL);
}

bool balloon_present(void)
{
	return works;
}

/* One call at a time, by its contract. */
enum slate_discard port_page_discard(pfn_t pfn, size_t n)
{
	if (!works)
		return SLATE_DISCARD_REFUSED;
	works = virtio_send(&device, &reporting, pfn_to_paddr(pfn).v,
			    (uint32_t)(n << SLATE_PAGE_SHIFT));
	return works ? SLATE_DISCARD_UNKNOWN : SLATE_DISCARD_REFUSED;
}
