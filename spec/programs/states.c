/* An interpreter that can have more states than its own:
 *   states -e CODE FILE
 * runs FILE with a table `host`. CODE is run first in every state.
 *   host.open()           a new state, or nil and a message
 *   host.run(state, code) true and the first result as a string, or nil and a message
 *   host.close(state)     lua_close
 *   host.aside(code)      opens a state, runs code in it and closes it, all in a thread of its own,
 *                         then has the loader drop what nobody needs any more
 *   host.list(folder)     the names in a folder, without starting a process
 *   host.rest(seconds)    sleeps */
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static const char *first_code;

static lua_State *new_state(void) {
    lua_State *state = luaL_newstate();
    if (state) luaL_openlibs(state);
    return state;
}

static int failed(lua_State *L, lua_State *state) {
    const char *message = lua_tostring(state, -1);
    lua_pushnil(L);
    lua_pushstring(L, message ? message : "an error without text");
    return 2;
}

static int host_open(lua_State *L) {
    lua_State *state = new_state();
    if (!state) return 0;
    if (luaL_dostring(state, first_code)) return failed(L, state);
    lua_pushlightuserdata(L, state);
    return 1;
}

static int host_run(lua_State *L) {
    lua_State *state = lua_touserdata(L, 1);
    const char *code = luaL_checkstring(L, 2);
    lua_settop(state, 0);
    if (luaL_loadstring(state, code) || lua_pcall(state, 0, 1, 0)) return failed(L, state);
    lua_pushboolean(L, 1);
    lua_pushstring(L, lua_tostring(state, -1));
    return 2;
}

static int host_close(lua_State *L) {
    lua_close(lua_touserdata(L, 1));
    return 0;
}

static void *live_aside(void *code) {
    lua_State *state = new_state();
    if (!state) return "no memory";
    void *failed = luaL_dostring(state, first_code) || luaL_dostring(state, code) ? "failed" : NULL;
    lua_close(state);
    return failed;
}

static int host_aside(lua_State *L) {
    pthread_t thread;
    void *failed = NULL;
    if (pthread_create(&thread, NULL, live_aside, (void *)luaL_checkstring(L, 1))) return 0;
    pthread_join(thread, &failed);
    /* The loader looks for what can go whenever something is closed. */
    void *other = dlopen("libresolv.so.2", RTLD_NOW);
    if (other) dlclose(other);
    lua_pushboolean(L, other && !failed);
    return 1;
}

static int host_list(lua_State *L) {
    DIR *folder = opendir(luaL_checkstring(L, 1));
    struct dirent *entry;
    int count = 0;
    lua_newtable(L);
    while (folder && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.') continue;
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++count);
    }
    if (folder) closedir(folder);
    return 1;
}

static int host_rest(lua_State *L) {
    double seconds = luaL_checknumber(L, 1);
    struct timespec left = { (time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9) };
    nanosleep(&left, NULL);
    return 0;
}

static const luaL_Reg functions[] = {
    { "open", host_open }, { "run", host_run },     { "close", host_close },
    { "list", host_list }, { "aside", host_aside }, { "rest", host_rest },
    { NULL, NULL },
};

int main(int argc, char **argv) {
    if (argc != 4 || strcmp(argv[1], "-e")) return 2;
    first_code = argv[2];
    lua_State *L = new_state();
    if (!L) return 2;
    lua_newtable(L);
    for (const luaL_Reg *entry = functions; entry->name; entry++) {
        lua_pushcfunction(L, entry->func);
        lua_setfield(L, -2, entry->name);
    }
    lua_setglobal(L, "host");
    if (luaL_dostring(L, first_code) || luaL_dofile(L, argv[3])) {
        const char *message = lua_tostring(L, -1);
        puts(message ? message : "an error without text");
        return 1;
    }
    lua_close(L);
    return 0;
}
