-- One contestant, one workload, one process: run by peer, which gives the port in BENCH_PORT.
--
--   worker.lua CONTESTANT WORKLOAD CONNECTIONS COUNT BYTES CAFILE
--
-- Prints one line of figures. A contestant is a file of contestants/ that returns a table with its
-- `version`, its clock `now`, a function for each workload it has and `client_tls`, if it has TLS.
-- What all must do alike is here and given to them as `job`: contents, their comparison, and when
-- time begins and ends.
-- The bytes of the first part of each run, the warm-up, are all compared; in the part that is
-- timed a dialogue still compares each message, while a download is compared at the ends of its
-- pieces and lines by their lengths and one in 997 whole: comparing more would be what is measured.

local WARM_BYTES, WARM_LINES = 4 * 1024 * 1024, 20000
local PERIOD, MESSAGE, TEXTS, LINE, LINES = 65536, 64, 16, 60, 100000
local DIFFERENT = tonumber(os.getenv("BENCH_DIFFERENT") or LINES)
local BETWEEN = 997

-- Debian has copas for 5.1 and 5.2 only; its text runs on 5.4 as well.
package.path = package.path .. ";/usr/share/lua/5.1/?.lua"

local name, workload, connections, count, bytes, ca = (table.unpack or unpack)(arg)
local contestant = dofile("spec/bench/contestants/" .. name .. ".lua")
-- A workload over TLS is the plain one, which also gets what the contestant's `client_tls` makes.
local over_tls = contestant.client_tls and workload:match("^tls_(.+)$")
local perform = contestant[over_tls or workload]
if not perform then
    print("missing=yes")
    return
end

local job = {
    host = "127.0.0.1",
    port = tonumber(os.getenv("BENCH_PORT")),
    connections = tonumber(connections),
    count = tonumber(count),
    bytes = tonumber(bytes),
    ca = ca,
    message = MESSAGE,
    piece = 65536,
}

local began, clock, took, cpu, operations

--- Time begins.
function job.start()
    clock = os.clock()
    began = contestant.now()
end

--- Time begins with the first call.
function job.start_once()
    if not began then
        job.start()
    end
end

--- Time ends, after so many operations.
function job.stop(done)
    took, cpu, operations = contestant.now() - began, os.clock() - clock, done
end

local function wrong(what, got)
    error(("%s: wrong contents: %s (%q)"):format(name, what, tostring(got):sub(1, 80)), 3)
end

-- A number of a file in /proc/self, in KiB.
local function number_of(key, place)
    local file = assert(io.open("/proc/self/" .. place))
    local value = file:read("*a"):match(key .. ":%s*(%d+)")
    file:close()
    return tonumber(value)
end

local function make_pattern()
    local codes, state = {}, 1
    for i = 1, PERIOD do
        state = state * 75 % 65537
        codes[i] = string.char(state % 256)
    end
    return table.concat(codes)
end

-- Prepared before anything is connected; only what the workload needs.
local pattern = make_pattern()

--- A piece of the upload: 64 KiB, again and again.
job.body = pattern

local texts = {}
for i = 1, TEXTS do
    texts[i] = pattern:sub((i - 1) * MESSAGE + 1, i * MESSAGE)
end

local dialogues_done, dialogues_warm = 0, 200 + 2 * job.connections

--- One side of a ping-pong: the first message, and a function that takes each answer and returns
--- the next message, or nil when all dialogues together have done their count.
function job.dialogue()
    local n, total = 0, job.count
    return texts[1], function(answer)
        if answer ~= texts[n % TEXTS + 1] then
            wrong("answer of an echo", answer)
        end
        n = n + 1
        dialogues_done = dialogues_done + 1
        if dialogues_done == dialogues_warm then
            job.start()
        elseif dialogues_done >= total then
            if dialogues_done == total then
                job.stop(total - dialogues_warm)
            end
            return nil
        end
        return texts[n % TEXTS + 1]
    end
end

local EACH = 10

--- Waves of tasks that make ten requests of the page of the peer each, by the `request` of
--- socket.http. `wave(task, done)` starts as many tasks as there are connections and calls `done`
--- when all of them are, which is true after the last. The first wave is the warm-up.
function job.requests(request, wave)
    local size = job.connections * EACH
    local total, waves = math.ceil(job.count / size), 0
    local address = ("http://%s:%d/page"):format(job.host, job.port)
    local function task()
        for _ = 1, EACH do
            local page = request(address)
            if page ~= texts[1] then
                wrong("page", page)
            end
        end
    end
    local function next_wave()
        waves = waves + 1
        if waves == 2 then
            job.start()
        elseif waves > total + 1 then
            job.stop(total * size)
            return true
        end
        return wave(task, next_wave)
    end
    next_wave()
end

local at, from = 0, nil

--- Takes each piece of the download; true when it was the last.
function job.take(piece)
    local offset, size = at % PERIOD, #piece
    if from then
        local last = (offset + size - 1) % PERIOD + 1
        if piece:byte() ~= pattern:byte(offset + 1) or piece:byte(size) ~= pattern:byte(last) then
            wrong("download", piece)
        end
    else
        local expected = pattern:rep(math.ceil((offset + size) / PERIOD))
        if piece ~= expected:sub(offset + 1, offset + size) then
            wrong("download", piece)
        end
    end
    at = at + size
    if at >= job.bytes then
        if at > job.bytes then
            wrong("download is too long", piece)
        end
        job.stop((at - from) / 1e6)
        return true
    end
    if not from and at >= WARM_BYTES then
        from = at
        job.start()
    end
    return false
end

local letters = ("abcdefghijklmnopqrstuvwxyz"):rep(2):sub(1, 50)

--- The length of each line without its end.
job.line_size = LINE - 2

--- Compares the nth line whole and says which is the next to be given here. Contestants check only
--- `line_size` of those between.
function job.line(n, line)
    local number = (n - 1) % LINES % DIFFERENT
    if line ~= ("%04d%s%04d"):format(number % 10000, letters, math.floor(number / 10000)) then
        wrong("line " .. n, line)
    end
    if n < WARM_LINES then
        return n + 1
    elseif n == WARM_LINES then
        job.start()
    elseif n == job.count then
        job.stop(n - WARM_LINES)
        return nil
    end
    return math.min(n + BETWEEN, job.count)
end

--- A line or a piece that can't be.
job.wrong = wrong

--- Tells the peer the port of a contestant that serves.
function job.listening(port)
    print("port " .. port)
    io.stdout:flush()
end

local resident

--- Around the opening of the idle connections.
function job.before_idle()
    collectgarbage()
    collectgarbage()
    resident = number_of("Anonymous", "smaps_rollup")
end

function job.after_idle()
    collectgarbage()
    collectgarbage()
    local grown = (number_of("Anonymous", "smaps_rollup") - resident) * 1024
    io.stdout:write(("idle=%.1f "):format(grown / job.connections))
    job.start()
    job.stop(job.connections)
end

--- Prints the figures. For a contestant that can only end its loop by ending the process.
function job.finish()
    if not took then
        error(name .. " did not finish " .. workload)
    end
    print(("operations=%.6f seconds=%.9f cpu=%.9f memory=%d version=%s"):format(operations, took,
        cpu, number_of("VmHWM", "status"), (contestant.version:gsub("%s+", "_"))))
    io.stdout:flush()
    os.exit(0)
end

--- Says that the contestant has nothing for this many connections.
function job.skip()
    print("missing=yes")
    os.exit(0)
end

perform(job, over_tls and contestant.client_tls(job) or nil)
job.finish()
