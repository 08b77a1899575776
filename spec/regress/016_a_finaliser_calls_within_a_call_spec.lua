-- On Lua 5.1 a finaliser that ran within a call of one of the rarer functions (`info`, `connect`,
-- ...) and called such a function itself made the first one run on a foreign stack: a crash.

local helper = require "spec.helper"

local SCRIPT = [[
local evsock = require "evsock"
local when_collected = require("spec.helper").when_collected
local server = assert(evsock.listen("127.0.0.1", 0, {}))
local sock = evsock.connect("127.0.0.1", server.port, {})
local calls, seen = 0, 0
-- Garbage whose finaliser makes more of the same.
local litter
local describe = getmetatable(sock).__tostring
local function finalise()
    calls = calls + 1
    if %s then
        local ok, problem = pcall(describe, 42)
        assert(not ok and type(problem) == "string" and tostring(problem):find("argument"))
    end
    seen = seen + (sock:info().state and 1 or 0)
    litter()
end
function litter()
    when_collected(finalise)
end
for _ = 1, 30 do
    litter()
end
for i = 1, 30000 do
    assert(sock:info().state)
    if i %% 10 == 0 then
        evsock.after(60, print):cancel()
    end
end
print(calls > %d and calls == seen)
os.exit(0)
]]

describe("regress 016", function()
    for _, fails in ipairs { "false", "true" } do
        it(("a finaliser may call what it likes while another call is under way (failing: %s)")
            :format(fails), function()
            -- Elsewhere tables have finalisers, and fewer are run.
            local least = rawget(_G, "newproxy") and 100 or 10
            local output, status = helper.run(SCRIPT:format(fails, least))
            helper.printed("true\n", output, status)
        end)
    end
end)
