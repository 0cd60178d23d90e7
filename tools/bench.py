#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the kernel's benchmarks on both architectures and print them beside Linux's figures.

    tools/bench.py [FILTER]   FILTER: a row's name or a group (page, object), as for the kernel's bench command
    tools/bench.py --linux=DIR [FILTER]   Linux's figures from DIR/<arch>/rows (tools/bench-linux.sh), in a run just now

A second kernel, built with PROTECT=irqoff, adds the row object_pair_irqoff.

Under -icount every instruction takes one virtual nanosecond, so the digits are the same on every run and machine.
Linux's figures stand in tools/linux-figures.txt unless they are measured in the same run. Ends with the text size of the library on all architectures.
"""
import os
import re
import subprocess
import sys

ARCHES = ("x86_64", "aarch64")
ROW = re.compile(r"^bench (\S+) (\S+) (\S+) (-?[0-9.]+)\s*$")
TIMEOUT = "180"
IRQOFF_ROW = "object_pair_irqoff"  # of the kernel whose allocator masks interrupts


def read_figures():
    """(name, size, metric) -> (Linux x86_64, Linux arm64, goal), as text."""
    figures = {}
    with open("tools/linux-figures.txt", encoding="utf-8") as file:
        for line in file:
            fields = line.split()
            if fields and not line.startswith("#"):
                figures[tuple(fields[:3])] = tuple(fields[3:6])
    return figures


def read_rows(lines):
    matches = (ROW.match(line) for line in lines)
    return {match.groups()[:3]: match.group(4) for match in matches if match}


def use_measured(figures, directory):
    """Only what was measured stays of Linux; the goals stay."""
    measured = {}
    for arch in ARCHES:
        path = os.path.join(directory, arch, "rows")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                measured[arch] = read_rows(file)
        else:
            print(f"tools/bench.py: no {path}: nothing of Linux on {arch}")
    for key in set(figures).union(*measured.values()):
        goal = figures.get(key, ("-", "-", "-"))[2]
        figures[key] = tuple(measured.get(arch, {}).get(key, "-") for arch in ARCHES) + (goal,)


def run(arch, words, *build):
    """All rows that the kernel printed, in order. build: NAME=VALUE, another kernel than the usual one."""
    command = ["./qemu-run.sh", "--arch", arch, "--smp", "1", "--memory", "1G", "--icount", "--timeout", TIMEOUT,
               "--run", " ".join(["bench"] + words), *build]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, errors="replace", check=False)
    rows = read_rows(result.stdout.splitlines())
    if result.returncode != 0 or not rows:
        sys.stdout.write(result.stdout)
        sys.exit(f"tools/bench.py: {' '.join(command)} ended with status {result.returncode}, {len(rows)} rows")
    return rows


def print_table(results, figures):
    keys = list(dict.fromkeys(key for rows in results.values() for key in rows))
    layout = "{:<22} {:>6} {:<11} {:>9} {:>9} {:>9} {:>9} {:>7}"
    print(layout.format("", "", "", "x86_64", "Linux", "aarch64", "Linux", "goal"))
    print(layout.format("benchmark", "size", "metric", "Slate", "x86_64", "Slate", "arm64", "both"))
    for key in keys:
        linux_x86, linux_arm, goal = figures.get(key, ("-", "-", "-"))
        print(layout.format(*key, results["x86_64"].get(key, "MISSING"), linux_x86,
                            results["aarch64"].get(key, "MISSING"), linux_arm, goal))
    missing = [key for key in keys for arch in ARCHES if key not in results[arch]]
    return not missing


def print_sizes():
    print()
    for arch in ARCHES + ("arm",):
        subprocess.run(["make", "-s", "lib", f"ARCH={arch}"], check=True)


def main():
    if "-h" in sys.argv or "--help" in sys.argv:
        print(__doc__)
        return
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    figures = read_figures()
    words = [word for word in sys.argv[1:] if not word.startswith("--linux=")]
    for word in sys.argv[1:]:
        if word.startswith("--linux="):
            use_measured(figures, word.split("=", 1)[1])
    results = {}
    for arch in ARCHES:
        results[arch] = run(arch, words) if words != [IRQOFF_ROW] else {}
        if not words or words[0] in ("object", IRQOFF_ROW):
            results[arch].update(run(arch, [IRQOFF_ROW], "PROTECT=irqoff"))
    complete = print_table(results, figures)
    sys.stdout.flush()
    print_sizes()
    if not complete:
        sys.exit("tools/bench.py: a row is missing on one architecture")


main()
