/* SPDX-License-Identifier: MIT */
/* checkpoint.c - moments of a schedule to go back to. */
#include "test-host/schedule/checkpoint.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "test-host/schedule/explore.h"
#include "test-host/schedule/state.h"

#define CHECKPOINTS_MAX 512u
#define COPIES_MAX      20u
#define ROOM_BYTES      (16u << 20)
#define ROOM_EACH       (64u << 10) /* no checkpoint is larger */

struct copy {
	void *start;
	size_t size_bytes;
	size_t at; /* in the room */
};

static struct checkpoint {
	unsigned decision;
	struct state_mark memory;
	size_t places; /* explore_mark() */
	unsigned copies;
	struct copy copy[COPIES_MAX];
	size_t end; /* in the room */
} checkpoints[CHECKPOINTS_MAX];
static unsigned count;
static char room[ROOM_BYTES];

static struct checkpoint *newest(void)
{
	return &checkpoints[count - 1];
}

bool checkpoint_begin(unsigned decision)
{
	size_t at = count > 0 ? newest()->end : 0;

	if (count == CHECKPOINTS_MAX || at + ROOM_EACH > ROOM_BYTES)
		return false;
	count++;
	newest()->decision = decision;
	newest()->memory = state_mark();
	newest()->places = explore_mark();
	newest()->copies = 0;
	newest()->end = at;
	return true;
}

void checkpoint_keep(void *start, size_t size_bytes)
{
	struct checkpoint *checkpoint = newest();

	if (checkpoint->copies == COPIES_MAX || checkpoint->end + size_bytes > ROOM_BYTES)
		abort();
	checkpoint->copy[checkpoint->copies++] = (struct copy){start, size_bytes, checkpoint->end};
	memcpy(room + checkpoint->end, start, size_bytes);
	checkpoint->end += size_bytes;
}

bool checkpoint_find(unsigned last)
{
	while (count > 0 && newest()->decision > last)
		count--;
	return count > 0;
}

void checkpoint_return(void)
{
	const struct checkpoint *checkpoint = newest();

	state_return(checkpoint->memory);
	explore_return(checkpoint->places, checkpoint->decision);
	for (unsigned i = 0; i < checkpoint->copies; i++) {
		const struct copy *copy = &checkpoint->copy[i];

		memcpy(copy->start, room + copy->at, copy->size_bytes);
	}
}

void checkpoint_forget_all(void)
{
	count = 0;
}
