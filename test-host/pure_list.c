/* SPDX-License-Identifier: MIT */
/* pure_list.c - lib/list.h, against the expected order read in both directions. */
#include "lib/list.h"
#include "lib/string.h"
#include "test-host/pure.h"

struct item {
	char letter;
	struct list link;
};

static struct item items[8];
static struct list head;

static void start(void)
{
	list_init(&head);
	for (unsigned i = 0; i < 8; i++) {
		items[i].letter = (char)('a' + i);
		list_node_init(&items[i].link);
	}
}

/* The letters forward; then the same backward, which finds a broken prev. */
static void check_order(const struct list *list, const char *letters)
{
	const struct list *node;
	size_t length = LIB_NAME(strlen)(letters);
	size_t i = 0;

	list_for_each (node, list) {
		CHECK(i < length);
		CHECK(list_entry(node, struct item, link)->letter == letters[i]);
		i++;
	}
	CHECK(i == length);
	for (node = list->prev; node != list; node = node->prev) {
		CHECK(i > 0);
		i--;
		CHECK(list_entry(node, struct item, link)->letter == letters[i]);
	}
	CHECK(i == 0);
	CHECK(list_length(list) == length);
	CHECK(list_is_empty(list) == (length == 0));
}

static void append(struct list *list, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		list_insert_back(list, &items[i].link);
}

static void inserting(void)
{
	start();
	check_order(&head, "");
	list_insert_back(&head, &items[1].link);
	list_insert_front(&head, &items[0].link);
	list_insert_back(&head, &items[3].link);
	list_insert_after(&items[1].link, &items[2].link);
	check_order(&head, "abcd");
}

static void removing(void)
{
	start();
	append(&head, 0, 4);
	list_remove(&items[1].link);
	check_order(&head, "acd");
	list_remove(&items[0].link);
	check_order(&head, "cd");
	list_remove(&items[3].link);
	check_order(&head, "c");
	list_remove(&items[2].link);
	check_order(&head, "");
}

static void linked_or_not(void)
{
	start();
	CHECK(!list_is_linked(&items[0].link));
	list_insert_back(&head, &items[0].link);
	CHECK(list_is_linked(&items[0].link));
	list_remove(&items[0].link);
	CHECK(!list_is_linked(&items[0].link));
	list_insert_front(&head, &items[0].link);
	check_order(&head, "a");
}

static void popping(void)
{
	start();
	CHECK(list_pop_front(&head) == NULL);
	CHECK(list_pop_back(&head) == NULL);
	CHECK(list_first(&head) == NULL);
	CHECK(list_last(&head) == NULL);
	append(&head, 0, 3);
	CHECK(list_first(&head) == &items[0].link);
	CHECK(list_last(&head) == &items[2].link);
	CHECK(list_pop_back(&head) == &items[2].link);
	CHECK(list_pop_front(&head) == &items[0].link);
	CHECK(!list_is_linked(&items[0].link));
	check_order(&head, "b");
}

static void splicing(void)
{
	struct list other;

	start();
	list_init(&other);
	append(&head, 0, 2);
	append(&other, 2, 4);
	list_splice_back(&head, &other);
	check_order(&head, "abcd");
	check_order(&other, "");
	append(&other, 4, 6);
	list_splice_front(&head, &other);
	check_order(&head, "efabcd");
	check_order(&other, "");
	list_splice_back(&head, &other);
	list_splice_front(&head, &other);
	check_order(&head, "efabcd");
	list_splice_back(&other, &head);
	check_order(&other, "efabcd");
	check_order(&head, "");
}

static void taking_all(void)
{
	struct list other;

	start();
	append(&head, 0, 3);
	list_take_all(&other, &head);
	check_order(&other, "abc");
	check_order(&head, "");
	list_take_all(&other, &head);
	check_order(&other, "");
}

static void removing_while_walking(void)
{
	struct list *node;
	struct list *following;

	start();
	append(&head, 0, 8);
	list_for_each_safe (node, following, &head)
		if ((list_entry(node, struct item, link)->letter & 1) == 0)
			list_remove(node);
	check_order(&head, "aceg");
}

static void static_head(void)
{
	static struct list fixed = LIST_INIT(fixed);

	start();
	check_order(&fixed, "");
	append(&fixed, 0, 2);
	check_order(&fixed, "ab");
	list_init(&fixed);
}

const struct pure_test pure_list_tests[] = {
	{"list: insert front, back, after", inserting},
	{"list: remove first, middle, last, only", removing},
	{"list: an element knows whether it is on a list", linked_or_not},
	{"list: pop from both ends and from nothing", popping},
	{"list: splice, empty sides included", splicing},
	{"list: take all", taking_all},
	{"list: remove while walking", removing_while_walking},
	{"list: a static head starts empty", static_head},
	{0, 0},
};
