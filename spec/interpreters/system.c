/* What busted asks of the module `system.core`, which Debian compiles for Lua 5.1 to 5.4 alone. */
#include <time.h>

#include <lauxlib.h>
#include <lua.h>

static int seconds(lua_State *L, clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
    return 1;
}

static int gettime(lua_State *L) { return seconds(L, CLOCK_REALTIME); }

static int monotime(lua_State *L) { return seconds(L, CLOCK_MONOTONIC); }

static int rest(lua_State *L) {
    lua_Number time = luaL_checknumber(L, 1);
    struct timespec span = { (time_t)time, (long)((time - (lua_Number)(time_t)time) * 1e9) };
    nanosleep(&span, NULL);
    return 0;
}

int luaopen_system_core(lua_State *L) {
    const luaL_Reg functions[] = {
        { "gettime", gettime }, { "monotime", monotime }, { "sleep", rest }, { NULL, NULL },
    };
    luaL_newlib(L, functions);
    return 1;
}
