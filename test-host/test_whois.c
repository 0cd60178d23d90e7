/* SPDX-License-Identifier: MIT */
/* test_whois.c - what lies at an address: each kind and holder, and addresses of all sorts. */
#include "test-host/unit.h"

#include <slate/port.h>
#include <slate/whois.h>

static struct slate_whois who;
static char text[256];

static void ask(const void *address)
{
	slate_whois(address, &who);
	slate_whois_format(text, sizeof(text), address, &who);
}

static void objects_and_who_holds_them(void **state)
{
	char *object = slate_alloc(100);
	char expected[256];

	(void)state;
	ask(object + 7);
	assert_int_equal(who.kind, SLATE_WHOIS_OBJECT);
	assert_int_equal(who.holder, SLATE_HELD_BY_CALLER);
	assert_ptr_equal(who.object, object);
	assert_int_equal(who.object_bytes, 104);
	assert_int_equal(who.number, ((uintptr_t)object - who.span_base) / 104);
	snprintf(expected, sizeof(expected),
		 "%p: 7 bytes into object %zu of %zu, 104 bytes at %p, class %u, span 0x%zx+%zu: "
		 "taken",
		 (void *)(object + 7), who.number, who.objects, (void *)object, who.span_class,
		 (size_t)who.span_base, who.span_pages);
	assert_string_equal(text, expected);
	slate_free(object);
	ask(object);
	assert_int_equal(who.holder, SLATE_HELD_BY_CPU);
	assert_int_equal(who.cpu, 0);
	assert_non_null(strstr(text, ": free, cached on CPU 0"));
}

static void an_object_in_its_span_is_free(void **state)
{
	char *first = slate_alloc(2000);
	size_t objects;

	(void)state;
	ask(first);
	objects = who.objects;
	slate_flush();
	size_t in_span = 0;

	for (size_t i = 0; i < objects; i++) {
		ask((char *)who.span_base + i * who.object_bytes);
		assert_int_equal(who.number, i);
		if (who.object == (uintptr_t)first)
			assert_int_equal(who.holder, SLATE_HELD_BY_CALLER);
		else
			in_span += who.holder == SLATE_HELD_BY_NOBODY;
	}
	assert_int_equal(in_span, objects - 1);
	slate_free(first);
}

static void the_tail_of_a_span(void **state)
{
	char *object = slate_alloc(100);
	size_t used;

	(void)state;
	ask(object);
	used = who.objects * who.object_bytes;
	assert_true(used < who.span_pages * 4096);
	ask((char *)who.span_base + used);
	assert_int_equal(who.kind, SLATE_WHOIS_TAIL);
	ask((char *)who.span_base + used - 1);
	assert_int_equal(who.kind, SLATE_WHOIS_OBJECT);
	slate_free(object);
}

static void magazines_in_the_depot(void **state)
{
	static void *objects[600];
	size_t in_depot = 0;

	(void)state;
	for (size_t i = 0; i < 600; i++)
		objects[i] = slate_alloc(64);
	for (size_t i = 0; i < 600; i++)
		slate_free(objects[i]);
	for (size_t i = 0; i < 600; i++) {
		ask(objects[i]);
		assert_int_not_equal(who.holder, SLATE_HELD_BY_CALLER);
		in_depot += who.holder == SLATE_HELD_BY_DEPOT;
	}
	assert_true(in_depot > 0);
}

static void large_objects_frames_and_stacks(void **state)
{
	char *large = slate_alloc(MIB);
	pfn_t frame = slate_frame_alloc();
	char *stack = slate_stack_alloc(2);

	(void)state;
	ask(large + MIB - 1);
	assert_int_equal(who.kind, SLATE_WHOIS_LARGE);
	assert_ptr_equal(who.object, large);
	ask(slate_virt(pfn_to_paddr(frame)));
	assert_int_equal(who.kind, SLATE_WHOIS_FRAME);
	assert_int_equal(who.holder, SLATE_HELD_BY_CALLER);
	slate_frame_free(frame);
	ask(slate_virt(pfn_to_paddr(frame)));
	assert_int_equal(who.holder, SLATE_HELD_BY_CPU);
	slate_flush();
	ask(slate_virt(pfn_to_paddr(frame)));
	assert_int_equal(who.kind, SLATE_WHOIS_FREE);
	ask(stack + 5000);
	assert_int_equal(who.kind, SLATE_WHOIS_STACK);
	assert_int_equal(who.holder, SLATE_HELD_BY_CALLER);
	assert_ptr_equal(who.object, stack);
	slate_stack_free(stack);
	ask(stack);
	assert_int_equal(who.holder, SLATE_HELD_BY_CPU);
	slate_free(large);
	ask(large);
	assert_true(who.kind == SLATE_WHOIS_FREE || who.kind == SLATE_WHOIS_LARGE);
}

static void addresses_of_all_sorts(void **state)
{
	uint64_t seed = 1;
	size_t kinds[SLATE_WHOIS_KINDS] = {0};

	(void)state;
	ask(NULL);
	assert_string_equal(text, "0x0: not ours");
	ask((void *)UINTPTR_MAX);
	assert_int_equal(who.kind, SLATE_WHOIS_FOREIGN);
	for (unsigned i = 0; i < 100000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		ask((char *)slate_virt((paddr_t){0}) + (seed >> 38));
		kinds[who.kind]++;
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		ask((void *)(uintptr_t)seed);
	}
	assert_true(kinds[SLATE_WHOIS_FREE] > 0);
	assert_true(kinds[SLATE_WHOIS_METADATA] > 0);
	assert_true(kinds[SLATE_WHOIS_FOREIGN] > 0);
}

static void text_is_cut_and_measured(void **state)
{
	char cut[8];

	(void)state;
	ask(NULL);
	assert_int_equal(slate_whois_format(cut, sizeof(cut), NULL, &who), strlen("0x0: not ours"));
	assert_string_equal(cut, "0x0: no");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(objects_and_who_holds_them),
		SMALL(an_object_in_its_span_is_free),
		SMALL(the_tail_of_a_span),
		SMALL(magazines_in_the_depot),
		SMALL(large_objects_frames_and_stacks),
		SMALL(addresses_of_all_sorts),
		SMALL(text_is_cut_and_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
