/* The program `lua5.5`: what a stock one does with its options, LUA_INIT, scripts, signals and errors.
 * It reads no lines from a terminal. The library's sources come as a package that lacks its own. */
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

/* The first Ctrl-C sets a hook, which raises at the next instruction; a second one ends the process. */
static void on_interrupt(int number) {
    signal(number, SIG_DFL);
    lua_sethook(running, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static int with_traceback(lua_State *L) {
    const char *message = lua_tostring(L, 1);
    if (message == NULL) {
        if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return 1;
        message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    }
    luaL_traceback(L, L, message, 1);
    return 1;
}

static int report(lua_State *L, int status) {
    if (status != LUA_OK) {
        const char *message = lua_tostring(L, -1);
        fprintf(stderr, "lua5.5: %s\n", message ? message : "(error message not a string)");
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
    return status;
}

static int run_text(lua_State *L, const char *text, const char *name) {
    int status = luaL_loadbuffer(L, text, strlen(text), name);
    return report(L, status == LUA_OK ? call(L, 0) : status);
}

static int run_file(lua_State *L, const char *path, int arguments, char **argument) {
    int status = luaL_loadfile(L, path);
    if (status != LUA_OK) return report(L, status);
    luaL_checkstack(L, arguments + 3, "too many arguments to script");
    for (int i = 0; i < arguments; i++) lua_pushstring(L, argument[i]);
    return report(L, call(L, arguments));
}

static int run_init(lua_State *L) {
    const char *name = "=LUA_INIT_5_5";
    const char *init = getenv(name + 1);
    if (init == NULL) init = getenv((name = "=LUA_INIT") + 1);
    if (init == NULL) return LUA_OK;
    return init[0] == '@' ? run_file(L, init + 1, 0, NULL) : run_text(L, init, name);
}

/* `-l name` and `-l global=name`. */
static int run_require(lua_State *L, char *global) {
    char *name = strchr(global, '=');
    if (name == NULL) name = global;
    else *name++ = '\0';
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    lua_pushcfunction(L, with_traceback);
    lua_insert(L, -3);
    int status = lua_pcall(L, 1, 1, -3);
    if (status == LUA_OK) lua_setglobal(L, global);
    return report(L, status);
}

static int usage(const char *option) {
    fprintf(stderr, "lua5.5: unrecognized option '%s'\n"
        "usage: lua5.5 [-E] [-W] [-v] [-e stat] [-l mod] [--] [script | -] [args]\n", option);
    return EXIT_FAILURE;
}

static int run_all(lua_State *L, int argc, char **argv) {
    int script = 1, done = 0, isolated = 0;
    for (; script < argc && argv[script][0] == '-' && argv[script][1] != '\0'; script++) {
        const char *option = argv[script];
        if (strcmp(option, "--") == 0) { script++; break; }
        if ((option[1] == 'e' || option[1] == 'l') && option[2] == '\0') {
            if (++script >= argc) return usage(option);
        } else if (strchr("elEWv", option[1]) == NULL) return usage(option);
        if (option[1] == 'E') isolated = 1;
    }
    if (isolated) {
        lua_pushboolean(L, 1);
        lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    }
    luaL_openlibs(L);
    lua_warning(L, "@off", 0);
    lua_createtable(L, 0, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - (script < argc ? script : 0));
    }
    lua_setglobal(L, "arg");
    lua_gc(L, LUA_GCGEN);
    if (!isolated && run_init(L) != LUA_OK) return EXIT_FAILURE;
    for (int i = 1; i < script; i++) {
        char kind = argv[i][1], *rest = argv[i] + 2;
        if (kind == 'W') lua_warning(L, "@on", 0);
        if (kind == 'v') { puts(LUA_RELEASE); done = 1; }
        if (kind != 'e' && kind != 'l') continue;
        if (*rest == '\0') rest = argv[++i];
        int status = kind == 'e' ? run_text(L, rest, "=(command line)") : run_require(L, rest);
        if (status != LUA_OK) return EXIT_FAILURE;
        done |= kind == 'e';
    }
    if (script >= argc) return done ? EXIT_SUCCESS : run_file(L, NULL, 0, NULL);
    const char *path = strcmp(argv[script], "-") == 0 && strcmp(argv[script - 1], "--") != 0
        ? NULL : argv[script];
    return run_file(L, path, argc - script - 1, argv + script + 1);
}

int main(int argc, char **argv) {
    lua_State *L = luaL_newstate();
    if (L == NULL) return EXIT_FAILURE;
    int status = run_all(L, argc, argv);
    lua_close(L);
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
