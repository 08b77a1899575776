-- One scenario under one kind of trouble, for `run.lua`, which replaces this process when it dies.
-- Arguments: scenario, pass, the call to begin with. Speaks in lines of words between tabs.

local evsock = require "evsock"
local fault = require "evsock.fault"
local Ledger = require "ledger"
local scenarios = require "scenarios"

-- Who reads the lines looks for those of this file alone.
evsock.on_unhandled = false

local DEADLINE = 5
-- Runs in a row that did not reach the call that was to fail, before the end is believed.
local PATIENCE = 3
-- Descriptors of the reactor, which the first run starts and which stay.
local REACTOR = 5

-- The field of the plan that is counted up, the count that says how far a run came, and what the
-- call fails with: the number of a typical error of its kind, or a panic.
local PASSES = {
    plain = { "fail_at", "calls", { 1 } },
    errors = { "fail_at", "calls", { 1, 2, 3 } },
    panics = { "fail_at", "calls", { "panic" } },
    sources = { "panic_at", "events", { 1 } },
    leader = { "stumble_at", "turns", { 1 } },
    first = { "fail_at", "calls", { 1, 2, 3, "panic" } },
}

local name, pass_name, first = arg[1], arg[2], tonumber(arg[3])
-- With "-thread" our thread does the work: the script only looks in.
local kind, thread = pass_name:match("^%a+"), pass_name:find("-thread", 1, true)
local field, counter, failures = PASSES[kind][1], PASSES[kind][2], PASSES[kind][3]
if thread then
    -- The calls are the same; what is new is who makes them.
    failures = { failures[1] }
end

-- How often the leader looks while it spins is a matter of luck; the calls are to be the same in
-- every run.
evsock.spin = 0
if thread then
    -- From now on the thread leads whenever the script does not wait: a dead one would be noticed.
    assert(evsock.pollfd())
end

local function say(...)
    io.write(table.concat({ ... }, "\t"), "\n")
    io.flush()
end

local function step(ledger)
    local done, result, _, code = pcall(evsock.pump, thread and 0 or 0.002)
    if not done then
        ledger:report("raised")
        if not tostring(result):find("internal fault", 1, true) then
            ledger:fault("pump raised %s", tostring(result))
        end
    elseif not result then
        ledger:report(code)
    end
    if thread then
        fault.rest(0.0005)
    end
end

local function pump_until(condition, ledger, seconds)
    local deadline = evsock.now() + seconds
    while not condition() do
        if evsock.now() >= deadline then
            return false
        end
        step(ledger)
    end
    return true
end

local function unfinished(ledger)
    local texts = {}
    for _, this in ipairs(ledger.ends) do
        if this.closes < this.attempts then
            texts[#texts + 1] = ("%s (%s, %s, sent %d, received %d)"):format(this.name,
                this.sock and tostring(this.sock) or "no socket",
                this.connected and "connected" or "never connected", this.sent, this.received)
        end
    end
    return texts[1] and table.concat(texts, ", ") or "nothing is open"
end

-- Ends what is left and looks whether all is gone.
local function clear(ledger, descriptors)
    if ledger.server then
        pcall(ledger.server.close, ledger.server)
    end
    local function is_quiet()
        return evsock.active() == 0
    end
    if not pump_until(is_quiet, ledger, 2) then
        ledger:fault("%d are still active", evsock.active())
        for _, this in ipairs(ledger.ends) do
            pcall(this.sock.abort, this.sock)
        end
    end
    -- A socket lingers for up to a second after its end.
    local function is_clean()
        return fault.descriptors() <= descriptors
    end
    if not pump_until(is_clean, ledger, 2) then
        ledger:fault("%d descriptors leaked", fault.descriptors() - descriptors)
    end
    -- A panic may strike between the making of the file and whoever would remove it.
    if not scenarios.is_tidy() and failures[1] ~= "panic" then
        ledger:fault("the socket's file was left")
    end
end

local spare = thread and 0 or REACTOR

local function run(plan)
    local ledger = Ledger.new()
    -- What the run before left must not be closed during this one.
    collectgarbage()
    local descriptors = fault.descriptors() + spare
    spare = 0
    fault.set(plan)
    local done, is_done = pcall(scenarios[name], ledger, scenarios.place(name))
    if not done then
        ledger:fault("the scenario raised %s", tostring(is_done))
    elseif is_done and not pump_until(is_done, ledger, DEADLINE) then
        ledger:fault("not over after %g s: %s", DEADLINE, unfinished(ledger))
    elseif is_done and ledger.must_complete and not ledger.satisfied then
        ledger:fault("did not recover")
    end
    clear(ledger, descriptors)
    ledger:check()
    return ledger, fault.set()
end

-- Whether the run came as far as its trouble, and whether that kind of call knew this trouble.
local function torture(k, failure)
    say("begin", k, failure)
    local ledger, record = run { [field] = k, failure = failure }
    for _, text in ipairs(ledger.faults) do
        say("fault", ("%s, %s %d (%s: %s): %s"):format(name, pass_name, k, record.call or "-",
            record.error or "-", text))
    end
    if record.call then
        say("ran", record.on_thread and "thread" or "script",
            ledger.code and "failed with " .. ledger.code or "completed")
    end
    return record[counter] >= k, record.call
end

local function torture_all(k)
    local missed = 0
    while missed < PATIENCE do
        for _, failure in ipairs(failures) do
            local reached, known = torture(k, failure)
            missed = reached and 0 or missed + 1
            if not known then
                break
            end
        end
        if missed == 0 then
            k = k + 1
        end
    end
end

-- The whole scenario without trouble, but in small pieces and with interruptions.
local function plain()
    -- Byte by byte; megabytes in larger pieces.
    local cut = scenarios.large[name] and 64 or 1000000
    local kinds = { {}, { cut = cut }, { again_every = 2 }, { again_every = 3, cut = cut } }
    for number, plan in ipairs(kinds) do
        say("begin", number, 1)
        local ledger, record = run(plan)
        for _, text in ipairs(ledger.faults) do
            say("fault", ("%s, plain %d: %s"):format(name, number, text))
        end
        if ledger.code then
            say("fault", ("%s, plain %d: failed with %s"):format(name, number, ledger.code))
        end
        say("counted", record.calls)
    end
end

if not scenarios.is_possible(name) then
    say("fault", name .. ": not possible")
elseif kind == "first" then
    -- The very first use of the module: what is started then is started once in a process.
    torture(first, failures[tonumber(arg[4])])
elseif kind == "plain" then
    run()
    plain()
else
    -- Starts the thread; its descriptors stay.
    run()
    torture_all(first)
end
say("end")
