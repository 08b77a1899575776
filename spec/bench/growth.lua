-- What must not grow with the number of connections, timers, sockets or buffered bytes; what must
-- cost nothing while nothing happens; what dialects add to a line. CPU time throughout: it stands
-- on a busy machine, too. `growth_series.lua` says what is measured, README.md how.
--
--   lua5.4 spec/bench/growth.lua
--
-- At most 90 s, with BENCH=quick 30: no round begins that would not end in time.

local series = require "spec.bench.growth_series"
local machine = require "spec.bench.machine"
local report = require "spec.bench.growth_report"

local ROUNDS, SCALE, BUDGET = 5, 1, 88
if machine.quick then
    ROUNDS, SCALE, BUDGET = 2, 0.5, 29
end
local PLACE, LUAS = machine.place, machine.luas
local LINES = 400000
-- Bytes of a line of the peer.
local LINE = 60

local own_core, peer_core = machine.cores()
local used, failed = 0, false

-- A run begins at once and goes on beside us. `what`: role, contestant, call.
local function begin(what, lua, size, count, bytes)
    local sizes = ("%d %d %d"):format(size, count, bytes)
    local words = ("BENCH_DIFFERENT=16 %s/peer %s %d %d %s - - "):format(PLACE, what.role,
        peer_core, own_core, sizes)
    local command = lua and ("LUA_CPATH='build/%s/?.so;;' %s %s spec/bench/worker.lua %s %s %s -")
        :format(lua.name, words, lua.command, what.contestant, what.call, sizes)
        or ("%s %s/limit %s %s -"):format(words, PLACE, what.call, sizes)
    return { pipe = assert(io.popen(command)), name = what.call .. " " .. size }
end

-- Waits for its end: its figures, or nil where it failed.
local function finish(run)
    local text = run.pipe:read("*a")
    local ok = run.pipe:close()
    local figures = {}
    for key, value in text:gmatch("(%w+)=(%S+)") do
        figures[key] = tonumber(value) or value
    end
    used = used + (figures.used or 0)
    if ok and figures.operations then
        return figures
    end
    io.stderr:write(run.name, " failed\n")
    failed = true
end

local function cost(figures)
    return figures and figures.cpu / figures.operations * 1e6
end

-- By the name of the series or dialect, of the Lua, and the size: the figure of each round.
local results = {}

local function keep(name, lua, size, round, figure)
    local path = { name, lua, size }
    local at = results
    for _, key in ipairs(path) do
        at[key] = at[key] or {}
        at = at[key]
    end
    at[round] = figure
end

local function measure_growth(round)
    for _, entry in ipairs(series.growth) do
        for _, size in ipairs(entry.sizes) do
            local count = math.floor(entry.count(size, SCALE))
            local bytes = entry.bytes and entry.bytes(size) or 0
            -- For bytes the peer serves one connection after another.
            local connections = entry.bytes and 1 or size
            for _, lua in ipairs(LUAS) do
                keep(entry.name, lua.name, size, round,
                    cost(finish(begin(entry, lua, connections, count, bytes))))
            end
            if entry.limit then
                keep(entry.name, "C", size, round,
                    cost(finish(begin(entry, nil, connections, count, bytes))))
            end
        end
    end
end

local function measure_idle(round)
    local runs = {}
    for _, entry in ipairs(series.idle) do
        for _, lua in ipairs(LUAS) do
            local run = begin(entry, lua, entry.size, entry.count, 0)
            runs[#runs + 1] = { entry = entry, lua = lua, run = run }
        end
    end
    for _, item in ipairs(runs) do
        local figures = finish(item.run)
        for i, figure in ipairs(item.entry.figures) do
            keep(item.entry.name, item.lua.name, i, round, figures and figure.of(figures))
        end
    end
end

-- Short runs, and a ratio of two: several in each round.
local function measure_dialects(round)
    local seen = {}
    for _, entry in ipairs(series.dialects) do
        local count = math.floor(LINES * SCALE * (entry.share or 1))
        for _, call in ipairs { entry.native, entry.call } do
            for _, lua in ipairs(seen[call] and {} or LUAS) do
                local what = { role = "lines", contestant = "growth", call = call }
                keep(call, lua.name, 1, round,
                    cost(finish(begin(what, lua, 1, count, count * LINE))))
            end
            seen[call] = true
        end
    end
end

local about = machine.about(machine.quick and "BENCH=quick .ci/bench growth" or ".ci/bench growth")
local began, busy_before, longest = os.time(), machine.busy(), 0
for round = 1, ROUNDS do
    local round_began = os.time()
    if round_began - began + longest > BUDGET then
        break
    end
    io.stderr:write(("growth: round %d of %d\n"):format(round, ROUNDS))
    if round % 2 == 1 then
        measure_idle(round)
    end
    measure_growth(round)
    for i = 1, 3 do
        measure_dialects(3 * round + i)
    end
    -- Whole seconds: one more than it seems.
    longest = math.max(longest, os.time() - round_began + 1)
    about.rounds = round
end
about.seconds = os.time() - began
about.others = math.max(0, machine.busy() - busy_before - used) / math.max(1, about.seconds)

local summary = report.summary(series, LUAS, results, about)
print(report.text(summary))
machine.write(PLACE .. "/growth.md", report.markdown(summary))
machine.write(PLACE .. "/growth.svg", report.chart(summary))
if not machine.quick then
    machine.write("spec/bench/growth.md", report.markdown(summary))
    machine.write("spec/bench/growth.svg", report.chart(summary))
end
os.exit(failed and 1 or 0)
