-- LuaSocket: time, `skip`, and the pair of `newtry` and `protect`.

local evsock, core = ...
local shared = core.part "luasocket/shared"

local module = {
    _VERSION = "LuaSocket 3.0.0",
    -- Not a limit of the system: some programs open one more than this, LuaSocket's own tests do.
    _SETSIZE = 16384,
    _SOCKETINVALID = -1,
}

function module.gettime()
    return core.system.clock()
end

function module.sleep(seconds)
    seconds = shared.number(seconds, 1, "sleep")
    if seconds ~= seconds or seconds < 0 then
        seconds = 0
    end
    evsock.sleep(math.min(seconds, 2 ^ 31))
end

function module.skip(count, ...)
    count = shared.number(count, 1, "skip")
    return select(math.floor(count) + 1, ...)
end

-- There is no library to unload.
function module.__unload()
end

-- Exceptions --------------------------------------------------------------------------------------

-- Of the tables that carry the value of a failed `try`; an uncaught one shows that value.
local exception = {
    __tostring = function(problem)
        return tostring(problem[1])
    end,
}

local function nothing()
end

function module.newtry(finalizer)
    finalizer = finalizer or nothing
    return function(...)
        if not (...) then
            finalizer()
            error(setmetatable({ (select(2, ...)) }, exception), 0)
        end
        return ...
    end
end

local function results(ok, ...)
    if ok then
        return ...
    end
    local problem = ...
    if type(problem) == "table" and getmetatable(problem) == exception then
        return nil, problem[1]
    end
    error(problem, 0)
end

-- What `fn` calls may wait.
function module.protect(fn)
    return function(...)
        return results(evsock.pcall(fn, ...))
    end
end

return { module = module }
