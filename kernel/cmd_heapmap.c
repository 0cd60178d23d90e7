/* SPDX-License-Identifier: MIT */
/*
 * cmd_heapmap.c - the heap run by run, as compact text for tools/slate-heapmap.
 *
 *   heapmap begin page BYTES counter TICKS
 *   class NUMBER SIZE OBJECTS-PER-SPAN       before its first span
 *   at PHYSICAL TOKEN...                     adjacent runs from that address on
 *   heapmap end runs COUNT
 *
 * Tokens: .N free, ~N released, fN callers' and cached frames, mN metadata, sN a stack, LN a large
 * object, oCLASS.N.TAKEN a span of objects; N is a number of frames. TOKEN*K stands for K of them
 * in a row.
 */
#include <slate/heapmap.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "lib/printf.h"
#include "lib/string.h"

#define CLASSES      256
#define LINE_COLUMNS 100
#define TOKEN_BYTES  48

struct text {
	size_t runs;
	size_t next; /* the frame behind the last token */
	size_t column;
	char token[TOKEN_BYTES]; /* not printed yet */
	size_t repeats;          /* of it; 0: there is none */
	bool seen[CLASSES];
};

static void format(char *token, const struct slate_heap_run *run)
{
	static const char letters[SLATE_HEAP_KINDS] = {
		[SLATE_HEAP_FREE] = '.',   [SLATE_HEAP_RELEASED] = '~', [SLATE_HEAP_FRAMES] = 'f',
		[SLATE_HEAP_LARGE] = 'L',  [SLATE_HEAP_STACK] = 's',    [SLATE_HEAP_METADATA] = 'm',
		[SLATE_HEAP_OBJECTS] = 'o'};

	if (run->kind == SLATE_HEAP_OBJECTS)
		fmt_snprintf(token, TOKEN_BYTES, "o%u.%zu.%zu", run->span_class, run->pages,
			     run->taken);
	else
		fmt_snprintf(token, TOKEN_BYTES, "%c%zu", letters[run->kind], run->pages);
}

static void print_token(struct text *text)
{
	char repeats[TOKEN_BYTES] = "";

	if (text->repeats == 0)
		return;
	if (text->repeats > 1)
		fmt_snprintf(repeats, sizeof(repeats), "*%zu", text->repeats);
	kprintf(" %s%s", text->token, repeats);
	text->column += 1 + strlen(text->token) + strlen(repeats);
	text->repeats = 0;
}

static void end_line(struct text *text)
{
	if (text->column > 0)
		kprintf("\n");
	text->column = 0;
}

/* Once for each class, before its first span. Returns whether it did. */
static bool print_class(struct text *text, unsigned class)
{
	struct slate_class_stats stats;

	if (text->seen[class % CLASSES] || !slate_class_stats(class, &stats))
		return false;
	text->seen[class % CLASSES] = true;
	end_line(text);
	kprintf("class %u %zu %zu\n", class, stats.elem_bytes, stats.elems_per_span);
	return true;
}

static void begin_line(struct text *text, const struct slate_heap_run *run)
{
	end_line(text);
	kprintf("at %llx", (unsigned long long)pfn_to_paddr(run->start).v);
	text->column = 1;
}

static bool add_run(const struct slate_heap_run *run, void *arg)
{
	struct text *text = arg;
	bool follows = text->runs > 0 && run->start.v == text->next;
	char token[TOKEN_BYTES];

	format(token, run);
	text->runs++;
	text->next = run->start.v + run->pages;
	if (follows && text->repeats > 0 && strcmp(token, text->token) == 0) {
		text->repeats++;
		return true;
	}
	print_token(text);
	if (run->kind == SLATE_HEAP_OBJECTS && print_class(text, run->span_class))
		follows = false;
	if (!follows || text->column > LINE_COLUMNS)
		begin_line(text, run);
	memcpy(text->token, token, sizeof(token));
	text->repeats = 1;
	return true;
}

void heapmap_print(void)
{
	struct text text = {.runs = 0};

	kprintf("heapmap begin page %u counter %llu\n", (unsigned)SLATE_PAGE_SIZE,
		(unsigned long long)arch_counter());
	slate_heap_walk(add_run, &text);
	print_token(&text);
	end_line(&text);
	kprintf("heapmap end runs %zu\n", text.runs);
}

bool cmd_heapmap(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	heapmap_print();
	return true;
}
