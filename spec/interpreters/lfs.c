/* What busted asks of the module `lfs`, which Debian compiles for Lua 5.1 to 5.4 alone: the kind of
 * a file, the names in a folder, the current folder. No other attribute, nothing that changes files. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

static int failed(lua_State *L) {
    int number = errno;
    lua_pushnil(L);
    lua_pushstring(L, strerror(number));
    lua_pushinteger(L, number);
    return 3;
}

static int mode(lua_State *L, int (*ask)(const char *, struct stat *)) {
    struct stat known;
    if (strcmp(luaL_checkstring(L, 2), "mode") != 0) {
        return luaL_argerror(L, 2, "this stand-in knows 'mode' alone");
    }
    if (ask(luaL_checkstring(L, 1), &known) != 0) return failed(L);
    lua_pushstring(L, S_ISDIR(known.st_mode) ? "directory" : S_ISREG(known.st_mode) ? "file"
        : S_ISLNK(known.st_mode) ? "link" : "other");
    return 1;
}

static int attributes(lua_State *L) { return mode(L, stat); }

static int symlinkattributes(lua_State *L) { return mode(L, lstat); }

static int currentdir(lua_State *L) {
    char path[PATH_MAX];
    if (getcwd(path, sizeof path) == NULL) return failed(L);
    lua_pushstring(L, path);
    return 1;
}

static int change(lua_State *L) {
    if (chdir(luaL_checkstring(L, 1)) != 0) return failed(L);
    lua_pushboolean(L, 1);
    return 1;
}

/* All names at once: a table that the iterator empties from its end. */
static int next_name(lua_State *L) {
    lua_Integer left = (lua_Integer)lua_rawlen(L, 1);
    lua_rawgeti(L, 1, left);
    if (left > 0) {
        lua_pushnil(L);
        lua_rawseti(L, 1, left);
    }
    return 1;
}

static int dir(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    DIR *folder = opendir(path);
    if (folder == NULL) return luaL_error(L, "cannot open %s: %s", path, strerror(errno));
    lua_pushcfunction(L, next_name);
    lua_newtable(L);
    lua_Integer count = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++count);
    }
    closedir(folder);
    return 2;
}

int luaopen_lfs(lua_State *L) {
    const luaL_Reg functions[] = {
        { "attributes", attributes }, { "chdir", change }, { "currentdir", currentdir },
        { "dir", dir }, { "symlinkattributes", symlinkattributes }, { NULL, NULL },
    };
    luaL_newlib(L, functions);
    return 1;
}
