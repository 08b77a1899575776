-- Judges logs of `run.lua` against the known failures: lua5.4 spec/windows/verdict.lua LIST LOG...
--
-- A spec that fails though not listed, and one that passes though listed, count as failed; so does
-- a line of the list that no spec fits. The last line is "N passed, N failed". LIST "-": none is
-- known.

local lists = require "spec.windows.lists"

local MOST = 60
local known = arg[1] == "-" and {} or lists.read(arg[1])
local passed, failed, expected = 0, 0, 0
local kinds, names_of_kinds = {}, {}

local function complain(...)
    failed = failed + 1
    print(table.concat({ ... }))
end

local function judge(ok, file, name, log)
    local reason, entry = lists.reason(known, file, name)
    if entry then
        entry.seen = true
    end
    if ok and not reason then
        passed = passed + 1
    elseif ok then
        complain("passes though listed: ", file, ": ", name)
    elseif reason then
        expected = expected + 1
    else
        complain("fails: ", file, ": ", name, "\n", log)
    end
end

local function read(path)
    local current
    local function settle()
        if current then
            judge(current.ok, current.file, current.name, table.concat(current.log, "\n"))
        end
        current = nil
    end
    for line in io.lines(path) do
        line = line:gsub("\r$", "")
        local verdict, file, name = line:match("^(.*ok) ?%d* %- (.-): (.*)$")
        local kind = line:match("^# does not apply: (.-) %- ")
        if verdict == "ok" or verdict == "not ok" then
            settle()
            current = { ok = verdict == "ok", file = file, name = name, log = {} }
        elseif kind then
            settle()
            names_of_kinds[#names_of_kinds + 1] = not kinds[kind] and kind or nil
            kinds[kind] = (kinds[kind] or 0) + 1
        elseif current and #current.log < 12 then
            current.log[#current.log + 1] = line
        end
    end
    settle()
end

for i = 2, #arg do
    read(arg[i])
end
if #known > MOST then
    complain(("%d known failures, %d at most"):format(#known, MOST))
end
for _, entry in ipairs(known) do
    if not entry.reason:find("^wine: .") and not entry.reason:find("^by design: .") then
        complain("neither wine's nor by design: ", entry.line)
    elseif not entry.seen and not os.getenv("EVSOCK_PART") then
        complain("no spec fits: ", entry.line)
    end
end
table.sort(names_of_kinds)
for _, kind in ipairs(names_of_kinds) do
    print(("does not apply: %4d %s"):format(kinds[kind], kind))
end
print(("fail as known: %d"):format(expected))
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
