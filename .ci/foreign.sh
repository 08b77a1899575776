# The environment in which cargo builds for other systems. Sourced after common.sh, not run.
#
# The compiler is Debian's, unpacked into target/foreign (`.ci/foreign_rust`); it builds the standard library
# for each target from the sources that come with it, hence `$STD`.

rust=$(.ci/foreign_rust) || exit 1
export RUSTC="$rust/usr/bin/rustc" RUSTDOC="$rust/usr/bin/rustdoc"
export LD_LIBRARY_PATH="$rust/usr/lib/x86_64-linux-gnu:$rust/usr/lib"
# Building the standard library is not stable, and its sources stand elsewhere.
export RUSTC_BOOTSTRAP=1
sources=$(echo "$rust"/usr/src/rustc-*/library)
export __CARGO_TESTS_ONLY_SRC_ROOT="$sources"
# Nothing that was set for this machine's builds belongs there.
unset RUSTC_WRAPPER RUSTFLAGS CFLAGS
STD=-Zbuild-std=std,panic_unwind
FOREIGN_TARGETS="x86_64-pc-windows-gnu aarch64-apple-darwin x86_64-unknown-freebsd"
