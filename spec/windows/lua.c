/* The program `lua.exe` for Windows, of Lua 5.1 to 5.5, as far as specs and packages need it: options
 * -e and -l, a script and its arguments, Ctrl-C. The library's sources come as a package that lacks
 * a program. LuaJIT has its own. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static lua_State *running;

static void stop(lua_State *L, lua_Debug *unused) {
    (void)unused;
    lua_sethook(L, NULL, 0, 0);
    luaL_error(L, "interrupted!");
}

/* As in a stock program: the hook raises at the next instruction, a second Ctrl-C ends the process. */
static void on_interrupt(int number) {
    signal(number, SIG_DFL);
    lua_sethook(running, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

/* debug.traceback; 5.1 has it in Lua alone. */
static int with_traceback(lua_State *L) {
    if (lua_tostring(L, 1) == NULL) {
        if (luaL_callmeta(L, 1, "__tostring") && lua_isstring(L, -1)) return 1;
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
        lua_replace(L, 1);
    }
    lua_settop(L, 1);
    lua_getglobal(L, "debug");
    lua_getfield(L, -1, "traceback");
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 2);
    lua_call(L, 2, 1);
    return 1;
}

static int report(lua_State *L, int status) {
    if (status != 0) {
        const char *message = lua_tostring(L, -1);
        fprintf(stderr, "lua: %s\n", message ? message : "(error message not a string)");
        lua_pop(L, 1);
    }
    return status;
}

/* Calls the function below its `arguments`. */
static int call(lua_State *L, int arguments) {
    int base = lua_gettop(L) - arguments;
    lua_pushcfunction(L, with_traceback);
    lua_insert(L, base);
    running = L;
    signal(SIGINT, on_interrupt);
    int status = lua_pcall(L, arguments, 0, base);
    signal(SIGINT, SIG_DFL);
    lua_remove(L, base);
    return report(L, status);
}

static int run_text(lua_State *L, const char *text) {
    int status = luaL_loadbuffer(L, text, strlen(text), "=(command line)");
    return status != 0 ? report(L, status) : call(L, 0);
}

static int run_require(lua_State *L, const char *name) {
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    return call(L, 1);
}

static int run_file(lua_State *L, char **argument, int arguments) {
    int status = luaL_loadfile(L, argument[0]);
    if (status != 0) return report(L, status);
    luaL_checkstack(L, arguments + 3, "too many arguments to script");
    for (int i = 1; i <= arguments; i++) lua_pushstring(L, argument[i]);
    return call(L, arguments);
}

static int run_all(lua_State *L, int argc, char **argv) {
    luaL_openlibs(L);
#if LUA_VERSION_NUM >= 505
    lua_gc(L, LUA_GCGEN);
#elif LUA_VERSION_NUM == 504
    lua_gc(L, LUA_GCGEN, 0, 0);
#endif
    int script = 1;
    while (script + 1 < argc && argv[script][0] == '-') script += 2;
    lua_newtable(L);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - (script < argc ? script : 0));
    }
    lua_setglobal(L, "arg");
    for (int i = 1; i < script; i += 2) {
        int known = strcmp(argv[i], "-e") == 0 || strcmp(argv[i], "-l") == 0;
        if (!known) {
            fprintf(stderr, "usage: lua [-e stat] [-l mod] [script [args]]\n");
            return 1;
        }
        int status = argv[i][1] == 'e' ? run_text(L, argv[i + 1]) : run_require(L, argv[i + 1]);
        if (status != 0) return status;
    }
    return script < argc ? run_file(L, argv + script, argc - script - 1) : 0;
}

int main(int argc, char **argv) {
    lua_State *L = luaL_newstate();
    if (L == NULL) return EXIT_FAILURE;
    int status = run_all(L, argc, argv);
    lua_close(L);
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
