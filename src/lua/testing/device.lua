-- A device for tests: it listens, and answers what it is asked.
--
-- Not here: the network (it is built on the native API, in the Lua state of the test). Invariants:
-- answers leave in the order of the questions; after `close` nothing of it is open.

local evsock, core = ...

local raise = core.raise
local floor = math.floor

-- A question is no longer than this.
local LONGEST_QUESTION = 1024 * 1024
-- What `received` keeps; older ones make room.
local MOST_RECEIVED = 10000
-- So many pumps lie between two pieces of an answer, of which one at least reads from the sockets.
local PUMPS_APART = 3

local Device = {}
Device.__index = Device
Device.__name = "evsock.testing.Device"

local function fail(name, wanted, value)
    raise("bad " .. name .. " to 'device' (" .. wanted .. " expected, got " .. core.got(value)
        .. ")")
end

local function expect(device, method)
    if getmetatable(device) ~= Device then
        raise("bad argument 'self' to '" .. method .. "' (evsock.testing.Device expected, got "
            .. core.got(device) .. "; call it with a colon)")
    end
    return device
end

-- Options -----------------------------------------------------------------------------------------

local function is_answer(value)
    return value == false or type(value) == "string" or type(value) == "function"
        or type(value) == "table"
end

-- Name to what is expected and the check.
local options = {
    default = { "string, function, list or false", is_answer },
    greeting = { "string", function(value) return type(value) == "string" end },
    host = { "string", function(value) return type(value) == "string" end },
    line_end = { "string", function(value) return type(value) == "string" end },
    port = { "integer from 0 to 65535", function(value) return core.port(value) ~= nil end },
    tls = { "table of a server", function(value) return value ~= true and value ~= nil end },
    udp = { "boolean", function(value) return type(value) == "boolean" end },
    unix = { "path or true", function(value)
        return value == true or type(value) == "string"
    end },
}

local function read_options(given)
    if given == nil then
        return {}
    elseif type(given) ~= "table" or given == evsock then
        fail("argument 'options'", "table", given)
    end
    for name, value in pairs(given) do
        local row = options[name]
        if not row then
            raise("bad option " .. core.named(name) .. " to 'device'"
                .. core.unknown(name, options))
        elseif not row[2](value) then
            fail("option '" .. name .. "'", row[1], value)
        end
    end
    if given.udp and (given.tls or given.unix or given.greeting) then
        raise("bad option 'udp' to 'device' (datagrams know no tls, unix or greeting)")
    elseif given.unix and (given.host or given.port) then
        raise("bad option 'unix' to 'device' (a path has no host and no port)")
    end
    return given
end

-- Questions that begin with ^ are patterns; they are tried in the order of their texts.
local function patterns_of(script)
    local patterns = {}
    for question, answer in pairs(script) do
        if type(question) ~= "string" then
            fail("argument 'script'", "table of questions, each a string,", question)
        elseif not is_answer(answer) then
            fail("answer to '" .. question .. "'", "string, function, list or false", answer)
        elseif question:sub(1, 1) == "^" then
            patterns[#patterns + 1] = question
        end
    end
    table.sort(patterns)
    return patterns
end

-- Answers -----------------------------------------------------------------------------------------

-- The answer for this time. Of a list each time the next is given, at the end the last again.
local function turn_of(device, answer)
    if type(answer) ~= "table" then
        return answer
    end
    local place = math.min((device.turns[answer] or 0) + 1, #answer)
    device.turns[answer] = place
    return answer[place]
end

-- A list in place of a text: several lines.
local function text_of(device, answer)
    if type(answer) == "table" then
        local lines = {}
        for place, line in ipairs(answer) do
            lines[place] = line .. device.line_end
        end
        return table.concat(lines)
    elseif type(answer) == "string" then
        return answer .. device.line_end
    end
end

local function answer_to(device, question, connection, answer, ...)
    answer = turn_of(device, answer)
    if type(answer) == "function" then
        answer = answer(question, connection, ...)
    end
    return text_of(device, answer)
end

local function matched(device, question, connection, pattern, first, ...)
    if first == nil then
        return false
    end
    return true, answer_to(device, question, connection, device.script[pattern], first, ...)
end

local function reply(device, question, connection)
    local answer = device.script[question]
    if answer ~= nil then
        return answer_to(device, question, connection, answer)
    end
    for _, pattern in ipairs(device.patterns) do
        local fits, text =
            matched(device, question, connection, pattern, question:match(pattern))
        if fits then
            return text
        end
    end
    return answer_to(device, question, connection, device.default)
end

local function note(device, question)
    local received = device.received
    if #received >= MOST_RECEIVED then
        table.remove(received, 1)
    end
    received[#received + 1] = question
end

-- Sending -----------------------------------------------------------------------------------------

-- Sends the next piece of what waits, and the others some pumps later.
local function drip(device, connection, pumps)
    local waiting = device.unsent[connection]
    if not waiting then
        return
    elseif pumps > 0 then
        evsock.after(0, drip, device, connection, pumps - 1)
        return
    end
    local size = device.piece or #waiting
    connection:write(waiting:sub(1, size))
    if #waiting <= size then
        device.unsent[connection] = nil
        return
    end
    device.unsent[connection] = waiting:sub(size + 1)
    drip(device, connection, PUMPS_APART)
end

local function send(device, connection, text)
    local waiting = device.unsent[connection]
    if waiting then
        device.unsent[connection] = waiting .. text
    elseif not device.piece or #text <= device.piece then
        connection:write(text)
    else
        device.unsent[connection] = text
        drip(device, connection, 0)
    end
end

-- Connections -------------------------------------------------------------------------------------

local function leave(device, connection)
    device.unsent[connection] = nil
    for place, other in ipairs(device.connections) do
        if other == connection then
            table.remove(device.connections, place)
            return
        end
    end
end

local function on_question(device, connection, question)
    note(device, question)
    if device.is_silent then
        return
    end
    local text = reply(device, question, connection)
    if text and not device.is_silent then
        send(device, connection, text)
    end
end

local function serve(device, connection)
    connection.on_data = function()
        for question in connection:lines("any") do
            on_question(device, connection, question)
        end
        if connection.buffered > LONGEST_QUESTION then
            connection:abort()
        end
    end
    if device.greeting and not device.is_silent then
        send(device, connection, device.greeting)
    end
end

local function accept(device, connection)
    local connections = device.connections
    connections[#connections + 1] = connection
    connection.on_close = function()
        leave(device, connection)
    end
    if type(device.script) == "function" then
        local task = evsock.spawn(device.script, connection, device)
        device.tasks[task] = true
    else
        serve(device, connection)
    end
end

local function listen(device, given)
    local handlers = {
        on_accept = function(_, connection)
            accept(device, connection)
        end,
        tls = given.tls,
    }
    local server, message, code
    if given.unix then
        local path = given.unix
        if path == true then
            -- It makes the file, too, which must not be there.
            path = os.tmpname()
            os.remove(path)
        end
        server, message, code = evsock.listen("unix:" .. path, handlers)
    else
        server, message, code =
            evsock.listen(given.host or "127.0.0.1", given.port or 0, handlers)
    end
    if not server then
        return nil, message, code
    end
    device.server, device.host, device.port = server, server.address, server.port
    return device
end

-- Datagrams ---------------------------------------------------------------------------------------

-- One answers to where the last question came from; it needs nothing but a way to write.
local function answering(udp, host, port)
    return {
        host = host, port = port,
        write = function(_, text)
            return udp:send_to(text, host, port)
        end,
    }
end

local function open_udp(device, given)
    local udp, message, code = evsock.udp(given.host or "127.0.0.1", given.port or 0)
    if not udp then
        return nil, message, code
    end
    udp.on_datagram = function(_, data, host, port)
        local connection = answering(udp, host, port)
        device.connections[1] = connection
        if type(device.script) == "function" then
            note(device, data)
            if not device.is_silent then
                local text = device.script(data, connection)
                if text then
                    send(device, connection, text)
                end
            end
        else
            on_question(device, connection, (data:gsub("[\r\n]+$", "")))
        end
    end
    device.server, device.host, device.port = udp, udp.host, udp.port
    return device
end

-- What a test does with it ------------------------------------------------------------------------

-- Ends it: the port is free, the connections are closed, those that it has just answered after
-- that. Once more does nothing.
function Device.close(device)
    expect(device, "close")
    device.server:close()
    for task in pairs(device.tasks) do
        if not task.done then
            task:cancel()
        end
    end
    local connections = device.connections
    device.connections = {}
    for _, connection in ipairs(connections) do
        local waiting = device.unsent[connection]
        device.unsent[connection] = nil
        if connection.close then
            if waiting then
                connection:write(waiting)
            end
            connection:close()
        end
    end
end

-- Its connections end with a reset, as when it loses power; it goes on listening.
function Device.reset(device)
    expect(device, "reset")
    local connections = device.connections
    -- From the end, since one may leave the list.
    for place = #connections, 1, -1 do
        local connection = connections[place]
        device.unsent[connection] = nil
        if connection.abort then
            connection:abort()
        end
    end
end

-- With true (or nothing) it takes what it is asked and says nothing, until it is given false.
function Device.silence(device, is_silent)
    expect(device, "silence")
    if is_silent ~= nil and type(is_silent) ~= "boolean" then
        raise("bad argument 'is_silent' to 'silence' (boolean or nil expected, got "
            .. core.got(is_silent) .. ")")
    end
    device.is_silent = is_silent ~= false
end

-- From now on answers arrive in pieces of `n` bytes; with nil whole again.
function Device.split(device, n)
    expect(device, "split")
    if n ~= nil and (type(n) ~= "number" or n < 1 or n ~= floor(n)) then
        raise("bad argument 'n' to 'split' (integer of at least 1, or nil, expected, got "
            .. core.got(n) .. ")")
    end
    device.piece = n
end

-- Sends it as it is to whoever is connected, unasked.
function Device.garbage(device, text)
    expect(device, "garbage")
    if type(text) ~= "string" then
        raise("bad argument 'text' to 'garbage' (string expected, got " .. core.got(text) .. ")")
    end
    for _, connection in ipairs(device.connections) do
        send(device, connection, text)
    end
end

Device.__close = Device.close

function Device.__tostring(device)
    return "evsock.testing.Device: " .. (device.port and device.host .. " port " .. device.port
        or tostring(device.host))
end

return function(script, given)
    if type(script) ~= "table" and type(script) ~= "function" then
        fail("argument 'script'", "table of questions and answers, or function", script)
    end
    given = read_options(given)
    local device = setmetatable({
        script = script, patterns = type(script) == "table" and patterns_of(script) or {},
        default = given.default, greeting = given.greeting,
        line_end = given.line_end or (given.udp and "" or "\r\n"),
        received = {}, connections = {}, turns = {}, unsent = {},
        tasks = setmetatable({}, { __mode = "k" }), is_silent = false,
    }, Device)
    return (given.udp and open_udp or listen)(device, given)
end
