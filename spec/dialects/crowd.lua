-- A thousand objects in a state, in crowds of a hundred: then all are gone, and descriptors and
-- memory are back. Shared by the specs of the dialects.

local helper = require "spec.helper"
local evsock = helper.evsock

local CROWD = math.ceil(100 / math.min(helper.fewer, 2))
local ROUNDS = math.ceil(10 / helper.fewer)

local descriptors = helper.descriptors

local collect = helper.collect

-- `make(port)` gives an object in the state; `finish(object)` ends one that its handlers keep.
return function(make, finish)
    local record = helper.server()
    local peers = {}
    record.server.on_accept = function(_, sock)
        peers[#peers + 1] = sock
    end
    -- Weak values: they go before finalisers run, so none is seen that is finalised.
    local weak, active = setmetatable({}, { __mode = "v" }), evsock.active()
    local function crowd()
        for i = 1, CROWD do
            weak[i] = make(record.port)
        end
    end
    local function end_all()
        for i = 1, CROWD do
            if weak[i] then
                finish(weak[i])
            end
        end
    end
    local function round()
        crowd()
        evsock.pump(0.001)
        evsock.pump(0.001)
        if finish then
            end_all()
        end
        helper.pump_until(function()
            collect()
            for _, peer in ipairs(peers) do
                peer:abort()
            end
            peers = {}
            return next(weak) == nil and evsock.active() == active
        end, 5, "all are collected")
    end
    round()
    local open, memory = descriptors(), collectgarbage("count")
    for _ = 2, ROUNDS do
        round()
    end
    local grown = collectgarbage("count") - memory
    assert(grown < 200, "grown by KiB: " .. grown)
    helper.pump_until(function()
        return descriptors() <= open
    end, 5, "no descriptor more")
end
