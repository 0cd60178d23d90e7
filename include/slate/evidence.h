/* SPDX-License-Identifier: MIT */
/*
 * evidence.h - what a report is about, as far as can be found out: the object, who allocated and
 * freed it, what lies beside it and in it, and who called.
 *
 * For port_panic(): the report says what happened, the evidence is asked for there, before the call
 * that went wrong returns.
 */
#ifndef SLATE_EVIDENCE_H
#define SLATE_EVIDENCE_H

#include <slate/report.h>
#include <slate/whois.h>

#define SLATE_EVIDENCE_BYTES 64u
#define SLATE_EVIDENCE_DEPTH 16u

/* What an address beside the object is. */
struct slate_neighbour {
	uintptr_t object; /* 0: there is none in the span */
	bool taken;       /* an owner's, as the span's bitmap says; debug builds: not free */
};

struct slate_evidence {
	const void *address;    /* the report's; of frames: where the direct map has them */
	struct slate_whois who; /* what lies at the address; debug builds: and its history */
	bool who_known;         /* not where locks may be held: crimes about locks, NMIs */
	struct slate_neighbour before;
	struct slate_neighbour behind;
	uintptr_t bytes_at; /* the memory around the address, or around the damage; 0: not ours */
	size_t byte_count;
	uint8_t bytes[SLATE_EVIDENCE_BYTES];
	bool in_nmi; /* port_in_nmi() */
	bool irq_enabled;
	size_t depth; /* of the backtrace, the allocator's own frames first */
	uintptr_t pcs[SLATE_EVIDENCE_DEPTH];
};

/*
 * Look at everything. Time: some thousand instructions. Context: as port_panic(). Takes the page
 * allocators' locks, one at a time, unless the crime is about locks or this is an NMI.
 */
void slate_evidence(const struct slate_report *report, struct slate_evidence *evidence);

/*
 * Report and evidence in words: line(text, arg) for each line, without a newline; the first is that
 * of slate_report_format(). docs/debugging.md explains them. line may take locks of the kernel.
 */
void slate_evidence_print(const struct slate_report *report, const struct slate_evidence *evidence,
			  void (*line)(const char *text, void *arg), void *arg);

#endif
