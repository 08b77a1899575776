/* A host whose allocator fails:
 *   short_memory -e CODE FILE FROM STEP COUNT
 * runs CODE and FILE, which gives a function, then calls that COUNT times: in turn N the allocation
 * number FROM + N * STEP from there on fails, and no other. Each turn may end with an error; then
 * the global `check` must go through. Prints how many turns met the failure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static long left;
static int failed;

static void *allocate(void *own, void *block, size_t before, size_t after) {
    (void)own;
    if (!after) {
        free(block);
        return NULL;
    }
    /* What shrinks must not fail. */
    if (left > 0 && (!block || after > before) && --left == 0) {
        failed = 1;
        return NULL;
    }
    return realloc(block, after);
}

static int complain(lua_State *L, const char *what, long turn) {
    const char *message = lua_tostring(L, -1);
    printf("%s, turn %ld: %s\n", what, turn, message ? message : "an error without text");
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 7 || strcmp(argv[1], "-e")) return 2;
    long from = atol(argv[4]), step = atol(argv[5]), count = atol(argv[6]), met = 0;
    lua_State *L = lua_newstate(allocate, NULL);
    if (!L) return 2;
    luaL_openlibs(L);
    if (luaL_dostring(L, argv[2]) || luaL_dofile(L, argv[3])) return complain(L, "setting up", 0);
    for (long turn = 0; turn < count; turn++) {
        lua_settop(L, 0);
        lua_getglobal(L, "scenario");
        failed = 0;
        left = from + turn * step;
        int status = lua_pcall(L, 0, 0, 0);
        left = 0;
        if (status && !failed) return complain(L, "scenario", turn);
        met += failed;
        lua_settop(L, 0);
        lua_getglobal(L, "check");
        if (lua_pcall(L, 0, 0, 0)) return complain(L, "check", turn);
    }
    lua_close(L);
    printf("%ld\n", met);
    return 0;
}
