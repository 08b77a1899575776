-- What must not grow, what must cost nothing, what dialects add: evsock alone, for `growth.lua`.
-- The dialogue with many connections is that of `evsock.lua`.

local evsock = require "evsock"

local contestant = { version = evsock._VERSION, now = evsock.now }

local MIB = 1024 * 1024

local function fail(_, message)
    assert(not message, message)
end

-- What grows --------------------------------------------------------------------------------------

-- `connections` timers at a time, due in no order, until `count` have fired. Nothing is waited for
-- that is not late already: a wait would be measured as well.
local function timers(job)
    local fired = 0
    local function fire(by)
        fired = fired + by
    end
    local state = 1
    local function delay()
        state = state * 16807 % 2147483647
        return state % job.connections * 1e-7
    end
    job.start()
    while fired < job.count do
        local before = fired
        for _ = 1, job.connections do
            evsock.after(delay(), fire, 1)
        end
        while fired < before + job.connections do
            evsock.pump(1)
        end
    end
    if fired ~= job.count then
        job.wrong("timers", fired)
    end
    job.stop(fired)
end

contestant.timers = timers

-- The same without the collector of Lua.
function contestant.timers_kept(job)
    collectgarbage("stop")
    timers(job)
end

-- Below those that the system gives to clients: one of them could connect to itself.
local function unused_port(host)
    for port = 20000, 20999 do
        local server = evsock.listen(host, port)
        if server then
            server:close()
            return port
        end
    end
    error("no unused port")
end

-- `connections` sockets that are refused again and again, `count` times together.
function contestant.refused(job)
    local port = unused_port(job.host)
    local sockets, attempts, warm = {}, 0, job.connections
    local options = {
        reconnect = { min = 0.01, max = 0.01, factor = 1, jitter = 0 },
        on_connect = function()
            job.wrong("connection", port)
        end,
        on_close = function(_, _, code)
            if code ~= "ECONNREFUSED" then
                job.wrong("refusal", code)
            end
            attempts = attempts + 1
            if attempts == warm then
                job.start()
            elseif attempts == job.count + warm then
                job.stop(job.count)
                for _, sock in ipairs(sockets) do
                    sock:abort()
                end
                evsock.stop()
            end
        end,
    }
    for i = 1, job.connections do
        sockets[i] = evsock.connect(job.host, port, options)
    end
    evsock.run()
end

-- `count` buffers, one after another, that grow to `bytes` while a line is asked for each time.
function contestant.unended(job)
    local left, options, was = job.count, nil, 0
    local function connect()
        evsock.connect(job.host, job.port, options)
    end
    options = {
        read_limit = 2 * job.bytes,
        max_frame = 2 * job.bytes,
        on_connect = function()
            was = 0
        end,
        on_data = function(sock, n)
            was = was + n
            local line = sock:read_line()
            if line or sock.buffered ~= was then
                job.wrong("unended line", line)
            end
        end,
        on_close = function(_, message)
            if message or was ~= job.bytes then
                job.wrong("end of the unended line", message)
            end
            left = left - 1
            if left == 0 then
                job.stop(job.count * job.bytes / MIB)
                return evsock.stop()
            elseif left == job.count then
                job.start()
            end
            connect()
        end,
    }
    -- The first is not timed.
    left = left + 1
    connect()
    evsock.run()
end

-- What is idle ------------------------------------------------------------------------------------

local function open_all(job)
    dofile("spec/bench/contestants/evsock.lua").open_all(job)
    collectgarbage()
    collectgarbage()
    -- The rest of what was begun.
    evsock.pump(0.3)
end

local function tasks()
    local list = {}
    local pipe = assert(io.popen("ls /proc/$PPID/task"))
    for task in pipe:lines() do
        list[#list + 1] = "/proc/self/task/" .. task .. "/status"
    end
    pipe:close()
    return list
end

-- How often threads of ours have slept; opening a file of /proc makes none.
local function switches(list)
    local total = 0
    for _, path in ipairs(list) do
        local file = assert(io.open(path))
        for n in file:read("*a"):gmatch("\nvoluntary_ctxt_switches:%s*(%d+)") do
            total = total + tonumber(n)
        end
        file:close()
    end
    return total
end

-- pump() for `count` seconds.
function contestant.idle(job)
    open_all(job)
    local list = tasks()
    -- While the script did something else a thread of ours kept watch: that hand-over is before.
    evsock.pump(0.1)
    local before = switches(list)
    local begun = evsock.now()
    job.start()
    local called = evsock.pump(job.count)
    job.stop(job.count)
    if called ~= 0 or evsock.now() - begun < job.count - 0.01 then
        job.wrong("rest", called)
    end
    io.stdout:write(("switches=%d "):format(switches(list) - before))
end

-- `count` frames of a sixtieth of a second, first as they are, then with a pump(0) in each. The CPU
-- time of all, as shares of a core: of the frames as they are, with pump(0), and of pump(0) alone.
function contestant.frames(job)
    local sleep = require("socket").sleep
    open_all(job)
    local function frames(pump)
        local begun, next_frame, within = evsock.now(), evsock.now(), 0
        local clock = os.clock()
        for _ = 1, job.count do
            next_frame = next_frame + 1 / 60
            sleep(math.max(0, next_frame - evsock.now()))
            local before = os.clock()
            pump(0)
            within = within + os.clock() - before
        end
        local took = evsock.now() - begun
        return (os.clock() - clock) / took, within / took
    end
    frames(evsock.pump)
    local bare, clocks = frames(function() end)
    job.start()
    local share, within = frames(evsock.pump)
    job.stop(job.count)
    io.stdout:write(("bare=%.9f share=%.9f pump=%.9f "):format(bare, share, within - clocks))
end

-- Dialects ----------------------------------------------------------------------------------------

-- Lines as `job.line` wants them, with `tail` bytes of end left at each; nil at the last.
local function counter(job, tail)
    local n, whole, size = 0, 1, job.line_size + tail
    return function(line)
        n = n + 1
        if n == whole then
            whole = job.line(n, line:sub(1, job.line_size))
            return whole
        elseif #line ~= size then
            job.wrong("line", line)
        end
        return true
    end
end

local function native_lines(job, tail, read, ...)
    local take, end_of_line, keep = counter(job, tail), ...
    evsock.connect(job.host, job.port, {
        on_data = function(sock)
            local line = sock[read](sock, end_of_line, keep)
            while line do
                if not take(line) then
                    return sock:close()
                end
                line = sock[read](sock, end_of_line, keep)
            end
        end,
        on_close = fail,
    })
    evsock.run()
end

function contestant.read_line(job)
    native_lines(job, 0, "read_line", "any")
end

function contestant.read_until(job)
    native_lines(job, 2, "read_until", "\n", true)
end

function contestant.qsys(job)
    local TcpSocket = require("evsock.qsys").TcpSocket
    local take = counter(job, 0)
    local sock = TcpSocket.New()
    sock.Data = function(socket)
        local line = socket:ReadLine(TcpSocket.EOL.Any)
        while line do
            if not take(line) then
                socket:Disconnect()
                return evsock.stop()
            end
            line = socket:ReadLine(TcpSocket.EOL.Any)
        end
    end
    sock.Error = fail
    sock:Connect(job.host, job.port)
    evsock.run()
end

-- So many reads are in the queue all the time.
local function hammerspoon(job, depth)
    local hs = require("evsock.hammerspoon").socket
    local take, TAG = counter(job, 2), 7
    local sock
    sock = hs.new(function(line, tag)
        if tag ~= TAG then
            job.wrong("tag", tag)
        elseif not take(line) then
            sock:disconnect()
            return evsock.stop()
        end
        sock:read("\n", TAG)
    end)
    sock:connect(job.host, job.port)
    for _ = 1, depth do
        sock:read("\n", TAG)
    end
    evsock.run()
end

function contestant.hammerspoon(job)
    hammerspoon(job, 64)
end

function contestant.hammerspoon_single(job)
    hammerspoon(job, 1)
end

return contestant
