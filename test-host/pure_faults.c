/* SPDX-License-Identifier: MIT */
/* pure_faults.c - runs the rows of pure_faults_rows.c, and compares texts. */
#include "test-host/pure_faults.h"

#include <slate/port.h>
#include <slate/whois.h>

#include "lib/printf.h"
#include "lib/string.h"
#include "mm/directmap.h"
#include "mm/watch.h"

#define TEXT_BYTES 3000

static char seen[TEXT_BYTES];
static char plain[TEXT_BYTES];
static char expected[TEXT_BYTES];

/* ---- A text in the making ---- */

struct text {
	char *buf;
	size_t length;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text->length += (size_t)fmt_vsnprintf(text->buf + text->length, TEXT_BYTES - text->length,
					      format, args);
	va_end(args);
	if (text->length >= TEXT_BYTES)
		text->length = TEXT_BYTES - 1;
}

/* ---- What came ---- */

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static size_t line_length(const char *text)
{
	const char *end = strchr(text, '\n');

	return end ? (size_t)(end - text) : strlen(text);
}

/* "... at 1234, called from: 0x1 0x2" without the numbers. */
static void add_event(struct text *to, const char *line, size_t length)
{
	const char *at = strstr(line, " at ");

	if (at && (size_t)(at - line) < length)
		add(to, "%.*s at {tick}, called from: {callers}\n", (int)(at - line), line);
	else
		add(to, "%.*s\n", (int)length, line);
}

static bool is_dump(const char *line, size_t length)
{
	const char *colon = strchr(line, ':');

	return starts_with(line, "  0x") && colon && (size_t)(colon - line) < length &&
	       colon[1] == ' ' && colon[2] != '\0' && colon[4] == ' ' && colon[3] != ' ' &&
	       !strchr("(", colon[2]) && colon[7] == ' ';
}

/* The text without what is never the same twice. */
static void simplify(const char *from, struct text *to)
{
	bool dump = false;

	to->buf[0] = '\0';
	for (size_t length; (length = line_length(from)) > 0;
	     from += length + (from[length] != 0)) {
		if (is_dump(from, length)) {
			if (!dump)
				add(to, "  {bytes}\n");
			dump = true;
			continue;
		}
		dump = false;
		if (starts_with(from, "  before it"))
			add(to, "  {neighbours}\n");
		else if (starts_with(from, "  with interrupts"))
			add(to, "  with interrupts on, called from: {callers}\n");
		else if (starts_with(from, "  allocated") || starts_with(from, "  freed"))
			add_event(to, from, length);
		else
			add(to, "%.*s\n", (int)length, from);
	}
}

/* ---- What is to come ---- */

static const struct fault_text *text_of(const struct fault_row *row)
{
	return SLATE_DEBUG ? &row->debug : &row->release;
}

/* One of the words in braces; returns its length with them. */
static size_t add_value(struct text *to, const char *word, const struct fault *fault,
			const struct slate_whois *who)
{
	size_t size_bytes = fault->row->size_bytes;
	size_t length = 1;

	while (word[length - 1] != '}')
		length++;
	if (starts_with(word, "{at}"))
		add(to, "%p", (void *)fault->at);
	else if (starts_with(word, "{object}"))
		add(to, "%p", (void *)fault->object);
	else if (starts_with(word, "{span}"))
		add(to, "%p+%zu pages", (void *)who->span_base, who->span_pages);
	else if (starts_with(word, "{bytes}"))
		add(to, "%zu", who->asked_known ? who->asked_bytes : who->object_bytes);
	else if (starts_with(word, "{size}"))
		add(to, "%zu", size_bytes);
	else if (starts_with(word, "{size+"))
		add(to, "%zu", size_bytes + (size_t)(word[6] - '0'));
	else if (starts_with(word, "{last}"))
		add(to, "%zu", size_bytes < 4096 ? size_bytes - 1 : 4095);
	else if (starts_with(word, "{elem-8}"))
		add(to, "%zu", who->object_bytes - 8);
	else if (starts_with(word, "{cpu}"))
		add(to, "%u", port_cpu());
	else
		add(to, "{?}");
	return length;
}

static void expand(struct text *to, const char *from, const struct fault *fault,
		   const struct slate_whois *who)
{
	while (*from) {
		if (*from == '{')
			from += add_value(to, from, fault, who);
		else
			add(to, "%c", *from++);
	}
}

/* The line of whois, in this file's own words. */
static void add_place(struct text *to, const struct fault *fault, const struct slate_whois *who)
{
	unsigned long long at = fault->at, object = who->object, span = who->span_base;

	add(to, "  0x%llx: ", at);
	if (who->kind == SLATE_WHOIS_OBJECT)
		add(to,
		    "%llu bytes into object %zu of %zu, %zu bytes at 0x%llx, class %u, span "
		    "0x%llx+%zu: ",
		    at - object, who->number, who->objects, who->object_bytes, object,
		    who->span_class, span, who->span_pages);
	else if (who->kind == SLATE_WHOIS_LARGE)
		add(to, "%llu bytes into a large object, %zu bytes at 0x%llx: ", at - object,
		    who->object_bytes, object);
	else if (who->kind == SLATE_WHOIS_STACK)
		add(to, "%llu bytes into a stack, %zu bytes at 0x%llx: ", at - object,
		    who->object_bytes, object);
}

static void expect_object(struct text *to, const struct fault *fault, const struct slate_whois *who,
			  const struct fault_text *text)
{
	bool freed = !starts_with(text->held, "taken") && !strstr(text->line, "overflow");

	add_place(to, fault, who);
	expand(to, text->held, fault, who);
	if (who->asked_known)
		add(to, ", asked for %zu bytes", who->asked_bytes);
	add(to, "\n");
	if (who->kind == SLATE_WHOIS_OBJECT)
		add(to, "  {neighbours}\n");
	if (SLATE_DEBUG) {
		add(to, "  allocated on CPU %u at {tick}, called from: {callers}\n", port_cpu());
		if (freed)
			add(to, "  freed on CPU %u at {tick}, called from: {callers}\n",
			    port_cpu());
	}
	add(to, "  {bytes}\n");
}

/* who: what lay there before the fault was planted. */
static void expect(struct text *to, const struct fault *fault, const struct slate_whois *who)
{
	const struct fault_text *text = text_of(fault->row);
	uintptr_t place = fault->place ? fault->place : fault->at;

	expand(to, text->line, fault, who);
	add(to, " on CPU %u\n", port_cpu());
	if (text->held && text->held[0] == '?')
		return;
	if (text->held && text->held[0] == '=')
		add(to, "  0x%llx: %s\n", (unsigned long long)place, text->held + 1);
	else if (text->held)
		expect_object(to, fault, who, text);
	add(to, "  with interrupts on, called from: {callers}\n");
}

/* ---- One row ---- */

static void construct(void *object)
{
	memset(object, 0x33, 16);
}

static struct slate_cache *cache_new(const struct fault_row *row)
{
	const struct slate_cache_params params = {
		.name = "planted",
		.size_bytes = row->size_bytes,
		.constructor = row->make == FAULT_BUILT ? construct : NULL,
	};

	return slate_cache_create(&params);
}

static unsigned stack_order(size_t size_bytes)
{
	unsigned order = 0;

	while (SLATE_PAGE_SIZE << order < size_bytes)
		order++;
	return order;
}

static void *make(struct fault *fault)
{
	const struct slate_page_constraints mapped = {.max = pfn_to_paddr(directmap_end).v,
						      .node = SLATE_ANY_NODE};
	size_t size_bytes = fault->row->size_bytes;

	switch (fault->row->make) {
	case FAULT_PLAIN:
		return slate_alloc(size_bytes);
	case FAULT_NOSCAN:
		return slate_alloc_flags(size_bytes, SLATE_NOSCAN);
	case FAULT_ALIGNED:
		return slate_alloc_aligned(size_bytes, SLATE_PAGE_SIZE, 0);
	case FAULT_TYPED:
	case FAULT_BUILT:
		return slate_cache_alloc(fault->cache);
	case FAULT_STACK:
		return slate_stack_alloc(stack_order(size_bytes));
	case FAULT_FRAMES:
		fault->pfn = (slate_page_alloc)(size_bytes >> SLATE_PAGE_SHIFT, &mapped);
		return slate_virt(pfn_to_paddr(fault->pfn));
	case FAULT_NOTHING:
		break;
	}
	return NULL;
}

static void unmake(struct fault *fault, void *object)
{
	switch (fault->row->make) {
	case FAULT_STACK:
		slate_stack_free(object);
		break;
	case FAULT_FRAMES:
		(slate_page_free)(fault->pfn, fault->row->size_bytes >> SLATE_PAGE_SHIFT);
		break;
	case FAULT_NOTHING:
		break;
	default:
		slate_free(object);
	}
}

/* Neighbours on both sides, so that the span stays, and who hits them hits ours. */
#define KEPT 8

/* The text of what happens is in seen[] afterwards. */
static struct slate_whois plant(struct fault *fault, const struct fault_runner *runner)
{
	bool beside = fault->row->make <= FAULT_BUILT;
	void *kept[KEPT] = {NULL};
	struct slate_whois who;

	for (size_t i = 0; beside && i < KEPT / 2; i++)
		kept[i] = make(fault);
	fault->object = make(fault);
	for (size_t i = KEPT / 2; beside && i < KEPT; i++)
		kept[i] = make(fault);
	fault->at = (uintptr_t)fault->object;
	slate_whois((void *)fault->object, &who);
	seen[0] = '\0';
	runner->capture(seen, sizeof(seen));
	fault->row->plant(fault);
	runner->capture(NULL, 0);
	if (fault->at && fault->row->make == FAULT_NOTHING)
		slate_whois((void *)fault->at, &who);
	if (!fault->gone)
		unmake(fault, (void *)fault->object);
	for (size_t i = 0; i < KEPT; i++)
		slate_free(kept[i]);
	return who;
}

static bool run_row(const struct fault_row *row, const struct fault_runner *runner)
{
	struct fault fault = {.row = row, .pfn = SLATE_PFN_NONE};
	struct text came = {.buf = plain};
	struct text wanted = {.buf = expected};
	struct slate_whois who;

	if (row->make == FAULT_TYPED || row->make == FAULT_BUILT) {
		fault.cache = cache_new(row);
		fault.other = cache_new(row);
	}
	slate_flush();
	who = plant(&fault, runner);
	simplify(seen, &came);
	if (text_of(row)->held && text_of(row)->held[0] == '?')
		plain[line_length(plain) + 1] = '\0';
	expect(&wanted, &fault, &who);
	watch_forgive();
	slate_flush();
	if (fault.cache) {
		slate_cache_destroy(fault.cache);
		slate_cache_destroy(fault.other);
	}
	if (strcmp(plain, expected) == 0)
		return true;
	runner->say(row->name);
	runner->say("expected:");
	runner->say(expected);
	runner->say("came:");
	runner->say(plain);
	return false;
}

struct fault_score faults_run(const struct fault_runner *runner)
{
	struct fault_score score = {0};

	for (size_t i = 0; fault_tables[i]; i++) {
		for (const struct fault_row *row = fault_tables[i]; row->name; row++) {
			if (!text_of(row)->line)
				score.skipped++;
			else if (run_row(row, runner))
				score.passed++;
			else
				score.failed++;
		}
	}
	return score;
}
