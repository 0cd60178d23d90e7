/* SPDX-License-Identifier: MIT */
/* pure_memmap_cases.c - runs the table of boot maps: texts to entries, entries to texts. */
#include "lib/printf.h"
#include "lib/string.h"
#include "test-host/memmap_cases.h"
#include "test-host/pure.h"

#define MAX_ENTRIES 64

static const char *const lint_words[SLATE_LINT_KINDS] = {
	"overlap", "duplicate", "wrap",    "zero",     "unaligned", "limit",
	"inside",  "outside",   "unknown", "unsorted", "noroom",
};

static struct slate_range ranges[MAX_ENTRIES];
static struct slate_node_range nodes[MAX_ENTRIES];
static char names[1024]; /* the names of the entries, each terminated */
static size_t names_used;
static char lint_text[2048];
static size_t lint_used;

char memmap_case_seen[4096];

static void skip_blanks(const char **text)
{
	while (**text == ' ')
		(*text)++;
}

static uint64_t parse_hex(const char **text)
{
	uint64_t value = 0;

	for (;; (*text)++) {
		char c = **text;

		if (c >= '0' && c <= '9')
			value = value * 16 + (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (uint64_t)(c - 'a' + 10);
		else
			return value;
	}
}

static void expect(const char **text, char c)
{
	CHECK(**text == c);
	(*text)++;
}

static const char *parse_name(const char **text)
{
	const char *name = names + names_used;

	if (**text != '=')
		return NULL;
	for ((*text)++; **text && **text != ' ' && **text != '@'; (*text)++)
		names[names_used++] = **text;
	names[names_used++] = '\0';
	CHECK(names_used < sizeof(names));
	return name;
}

static void parse_ranges(struct slate_memmap *map, const char *text)
{
	for (skip_blanks(&text); *text; skip_blanks(&text)) {
		uint64_t base = parse_hex(&text);
		uint64_t size_bytes;
		const char *letter;

		expect(&text, '+');
		size_bytes = parse_hex(&text);
		expect(&text, ':');
		letter = LIB_NAME(strchr)(MEMMAP_TYPE_LETTERS, *text++);
		CHECK(letter != NULL);
		slate_memmap_add(map, base, size_bytes,
				 (enum slate_range_type)(letter - MEMMAP_TYPE_LETTERS),
				 parse_name(&text));
	}
}

static void parse_nodes(struct slate_memmap *map, const char *text)
{
	for (skip_blanks(&text); *text; skip_blanks(&text)) {
		uint64_t base = parse_hex(&text);
		uint64_t size_bytes;

		expect(&text, '+');
		size_bytes = parse_hex(&text);
		expect(&text, '@');
		CHECK(slate_memmap_add_node(map, base, size_bytes, (uint32_t)parse_hex(&text)));
	}
}

static void note_lint(const struct slate_lint *lint, void *arg)
{
	size_t room = sizeof(lint_text) - lint_used;

	(void)arg;
	lint_used += (size_t)fmt_snprintf(lint_text + lint_used, room, "%s%s:%llx+%llx",
					  lint_used ? " " : "", lint_words[lint->kind],
					  (unsigned long long)lint->base,
					  (unsigned long long)lint->size_bytes);
	CHECK(lint_used < sizeof(lint_text));
}

static void print_map(const struct slate_memmap *map, char *text, size_t size_bytes)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < map->count; i++) {
		const struct slate_range *range = &map->ranges[i];

		used += (size_t)fmt_snprintf(text + used, size_bytes - used, "%s%llx+%llx:%c",
					     i ? " " : "", (unsigned long long)range->base,
					     (unsigned long long)range->size_bytes,
					     MEMMAP_TYPE_LETTERS[range->type]);
		if (range->name)
			used += (size_t)fmt_snprintf(text + used, size_bytes - used, "=%s",
						     range->name);
		if (range->node)
			used += (size_t)fmt_snprintf(text + used, size_bytes - used, "@%u",
						     range->node);
		CHECK(used < size_bytes);
	}
}

static void check_text(const struct memmap_case *test, const char *seen, const char *expected)
{
	if (!expected)
		expected = "";
	if (LIB_NAME(strcmp)(seen, expected) == 0)
		return;
	fmt_snprintf(memmap_case_seen, sizeof(memmap_case_seen), "%s", seen);
	pure_fail(__FILE__, __LINE__, test->name);
}

static size_t usable_pages(const struct slate_memmap *map)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < map->count; i++)
		if (map->ranges[i].type == SLATE_RANGE_USABLE)
			pages += map->ranges[i].size_bytes >> SLATE_PAGE_SHIFT;
	return (size_t)pages;
}

void memmap_case_run(const struct memmap_case *test)
{
	struct slate_memmap map = {
		.ranges = ranges,
		.capacity = test->capacity ? test->capacity : MAX_ENTRIES,
		.nodes = nodes,
		.node_capacity = MAX_ENTRIES,
	};
	char text[2048];

	names_used = 0;
	lint_used = 0;
	lint_text[0] = '\0';
	parse_ranges(&map, test->before);
	parse_nodes(&map, test->nodes ? test->nodes : "");
	CHECK(slate_memmap_build(&map, note_lint, NULL) == usable_pages(&map));
	print_map(&map, text, sizeof(text));
	check_text(test, text, test->after);
	check_text(test, lint_text, test->lint);

	/* What was built is in order: building it again changes nothing. */
	slate_memmap_build(&map, NULL, NULL);
	print_map(&map, text, sizeof(text));
	check_text(test, text, test->after);
}
