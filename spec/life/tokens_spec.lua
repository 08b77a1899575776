-- Late events of what is gone: an object that was collected or replaced with events queued, a place
-- or descriptor that was used again at once. Nothing of the old may reach the new.

local helper = require "spec.helper"

local evsock = helper.evsock
local never = helper.never
local pump_until = helper.pump_until

-- Waits, without dispatching anything, until the thread has read `n` bytes ahead.
local function await_read_ahead(sock, n)
    local deadline = evsock.now() + 5 * helper.slow
    while sock:info().live.read_ahead < n do
        assert(evsock.now() < deadline, "nothing is read ahead")
    end
end

-- Sockets that never hear of anything, in whatever places are free; and a handler for each event.
local function newcomers(port, count)
    local made = {}
    for i = 1, count do
        local options = { on_connect = function() end }
        for _, name in ipairs { "on_data", "on_drain", "on_close", "on_end" } do
            options[name] = never(name .. " of a newcomer")
        end
        made[i] = evsock.connect("127.0.0.1", port, options)
    end
    helper.track(made, function()
        for _, sock in ipairs(made) do
            sock.on_close = nil
            sock:abort()
        end
    end)
    return made
end

-- A condition: the one in `held` is connected to a socket of the record.
local function opened(held, record)
    return function()
        return held.sock.state == "open" and record.sockets[1]
    end
end

-- Ends the socket that only `held` has: "collected", "aborted and collected", "aborted".
local function put_an_end(held, ending)
    if ending ~= "collected" then
        held.sock:abort()
    end
    if ending ~= "aborted" then
        held.sock = nil
        collectgarbage()
        collectgarbage()
    end
end

describe("events of what is gone", function()
    after_each(helper.finish)

    it("a timer canceled with its event queued does not fire the one in its place", function()
        for _ = 1, 8 do
            local later, fired
            local first = evsock.after(0, function()
                later:cancel()
                for _ = 1, 5 do
                    helper.track(evsock.after(1000, never("a new timer")))
                end
                fired = true
            end)
            later = evsock.after(0, never("a canceled timer"))
            pump_until(function() return fired end)
            evsock.pump(0.001)
            assert.is_false(first.active)
        end
    end)

    for _, ending in ipairs { "collected", "aborted and collected", "aborted" } do
        it(("a socket %s with data queued, in the batch: no newcomer gets it"):format(ending),
            function()
                local quiet = helper.server()
                for _ = 1, 8 do
                    local first, its_peer = helper.pair()
                    local record = helper.server()
                    local second = { sock = evsock.connect("127.0.0.1", record.port) }
                    pump_until(opened(second, record))
                    local done
                    first.on_data = function()
                        put_an_end(second, ending)
                        newcomers(quiet.port, 3)
                        done = true
                    end
                    its_peer:write("first")
                    await_read_ahead(first, 5)
                    record.sockets[1]:write("second")
                    await_read_ahead(second.sock, 6)
                    pump_until(function() return done end)
                    for _ = 1, 3 do
                        evsock.pump(0.001)
                    end
                    first:abort()
                    record.server:close()
                end
            end)

        it(("a socket %s with data queued, before the pump: no newcomer gets it"):format(ending),
            function()
                local quiet = helper.server()
                for _ = 1, 8 do
                    local record = helper.server()
                    local held = { sock = evsock.connect("127.0.0.1", record.port) }
                    pump_until(opened(held, record))
                    record.sockets[1]:write("for nobody")
                    await_read_ahead(held.sock, 10)
                    put_an_end(held, ending)
                    newcomers(quiet.port, 3)
                    for _ = 1, 3 do
                        evsock.pump(0.001)
                    end
                    record.server:close()
                    assert.is_true(held.sock == nil or held.sock.state == "closed")
                end
            end)
    end

    it("a server closed with connections queued hands out none of them", function()
        for _ = 1, 8 do
            local accepted = 0
            local old = assert(evsock.listen("127.0.0.1", 0, {
                on_accept = function(server, sock)
                    accepted = accepted + 1
                    server:close()
                    sock:abort()
                    helper.server({ on_accept = never("on_accept of a new server") })
                end,
            }))
            local callers = {}
            for i = 1, 3 do
                callers[i] = helper.track(evsock.connect("127.0.0.1", old.port))
            end
            -- Long enough for the thread to accept them; nothing here depends on it.
            local moment = evsock.now() + 0.01
            while evsock.now() < moment or not callers[3]:info().live.connected do
                assert(evsock.now() < moment + 5 * helper.slow)
            end
            pump_until(function() return accepted > 0 end)
            for _ = 1, 3 do
                evsock.pump(0.001)
            end
            assert.equal(1, accepted)
        end
    end)
end)

describe("1,000 connections in quick succession", function()
    after_each(helper.finish)

    -- Every connection says its number and is told it three times; where it is ended, and how,
    -- depends on the number. `again` uses one socket for all.
    for _, again in ipairs { false, true } do
        it(again and "of one socket that is connected again and again mix nothing up"
            or "of new sockets, the old ones dropped, mix nothing up", function()
            local record = helper.server()
            record.server.on_accept = function(_, sock)
                sock.on_data = function()
                    for number in sock:lines("lf") do
                        sock:write(number, "\n", number, "\n", number, "\n")
                    end
                end
            end
            local ended, heard, sock = 0, 0, nil
            for i = 1, 1000 do
                local mine = {}
                local function own_lines(self)
                    for line in self:lines("lf") do
                        assert.equal(tostring(i), line)
                        mine.lines = (mine.lines or 0) + 1
                        heard = heard + 1
                    end
                    assert.is_true((mine.lines or 0) <= 3)
                end
                local options = {
                    on_connect = function(self)
                        assert.is_nil(mine.stands)
                        mine.stands = true
                        self:write(i, "\n")
                    end,
                    on_data = function(self)
                        assert.is_true(mine.stands)
                        own_lines(self)
                    end,
                    on_close = function(_, message)
                        -- Of this connection, or of the one that it has replaced.
                        assert.is_nil(message)
                        ended = ended + 1
                    end,
                }
                if again and sock then
                    sock:connect("127.0.0.1", record.port, options)
                else
                    sock = evsock.connect("127.0.0.1", record.port, options)
                end
                local phase = i % 5
                if phase == 1 then
                    pump_until(function() return mine.stands end)
                elseif phase == 2 then
                    pump_until(function() return mine.lines end)
                elseif phase == 3 then
                    -- With the answer read ahead and not announced.
                    pump_until(function() return mine.stands end)
                    evsock.pump()
                elseif phase == 4 then
                    evsock.pump()
                end
                if not again then
                    sock[i % 2 == 0 and "close" or "abort"](sock)
                end
            end
            sock:abort()
            pump_until(function() return ended >= 1000 end)
            evsock.pump(0.01)
            assert.equal(1000, ended)
            assert.is_true(heard >= 200, heard)
        end)
    end
end)
