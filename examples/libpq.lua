-- Shows a C library that has a socket of its own: queries by libpq, ten at once, each in a task.
--
-- Run it: luajit examples/libpq.lua CONNINFO    ("host=/run/postgresql dbname=postgres")

local evsock = require "evsock"
local is_there, ffi = pcall(require, "ffi")
assert(is_there and arg[1], "usage: luajit examples/libpq.lua CONNINFO")

ffi.cdef [[
    typedef struct pg_conn PGconn;
    typedef struct pg_result PGresult;
    PGconn *PQconnectStart(const char *conninfo);
    int PQconnectPoll(PGconn *conn);
    int PQsocket(const PGconn *conn);
    const char *PQerrorMessage(const PGconn *conn);
    int PQsendQuery(PGconn *conn, const char *query);
    int PQconsumeInput(PGconn *conn);
    int PQisBusy(PGconn *conn);
    PGresult *PQgetResult(PGconn *conn);
    const char *PQgetvalue(const PGresult *res, int row, int column);
    void PQclear(PGresult *res);
    void PQfinish(PGconn *conn);
]]
local pq = ffi.load "libpq.so.5"
local FAILED, READING, OK = 0, 1, 3

-- Suspends the task until the library's socket is ready; while it connects that may change.
local function wait(conn, mode)
    local watch = assert(evsock.watch(pq.PQsocket(conn), mode))
    local readable, message = watch:wait(10)
    assert(readable ~= nil, message)
    watch:close()
end

local function connect(conninfo)
    local conn = ffi.gc(pq.PQconnectStart(conninfo), pq.PQfinish)
    local step
    while step ~= OK do
        wait(conn, step == READING and "r" or "w")
        step = pq.PQconnectPoll(conn)
        assert(step ~= FAILED, ffi.string(pq.PQerrorMessage(conn)))
    end
    return conn
end

local function query(conn, text)
    assert(pq.PQsendQuery(conn, text) == 1, ffi.string(pq.PQerrorMessage(conn)))
    local value
    repeat
        while pq.PQisBusy(conn) == 1 do
            wait(conn, "r")
            assert(pq.PQconsumeInput(conn) == 1, ffi.string(pq.PQerrorMessage(conn)))
        end
        local result = pq.PQgetResult(conn)
        value = result ~= nil and ffi.string(pq.PQgetvalue(result, 0, 0)) or value
        pq.PQclear(result)
    until result == nil
    return value
end

local begun = evsock.now()
for number = 1, 10 do
    evsock.spawn(function()
        local conn = connect(arg[1])
        print(query(conn, ("SELECT %d * %d FROM pg_sleep(0.5)"):format(number, number)))
    end)
end
evsock.run()
print(("ten queries of half a second each took %.1f s"):format(evsock.now() - begun))
