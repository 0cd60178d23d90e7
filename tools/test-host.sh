#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Run host tests two at a time and sum them up. A case that began and did not end well has failed, a crash included.
set -uo pipefail

usage() {
	cat <<-'END'
		usage: tools/test-host.sh [-v] [-c FILE] PROGRAM...
		  -v  print each case
		  -c  no total line: "PASSED FAILED" goes to FILE instead (make test adds them up)
	END
}

verbose=0
counts=
while getopts hvc: option; do
	case $option in
	v) verbose=1 ;;
	c) counts=$OPTARG ;;
	h) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
done
shift $((OPTIND - 1))
if [ $# -eq 0 ]; then
	echo "tools/test-host.sh: no such test" >&2
	exit 2
fi

# A run that hangs ends here; it is no performance target.
limit=${TEST_TIMEOUT:-600}

run_one() {
	local program=$1 log=$1.log status=0

	rm -f "$log" "$log.status"
	# TSan cannot map its shadow under much address-space randomisation.
	timeout -k 10 "$limit" setarch -R "$program" >"$log" 2>&1 || status=$?
	echo "$status" >"$log.status"
}
export -f run_one
export limit
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}

# cmocka's lines on standard input: prints how many cases passed, were skipped, failed.
count() {
	awk '
		/^\[ RUN      \]/ { running = 1 }
		running && /^\[       OK \]/ { ok++; running = 0 }
		running && /^\[  SKIPPED \]/ { skipped++; running = 0 }
		running && /^\[  FAILED  \]/ { failed++; running = 0 }
		END { print ok + 0, skipped + 0, failed + running }'
}

# shellcheck disable=SC2016 # "$1" is the inner shell's
printf '%s\0' "$@" | xargs -0 -P "${JOBS:-2}" -I '{}' bash -c 'run_one "$1"' _ '{}'

passed=0
failed=0
for program; do
	log=$program.log
	status=$(cat "$log.status" 2>/dev/null || echo 255)
	read -r ok skipped bad < <(count <"$log")
	# A leak found at the end, or a program that ran no case at all.
	if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ $((ok + skipped)) -eq 0 ]; }; then
		bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	printf '%-28s %4d ok' "${program##*/}" "$ok"
	[ "$skipped" -eq 0 ] || printf ', %d skipped' "$skipped"
	if [ "$bad" -ne 0 ]; then
		printf ', %d FAILED (status %d):\n' "$bad" "$status"
		cat "$log"
	else
		echo
		[ "$verbose" -eq 0 ] || cat "$log"
	fi
done

if [ -n "$counts" ]; then
	echo "$passed $failed" >"$counts"
else
	echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
