-- What every spec shares: expectations on handlers, pumping with a deadline, servers and pairs of
-- sockets that are closed again, child interpreters. Not here: anything that only one spec needs.

local evsock = require "evsock"
local child = require "spec.child"

-- Specs make failures that no handler hears of all the time.
evsock.on_unhandled = false

local helper = {
    evsock = evsock,
    -- By how much the bounds of time are wider: under valgrind everything takes longer.
    slow = tonumber(os.getenv("EVSOCK_SLOW")) or 1,
    -- What is done thousands of times is done so many times fewer where each time is dear.
    fewer = tonumber(os.getenv("EVSOCK_FEWER")) or 1,
    is_luajit = type(rawget(_G, "jit")) == "table",
    version = _VERSION,
    -- No shell of Unix, no /proc, no signals.
    is_windows = package.config:sub(1, 1) == "\\",
    read_file = child.read_file,
    --- Makes garbage whose finaliser calls a function.
    when_collected = child.when_collected,
}

-- What the running test made. `finish` replaces the whole table: a wrapped handler that is called
-- later finds itself in an old one and does nothing.
local function new_test()
    return { closers = {}, expected = {}, failures = {} }
end

local test = new_test()

local function call_site()
    local info = debug.getinfo(3, "Sl")
    return info and (info.short_src .. ":" .. info.currentline) or "?"
end

local function fail(message)
    test.failures[#test.failures + 1] = message
end

--- Wraps a handler: counts its calls and collects garbage in each. `finish` fails if it was not
--- called exactly `n` times (n nil: at least once).
function helper.expect(fn, n)
    if type(fn) == "number" then
        fn, n = nil, fn
    end
    local mine = test
    local record = { count = 0, wanted = n, site = call_site() }
    local function handler(...)
        if mine ~= test then
            return
        end
        record.count = record.count + 1
        collectgarbage()
        if fn then
            return fn(...)
        end
    end
    record.handler = handler
    mine.expected[#mine.expected + 1] = record
    return handler
end

--- How often a handler made by `expect` was called so far.
function helper.calls(handler)
    for _, record in ipairs(test.expected) do
        if record.handler == handler then
            return record.count
        end
    end
    error("no handler of this test", 2)
end

--- A handler that must not be called.
function helper.never(what)
    local mine = test
    local site = call_site()
    return function(_, ...)
        if mine ~= test then
            return
        end
        local values = { n = select("#", ...), ... }
        for i = 1, values.n do
            values[i] = tostring(values[i])
        end
        local message = ("%s: %s was called (%s)"):format(
            site, what or "a handler that must not be called", table.concat(values, ", "))
        fail(message)
        error(message, 0)
    end
end

--- Has `finish` end an object: by `closer(object)`, else by the first of its methods that does.
function helper.track(object, closer)
    test.closers[#test.closers + 1] = function()
        if closer then
            return closer(object)
        end
        for _, name in ipairs { "abort", "close", "cancel", "Disconnect", "Close", "Stop" } do
            local found, method = pcall(function()
                return object[name]
            end)
            if found and type(method) == "function" then
                return method(object)
            end
        end
    end
    return object
end

--- Pumps until `condition()` is true; fails with `what` after `seconds` (default 5, and more where
--- everything is slow).
function helper.pump_until(condition, seconds, what)
    local limit = seconds or 5
    if helper.slow > 1 then
        limit = math.max(limit, 5 * helper.slow)
    end
    local deadline = evsock.now() + limit
    while true do
        local value = condition()
        if value then
            return value
        end
        if evsock.now() >= deadline then
            error(("not within %g s: %s"):format(limit, what or "the condition"), 2)
        end
        evsock.pump(0.02)
    end
end

--- Pumps for that long: only to show that something does not happen, so keep it short.
function helper.pump_for(seconds)
    local deadline = evsock.now() + seconds
    repeat
        evsock.pump(math.max(0, math.min(0.01, deadline - evsock.now())))
    until evsock.now() >= deadline
end

local function copy(options)
    local result = {}
    for name, value in pairs(options or {}) do
        result[name] = value
    end
    return result
end

--- A native server on 127.0.0.1; accepted sockets are appended to `sockets` of the record.
function helper.server(options)
    local record = { sockets = {} }
    local wanted = copy(options)
    local user = wanted.on_accept
    wanted.on_accept = function(server, sock)
        record.sockets[#record.sockets + 1] = sock
        if user then
            return user(server, sock)
        end
    end
    local server, message, code = evsock.listen("127.0.0.1", 0, wanted)
    if not server then
        error(("listen: %s (%s)"):format(tostring(message), tostring(code)), 2)
    end
    record.server, record.port = server, server.port
    helper.track(record, function()
        server:close()
        for _, sock in ipairs(record.sockets) do
            sock:abort()
        end
    end)
    return record
end

--- A native client to 127.0.0.1 that `finish` ends.
function helper.connect(port, options)
    return helper.track(evsock.connect("127.0.0.1", port, options))
end

--- A connected client and the socket that the server accepted for it; then the server's record.
function helper.pair(client_options, server_options)
    local record = helper.server(server_options)
    local client = helper.connect(record.port, client_options)
    helper.pump_until(function()
        return client.state == "open" and record.sockets[1]
    end, 5, "a connected pair")
    return client, record.sockets[1], record
end

--- Reads all that is there; how many bytes it was.
function helper.read_away(sock)
    local total, text = 0, sock:read()
    while text do
        total = total + #text
        text = sock:read()
    end
    return total
end

--- A path of the file system for a Unix socket; what lies there is removed by `finish`.
function helper.free_path()
    local path = os.tmpname()
    os.remove(path)
    return helper.track(path, os.remove)
end

--- A port of 127.0.0.1 where nobody listens.
function helper.free_port()
    local server = assert(evsock.listen("127.0.0.1", 0))
    local port = server.port
    server:close()
    return port
end

--- A port of 127.0.0.1 that answers nobody: its queue of connections is full and nobody accepts.
function helper.silent_port()
    local server = helper.track(assert(evsock.listen("127.0.0.1", 0, { backlog = 1 })))
    local port = server.port
    server:pause()
    for _ = 1, 4 do
        helper.connect(port, { connect_timeout = 0 })
    end
    helper.pump_for(0.05)
    return port
end

--- The modules of all dialects, in the order of their names.
function helper.dialects()
    return require "evsock.hammerspoon", require "evsock.pharos", require "evsock.qsys",
        (require "evsock.renoise")
end

-- Calls `fn`, which must raise an error with that text at one of its lines, of which the last is
-- given.
local function must_raise(fn, text, last)
    local ok, message = pcall(fn)
    if ok then
        error("no error raised, expected: " .. text, 3)
    end
    local info = debug.getinfo(fn, "S")
    local first, place = info.linedefined, info.short_src .. ":"
    last = last or info.lastlinedefined
    local line = type(message) == "string" and message:sub(1, #place) == place
        and tonumber(message:match("^(%d+): ", #place + 1)) or 0
    if line < first or line > last or not message:find(text, 1, true) then
        error(("expected an error at %s%d-%d: %s, got: %s"):format(
            place, first, last, text, tostring(message)), 3)
    end
end

--- Calls `fn`, written on one line, which must raise an error at that line that contains `text`.
function helper.misuse(fn, text)
    must_raise(fn, text, debug.getinfo(fn, "S").linedefined)
end

--- Calls `fn`, of any number of lines, which must raise an error at one of them that contains
--- `text`.
function helper.raises(text, fn)
    must_raise(fn, text)
end

--- A timer that cancels itself in its nth call; `fn` is called in each. Returns a record whose
--- `count` says how many there were.
function helper.ticks(seconds, times, fn)
    local record, timer = { count = 0 }, nil
    timer = evsock.every(seconds, function()
        record.count = record.count + 1
        if record.count == times then
            timer:cancel()
        end
        if fn then
            fn()
        end
    end)
    return record
end

--- Lets the library's thread work while nothing is dispatched.
function helper.compute(seconds)
    local deadline = evsock.now() + seconds
    while evsock.now() < deadline do
        collectgarbage("step")
    end
end

--- A condition for `pump_until`: the object is in that state.
function helper.is_state(object, state)
    return function()
        return object.state == state
    end
end

--- Pumps until `object[name]` is `value`. What waits does not hold the object: LuaJIT keeps what it
--- has compiled, and the closures that this has called.
function helper.wait_field(object, name, value)
    local weak = setmetatable({ object }, { __mode = "v" })
    helper.pump_until(function()
        return weak[1][name] == value
    end, 5, name .. " is " .. tostring(value))
end

--- Pumps until the object is in that state.
function helper.wait_state(object, state)
    helper.wait_field(object, "state", state)
end

--- A task that is canceled at the end of the test.
function helper.spawn(fn, ...)
    return helper.track(evsock.spawn(fn, ...))
end

--- Pumps until these tasks are done.
function helper.finished(...)
    local tasks = { ... }
    helper.pump_until(function()
        for _, task in ipairs(tasks) do
            if not task.done then
                return false
            end
        end
        return true
    end, 5, "the end of " .. #tasks .. " tasks")
end

--- Pumps until the list has at least that many entries.
function helper.wait_count(list, count)
    helper.pump_until(function()
        return #list >= count
    end, 5, count .. " entries")
end

--- Pumps until the list has just that many entries: fails where it gets more at once.
function helper.wait_exactly(list, count)
    helper.pump_until(function()
        return #list == count
    end, 5, "exactly " .. count .. " entries")
end

--- Pumps until a record of `helper.server` has its first socket, and returns that.
function helper.wait_accepted(record)
    return helper.pump_until(function()
        return record.sockets[1]
    end, 5, "the server accepts a connection")
end

--- Pumps until the first socket of a record of `helper.server` has just so many bytes.
function helper.wait_arrived(record, count)
    helper.wait_field(helper.wait_accepted(record), "buffered", count)
end

--- Collects garbage until `peer`, the other end of what nothing refers to, sees its end.
function helper.wait_collected(peer)
    helper.pump_until(function()
        helper.collect()
        return peer.state == "closed"
    end, 5, "the peer of what is collected sees the end")
end

--- Collects garbage until the port of 127.0.0.1, where something listens that nothing refers to, is
--- free.
function helper.wait_port_freed(port)
    helper.pump_until(function()
        helper.collect()
        local server = evsock.listen("127.0.0.1", port)
        if server then
            server:close()
        end
        return server
    end, 5, "the port is free")
end

-- A pump whose errors belong to the report of the test, not to the caller.
local function quiet_pump(mine)
    local ok, message = pcall(evsock.pump, evsock.active() == 0 and 0 or 0.02)
    if not ok then
        mine.failures[#mine.failures + 1] = tostring(message)
    end
end

--- For after_each: closes what helper made, checks the expectations, and fails if something is
--- active after pumping for at most 2 s. What happens during the closing counts for nothing.
function helper.finish()
    local mine = test
    test = new_test()
    evsock.on_error, evsock.on_unhandled = nil, false
    for i = #mine.closers, 1, -1 do
        local ok, message = pcall(mine.closers[i])
        if not ok then
            mine.failures[#mine.failures + 1] = "closing: " .. tostring(message)
        end
    end
    mine.closers = nil
    for _, record in ipairs(mine.expected) do
        local wanted, count = record.wanted, record.count
        if wanted and count ~= wanted or not wanted and count == 0 then
            mine.failures[#mine.failures + 1] = ("%s: handler called %d times, expected %s"):format(
                record.site, count, wanted and tostring(wanted) or "at least 1")
        end
    end
    mine.expected = nil
    local deadline = evsock.now() + 2
    local rounds = 0
    repeat
        collectgarbage()
        quiet_pump(mine)
        rounds = rounds + 1
    until evsock.active() == 0 and rounds > 1 or evsock.now() >= deadline
    if evsock.active() ~= 0 then
        mine.failures[#mine.failures + 1] = ("%d objects are still active"):format(evsock.active())
    end
    if mine.failures[1] then
        error(table.concat(mine.failures, "\n"), 0)
    end
end

local function quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function capture(command)
    local pipe = assert(io.popen(command, "r"))
    local output = pipe:read("*a")
    pipe:close()
    return output
end

-- Overwrites what finished calls have left on the stack, where a collector may still see an object.
local function scrub(depth)
    local filler = depth * 2
    return depth > 0 and scrub(depth - 1) + filler or 0
end

--- Writes to `peer` and pumps until `client` can read all of it more than before; `count` is the
--- field of the client that tells how much that is ("buffered" of a native one).
function helper.fill(client, peer, text, count)
    count = count or "buffered"
    local wanted = client[count] + #text
    peer:write(text)
    helper.wait_field(client, count, wanted)
end

--- All 256 bytes, each once.
function helper.all_bytes()
    local all = {}
    for byte = 0, 255 do
        all[#all + 1] = string.char(byte)
    end
    return table.concat(all)
end

--- A function that gives whole numbers from 1 to `most`, the same ones on every Lua.
function helper.dice(seed)
    return function(most)
        seed = (seed * 16807) % 2147483647
        return seed % most + 1
    end
end

--- Loads a file whose globals are the fields of `env`.
function helper.load_file(path, env)
    local set_environment = rawget(_G, "setfenv")
    if set_environment then
        return set_environment(assert(loadfile(path)), env)
    end
    return assert(loadfile(path, "t", env))
end

--- Collects all that nothing refers to. A trace of LuaJIT keeps what it was recorded with, which is
--- no fault of the library: traces go first.
function helper.collect()
    local jit = rawget(_G, "jit")
    if jit then
        jit.flush()
    end
    scrub(30)
    collectgarbage()
    collectgarbage()
end

--- For `setup` and `teardown` of tests of what is collected: a trace of LuaJIT keeps the upvalues
--- it was recorded with, which is no fault of the library.
function helper.traces_off()
    local jit = rawget(_G, "jit")
    if jit then
        jit.off()
        jit.flush()
    end
end

function helper.traces_on()
    local jit = rawget(_G, "jit")
    if jit then
        jit.on()
    end
end

--- Ends a spec on Windows, which lacks what it goes on with: `run.lua` counts it among its kind.
function helper.unix_only(kind)
    if helper.is_windows then
        error("needs Unix: " .. kind, 0)
    end
end

--- How many descriptors this process has open; on Windows, handles.
function helper.descriptors()
    if helper.is_windows then
        return require("windows_kit").handles()
    end
    return tonumber(capture("ls /proc/$PPID/fd | wc -l"))
end

local function own_path()
    return helper.is_windows and _G.arg[-1]
        or capture("readlink /proc/$PPID/exe"):match("^(%S+)") or _G.arg[-1]
end

--- Path of the running interpreter; under valgrind the system names that instead.
helper.lua = os.getenv("EVSOCK_LUA") or own_path()

-- A new file of that content for a child.
local function script_file(script)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(script)
    file:close()
    return path
end

-- The script, which finds what this one finds. Before its first line, whose number stays the same.
local function with_paths(script)
    return ("package.path, package.cpath = %q, %q; "):format(package.path, package.cpath) .. script
end

-- `helper.run` where there is no shell of Unix: the child's time is bounded by who runs the specs.
local function run_on_windows(script, interpreter, setup)
    if setup then
        helper.unix_only("a shell of Unix")
    end
    local path = script_file(with_paths(script))
    -- One more pair of quotes around the whole: cmd.exe takes the first and the last off. Without
    -- `call` and the caret it would put the status in before there is one.
    local text = capture(('""%s" "%s" 2>&1 <NUL & call echo status:%%^errorlevel%%"'):format(
        interpreter or helper.lua, path))
    os.remove(path)
    local output, status = text:gsub("\r\n", "\n"):match("^(.*)status:(%-?%d+)%s*$")
    return output or text, tonumber(status)
end

-- The name of the running Lua in Debian's folders and in those of spec/interpreters.
helper.lua_name = helper.lua:match("luajit%-current$")
    or helper.is_luajit and "luajit" or "lua" .. helper.version:match("%d%.%d")

-- For gcc: where a module in C finds the headers of the running Lua, and what makes a program that
-- has this Lua in it.
do
    local prefix = helper.lua:match("^(.*/target/interpreters)/bin/")
    -- For what asks only for a Lua with Debian's modules.
    helper.debian_lua = prefix and "lua5.4" or helper.lua
    if prefix then
        helper.module_flags = ("-I%s/include/%s"):format(prefix, helper.lua_name)
        helper.host_flags = ("%s -Wl,-E -Wl,--whole-archive %s/lib/lib%s.a"
            .. " -Wl,--no-whole-archive -lm -ldl"):format(
            helper.module_flags, prefix, helper.lua_name)
    else
        helper.module_flags = "-I/usr/include/"
            .. (helper.is_luajit and "luajit-2.1" or helper.lua_name)
        helper.host_flags = ("%s -Wl,-E -l%s"):format(helper.module_flags,
            helper.is_luajit and "luajit-5.1" or helper.lua_name)
    end
end

--- Sets "pause" or "stepmul" of the collector, in per cent.
function helper.tune_collector(name, value)
    if helper.version >= "Lua 5.5" then
        collectgarbage("param", name, value)
    else
        collectgarbage("set" .. name, value)
    end
end

-- A program that the children run under, such as valgrind.
local under = os.getenv("EVSOCK_UNDER")
local CHILD_LIMIT = under and 200 or 20

--- Runs a script in a child interpreter, for at most 20 s (under valgrind 200). `setup` is shell
--- text that comes before it ("ulimit -n 40"). Returns the output (both streams) and the exit
--- status (124: too late, 128 + n: killed by signal n).
function helper.run(script, interpreter, setup)
    if helper.is_windows then
        return run_on_windows(script, interpreter, setup)
    end
    local path = script_file(script)
    local paths = ("package.path, package.cpath = %q, %q"):format(package.path, package.cpath)
    -- The status goes through the output: pclose does not tell it on Lua 5.1.
    local command = "%s timeout -k 1 %d %s %s -e %s %s 2>&1 </dev/null; echo \"status:$?\""
    local output = capture(command:format(setup and setup .. ";" or "", CHILD_LIMIT, under or "",
        quote(interpreter or helper.lua), quote(paths), quote(path)))
    os.remove(path)
    -- What valgrind says of system calls that it doesn't know.
    output = output:gsub("%-%-%d+%-%-[^\n]*\n", "")
    local text, status = output:match("^(.*)status:(%d+)%s*$")
    return text or output, tonumber(status)
end

--- What a child printed is just that, and it ended well.
function helper.printed(wanted, output, status)
    if output ~= wanted or status ~= 0 then
        error(("expected status 0 and this:\n%s\ngot status %s and this:\n%s"):format(
            wanted, tostring(status), output), 2)
    end
end

--- Starts a script in a child interpreter, which ends by itself or after 20 s. Returns the pipe of
--- its output (both streams).
function helper.start(script)
    local path = helper.track(script_file(with_paths(script)), os.remove)
    local command = helper.is_windows and '""%s" "%s" 2>&1 <NUL"'
        or "exec timeout -k 1 20 '%s' '%s' 2>&1 </dev/null"
    return assert(io.popen(command:format(helper.lua, path)))
end

return helper
