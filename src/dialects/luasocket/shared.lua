-- LuaSocket: what its objects share: classes, checks of arguments, timeouts, words of errors.
--
-- Not here: what one class does. An object is a table whose metatable is that of its class, which
-- changes in its life ("tcp{master}" becomes "tcp{client}"). What stands in it is ours; the native
-- object, which alone has a descriptor, stands there as `core`, so that the descriptor is closed
-- when the table is collected.

local evsock, core = ...

local shared = {}

-- Checks ------------------------------------------------------------------------------------------

-- The message that Lua itself has for arguments of C functions.
local function bad_argument(index, method, problem)
    core.raise("bad argument #" .. index .. " to '" .. method .. "' (" .. problem .. ")")
end
shared.bad_argument = bad_argument

local function expected(index, method, wanted, value)
    local got = value == nil and "no value" or type(value)
    bad_argument(index, method, wanted .. " expected, got " .. got)
end
shared.expected = expected

-- Text, or a number as the text that Lua makes of it; `default` in place of nil.
function shared.text(value, index, method, default)
    if type(value) == "string" then
        return value
    elseif type(value) == "number" then
        return tostring(value)
    elseif value == nil and default ~= nil then
        return default
    end
    expected(index, method, "string", value)
end

-- A number, or text that is one.
function shared.number(value, index, method, default)
    local number = type(value) == "number" and value
        or type(value) == "string" and tonumber(value)
    if number then
        return number
    elseif value == nil and default ~= nil then
        return default
    end
    expected(index, method, "number", value)
end

-- Classes -----------------------------------------------------------------------------------------

-- The metatables of ours: no other table passes for an object.
local classes = {}

local function raw_text(object)
    local metatable = getmetatable(object)
    setmetatable(object, nil)
    local text = tostring(object)
    setmetatable(object, metatable)
    return (text:gsub("^table: ", ""))
end

local function text_of(object)
    return getmetatable(object).__index.class .. ": " .. raw_text(object)
end

-- What `tostring` says where that is not the name of the class.
function shared.printer(title)
    return function(object)
        return title .. ": " .. raw_text(object)
    end
end

-- A class: its metatable. `__index` is a plain table with the methods and `class`, which programs
-- copy; `groups` are names under which methods expect it, beside its own.
function shared.class(name, groups, methods)
    local index = { class = name }
    for method, fn in pairs(methods) do
        index[method] = fn
    end
    local metatable = {
        __name = name, __index = index, __tostring = text_of, __close = methods.close,
        [name] = true,
    }
    for _, group in ipairs(groups) do
        metatable[group] = true
    end
    classes[metatable] = true
    return metatable
end

-- Raises unless the object is of the class or group.
function shared.expect(object, wanted, method)
    local metatable = getmetatable(object)
    if not (metatable and classes[metatable] and metatable[wanted]) then
        core.raise("calling '" .. method .. "' on bad self (" .. wanted .. " expected)")
    end
end

-- The core's object in one of ours, or nil: of what is no object, too.
function shared.core_of(object)
    local metatable = getmetatable(object)
    return metatable and classes[metatable] and object.core or nil
end

-- What `select` asks of a class: `source(object)`, the native object whose events make it look
-- again, or nil if the object is ignored; `readable(object)` and `writable(object)`.
local polls = {}

function shared.selectable(metatable, poll)
    polls[metatable] = poll
end

-- An object of such a class and what is asked of it; nothing for what is none.
function shared.polled(object)
    local poll = polls[getmetatable(object) or false]
    if poll then
        return object, poll
    end
end

-- Descriptor to the object that was asked for it: a program may hide the object and show this.
local owners = setmetatable({}, { __mode = "v" })

-- The number of the descriptor, -1 where there is none.
function shared.descriptor(object)
    local fd = object.core and core.system.descriptor(object.core)
    if fd then
        owners[fd] = object
    end
    return fd or -1
end

-- Our object that has the descriptor, and what is asked of it; nothing for one of others.
function shared.owner_of(fd)
    local object = owners[fd]
    if object and object.core and core.system.descriptor(object.core) == fd then
        return shared.polled(object)
    end
end

-- A new object. `block` and `total`: seconds, -1 is none.
function shared.new(metatable)
    return setmetatable({ block = -1, total = -1 }, metatable)
end

-- Timeouts ----------------------------------------------------------------------------------------

function shared.settimeout(object, value, mode)
    -- Programs set one before each call.
    if type(value) == "number" and value >= 0 and mode == nil then
        object.block = value
        return 1
    end
    local seconds = shared.number(value, 1, "settimeout", -1)
    local first = shared.text(mode, 2, "settimeout", "b"):sub(1, 1)
    if seconds ~= seconds or seconds < 0 then
        seconds = -1
    end
    if first == "b" then
        object.block = seconds
    elseif first == "t" or first == "r" then
        object.total = seconds
    else
        bad_argument(2, "settimeout", "invalid timeout mode")
    end
    return 1
end

function shared.gettimeout(object)
    return object.block, object.total
end

-- The methods of those for a class or group.
function shared.add_timeouts(methods, wanted)
    function methods.settimeout(object, value, mode)
        shared.expect(object, wanted, "settimeout")
        return shared.settimeout(object, value, mode)
    end

    function methods.gettimeout(object)
        shared.expect(object, wanted, "gettimeout")
        return shared.gettimeout(object)
    end
end

-- How long a wait may take that begins now, in a call that began at `start`: nil is for ever.
function shared.left(object, start)
    local block, total = object.block, object.total
    local left = block >= 0 and block or nil
    if total >= 0 then
        total = math.max(0, start + total - evsock.now())
        left = left and math.min(left, total) or total
    end
    return left ~= math.huge and left or nil
end

-- What `setfd` takes: a negative number alone. `makers`: what makes sockets here.
function shared.check_setfd(number, makers)
    if shared.number(number, 1, "setfd") >= 0 then
        core.raise("setfd: a descriptor of others can't become a socket here; evsock.watch waits "
            .. "for it, and " .. makers .. " make sockets")
    end
end

-- Waits until `check()` holds for as long as the object's timeouts allow: true, or nil and a word.
-- `objects`: those of the core whose events may make it hold; `start`: when the call began.
function shared.wait(object, objects, check, start)
    local ok, message, code = core.wait(objects, check, shared.left(object, start))
    if ok then
        return true
    elseif ok == false then
        return nil, "timeout"
    end
    return nil, shared.word(message, code)
end

-- Words -------------------------------------------------------------------------------------------

-- Error codes to LuaSocket's words.
local words = {
    EACCES = "permission denied",
    EADDRINUSE = "address already in use",
    EBADHOST = "host or service not provided, or not known",
    ECLOSED = "closed",
    ECONNREFUSED = "connection refused",
    ECONNRESET = "closed",
    EHOSTNOTFOUND = "host or service not provided, or not known",
    ETIMEDOUT = "timeout",
}

-- The text of the system's error stands behind what and whom.
local function system_text(message)
    local text = message:match(".*: (.*)$") or message
    return (text:gsub("^%l", string.upper))
end

function shared.word(message, code)
    if code == "EHOSTNOTFOUND" and message:find("temporary failure", 1, true) then
        return "temporary failure in name resolution"
    end
    return words[code] or system_text(message)
end

return shared
