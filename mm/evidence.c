/* SPDX-License-Identifier: MIT */
/*
 * evidence.c (level 9) - what a report is about, looked up from its addresses alone; so reports
 * stay small, and whoever makes one needs no more than it has at hand.
 */
#include <slate/evidence.h>

#include <slate/port.h>

#include "lib/string.h"
#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/mspan.h"
#include "mm/witness.h"

/* Reports on frames speak of physical addresses. */
static const void *address_of(const struct slate_report *report)
{
	if (report->crime == SLATE_CRIME_PAGE_FREE)
		return pfn_to_virt(paddr_to_pfn((paddr_t){report->address}));
	return (const void *)report->address;
}

static bool may_ask(const struct slate_report *report, const struct slate_evidence *evidence)
{
	switch (report->crime) {
	case SLATE_CRIME_LOCK:
	case SLATE_CRIME_ASSERT:
	case SLATE_CRIME_CORRUPT:
	case SLATE_CRIME_WRONG_STAGE:
	case SLATE_CRIME_BAD_ARGUMENT:
		return false;
	default:
		return !evidence->in_nmi;
	}
}

/* ---- Neighbours ---- */

static struct slate_neighbour neighbour(const struct mspan *span, size_t number)
{
	struct slate_neighbour found = {.object = 0};

	if (number >= span->elem_count)
		return found;
	found.object = span->base + number * span->elem_bytes;
	found.taken = mspan_is_taken(span, found.object);
#if SLATE_DEBUG
	const struct witness *witness = witness_of(span, found.object);

	if (witness)
		found.taken = witness_state(witness) == WITNESS_TAKEN;
#endif
	return found;
}

static void ask_neighbours(struct slate_evidence *evidence, const void *address)
{
	const struct mspan *span = arena_span(virt_to_pfn(address));

	if (evidence->who.kind != SLATE_WHOIS_OBJECT || !span ||
	    span->base != evidence->who.span_base)
		return;
	/* number - 1 of the first is beyond any span */
	evidence->before = neighbour(span, evidence->who.number - 1);
	evidence->behind = neighbour(span, evidence->who.number + 1);
}

/* ---- Bytes ---- */

/* May it be read? Not what is none of ours, nor what may be unmapped. */
static bool readable(const struct slate_whois *who)
{
	switch (who->kind) {
	case SLATE_WHOIS_OBJECT:
	case SLATE_WHOIS_LARGE:
	case SLATE_WHOIS_STACK:
		return true;
	default:
		return false;
	}
}

/* Some before the place and some behind, but of this span alone. */
static void copy_bytes(struct slate_evidence *evidence, uintptr_t place)
{
	const struct slate_whois *who = &evidence->who;
	uintptr_t start = who->span_base ? who->span_base : who->object;
	uintptr_t end = who->span_base ? start + (who->span_pages << SLATE_PAGE_SHIFT)
				       : start + who->object_bytes;

	/* below a stack lies its guard */
	if (who->kind == SLATE_WHOIS_STACK)
		start = who->object;
	place &= ~(uintptr_t)15;
	if (!readable(who) || place < start || place >= end)
		return;
	evidence->bytes_at = place - start >= 16 ? place - 16 : start;
	evidence->byte_count = end - evidence->bytes_at < SLATE_EVIDENCE_BYTES
				       ? end - evidence->bytes_at
				       : SLATE_EVIDENCE_BYTES;
	memcpy(evidence->bytes, (const void *)evidence->bytes_at, evidence->byte_count);
}

void slate_evidence(const struct slate_report *report, struct slate_evidence *evidence)
{
	const void *address = address_of(report);

	*evidence = (struct slate_evidence){
		.address = address,
		.in_nmi = port_in_nmi(),
		.irq_enabled = port_irq_enabled(),
	};
	evidence->depth = port_backtrace(evidence->pcs, SLATE_EVIDENCE_DEPTH);
	if (!may_ask(report, evidence))
		return;
	slate_whois(address, &evidence->who);
	evidence->who_known = true;
	ask_neighbours(evidence, address);
	copy_bytes(evidence, report->damage ? report->damage : (uintptr_t)address);
}
