-- LuaSocket: what all its streams do: `receive`, `send`, `close` and what goes with them.
--
-- Not here: how a stream comes about (`tcp.lua`, `unix.lua`, `ssl.lua`). Invariants: what a failed
-- `receive` gives as partial has left the buffer; what `send` counts the system has.

local evsock, core = ...
local shared = core.part "luasocket/shared"
local sock_api = core.socket
local expect, left, word = shared.expect, shared.left, shared.word
local gsub, sub, huge = string.gsub, string.sub, math.huge
local read, read_exact, read_text_line =
    sock_api.read, sock_api.read_exact, sock_api.read_text_line
local _ = core.socket_waits
local buffered, write_some = sock_api.buffered, sock_api.write_some
local wait_for = sock_api.wait_for

local stream = {}

-- A block of so many bytes is taken whole when it is there.
local BLOCK = 64 * 1024

-- The native sockets -----------------------------------------------------------------------------

-- Bytes and lines have no bound here; what has come and was not read has the core's (`read_limit`).
local OPTIONS = {
    connect_timeout = 0, half_open = true, max_frame = 2 ^ 53,
}

-- The socket behind a stream, open or not. It lives as long as the stream's table: none of its
-- handlers keep it.
stream.Connection = core.class {
    name = "LuaSocket connection", kind = "socket", anchor = "handlers",
}

-- Whose options new ones have.
local template
function stream.template()
    if not template then
        template = stream.Connection.new()
        for name, value in pairs(OPTIONS) do
            sock_api.set(template, name, value)
        end
    end
    return template
end

function stream.new_connection()
    local sock = stream.Connection.new()
    core.system.copy_options(sock, stream.template())
    return sock
end

-- A stream of the class. `block` and `total` are its timeouts, `given` is what it has sent, `since`
-- when it began; `phase`: of a connection, see `tcp.lua`.
function stream.adopt(metatable, sock)
    return setmetatable({
        block = -1, total = -1, core = sock, received = 0, given = 0, since = evsock.now(),
        family = false, phase = false,
    }, metatable)
end

-- Waiting ----------------------------------------------------------------------------------------

-- Takes the events that have come for a socket up to now, without waiting.
local function catch_up(sock)
    sock_api.admit(sock)
    local before
    repeat
        before = buffered(sock)
        evsock.attend(sock)
    until buffered(sock) == before or before > 0
end
stream.catch_up = catch_up

-- Why no more comes: a word.
local function end_of(sock)
    local message, code = sock_api.failure(sock)
    return message and word(message, code) or "closed"
end

-- Whether something can be read, or never will.
local function is_readable(sock)
    local state = sock_api.state(sock)
    return buffered(sock) > 0 or sock_api.at_eof(sock)
        or state == "idle" or state == "closed" or state == "closing"
end
stream.is_readable = is_readable

-- Whether something waits in our buffer.
function stream.is_dirty(object)
    local sock = object.core
    return sock ~= nil and not object.listens and buffered(sock) > 0
end

-- Waits for an event of the socket: true, or nil and a word.
local function wait(sock, event, timeout)
    local ok, message, code = wait_for(sock, event, timeout)
    if ok then
        return true
    end
    return nil, word(message, code)
end
stream.wait = wait

-- Another task reads, too: whoever is woken first gets what has come.
local function share_data(object, sock, start)
    local ok, why = shared.wait(object, { sock }, function()
        return is_readable(sock)
    end, start)
    if ok and buffered(sock) == 0 then
        return nil, end_of(sock)
    end
    return ok, why
end

-- Waits until something can be read: true, or nil and a word. Nothing waits in the buffer.
local function await_data(object, sock, start)
    if object.read_ended then
        return nil, "closed"
    end
    local timeout = object.block
    if object.total >= 0 then
        start = start or evsock.now()
        timeout = left(object, start)
    elseif timeout < 0 or timeout == huge then
        timeout = nil
    end
    if timeout == 0 then
        catch_up(sock)
        if buffered(sock) > 0 then
            return true
        end
        return nil, is_readable(sock) and end_of(sock) or "timeout"
    end
    local ok, message, code = wait_for(sock, "data", timeout)
    if ok then
        return true
    elseif code == "EBUSY" then
        return share_data(object, sock, start or 0)
    end
    return nil, word(message, code)
end

-- receive ----------------------------------------------------------------------------------------

local function count_received(object, count)
    object.received = object.received + count
end

-- What one step took: text, its length on the wire, and whether that was all; nil if nothing waits.
local takes = {}

function takes.line(sock)
    local line, length = read_text_line(sock)
    if line then
        return line, length, true
    end
    local part = read(sock)
    return part, part and #part
end

function takes.all(sock)
    local part = read(sock)
    return part, part and #part
end

function takes.count(sock, missing)
    local part = read(sock, missing)
    return part, part and #part, part and #part == missing
end

-- Takes pieces until all is there or waiting has ended: the parts, and the word of why there is no
-- more.
local function gather(object, sock, take, missing, parts)
    local start = object.total >= 0 and evsock.now() or 0
    while true do
        local part, length, is_whole = take(sock, missing)
        if part then
            count_received(object, length)
            parts[#parts + 1] = part
            if is_whole then
                return nil
            end
            missing = missing and missing - length
        else
            local ok, why = await_data(object, sock, start)
            if not ok then
                return why
            end
        end
    end
end

-- Waits until something can be read and takes nothing.
local function receive_nothing(object, sock, prefix)
    if prefix ~= "" then
        return prefix, nil, nil
    elseif buffered(sock) == 0 then
        local ok, why = await_data(object, sock, evsock.now())
        if not ok then
            return nil, why, ""
        end
    end
    return "", nil, nil
end

local function bad_pattern()
    shared.bad_argument(1, "receive", "invalid receive pattern")
end

-- How many bytes are asked for; nil for a pattern, whose function comes second.
local function parse(what)
    if what == nil then
        return nil, takes.line
    elseif type(what) == "number" then
        return what >= 0 and what == what and what - what % 1 or bad_pattern()
    elseif type(what) ~= "string" then
        shared.expected(1, "receive", "string", what)
    end
    local number = tonumber(what)
    if number then
        return parse(number)
    end
    local letter = sub(what, 1, 1) == "*" and sub(what, 2, 2)
    return nil, letter == "l" and takes.line or letter == "a" and takes.all or bad_pattern()
end

local function receive_slowly(object, what, prefix)
    local count, take = parse(what)
    prefix = shared.text(prefix, 2, "receive", "")
    local sock = object.core
    if count and count > 0 and #prefix >= count then
        return prefix, nil, nil
    elseif not sock then
        return nil, "closed", prefix
    elseif count == 0 then
        return receive_nothing(object, sock, prefix)
    end
    local parts = {}
    local why = gather(object, sock, take or takes.count, count and count - #prefix, parts)
    local text = table.concat(parts)
    if take == takes.line then
        text = gsub(text, "\r", "")
    elseif take == takes.all and why == "closed" and text ~= "" then
        why = nil
    end
    text = prefix .. text
    if why then
        return nil, why, text
    end
    return text, nil, nil
end

-- send -------------------------------------------------------------------------------------------

-- Hands the bytes from `first` to `last` over as the system takes them.
local function send_range(object, data, first, last, taken_before)
    local sock, done, start = object.core, taken_before or first - 1, nil
    while done < last do
        if not sock or object.core ~= sock then
            return nil, "closed", done
        end
        local taken, message, code = write_some(sock, data, done + 1, last)
        if not taken then
            return nil, word(message, code), done
        end
        object.given = object.given + taken - done
        done = taken
        if done < last then
            start = start or object.total >= 0 and evsock.now() or 0
            local timeout = left(object, start)
            if timeout == 0 then
                return nil, "timeout", done
            end
            local ok, why = wait(sock, "write", timeout)
            if not ok then
                return nil, why, done
            end
        end
    end
    return done, nil, nil
end

-- Positions as `string.sub` has them.
local function range(length, i, j)
    local first = shared.number(i, 2, "send", 1)
    local last = shared.number(j, 3, "send", -1)
    first = first < 0 and math.max(first + length + 1, 1) or math.max(first, 1)
    last = last < 0 and last + length + 1 or math.min(last, length)
    return first, last
end

-- Methods ----------------------------------------------------------------------------------------

-- What is called once the object is known to be of its class.
local plain = {}

-- A line is there mostly, or comes in one piece.
local function receive_line(object, sock, prefix)
    local line, length, has_cr = read_text_line(sock)
    if not line and buffered(sock) == 0 then
        local ok, why = await_data(object, sock)
        if not ok then
            return nil, why, prefix or ""
        end
        line, length, has_cr = read_text_line(sock)
    end
    if not line then
        return receive_slowly(object, "*l", prefix)
    end
    object.received = object.received + length
    line = has_cr and gsub(line, "\r", "") or line
    return prefix and prefix .. line or line, nil, nil
end

-- And so is a block.
local function receive_block(object, sock, count)
    local data = read_exact(sock, count)
    if not data and buffered(sock) == 0 then
        local ok, why = await_data(object, sock)
        if not ok then
            return nil, why, ""
        end
        data = read_exact(sock, count)
    end
    if not data then
        return receive_slowly(object, count)
    end
    object.received = object.received + count
    return data, nil, nil
end

function plain.receive(object, what, prefix)
    local sock = object.core
    if sock then
        if (what == "*l" or what == nil) and (prefix == nil or type(prefix) == "string") then
            return receive_line(object, sock, prefix)
        elseif prefix == nil and type(what) == "number" and what % 1 == 0
            and what > 0 and what <= BLOCK then
            return receive_block(object, sock, what)
        end
    end
    return receive_slowly(object, what, prefix)
end

function plain.send(object, data, i, j)
    data = type(data) == "string" and data or shared.text(data, 1, "send")
    if i == nil and j == nil then
        -- Most is taken at once.
        local sock, length = object.core, #data
        local taken = sock and length > 0 and write_some(sock, data)
        if taken then
            object.given = object.given + taken
            if taken == length then
                return taken, nil, nil
            end
        end
        return send_range(object, data, 1, length, taken or 0)
    end
    return send_range(object, data, range(#data, i, j))
end

plain.dirty = stream.is_dirty

function plain.getstats(object)
    return object.received, object.given, evsock.now() - object.since
end

function plain.setstats(object, received, given, age)
    object.received = shared.number(received, 1, "setstats", object.received)
    object.given = shared.number(given, 2, "setstats", object.given)
    if age ~= nil then
        object.since = evsock.now() - shared.number(age, 3, "setstats")
    end
    return 1
end

function plain.shutdown(object, how)
    how = shared.text(how, 1, "shutdown", "both")
    if how ~= "both" and how ~= "send" and how ~= "receive" then
        shared.bad_argument(1, "shutdown", "invalid option '" .. how .. "'")
    end
    local sock = object.core
    if sock then
        object.read_ended = object.read_ended or how ~= "send"
        if how ~= "receive" then
            sock_api.shutdown(sock)
        end
    end
    return 1
end

-- Those of a class, each of which expects its object to be of that.
function stream.methods(wanted)
    local methods = {}
    for name, fn in pairs(plain) do
        methods[name] = function(object, a, b, c)
            local metatable = getmetatable(object)
            if not (metatable and metatable[wanted]) then
                expect(object, wanted, name)
            end
            return fn(object, a, b, c)
        end
    end
    return methods
end

-- Gives the connection up: what was sent goes out, who waits on it hears "closed".
function stream.close(object)
    local sock = object.core
    object.core = nil
    if sock then
        sock_api.close(sock)
    end
end

return stream
