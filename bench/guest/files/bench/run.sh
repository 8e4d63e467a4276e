#!/bin/sh
# The programs, the same in the guest and natively; the host takes the time of the lines with MARK.
cd /bench || exit
timed() {
    name=$1
    shift
    echo "MARK $name start"
    "$@" > /tmp/output 2>&1
    status=$?
    echo "MARK $name end"
    [ $status = 0 ] || echo "FAIL $name: status $status, $(head -c 200 /tmp/output)"
}
sql="create table squares(n, square);
with recursive count(n) as (select 1 union all select n + 1 from count where n < 60000)
insert into squares select n, n * n from count;
select sum(square) from squares where n % 3 = 0;
create index by_square on squares(square);
select count(*) from squares where square > 1000000;"
perl='my (%of, $sum); $of{"k$_"} = $_ for 1 .. 150000; $sum += length($_) * $of{$_} for keys %of; print $sum'

timed fib ./programs fib 34
timed sieve ./programs sieve 3
timed matmul ./programs matmul 300
timed chase ./programs chase 20000000
timed memcpy ./programs memcpy 2000
timed lua lua5.4 fib.lua
timed bzip2 sh -c "bzip2 -c text.bin > /tmp/text.bz2"
timed xz sh -c "xz -1 -c text.bin > /tmp/text.xz"
timed sha256 openssl dgst -sha256 rand.bin rand.bin rand.bin rand.bin rand.bin rand.bin
timed perl perl -e "$perl"
timed sqlite sqlite3 /tmp/squares.db "$sql"
rm -f /tmp/squares.db
timed syscall ./programs syscall 500000
timed pgfault ./programs pgfault 100
timed fork ./programs fork 500
timed exec ./programs exec 300
timed divzero ./programs divzero 20000
timed pipe ./programs pipe 20000
timed shloop sh -c 'n=0; while [ $n -lt 300 ]; do /bin/true; n=$((n + 1)); done'
