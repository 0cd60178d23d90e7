#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Programs on the malloc library: small ones that try its interface, and real ones whose output must be right.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit
# shellcheck source=tools/rows.sh
. tools/rows.sh

counts=
long=0
while getopts hLc: option; do
	case $option in
	c) counts=$OPTARG ;;
	L) long=1 ;;
	*)
		cat <<-'END'
			usage: tools/test-shim.sh [-L] [-c FILE] [WORD]
			  -L    the long runs, too (make test-long)
			  -c    no total line: "PASSED FAILED" goes to FILE instead (make test adds them up)
			  WORD  only programs whose name contains it
		END
		exit 0
		;;
	esac
done
shift $((OPTIND - 1))
word=${1:-}

library=$PWD/build/host-release/libslate-malloc.so
programs=build/host-release/shim
out=$PWD/build/test-shim
mkdir -p "$out"

# program NAME SECONDS COMMAND...: a row, if its name is asked for; the command heeds LIMIT.
program() {
	local name=$1 seconds=$2
	shift 2

	[[ $name == *"$word"* ]] || return 0
	LIMIT=$seconds row "$name" "$@"
}

# on COMMAND...: with the library as its malloc.
on() {
	timeout -k 5 "$LIMIT" env LD_PRELOAD="$library" "$@"
}

# prints TEXT COMMAND...: the output's last line is the text.
prints() {
	local text=$1 last
	shift

	last=$(on "$@" | tail -n 1)
	echo "$last"
	[ "$last" = "$text" ]
}

# crime NAME TEXT: it is reported in these words, and ends by SIGABRT.
crime() {
	local status=0

	on "$programs/misuse" "$1" >"$out/crime" 2>&1 || status=$?
	cat "$out/crime"
	[ "$status" -eq 134 ] && grep -qF "$2" "$out/crime"
}

counted() {
	SLATE_STATS=1 on "$programs/interface" 2>&1 >/dev/null | tee "$out/counted"
	grep -qE '^slate: allocs [0-9]{5,} frees [0-9]{5,}$' "$out/counted"
}

not_counted() {
	on "$programs/interface" 2>&1 >/dev/null | tee "$out/counted"
	[ ! -s "$out/counted" ]
}

sorts() {
	seq 1 400000 | shuf --random-source=<(yes) >"$out/shuffled"
	on sort -n --parallel=4 "$out/shuffled" | cmp - <(seq 1 400000)
}

compiles() {
	local unit=mm/mcache.c

	gcc -std=gnu11 -I. -Iinclude -ffreestanding -O2 -c "$unit" -o "$out/without.o" &&
		on gcc -std=gnu11 -I. -Iinclude -ffreestanding -O2 -c "$unit" -o "$out/with.o" &&
		cmp "$out/without.o" "$out/with.o"
}

# A program of many functions.
compiles_large() {
	awk 'BEGIN { for (i = 0; i < 6000; i++)
		printf "int f%d(int *a, int n) { int s = %d; for (int i = 0; i < n; i++) s += a[i] * %d; return s; }\n",
			i, i, i % 97 }' >"$out/large.c"
	gcc -O2 -c "$out/large.c" -o "$out/without.o" && on gcc -O2 -c "$out/large.c" -o "$out/with.o" &&
		cmp "$out/without.o" "$out/with.o"
}

# redis REQUESTS: a server on the library, under its own benchmark; nothing else listens on its socket.
redis() {
	local socket=$out/redis.sock pid status=1 tries

	rm -f "$socket"
	LD_PRELOAD=$library timeout -k 5 "$LIMIT" redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no \
		--dir "$out" >"$out/redis.log" 2>&1 &
	pid=$!
	for ((tries = 0; tries < 50; tries++)); do
		[ ! -S "$socket" ] || break
		sleep 0.1
	done
	if timeout "$LIMIT" redis-benchmark -s "$socket" -n "$1" -r 50000 -d 300 -q -t set,get,lpush,hset,zadd; then
		redis-cli -s "$socket" set answer 42 >/dev/null
		[ "$(redis-cli -s "$socket" get answer)" = 42 ] && redis_gives_back "$socket" && status=0
	fi
	redis-cli -s "$socket" shutdown nosave
	wait "$pid" || status=1
	return $status
}

# After all keys are gone, so is most of what they took.
redis_gives_back() {
	local before after

	before=$(redis-cli -s "$1" info memory | sed -n 's/^used_memory_rss://p' | tr -d '\r')
	redis-cli -s "$1" flushall sync >/dev/null
	sleep 0.5
	after=$(redis-cli -s "$1" info memory | sed -n 's/^used_memory_rss://p' | tr -d '\r')
	echo "resident $((before >> 20)) MiB, $((after >> 20)) after flushall"
	[ "$after" -lt $((before * 9 / 10)) ] || [ "$after" -lt $((64 << 20)) ]
}

make -s -j2 shim shim-tests || exit

python_sums='
import threading
def work(n):
    d = {str(i): [i] * (i % 50) for i in range(n)}
    results.append(sum(len(v) for v in d.values()))
results = []
threads = [threading.Thread(target=work, args=(40000,)) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(set(results))'
# shellcheck disable=SC2016 # Perl's variables
perl_counts='my %h; $h{$_ % 7001} .= "x" x ($_ % 50) for 1 .. 200000; my $n = 0; $n += length for values %h; print "$n\n"'
sql='create table t(a integer primary key, b text);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 100000)
insert into t select x, hex(x * x) from c;
create index i on t(b); select count(distinct b) from t;'

program "early memory" 20 "$programs/early"
program "interface" 60 on "$programs/interface"
program "more threads than slots" 60 on "$programs/threads"
program "fork" 120 on "$programs/forks"
program "memory goes back" 120 on "$programs/resident"
program "calls are counted" 60 counted
program "and otherwise not" 60 not_counted
program "foreign pointer" 20 crime foreign "foreign pointer"
program "misaligned pointer" 20 crime misaligned "misaligned"
program "double free" 20 crime twice "double free"
program "double free of a large object" 20 crime large-twice "double free"
program "double free of a large object at hand" 20 crime hot-twice "double free"
program "python3" 60 prints '{980000}' /usr/bin/python3 -c "$python_sums"
program "perl" 60 prints 4900000 perl -e "$perl_counts"
program "sqlite3" 60 prints 100000 sqlite3 :memory: "$sql"
program "sort" 60 sorts
program "gcc" 60 compiles
program "redis" 60 redis 20000
if [ "$long" -eq 1 ]; then
	program "python3 tests" 900 on /usr/bin/python3 -m test test_list test_dict test_gc test_threading
	program "gcc, a large file" 600 compiles_large
	program "redis, long" 600 redis 1000000
	program "stress-ng" 200 on stress-ng --malloc 32 --verify --timeout 60s
fi

if [ -n "$counts" ]; then
	echo "$passed $failed" >"$counts"
else
	echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
