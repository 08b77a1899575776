-- Names: the process-wide pool of lookups, and the race between the addresses of a name (RFC 8305).
-- The lookups are made by a library that is preloaded into a child (slow_names.c): names that
-- begin with "never-" are never answered, "gated-" when the child says so, "answers-" at once.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until

local TOOLS = "build/tools"

-- A tool of spec/peer for this interpreter: its path.
local function compile(name, ending, flags)
    local path = ("%s/%s-%s%s"):format(TOOLS, name, helper.lua_name, ending)
    -- By way of rename: another suite may be about to use it.
    helper.unix_only("a C compiler at run time")
    local command = "mkdir -p %s && gcc -O2 -o %s.$$ spec/programs/%s.c %s 2>&1"
        .. " && mv %s.$$ %s; echo $?"
    local pipe = assert(io.popen(command:format(TOOLS, path, name, flags, path, path)))
    local said = pipe:read("*a")
    pipe:close()
    assert(said:match("(%d+)%s*$") == "0", said)
    return path
end

local PRELUDE = [[
local evsock = require "evsock"
local accepted = {}
local server = assert(evsock.listen("127.0.0.1", 0, {
    on_accept = function(_, sock) accepted[#accepted + 1] = sock end,
}))
local port = server.port
local SLOW = tonumber(os.getenv("EVSOCK_SLOW")) or 1
local function pump_until(condition, seconds, what)
    local deadline = evsock.now() + (seconds or 5) * SLOW
    while not condition() do
        if evsock.now() > deadline then error("not in time: " .. what, 2) end
        evsock.pump(0.01)
    end
end
local function pump_for(seconds)
    local deadline = evsock.now() + seconds
    while evsock.now() < deadline do evsock.pump(0.01) end
end
-- How many lookups of names with that pattern have begun.
local function begun(pattern)
    local file = io.open(os.getenv("SLOW_NAMES_LOG"))
    local count = 0
    if file then
        for name in file:lines() do
            if name:find(pattern) then count = count + 1 end
        end
        file:close()
    end
    return count
end
local function pump_until_begun(pattern, count)
    pump_until(function() return begun(pattern) == count end, 5, count .. " of " .. pattern)
end
local gate
local function open_gate()
    gate = assert(io.open(os.getenv("SLOW_NAMES_GATE"), "w"))
end
local function count_of(word)
    local file = assert(io.open("/proc/self/status"))
    local count = file:read("*a"):match("\n" .. word .. ":%s*(%d+)")
    file:close()
    return tonumber(count)
end
local function threads() return count_of("Threads") end
-- Not by a shell: popen has one more descriptor for a moment.
local function descriptors()
    local count = 0
    for i = 0, 999 do
        local file = io.open("/proc/self/fdinfo/" .. i)
        if file then
            file:close()
            count = count + 1
        end
    end
    return count
end
-- Listens on that address and answers nobody: the queue of connections is full. Returns a socket
-- that shows it by going on connecting.
local silent = {}
local function silence(address)
    local dead, message = evsock.listen(address, port, { backlog = 1 })
    assert(dead, "this machine must have " .. address .. ": " .. tostring(message))
    dead:pause()
    silent[#silent + 1] = dead
    for _ = 1, 5 do
        silent[#silent + 1] = evsock.connect(address, port, { connect_timeout = 0 })
    end
    pump_for(0.05)
    local probe = silent[#silent]
    assert(probe.state == "connecting", address .. " answers")
    return probe
end
-- A socket and what happened to it, in order.
local function connect(name, options)
    local record = {}
    local function note(what)
        return function(_, message, code)
            record[#record + 1] = what
            record[what] = evsock.now() - record.begin
            if what == "close" then record.message, record.code = message, code end
            if what == "resolve" then record.addresses = message end
        end
    end
    options = options or {}
    options.on_resolve, options.on_connect = note("resolve"), note("connect")
    options.on_close = note("close")
    record.begin = evsock.now()
    record.sock = evsock.connect(name, port, options)
    return record
end
local function pump_until_over(record)
    pump_until(function() return record.connect or record.close end, 10, tostring(record.sock))
end
]]

local preloaded

-- Runs `body`, which makes a path for the log of lookups and one for the gate into shell text.
local function with_names(body)
    preloaded = preloaded or compile("slow_names", ".so", "-shared -fPIC -ldl")
    local folder = os.tmpname()
    os.remove(folder)
    local setup = ("mkdir -p %s; mkfifo %s/gate; export LD_PRELOAD=\"${LD_PRELOAD:+$LD_PRELOAD:}"
        .. "$PWD/%s\" SLOW_NAMES_LOG=%s/log SLOW_NAMES_GATE=%s/gate"):format(
        folder, folder, preloaded, folder, folder)
    local output, status = body(setup)
    os.remove(folder .. "/gate")
    os.remove(folder .. "/log")
    os.remove(folder)
    return output, status
end

-- What a child prints; its status must be 0.
local function child(script)
    local output, status = with_names(function(setup)
        return helper.run(PRELUDE .. script, nil, setup)
    end)
    assert.equal(0, status, output)
    return output
end

describe("200 names that never answer", function()
    local asked = {
        ["after them"] = [[
            for i = 1, 200 do connect("never-" .. i) end
            local good = connect("answers-201")
        ]],
        ["amid them"] = [[
            local good
            for i = 1, 200 do
                connect("never-" .. i)
                if i == 100 then good = connect("answers-201") end
            end
        ]],
        ["a second later"] = [[
            for i = 1, 200 do connect("never-" .. i) end
            pump_for(1)
            local good = connect("answers-201")
        ]],
    }
    local timed = [[
        local begin = evsock.now()
        local late, last = 0, begin
        evsock.every(0.005, function()
            local now = evsock.now()
            late, last = math.max(late, now - last - 0.005), now
        end)
        %s
        pump_until_over(good)
        pump_until_begun("^never", 200)
        pump_for(0.1)
        print(("%%.1f %%.1f"):format(good.connect * 1000, late * 1000))
        os.exit(0)
    ]]
    for when, script in pairs(asked) do
        it("do not delay one that does and is asked for " .. when .. ", nor the timers #figures",
            function()
            -- The best of three: others may keep the machine busy meanwhile.
            local connected, late = math.huge, math.huge
            for _ = 1, 3 do
                if connected >= 100 or late >= 50 then
                    local one, other = child(timed:format(script)):match("^(%S+) (%S+)\n$")
                    connected = math.min(connected, tonumber(one))
                    late = math.min(late, tonumber(other))
                end
            end
            assert.is_true(connected < 100, connected .. " ms to the connection")
            assert.is_true(late < 50, late .. " ms late was a timer")
        end)
    end

    for how, ending in pairs {
        ["the end of the script"] = "",
        ["os.exit(0)"] = "os.exit(0)",
        ["os.exit(0, true)"] = "os.exit(0, true)",
    } do
        it("do not hold up " .. how, function()
            local begin = evsock.now()
            local output = child([[
                for i = 1, 200 do connect("never-" .. i) end
                pump_until_begun("^never", 200)
                print(threads() > 200)
                io.stdout:flush()
            ]] .. ending)
            assert.equal("true\n", output)
            assert.is_true(evsock.now() - begin < 1 * helper.slow, "it took too long")
        end)
    end

    it("leave an idle process asleep #figures", function()
        local output = child([[
            for i = 1, 200 do connect("never-" .. i, { connect_timeout = 0 }) end
            pump_until_begun("^never", 200)
            pump_until(function() return threads() <= 202 end, 8, "the free threads are gone")
            local tasks = {}
            local pipe = io.popen("ls /proc/$PPID/task")
            for task in pipe:lines() do tasks[#tasks + 1] = task end
            pipe:close()
            local function switches()
                local sum = 0
                for _, task in ipairs(tasks) do
                    local file = assert(io.open("/proc/self/task/" .. task .. "/status"))
                    sum = sum + file:read("*a"):match("\nvoluntary_ctxt_switches:%s*(%d+)")
                    file:close()
                end
                return sum
            end
            local before = switches()
            evsock.pump(1)
            print(switches() - before)
            os.exit(0)
        ]])
        assert.is_true(tonumber(output) <= 4, output .. " wake-ups in a second")
    end)
end)

describe("lookups", function()
    it("take a bounded number of threads; what is asked beyond waits; threads end", function()
        local output = child([[
            local records = {}
            local before = threads()
            for i = 1, 300 do records[i] = connect("gated-" .. i) end
            pump_until_begun("^gated", 256)
            local most = threads() - before
            pump_for(0.2)
            print(begun("^gated"), most <= 257, threads() - before <= 257)
            open_gate()
            for _, record in ipairs(records) do pump_until_over(record) end
            print(begun("^gated"), records[1].connect ~= nil, records[300].connect ~= nil)
            pump_until(function() return threads() <= before + 8 + 1 end, 2, "most threads end")
            pump_until(function() return threads() <= before + 1 end, 5, "all threads end")
            print(threads() - before)
        ]])
        -- One thread more is the reactor's, which the first socket starts, unless it was there.
        assert.equal("256\ttrue\ttrue\n300\ttrue\ttrue\n", output:sub(1, -3))
        assert.is_true(tonumber(output:match("(%d+)%s*$")) <= 1, output)
    end)

    it("of one name by 50 sockets are one", function()
        assert.equal("1\n1\n2\n", child([[
            local records = {}
            for i = 1, 25 do records[i] = connect("gated-same") end
            pump_until_begun("same", 1)
            for i = 26, 50 do records[i] = connect("gated-same") end
            print(begun("same"))
            open_gate()
            for _, record in ipairs(records) do
                pump_until_over(record)
                assert(record.connect, record.message)
            end
            print(begun("same"))
            pump_until_over(connect("gated-same"))
            print(begun("same"))
        ]]))
    end)

    it("are called off by close: on_close comes at once, a waiting name is not begun", function()
        assert.equal("0\t0\t1\n", child([[
            local stuck = {}
            for i = 1, 256 do stuck[i] = connect("gated-" .. i) end
            pump_until_begun("^gated", 256)
            local dropped = connect("answers-dropped")
            local aborted, kept = connect("answers-aborted"), connect("answers-kept")
            for _, record in ipairs { dropped, aborted, stuck[1] } do
                local sock = record.sock
                assert(sock.state == "resolving")
                local begin = evsock.now()
                if record == aborted then sock:abort() else sock:close() end
                pump_until(function() return record.close end, 5, "on_close")
                assert(evsock.now() - begin < 0.05 * SLOW, "late")
                assert(#record == 1 and not record.code and sock.state == "closed")
            end
            open_gate()
            pump_until_over(kept)
            for i = 2, 256 do pump_until_over(stuck[i]) end
            assert(#dropped == 1 and #aborted == 1 and #stuck[1] == 1, "more than one event")
            print(begun("dropped"), begun("aborted"), begun("kept"))
        ]]))
    end)

    it("that never end are ended by connect_timeout, begun or not", function()
        assert.equal("ok\n", child([[
            local begun_one = connect("never-0", { connect_timeout = 0.1 })
            for i = 1, 299 do connect("never-" .. i, { connect_timeout = 0 }) end
            local waiting
            pump_until_begun("^never", 256)
            waiting = connect("never-300", { connect_timeout = 0.1 })
            for _, record in ipairs { begun_one, waiting } do
                pump_until_over(record)
                assert(record.code == "ETIMEDOUT", record.code)
                assert(record.message:find("^connect never%-%d+:%d+: timed out$"), record.message)
                assert(record.close >= 0.1, "early")
            end
            assert(waiting.close < 0.3, "late")
            print("ok")
            os.exit(0)
        ]]))
    end)

    it("give on_resolve every address, each once, in the system's order", function()
        assert.equal("127.0.0.1 ::1 127.0.0.2\n127.0.0.1\n", child([[
            local record = connect("list-127.0.0.1_::1_127.0.0.1_127.0.0.2")
            pump_until_over(record)
            print(table.concat(record.addresses, " "))
            print(record.sock.peer_address)
        ]]))
    end)

    local failures = {
        noname = "EHOSTNOTFOUND", again = "EHOSTNOTFOUND", fail = "EHOSTNOTFOUND",
        memory = "ENOMEM", files = "EMFILE",
    }
    for word, code in pairs(failures) do
        it("that fail with " .. word .. " close with " .. code .. " and say why", function()
            local output = child(([[
                local record = connect("fails-%s-x")
                pump_until_over(record)
                print(#record, record.code)
                print(record.message:match("^connect fails%%-%s%%-x:%%d+: ([^%%u(]+)$"))
            ]]):format(word, word))
            local first, why = output:match("^(.-)\n(.-)\n$")
            assert.equal("1\t" .. code, first, output)
            assert.are_not.equal("nil", why, output)
        end)
    end

    it("are asked for with a trailing dot as written, and never for what is no name", function()
        local output = child([[
            local long = ("x."):rep(126) .. "x"
            local longest = connect("answers-" .. long:sub(9))
            local dotted = connect("answers-dot.")
            local rooted = connect("answers-" .. long:sub(9) .. ".")
            for _, record in ipairs { longest, dotted, rooted } do
                pump_until_over(record)
                assert(record.connect, record.message)
            end
            print(begun("^answers%-dot%.$"), begun("^answers%-x"))
            for _, host in ipairs {
                "", ".", "answers-\0", "answers-x\0.example", "answers-" .. long:sub(8),
                "answers-" .. ("x"):rep(56), "answers-..x", ".answers-x", "answers- x",
            } do
                local record = connect(host)
                pump_until_over(record)
                assert(record.code == "EBADHOST" and #record == 1, ("%q"):format(host))
            end
            print(begun(""))
        ]])
        local dots, x, all = output:match("^(%d+)\t(%d+)\n(%d+)\n$")
        assert.same({ "1", "2", "3" }, { dots, x, all }, output)
    end)

    it("are shared by all states; one that closes calls off its own", function()
        local host = compile("close_states", "-names", helper.host_flags)
        -- The host runs it in a first and a second state, closes the first, then runs it in a
        -- third.
        local script = PRELUDE .. [[
            local file = assert(io.open(os.getenv("SLOW_NAMES_LOG") .. ".states", "a+"))
            file:write("x")
            file:seek("set")
            local state = #file:read("*a")
            file:close()
            local own = connect("answers-" .. (state == 3 and "third" or "waits-" .. state))
            for i = 1, 256 do connect("gated-" .. i) end
            if state == 1 then
                own.sock:abort()
                pump_until_begun("^gated", 256)
                connect("answers-first")
            elseif state == 2 then
                connect("answers-second")
            else
                assert(begun("^answers%-second") == 0)
                open_gate()
                pump_until_begun("^answers%-second", 1)
                pump_until_over(own)
                print("of the first " .. begun("^answers%-first"))
                print("gated " .. begun("^gated"))
                os.remove(os.getenv("SLOW_NAMES_LOG") .. ".states")
            end
        ]]
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write(script)
        file:close()
        local output = with_names(function(setup)
            local pipe = assert(io.popen(("%s; timeout 20 %s 1 %s 2>&1"):format(
                setup, host, path)))
            local said = pipe:read("*a")
            pipe:close()
            return said
        end)
        os.remove(path)
        assert.is_truthy(output:find("of the first 0\n", 1, true), output)
        assert.is_truthy(output:find("gated 256\n", 1, true), output)
        assert.is_truthy(output:find("1 states", 1, true), output)
    end)
end)

describe("the race between addresses", function()
    after_each(helper.finish)

    it("is won by IPv4 a quarter of a second later when IPv6 answers nobody", function()
        local output = child([[
            local probe = silence("::1")
            local open = descriptors()
            local record = connect("localhost")
            pump_until_over(record)
            pump_until(function() return #accepted == 1 end, 1, "accepted")
            assert(probe.state == "connecting", "::1 has answered")
            pump_for(0.3)
            print(table.concat(record, " "), record.sock.peer_address, descriptors() - open)
            print(record.connect)
        ]])
        -- One descriptor for either end: the loser's is closed.
        local events, took = output:match("^(.-)\n(%S+)\n$")
        assert.equal("resolve connect\t127.0.0.1\t2", events, output)
        assert.is_true(tonumber(took) >= 0.25 and tonumber(took) < 0.4, output)
    end)

    it("goes on to IPv4 at once when IPv6 refuses", function()
        local record = helper.server()
        local begin = evsock.now()
        local client = helper.track(evsock.connect("localhost", record.port, {
            on_connect = expect(function()
                assert.is_true(evsock.now() - begin < 0.2 * helper.slow)
            end, 1),
        }))
        pump_until(function() return client.state == "open" end)
        assert.equal("127.0.0.1", client.peer_address)
    end)

    it("is won by IPv6 when it answers, and IPv4 is not troubled", function()
        local record = helper.server({ on_accept = never("on_accept of IPv4") })
        local accepted
        local six = helper.track(assert(evsock.listen("::1", record.port, {
            on_accept = expect(function(_, sock) accepted = helper.track(sock) end, 1),
        })))
        local client = helper.track(evsock.connect("localhost", record.port))
        pump_until(function() return client.state == "open" end)
        assert.equal("::1", client.peer_address)
        helper.pump_for(0.3)
        assert.same({ "open", "open" }, { client.state, accepted.state })
        six:close()
    end)

    it("that all lose closes once and says what failed", function()
        local port = helper.free_port()
        local client = helper.track(evsock.connect("localhost", port, {
            on_connect = never("on_connect"),
            on_close = expect(function(_, message, code)
                assert.equal(("connect localhost:%d: connection refused"):format(port), message)
                assert.equal("ECONNREFUSED", code)
            end, 1),
        }))
        pump_until(function() return client.state == "closed" end)
        helper.pump_for(0.3)
    end)

    it("is called off by close, and leaves no descriptor", function()
        assert.equal("resolve close\tnil\t0\t0\n", child([[
            silence("::1")
            local open = descriptors()
            local record = connect("localhost")
            -- Not for a fixed time, nor counted from the begin: the machine may be loaded.
            pump_until(function() return record.resolve end, 5, "the addresses")
            assert(record.sock.state == "connecting")
            local asked = evsock.now() - record.begin
            record.sock:close()
            pump_until_over(record)
            assert(record.close - asked < 0.1 * SLOW, "late")
            pump_for(0.3)
            print(table.concat(record, " "), record.code, descriptors() - open, #accepted)
        ]]))
    end)

    it("among five addresses is won by the first that answers, dead ones first", function()
        local output = child([[
            silence("::1")
            silence("127.0.0.2")
            local open = descriptors()
            local record = connect("list-::1_127.0.0.2_127.0.0.3_127.0.0.1_127.0.0.4")
            pump_until_over(record)
            pump_until(function() return #accepted == 1 end, 1, "accepted")
            print(table.concat(record, " "), record.sock.peer_address, descriptors() - open)
            print(#record.addresses, record.connect)
            local timed = connect("list-::1_127.0.0.2", { connect_timeout = 0.4 })
            pump_until_over(timed)
            print(table.concat(timed, " "), timed.code, descriptors() - open)
        ]])
        local events, count, took, ending = output:match("^(.-)\n(%d+)\t(%S+)\n(.-)\n$")
        assert.equal("resolve connect\t127.0.0.1\t2", events, output)
        assert.equal("5", count, output)
        -- Two addresses are silent for a quarter of a second each, one refuses at once.
        assert.is_true(tonumber(took) >= 0.5 and tonumber(took) < 0.65, output)
        assert.equal("resolve close\tETIMEDOUT\t2", ending, output)
    end)

    it("among five addresses that all refuse closes once, naming host and reason", function()
        local output = child([[
            server:close()
            local open = descriptors()
            local record = connect("list-127.0.0.2_::1_127.0.0.3_127.0.0.4_127.0.0.5")
            pump_until_over(record)
            print(table.concat(record, " "), record.code, descriptors() - open)
            print((record.message:gsub(":%d+: ", ":PORT: ")))
        ]])
        assert.equal("resolve close\tECONNREFUSED\t0\nconnect "
            .. "list-127.0.0.2_::1_127.0.0.3_127.0.0.4_127.0.0.5:PORT: connection refused\n",
            (output:gsub("connect %[", "connect "):gsub("%]:PORT", ":PORT")))
    end)
end)

-- What `resolve` answers, as text.
local SHOWN = [[
server:close()
local function shown(found, message, code)
    if not found then return ("%s: %s"):format(message, code) end
    local list = {}
    for place, row in ipairs(found) do list[place] = row.address .. " " .. row.family end
    return table.concat(list, ", ")
end
]]

describe("resolve", function()
    local function shown(script)
        return child(SHOWN .. script)
    end

    it("tells the addresses of a name in the order of the system, each once", function()
        assert.equal("127.0.0.2 inet, ::1 inet6, 127.0.0.3 inet\n", shown([[
            print(shown(evsock.resolve("list-127.0.0.2_::1_127.0.0.3_::1")))
        ]]))
    end)

    it("waits elsewhere than in a task, too, and handlers run meanwhile", function()
        assert.equal("127.0.0.1 inet, before: true\n", shown([[
            local ran = false
            evsock.after(0.05, function()
                ran = true
                open_gate()
            end)
            local found = evsock.resolve("gated-1")
            print(shown(found) .. ", before: " .. tostring(ran))
            gate:close()
        ]]))
    end)

    it("suspends only its task, and many are under way at once", function()
        local output = shown([[
            local count = 0
            for i = 1, 50 do
                evsock.spawn(function()
                    assert(evsock.resolve("gated-" .. i)[1].address == "127.0.0.1")
                    count = count + 1
                end)
            end
            local other = false
            evsock.spawn(function()
                print(shown(evsock.resolve("answers-1")))
                other = true
            end)
            pump_until(function() return other end, 5, "the one that answers")
            print(count)
            open_gate()
            evsock.run()
            print(count, evsock.active())
        ]])
        assert.equal("127.0.0.1 inet\n0\n50\t0\n", output)
    end)

    it("gives up after its timeout, and the next to ask gets the answer", function()
        local output = shown([[
            local begin = evsock.now()
            print(shown(evsock.resolve("gated-1", 0.1)))
            local took = evsock.now() - begin
            assert(took >= 0.1 and took < 5 * SLOW, took)
            print(shown(evsock.resolve("gated-1", 0)))
            evsock.after(0.02, open_gate)
            print(shown(evsock.resolve("gated-1", 20)))
        ]])
        local late = "resolve gated-1: timed out: ETIMEDOUT\n"
        assert.equal(late .. late .. "127.0.0.1 inet\n", output)
    end)

    it("is not begun for a task that was canceled before its turn", function()
        local output = shown([[
            local tasks = {}
            for i = 1, 5000 do
                tasks[i] = evsock.spawn(function() evsock.resolve("gated-" .. i) end)
            end
            pump_for(0.2)
            for _, task in ipairs(tasks) do assert(task:cancel()) end
            local at_the_end = begun("^gated")
            open_gate()
            pump_for(0.3)
            print(begun("^gated") == at_the_end, at_the_end < 5000)
            print(shown(evsock.resolve("answers-1", 20)))
            print(evsock.active())
        ]])
        assert.equal("true\ttrue\n127.0.0.1 inet\n0\n", output)
    end)

    it("tells the failures of a lookup under its own name", function()
        local output = shown([[
            for _, word in ipairs { "noname", "again", "fail", "memory", "files" } do
                print(shown(evsock.resolve("fails-" .. word .. "-1")))
            end
        ]])
        assert.equal(table.concat({
            "name or service not known: EHOSTNOTFOUND",
            "temporary failure in name resolution: EHOSTNOTFOUND",
            "non-recoverable failure in name resolution: EHOSTNOTFOUND",
            "cannot allocate memory: ENOMEM",
            "too many open files: EMFILE",
        }, "\n") .. "\n", (output:gsub("resolve fails%-%l+%-1: ", "")))
    end)

    it("asks nobody about numbers and localhost", function()
        local output = shown([[
            for _, name in ipairs { "10.0.0.9", "::1", "[::1]", "localhost", "LOCALHOST." } do
                print(shown(evsock.resolve(name, 0)))
            end
            print(begun(".*"))
        ]])
        assert.equal("10.0.0.9 inet\n::1 inet6\n::1 inet6\n"
            .. ("::1 inet6, 127.0.0.1 inet\n"):rep(2) .. "0\n", output)
    end)

    it("refuses at once what is no name", function()
        for name, why in pairs {
            [""] = "this is no host name: EBADHOST",
            ["a b"] = "this is no host name: EBADHOST",
            ["unix:/run/x"] = "this is no host name: EBADHOST",
            ["a:80"] = 'the port stands in the host\'s text; it is an argument of its own: "a", 80'
                .. ": EBADHOST",
            ["fe80::1%no-such"] = "there is no interface 'no-such': EADDRNOTAVAIL",
        } do
            local found, message, code = evsock.resolve(name)
            assert.is_nil(found)
            assert.equal(("resolve %s: %s"):format(name, why), message .. ": " .. code)
        end
        helper.misuse(function() evsock.resolve(7) end,
            "bad argument 'name' to 'resolve' (string expected, got 7)")
        helper.misuse(function() evsock.resolve("a", "b") end,
            "bad argument 'timeout' to 'resolve' (seconds of at least 0, or nil expected, got")
    end)
end)
