/* SPDX-License-Identifier: MIT */
/* evidence_text.c (level 9) - a report with its evidence, line by line. */
#include <slate/evidence.h>

#include "lib/printf.h"

/* Longest line: a backtrace. */
#define LINE_BYTES 400

#define BYTES_A_LINE 16u

struct printer {
	void (*line)(const char *text, void *arg);
	void *arg;
	size_t length;
	char text[LINE_BYTES];
};

static void add(struct printer *printer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct printer *printer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printer->length += (size_t)fmt_vsnprintf(printer->text + printer->length,
						 LINE_BYTES - printer->length, format, args);
	va_end(args);
	if (printer->length >= LINE_BYTES)
		printer->length = LINE_BYTES - 1;
}

static void end_line(struct printer *printer)
{
	printer->line(printer->text, printer->arg);
	printer->length = 0;
	printer->text[0] = '\0';
}

static void print_pcs(struct printer *printer, const uintptr_t *pcs, size_t depth)
{
	for (size_t i = 0; i < depth; i++)
		add(printer, " 0x%zx", (size_t)pcs[i]);
}

static void print_event(struct printer *printer, const char *what, const struct slate_event *event)
{
	if (!event->known)
		return;
	add(printer, "  ");
	slate_event_format(printer->text + printer->length, LINE_BYTES - printer->length, what,
			   event);
	end_line(printer);
}

static void print_neighbour(struct printer *printer, const char *where,
			    const struct slate_neighbour *neighbour)
{
	if (neighbour->object)
		add(printer, "%s %p, %s", where, (void *)neighbour->object,
		    neighbour->taken ? "taken" : "free");
	else
		add(printer, "%s none", where);
}

static void print_who(struct printer *printer, const struct slate_evidence *evidence)
{
	const struct slate_whois *who = &evidence->who;

	add(printer, "  ");
	slate_whois_format(printer->text + printer->length, LINE_BYTES - printer->length,
			   evidence->address, who);
	end_line(printer);
	if (who->kind == SLATE_WHOIS_OBJECT) {
		print_neighbour(printer, "  before it", &evidence->before);
		print_neighbour(printer, "; behind it", &evidence->behind);
		end_line(printer);
	}
	print_event(printer, "allocated", &who->allocated);
	print_event(printer, "freed", &who->freed);
}

static void print_bytes(struct printer *printer, const struct slate_evidence *evidence)
{
	for (size_t i = 0; i < evidence->byte_count; i += BYTES_A_LINE) {
		add(printer, "  %p:", (void *)(evidence->bytes_at + i));
		for (size_t k = i; k < i + BYTES_A_LINE && k < evidence->byte_count; k++)
			add(printer, " %02x", evidence->bytes[k]);
		end_line(printer);
	}
}

void slate_evidence_print(const struct slate_report *report, const struct slate_evidence *evidence,
			  void (*line)(const char *text, void *arg), void *arg)
{
	struct printer printer = {.line = line, .arg = arg, .length = 0};

	slate_report_format(printer.text, LINE_BYTES, report);
	end_line(&printer);
	if (evidence->who_known)
		print_who(&printer, evidence);
	print_bytes(&printer, evidence);
	add(&printer, "  %s, called from:",
	    evidence->in_nmi        ? "in an NMI"
	    : evidence->irq_enabled ? "with interrupts on"
				    : "with interrupts off");
	print_pcs(&printer, evidence->pcs, evidence->depth);
	end_line(&printer);
}
