# What the scripts here share: the place, a clean environment, the names of the Luas. Sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# rustup's own place, for shells that have not read its profile yet.
if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH="$HOME/.cargo/bin:$PATH"
fi

# The paths of one version win over LUA_CPATH and would bring in another evsock.
for version in "" _5_2 _5_3 _5_4 _5_5; do
    unset "LUA_PATH$version" "LUA_CPATH$version" "LUA_INIT$version"
done

LUAS="5.1 5.2 5.3 5.4 5.5 luajit"

# As luarocks sets them for the builds that it calls: what is compiled of C is then the same for both
# and need not be compiled twice.
export CC=${CC:-gcc} CFLAGS=${CFLAGS:--O2 -fPIC}

# What needs LuaSocket or its mime, which Debian does not compile for 5.5.
OF_LUASOCKET='luasocket_(programs|libraries|tests)_spec'
NOT_ON_5_5="spec/pollfd_spec|$OF_LUASOCKET"

# The features of Cargo.toml for a Lua: 5.4 -> lua54. fault-5.4 is the build whose system calls
# can be made to fail; it is for tests alone and in none of the lists.
feature_of() {
    case $1 in
        fault-*) echo "$(feature_of "${1#fault-}"),fault" ;;
        5.[1-5]) echo "lua${1/./}" ;;
        luajit) echo luajit ;;
        *)
            echo "unknown Lua '$1' (expected one of: $LUAS)" >&2
            return 1
            ;;
    esac
}

# Those that Debian lacks are built by .ci/interpreters. luajit-current is no Lua of its own: it runs
# the module that is built for luajit.
interpreter_of() {
    case ${1#fault-} in
        luajit) command -v luajit ;;
        5.5 | luajit-current) command -v "$PWD/target/interpreters/bin/lua${1#lua}" ;;
        *) command -v "lua${1#fault-}" ;;
    esac
}

# What runs busted on an interpreter, in RUN_BUSTED: its words.
find_busted() {
    RUN_BUSTED=(busted "--lua=$1")
    case $1 in
        */target/interpreters/*) RUN_BUSTED=("$1" spec/interpreters/run_busted.lua) ;;
    esac
}

# What the builds share, the cryptography above all, is compiled once: a new target directory begins
# as a copy of another. That of Lua 5.4 comes first, since no other is built at its time.
seed_target() {
    local seed
    [ ! -d "$1" ] || return 0
    for seed in target/lua54 target/lua*; do
        if [ -d "$seed/release" ]; then
            cp -a "$seed" "$1"
            return
        fi
    done
}

# The library built in the target directory $1 becomes build/$2/evsock.so. By way of rename: an
# interpreter that has the old file mapped must not see it change.
put_module() {
    local library=$1/release/libevsock.so
    [ -e "$library" ] || library=$1/release/libevsock.dylib
    mkdir -p "build/$2" && cp "$library" "build/$2/evsock.so.new" \
        && mv "build/$2/evsock.so.new" "build/$2/evsock.so"
}

# What gives each process of specs a network of its own, in NETWORK: a port that one gives back must not
# be taken by another that runs beside it. Where that is not allowed they share one, and a stray
# connection may disturb a spec.
find_network() {
    local flags
    NETWORK=()
    for flags in -n "--map-current-user --keep-caps -n"; do
        # shellcheck disable=SC2086 # Several flags.
        if unshare $flags ip link set lo up 2>/dev/null; then
            # shellcheck disable=SC2016,SC2206 # Expanded in there.
            NETWORK=(unshare $flags sh -c 'ip link set lo up && exec "$@"' network)
            break
        fi
    done
}

# The version of glibc that a module needs: the newest of its functions that it uses.
newest_glibc() {
    objdump -T "$1" | sed -n 's/.*GLIBC_\([0-9][0-9.]*\).*/\1/p' | sort -V | tail -n 1
}
