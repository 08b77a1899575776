-- The calls that wait for a socket: `receive`, `send` and `wait`. Loaded by the first of them.
--
-- Not here: how a wait goes (`wait.lua`). Invariant: data is taken only by a wait that it ends, or
-- by one that can put it back.

local native, checks, _, core, inner = ...

local bad, whole = checks.bad, checks.whole
local expect, waiters_of = inner.expect, inner.waiters.of_object
local answer, wait_for, seconds_or_nil = inner.answer, inner.wait_for, inner.seconds_or_nil
local stay = inner.stay

local function described(sock, call)
    local host, port = native.target(sock)
    if not host then
        local info = native.info(sock) or {}
        host, port = info.peer_address, info.peer_port
    end
    return call .. core.where(host, port)
end

local function expire(waiter)
    local sock = waiter.sock
    answer(waiter, nil, described(sock, waiter.call) .. ": timed out", "ETIMEDOUT",
        waiter.what and (native.peek(sock) or ""))
end

-- Whether the connection that is waited on has closed. Those that it has replaced may still have to
-- close: they come first.
local function has_closed(waiter)
    local closes, superseded = native.closes(waiter.sock)
    if not waiter.closes then
        waiter.closes = closes + superseded
    end
    return closes > waiter.closes
end

-- Whether nothing more comes on the connection that is waited on.
local function is_over(waiter)
    if has_closed(waiter) then
        return true
    end
    local state = native.state(waiter.sock)
    return state == "idle" or state == "closed" or state == "closing"
end

local function fail(waiter, partial)
    local message, code = native.failure(waiter.sock)
    if not message then
        local why = native.state(waiter.sock) == "idle" and ": not connected" or ": closed"
        message, code = described(waiter.sock, waiter.call) .. why, "ECLOSED"
    end
    return answer(waiter, nil, message, code, partial)
end

local function take_all(waiter)
    local sock = waiter.sock
    local at_eof = is_over(waiter) or native.at_eof(sock)
    if not (at_eof or waiter.enqueued) then
        -- Nothing is taken before the waiter is enqueued: until then the wait may still fail.
        return false
    end
    while native.buffered(sock) > 0 do
        waiter.parts = waiter.parts or {}
        local place = #waiter.parts + 1
        -- The table grows first: if there is no memory for that, nothing has been read yet.
        waiter.parts[place] = ""
        waiter.parts[place] = native.read(sock)
    end
    if not at_eof then
        return false
    end
    local parts = waiter.parts
    if parts and not native.failure(sock) then
        local data = table.concat(parts)
        waiter.parts = nil
        return answer(waiter, data)
    elseif parts then
        native.unread(sock, table.concat(parts))
        waiter.parts = nil
    end
    return fail(waiter, native.peek(sock) or "")
end

local function receives(waiter)
    if waiter.answered then
        return true
    end
    local sock = waiter.sock
    local take = waiter.take
    if not take then
        return take_all(waiter)
    end
    local data = take(sock, waiter.what, waiter.keep)
    if data then
        return answer(waiter, data)
    elseif is_over(waiter) or native.at_eof(sock) then
        return fail(waiter, native.peek(sock) or "")
    end
    return false
end

local patterns = {
    a = false,
    l = function(sock)
        return native.read_line(sock)
    end,
    r = function(sock)
        return native.read(sock)
    end,
}

local function bad_pattern(what)
    bad("argument", "what", "receive",
        'byte count, "*l", "*a", "*r" or { until_ = text }', what)
end

-- The function that takes what is asked for (nil: everything to the end), its argument, and
-- whether the delimiter is kept.
local function parse(what)
    local kind = type(what)
    if kind == "number" then
        local count = whole(what, 0, 2 ^ 53) or bad_pattern(what)
        return native.read_exact, count
    elseif kind == "string" then
        local name = what:match("^%*?([alr])$") or bad_pattern(what)
        return patterns[name] or nil, name
    elseif kind ~= "table" or type(what.until_) ~= "string" or what.until_ == "" then
        bad_pattern(what)
    end
    return native.read_until, what.until_, what.keep and true or false
end

local function is_taken(sock, call)
    local waiters = waiters_of[sock]
    if waiters and waiters.reader then
        return described(sock, call) .. ": somebody else waits for data of this socket", "EBUSY"
    end
end

function core.socket.receive(sock, what, timeout)
    expect(sock, "socket", "receive")
    local take, argument, keeps = parse(what)
    timeout = seconds_or_nil(timeout, "receive")
    local message, code = is_taken(sock, "receive")
    if message then
        return nil, message, code, native.peek(sock) or ""
    end
    native.admit(sock)
    return wait_for({
        sock = sock, call = "receive", reads = true, check = receives, expire = expire,
        take = take, takes_all = not take, what = argument, keep = keeps,
    }, timeout)
end

-- What went out stays out, what is queued stays queued.
local function expire_sending(waiter)
    local text, handed = ": timed out", nil
    if waiter.mark then
        local sent, pending, adds_up = native.sent(waiter.sock)
        -- What is encrypted is longer: as much as waits at the most is not there yet.
        local left = adds_up and waiter.mark - sent or pending
        handed = math.max(0, #waiter.data - math.max(0, left))
    else
        text = text .. " before there was room, nothing is queued"
    end
    answer(waiter, nil, described(waiter.sock, "send") .. text, "ETIMEDOUT", handed)
end

-- Whether somebody who came earlier waits for room, too.
local function is_behind(waiter)
    for _, other in ipairs(waiters_of[waiter.sock] or {}) do
        if other == waiter then
            return false
        elseif other.data and not (other.mark or other.answered) then
            return true
        end
    end
    return false
end

local function sends(waiter)
    if waiter.answered then
        return true
    end
    local sock = waiter.sock
    if has_closed(waiter) then
        return fail(waiter)
    end
    local sent, pending, adds_up, lost, why, its_code = native.sent(sock)
    if not waiter.mark then
        local state = native.state(sock)
        local is_lost = state == "idle" or state == "closed" or state == "closing"
        -- The connection may still be to come. Once the time is up nothing is begun any more.
        if waiter.timed_out or state == "waiting" or not is_lost and is_behind(waiter) then
            return false
        end
        local ok, message, code = native.write(sock, waiter.data)
        if ok then
            -- What was there before goes first.
            waiter.mark = sent + pending + #waiter.data
            sent, pending, adds_up, lost, why, its_code = native.sent(sock)
        elseif code == "EAGAIN" then
            return false
        else
            why, its_code = native.failure(sock)
            return answer(waiter, nil, why or message, its_code or code)
        end
    end
    if adds_up and sent >= waiter.mark or not (adds_up or lost) and pending == 0 then
        return answer(waiter, true)
    elseif why then
        -- Whoever waits here may be the only one that reads: nothing else would ever come.
        return answer(waiter, nil, why, its_code)
    end
    return native.state(sock) == "closed" and fail(waiter)
end

function core.socket.send(sock, data, timeout)
    expect(sock, "socket", "send")
    if type(data) ~= "string" and type(data) ~= "number" then
        bad("argument", "data", "send", "string", data)
    end
    timeout = seconds_or_nil(timeout, "send")
    return wait_for({
        sock = sock, call = "send", check = sends, expire = expire_sending, data = tostring(data),
    }, timeout)
end

-- What `wait` waits for, by its event: whether the wait is over.
local waits = {}

function waits.close(waiter, sock)
    local state = native.state(sock)
    if has_closed(waiter) or state == "closed" or state == "idle" then
        return answer(waiter, true)
    end
    return false
end

function waits.connect(waiter, sock)
    if native.state(sock) == "open" then
        return answer(waiter, true)
    end
    return is_over(waiter) and fail(waiter)
end

function waits.data(waiter, sock)
    if native.buffered(sock) > 0 then
        return answer(waiter, true)
    end
    return (native.at_eof(sock) or is_over(waiter)) and fail(waiter)
end

function waits.drain(waiter, sock)
    -- What waits can go out while it closes, too.
    local sent, pending, _, lost, why, its_code = native.sent(sock)
    local state = native.state(sock)
    local least = core.socket.get(sock, "drain_at")
    if has_closed(waiter) or state == "closed" or state == "idle" then
        return fail(waiter)
    elseif state == "waiting" then
        return false
    end
    -- A connection that breaks drops what waits: that is no draining.
    waiter.mark = waiter.mark or sent + math.max(0, pending - least)
    local has_room = pending > 0 or state ~= "open" or native.is_writable(sock)
    if pending <= least and sent >= waiter.mark and has_room and not lost then
        return answer(waiter, true)
    end
    return why and answer(waiter, nil, why, its_code)
end

function waits.more(waiter, sock)
    local there = native.buffered(sock)
    -- What somebody has read meanwhile does not count.
    waiter.least = math.min(waiter.least or there, there)
    if there > waiter.least then
        return answer(waiter, true)
    elseif native.at_eof(sock) or is_over(waiter) then
        return fail(waiter)
    end
    -- Where reading has stopped at its limit it goes on, or the connection ends at `max_frame`.
    native.read_exact(sock, there + 1)
    return false
end

function waits.secure(waiter, sock)
    local is_secured, has_tls = native.secured(sock)
    if is_over(waiter) then
        return fail(waiter)
    elseif is_secured then
        return answer(waiter, true)
    elseif native.state(sock) == "open" and not has_tls then
        return answer(waiter, nil, described(sock, waiter.call)
            .. ": no handshake is under way; start_tls begins one", "EINVAL")
    end
    return false
end

function waits.write(waiter, sock)
    if is_over(waiter) then
        return fail(waiter)
    end
    return native.is_writable(sock) and answer(waiter, true)
end

local function passes(waiter)
    return waiter.answered or waits[waiter.event](waiter, waiter.sock)
end

local WAITS = '"connect", "secure", "data", "more", "drain", "write" or "close"'

function core.socket.wait(sock, event, timeout)
    expect(sock, "socket", "wait")
    if type(event) ~= "string" or not waits[event] then
        bad("argument", "event", "wait", WAITS, event)
    end
    timeout = seconds_or_nil(timeout, "wait")
    local reads = event == "data" or event == "more"
    if reads then
        local message, code = is_taken(sock, "wait")
        if message then
            return nil, message, code
        end
        native.admit(sock)
    end
    return wait_for({
        sock = sock, call = "wait", reads = reads, check = passes, expire = expire, event = event,
    }, timeout)
end

-- Waits of dialects, whose arguments were checked -------------------------------------------------

local admit, has_come = native.admit, native.has_come

local function comes(waiter)
    if waiter.answered then
        return true
    end
    local is_there = has_come(waiter.sock, waiter.event, waiter.closes)
    if is_there then
        waiter.a, waiter.answered = true, true
    elseif is_there == nil then
        fail(waiter)
    end
    return is_there ~= false
end

-- Waiters that are done with, for the next: a dialogue waits, goes on and waits again. That of a
-- wait which an error has ended is lost, and somebody may still have it.
local spares = {}
local MOST_SPARES = 16
local kept = { __index = { call = "wait", check = comes, expire = expire } }

-- All its fields exist from here on: to set them later, when data was taken, needs no memory.
local function new_waiter()
    return setmetatable({
        sock = false, reads = false, event = "data", a = false, closes = false, answered = false,
        done = false, timed_out = false, was_woken = false, pumps = false, timeout = false,
        is_nested = false, task = false, enqueued = false,
    }, kept)
end

-- As `wait`, for "connect", "data" and "write".
function core.socket.wait_for(sock, event, timeout)
    local reads = event == "data"
    if reads then
        if waiters_of[sock] then
            local message, code = is_taken(sock, "wait")
            if message then
                return nil, message, code
            end
        end
        admit(sock)
    end
    local is_there, closes = has_come(sock, event)
    if is_there then
        return true
    end
    local count = #spares
    local waiter = spares[count]
    if waiter then
        spares[count] = nil
    else
        waiter = new_waiter()
    end
    waiter.sock, waiter.event, waiter.reads, waiter.closes = sock, event, reads, closes
    if is_there == false then
        stay(waiter, timeout)
    else
        fail(waiter)
    end
    local a, b, c = waiter.a, waiter.b, waiter.c
    if a ~= true then
        waiter.b, waiter.c = nil, nil
    end
    waiter.sock, waiter.task, waiter.answered = false, false, false
    count = #spares
    if count < MOST_SPARES then
        spares[count + 1] = waiter
    end
    return a, b, c
end

for _, name in ipairs { "receive", "send", "wait" } do
    core.methods[name] = core.socket[name]
end

return { events = waits, listed = WAITS, passes = passes }
