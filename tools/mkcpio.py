#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write an archive (cpio, "newc") that Linux unpacks as its first file system.

    tools/mkcpio.py ARCHIVE NAME=FILE...   each FILE under NAME, executable; /dev/console as well
"""
import sys


def entry(name, mode, data=b"", device=(0, 0)):
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return header + b"\0" * (-len(header) % 4) + data + b"\0" * (-len(data) % 4)


def main():
    if len(sys.argv) < 3 or not all("=" in word for word in sys.argv[2:]):
        sys.exit(__doc__)
    parts = [entry("dev", 0o040755), entry("dev/console", 0o020600, device=(5, 1))]
    for word in sys.argv[2:]:
        name, path = word.split("=", 1)
        with open(path, "rb") as file:
            parts.append(entry(name, 0o100755, file.read()))
    with open(sys.argv[1], "wb") as file:
        file.write(b"".join(parts) + entry("TRAILER!!!", 0))


main()
