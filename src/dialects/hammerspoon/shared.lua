-- Hammerspoon: what hs.socket and hs.socket.udp share: settings, log, checks, calls of callbacks.
--
-- Not here: what either does. Both keep what the script has set in a table of their own, the
-- object's owner: its `callback`, its `timeout`, and the object itself by a weak reference, as
-- `object.sock`.

local evsock, core = ...
local common = core.common
local unpack = table.unpack or unpack

-- `NO_TAG`: of a read or write without one.
local shared = { NO_TAG = -1, settings = common.settings() }
local settings = shared.settings

-- Log ---------------------------------------------------------------------------------------------

function shared.log(level, text)
    settings:log(level, "hs.socket: " .. text)
end

-- Checks ------------------------------------------------------------------------------------------

function shared.check_fn(value, method)
    return common.check_function(value, "fn", method)
end

function shared.integer(value)
    if type(value) == "number" and value % 1 == 0 then
        return math.tointeger and math.tointeger(value) or value
    end
end

function shared.check_tag(value, method)
    if value == nil then
        return shared.NO_TAG
    end
    return shared.integer(value) or common.bad("tag", method, "integer", value)
end

-- Seconds, of which negative ones mean none.
function shared.check_timeout(value, property)
    if type(value) ~= "number" or value ~= value then
        common.bad_value(property, "seconds", core.got(value))
    end
    return value
end

-- Callbacks ---------------------------------------------------------------------------------------

-- Whether there is somebody to hear of an error of a callback; if not, it leaves `pump`.
function shared.is_heard()
    return evsock.on_error ~= nil or settings:get("logger") ~= nil
end

local function report(problem, object)
    local on_error = evsock.on_error
    if on_error then
        on_error(problem, object)
    else
        shared.log("error", tostring(problem))
    end
end

-- Calls a callback of an owner's object; false if there is none. An error is caught and reported,
-- and everything goes on (1.6). Nothing may be left to be done behind the last callback of an
-- event: with nobody to hear of it, its error ends the event.
function shared.call(owner, fn, ...)
    if not fn then
        return false
    elseif not shared.is_heard() then
        fn(...)
        return true
    end
    local arguments, count = { ... }, select("#", ...)
    local ok, problem = xpcall(function()
        fn(unpack(arguments, 1, count))
    end, common.explain)
    if not ok then
        report(problem, owner.object.sock)
    end
    return true
end

return shared
