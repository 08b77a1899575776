/* What specs on Windows need of the system and Lua does not give: Ctrl-C, and `select`. */
#include <winsock2.h>
#include <windows.h>

#include <lauxlib.h>
#include <lua.h>

static DWORD WINAPI press(LPVOID milliseconds) {
    Sleep((DWORD)(ULONG_PTR)milliseconds);
    GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0);
    return 0;
}

/* press_in(seconds): presses Ctrl-C then, for this process and whoever shares its console. */
static int press_in(lua_State *L) {
    lua_Number seconds = luaL_checknumber(L, 1);
    /* A console of our own: nobody else is to hear of it. */
    FreeConsole();
    AllocConsole();
    HANDLE thread = CreateThread(NULL, 0, press, (LPVOID)(ULONG_PTR)(seconds * 1000), 0, NULL);
    lua_pushboolean(L, thread != NULL);
    return 1;
}

/* select(socket, seconds): whether it is readable by then; nil and a number if it is no socket. */
static int select_one(lua_State *L) {
    SOCKET socket = (SOCKET)luaL_checknumber(L, 1);
    lua_Number seconds = luaL_checknumber(L, 2);
    struct timeval limit = { (long)seconds, (long)((seconds - (long)seconds) * 1e6) };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(socket, &set);
    int found = select(0, &set, NULL, NULL, &limit);
    if (found >= 0) {
        lua_pushboolean(L, found > 0);
        return 1;
    }
    lua_pushnil(L);
    lua_pushinteger(L, WSAGetLastError());
    return 2;
}

/* handles(): how many this process has open. Wine does not count them: 0. */
static int handles(lua_State *L) {
    DWORD count = 0;
    GetProcessHandleCount(GetCurrentProcess(), &count);
    lua_pushinteger(L, count);
    return 1;
}

__declspec(dllexport) int luaopen_windows_kit(lua_State *L) {
    lua_newtable(L);
    lua_pushcfunction(L, press_in);
    lua_setfield(L, -2, "press_in");
    lua_pushcfunction(L, handles);
    lua_setfield(L, -2, "handles");
    lua_pushcfunction(L, select_one);
    lua_setfield(L, -2, "select");
    return 1;
}
