# SPDX-License-Identifier: MIT
"""The allocator's structures, read out of memory by gdb: frames, spans, regions, magazines. For slate.py."""
import functools
import struct

import gdb


# ---- Reading ----


def value(expression):
    return gdb.parse_and_eval(expression)


def number(expression):
    return int(value(expression))


@functools.lru_cache(maxsize=None)
def enumerator(name):
    """A constant of an enum, which every file that uses it describes."""
    symbol = gdb.lookup_symbol(name)[0] or gdb.lookup_global_symbol(name)
    if symbol:
        return int(symbol.value())
    return number(name)


@functools.lru_cache(maxsize=None)
def static(name, file):
    """A static variable of one file of mm/."""
    return value(f"'{file}'::{name}")


@functools.lru_cache(maxsize=None)
def word_format():
    size = gdb.lookup_type("unsigned long").sizeof
    return size, "<Q" if size == 8 else "<I"


def read(address, length):
    return bytes(gdb.selected_inferior().read_memory(address, length))


def word(address):
    size, form = word_format()
    return struct.unpack(form, read(address, size))[0]


def words(address, count):
    size, form = word_format()
    return struct.unpack(f"<{count}{form[1]}", read(address, size * count))


def pointer_to(type_name, address):
    return gdb.Value(address).cast(gdb.lookup_type(type_name).pointer())


def forget_cache():
    """Constants of a binary stay; what was read of memory may have changed."""
    PAGE.clear()


PAGE = {}


def page():
    """Constants of this binary and this run."""
    if not PAGE:
        mask = (1 << 8 * word_format()[0]) - 1
        PAGE.update(
            mask=mask,
            shift=12,
            offset=number("directmap_offset") & mask,
            arena_shift=len(bin(array_length("span_of", "struct arena"))) - 3,
            window_first=number("arena_window.first.v"),
            window_pages=number("arena_window.pages"),
            window_map=number("arena_window.class_of"),
        )
    return PAGE


def array_length(field, type_name):
    array = [f for f in gdb.lookup_type(type_name).fields() if f.name == field][0].type
    low, high = array.range()
    return high - low + 1


@functools.lru_cache(maxsize=None)
def offset_of(type_name, field):
    return [f for f in gdb.lookup_type(type_name).fields() if f.name == field][0].bitpos // 8


# ---- Frames, arenas, spans ----


def pfn_of(address):
    p = page()
    return ((address - p["offset"]) & p["mask"]) >> p["shift"]


def virt_of(pfn):
    p = page()
    return ((pfn << p["shift"]) + p["offset"]) & p["mask"]


@functools.lru_cache(maxsize=None)
def index_shape():
    """Bits of an arena number that select in a block, and entries of the first level."""
    low, high = value("'mm/arena.c'::index_l1").type.range()
    entries = array_length("arenas", "struct index_block")
    return entries.bit_length() - 1, high - low + 1


def arena_of(pfn):
    """Address of the struct arena that holds the frame, or 0."""
    arena_number = pfn >> page()["arena_shift"]
    low_bits, entries = index_shape()
    if arena_number >> low_bits >= entries:
        return 0
    size = word_format()[0]
    block = word(int(value("&'mm/arena.c'::index_l1")) + (arena_number >> low_bits) * size)
    if not block:
        return 0
    return word(block + (arena_number & ((1 << low_bits) - 1)) * size)


def class_of(pfn):
    p = page()
    at = pfn - p["window_first"]
    if 0 <= at < p["window_pages"]:
        return read(p["window_map"] + at, 1)[0]
    arena = arena_of(pfn)
    if not arena:
        return enumerator("PAGECLASS_NONE")
    bytes_of = word(arena + offset_of("struct arena", "class_of"))
    return read(bytes_of + (pfn & ((1 << p["arena_shift"]) - 1)), 1)[0]


def span_of(pfn):
    """The struct mspan of a frame whose class says it has one, or None."""
    if class_of(pfn) in (enumerator("PAGECLASS_NONE"), enumerator("PAGECLASS_FREE"), enumerator("PAGECLASS_META")):
        return None
    index = pfn & ((1 << page()["arena_shift"]) - 1)
    at = arena_of(pfn) + offset_of("struct arena", "span_of") + index * word_format()[0]
    address = word(at)
    return pointer_to("struct mspan", address).dereference() if address else None


class Span:
    """The fields of a struct mspan, read once."""

    def __init__(self, span):
        self.address = int(span.address)
        for field in ("base", "elem_bytes", "elem_count", "allocated", "span_class", "pages", "node", "state"):
            setattr(self, field, int(span[field]))
        self.alloc_bits = int(span["alloc_bits"])
        # debug builds: a table of records, one an object
        names = [field.name for field in span.type.strip_typedefs().fields()]
        self.witnesses = int(span["witnesses"]) if "witnesses" in names else 0

    def is_manual(self):
        return self.span_class == enumerator("PAGECLASS_STACK")

    def is_large(self):
        return self.span_class == enumerator("PAGECLASS_LARGE")

    def bits(self):
        size = 8 * word_format()[0]
        count = (self.elem_count + size - 1) // size
        joined = sum(bits << (i * size) for i, bits in enumerate(words(self.alloc_bits, count)))
        return joined & ((1 << self.elem_count) - 1)

    def is_taken(self, index):
        return bool(self.bits() >> index & 1)


def list_entries(head, type_name, field):
    """The elements of a struct list whose links are that field."""
    at, first = int(head["next"]), int(head.address)
    offset = offset_of(type_name, field)
    while at not in (first, 0):
        yield pointer_to(type_name, at - offset).dereference()
        at = word(at)


def nodes():
    return range(number("mheap_nodes"))


def all_spans():
    for node in nodes():
        for span in list_entries(value(f"mheaps[{node}].all"), "struct mspan", "all_link"):
            yield Span(span)


# ---- Regions of the page allocators ----


def regions():
    """(node, region) of every region, the isolated ones too."""
    for node in nodes():
        pages = value(f"mheaps[{node}].pages")
        for field in ("regions", "isolated"):
            region = pages[field]
            while int(region):
                yield node, region.dereference()
                region = region["next"] if field == "regions" else gdb.Value(0)


def region_of(pfn):
    for node, region in regions():
        if 0 <= pfn - int(region["base"]) < int(region["pages"]):
            return node, region
    return None, None


def bit(bitmap, index):
    size = bitmap.type.target().sizeof
    raw = read(int(bitmap) + index // (8 * size) * size, size)
    return int.from_bytes(raw, "little") >> (index % (8 * size)) & 1


# ---- Magazines ----


class Magazines:
    """What all magazines hold, class by class: value -> (holder, cpu)."""

    def __init__(self):
        self.by_class = {}
        dummy = int(value("&magazine_dummy"))
        self.slots = array_length("slot", "struct magazine")
        self.word = word_format()[0]
        self.dummy_top = dummy + (self.slots - 1) * self.word
        capacity = value("'mm/mcache.c'::capacity")
        self.capacity = [int(capacity[i]) for i in range(256)]
        self.caches = []
        low, high = value("mcaches").type.range()
        for cpu, cache in enumerate(words(int(value("&mcaches")), high - low + 1)):
            if cache:
                self.caches.append((cpu, cache))
        if not number("mcache_any_online"):
            self.caches.append((0, int(value("&mcache_boot"))))
        self.read_all()

    def contents(self, top, span_class):
        if top == self.dummy_top or not self.capacity[span_class]:
            return []
        base = top & ~(self.slots * self.word - 1)
        floor = self.slots - 1 - self.capacity[span_class]
        count = (top - base) // self.word - floor
        # a NULL is the place of a sample of the heap profile: its object lies in slot 0
        aside = words(base, 1)[0]
        return [slot or aside for slot in words(base + (floor + 1) * self.word, count)] if count > 0 else []

    def read_all(self):
        self.counts = []
        for cpu, cache in self.caches:
            take = words(cache + offset_of("struct mcache", "take"), 256)
            give = words(cache + offset_of("struct mcache", "give"), 256)
            for span_class in range(256):
                sides = self.contents(take[span_class], span_class), self.contents(give[span_class], span_class)
                if sides[0] or sides[1]:
                    self.counts.append((cpu, span_class, len(sides[0]), len(sides[1])))
                for slot in sides[0] + sides[1]:
                    self.by_class.setdefault(span_class, {})[slot] = ("CPU", cpu)
        self.read_depots()
        self.read_page_caches()

    def read_page_caches(self):
        """Free frames of the group of 64 that each CPU has of its own."""
        frames = self.by_class.setdefault(enumerator("PAGECLASS_FREE"), {})
        for cpu, cache in self.caches:
            pages = pointer_to("struct mcache", cache)["pages"]
            base = int(pages["base"])
            low, high = pages["free"].type.range()
            bits = pages["free"][low].type.sizeof * 8
            free = sum(int(pages["free"][i]) << bits * (i - low) for i in range(low, high + 1))
            for i in range(64):
                if free >> i & 1:
                    frames[base + i + 1] = ("CPU", cpu)

    def read_depots(self):
        self.depots = []
        for name, first in (("depots", 0), ("typed_depots", 256 - self.typed_count())):
            array = value(f"'mm/mcache.c'::{name}")
            low, high = array.type.range()
            for i in range(high - low + 1):
                count = int(array[i]["count"])
                span_class = first + i
                if not count or not self.capacity[span_class]:
                    continue
                self.depots.append((span_class, count, count * self.capacity[span_class]))
                for k in range(count):
                    full = int(array[i]["full"][k])
                    for slot in self.contents(full + (self.slots - 1) * self.word, span_class):
                        self.by_class.setdefault(span_class, {})[slot] = ("depot", 0)

    @staticmethod
    def typed_count():
        low, high = value("'mm/mcache.c'::typed_depots").type.range()
        return high - low + 1

    def holder(self, span_class, slot):
        """The words of the kernel's whois."""
        found = self.by_class.get(span_class, {}).get(slot)
        if not found:
            return "taken"
        return f"free, cached on CPU {found[1]}" if found[0] == "CPU" else "free, cached in the depot"
