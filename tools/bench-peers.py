#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The malloc library beside others: the same rows on each, one after the other, round after round.

    tools/bench-peers.py [-r ROUNDS] [-o FOLDER] [ROW...]

Each figure is the median over the rounds. `best` is the best peer, the malloc library itself apart; `ratio` above 1 says
that the library is behind it, below 1 that it is ahead, whatever the row counts; `elsewhere` is what a library without a
package here took on another machine. PEERS=path.so[:path.so...] in the
environment adds libraries. Peers that are not installed are passed over. Plots and the table go to FOLDER
(build/bench): pairs.svg (time by size), scaling.svg, memory.svg, peers.txt.
"""
import argparse
import glob
import os
import platform
import statistics
import subprocess
import sys

DRIVER = "build/bench/rows"
OURS = "build/host-release/libslate-malloc.so"
PEERS = [
    ("jemalloc", "/usr/lib/*/libjemalloc.so.2"),
    ("mimalloc", "/usr/lib/*/libmimalloc.so.2"),
    ("tcmalloc", "/usr/lib/*/libtcmalloc_minimal.so.4"),
    ("tbb", "/usr/lib/*/libtbbmalloc_proxy.so.2"),
    ("scudo", "/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-" + platform.machine() + ".so"),
]

# Name, arguments of the driver, which of its figures, what it counts, goal.
PAIRS = [(f"pair {size}", f"pair {size}", 0, "ns", "best peer" if size <= 1024 else goal)
         for size, goal in [(8, 0), (64, 0), (256, 0), (1024, 0), (4096, "7"), (8192, "7"), (16384, "7"), (32768, "7"),
                            (131072, "16"), (1048576, "25")]]
ROWS = PAIRS + [
    ("1000 x 64, alloc", "batch 64", 0, "ns", "best peer"),
    ("1000 x 64, free", "batch 64", 1, "ns", "best peer"),
    ("100000 x 64 shuffled, alloc", "shuffled 64", 0, "ns", "best peer"),
    ("100000 x 64 shuffled, free", "shuffled 64", 1, "ns", "best peer"),
    ("1000 x 16384 shuffled, alloc", "shuffled 16384", 0, "ns", "best peer"),
    ("1000 x 16384 shuffled, free", "shuffled 16384", 1, "ns", "best peer"),
    ("other thread frees, 64", "pass 64", 0, "ns", "best peer"),
    ("other thread frees, 1024", "pass 1024", 0, "ns", "best peer"),
    ("churn, 1 thread", "churn 1", 0, "Mops", "best peer"),
    ("churn, 2 threads", "churn 2", 0, "Mops", "best peer"),
    ("churn, 2 threads / 1", None, 0, "x", "1.95"),
    ("resident / live, 24", "resident 24", 0, "", "1.33"),
    ("resident / live, 40", "resident 40", 0, "", "1.22"),
    ("resident / live, 100", "resident 100", 0, "", "1.13"),
    ("resident / live, 200", "resident 200", 0, "", "1.06"),
    ("resident / live, 600", "resident 600", 0, "", "1.10"),
    ("resident / live, long life", "fragmentation", 0, "", "1.38"),
]
MORE_IS_BETTER = ("Mops", "x")

# Measured once, on another machine: libraries that Debian has no package of. They judge nothing here.
ELSEWHERE = {f"pair {size}": "snmalloc 5.1-5.9" for size in (8, 64, 256, 1024)} | {
    "pair 1048576": "rpmalloc 16",
    "1000 x 64, free": "rpmalloc 2.8",
    "other thread frees, 64": "snmalloc 19.7",
    "other thread frees, 1024": "snmalloc 41",
}


def libraries():
    """Name -> path, None for the C library's own."""
    found = {"glibc": None}
    for name, pattern in PEERS:
        paths = sorted(glob.glob(pattern))
        if paths:
            found[name] = paths[-1]
        else:
            print(f"bench-peers: no {name} ({pattern})", file=sys.stderr)
    for path in filter(None, os.environ.get("PEERS", "").split(":")):
        found[os.path.basename(path).split(".")[0]] = os.path.abspath(path)
    found["slate"] = os.path.abspath(OURS)
    return found


def figures_of(library, arguments):
    """What the driver prints on a library; nothing when it does not end well."""
    env = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "SLATE_STATS")}
    if library:
        env["LD_PRELOAD"] = library
    try:
        result = subprocess.run([DRIVER] + arguments.split(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                                text=True, timeout=120, check=True)
        return [float(line) for line in result.stdout.split()]
    except (subprocess.SubprocessError, ValueError) as error:
        print(f"bench-peers: {library or 'glibc'} {arguments}: {error}", file=sys.stderr)
        return []


def measure(rows, found, rounds):
    """(library, driver's arguments) -> a list of the rounds' figures."""
    runs = {}
    needed = list(dict.fromkeys(row[1] for row in rows if row[1]))
    for number in range(rounds):
        for arguments in needed:
            for name, path in found.items():
                figures = figures_of(path, arguments)
                if figures:
                    runs.setdefault((name, arguments), []).append(figures)
        print(f"bench-peers: round {number + 1} of {rounds}", file=sys.stderr)
    return runs


def median(runs, name, row):
    if row[1] is None:
        one, two = (median(runs, name, ("", f"churn {n}", 0)) for n in (1, 2))
        return two / one if one and two else None
    figures = [run[row[2]] for run in runs.get((name, row[1]), []) if len(run) > row[2]]
    return statistics.median(figures) if figures else None


def best_of(row, figures):
    peers = {name: figure for name, figure in figures.items() if name != "slate" and figure is not None}
    if not peers:
        return None
    choose = max if row[3] in MORE_IS_BETTER else min
    return choose(peers, key=peers.get)


def table(rows, names, runs):
    lines = ["{:<30}{:>5}".format("row", "") + "".join(f"{name:>10.9}" for name in names) +
             "{:>11}{:>7}{:>11}{:>18}".format("best", "ratio", "goal", "elsewhere")]
    behind, second = [], []
    for row in rows:
        figures = {name: median(runs, name, row) for name in names}
        best = best_of(row, figures)
        ratio = ""
        if best and figures["slate"]:
            value = figures["slate"] / figures[best]
            value = 1 / value if row[3] in MORE_IS_BETTER else value
            ratio = f"{value:.2f}"
            if is_behind(row, figures["slate"], value):
                behind.append(f"{row[0]} ({ratio} of {best}, goal {row[4]})")
            if round(value, 2) > 1.0:
                second.append(f"{row[0]} ({ratio} of {best})")
        digits = 2 if row[3] in ("", "x") else 1
        cells = "".join(f"{figure:>10.{digits}f}" if figure is not None else f"{'-':>10}" for figure in figures.values())
        lines.append(f"{row[0]:<30}{row[3]:>5}{cells}{best or '-':>11}{ratio:>7}{row[4]:>11}"
                     f"{ELSEWHERE.get(row[0], ''):>18}".rstrip())
    lines.append("behind its goal: " + ("; ".join(behind) or "none"))
    lines.append("behind the best peer: " + ("; ".join(second) or "none"))
    return lines


def is_behind(row, figure, ratio):
    """Against its goal: a figure, or the best peer."""
    if row[4] == "best peer":
        return round(ratio, 2) > 1.0
    goal = float(row[4])
    return figure < goal if row[3] in MORE_IS_BETTER else round(figure, 2) > goal


def machine():
    model, memory = "?", "?"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith(("model name", "CPU part")):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(file.readline().split()[1]) >> 20
    return [f"machine: {model}, {len(os.sched_getaffinity(0))} cores, {memory} GiB, {platform.system()} "
            f"{platform.release()}, {' '.join(platform.libc_ver())}",
            f"load before: {os.getloadavg()[0]:.1f}; threads pinned, libraries interleaved"]


# ---- Plots ----

def write_data(path, header, lines):
    with open(path, "w", encoding="utf-8") as file:
        for fields in [header] + lines:
            file.write("\t".join(str(field) for field in fields) + "\n")


def gnuplot(folder, name, script):
    text = f"set terminal svg size 900,520 font 'sans,13' background 'white'\nset output '{folder}/{name}.svg'\n" \
           f"set datafile separator '\\t'\nset datafile missing '-'\nset grid ytics\nset key outside\n{script}\n"
    try:
        subprocess.run(["gnuplot"], input=text, text=True, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"bench-peers: no {name}.svg: {error}", file=sys.stderr)


def plot(folder, names, runs):
    def cell(name, row):
        figure = median(runs, name, row)
        return "-" if figure is None else f"{figure:.4f}"

    def series(rows, label, name, title, ylabel, style, more=""):
        lines = [[label(row)] + [cell(column, row) for column in names] for row in rows]
        if all(field == "-" for line in lines for field in line[1:]):
            return
        path = os.path.join(folder, f"{name}.tsv")
        write_data(path, ["# row"] + list(names), lines)  # gnuplot must not draw it
        columns = ", ".join(f"'{path}' using {column} title '{names[column - 2]}' {style(column)}"
                            for column in range(2, len(names) + 2))
        columns = columns.replace("using ", "using 1:") if "logscale x" in more else columns
        gnuplot(folder, name, f"set title '{title}'\nset ylabel '{ylabel}'\n{more}\nplot {columns}")

    bars = "set style data histogram\nset style histogram cluster gap 1\nset style fill solid 0.8\nset yrange [0:*]"
    by_name = {row[0]: row for row in ROWS}
    sizes = ", ".join(f"'{size}' {size}" if size < 1024 else f"'{size >> 10}K' {size}"
                      for size in (int(row[1].split()[1]) for row in PAIRS))
    series(PAIRS, lambda row: row[1].split()[1], "pairs", "malloc and free of one size", "ns a pair",
           lambda column: "with linespoints" + (" lw 3" if column == len(names) + 1 else ""),
           f"set logscale x 2\nset logscale y\nset xlabel 'bytes'\nset xtics ({sizes})")
    series([by_name["churn, 1 thread"], by_name["churn, 2 threads"]], lambda row: row[1], "scaling",
           "random churn, 16 to 1024 bytes", "million operations a second",
           lambda column: "" if column > 2 else "", bars + "\nset xtics ('1 thread' 0, '2 threads' 1)")
    memory = [row for row in ROWS if row[3] == ""]
    ticks = ", ".join(f"'{row[0].split(', ')[1]}' {index}" for index, row in enumerate(memory))
    series(memory, lambda row: row[1], "memory", "resident memory over what was asked for", "ratio",
           lambda column: "", bars.replace("[0:*]", "[0.8:*]") + f"\nset xtics ({ticks})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-r", "--rounds", type=int, default=5)
    parser.add_argument("-o", "--folder", default="build/bench")
    parser.add_argument("row", nargs="*", help="only rows whose name contains one of these")
    options = parser.parse_args()
    rows = [row for row in ROWS if not options.row or any(word in row[0] for word in options.row)]
    if any(row[1] is None for row in rows):
        rows = [row for row in ROWS if row in rows or row[1] in ("churn 1", "churn 2")]
    if not rows:
        sys.exit("bench-peers: no such row")
    head = machine()
    found = libraries()
    runs = measure(rows, found, options.rounds)
    lines = head + [""] + table(rows, list(found), runs)
    print("\n".join(lines))
    os.makedirs(options.folder, exist_ok=True)
    with open(os.path.join(options.folder, "peers.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    plot(options.folder, list(found), runs)


main()
