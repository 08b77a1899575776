/* What luarocks needs of the modules lfs and md5, for .ci/rock_windows: on Windows it would call programs
 * of Unix (cp, ls, md5sum) that it brings along there, and that are not here. Not LuaFileSystem: no links,
 * no locks, no iterators that are closed early.
 */
#include <dirent.h>
#include <direct.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <windows.h>

#include "lauxlib.h"
#include "lua.h"

static int done(lua_State *L, int status, const char *what)
{
    if (status == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", what, strerror(errno));
    return 2;
}

static int change_dir(lua_State *L)
{
    return done(L, _chdir(luaL_checkstring(L, 1)), lua_tostring(L, 1));
}

static int make_dir(lua_State *L)
{
    return done(L, _mkdir(luaL_checkstring(L, 1)), lua_tostring(L, 1));
}

static int remove_dir(lua_State *L)
{
    return done(L, _rmdir(luaL_checkstring(L, 1)), lua_tostring(L, 1));
}

static int current_dir(lua_State *L)
{
    char path[MAX_PATH];
    if (_getcwd(path, sizeof path) == NULL)
        return done(L, -1, "current folder");
    lua_pushstring(L, path);
    return 1;
}

static int touch(lua_State *L)
{
    lua_pushboolean(L, 1);
    return 1;
}

/* Of a name all, or the one asked for: what luarocks looks at. */
static int attributes(lua_State *L)
{
    struct stat found;
    if (stat(luaL_checkstring(L, 1), &found) != 0)
        return done(L, -1, lua_tostring(L, 1));
    lua_newtable(L);
    lua_pushstring(L, S_ISDIR(found.st_mode) ? "directory" : "file");
    lua_setfield(L, -2, "mode");
    lua_pushinteger(L, 0);
    lua_setfield(L, -2, "ino");
    lua_pushstring(L, "rwxr-xr-x");
    lua_setfield(L, -2, "permissions");
    if (lua_type(L, 2) == LUA_TSTRING)
        lua_getfield(L, -1, lua_tostring(L, 2));
    return 1;
}

/* The names are read at once; the iterator takes them from a table. */
static int next_name(lua_State *L)
{
    lua_Integer place = lua_tointeger(L, lua_upvalueindex(2)) + 1;
    lua_pushinteger(L, place);
    lua_replace(L, lua_upvalueindex(2));
    lua_rawgeti(L, lua_upvalueindex(1), place);
    return 1;
}

static int list_dir(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct dirent *entry;
    int count = 0;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return luaL_error(L, "cannot open %s: %s", path, strerror(errno));
    lua_newtable(L);
    while ((entry = readdir(folder)) != NULL) {
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++count);
    }
    closedir(folder);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_name, 2);
    return 1;
}

__declspec(dllexport) int luaopen_lfs(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "attributes", attributes }, { "chdir", change_dir }, { "currentdir", current_dir },
        { "dir", list_dir },          { "mkdir", make_dir },   { "rmdir", remove_dir },
        { "touch", touch },           { NULL, NULL },
    };
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    return 1;
}

/* The system's own MD5, which no header declares. */
typedef struct {
    unsigned state[4], count[2];
    unsigned char buffer[64], digest[16];
} Digest;
void WINAPI MD5Init(Digest *);
void WINAPI MD5Update(Digest *, const unsigned char *, unsigned);
void WINAPI MD5Final(Digest *);

static int sum(lua_State *L)
{
    size_t length, place;
    const char *bytes = luaL_checklstring(L, 1, &length);
    char text[33];
    Digest digest;
    MD5Init(&digest);
    MD5Update(&digest, (const unsigned char *)bytes, (unsigned)length);
    MD5Final(&digest);
    for (place = 0; place < 16; place++)
        sprintf(text + 2 * place, "%02x", digest.digest[place]);
    lua_pushlstring(L, text, 32);
    return 1;
}

__declspec(dllexport) int luaopen_md5(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, sum);
    lua_setfield(L, -2, "sumhexa");
    return 1;
}
