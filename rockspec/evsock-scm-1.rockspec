rockspec_format = "3.0"
package = "evsock"
version = "scm-1"

-- The project has no public address yet, so nobody can fetch this. `luarocks make` from a clone does
-- not read it; for `luarocks pack` it must be the absolute path of an archive (.ci/rock makes one and
-- puts it in). A release names the address of its archive.
source = {
    url = "file://evsock-scm-1.tar.gz",
    dir = "evsock",
}

description = {
    summary = "Event-driven TCP sockets for stock Lua, with the socket APIs of Q-SYS and others on top",
    detailed = [[
Sockets, servers and timers with handlers that run inside pump(), which your own loop calls. A
thread reads ahead, connects and accepts while the script computes. Scripts written for
Q-SYS, Pharos, Renoise or Hammerspoon run unchanged. Building needs Rust (cargo) and a C compiler.]],
    license = "MIT",
    labels = { "network", "sockets", "async" },
}

supported_platforms = { "unix", "windows" }

dependencies = { "lua >= 5.1, < 5.6" }

-- The helpers run on the Lua that luarocks installs for, which tells them what to build.
build = {
    type = "command",
    build_command = [["$(LUA)" rockspec/build.lua "$(LUA_INCDIR)"]],
    install_command = [["$(LUA)" rockspec/install.lua "$(LUA_INCDIR)" "$(LIBDIR)" "$(LIB_EXTENSION)"]],
    copy_directories = { "src/meta", "examples" },
    install = { bin = { "bin/evsock-qsys" } },
    platforms = {
        -- The same by make; the makefile says why.
        windows = {
            type = "make",
            makefile = "rockspec/windows.mk",
            build_variables = {
                CFLAGS = "$(CFLAGS)",
                LUA = "$(LUA)",
                LUA_INCDIR = "$(LUA_INCDIR)",
            },
            install_variables = {
                LIBDIR = "$(LIBDIR)",
                LIB_EXTENSION = "$(LIB_EXTENSION)",
                LUA = "$(LUA)",
                LUA_INCDIR = "$(LUA_INCDIR)",
            },
        },
    },
}
