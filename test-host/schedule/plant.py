#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a copy of one source of the allocator with a bug of the table in it.

    plant.py names            the bugs of the table
    plant.py plant NAME DIR   the patched file, below DIR; DIR/source says which file has to be compiled in place of
                              its own, DIR/arguments how the scheduler finds the bug

A bug whose text is not found exactly once is an error: the sources have moved on, and the table has to follow.
"""
import os
import re
import sys

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bugs.txt")
BUG = re.compile(r"^bug (\S+) in (\S+)(?: compiled in (\S+))? found by (.+)$")


def read_table():
    bugs = {}
    bug = part = None
    for number, line in enumerate(open(TABLE, encoding="utf-8"), 1):
        head = BUG.match(line)
        if head:
            name, patched, source, arguments = head.groups()
            bug = bugs[name] = {"patched": patched, "source": source or patched, "arguments": arguments, "hunks": []}
        elif line.startswith("<<<<") and bug:
            part = ["", ""]
            bug["hunks"].append(part)
            side = 0
        elif line.startswith("====") and part:
            side = 1
        elif line.startswith(">>>>") and part:
            part = None
        elif part:
            part[side] += line
        elif line.strip() and not line.startswith("#"):
            sys.exit(f"{TABLE}:{number}: what is this?")
    return bugs


def plant(name, bug, folder):
    text = open(bug["patched"], encoding="utf-8").read()
    for old, new in bug["hunks"]:
        if text.count(old) != 1:
            sys.exit(f"{TABLE}: {name}: {text.count(old)} places in {bug['patched']} match:\n{old}")
        text = text.replace(old, new)
    path = os.path.join(folder, bug["patched"])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    for name, text in ((path, text), *((os.path.join(folder, what), bug[what] + "\n") for what in ("source", "arguments"))):
        with open(name, "w", encoding="utf-8") as out:
            out.write(text)


def main(words):
    bugs = read_table()
    if words == ["names"]:
        print("\n".join(bugs))
    elif len(words) == 3 and words[0] == "plant":
        plant(words[1], bugs[words[1]], words[2])
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
