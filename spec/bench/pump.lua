-- Ping-pong of 64 bytes between two sockets of one script: round trips a second, CPU a round trip.
--
--   LUA_CPATH="build/5.4/?.so;;" lua5.4 spec/bench/pump.lua

local evsock = require "evsock"

local ROUNDS, TEXT = 50000, ("x"):rep(64)

local server = assert(evsock.listen("127.0.0.1", 0, {
    on_data = function(sock)
        sock:write(sock:read())
    end,
}))

local count, began, clock = 0, nil, nil
evsock.connect("127.0.0.1", server.port, {
    on_connect = function(sock)
        began, clock = evsock.now(), os.clock()
        sock:write(TEXT)
    end,
    on_data = function(sock)
        local text = sock:read_exact(64)
        if text then
            count = count + 1
            if count == ROUNDS then
                sock:close()
                server:close()
            else
                sock:write(text)
            end
        end
    end,
})
evsock.run()

local took, cpu = evsock.now() - began, os.clock() - clock
print(("pump_round_trips_per_s %.0f"):format(ROUNDS / took))
print(("pump_cpu_us_per_round_trip %.2f"):format(cpu / ROUNDS * 1e6))
