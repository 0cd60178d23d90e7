#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Type at the demo kernel's shell, as somebody would who looks for a leak, and hold what it answers against what was planted.

    tools/test-typed.py [ARCH]

TAP on standard output; status 1 if a line is not as it must be.
"""
import os
import re
import select
import subprocess
import sys
import time

SECONDS = 60  # for any answer
PROMPT = "slate> "


class Shell:
    def __init__(self, arch):
        self.text = ""
        self.machine = subprocess.Popen(
            ["./qemu-run.sh", "--arch", arch, "--smp", "4"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.until(PROMPT)

    def until(self, mark):
        """What comes up to the mark, without it."""
        end = time.monotonic() + SECONDS
        out = self.machine.stdout.fileno()
        while mark not in self.text:
            if not select.select([out], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"no {mark!r} within {SECONDS} s: {self.text[-500:]}")
            piece = os.read(out, 65536)
            if not piece:
                raise EOFError(f"the machine ended: {self.text[-500:]}")
            self.text += piece.decode(errors="replace").replace("\r", "")
        answer, self.text = self.text.split(mark, 1)
        return answer

    def type(self, line):
        """The lines that a command answers."""
        self.machine.stdin.write(line.encode() + b"\n")
        self.machine.stdin.flush()
        self.until("\n")  # the line's own echo
        return self.until(PROMPT).splitlines()

    def end(self):
        self.machine.stdin.write(b"poweroff\n")
        self.machine.stdin.flush()
        self.machine.wait(SECONDS)


class Cases:
    def __init__(self):
        self.count = self.failed = 0

    def check(self, name, right, answer):
        self.count += 1
        print(f"{'ok' if right else 'not ok'} {self.count} - {name}")
        if not right:
            self.failed += 1
            print("\n".join("# " + line for line in answer))

    def equal(self, name, answer, wanted):
        self.check(name, answer == wanted, answer)

    def match(self, name, answer, pattern):
        """The whole answer. Returns the match, or one of nothing."""
        found = re.fullmatch(pattern, "\n".join(answer))
        self.check(name, found, answer)
        return found or re.match("(?P<free>)(?P<metadata>)(?P<address>)", "")


COLLECTED = (r"collected {} objects, {} bytes; 0 finalizers ran; "
             r"frames free (?P<free>\d+) \+ metadata (?P<metadata>\d+)")


def frames(found):
    return int(found["free"] or 0) + int(found["metadata"] or 0)


def leak(shell, cases):
    cases.equal("a leak is planted", shell.type("leak 100 64"), ["lost 100 objects of 64 bytes"])
    answer = shell.type("leaks")
    cases.equal("leaks names it exactly", answer[:1] + answer[2:],
                ["leak size 64 count 100 bytes 6400", "leaks 100"])
    cases.check("with the first bytes of one", re.fullmatch("[0-9a-f]{64}", answer[1]), answer)


def cycle(shell, cases):
    cases.equal("a cycle is planted", shell.type("cycle 3 80"),
                ["lost 3 cycles of two objects of 80 bytes"])
    answer = shell.type("leaks")
    cases.equal("leaks names both", answer[:1] + answer[2:3] + answer[4:],
                ["leak size 64 count 100 bytes 6400", "leak size 80 count 6 bytes 480", "leaks 106"])
    cases.check("one points at the other, and at nothing else",
                re.fullmatch("(?!0{16})[0-9a-f]{16}0{48}", answer[3]), answer)


def double_free(shell, cases):
    address = cases.match("an object is allocated", shell.type("alloc 100"),
                          "(?P<address>0x[0-9a-f]+), room for 104 bytes")["address"]
    cases.equal("and freed", shell.type("free " + address), [])
    answer = shell.type("free " + address)
    cases.check("freed twice, it is named",
                re.match(rf"REPORT slate_free: double free of {address} \(104-byte object", answer[0]), answer)
    cases.check("with callers", any("called from: 0x" in line for line in answer), answer)


def after_work(shell, cases):
    """Old words of other commands keep nothing that is lost."""
    for work in ("selftest misuse", "stress 1", "selftest nmi; selftest stack", "stress 1 7; selftest object"):
        shell.type(work)
        before = shell.type("leaks")
        shell.type("leak 100 64")
        answer = shell.type("leaks")
        cases.check(f"after {work} the count is exact", before == ["leaks 0"] and answer[-1] == "leaks 100",
                    before + answer)
        shell.type("collect")


def main():
    if len(sys.argv) > 2 or (len(sys.argv) == 2 and sys.argv[1] not in ("x86_64", "aarch64")):
        print(__doc__)
        sys.exit(0 if sys.argv[1] == "-h" else 2)
    cases = Cases()
    shell = Shell(sys.argv[1] if len(sys.argv) == 2 else "x86_64")
    before = frames(cases.match("nothing is lost at first", shell.type("collect"), COLLECTED.format(0, 0)))
    leak(shell, cases)
    cycle(shell, cases)
    double_free(shell, cases)
    after = cases.match("collect frees what was lost", shell.type("collect"), COLLECTED.format(106, 6880))
    cases.check(f"all frames are back: {before}", frames(after) == before > 0, [str(frames(after))])
    cases.equal("nothing is lost then", shell.type("leaks"), ["leaks 0"])
    after_work(shell, cases)
    shell.end()
    sys.exit(cases.failed > 0)


if __name__ == "__main__":
    main()
