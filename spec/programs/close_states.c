/* A host that opens and closes Lua states with the library at work in them (design, section 4):
 *   close_states TIMES SCRIPT
 * runs SCRIPT in a new state each time and closes the state while its thread runs and its
 * connections are open. Prints how many times that went well and the descriptors before and after. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static int descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder)) count++;
    if (folder) closedir(folder);
    return count;
}

static lua_State *run(const char *script) {
    lua_State *L = luaL_newstate();
    if (!L) return NULL;
    luaL_openlibs(L);
    if (luaL_loadfile(L, script) || lua_pcall(L, 0, 0, 0)) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        lua_close(L);
        return NULL;
    }
    return L;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int times = atoi(argv[1]), done = 0;
    /* The first state is closed while a second one lives: nothing may be shared. */
    lua_State *first = run(argv[2]), *second = run(argv[2]);
    if (!first || !second) return 1;
    lua_close(first);
    int before = descriptors();
    for (; done < times; done++) {
        lua_State *L = run(argv[2]);
        if (!L) return 1;
        lua_close(L);
    }
    int after = descriptors();
    lua_close(second);
    printf("%d states, descriptors %d before, %d after\n", done, before, after);
    return 0;
}
