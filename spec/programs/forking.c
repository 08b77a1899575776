/* A Lua module that forks, for the Luas that have no other: fork() and wait(pid), which tells the
 * exit status or, below zero, the signal that ended the child. */
#include <sys/wait.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

static int lua_fork(lua_State *L) {
    lua_pushinteger(L, fork());
    return 1;
}

static int lua_wait(lua_State *L) {
    int status = 0;
    if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0) return 0;
    lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    return 1;
}

int luaopen_forking(lua_State *L) {
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, lua_fork);
    lua_setfield(L, -2, "fork");
    lua_pushcfunction(L, lua_wait);
    lua_setfield(L, -2, "wait");
    return 1;
}
