-- The loop: pumping, running, stopping, and the hooks that a script may set of the module.
--
-- Not here: what a pump does (`pump.rs`), calls that wait for one thing (src/lua/task).
-- Invariant: `run` ends when nothing is left that could call a handler.

local native, checks, evsock, core = ...

local raise, bad = native.raise, checks.bad

-- Longer than any wait; every event ends it.
local LONG = 1e6

evsock.attend = native.attend
evsock.pump = native.pump
evsock.active = native.active
evsock.pollfd = native.pollfd
evsock.timeout = native.timeout
evsock.now = native.now
core.wait_now, core.left_until = native.wait_now, native.left_until

-- With `pollfd` and `timeout` this makes the module an object that cqueues can poll.
function evsock.events()
    return "r"
end

local running = 0
local function loop()
    while not native.stopping() and native.active() > 0 do
        local handled, message, code = native.pump(LONG)
        if not handled then
            return nil, message, code
        end
    end
    return true
end

function evsock.run()
    native.check_depth("run")
    running = running + 1
    local ok, problem, message, code = pcall(loop)
    running = running - 1
    native.stop(false)
    if not ok then
        -- The message has the position and the traceback already.
        error(problem, 0)
    elseif not problem then
        -- The process forked, or no thread could be started.
        return nil, message, code
    end
end

function evsock.stop()
    if running > 0 then
        native.stop(true)
    end
end

-- The hooks that a script may set. They are never in the module's own table, so that each
-- assignment comes here and is checked.
local hooks = native.hooks
-- Name to what it may be.
local hook_kinds = { on_error = "function or nil", on_unhandled = "function, false or nil" }

setmetatable(evsock, {
    __index = function(_, name)
        if name == "spin" then
            return native.spin()
        elseif name == "coroutine" then
            rawset(evsock, name, core.coroutines.coroutine)
            return core.coroutines.coroutine
        end
        return hooks[name]
    end,
    __newindex = function(module, name, value)
        if name == "spin" then
            if not checks.is_seconds(value) then
                bad("value", "spin", nil, "seconds of at least 0", value)
            end
            native.spin(value)
        elseif hook_kinds[name] then
            local fits = value == nil or type(value) == "function"
            if not fits and not (value == false and name == "on_unhandled") then
                bad("value", name, nil, hook_kinds[name], value)
            end
            hooks[name] = value
        elseif type(name) == "string" and name:sub(1, 3) == "on_" then
            local advice = checks.meant(name, hook_kinds)
            raise("unknown handler " .. checks.named(name) .. " of the module"
                .. (advice and " (" .. advice .. ")" or ""))
        else
            rawset(module, name, value)
        end
    end,
})
