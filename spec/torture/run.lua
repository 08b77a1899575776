-- Torture: six scenarios (`scenarios.lua`), each run again and again while the 1st, 2nd, ... system
-- call fails, or a panic strikes while the 1st, 2nd, ... event is served. Both ends are in one
-- process, so both sides of every call get their turn. Needs the build with faults:
--
--     .ci/build fault-5.4 && .ci/with fault-5.4 spec/torture/run.lua [SCENARIO...]
--
-- After every run: nothing hung, crashed or was leaked, each connection was reported as over
-- exactly once, and no byte was lost, doubled or misdelivered without somebody being told.
-- A scenario runs in a child, which is replaced when it dies or hangs. The last line says
-- "torture: N scenarios, N calls failed, N faults"; the status is 0 without faults.

local SCENARIOS = { "echo", "server", "reconnect", "stalled", "pending", "unix" }
local PASSES = {
    "plain", "errors", "errors-thread", "panics", "panics-thread", "sources", "sources-thread",
    "leader", "leader-thread",
}
-- Seconds; a pass takes a few.
local CHILD_LIMIT = 300
-- Deaths of children after which a pass is given up.
local MOST_DEATHS = 5

local failed, faults = 0, 0

local function quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function interpreter()
    local at = 0
    while arg[at - 1] do
        at = at - 1
    end
    return arg[at]
end

local command = ("LUA_PATH=%s timeout -k 1 %d %s spec/torture/child.lua"):format(
    quote("spec/torture/?.lua;;"), CHILD_LIMIT, quote(interpreter()))

local function fault(text)
    faults = faults + 1
    print("FAULT " .. text)
end

-- Runs a child to its end. Returns whether it said so itself, and the call it was at.
local function follow(tally, ...)
    local last, ended = 0, false
    local pipe = assert(io.popen(command .. " " .. table.concat({ ... }, " ") .. " 2>&1", "r"))
    for line in pipe:lines() do
        local word, rest = line:match("^(%a+)\t?(.*)$")
        if word == "begin" then
            last = tonumber(rest:match("^%d+"))
            tally.runs = tally.runs + 1
        elseif word == "ran" then
            failed = failed + 1
            local thread, outcome = rest:match("^(%a+)\t(.*)$")
            tally.on_thread = tally.on_thread + (thread == "thread" and 1 or 0)
            tally.outcomes[outcome] = (tally.outcomes[outcome] or 0) + 1
        elseif word == "counted" then
            tally.calls = tally.calls or tonumber(rest)
        elseif word == "fault" then
            fault(rest)
        elseif word == "end" then
            ended = true
        else
            -- A panic that nobody planned, or an error of the script.
            fault(table.concat({ ... }, " ") .. " said: " .. line)
        end
    end
    pipe:close()
    return ended, last
end

local function pass(tally, scenario, name)
    local first = 1
    for _ = 1, MOST_DEATHS do
        local ended, last = follow(tally, scenario, name, first)
        if ended then
            return
        end
        fault(("%s, %s %d: the process died or hung"):format(scenario, name, last))
        first = last + 1
    end
    fault(("%s, %s: given up"):format(scenario, name))
end

local function outcomes(tally)
    local names = {}
    for name in pairs(tally.outcomes) do
        names[#names + 1] = name
    end
    table.sort(names)
    for i, name in ipairs(names) do
        names[i] = tally.outcomes[name] .. " " .. name
    end
    return table.concat(names, ", ")
end

local wanted = arg[1] and { (unpack or table.unpack)(arg) } or SCENARIOS
local started = os.time()
for _, scenario in ipairs(wanted) do
    local tally = { runs = 0, on_thread = 0, outcomes = {} }
    for _, name in ipairs(PASSES) do
        pass(tally, scenario, name)
    end
    if scenario == "echo" then
        -- What happens once in a process: the thread, its descriptors. All within the first calls.
        for k = 1, 16 do
            for failure = 1, 4 do
                if not follow(tally, scenario, "first", k, failure) then
                    fault(("first %d: the process died or hung"):format(k))
                end
            end
        end
    end
    print(("%s: %d calls, %d runs; failed on the thread: %d; %s"):format(scenario,
        tally.calls or 0, tally.runs, tally.on_thread, outcomes(tally)))
    if tally.on_thread == 0 then
        fault(scenario .. ": nothing struck the thread, so it was not tested")
    end
end
print(("%d s"):format(os.difftime(os.time(), started)))
print(("torture: %d scenarios, %d calls failed, %d faults"):format(#wanted, failed, faults))
os.exit(faults == 0 and 0 or 1)
