/* SPDX-License-Identifier: MIT */
/*
 * report.c (level 0) - a report in words. Called by the kernel's port_panic(), so it takes no lock
 * and allocates nothing.
 */
#include <slate/report.h>

#include "lib/printf.h"

static const char *const crime_names[SLATE_CRIMES] = {
	[SLATE_CRIME_NONE] = "no crime",
	[SLATE_CRIME_DOUBLE_FREE] = "double free",
	[SLATE_CRIME_FOREIGN] = "foreign pointer",
	[SLATE_CRIME_INTERIOR] = "interior pointer",
	[SLATE_CRIME_MISALIGNED] = "misaligned pointer",
	[SLATE_CRIME_WRONG_SIZE] = "wrong size",
	[SLATE_CRIME_NOT_OBJECT] = "not an object",
	[SLATE_CRIME_NOT_STACK] = "not a stack",
	[SLATE_CRIME_PAGE_FREE] = "bad page free",
	[SLATE_CRIME_CORRUPT] = "corruption",
	[SLATE_CRIME_WRONG_STAGE] = "wrong stage",
	[SLATE_CRIME_BAD_ARGUMENT] = "bad argument",
	[SLATE_CRIME_LOCK] = "lock misuse",
	[SLATE_CRIME_ASSERT] = "assertion failed",
	[SLATE_CRIME_OVERFLOW] = "overflow",
	[SLATE_CRIME_WRITE_AFTER_FREE] = "write after free",
	[SLATE_CRIME_USE_AFTER_FREE] = "use after free",
};

const char *slate_crime_name(enum slate_crime crime)
{
	if ((unsigned)crime >= SLATE_CRIMES)
		return "unknown crime";
	return crime_names[crime];
}

/* What has been written so far, and what the whole text would need. */
struct text {
	char *buf;
	size_t size_bytes;
	size_t length;
};

static void append(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void append(struct text *text, const char *format, ...)
{
	size_t used = text->length < text->size_bytes ? text->length : text->size_bytes;
	va_list args;

	va_start(args, format);
	text->length +=
		(size_t)fmt_vsnprintf(text->buf + used, text->size_bytes - used, format, args);
	va_end(args);
}

/* " (64-byte object at 0x... in span 0x...+2 pages)", or as much of it as is known. */
static void append_object(struct text *text, const struct slate_report *report)
{
	if (!report->object_bytes && !report->object && !report->span_base)
		return;
	append(text, " (");
	if (report->object_bytes)
		append(text, "%zu-byte object", report->object_bytes);
	else
		append(text, "object");
	if (report->object && report->object != report->address)
		append(text, " at %p", (void *)report->object);
	if (report->span_base)
		append(text, " in span %p+%zu pages", (void *)report->span_base,
		       report->span_pages);
	append(text, ")");
}

/* ", byte 64 is 0x41, not 0xbb". */
static void append_damage(struct text *text, const struct slate_report *report)
{
	unsigned flipped = report->damage_found ^ report->damage_expected;
	unsigned bit = 0;

	if (!report->damage)
		return;
	append(text, ", byte %zu is 0x%02x, not 0x%02x", (size_t)(report->damage - report->object),
	       report->damage_found, report->damage_expected);
	if (!report->damage_is_bit)
		return;
	while (flipped >> bit != 1)
		bit++;
	append(text, " (one bit flipped, bit %u)", bit);
}

size_t slate_report_format(char *buf, size_t size_bytes, const struct slate_report *report)
{
	struct text text = {.buf = buf, .size_bytes = size_bytes};

	append(&text, "%s: %s", report->call ? report->call : "slate",
	       slate_crime_name(report->crime));
	if (report->address)
		append(&text, " of %p", (void *)report->address);
	if (report->size_bytes)
		append(&text, ", size %zu", report->size_bytes);
	append_object(&text, report);
	if (report->detail)
		append(&text, ": %s", report->detail);
	append_damage(&text, report);
	append(&text, " on CPU %u", report->cpu);
	if (report->file)
		append(&text, " at %s:%d", report->file, report->line);
	return text.length;
}
