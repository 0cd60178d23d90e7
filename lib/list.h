/* SPDX-License-Identifier: MIT */
/*
 * list.h - a doubly linked circular list through a member of its elements. A head is a struct list
 * that points at itself when empty; an element that is on no list holds NULL, so that "on a list"
 * can be asked and an element on two lists can be caught. The caller's lock guards all of it.
 */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next;
	struct list *prev;
};

#define LIST_INIT(head)          \
	{                        \
		&(head), &(head) \
	}

/* An empty head. */
static inline void list_init(struct list *head)
{
	head->next = head;
	head->prev = head;
}

/* An element on no list. */
static inline void list_node_init(struct list *node)
{
	node->next = NULL;
	node->prev = NULL;
}

static inline bool list_is_linked(const struct list *node)
{
	return node->next != NULL;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

/* Behind place, which is a head or an element on a list; node is on none. */
static inline void list_insert_after(struct list *place, struct list *node)
{
	node->next = place->next;
	node->prev = place;
	place->next->prev = node;
	place->next = node;
}

static inline void list_insert_front(struct list *head, struct list *node)
{
	list_insert_after(head, node);
}

static inline void list_insert_back(struct list *head, struct list *node)
{
	list_insert_after(head->prev, node);
}

/* node is on a list; afterwards on none. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_node_init(node);
}

/* NULL when empty. */
static inline struct list *list_first(const struct list *head)
{
	return list_is_empty(head) ? NULL : head->next;
}

static inline struct list *list_last(const struct list *head)
{
	return list_is_empty(head) ? NULL : head->prev;
}

/* Remove and return the first (last) element, or NULL. */
static inline struct list *list_pop_front(struct list *head)
{
	struct list *node = list_first(head);

	if (node)
		list_remove(node);
	return node;
}

static inline struct list *list_pop_back(struct list *head)
{
	struct list *node = list_last(head);

	if (node)
		list_remove(node);
	return node;
}

/* Move all elements of from to the end of head, in order; from becomes empty. */
static inline void list_splice_back(struct list *head, struct list *from)
{
	if (list_is_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	list_init(from);
}

/* The same to the front of head. */
static inline void list_splice_front(struct list *head, struct list *from)
{
	if (list_is_empty(from))
		return;
	from->prev->next = head->next;
	head->next->prev = from->prev;
	from->next->prev = head;
	head->next = from->next;
	list_init(from);
}

/* to need not be initialised; it takes everything, from becomes empty. */
static inline void list_take_all(struct list *to, struct list *from)
{
	list_init(to);
	list_splice_back(to, from);
}

/* Walks the whole list. */
static inline size_t list_length(const struct list *head)
{
	size_t length = 0;

	for (const struct list *node = head->next; node != head; node = node->next)
		length++;
	return length;
}

#define list_entry(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* node runs over the elements; the second form allows removing node in the body. */
#define list_for_each(node, head) \
	for ((node) = (head)->next; (node) != (head); (node) = (node)->next)

#define list_for_each_safe(node, following, head)                                 \
	for ((node) = (head)->next, (following) = (node)->next; (node) != (head); \
	     (node) = (following), (following) = (node)->next)

#endif
