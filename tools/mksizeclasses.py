#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Choose the size classes, prove what is promised about them, and write mm/sizeclass_table.[ch],
mm/rseq_table.c and include/slate/classes.h.

    tools/mksizeclasses.py            write the files
    tools/mksizeclasses.py --check    fail unless the committed files are what this tool writes
    tools/mksizeclasses.py --print    one line per class

How they are chosen: multiples of 8 up to 128 and every power of two are classes; the others come from a dynamic
program over all candidates that takes the given number of classes with the least mean cost, sizes weighted evenly
on a logarithmic scale, among all sets whose worst waste keeps the bound. The cost of a size is what a full span
takes for it, plus KEPT of that times the chance that a span is held by at least one object when a random 90 % of
all are freed: spans of few objects come back.

What is proven, by looking at every size, every class and every offset (prove()):
  1. For every size from BOUND_FROM up, at most 1/8 of the span is lost when the span is full of objects of that size:
     (class - size) * objects + tail <= span / 8. Smaller sizes lose at most 7 bytes an object, and the tail.
  2. The tail alone is at most 2 % of the span.
  3. Every size that is a multiple of 16 falls into a class that is one, every power of two into itself, and every
     size into the smallest class that holds it.
  4. offset * magic >> 32 is the object's number for every offset in the span.
  5. A span has at most 1024 objects and 16 frames.
"""
import functools
import itertools
import os
import sys

PAGE = 4096
MAX_BYTES = 32768
SMALL_MAX = 8192
RSEQ_TAKE = 256  # where take tops begin, mm/rseq.h
MAX_ELEMS = 1024
MAX_PAGES = 16
COUNT = 72  # class 0, which is none, included
BOUND_FROM = 57

# What a span costs beside its frames: the struct, and a bitmap of its own above 128 objects. A span is as short as
# this and its tail together allow. Up to FEW_FROM bytes a shorter one would still have too many objects to become
# free by chance, the more so up to MANY_TO; above, less of them is worth a little more.
STRUCT_BYTES = 128
BITS_BYTES = 128
MANY_TO = 128
MANY_OVERHEAD = 0.0085
OVERHEAD = 0.0125
FEW_FROM = 257
FEW_OVERHEAD = 0.0325  # two frames with half of it as the tail
FEW_PAGES = 2  # a span takes as long to make as dozens of objects to give
TAIL = 0.02
LEFT = 0.1  # of all objects, after that free
KEPT = 0.3


def overhead_bytes(size, pages):
    elems = pages * PAGE // size
    tail = pages * PAGE - elems * size
    return tail + STRUCT_BYTES + (BITS_BYTES if elems > 128 else 0)


@functools.cache
def span_pages(size):
    """The shortest span whose overhead is small, or else the span with the least."""
    bound, first = (OVERHEAD, 1) if size < FEW_FROM else (FEW_OVERHEAD, FEW_PAGES)
    if size <= MANY_TO:
        bound = MANY_OVERHEAD
    best = None
    for pages in range(first, MAX_PAGES + 1):
        elems = pages * PAGE // size
        if elems == 0:
            continue
        if elems > MAX_ELEMS:
            break
        share = overhead_bytes(size, pages) / (pages * PAGE)
        if share <= bound and pages * PAGE - elems * size <= TAIL * pages * PAGE:
            return pages
        if best is None or share < best[0]:
            best = (share, pages)
    return best[1]


def elems_of(size):
    return span_pages(size) * PAGE // size


def tail_of(size):
    return span_pages(size) * PAGE - elems_of(size) * size


def worst_waste(smallest, size):
    """Bytes of a full span that are lost when every object has `smallest` bytes."""
    return (size - smallest) * elems_of(size) + tail_of(size)


def is_pow2(n):
    return n & (n - 1) == 0


def candidates():
    """Sizes above 128 that may be classes: coarser where sizes are large, and only with a small tail."""
    size = 128
    while size < MAX_BYTES:
        size += 16 if size < 1024 else 64 if size < 4096 else 128
        if tail_of(size) <= TAIL * span_pages(size) * PAGE or is_pow2(size):
            yield size


def choose():
    """The classes above 128: exactly COUNT - 17 of them, of least mean waste."""
    nodes = [128] + list(candidates())
    wanted = COUNT - 1 - 16
    # sums over all sizes up to n, for integrals of (footprint / size - 1) d(log size)
    by_size = list(itertools.accumulate([0] + [1 / s for s in range(1, MAX_BYTES + 1)]))
    by_square = list(itertools.accumulate([0] + [1 / s**2 for s in range(1, MAX_BYTES + 1)]))
    best = {(0, 0): (0.0, None)}  # (classes so far, last node) -> (waste, node before)
    for k in range(wanted):
        for i, low in enumerate(nodes):
            if (k, i) not in best:
                continue
            for j in range(i + 1, len(nodes)):
                high = nodes[j]
                if worst_waste(low + 1, high) * 8 > span_pages(high) * PAGE:
                    if high - low > high // 7:
                        break
                    continue
                elems = elems_of(high)
                footprint = (span_pages(high) * PAGE + STRUCT_BYTES) / elems
                if high >= FEW_FROM:
                    footprint *= 1 + KEPT * (1 - (1 - LEFT)**elems)
                cost = best[k, i][0] + footprint * (by_square[high] - by_square[low]) - (
                    by_size[high] - by_size[low])
                if (k + 1, j) not in best or cost < best[k + 1, j][0]:
                    best[k + 1, j] = (cost, i)
                if is_pow2(high):
                    break
    classes = []
    node = len(nodes) - 1
    for k in range(wanted, 0, -1):
        classes.append(nodes[node])
        node = best[k, node][1]
    return [0] + list(range(8, 129, 8)) + classes[::-1]


def magic_of(size):
    return ((1 << 32) + size - 1) // size


def tables(classes):
    by_8 = []
    by_128 = []
    c = 1
    for size in range(0, SMALL_MAX + 1, 8):
        while classes[c] < size:
            c += 1
        by_8.append(c)
    for size in range(SMALL_MAX, MAX_BYTES + 1, 128):
        while classes[c] < size:
            c += 1
        by_128.append(c)
    return by_8, by_128


def class_of(by_8, by_128, size):
    """As mm/sizeclass.h computes it."""
    if size <= SMALL_MAX:
        return by_8[(size + 7) // 8]
    return by_128[(size - SMALL_MAX + 127) // 128]


def prove(classes):
    by_8, by_128 = tables(classes)
    assert len(classes) == COUNT and classes[-1] == MAX_BYTES
    assert classes == sorted(set(classes))
    for size in range(1, MAX_BYTES + 1):
        c = class_of(by_8, by_128, size)
        elem = classes[c]
        assert classes[c - 1] < size <= elem
        assert size % 16 or elem % 16 == 0
        assert not is_pow2(size) or size < 8 or elem == size
        if size >= BOUND_FROM:
            assert worst_waste(size, elem) * 8 <= span_pages(elem) * PAGE, (size, elem)
        else:
            assert elem - size <= 7
    for elem in classes[1:]:
        pages, elems, magic = span_pages(elem), elems_of(elem), magic_of(elem)
        assert 1 <= elems <= MAX_ELEMS and pages <= MAX_PAGES and magic < 1 << 32
        assert tail_of(elem) <= TAIL * pages * PAGE, elem
        for offset in range(pages * PAGE):
            assert offset * magic >> 32 == offset // elem, (elem, offset)


def array(ctype, name, bound, values):
    lines = [f"const {ctype} {name}[{bound}] = {{"]
    line = "\t"
    for value in values:
        text = f"{value}, "
        if len(line) + len(text) > 92:
            lines.append(line.rstrip())
            line = "\t"
        line += text
    lines += [line.rstrip(), "};", ""]
    return lines


def header(classes):
    worst = max(
        worst_waste(size, elem) / (span_pages(elem) * PAGE)
        for low, elem in zip(classes, classes[1:])
        for size in [max(low + 1, BOUND_FROM)] if elem >= size)
    tail = max(tail_of(c) / (span_pages(c) * PAGE) for c in classes[1:])
    by_8 = SMALL_MAX // 8 + 1
    by_128 = (MAX_BYTES - SMALL_MAX) // 128 + 1
    return f"""/* SPDX-License-Identifier: MIT */
/*
 * sizeclass_table.h - written by tools/mksizeclasses.py, which proves what it says; do not edit.
 *
 * {COUNT - 1} classes. A full span of objects of any one size from {BOUND_FROM} bytes up loses at most {100 * worst:.2f} % (bound: 12.5 %),
 * rounding and tail together; the tail alone at most {100 * tail:.2f} %. Smaller sizes lose at most 7 bytes an object.
 */
/* clang-format off */
#ifndef MM_SIZECLASS_TABLE_H
#define MM_SIZECLASS_TABLE_H

#include <stdint.h>

#define SIZECLASS_COUNT     {COUNT} /* class 0, which is none, included */
#define SIZECLASS_MAX_BYTES {MAX_BYTES}
#define SIZECLASS_SMALL_MAX {SMALL_MAX} /* by steps of 8 up to here, of 128 above */
#define SIZECLASS_MAX_ELEMS {max(elems_of(c) for c in classes[1:])}
#define SIZECLASS_MAX_PAGES {max(span_pages(c) for c in classes[1:])}

extern const uint16_t sizeclass_bytes[SIZECLASS_COUNT]; /* of one object */
extern const uint8_t sizeclass_pages[SIZECLASS_COUNT];  /* of a span */
extern const uint16_t sizeclass_elems[SIZECLASS_COUNT]; /* objects of a span */
extern const uint32_t sizeclass_magic[SIZECLASS_COUNT]; /* offset * magic >> 32 = number of the object */
extern const uint8_t sizeclass_by_8[{by_8}];
extern const uint8_t sizeclass_by_128[{by_128}];

#endif
"""


def source(classes):
    by_8, by_128 = tables(classes)
    rest = classes[1:]
    lines = [
        "/* SPDX-License-Identifier: MIT */",
        "/* sizeclass_table.c - written by tools/mksizeclasses.py; do not edit. */",
        "/* clang-format off */",
        '#include "mm/sizeclass_table.h"',
        "",
    ]
    lines += array("uint16_t", "sizeclass_bytes", "SIZECLASS_COUNT", classes)
    lines += array("uint8_t", "sizeclass_pages", "SIZECLASS_COUNT", [0] + list(map(span_pages, rest)))
    lines += array("uint16_t", "sizeclass_elems", "SIZECLASS_COUNT", [0] + list(map(elems_of, rest)))
    lines += array("uint32_t", "sizeclass_magic", "SIZECLASS_COUNT", [0] + list(map(magic_of, rest)))
    lines += array("uint8_t", "sizeclass_by_8", len(by_8), by_8)
    lines += array("uint8_t", "sizeclass_by_128", len(by_128), by_128)
    return "\n".join(lines[:-1]) + "\n"


def rseq_source(classes):
    """The size table of the restartable sequences: the index of the take top, for a span class without noscan."""
    by_8, _ = tables(classes)
    lines = [
        "/* SPDX-License-Identifier: MIT */",
        "/* rseq_table.c - written by tools/mksizeclasses.py; do not edit. */",
        "/* clang-format off */",
        "#include <slate/config.h>",
        "",
        "#if SLATE_PROTECT == SLATE_PROTECT_RSEQ",
        "",
        '#include "mm/rseq.h"',
        "",
    ]
    lines += array("uint16_t", "slate_rseq_size_index", len(by_8), [RSEQ_TAKE + 2 * c for c in by_8])
    return "\n".join(lines) + "#endif\n"


def public_header(classes):
    """What a kernel's own code needs to fold a constant size into the index of a take top."""
    by_8, _ = tables(classes)
    lines = [
        "/* SPDX-License-Identifier: MIT */",
        "/* clang-format off */",
        "/*",
        " * classes.h - the size classes, for the inline front ends; written by tools/mksizeclasses.py; do not edit.",
        " * The table is folded away: it is only read with constant sizes.",
        " */",
        "#ifndef SLATE_CLASSES_H",
        "#define SLATE_CLASSES_H",
        "",
        "#include <stdint.h>",
        "",
        f"#define SLATE_FOLD_MAX  {SMALL_MAX} /* largest size in bytes that is folded */",
        f"#define SLATE_FOLD_TAKE {RSEQ_TAKE} /* take index - give index of a class */",
        "",
        "/* By (size + 7) / 8: the argument of slate_alloc_index(). */",
        "__attribute__((unused))",
    ]
    table = array("uint16_t", "slate_fold_index", len(by_8), [RSEQ_TAKE + 2 * c for c in by_8])
    table[0] = "static " + table[0]
    return "\n".join(lines + table) + "\n#endif\n"


def print_classes(classes):
    print("class  bytes  pages  objects  tail  worst waste %")
    for c in range(1, COUNT):
        size = classes[c]
        span = span_pages(size) * PAGE
        print(f"{c:5} {size:6} {span // PAGE:6} {elems_of(size):8} {tail_of(size):5} "
              f"{100 * worst_waste(classes[c - 1] + 1, size) / span:8.2f}")


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mm")
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    if mode not in ("", "--check", "--print"):
        sys.exit(__doc__)
    classes = choose()
    prove(classes)
    if mode == "--print":
        print_classes(classes)
        return
    for name, text in (("sizeclass_table.h", header(classes)), ("sizeclass_table.c", source(classes)),
                       ("rseq_table.c", rseq_source(classes)),
                       ("../include/slate/classes.h", public_header(classes))):
        path = os.path.join(root, name)
        if mode == "--check":
            with open(path, encoding="utf-8") as file:
                if file.read() != text:
                    sys.exit(f"mm/{name} is not what tools/mksizeclasses.py writes: run it")
            continue
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
