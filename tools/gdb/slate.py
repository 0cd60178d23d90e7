# SPDX-License-Identifier: MIT
"""Slate for gdb: what the allocator knows, read out of its own structures.

    gdb-multiarch -x tools/gdb/slate.py build/ARCH-MODE/slate.elf

    slate mem             totals, node by node
    slate spans [CLASS]   every live span, or those of one class
    slate whois ADDRESS   what lies there and who has it; the text is that of the kernel's whois
    slate caches          what each CPU's magazines and the depots hold
    slate locks           locks that somebody holds, and how many wait for them
    slate check           the invariants that a reader of memory can prove

It works on a running machine (qemu-run.sh --gdb, then target remote :1234) and on a dump of guest memory (QEMU's
dump-guest-memory, made readable by tools/slate-core). It reads memory only, and calls nothing in the kernel.
"""
import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from slate_heap import (Magazines, Span, all_spans, bit, class_of, enumerator, forget_cache, list_entries, nodes,
                        number, page, pfn_of, pointer_to, read, region_of, regions, span_of, static, value)


# ---- whois ----


def frame_text(address, pfn, magazines):
    _, region = region_of(pfn)
    if region is not None:
        index = pfn - int(region["origin"])
        if not bit(region["bitmap"], index):
            if int(region["released_pages"]) and bit(region["released"], index):
                return f"0x{address:x}: a free frame, given back"
            return f"0x{address:x}: a free frame"
    holder = magazines.holder(enumerator("PAGECLASS_FREE"), pfn + 1)
    return f"0x{address:x}: a frame, {holder}"


def event_text(what, event):
    """What the kernel's whois says of an allocation or a free, a line of its own."""
    if not int(event["known"]):
        return ""
    callers = "".join(f" 0x{int(event['pcs'][i]):x}" for i in range(int(event["depth"])))
    return f"\n  {what} on CPU {int(event['cpu'])} at {int(event['tick'])}, called from:{callers}"


def witnessed(span, index, holder):
    """In a debug build: the holder as the object's record tells it, what was asked for, and its history."""
    if not span.witnesses:
        return holder
    table = pointer_to("struct witness_table", span.witnesses).dereference()
    witness = (table["list"][0].address + index).dereference()
    state = int(witness["state"])
    if state in (enumerator("WITNESS_ASIDE"), enumerator("WITNESS_FREED")):
        holder = "free, in quarantine"
    elif state == enumerator("WITNESS_LOST"):
        holder = "given up after a report"
    elif state == enumerator("WITNESS_HOME") and span.is_large():
        holder = "free"
    if state != enumerator("WITNESS_NONE"):
        holder += f", asked for {int(witness['size_bytes'])} bytes"
    return holder + event_text("allocated", witness["allocated"]) + event_text("freed", witness["freed"])


def stack_text(address, span, magazines):
    start = span.base + (span.pages << 12) - span.elem_bytes
    head = class_of(pfn_of(start)) - enumerator("PAGECLASS_STACK_HEAD")
    holder = "taken"
    if 0 <= head < enumerator("PAGECLASS_COUNT") - enumerator("PAGECLASS_STACK_HEAD"):
        holder = magazines.holder(enumerator("PAGECLASS_COUNT") + head, start)
    holder = witnessed(span, 0, holder)
    if address < start:
        return f"0x{address:x}: the guard of a stack, {span.elem_bytes} bytes at 0x{start:x}: {holder}"
    return f"0x{address:x}: {address - start} bytes into a stack, {span.elem_bytes} bytes at 0x{start:x}: {holder}"


def object_text(address, span, magazines):
    where = f"class {span.span_class}, span 0x{span.base:x}+{span.pages}"
    index = (address - span.base) // span.elem_bytes
    if index >= span.elem_count:
        return f"0x{address:x}: behind the last of {span.elem_count} objects, {where}"
    start = span.base + index * span.elem_bytes
    holder = magazines.holder(span.span_class, start) if span.is_taken(index) else "free"
    holder = witnessed(span, index, holder)
    return (f"0x{address:x}: {address - start} bytes into object {index} of {span.elem_count}, {span.elem_bytes} bytes "
            f"at 0x{start:x}, {where}: {holder}")


def whois(address, magazines):
    pfn = pfn_of(address)
    kind = class_of(pfn)
    if kind == enumerator("PAGECLASS_NONE"):
        return f"0x{address:x}: not ours"
    if kind == enumerator("PAGECLASS_META"):
        return f"0x{address:x}: the allocator's own"
    found = span_of(pfn)
    span = Span(found) if found is not None else None
    if span is None or not 0 <= address - span.base < span.pages << 12:
        return frame_text(address, pfn, magazines)
    if span.is_manual():
        return stack_text(address, span, magazines)
    if span.is_large():
        return (f"0x{address:x}: {address - span.base} bytes into a large object, {span.elem_bytes} bytes at "
                f"0x{span.base:x}: {witnessed(span, 0, 'taken')}")
    return object_text(address, span, magazines)


# ---- check ----


def check_span(span, report):
    name = f"span 0x{span.base:x}+{span.pages} of class {span.span_class}"
    if span.state == 0:
        report(f"{name}: dead, but registered")
    if not span.is_large() and bin(span.bits()).count("1") != span.allocated:
        report(f"{name}: {span.allocated} objects allocated, {bin(span.bits()).count('1')} bits set")
    first = pfn_of(span.base)
    for pfn in (first, first + span.pages - 1):
        found = span_of(pfn)
        if found is None or int(found.address) != span.address:
            report(f"{name}: the arena map does not lead from frame 0x{pfn:x} to it")
        _, region = region_of(pfn)
        if region is not None and not bit(region["bitmap"], pfn - int(region["origin"])):
            report(f"{name}: frame 0x{pfn:x} is free")


def check_region(node, region, report):
    size = region["bitmap"].type.target().sizeof
    first, end = int(region["first_bit"]), int(region["end_bit"])
    last_byte = (end + 8 * size - 1) // (8 * size) * size
    raw = int.from_bytes(read(int(region["bitmap"]), last_byte), "little")
    ones = bin(raw >> first & ((1 << (end - first)) - 1)).count("1")
    name = f"region 0x{int(region['base']):x}+{int(region['pages'])} of node {node}"
    if end - first - ones != int(region["free_pages"]):
        report(f"{name}: {int(region['free_pages'])} frames free, {end - first - ones} zeros")
    return int(region["free_pages"])


def check_magazines(magazines, report):
    typed = 256 - magazines.typed_count()
    last_size_class = enumerator("PAGECLASS_SPAN_LAST")
    for span_class, slots in magazines.by_class.items():
        if not 2 <= span_class <= last_size_class and span_class < typed:
            continue
        for slot in slots:
            found = span_of(pfn_of(slot))
            span = Span(found) if found is not None else None
            if span is None or span.span_class != span_class or (slot - span.base) % span.elem_bytes:
                report(f"0x{slot:x} lies in a magazine of class {span_class}, but is no object of it")
            elif not span.is_taken((slot - span.base) // span.elem_bytes):
                report(f"0x{slot:x} lies in a magazine, but is free in its span")


def check():
    problems = []
    report = problems.append
    free = {node: 0 for node in nodes()}
    for node, region in regions():
        free[node] += check_region(node, region, report)
    for node in nodes():
        told = number(f"mheaps[{node}].pages.free_pages")
        if told != free[node]:
            report(f"node {node}: {told} frames free, its regions have {free[node]}")
        count = sum(1 for _ in list_entries(value(f"mheaps[{node}].all"), "struct mspan", "all_link"))
        if count != number(f"mheaps[{node}].span_count"):
            report(f"node {node}: {number(f'mheaps[{node}].span_count')} spans told, {count} registered")
    for span in all_spans():
        check_span(span, report)
    check_magazines(Magazines(), report)
    return problems


# ---- Commands ----


class SlateCommand(gdb.Command):
    """Slate's own commands: slate mem, spans, whois, caches, locks, check."""

    def __init__(self):
        super().__init__("slate", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class Subcommand(gdb.Command):
    """One of them; reads fresh memory each time."""

    def invoke(self, argument, from_tty):
        forget_cache()
        self.run(gdb.string_to_argv(argument))


class Mem(Subcommand):
    """Totals of memory, node by node: slate mem"""

    def run(self, arguments):
        print(f"{'node':>4} {'frames':>12} {'free':>12} {'objects':>12} {'stacks':>10} {'callers':>12} {'metadata':>10}")
        for node in nodes():
            heap = value(f"mheaps[{node}]")
            pages = heap["pages"]
            total = int(pages["total_pages"]) + int(heap["carved_pages"])
            print(f"{node:>4} {total:>12} {int(pages['free_pages']):>12} "
                  f"{int(heap['object_pages']):>12} {int(heap['stack_pages']):>10} {int(heap['frame_pages']):>12} "
                  f"{int(heap['metadata_pages']):>10}")
        print("frames of 4096 bytes; callers: runs that callers own, and frames in magazines")


class Spans(Subcommand):
    """Every live span, or those of one class: slate spans [CLASS]"""

    def run(self, arguments):
        if len(arguments) > 1 or not all(argument.isdecimal() for argument in arguments):
            raise gdb.GdbError("slate spans [CLASS]: a class is a number, as whois tells it")
        wanted = int(arguments[0]) if arguments else None
        shown = 0
        for span in all_spans():
            if wanted is not None and span.span_class != wanted:
                continue
            kind = "stack" if span.is_manual() else "large" if span.is_large() else f"class {span.span_class}"
            print(f"0x{span.base:x}+{span.pages:<5} node {span.node} {kind:<10} {span.elem_bytes:>8} bytes "
                  f"{span.allocated:>5} of {span.elem_count}")
            shown += 1
        print(f"{shown} spans")


class Whois(Subcommand):
    """What lies at an address, and who has it: slate whois ADDRESS..."""

    def run(self, arguments):
        if not arguments:
            raise gdb.GdbError("slate whois ADDRESS...")
        magazines = Magazines()
        for argument in arguments:
            try:
                address = int(value(argument)) & page()["mask"]
            except gdb.error as error:
                raise gdb.GdbError(f"slate whois: {error}") from None
            print(whois(address, magazines))


class Caches(Subcommand):
    """What the CPUs' magazines and the depots hold: slate caches"""

    def run(self, arguments):
        magazines = Magazines()
        for cpu, span_class, take, give in magazines.counts:
            print(f"CPU {cpu:<3} class {span_class:<3} {take:>3} to take, {give:>3} given, "
                  f"of {magazines.capacity[span_class]} each")
        for span_class, count, objects in magazines.depots:
            print(f"depot   class {span_class:<3} {count:>3} magazines, {objects} objects")
        print(f"{len(magazines.caches)} CPUs, {sum(len(v) for v in magazines.by_class.values())} slots filled")


def known_locks():
    """Name and struct mm_lock of the allocator's locks."""
    for node in nodes():
        yield f"mheap of node {node}", value(f"mheaps[{node}].lock")
        yield f"page allocator of node {node}", value(f"mheaps[{node}].pages.lock")
    for name, array in (("mcentral of class", value("mcentrals")),
                        ("mcentral of typed class", static("typed_centrals", "mm/mcentral.c")),
                        ("depot of class", static("depots", "mm/mcache.c")),
                        ("depot of typed class", static("typed_depots", "mm/mcache.c")),
                        ("records, lock", static("locks", "mm/special.c"))):
        for i in range(array.type.range()[1] + 1):
            yield f"{name} {i}", array[i]["lock"]


class Locks(Subcommand):
    """Locks that somebody holds, and how many wait for them: slate locks"""

    def run(self, arguments):
        held = [(name, lock) for name, lock in known_locks() if int(lock["spin"]["next"]) != int(lock["spin"]["owner"])]
        for name, lock in held:
            waiting = (int(lock["spin"]["next"]) - int(lock["spin"]["owner"])) % 2**16 - 1
            # debug builds know who: CPU + 1
            cpu = int(lock["owner"]) if any(field.name == "owner" for field in lock.type.fields()) else 0
            print(f"{name}: held{f' by CPU {cpu - 1}' if cpu else ''}, {waiting} wait")
        print(f"{len(held)} locks held")


class Check(Subcommand):
    """Prove what can be proven by reading: slate check"""

    def run(self, arguments):
        problems = check()
        for problem in problems:
            print(problem)
        print(f"{len(problems)} contradictions")


# ---- Pretty printers ----


class FramePrinter:
    """pfn_t and paddr_t: the address, not a struct."""

    def __init__(self, val):
        self.val = val

    def to_string(self):
        v = int(self.val["v"])
        if self.val.type.strip_typedefs().tag in ("pfn", "pfn_t") or str(self.val.type) == "pfn_t":
            return f"frame 0x{v:x}"
        return f"physical 0x{v:x}"


class SpanPrinter:
    """struct mspan: where, what, how full."""

    def __init__(self, val):
        self.val = val

    def to_string(self):
        span = self.val
        return (f"span 0x{int(span['base']):x}+{int(span['pages'])} class {int(span['span_class'])}: "
                f"{int(span['allocated'])} of {int(span['elem_count'])} objects of {int(span['elem_bytes'])} bytes")


def find_printer(val):
    printers = {"pfn_t": FramePrinter, "paddr_t": FramePrinter, "struct mspan": SpanPrinter}
    printer = printers.get(str(val.type.unqualified()))
    return printer(val) if printer else None


find_printer.name = "slate"
gdb.pretty_printers.append(find_printer)
gdb.execute("set max-value-size unlimited")
SlateCommand()
for command in (Mem, Spans, Whois, Caches, Locks, Check):
    command(f"slate {command.__name__.lower()}", gdb.COMMAND_DATA)
