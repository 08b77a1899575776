//! Builds the interpreters into `OUT_DIR/prefix`, laid out as a system has them: `bin/NAME`,
//! `include/NAME/lua.h`, `lib/libNAME.a` (for hosts in C) and `lib/lua/5.5/` (what busted needs).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LUA: &str = "lua5.5";
const LUAJIT: &str = "luajit-current";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("OUT_DIR"));
    let prefix = out.join("prefix");
    for folder in ["bin", "include", "lib/lua/5.5/system"] {
        fs::create_dir_all(prefix.join(folder)).expect("a folder");
    }
    build_lua(&out, &prefix);
    build_luajit(&out, &prefix);
    for source in ["build.rs", "lua.c", "lfs.c", "system.c"] {
        println!("cargo:rerun-if-changed={source}");
    }
}

/// The sources come without `lua.c`: the program is ours.
fn build_lua(out: &Path, prefix: &Path) {
    // The API checks what it is called with: a call that breaks its rules aborts.
    let built = lua_src::Build::new()
        .out_dir(out.join("lua"))
        .opt_level("2")
        .debug(true)
        .build(lua_src::Lua55);
    let archive = built.lib_dir().join("liblua5.5.a");
    place(&archive, &prefix.join("lib/liblua5.5.a"));
    place_headers(built.include_dir(), &prefix.join("include").join(LUA));

    let mut program = compiler(&prefix.join("include").join(LUA));
    // All of the library, and its names visible: modules look for them in the program.
    program
        .args(["lua.c", "-Wl,-E", "-Wl,--whole-archive"])
        .arg(&archive)
        .args(["-Wl,--no-whole-archive", "-lm", "-ldl", "-o"])
        .arg(prefix.join("bin").join(LUA));
    run(&mut program);
    for (source, module) in [("lfs.c", "lfs.so"), ("system.c", "system/core.so")] {
        let mut command = compiler(&prefix.join("include").join(LUA));
        command.args(["-shared", source, "-o"]).arg(prefix.join("lib/lua/5.5").join(module));
        run(&mut command);
    }
}

/// The makefile of LuaJIT makes its own program beside the library.
fn build_luajit(out: &Path, prefix: &Path) {
    let out = out.join("luajit");
    let built = luajit_src::Build::new().out_dir(&out).debug(false).build();
    place(&out.join("luajit-build/src/luajit"), &prefix.join("bin").join(LUAJIT));
    place(&built.lib_dir().join("libluajit.a"), &prefix.join("lib").join(format!("lib{LUAJIT}.a")));
    place_headers(built.include_dir(), &prefix.join("include").join(LUAJIT));
}

fn compiler(include: &Path) -> Command {
    let mut command = cc::Build::new().get_compiler().to_command();
    command.args(["-O2", "-g", "-fPIC", "-Wall", "-Wextra", "-Werror", "-I"]).arg(include);
    command
}

fn run(command: &mut Command) {
    let status = command.status().expect("a C compiler");
    assert!(status.success(), "{command:?}: {status}");
}

fn place(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap_or_else(|why| panic!("{}: {why}", from.display()));
}

fn place_headers(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("headers").flatten() {
        place(&entry.path(), &to.join(entry.file_name()));
    }
}
