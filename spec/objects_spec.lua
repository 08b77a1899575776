-- What is open: `evsock.objects()`, `evsock.report()`, and `evsock.reset()`, which closes it all.

local helper = require "spec.helper"
local evsock = helper.evsock

-- The rows of that kind.
local function rows_of(kind)
    local rows = {}
    for _, row in ipairs(evsock.objects()) do
        if row.kind == kind then
            rows[#rows + 1] = row
        end
    end
    return rows
end

-- The one row of that kind.
local function row_of(kind)
    local rows = rows_of(kind)
    assert.equal(1, #rows, kind)
    return rows[1]
end

-- The line of the report that has the text, and its place.
local function line_with(text)
    local place = 0
    for line in evsock.report():gmatch("[^\n]+") do
        place = place + 1
        if line:find(text, 1, true) then
            return line, place
        end
    end
    error("no line with '" .. text .. "' in:\n" .. evsock.report(), 2)
end

describe("evsock.objects", function()
    after_each(helper.finish)

    it("is empty while nothing is open: the report says that nothing keeps run going", function()
        evsock.reset()
        assert.same({}, evsock.objects())
        assert.equal("nothing keeps run going\n", evsock.report())
    end)

    it("tells of a socket where it goes, who is there and what waits in it", function()
        local client, accepted = helper.pair()
        accepted:write("12345")
        helper.wait_field(client, "buffered", 5)
        local rows = rows_of("socket")
        assert.equal(2, #rows)
        local row = rows[1].object == client and rows[1] or rows[2]
        local other = rows[1].object == client and rows[2] or rows[1]
        assert.equal("open", row.state)
        assert.equal("evsock.Socket", row.class)
        assert.equal("127.0.0.1", row.host)
        assert.equal(client.port, row.port)
        assert.equal("127.0.0.1:" .. client.port, row.peer)
        assert.equal(5, row.buffered)
        assert.equal(0, row.pending)
        assert.is_true(row.age >= 0 and row.age < 60 * helper.slow)
        assert.is_true(row.keeps_run)
        assert.is_nil(row.where)
        assert.are_not.equal(row.number, other.number)
        assert.is_nil(other.host)
        assert.equal("127.0.0.1:" .. client.local_port, other.peer)
        line_with("socket to 127.0.0.1:" .. client.port .. ", open for ")
        assert.truthy(line_with("socket to"):find(", 5 bytes unread", 1, true))
        line_with("socket from 127.0.0.1:" .. client.local_port)
    end)

    it("tells of a socket that waits to connect again", function()
        local sock = helper.connect(helper.free_port(), {
            reconnect = 60, on_close = helper.expect(),
        })
        helper.wait_state(sock, "waiting")
        assert.equal("waiting", row_of("socket").state)
        assert.is_true(row_of("socket").keeps_run)
        line_with("waiting for ")
    end)

    it("tells of a server where it listens and how many it has accepted", function()
        local _, _, record = helper.pair()
        local row = row_of("server")
        assert.equal(record.server, row.object)
        assert.equal("listening", row.state)
        assert.equal("127.0.0.1", row.host)
        assert.equal(record.port, row.port)
        assert.equal(1, row.connections)
        assert.is_true(row.keeps_run)
        local line = line_with("server on 127.0.0.1:" .. record.port)
        assert.truthy(line:find("1 connection", 1, true))
    end)

    it("lists a server with two addresses once", function()
        helper.track(assert(evsock.listen("*", 0)))
        row_of("server")
    end)

    it("tells of a socket for datagrams, a timer and a watch", function()
        local udp = helper.track(assert(evsock.udp("127.0.0.1", 0)))
        local row = row_of("udp")
        assert.same({ udp, "bound", "127.0.0.1", udp.port },
            { row.object, row.state, row.host, row.port })
        line_with("udp socket on 127.0.0.1:" .. udp.port)
        local timer = helper.track(evsock.every(50, function() end))
        row = row_of("timer")
        assert.same({ timer, "active", 50, true },
            { row.object, row.state, row.period, row.keeps_run })
        assert.is_true(row.due > 0 and row.due <= 50)
        line_with("timer, every 50 s, due in ")
        local watch = helper.track(assert(evsock.watch(udp.fd, "r", function() end)))
        row = row_of("watch")
        assert.same({ watch, "watching", udp.fd, true },
            { row.object, row.state, row.fd, row.keeps_run })
        line_with("watch of descriptor " .. udp.fd)
    end)

    it("tells of a task what it waits in and for what, and hides the timers of waits", function()
        local client = helper.pair()
        local task = helper.spawn(function()
            client:receive("*l", 60)
        end)
        assert.equal("ready", row_of("task").state)
        helper.pump_until(function()
            return row_of("task").state == "waiting"
        end)
        local row = row_of("task")
        assert.equal(task, row.object)
        assert.equal("receive", row.waits_in)
        assert.is_true(row.keeps_run)
        for _, other in ipairs(rows_of("socket")) do
            assert.equal(other.object == client, other.number == row.waits_for)
        end
        assert.same({}, rows_of("timer"))
        line_with("task, waiting in receive for #" .. row.waits_for)
        local seen
        local running = helper.spawn(function()
            for _, each in ipairs(rows_of("task")) do
                seen = seen or each.state == "running" and each.object
            end
        end)
        helper.finished(running)
        assert.equal(running, seen)
    end)

    it("says of what run goes on for it, first in the report", function()
        local udp = helper.track(assert(evsock.udp("127.0.0.1", 0)))
        local watch = helper.track(assert(evsock.watch(udp.fd, "r")))
        assert.is_false(row_of("watch").keeps_run)
        local _, kept = line_with("udp socket on")
        local _, title = line_with("open, but run does not wait for it:")
        local _, rest = line_with("watch of descriptor")
        assert.is_true(kept < title and title < rest)
        assert.equal("this keeps run going:", evsock.report():match("^[^\n]+"))
        watch:close()
    end)

    it("names for each kind what keeps run going, as many as active counts", function()
        local client = helper.pair()
        helper.track(assert(evsock.udp("127.0.0.1", 0)))
        helper.track(evsock.after(60, function() end))
        helper.track(assert(evsock.watch(client.fd, "r", function() end)))
        helper.spawn(evsock.sleep, 60)
        local kinds, count = {}, 0
        for _, row in ipairs(evsock.objects()) do
            kinds[row.kind] = row.keeps_run
            count = count + (row.keeps_run and 1 or 0)
        end
        assert.same({
            socket = true, server = true, udp = true, timer = true, watch = true, task = true,
        }, kinds)
        assert.equal(evsock.active(), count)
    end)

    it("leaves out what is closed while the list is made", function()
        -- A hook stands in for a finaliser: it closes all at the nth call that the list makes.
        local place, was_reached = 0, true
        while was_reached do
            place, was_reached = place + 1, false
            local server = helper.track(assert(evsock.listen("127.0.0.1", 0)))
            local sock = helper.track(assert(evsock.connect("127.0.0.1", server.port)))
            local udp = helper.track(assert(evsock.udp("127.0.0.1", 0)))
            local timer = evsock.after(60, print)
            local task = evsock.spawn(evsock.sleep, 60)
            evsock.pump()
            local left = place
            debug.sethook(function()
                if debug.getinfo(2, "S").source == "@evsock/run/objects.lua" then
                    left = left - 1
                end
                if left == 0 then
                    debug.sethook()
                    was_reached = true
                    server:close()
                    sock:close()
                    udp:close()
                    timer:cancel()
                    task:cancel()
                end
            end, "c")
            local ok, problem = pcall(evsock.report)
            debug.sethook()
            evsock.reset()
            assert.is_true(ok, place .. ": " .. tostring(problem))
        end
        assert.is_true(place > 10, "the hook was called " .. place .. " times")
    end)

    it("has each task once, also when others begin and end while the list is made", function()
        local tasks = {}
        for place = 1, 300 do
            tasks[place] = evsock.spawn(evsock.sleep, 60)
        end
        evsock.pump()
        -- A hook stands in for a finaliser, at one of the first rows: loops get compiled later.
        local left = 10
        debug.sethook(function()
            if debug.getinfo(2, "n").name == "row_of_task" then
                left = left - 1
                if left == 0 then
                    debug.sethook()
                    for place = 201, 300 do
                        tasks[place]:cancel()
                    end
                    for _ = 1, 600 do
                        evsock.spawn(evsock.sleep, 60)
                    end
                end
            end
        end, "c")
        local ok, rows = pcall(evsock.objects)
        debug.sethook()
        evsock.reset()
        assert.is_true(ok, rows)
        assert.equal(0, left)
        local counts = {}
        for _, row in ipairs(rows) do
            counts[row.object] = (counts[row.object] or 0) + 1
        end
        for place = 1, 200 do
            assert.equal(1, counts[tasks[place]])
        end
    end)

    it("names the classes of dialects", function()
        local qsys = require "evsock.qsys"
        local sock = qsys.TcpSocket.New()
        sock:Connect("127.0.0.1", helper.server().port)
        helper.wait_field(sock, "IsConnected", true)
        local row
        for _, each in ipairs(rows_of("socket")) do
            row = each.object == sock and each or row
        end
        assert.truthy(row.class:find("TcpSocket", 1, true))
        sock:Disconnect()
    end)
end)

describe("evsock.report", function()
    after_each(helper.finish)

    it("hands the same to a function line by line, and to a file", function()
        helper.track(evsock.every(50, function() end))
        local lines = {}
        local text = evsock.report(function(line)
            lines[#lines + 1] = line
        end)
        assert.equal(table.concat(lines, "\n") .. "\n", text)
        local path = helper.free_path()
        evsock.report(path)
        evsock.report(path)
        local found = helper.read_file(path)
        assert.equal(2, select(2, found:gsub("this keeps run going:", "")))
    end)

    it("says which file it can't write", function()
        local text, message, code = evsock.report("/nowhere/at/all")
        assert.is_nil(text)
        assert.truthy(message:find("report: /nowhere/at/all", 1, true), message)
        assert.equal("EIO", code)
        helper.misuse(function() evsock.report(1) end, "bad argument 'sink' to 'report'")
    end)

    it("says that what it has opened can't be written", function()
        local path = "/dev/full"
        local full = io.open(path, "a")
        if full then
            full:close()
            local text, message, code = evsock.report(path)
            assert.is_nil(text)
            assert.truthy(message:find("^report: /dev/full: .*[Ss]pace"), message)
            assert.equal("EIO", code)
        else
            helper.unix_only("a device that is full")
            pending("there is no device that is full")
        end
    end)
end)

describe("evsock.reset", function()
    after_each(helper.finish)

    it("takes no task's timeouts away, not even when one was to be told just then", function()
        local waited, code
        helper.track(evsock.spawn(function()
            helper.spawn(evsock.sleep, 0):join(0.02)
            local before = evsock.now()
            while evsock.now() - before < 0.05 do
                coroutine.yield()
                evsock.reset()
            end
            before = evsock.now()
            code = select(3, evsock.condition():wait(0.03))
            waited = evsock.now() - before
        end))
        helper.pump_until(function() return waited end, 5)
        assert.equal("ETIMEDOUT", code)
        assert.is_true(waited >= 0.03, waited)
    end)

    it("closes whatever is open and calls no handler for it", function()
        local never = helper.never("a handler after reset")
        local client, accepted, record = helper.pair({ on_close = never, on_data = never })
        accepted.on_close = never
        local waiting = helper.connect(helper.free_port(), { reconnect = 60 })
        helper.wait_state(waiting, "waiting")
        waiting.on_close = never
        local udp = assert(evsock.udp("127.0.0.1", 0, { on_datagram = never }))
        local watch = assert(evsock.watch(udp.fd, "r", never))
        local timer, late = evsock.every(0.01, never), evsock.after(0, never)
        local task = evsock.spawn(function()
            accepted:receive("*l")
            never()
        end)
        local ready = evsock.spawn(never)
        accepted:write("what nobody will read")
        evsock.reset()
        assert.equal(0, evsock.active())
        assert.same({}, evsock.objects())
        helper.pump_for(0.05)
        for _, sock in ipairs { client, accepted, waiting } do
            assert.equal("closed", sock.state)
            assert.is_nil(sock:read())
            assert.is_nil(sock:write("x"))
        end
        assert.is_nil(record.server.port)
        assert.is_nil(udp.port)
        assert.is_nil(watch.fd)
        assert.is_false(timer.active or late.active)
        assert.is_true(task.done and ready.done)
        assert.equal("ECANCELED", select(3, task:join()))
    end)

    it("leaves objects that can be used again", function()
        local client = helper.pair()
        evsock.reset()
        local record = helper.server()
        client.on_connect = helper.expect(1)
        assert(client:connect("127.0.0.1", record.port))
        helper.wait_state(client, "open")
    end)

    it("ends a run from inside of a handler, and what else was due in that pump", function()
        local never = helper.never("a timer after reset")
        evsock.after(0, evsock.reset)
        for _ = 1, 3 do
            evsock.after(0, never)
        end
        evsock.after(60, never)
        evsock.run()
        assert.equal(0, evsock.active())
    end)

    it("ends a wait outside of tasks", function()
        local client = helper.pair()
        evsock.after(0, evsock.reset)
        local data, _, code = client:receive("*l", 60)
        assert.is_nil(data)
        assert.equal("ECLOSED", code)
    end)

    it("lets the task that calls it go on", function()
        local other = evsock.spawn(evsock.sleep, 60)
        local went_on
        local task = helper.spawn(function()
            evsock.reset()
            evsock.sleep(0.01)
            went_on = true
        end)
        helper.finished(task)
        assert.is_true(went_on and other.done)
    end)

    it("drops callbacks that a dialect has still to make", function()
        local qsys = require "evsock.qsys"
        local sock = qsys.TcpSocket.New()
        sock.EventHandler = helper.never("a handler of a dialect")
        sock:Connect("127.0.0.1", helper.free_port())
        evsock.reset()
        helper.pump_for(0.05)
        assert.equal(0, evsock.active())
    end)

    it("can be called when nothing is open, again and again", function()
        for _ = 1, 3 do
            evsock.reset()
        end
        assert.equal(0, evsock.active())
    end)
end)
