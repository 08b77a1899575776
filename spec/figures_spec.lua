-- The figures that are promises, not speeds: switches, wake-ups, memory, descriptors, many
-- connections, closed states. Each is taken in a process of its own, and printed.

local helper = require "spec.helper"

local TOOLS = "build/tools"

local function shell(command)
    local pipe = assert(io.popen(command .. " 2>&1; echo \"[$?]\""))
    local said = pipe:read("*a")
    pipe:close()
    local text, status = said:match("^(.-)%[(%d+)%]%s*$")
    return text, tonumber(status)
end

local function compile(name, flags)
    local path = ("%s/%s-figures-%s"):format(TOOLS, name, helper.lua_name)
    local said, status = shell(("mkdir -p %s && gcc -O2 -o %s spec/programs/%s.c %s"):format(
        TOOLS, path, name, flags or ""))
    assert.equal(0, status, said)
    return path
end

-- Runs a script in a fresh interpreter, if asked beside an echo server, whose port is `port`.
local PRELUDE = [[
local evsock = require "evsock"
evsock.pump(0.001) -- starts the thread, which is to be counted
local pid = assert(io.open("/proc/self/stat")):read("*n")
-- Reading the threads' files one by one never blocks, so it adds no switches of its own.
local tasks = {}
do
    local pipe = io.popen("ls /proc/" .. pid .. "/task")
    for task in pipe:lines() do tasks[#tasks + 1] = task end
    pipe:close()
end
local function sum(word)
    local total = 0
    for _, task in ipairs(tasks) do
        local file = assert(io.open("/proc/" .. pid .. "/task/" .. task .. "/status"))
        total = total + tonumber(file:read("*a"):match("\n" .. word .. ":%s*(%d+)"))
        file:close()
    end
    return total
end
local function resident()
    collectgarbage() collectgarbage()
    local file = assert(io.open("/proc/self/status"))
    local kib = file:read("*a"):match("VmRSS:%s*(%d+)")
    file:close()
    return tonumber(kib) * 1024
end
local function descriptors()
    local count = 0
    local pipe = io.popen("ls /proc/" .. pid .. "/fd")
    for _ in pipe:lines() do count = count + 1 end
    pipe:close()
    return count
end
-- Bytes of the heap in use, Lua's and ours (spec/programs/heap.c).
local function in_use()
    collectgarbage() collectgarbage()
    os.execute("kill -USR2 " .. pid)
    local file = assert(io.open(os.getenv("HEAP_IN_USE")))
    local bytes = file:read("*n")
    file:close()
    return bytes
end
local port = tonumber(os.getenv("ECHO_PORT"))
]]

local function figure(script, with_echo, pin)
    local heap = compile("heap", "-shared -fPIC")
    local path, told = os.tmpname(), os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(PRELUDE, script)
    file:close()
    local run = "ulimit -n $(ulimit -Hn); " .. (pin or "") .. " env HEAP_IN_USE=" .. told
        .. " LD_PRELOAD=$PWD/" .. heap .. " timeout 100 " .. helper.lua .. " " .. path
    if with_echo then
        local echo = compile("echo")
        -- The echo server ends with its standard input, which the sleep keeps open until it is
        -- ended by its id.
        run = "d=$(mktemp -d); mkfifo $d/in; " .. (pin or "") .. " " .. echo
            .. " <$d/in >$d/port & e=$!; exec 9>$d/in; "
            .. "i=0; while [ ! -s $d/port ] && [ $i -lt 100 ]; do sleep 0.05; i=$((i+1)); done; "
            .. "export ECHO_PORT=$(cat $d/port); " .. run
            .. "; r=$?; exec 9>&-; wait $e; rm -r $d; (exit $r)"
    end
    local said, status = shell("bash -c '" .. run:gsub("'", "'\\''") .. "'")
    os.remove(path)
    os.remove(told)
    assert.equal(0, status, said)
    return said
end

local function show(text)
    io.stderr:write("   figure: ", (text:gsub("%s+$", "")), "\n")
end

-- The least figure of so many runs, which the machine's other work can only make larger: no more
-- of them than it takes to find one that is `good`.
local function least_of(runs, good, script, with_echo, pin)
    local best, said = math.huge, nil
    for _ = 1, runs do
        if best > good then
            said = figure(script, with_echo, pin)
            show(said)
            best = math.min(best, tonumber(said:match("^(%S+)")))
        end
    end
    return best, said
end

describe("#figures", function()
    after_each(helper.finish)

    it("ping-pong in pump pays no thread switch: at most 1.1 switches a round trip", function()
        local script = [[
            local n, count, v0, t0 = 20000, 0, nil, nil
            local text = ("x"):rep(64)
            evsock.connect("127.0.0.1", port, {
                on_connect = function(s)
                    v0, t0 = sum("voluntary_ctxt_switches") + sum("nonvoluntary_ctxt_switches"),
                        evsock.now()
                    s:write(text)
                end,
                on_data = function(s)
                    local got = s:read_exact(64)
                    if not got then return end
                    count = count + 1
                    if count < n then s:write(got) else s:close() end
                end,
            })
            evsock.run()
            local took = evsock.now() - t0
            local v1 = sum("voluntary_ctxt_switches") + sum("nonvoluntary_ctxt_switches")
            print(("%.3f switches a round trip (%.0f round trips a second)"):format(
                (v1 - v0) / n, n / took))
        ]]
        -- Others use the core too and are counted as switches of ours: the best of three.
        local best = least_of(3, 1.1, script, true, "taskset -c 0")
        assert.is_true(best <= 1.1, best)
    end)

    it("a pump with an idle socket wakes at most twice", function()
        local script = [[
            local s = evsock.connect("127.0.0.1", port, { on_data = print })
            while s.state ~= "open" do evsock.pump(1) end
            for _ = 1, 5 do evsock.pump(0.05) end
            local before = sum("voluntary_ctxt_switches")
            for _ = 1, 10 do evsock.pump(0.3) end
            local wakes = sum("voluntary_ctxt_switches") - before
            print(wakes / 10, "wake-ups in pump(0.3)")
        ]]
        -- One is ours, one is the thread's, which watches for 5 ms. On a busy machine there may be
        -- others: the best of five.
        local best = least_of(5, 2, script, true)
        assert.is_true(best <= 2, best)
    end)

    it("a thread leaves thousands of busy sockets to a script that handles them", function()
        local script = [[
            local n, exchanges, count, v0 = 500, 10, 0, nil
            local options = {
                on_connect = function(s) s:write("ping") end,
                on_data = function(s)
                    assert(s:read() == "ping")
                    count = count + 1
                    v0 = v0 or sum("voluntary_ctxt_switches")
                    -- One batch of events takes 50 ms: the thread has long watched enough.
                    local last = evsock.now() + 1e-4
                    while evsock.now() < last do end
                    if count <= n * (exchanges - 1) then s:write("ping") else s:close() end
                end,
            }
            for _ = 1, n do evsock.connect("127.0.0.1", port, options) end
            evsock.run()
            print(("%.3f switches a message of %d"):format(
                (sum("voluntary_ctxt_switches") - v0) / count, count))
        ]]
        -- A script that waits for its core looks busy with something else: the best of three.
        local best, said = least_of(3, 0.2, script, true)
        assert.is_truthy(said:find("of 5000", 1, true), said)
        assert.is_true(best <= 0.2, best)
    end)

    it("a script that never pumps uses no CPU, and 100,000 pump(0) never wait", function()
        local said = figure([[
            local s = evsock.connect("127.0.0.1", port, { on_data = print })
            while s.state ~= "open" do evsock.pump(1) end
            local clock = os.clock()
            os.execute("sleep 2")
            local idle = os.clock() - clock
            local began = evsock.now()
            for _ = 1, 100000 do evsock.pump(0) end
            print(("%.4f s of CPU in 2 s; pump(0) takes %.2f us"):format(
                idle, (evsock.now() - began) / 100000 * 1e6))
        ]], true)
        show(said)
        assert.is_true(tonumber(said:match("^(%S+)")) <= 0.02, said)
        assert.is_true(tonumber(said:match("takes (%S+)")) < 100, said)
    end)

    it("5,000 connections at once echo once each, at most 1 KiB resident each", function()
        local said = figure([[
            local keep, up, done = {}, 0, 0
            local function on_connect(s) up = up + 1 s:write("ping") end
            local function on_data(s) assert(s:read() == "ping") done = done + 1 end
            local options = { on_connect = on_connect, on_data = on_data }
            local function open(n)
                local goal = done + n
                for _ = 1, n do keep[#keep + 1] = evsock.connect("127.0.0.1", port, options) end
                local last = evsock.now() + 60
                while done < goal and evsock.now() < last do evsock.pump(1) end
                assert(done == goal, done .. " of " .. goal)
            end
            open(1000)
            local before, began = resident(), evsock.now()
            open(4000)
            print(("%.0f bytes a connection, %d open, %.2f s"):format(
                (resident() - before) / 4000, #keep, evsock.now() - began))
        ]], true)
        show(said)
        assert.is_true(tonumber(said:match("^(%S+)")) <= 1024, said)
        assert.is_truthy(said:find("5000 open", 1, true))
    end)

    it("10,000 connect/close cycles leave descriptors and memory where they were", function()
        local said = figure([[
            local server = assert(evsock.listen("127.0.0.1", 0, { on_close = function() end }))
            local function cycle(n)
                for _ = 1, n do
                    local c = evsock.connect("127.0.0.1", server.port, {
                        on_connect = function(s) s:close() end, on_close = function() end })
                    while c.state ~= "closed" do evsock.pump(1) end
                end
                while evsock.active() > 1 do evsock.pump(0.1) end
            end
            -- What was closed waits for the other side's end of stream for a second at most.
            local function settle(files)
                local last = evsock.now() + 3
                while descriptors() > files and evsock.now() < last do evsock.pump(0.1) end
            end
            local files = descriptors()
            cycle(2000)
            settle(files)
            local before = in_use()
            cycle(10000)
            settle(files)
            print(("%d descriptors more, %.0f KiB more in use (%.0f KiB resident)"):format(
                descriptors() - files, (in_use() - before) / 1024, resident() / 1024))
        ]])
        show(said)
        assert.is_true(tonumber(said:match("^(%S+)")) <= 0, said)
        -- Less than the smallest allocation a cycle.
        assert.is_true(tonumber(said:match("more, (%S+)")) <= 128, said)
    end)

    it("10,000 tasks each do 10 exchanges with one server and leave no memory behind", function()
        local said = figure([[
            local files = descriptors()
            local function round(n)
                local good = 0
                for i = 1, n do
                    evsock.spawn(function()
                        local sock = evsock.connect("127.0.0.1", port)
                        for k = 1, 10 do
                            local text = "task " .. i .. " exchange " .. k
                            assert(sock:send(text .. "\n"))
                            assert(sock:receive("*l") == text)
                            good = good + 1
                        end
                        sock:close()
                    end)
                end
                evsock.run()
                -- What was closed waits for the other side's end of stream for a second at most.
                local last = evsock.now() + 3
                while descriptors() > files and evsock.now() < last do evsock.pump(0.1) end
                return good
            end
            round(10000)
            -- Tables grow by doubling, now and then; what leaks grows in every round. What is in
            -- use after one round is compared with what was after the one before, for the
            -- counting itself moves the figure by some 100 KiB.
            local before, growth, good, took, rounds = in_use(), math.huge, nil, nil, 0
            while growth > 128 and rounds < 5 do
                local began = evsock.now()
                good = round(10000)
                took, rounds = evsock.now() - began, rounds + 1
                local after = in_use()
                growth, before = (after - before) / 1024, after
            end
            print(("%d exchanges in %.2f s; %.0f KiB more in use after round %d, "
                .. "%d descriptors more"):format(
                    good, took, growth, rounds, descriptors() - files))
        ]], true)
        show(said)
        assert.equal("100000", said:match("^(%d+) exchanges"), said)
        -- Less than the smallest allocation a task.
        assert.is_true(tonumber(said:match("(%S+) KiB more")) <= 128, said)
        assert.is_true(tonumber(said:match("(%S+) descriptors more")) <= 0, said)
    end)

    -- Each waits in two of three ways, and for as long as chance says.
    it("1,000 tasks that wait in coroutines of their own are answered on time", function()
        local said = figure([[
            local co, LAST = evsock.coroutine, 0.5
            local server = assert(evsock.listen("127.0.0.1", 0, { on_data = function(sock)
                local line = sock:read_line()
                while line do
                    local answer = line
                    evsock.after(tonumber(line:match("%S+")), function()
                        sock:write(answer .. "\n")
                    end)
                    line = sock:read_line()
                end
            end }))
            local waits = {
                function(seconds, place)
                    local sock = evsock.connect("127.0.0.1", server.port)
                    sock:write(("%.4f of %d\n"):format(seconds, place))
                    local line = sock:receive("*l")
                    sock:close()
                    return line and line:match("of (%d+)")
                end,
                function(seconds, place)
                    evsock.sleep(seconds)
                    return tostring(place)
                end,
                function(seconds, place)
                    local queue = evsock.queue()
                    evsock.after(seconds, function() queue:push(tostring(place)) end)
                    return queue:pop()
                end,
            }
            local good, latest, done = 0, 0, 0
            math.randomseed(42)
            for place = 1, 1000 do
                local seconds = math.random() * LAST
                evsock.spawn(function()
                    local began = evsock.now()
                    local read = co.wrap(function()
                        for turn = 1, 2 do
                            co.yield((waits[(place + turn) % 3 + 1](seconds, place)))
                        end
                    end)
                    local first = read()
                    latest = math.max(latest, evsock.now() - began - seconds)
                    for _, answer in ipairs { first, (read()) } do
                        good = good + (answer == tostring(place) and 1 or 0)
                    end
                    done = done + 1
                    if done == 1000 then server:close() end
                end)
            end
            evsock.run()
            print(("%d right answers, the latest %.3f s late"):format(good, latest))
        ]])
        show(said)
        assert.equal("2000", said:match("^(%d+) right"), said)
        -- 667 connections begin in that time, too.
        assert.is_true(tonumber(said:match("latest (%S+) s")) <= 0.5 * helper.slow, said)
    end)

    it("cancel, error, close and collection amid 1,000 such waits leave nothing behind", function()
        local said = figure([[
            local co = evsock.coroutine
            evsock.on_unhandled = function() end
            local gone = setmetatable({}, { __mode = "k" })
            local wanted, silent = evsock.condition(), assert(evsock.listen("127.0.0.1", 0))
            local port = silent.port
            local function wait_somewhere(place)
                if place % 3 == 0 then
                    evsock.sleep(1000)
                elseif place % 3 == 1 then
                    wanted:wait()
                else
                    evsock.connect("127.0.0.1", port):receive("*l")
                end
            end
            local ends = {
                function(task) task:cancel() end,
                -- The error comes from another coroutine of the same task.
                function(task, fail) fail() end,
                function(task, fail, thread)
                    if co.close then pcall(co.close, thread) end
                    task:cancel()
                end,
                function() end,
            }
            local function round()
                for place = 1, 1000 do
                    local way = place % 4 + 1
                    local thread, failing
                    local task = evsock.spawn(function()
                        thread = co.create(function()
                            if way == 2 then
                                failing = evsock.queue()
                                failing:pop()
                                error("on purpose")
                            elseif way == 4 then
                                return evsock.sleep(0)
                            end
                            wait_somewhere(place)
                        end)
                        gone[thread] = true
                        local ok, problem = co.resume(thread)
                        assert(ok or problem:find("on purpose$"), problem)
                    end)
                    evsock.pump(0)
                    ends[way](task, function() failing:push(true) end, thread)
                end
                for _ = 1, 20 do evsock.pump(0.01) end
                for _ = 1, 5 do collectgarbage() evsock.pump(0.01) end
                local left = 0
                for _ in pairs(gone) do left = left + 1 end
                return left
            end
            round()
            local files = descriptors()
            local before, growth, left, rounds = in_use(), math.huge, nil, 0
            while growth > 64 and rounds < 5 do
                left, rounds = round(), rounds + 1
                local after = in_use()
                growth, before = (after - before) / 1024, after
            end
            local waits = 0
            while descriptors() > files and waits < 30 do evsock.pump(0.1) waits = waits + 1 end
            print(("%d coroutines left, %d objects active, %.0f KiB more in use after round %d, "
                .. "%d descriptors more"):format(
                    left, evsock.active() - 1, growth, rounds, descriptors() - files))
        ]])
        show(said)
        -- The last of each round may still stand in a variable.
        assert.is_true(tonumber(said:match("^(%d+) coroutines")) <= 1, said)
        assert.equal("0", said:match("(%S+) objects active"), said)
        assert.is_true(tonumber(said:match("(%S+) KiB more")) <= 64, said)
        assert.is_true(tonumber(said:match("(%S+) descriptors more")) <= 0, said)
    end)

    -- What each kind of server does: `listen(echo)` gives its port; a client's `tls`.
    local servers = {
        native = [[
            local server = assert(evsock.listen("127.0.0.1", 0, {
                tls = { certfile = CERT, keyfile = KEY },
                on_data = function(s) s:write(s:read()) end,
                on_error = function() end }))
            local port, tls = server.port, evsock.tls { cafile = CA, server_name = "localhost" }
        ]],
        Pharos = [[
            local net = require("evsock.pharos").net
            local server = net.SslServer.new()
            local configuration = net.SslConfiguration.new()
            local function text(path) return (assert(io.open(path)):read("*a")) end
            configuration.local_certificate = net.SslCertificate.new(text(CERT))
            configuration.private_key = net.SslKey.new(text(KEY))
            configuration.peer_verify_mode = net.SslConfiguration.VERIFY_NONE
            server.configuration = configuration
            server.new_connection_handler = function()
                local sock = server:next_pending_connection()
                sock.ready_read_handler = function() sock:write(sock:read(100)) end
            end
            assert(server:listen(0))
            local port, tls = server.port, evsock.tls { cafile = CA, server_name = "localhost" }
        ]],
        ["Q-SYS"] = [[
            local qsys = require "evsock.qsys"
            local server = qsys.TcpSocketServer.New()
            server.EventHandler = function(sock)
                sock.Data = function() sock:Write(sock:Read(100)) end
            end
            local reserved = assert(evsock.listen("127.0.0.1", 0))
            local port, tls = reserved.port, false
            reserved:close()
            assert(not server:Listen(port))
        ]],
    }
    for kind, listen in pairs(servers) do
        for how, word in pairs { ["that say nothing"] = "", ["of a byte a second"] = "trickle" } do
            it("2,000 peers " .. how .. " delay no client of a " .. kind .. " server", function()
                local certificates = require("spec.peers.openssl").certificates()
                local paths = ("local CERT, KEY, CA = %q, %q, %q\n"):format(
                    certificates:path("ecdsa.pem"), certificates:path("ecdsa.key"),
                    certificates:path("ca.pem"))
                local siege = ([[
                    local peers = io.popen("%s -e \"package.cpath = [==[" .. package.cpath
                        .. "]==]\" spec/programs/silent.lua " .. port .. " 2000 60 %s")
                    local count, worst, gone = 0, 0, 0
                    local open = 0
                    -- While they come, too; and until those whose time is up have come back.
                    local last = evsock.now() + 13
                    while evsock.now() < last do
                        local began, answer = evsock.now(), nil
                        local client = evsock.connect("127.0.0.1", port, { tls = tls,
                            on_data = function(s) answer = s:read() end })
                        client:write("hello")
                        while not answer and evsock.now() < began + 5 do evsock.pump(1) end
                        worst = math.max(worst, evsock.now() - began)
                        count = count + 1
                        client:close()
                        local pause = evsock.now() + 0.02
                        while evsock.now() < pause do evsock.pump(pause - evsock.now()) end
                    end
                    print(("%%.4f s at worst in %%d exchanges"):format(worst, count))
                    os.exit(0) -- the peers end when nobody listens
                ]]):format(helper.lua, word)
                local said = figure(paths .. listen .. siege)
                certificates:remove()
                show(kind .. ", " .. how .. ": " .. said)
                assert.is_true(tonumber(said:match("^%S+")) < 0.1 * helper.slow, said)
            end)
        end
    end

    it("survives lua_close with its thread running, 100 times in one process", function()
        local host = compile("close_states", helper.host_flags)
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write([[
            local evsock = require "evsock"
            local server = assert(evsock.listen("127.0.0.1", 0, {
                on_data = function(s) s:write(s:read()) end }))
            for i = 1, 5 do
                evsock.connect("127.0.0.1", server.port, {
                    reconnect = 0.01,
                    on_connect = function(s) s:write(("x"):rep(100000)) end,
                    on_data = function() end })
            end
            evsock.connect("nosuch.invalid", 1, { on_close = function() end })
            evsock.every(0.001, function() end)
            for i = 1, 4 do evsock.pump(0.002) end
        ]])
        file:close()
        local said, status = shell("timeout 100 " .. host .. " 100 " .. path)
        os.remove(path)
        show(said)
        assert.equal(0, status, said)
        local before, after = said:match("100 states, descriptors (%d+) before, (%d+) after")
        -- A lookup that is still under way in the system's library may have a socket or two.
        assert.is_true(tonumber(after) <= tonumber(before) + 3, said)
    end)
end)
