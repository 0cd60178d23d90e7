/* SPDX-License-Identifier: MIT */
/*
 * report.h - what port_panic() is given: the crime, the values, and who is concerned.
 */
#ifndef SLATE_REPORT_H
#define SLATE_REPORT_H

#include <slate/types.h>

enum slate_crime {
	SLATE_CRIME_NONE,
	SLATE_CRIME_DOUBLE_FREE,  /* the object is free already */
	SLATE_CRIME_FOREIGN,      /* the pointer was never ours */
	SLATE_CRIME_INTERIOR,     /* it points into an object, not at its start */
	SLATE_CRIME_MISALIGNED,   /* it is not aligned as any object is */
	SLATE_CRIME_WRONG_SIZE,   /* sized free: another class than the object's */
	SLATE_CRIME_NOT_OBJECT,   /* frames, stacks or metadata given to slate_free() */
	SLATE_CRIME_NOT_STACK,    /* anything but a stack given to slate_stack_free() or _used() */
	SLATE_CRIME_PAGE_FREE,    /* slate_page_free(): a frame that is not an allocated run's */
	SLATE_CRIME_CORRUPT,      /* slate_validate(): an invariant does not hold */
	SLATE_CRIME_WRONG_STAGE,  /* a call before the start-up stage that it needs */
	SLATE_CRIME_BAD_ARGUMENT, /* an argument outside its contract */
	SLATE_CRIME_LOCK,         /* debug: lock order, or a lock taken twice by one CPU */
	SLATE_CRIME_ASSERT,       /* debug: an internal assertion */
	/* debug builds, all three: */
	SLATE_CRIME_OVERFLOW,         /* the bytes behind an object were written to */
	SLATE_CRIME_WRITE_AFTER_FREE, /* an object was written to while nobody owned it */
	SLATE_CRIME_USE_AFTER_FREE,   /* a call with an object that is free already */
	SLATE_CRIMES
};

struct slate_report {
	enum slate_crime crime;
	const char *call;    /* the public function: "slate_free" */
	const char *detail;  /* static text: which rule was broken, or the failed expression */
	uintptr_t address;   /* as the caller passed it */
	size_t size_bytes;   /* as the caller passed it, 0 if none */
	uintptr_t object;    /* start of the object concerned, 0 if unknown */
	size_t object_bytes; /* its element size, 0 if unknown */
	uintptr_t span_base; /* its span, 0 if unknown */
	size_t span_pages;
	uintptr_t damage;     /* the first byte that is not what it should be, 0 if unknown */
	uint8_t damage_found; /* what it is */
	uint8_t damage_expected;
	bool damage_is_bit; /* they differ by one bit, and no other byte is wrong */
	unsigned cpu;       /* who noticed */
	const char *file;   /* debug: where */
	int line;
};

/* A static name: "double free". */
const char *slate_crime_name(enum slate_crime crime);

/*
 * The report as one line without a newline, for instance
 * "slate_free: double free of 0xffff800000123440 (64-byte object in span 0xffff800000123000+2
 * pages) on CPU 1". buf of size_bytes is always terminated. Returns the length that the whole text
 * needs. Context: any.
 */
size_t slate_report_format(char *buf, size_t size_bytes, const struct slate_report *report);

#endif
