# `make help` lists what there is. The work is done by the scripts in .ci/, which also run by hand.

.PHONY: help demo quick test bench lint build check-targets windows packages clean

help:
	@echo "make demo    install what is missing, build for Lua 5.4, run a Q-SYS script against a simulated device"
	@echo "make quick   build for one Lua (LUA=5.4) and run all its specs (3 minutes)"
	@echo "make test    install what is missing, build for every Lua and run all tests (about 30 minutes)"
	@echo "make build   build the module for every Lua into build/<5.1|5.2|5.3|5.4|5.5|luajit>/evsock.so"
	@echo "make packages   binary rocks and zips for Linux, Windows and macOS into target/packages (half an hour)"
	@echo "make lint    formatting, clippy, luacheck"
	@echo "make check-targets   cargo check for Windows, macOS and FreeBSD"
	@echo "make windows all specs that apply, on Windows' Lua 5.4 under wine (.ci/windows smoke: a part)"
	@echo "make bench   evsock beside other libraries and plain C (15 minutes; BENCH=quick: 2)"
	@echo "make clean   remove what was built"

demo:
	@.ci/prepare demo
	@.ci/build 5.4
	@.ci/with 5.4 examples/qsys_demo/run.lua

test:
	@.ci/prepare test
	@bash .ci/test

quick:
	@.ci/prepare test
	@.ci/quick $(LUA)

bench:
	@.ci/prepare bench
	@.ci/build 5.4 luajit
	@.ci/bench

lint:
	@.ci/prepare lint
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings
	cargo clippy --quiet --features lua54 --lib -- -D warnings
	luacheck --quiet src spec examples rockspec bin/evsock-qsys

build:
	@.ci/prepare build
	@.ci/build

check-targets:
	@.ci/prepare build
	@.ci/check_targets

windows:
	@.ci/prepare windows
	@.ci/windows

packages:
	@.ci/prepare packages
	@bash .ci/packages

clean:
	rm -rf build target
