-- What is measured: one entry a workload. `role` is the peer's, `call` the contestants' function.
-- Sizes are those of a quick run, where a run takes about a quarter of a second; `limit_times` is
-- how many times as much plain C does, which would be done too soon. `target` is evsock's: against
-- the limit, against the best peer on the same Lua, or a bound of the figure itself.

local MIB = 1024 * 1024
local LINE, TLS, ONE = 60, true, true

return {
    -- A sleeping core must be woken twice a round trip, or not at all: both ways are measured.
    { name = "ping_pong_split", title = "ping-pong, split", unit = "rt/s", role = "echo",
        call = "dialogue", connections = 1, count = 3000, target = { limit = 2.3 } },
    { name = "ping_pong_one", title = "ping-pong, one core", unit = "rt/s", role = "echo",
        call = "dialogue", connections = 1, count = 8000, one_core = ONE,
        target = { limit = 0.98 } },
    { name = "connections_64", title = "64 connections", unit = "msg/s", role = "echo",
        call = "dialogue", connections = 64, count = 20000, target = { limit = 0.95 } },
    { name = "connections_1000", title = "1,000 connections", unit = "msg/s", role = "echo",
        call = "dialogue", connections = 1000, count = 20000, target = { limit = 0.98 } },
    { name = "download", title = "download", unit = "MB/s", role = "send", call = "download",
        connections = 1, bytes = 512 * MIB, target = { limit = 1.25 } },
    { name = "upload", title = "upload", unit = "MB/s", role = "sink", call = "upload",
        connections = 1, bytes = 384 * MIB, target = { limit = 1.15 } },
    -- Lines that differ measure how a Lua makes strings; a device repeats itself.
    { name = "lines", title = "lines of 60 bytes, all different", unit = "lines/s", role = "lines",
        call = "lines", connections = 1, count = 800000, line = LINE, limit_times = 12,
        target = { peer = 1 } },
    { name = "lines_again", title = "lines of 60 bytes, 16 different", unit = "lines/s",
        role = "lines", call = "lines", connections = 1, count = 1600000, line = LINE,
        limit_times = 6, different = 16,
        target = { at_least = { ["5.4"] = 10e6, luajit = 20e6 } } },
    { name = "echo_server", title = "echo server, 64 clients", unit = "msg/s", role = "ask",
        call = "echo_server", connections = 64, count = 20000, target = { limit = 0.97 } },
    { name = "accept", title = "accept", unit = "CPU us", role = "knock", call = "accept",
        connections = 64, count = 3000, figure = "cpu", target = { limit = 0.95 } },
    -- By LuaSocket's socket.http, a connection for each; ten of each task, wave after wave.
    { name = "requests", title = "100 tasks, 10 http.request each", unit = "req/s", role = "page",
        call = "requests", connections = 100, count = 1000, judged = "dialect",
        target = { copas = 1 } },
    -- Bytes of the process, without those of the kernel. That of C is no more than noise.
    { name = "idle", title = "idle connection", unit = "bytes", role = "hold", call = "idle",
        connections = 2000, figure = "idle", target = { at_most = 400 } },
    { name = "tls_download", title = "TLS download", unit = "MB/s", role = "send",
        call = "tls_download", connections = 1, bytes = 160 * MIB, tls = TLS,
        target = { peer = 1.3 } },
    { name = "tls_ping_pong", title = "TLS ping-pong, split", unit = "rt/s", role = "echo",
        call = "tls_dialogue", connections = 1, count = 2500, tls = TLS,
        target = { limit = 2 } },
    { name = "tls_handshakes", title = "TLS handshakes", unit = "1/s", role = "greet",
        call = "tls_handshake", connections = 1, count = 250, tls = TLS,
        target = { limit = 1 } },
}
