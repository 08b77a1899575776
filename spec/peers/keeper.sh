#!/bin/sh
# Keeps one server for as long as its standard input is open: however the process ends that holds
# the other end, the server ends with it and leaves nothing behind.
#
# usage: keeper.sh DIRECTORY SIGNAL COMMAND...    the directory is removed with all that is in it
directory=$1 signal=$2
shift 2
cd "$directory" || exit 1
exec >log 2>&1
# SIGNAL asks the server to end; 5 s later it is killed. The 300 s are for a keeper that is killed.
timeout -s "$signal" -k 5 300 "$@" </dev/null &
server=$!
echo "$server" >kept
cat >/dev/null
kill -s "$signal" "$server" 2>/dev/null
wait "$server"
cd / && rm -rf "$directory"
