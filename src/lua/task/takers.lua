-- Waits for what comes to an object piece by piece and is taken by one: connections of a server
-- (`server:accept(timeout)`), datagrams (`udp:receive`). Loaded by the first of these calls.
--
-- Not here: how a wait goes (`wait.lua`). A taker is the waiter of such a call; an usher stands
-- among the waiters of the object for all of its takers. Invariants: who has waited longest is
-- served first; a piece is taken in the moment in which its task goes on, so that none is lost with
-- a task that is canceled; an object has an usher exactly while somebody waits.

local native, _, _, core, inner = ...

local answer, wait_for, seconds_or_nil = inner.answer, inner.wait_for, inner.seconds_or_nil
local watch, unwatch_if_free, remove =
    inner.waiters.watch, inner.waiters.unwatch_if_free, inner.waiters.remove
local current, make_ready, ran_elsewhere =
    inner.tasks.current, inner.tasks.make_ready, inner.tasks.ran_elsewhere
local pumping = inner.pumping

-- Object to its usher, whose `list` has the takers.
local usher_of = {}

-- Of the waits that pump, those around the last cannot end before it.
local function can_end(taker)
    return taker.task or taker == pumping[#pumping]
end

-- How many are served before it. One that is about to pump ends before all that pump.
local function count_ahead(list, taker)
    local count = 0
    for _, other in ipairs(list) do
        if other == taker then
            break
        elseif can_end(other) and (other.task or not taker.pumps) then
            count = count + 1
        end
    end
    return count
end

-- Whether the wait is over.
local function takes(taker)
    if taker.answered then
        return true
    end
    taker.roused = false
    local object, kind = taker.object, taker.kind
    local usher = usher_of[object]
    local ahead = usher and count_ahead(usher.list, taker) or 0
    local count, why, its_code = kind.count(object, not taker.has_looked)
    taker.has_looked = true
    if not count then
        return answer(taker, nil, why, its_code)
    elseif count > ahead then
        local a, b, c, d = kind.take(object)
        if a then
            return answer(taker, a, b, c, d)
        end
    end
    local message, code = kind.fault(object)
    if not message and ahead == 0 and usher and usher.message then
        message, code = usher.message, usher.code
        usher.message = false
    end
    return message and answer(taker, nil, message, code) or false
end

-- Something has come, or the object is closed: as many takers as there are pieces go on. The first
-- of them at once, if it can; the usher then stands for it.
local function call(usher, is_late)
    local list, object, kind = usher.list, usher.object, usher.kind
    local first = list[1]
    local is_served = is_late == false and first and first.task and not first.roused
        and not ran_elsewhere(first.task) and first:check()
    usher.of = is_served and first
    local count = kind.is_open(object) and kind.count(object, false) or #list
    count = count + (usher.message and 1 or 0)
    for _, taker in ipairs(list) do
        if not taker.task then
            taker.was_woken = true
        elseif count > 0 and taker ~= usher.of and not taker.roused then
            taker.roused = true
            make_ready(taker.task)
        end
        if taker ~= usher.of and can_end(taker) then
            count = count - 1
        end
    end
    return is_served or false
end

local function enter(taker)
    if taker.is_in then
        return
    end
    local object = taker.object
    local usher = usher_of[object]
    if not usher then
        usher = { object = object, kind = taker.kind, list = {}, check = call, of = false,
            message = false, code = false }
        local waiters = watch(object)
        waiters[#waiters + 1] = usher
        usher_of[object] = usher
    end
    usher.list[#usher.list + 1] = taker
    taker.is_in = true
end

local function leave(taker)
    local object = taker.object
    local usher = usher_of[object]
    if not (taker.is_in and usher) then
        return
    end
    taker.is_in = false
    remove(usher.list, taker)
    if #usher.list > 0 then
        if taker.roused and not taker.answered then
            -- What it was roused for is for the next.
            call(usher, true)
        end
        return
    end
    usher_of[object] = nil
    local waiters = inner.waiters.of_object[object]
    remove(waiters, usher)
    unwatch_if_free(object, waiters)
end

local function is_in(taker)
    return taker.is_in
end

local function expire(taker)
    answer(taker, nil, taker.kind.describe(taker.object) .. ": timed out", "ETIMEDOUT")
end

local function take(object, kind, timeout)
    local taker = {
        call = kind.call, object = object, kind = kind, check = takes, expire = expire,
        stands = true, take_stands = enter, leave_stands = leave, has_stands = is_in,
        is_in = false, roused = false, has_looked = false,
    }
    if timeout == 0 and kind.never_pumps then
        taker.answered, taker.pumps = false, not current()
        if not takes(taker) then
            expire(taker)
        end
        return taker.a, taker.b, taker.c
    end
    return wait_for(taker, timeout)
end

-- Connections -------------------------------------------------------------------------------------

-- `count(object, looks)`: how many pieces there are; `looks`: at the descriptor as well. `fault`:
-- why none will come. `never_pumps`: no time is no wait.
local connections = { call = "accept", never_pumps = true, take = inner.accept_now }

function connections.count(server, looks)
    return native.server_ready(server, looks)
end

function connections.is_open(server)
    return native.server_info(server) ~= nil
end

function connections.describe(server)
    local address, port = native.server_info(server)
    return "accept" .. core.where(address, port)
end

function connections.fault(server)
    if not connections.is_open(server) then
        return "accept: the server is closed", "ECLOSED"
    elseif core.field(server, "on_accept") then
        return connections.describe(server) .. ": on_accept takes the connections", "EBUSY"
    end
end

-- Datagrams ---------------------------------------------------------------------------------------

local datagrams = { call = "receive" }

function datagrams.count(sock)
    return native.datagram_ready(sock)
end

function datagrams.take(sock)
    return native.datagram_read(sock)
end

function datagrams.is_open(sock)
    return native.datagram_facts(sock) ~= nil
end

function datagrams.describe(sock)
    return "receive" .. core.where(native.datagram_facts(sock))
end

function datagrams.fault(sock)
    if not datagrams.is_open(sock) then
        return "receive: the socket is closed", "ECLOSED"
    elseif core.field(sock, "on_datagram") then
        return datagrams.describe(sock) .. ": on_datagram takes the datagrams", "EBUSY"
    end
end

local takers = {}

function takers.accept(server, timeout)
    inner.expect(server, "server", "accept")
    timeout = seconds_or_nil(timeout, "accept")
    core.server.hold(server)
    return take(server, connections, timeout)
end

function takers.receive(sock, timeout)
    return take(sock, datagrams, seconds_or_nil(timeout, "receive"))
end

-- Of something that has gone wrong, who has waited longest hears. Whether there is one.
function takers.fail(object, message, code)
    local usher = usher_of[object]
    if usher then
        usher.message, usher.code = message, code
    end
    return usher ~= nil
end

return takers
