-- evsock.testing, the clock: timers, timeouts, sleeps and pauses go by a clock that the
-- test moves, of the native API and of all dialects; sockets stay real.

local helper = require "spec.helper"
local testing = require "evsock.testing"

local evsock = helper.evsock
local expect, never = helper.expect, helper.never

local clock, began

local function take_clock()
    clock = testing.clock()
    began = clock:now()
end

local function give_clock_back()
    clock:release()
    helper.finish()
end

local function passed()
    return clock:now() - began
end

-- A port that answers nobody, which takes real time to make.
local function silent_port()
    helper.unix_only("a queue of connections that is full")
    clock:release()
    local port = helper.silent_port()
    take_clock()
    return port
end

-- A server that keeps whom it accepts.
local function server_of(options)
    local peers = {}
    local server = helper.track(assert(evsock.listen("127.0.0.1", 0, options)))
    server.on_accept = function(_, peer)
        peers[#peers + 1] = helper.track(peer)
    end
    return server, peers
end

-- Both ends of a connection, made in real time.
local function pair(options)
    local server, peers = server_of()
    local sock = helper.connect(server.port, options)
    clock:advance(0)
    assert.equal("open", sock.state)
    assert.equal(1, #peers)
    return sock, peers[1]
end

-- What a handler of an end notes: the time and the code.
local function ending()
    local seen = {}
    return seen, expect(function(_, _, code)
        seen.at, seen.code = passed(), code
    end, 1)
end

-- No test waits in real time for what its clock passes by.
local function in_no_time(fn)
    return function()
        local start = clock:real()
        fn()
        assert.is_true(clock:real() - start < 2 * helper.slow, "it took real time")
    end
end

describe("the clock of a test", function()
    before_each(take_clock)
    after_each(give_clock_back)

    it("stands until it is moved, and is the one by which evsock.now goes", in_no_time(function()
        assert.equal(clock:now(), evsock.now())
        helper.track(evsock.after(0.001, never("a timer that nobody has moved the clock to")))
        for _ = 1, 3 do
            evsock.pump(0.005)
        end
        assert.equal(began, clock:now())
        assert.equal(began, evsock.now())
    end))

    it("calls each timer at its own time, in order, and tells how many handlers ran", function()
        local log = {}
        local function note(name)
            return function()
                log[#log + 1] = name .. " " .. passed()
                assert.equal(clock:now(), evsock.now())
            end
        end
        evsock.after(1, note "one")
        local every = helper.track(evsock.every(2.5, note "every"))
        evsock.after(5, function()
            evsock.after(1, note "nested")
        end)
        evsock.after(20, never("a timer beyond"))
        assert.equal(7, clock:advance(10))
        local text = table.concat(log, ", "):gsub("%.0", "")
        assert.equal("one 1, every 2.5, every 5, nested 6, every 7.5, every 10", text)
        assert.equal(10, passed())
        every:cancel()
        assert.equal(0, clock:advance(9.5))
    end)

    it("calls timers of one moment in the order in which they were made", function()
        local log, old = {}, {}
        for i = 1, 20 do
            old[i] = evsock.after(5, never("a timer that was canceled"))
        end
        for i = 1, 20 do
            old[i]:cancel()
        end
        for i = 1, 20 do
            evsock.after(1, function() log[#log + 1] = i end)
        end
        clock:advance(1)
        for i = 1, 20 do
            assert.equal(i, log[i])
        end
    end)

    it("wakes tasks that sleep, and a sleep outside of tasks moves it", in_no_time(function()
        local log = {}
        local task = evsock.spawn(function()
            evsock.sleep(3600)
            log[#log + 1] = passed()
        end)
        clock:advance(3599)
        assert.is_false(task.done)
        assert.is_true(evsock.sleep(2))
        assert.is_true(task.done)
        assert.equal(3600, log[1])
        assert.equal(3601, passed())
    end))

    it("bounds waits of tasks", in_no_time(function()
        local _, peer = pair()
        local code, at
        evsock.spawn(function()
            local _, _, problem = peer:receive("*l", 30)
            code, at = problem, passed()
        end)
        clock:advance(29)
        assert.is_nil(code)
        clock:advance(5)
        assert.equal("ETIMEDOUT", code)
        assert.equal(30, at)
    end))

    it("gives what handlers cause the real time that it takes", in_no_time(function()
        local server = server_of()
        local log = {}
        server.on_accept = function(_, peer)
            helper.track(peer)
            peer.on_data = function()
                peer:write(("answer %s\n"):format(peer:read_line()))
            end
        end
        local sock = helper.connect(server.port)
        sock.on_data = function()
            for line in sock:lines() do
                log[#log + 1] = line .. " at " .. passed()
            end
        end
        helper.track(evsock.every(10, function()
            sock:write(("ask %d\n"):format(passed()))
        end))
        clock:advance(1000)
        assert.equal(100, #log)
        for i = 1, 100 do
            local at = tostring(log[i]):gsub("%.0$", "")
            assert.equal(("answer ask %d at %d"):format(i * 10, i * 10), at)
        end
    end))

    it("ends attempts that nobody answers by connect_timeout", in_no_time(function()
        local port = silent_port()
        local seen, on_close = ending()
        helper.connect(port, { connect_timeout = 30, on_close = on_close })
        clock:advance(29)
        assert.is_nil(seen.at)
        clock:advance(10)
        assert.same({ at = 30, code = "ETIMEDOUT" }, seen)
    end))

    it("ends silence by read_timeout, counted from the last arrival", in_no_time(function()
        local seen, on_close = ending()
        local _, peer = pair({ read_timeout = 10, on_data = function() end, on_close = on_close })
        evsock.after(8, function() peer:write "x" end)
        clock:advance(17)
        assert.is_nil(seen.at)
        clock:advance(5)
        assert.same({ at = 18, code = "ETIMEDOUT" }, seen)
    end))

    it("ends writes that nobody takes by write_timeout", in_no_time(function()
        local seen, on_close = ending()
        local server = server_of({ read_limit = 4096 })
        local sock = helper.connect(server.port, { write_timeout = 20, on_close = on_close })
        clock:advance(0)
        sock:write(("x"):rep(32 * 1024 * 1024))
        clock:advance(19)
        assert.is_nil(seen.at)
        clock:advance(5)
        assert.same({ at = 20, code = "ETIMEDOUT" }, seen)
    end))

    it("ends the pauses before connecting again", in_no_time(function()
        local attempts = {}
        local sock = helper.connect(helper.free_port(), {
            reconnect = { min = 1, max = 8, factor = 2, jitter = 0 },
            on_reconnect = function(_, attempt) attempts[attempt] = passed() end,
        })
        clock:advance(30)
        assert.same({ 1, 3, 7, 15, 23 }, attempts)
        sock:close()
    end))

    it("moves on by itself when nothing else is to do, once it is asked to", in_no_time(function()
        clock:auto()
        local sock, peer = pair()
        local log = {}
        sock.on_data = function()
            log[#log + 1] = sock:read() .. passed()
            if #log == 3 then
                sock:close()
                peer:close()
            end
        end
        local timer = helper.track(evsock.every(60, function() peer:write "poll " end))
        evsock.after(200, function()
            timer:cancel()
            evsock.stop()
        end)
        evsock.run()
        local text = table.concat(log, ", "):gsub("%.0", "")
        assert.equal("poll 60, poll 120, poll 180", text)
        assert.is_true(evsock.sleep(86400))
        assert.is_true(passed() >= 86600)
        local before = clock:now()
        assert.equal(0, evsock.pump(7))
        assert.equal(before + 7, clock:now())
        clock:auto(false)
        helper.track(evsock.after(1, never("a timer of a clock that stands again")))
        evsock.pump(0.005)
    end))

    it("passes timeouts of calls outside of tasks only when it moves by itself", function()
        local sock = pair()
        clock:auto()
        local before = clock:now()
        local _, _, code = sock:receive("*l", 40)
        assert.equal("ETIMEDOUT", code)
        assert.equal(before + 40, clock:now())
        clock:auto(false)
        -- A bound in real time: nobody could move the clock meanwhile.
        _, _, code = sock:receive("*l", 0.02)
        assert.equal("ETIMEDOUT", code)
        assert.equal(before + 40, clock:now())
    end)

    it("may change hands in the middle of a wait, whose time goes on from where it was", function()
        -- How long a wait of 0.1 s takes, in seconds of either clock, when a handler does that.
        local function wait_during(change)
            local sock = pair()
            evsock.after(0, change)
            local real, own = clock:real(), clock:now()
            local _, _, code = sock:receive("*l", 0.1)
            assert.equal("ETIMEDOUT", code)
            return clock:real() - real, clock:now() - own
        end
        clock:advance(100)
        assert.is_true(select(2, wait_during(function() clock:auto() end)) > 0.05)
        -- The clock is far ahead of the system's.
        local took = wait_during(function() clock:auto(false) end)
        assert.is_true(took > 0.09 and took < 5 * helper.slow, "took " .. took)
        took = wait_during(function() clock:release() end)
        assert.is_true(took > 0.09 and took < 5 * helper.slow, "took " .. took)
        clock = testing.clock()
    end)

    it("passes timeouts that no number says exactly, to their end", in_no_time(function()
        local sock = pair()
        clock:auto()
        for hundredths = 7, 700, 63 do
            local _, _, code = sock:receive("*l", hundredths / 100)
            assert.equal("ETIMEDOUT", code)
        end
    end))

    it("passes a flush of what nobody takes, when it moves by itself", in_no_time(function()
        clock:auto()
        local server = server_of({ read_limit = 4096 })
        local renoise = require "evsock.renoise"
        renoise.configure { send_timeout = 40000 }
        local client = assert(renoise.Socket.create_client("127.0.0.1", server.port))
        local before = clock:now()
        local sent, problem = client:send(("x"):rep(32 * 1024 * 1024))
        assert.is_false(sent or false)
        assert.equal("timeout", problem)
        assert.is_true(clock:now() >= before + 40)
        renoise.configure { send_timeout = 10000 }
        client:close()
    end))

    it("released it goes on: what is left of a time stays, nothing is lost or doubled", function()
        local log = {}
        evsock.after(10, function() log[#log + 1] = "late" end)
        evsock.after(0.03, function() log[#log + 1] = "soon" end)
        clock:advance(9.95)
        clock:release()
        local start = evsock.now()
        helper.pump_until(function() return #log == 2 end)
        assert.same({ "soon", "late" }, log)
        local took = evsock.now() - start
        assert.is_true(took > 0.04 and took < 5 * helper.slow, "took " .. took)
        assert.is_true(evsock.now() >= began + 10)
        -- Once more is nothing, and the next clock goes on from there.
        clock:release()
        local other = testing.clock()
        assert.is_true(other:now() >= began + 10)
        helper.raises("advance: the clock was released", function() clock:advance(1) end)
        clock = other
    end)

    it("is one: who asks again gets the same, standing", function()
        clock:auto()
        assert.equal(clock, testing.clock())
        helper.track(evsock.after(1, never("a timer of a clock that stands")))
        evsock.pump(0.005)
        assert.matches("^evsock.testing.Clock: held at [%d.]+ s$", tostring(clock))
    end)

    it("refuses misuse at the line of the script", function()
        helper.misuse(function() clock:advance(-1) end, "bad argument 'seconds' to 'advance'")
        helper.misuse(function() clock.advance(5) end, "call it with a colon")
        helper.misuse(function() clock:auto(1) end, "bad argument 'is_on' to 'auto'")
        helper.misuse(function() testing.clock({ grase = 1 }) end, "bad option 'grase' to 'clock'")
        helper.misuse(function() testing.clock({ grace = -1 }) end, "bad option 'grace' to 'clock'")
        helper.misuse(function() testing.clock(1) end, "bad argument 'options' to 'clock'")
    end)

    it("does not leap to the time of a wait that is over", function()
        local function begin()
            return helper.track(evsock.spawn(function()
                helper.track(evsock.spawn(evsock.sleep, 0)):join(3600)
                evsock.condition():wait()
            end))
        end
        -- One that waited before the clock was taken, and one that does so since.
        clock:release()
        begin()
        for _ = 1, 3 do
            evsock.pump(0.01)
        end
        clock = testing.clock()
        begin()
        clock:auto()
        local start = clock:now()
        assert.is_false((pcall(testing.wait_until, function() return false end, 0.1)))
        assert.is_true(clock:now() - start < 3000)
    end)

    it("goes on past timers that are set for no time again and again", function()
        local count = 0
        local function again()
            count = count + 1
            evsock.after(0, again)
        end
        again()
        clock:advance(3)
        assert.equal(3, passed())
        assert.is_true(count > 100)
        evsock.after(0, function() again = function() end end)
        clock:advance(0)
    end)

    it("stays where it was when a handler raises, and goes on from there", function()
        local log = {}
        evsock.after(1, function() error("oops", 0) end)
        evsock.after(2, function() log[#log + 1] = passed() end)
        local ok, problem = pcall(clock.advance, clock, 5)
        assert.is_false(ok)
        assert.matches("oops", problem)
        assert.equal(1, passed())
        clock:advance(4)
        assert.same({ 2 }, log)
    end)

    it("is moved by handlers, too", function()
        local log = {}
        evsock.after(1, function()
            clock:advance(2)
            log[#log + 1] = "outer " .. passed()
        end)
        evsock.after(2, function() log[#log + 1] = "inner " .. passed() end)
        clock:advance(2)
        assert.equal("inner 2, outer 3", (table.concat(log, ", "):gsub("%.0", "")))
        assert.equal(3, passed())
    end)
end)

describe("the clock of a test moves", function()
    before_each(take_clock)
    after_each(give_clock_back)

    it("timers, timeouts and reconnecting of Q-SYS", in_no_time(function()
        local qsys = require "evsock.qsys"
        local log = {}
        local timer = qsys.Timer.New()
        timer.EventHandler = function() log[#log + 1] = "timer " .. passed() end
        timer:Start(4)
        local sock = helper.track(qsys.TcpSocket.New())
        sock.ReconnectTimeout = 5
        sock.ReadTimeout = 3
        sock.EventHandler = function(_, event) log[#log + 1] = event .. " " .. passed() end
        local server = server_of()
        sock:Connect("127.0.0.1", server.port)
        clock:advance(9)
        timer:Stop()
        sock:Disconnect()
        local text = table.concat(log, ", "):gsub("%.0", "")
        assert.equal("CONNECTED 0, TIMEOUT 3, timer 4, timer 8, RECONNECT 8, CONNECTED 8", text)
        assert.equal(clock:now(), qsys.Timer.Now())
    end))

    it("timeouts of Pharos", in_no_time(function()
        local port = silent_port()
        local pharos = require "evsock.pharos"
        pharos.configure { connect_timeout = 25 }
        local log = {}
        local sock = pharos.net.TcpSocket.new()
        sock.error_handler = function(_, _, text) log[#log + 1] = { passed(), text } end
        sock:connect("127.0.0.1", port)
        clock:advance(24)
        assert.equal(0, #log)
        clock:advance(2)
        sock:close()
        assert.equal(25, log[1][1])
        pharos.configure { connect_timeout = 30 }
    end))

    it("calls of Renoise that block, when it moves by itself", in_no_time(function()
        local renoise = require "evsock.renoise"
        local server = server_of()
        clock:auto()
        local client = assert(renoise.Socket.create_client("127.0.0.1", server.port))
        local before = clock:now()
        local line, problem = client:receive("*line", 60000)
        assert.is_nil(line)
        assert.equal("timeout", problem)
        assert.equal(before + 60, clock:now())
        client:close()
    end))

    it("timeouts of Hammerspoon", in_no_time(function()
        local hs = {}
        require("evsock.hammerspoon").install({ hs = hs })
        local server = server_of()
        local sock = hs.socket.new(function() end)
        sock:setTimeout(45)
        sock:connect("127.0.0.1", server.port)
        clock:advance(0)
        sock:read("\n")
        clock:advance(44)
        assert.is_true(sock:connected())
        clock:advance(2)
        assert.is_false(sock:connected())
        sock:disconnect()
    end))

    it("sleeps, timeouts and the time of LuaSocket, in tasks and outside", in_no_time(function()
        local socket = require("evsock.luasocket").core
        local server = server_of()
        local before, start = socket.gettime(), passed()
        local done
        evsock.spawn(function()
            socket.sleep(10)
            local tcp = assert(socket.tcp())
            tcp:settimeout(20)
            assert(tcp:connect("127.0.0.1", server.port))
            local _, problem = tcp:receive("*l")
            done = problem .. " " .. passed()
            tcp:close()
        end)
        clock:advance(29)
        assert.is_nil(done)
        clock:advance(2)
        assert.equal("timeout 30", (done:gsub("%.0$", "")))
        socket.sleep(100)
        assert.equal(start + 131, passed())
        local wall = socket.gettime() - before
        assert.is_true(math.abs(wall - 131) < 5 * helper.slow, "gettime says " .. wall)
        clock:auto()
        local tcp = assert(socket.tcp())
        tcp:settimeout(50)
        assert(tcp:connect("127.0.0.1", server.port))
        local now = clock:now()
        assert.is_nil((tcp:receive("*l")))
        assert.equal(now + 50, clock:now())
        tcp:close()
    end))
end)
