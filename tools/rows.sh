# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Rows of a test script, for scripts that source it: one printed a row, counted in passed and failed. The script sets out,
# a directory.

passed=0
failed=0

# verdict STATUS NAME: the row passes if the status is 0, which is returned.
verdict() {
	local status=$1 name=$2

	if [ "$status" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $name"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $name"
	fi
	return "$status"
}

# row NAME COMMAND...: passes when the command does; if not, what it printed last is shown.
row() {
	local name=$1 status=0
	shift

	# shellcheck disable=SC2154 # out is the script's
	"$@" >"$out/row.log" 2>&1 || status=$?
	verdict "$status" "$name" || tail -n 40 "$out/row.log" | sed 's/^/    /'
}
