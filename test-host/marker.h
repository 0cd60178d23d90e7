/* SPDX-License-Identifier: MIT */
/*
 * marker.h - a machine whose stops are simulated: after each, the test does what it likes, by
 * store(), which notes the frame as a dirty bit would. With `deaf` nothing is noted; then what only
 * the notes can find must be lost.
 */
#ifndef TEST_MARKER_H
#define TEST_MARKER_H

#include "test-host/unit.h"

#include <slate/cache.h>
#include <slate/marksweep.h>
#include <slate/port.h>

#include "mm/directmap.h"
#include "mm/gcbits.h"
#include "mm/markcycle.h"

#define MEMORY (48 * MIB)
#define FRAMES ((MEMORY + MIB) / SLATE_PAGE_SIZE)
#define CHUNK  64
#define GROUPS 16

/* The only root. */
static void *root[16];

static struct {
	bool on; /* between begin and end */
	bool deaf;
	bool refused;
	bool written[FRAMES];
	unsigned begun;
	unsigned ended;
	unsigned sweeps; /* how often was asked from the start */
} notes;

static struct {
	unsigned stops;
	void (*then)(unsigned stop); /* when the CPUs run again after it */
} machine;

static struct slate_leak groups[GROUPS];
static struct slate_leaks leaks;

static void note(const void *start, size_t size_bytes)
{
	size_t first = virt_to_pfn(start).v;
	size_t last = virt_to_pfn((const char *)start + size_bytes - 1).v;

	/* root[] lies elsewhere */
	for (; notes.on && first <= last && first < FRAMES; first++)
		notes.written[first] = true;
}

static void store(void **slot, void *value)
{
	*slot = value;
	note(slot, sizeof(*slot));
}

static void *make(size_t size_bytes)
{
	void *object = slate_zalloc(size_bytes);

	assert_non_null(object);
	note(object, size_bytes);
	return object;
}

bool port_stop_cpus(void (*fn)(const struct slate_live *list, size_t count, void *arg), void *arg)
{
	const struct slate_live none = {0, 0};

	machine.stops++;
	host_irq_set(false);
	fn(&none, 1, arg);
	host_irq_set(true);
	if (machine.then)
		machine.then(machine.stops);
	return true;
}

bool port_written_begin(void)
{
	if (notes.refused)
		return false;
	memset(notes.written, 0, sizeof(notes.written));
	notes.on = true;
	notes.begun++;
	return true;
}

bool port_written_next(uintptr_t low, uintptr_t high, struct slate_written *written)
{
	notes.sweeps += virt_to_pfn((void *)low).v == 0;
	for (; low < high; low += SLATE_PAGE_SIZE) {
		size_t pfn = virt_to_pfn((void *)low).v;

		if (pfn >= FRAMES || !notes.written[pfn] || notes.deaf)
			continue;
		notes.written[pfn] = false;
		*written = (struct slate_written){low, low + SLATE_PAGE_SIZE};
		return true;
	}
	return false;
}

void port_written_end(void)
{
	notes.on = false;
	notes.ended++;
}

static int set_up(void **state)
{
	(void)state;
	host_boot(MIB, MEMORY);
	memset(root, 0, sizeof(root));
	memset(groups, 0, sizeof(groups));
	memset(&notes, 0, sizeof(notes));
	memset(&machine, 0, sizeof(machine));
	markcycle_chunk_words = CHUNK;
	return slate_root_add(root, sizeof(root));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static size_t scan(void)
{
	leaks = (struct slate_leaks){.list = groups, .capacity = GROUPS};
	assert_int_equal(slate_leak_scan(&leaks), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
	assert_int_equal(notes.begun, notes.ended);
	return leaks.objects;
}

/* ---- A chain of objects ---- */

enum { NODE_WORDS = 6, LENGTH = 3000 };

static void **head, **tail;

static void make_chain(void)
{
	head = tail = make(NODE_WORDS * sizeof(void *));
	for (size_t i = 1; i < LENGTH; i++) {
		void **node = make(NODE_WORDS * sizeof(void *));

		store(&tail[0], node);
		tail = node;
	}
	root[0] = head;
}

/* Every node of it, after a stop. */
static void write_all_over(unsigned stop)
{
	void **node = head;

	for (size_t i = 0; i < LENGTH; i++, node = node[0])
		store(&node[4], (void *)(uintptr_t)stop);
}

#endif
