/* A host whose allocator fails:
 *   short_memory -e CODE FILE FROM STEP COUNT
 * runs CODE and FILE, which gives a function `scenario`, then calls that COUNT times: in turn N the
 * allocation number FROM + N * STEP from there on fails, and no later one. Each turn may end with an
 * error; then the global `check` must go through. Prints how many turns met the failure.
 * Scripts have `starve(n)` for the same: whether that was met is what the next `starve` answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* From 5.2 on Lua collects garbage and asks once more. */
#if LUA_VERSION_NUM > 501
#define TRIES 2
#else
#define TRIES 1
#endif

static lua_Alloc allocate_really;
static void *own_of_it;
static long left;
static int failed, refusals;

static void *allocate(void *own, void *block, size_t before, size_t after) {
    (void)own;
    /* What shrinks must not fail. Without a block the size before says what is made. */
    if (after && (!block || after > before)) {
        if (left > 0 && --left == 0) {
            failed = 1;
            refusals = TRIES;
        }
        if (refusals > 0) {
            refusals--;
            return NULL;
        }
    }
    return allocate_really(own_of_it, block, before, after);
}

static void starve_at(long number) {
    failed = 0;
    refusals = 0;
    left = number;
}

static int starve(lua_State *L) {
    long number = (long)lua_tonumber(L, 1);
    lua_pushboolean(L, failed);
    starve_at(number);
    return 1;
}

static int complain(lua_State *L, const char *what, long turn) {
    const char *message = lua_tostring(L, -1);
    printf("%s, turn %ld: %s\n", what, turn, message ? message : "an error without text");
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 7 || strcmp(argv[1], "-e")) return 2;
    long from = atol(argv[4]), step = atol(argv[5]), count = atol(argv[6]), met = 0;
    /* Not `lua_newstate`: LuaJIT may take none, and 5.5 wants more. */
    lua_State *L = luaL_newstate();
    if (!L) return 2;
    allocate_really = lua_getallocf(L, &own_of_it);
    lua_setallocf(L, allocate, NULL);
    luaL_openlibs(L);
    lua_register(L, "starve", starve);
    if (luaL_dostring(L, argv[2]) || luaL_dofile(L, argv[3])) return complain(L, "setting up", 0);
    for (long turn = 0; turn < count; turn++) {
        lua_settop(L, 0);
        lua_getglobal(L, "scenario");
        starve_at(from + turn * step);
        int status = lua_pcall(L, 0, 0, 0);
        int was_met = failed;
        starve_at(0);
        if (status && !was_met) return complain(L, "scenario", turn);
        met += was_met;
        lua_settop(L, 0);
        lua_getglobal(L, "check");
        if (lua_pcall(L, 0, 0, 0)) return complain(L, "check", turn);
    }
    lua_close(L);
    printf("%ld\n", met);
    return 0;
}
