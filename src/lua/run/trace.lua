-- The trace as scripts have it: `evsock.trace`, the variable EVSOCK_TRACE, what is told of tasks,
-- and where objects are made while it is on. Loaded by the first who asks.
--
-- Not here: what the lines say (src/net), how they are written (src/net/trace.rs). Invariants: what
-- the script's function raises ends the trace with a line on stderr, and nothing else; of what the
-- function does itself nothing is told.

local native, checks, inner, write_line = ...

native.need(native, "trace")

local bad = checks.bad
local getinfo = debug and debug.getinfo
local plain_pcall = inner.plain.pcall
-- There a write to stderr may wait for ever: the script's thread makes it, never ours.
local is_windows = package and package.config and package.config:sub(1, 1) == "\\"

local LEVELS = { [false] = 0, [true] = 1, data = 2, hex = 3 }
local OURS = "@evsock/"

-- The script's function, while it gets the lines.
local sink

-- Where things are made ---------------------------------------------------------------------------

local weak = { __mode = "k" }
local places, server_places = setmetatable({}, weak), {}
-- Task to its number.
local numbers, last = setmetatable({}, weak), 0

-- "file:line" of the nearest function that is not ours.
local function caller()
    local level = 3
    local info = getinfo and getinfo(level, "Sl")
    while info do
        if info.currentline > 0 and info.source:sub(1, #OURS) ~= OURS then
            return info.short_src .. ":" .. info.currentline
        end
        level = level + 1
        info = getinfo(level, "Sl")
    end
end

-- Whether somebody has asked for places alone, without a trace.
local records_places = false
local function record_place(object)
    local place = caller()
    places[object] = place
    if native.kind(object) == "server" then
        server_places[native.server_id(object)] = place
    end
    return object
end

-- The same while tracing, where tasks get numbers.
local function made(object)
    record_place(object)
    if native.kind(object) == nil then
        last = last + 1
        numbers[object] = last
        local place = places[object]
        native.trace_tell("task " .. last, "begun" .. (place and " at " .. place or ""))
    end
    return object
end

-- What was raised, in a line. Of other values only the type: their `__tostring` is the script's,
-- which could raise itself or do anything else.
local function first_line_of(problem)
    local kind = type(problem)
    if kind == "string" or kind == "number" then
        return tostring(problem):match("^[^\n]*")
    end
    return "(a value of type " .. kind .. ")"
end

local function ended(task)
    local how = "over"
    if task.was_canceled then
        how = "canceled"
    elseif not task.ok then
        how = "failed: " .. first_line_of(task.problem)
    end
    native.trace_tell("task " .. (numbers[task] or "begun before"), how)
end

-- A socket that a server has accepted is made where that is.
function inner.place_of(object)
    local place = places[object]
    if not place and native.kind(object) == "socket" then
        return server_places[native.server_id(object)]
    end
    return place
end

-- Lines for a function ----------------------------------------------------------------------------

local function turn_off()
    inner.made, inner.ended, sink = records_places and record_place or nil, nil, nil
    native.trace_set(0)
end

-- Called by pumps: as many lines as wait now.
local function deliver()
    native.trace_within(true)
    local receiver = sink
    for _ = 1, native.trace_waiting() + 1 do
        local line = receiver and native.trace_fetch()
        if not line then
            break
        end
        local ok, problem = plain_pcall(receiver, line)
        if sink ~= receiver then
            -- It has turned itself off.
            break
        elseif not ok then
            turn_off()
            write_line("the function that gets the trace has raised, which ends the trace: "
                .. first_line_of(problem))
            break
        end
    end
    native.trace_within(false)
end

native.set_trace_function(deliver)

-- Turning it on -----------------------------------------------------------------------------------

local function begin(level, to)
    native.deliver_trace()
    if level == 0 then
        turn_off()
        return true
    end
    local receiver = type(to) == "function" and to or to == nil and is_windows and write_line
        or nil
    -- Not a plain `and`: the function's sign is false.
    local kind = to
    if receiver then
        kind = false
    end
    local ok, message, code = native.trace_set(level, kind)
    if not ok then
        return nil, message, code
    end
    sink = receiver
    inner.made, inner.ended = made, ended
    return true
end

local function trace(level, to)
    local number = LEVELS[level]
    if level == nil or not number then
        bad("argument", "level", "trace", '"data", "hex", true or false', level)
    elseif to ~= nil and type(to) ~= "string" and type(to) ~= "function" then
        bad("argument", "sink", "trace", "path, function or nil", to)
    end
    return begin(number, to)
end

-- What EVSOCK_TRACE says: a level, and a colon and a path behind it. Nothing that is wrong with it
-- keeps a script from running.
local function from_environment(text)
    local word, path = text:match("^([^:]*):(.+)$")
    word = word or text
    local level = word == "1" and 1 or LEVELS[word]
    if word == "" or word == "0" then
        return
    elseif not level then
        write_line("EVSOCK_TRACE=" .. checks.named(text) .. " is none of 1, data and hex, each with"
            .. " :FILE behind it or without; nothing is traced")
        return
    end
    local ok, message = begin(level, path)
    if not ok then
        write_line("EVSOCK_TRACE: " .. message .. "; nothing is traced")
    end
end

-- From now on it is noted where objects are made, with a trace or without.
local function record_places()
    records_places = true
    inner.made = inner.made or record_place
end

return { trace = trace, from_environment = from_environment, record_places = record_places }
