-- The benchmarks: evsock beside what a Lua user would take instead, and beside plain C, round by
-- round, each contestant in a process of its own against the same peer (`make bench`; README.md
-- says what the figures mean).
--
--   lua5.4 spec/bench/run.lua [WORDS OF WORKLOADS...]
--
-- BENCH=quick takes a fifth of the work and at most two minutes, a whole run at most fifteen
-- (with `growth.lua`, which comes behind it): no round begins that would not end in time.

local workloads = require "spec.bench.workloads"
local machine = require "spec.bench.machine"
local report = require "spec.bench.report"
local chart = require "spec.bench.chart"
local kit = require "spec.peers.openssl"

-- Growth comes behind it and takes its own time.
local ROUNDS, SCALE, BUDGET = 7, 3, 750
if machine.quick then
    ROUNDS, SCALE, BUDGET = 3, 0.6, 85
end
local PLACE, LUAS = machine.place, machine.luas
-- Bodies are whole pieces of this size.
local PIECE = 65536
local LIBRARIES = { "evsock", "dialect", "luv", "cqueues", "luasocket", "copas" }

local own_core, peer_core = machine.cores()

local function every_contestant()
    local list = { { key = "limit", library = "limit" } }
    for _, library in ipairs(LIBRARIES) do
        for _, lua in ipairs(LUAS) do
            list[#list + 1] = { key = library .. " " .. lua.name, library = library, lua = lua }
        end
    end
    return list
end

local contestants = every_contestant()

local function wanted()
    if not arg[1] then
        return workloads
    end
    local list = {}
    for _, workload in ipairs(workloads) do
        for _, word in ipairs(arg) do
            if workload.name:find(word, 1, true) then
                list[#list + 1] = workload
                break
            end
        end
    end
    return list
end

-- The command line of one run: the peer, which starts the contestant.
local function command_of(workload, contestant, certificates)
    local times = contestant.lua and 1 or workload.limit_times or 1
    local count = math.floor((workload.count or 0) * SCALE * times)
    local bytes = math.floor((workload.bytes or 0) * SCALE / PIECE) * PIECE
    if workload.line then
        bytes = count * workload.line
    end
    local sizes = ("%d %d %d"):format(workload.connections, count, bytes)
    local cert, key = "-", "-"
    if workload.tls then
        cert, key = certificates:path("ecdsa.pem"), certificates:path("ecdsa.key")
    end
    local different = workload.different and "BENCH_DIFFERENT=" .. workload.different .. " " or ""
    local words = ("%s/peer %s %d %d %s %s %s "):format(PLACE, workload.role,
        workload.one_core and own_core or peer_core, own_core, sizes, cert, key)
    local ca = certificates:path("ca.pem")
    if not contestant.lua then
        return ("%s%s %s/limit %s %s %s"):format(different, words, PLACE, workload.call, sizes, ca)
    end
    return ("%sLUA_CPATH='build/%s/?.so;;' %s %s spec/bench/worker.lua %s %s %s %s"):format(
        different, contestant.lua.name, words, contestant.lua.command, contestant.library,
        workload.call, sizes, ca)
end

-- Seconds of CPU time that we have used. What else the machine has used was somebody else, and
-- makes the figures worth less.
local used = 0

-- The figures of one run; nil where the contestant lacks the workload, false where it failed.
local function measure(workload, contestant, certificates)
    local text, ok = machine.capture(command_of(workload, contestant, certificates))
    if text:find("missing=yes", 1, true) then
        return nil
    end
    local figures = {}
    for key, value in text:gmatch("(%w+)=(%S+)") do
        figures[key] = tonumber(value) or value
    end
    used = used + (figures.used or 0)
    if not (ok and figures.operations) then
        io.stderr:write(("%s failed at %s\n"):format(contestant.key, workload.name))
        return false
    end
    return {
        value = figures.idle or workload.figure == "cpu" and figures.cpu / figures.operations * 1e6
            or figures.operations / figures.seconds,
        cpu = figures.cpu / figures.operations * 1e6,
        memory = figures.memory,
        version = figures.version,
    }
end

-- Rounds of all, begun at another contestant each time.
local function measure_all(list, certificates)
    local results, failed, begun, longest = {}, false, os.time(), 0
    for _, workload in ipairs(list) do
        results[workload.name] = {}
    end
    for round = 1, ROUNDS do
        local round_begun = os.time()
        if round_begun - begun + longest > BUDGET then
            io.stderr:write(("no time for round %d\n"):format(round))
            break
        end
        io.stderr:write(("round %d of %d\n"):format(round, ROUNDS))
        for _, workload in ipairs(list) do
            local of = results[workload.name]
            for i = 1, #contestants do
                local contestant = contestants[(i + round - 2) % #contestants + 1]
                if round == 1 or of[contestant.key] then
                    local figures = measure(workload, contestant, certificates)
                    failed = failed or figures == false
                    if figures then
                        of[contestant.key] = of[contestant.key] or {}
                        of[contestant.key][round] = figures
                    end
                end
            end
        end
        longest = math.max(longest, os.time() - round_begun)
    end
    return results, failed
end

local list = wanted()
local certificates = kit.certificates()
local about = machine.about(machine.quick and "BENCH=quick make bench" or "make bench")
local began, busy_before = os.time(), machine.busy()
local results, failed = measure_all(list, certificates)
about.seconds = os.time() - began
about.others = math.max(0, machine.busy() - busy_before - used) / math.max(1, about.seconds)
certificates:remove()

local summary = report.summary(list, contestants, results, about)
print(report.text(summary))
machine.write("target/bench.json", report.json(summary))
machine.write(PLACE .. "/results.md", report.markdown(summary))
machine.write(PLACE .. "/chart.svg", chart.draw(summary))
-- A whole run of everything is what the repository shows.
if not machine.quick and not arg[1] then
    machine.write("spec/bench/results.md", report.markdown(summary))
    machine.write("spec/bench/chart.svg", chart.draw(summary))
end
os.exit(failed and 1 or 0)
