#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Three heap maps of a stress run become a page, and a headless browser shows it: no script error, the figures of the last
# dump in the text, and a picture of 1400 x 900 that is left in build/test-heapmap/.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit
# shellcheck source=tools/rows.sh
. tools/rows.sh

case ${1:-} in
'') ;;
*)
	echo "usage: tools/test-heapmap.sh"
	exit 0
	;;
esac
out=$PWD/build/test-heapmap

# browse OPTION...: the page in a browser that knows no network and no earlier run.
browse() {
	timeout -k 5 60 chromium --headless=new --no-sandbox --disable-gpu --user-data-dir="$out/profile" \
		--host-resolver-rules='MAP * ~NOTFOUND' --enable-logging=stderr --window-size=1400,900 \
		--virtual-time-budget=3000 "$@" "file://$out/page.html#${link:-}"
}

# The width and height that a PNG file's header tells.
png_size() {
	od -An -tu1 -j16 -N8 "$1" | awk '{ print $3 * 256 + $4 "x" $7 * 256 + $8 }'
}

rm -rf "$out"
mkdir -p "$out"
tools/setup.sh browser || exit
./qemu-run.sh --memory 256M --timeout 120 --run 'stress 4 1 3' >"$out/log" 2>&1
row "a stress run prints three maps" test "$(grep -c '^heapmap end' "$out/log")" -eq 3
tools/slate-heapmap -o "$out/page.html" "$out/log" >"$out/tool.log"
row "they become a page" grep -q ': 3 dumps' "$out/tool.log"
browse --dump-dom >"$out/dom.html" 2>"$out/browser.log"
row "the page's script runs to its end" grep -q 'dump 3 of 3' "$out/dom.html"
row "without an error" test "$(grep -c 'CONSOLE.*Uncaught' "$out/browser.log")" -eq 0
row "it tells how much memory there is" grep -qE '2[0-9]{2} MiB of memory, [0-9.]+ MiB in use' "$out/dom.html"
row "and which object sizes" grep -qE '<td>[0-9]+ B</td><td>[0-9]+</td>' "$out/dom.html"
row "and how much is free, beside the rest" grep -qE '>free [0-9.]+ MiB, [0-9]+ %</span>' "$out/dom.html"
link='dump=1&colour=class&theme=dark' browse --dump-dom >"$out/link.html" 2>/dev/null
row "a link leads to a dump" grep -q 'dump 1 of 3' "$out/link.html"
row "to its colours" grep -qE 'data-theme="dark"' "$out/link.html"
row "and to what they tell" grep -q 'taken, but no objects' "$out/link.html"
browse --screenshot="$out/page.png" >/dev/null 2>&1
row "a picture of 1400 x 900" test "$(png_size "$out/page.png")" = 1400x900
# an empty page of that size is some 5 KB
row "with something in it" test "$(stat -c %s "$out/page.png")" -gt 40000
[ "$failed" -eq 0 ]
