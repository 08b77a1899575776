-- Waits for several objects at once: `core.wait` for dialects, `evsock.wait_any` for scripts.
--
-- Not here: how a wait goes (`wait.lua`), the lists of conditions and queues (`condition.lua`). A
-- stand is the place of a waiter at one object; it lies in that object's queue in place of the
-- waiter. Invariants: an event makes the waiter look in the moment in which its task can go on, so
-- that what the check takes is not lost; a signal that came to the stand of a wait which ends by
-- another is for the next. A waiter here is no reader: it stands beside one.

local native, checks, _, core, inner = ...

local bad, pcall = checks.bad, inner.plain.pcall
local answer, wait_for, seconds_or_nil = inner.answer, inner.wait_for, inner.seconds_or_nil
local waiters_of, watch, unwatch_if_free, remove =
    inner.waiters.of_object, inner.waiters.watch, inner.waiters.unwatch_if_free,
    inner.waiters.remove
local make_ready, current, is_task =
    inner.tasks.make_ready, inner.tasks.current, inner.tasks.is_task
local waitable, passes = inner.waitable, core.socket_waits.passes

-- Stands ------------------------------------------------------------------------------------------

-- What an event of the object means to the waiter that stands there. `is_late`: its task can only
-- become ready, and looks in its turn.
local function look(stand, is_late)
    local waiter = stand.of
    if waiter.answered or stand.is_ready and not stand:is_ready() then
        return false
    elseif not waiter.task then
        waiter.was_woken = true
        return false
    elseif is_late then
        make_ready(waiter.task)
        return false
    end
    return waiter:check()
end

local function enter(stand)
    local list = stand.list
    if stand.joins then
        if stand.joins.done then
            return
        end
        stand.joins.joiners = stand.joins.joiners or {}
        list = stand.joins.joiners
    elseif not list then
        list = watch(stand.object)
    end
    list[#list + 1] = stand
    stand.is_in = true
end

-- After a lack of memory it may be called again: who is in stays in.
local function take_stands(waiter)
    for _, stand in ipairs(waiter.stands) do
        stand.task = waiter.task
        if not stand.is_in then
            enter(stand)
        end
    end
end

local function leave(stand)
    if not stand.is_in then
        return
    end
    stand.is_in = false
    if stand.list then
        remove(stand.list, stand)
        stand:on_leave()
    elseif stand.joins then
        remove(stand.joins.joiners or {}, stand)
    else
        local waiters = waiters_of[stand.object]
        remove(waiters, stand)
        unwatch_if_free(stand.object, waiters)
    end
end

local function leave_stands(waiter)
    for _, stand in ipairs(waiter.stands) do
        leave(stand)
    end
end

local function has_stands(waiter)
    for _, stand in ipairs(waiter.stands) do
        if not (stand.is_in or stand.joins and stand.joins.done) then
            return false
        end
    end
    return true
end

local function ends(stand)
    return stand.joins.done
end

-- The stand at an object; nil if nobody can wait for it.
local function stand_at(object)
    if native.kind(object) then
        return { object = object, check = look }
    elseif is_task(object) then
        if object == current() then
            native.raise("a task can't wait for itself")
        end
        return { joins = object, is_ready = ends }
    end
    return core.conditions.stand(object)
end

local function with_stands(waiter)
    for _, stand in ipairs(waiter.stands) do
        -- The fields exist from here on: to set them later needs no memory.
        stand.of, stand.task, stand.is_in = waiter, false, false
        stand.roused, stand.answered, stand.call = false, false, waiter.call
    end
    waiter.take_stands, waiter.leave_stands, waiter.has_stands =
        take_stands, leave_stands, has_stands
    return waiter
end

-- For dialects ------------------------------------------------------------------------------------

local function holds(waiter)
    if waiter.answered then
        return true
    elseif waiter.is_fresh then
        -- It was called just now.
        waiter.is_fresh = false
        return false
    end
    for _, stand in ipairs(waiter.stands or {}) do
        -- It has the signal that came.
        stand.roused = false
    end
    local ok, result = pcall(waiter.given)
    if not ok then
        waiter.has_failed, waiter.problem = true, result
    elseif not result then
        return false
    end
    return answer(waiter, true)
end

-- The same for one that stands at one object with events and so needs no stand.
local function holds_at_event(waiter, is_late)
    if is_late == nil then
        return holds(waiter)
    elseif not waiter.task then
        waiter.was_woken = true
        return false
    elseif is_late then
        make_ready(waiter.task)
        return false
    end
    return holds(waiter)
end

local function say_no(waiter)
    answer(waiter, false)
end

local function stands_at(objects)
    local stands, seen = {}, {}
    for place, object in ipairs(objects) do
        if not seen[object] then
            seen[object] = true
            local stand = stand_at(object)
                or bad("argument", "objects[" .. place .. "]", "wait", "object", object)
            stand.is_ready = nil
            stands[#stands + 1] = stand
        end
    end
    return stands
end

local function admit(object)
    if native.kind(object) == "socket" then
        native.admit(object)
    end
end

-- Waits until `check()` holds: it is called at once and after events of the objects, which are
-- sockets, servers, other objects of a class, tasks and conditions. True ends the wait; it is not
-- called again then, so it may take what it finds. It must not wait itself. Returns true; false
-- when the time is up; or nil, message, code.
local function wait(objects, check, timeout)
    timeout = seconds_or_nil(timeout, "wait")
    local task = current()
    -- A task that is canceled ends here.
    if not (task and task.cancel_requested) and check() then
        return true
    end
    local waiter = {
        call = "wait", given = check, expire = say_no, is_fresh = true, has_failed = false,
        problem = false,
    }
    local object = objects[1]
    if #objects == 1 and native.kind(object) then
        waiter.sock, waiter.check = object, holds_at_event
    else
        waiter.check, waiter.stands = holds, stands_at(objects)
        with_stands(waiter)
    end
    for _, each in ipairs(objects) do
        admit(each)
    end
    local held, message, code = wait_for(waiter, timeout)
    if waiter.has_failed then
        error(waiter.problem, 0)
    end
    return held, message, code
end

-- For scripts -------------------------------------------------------------------------------------

local function has_passed(stand)
    stand.answered = false
    return passes(stand)
end

-- By kind of object and event.
waitable.socket = function(_, event)
    return core.socket_waits.events[event] and has_passed, core.socket_waits.listed
end

waitable.server = function(server, event)
    if event ~= "accept" then
        return nil, '"accept"'
    end
    core.server.hold(server)
    local looks = true
    return function()
        local count = native.server_ready(server, looks)
        looks = false
        return count ~= 0 or not native.server_info(server) or core.field(server, "on_accept")
    end
end

waitable.datagram = function(sock, event)
    return event == "datagram" and function()
        return native.datagram_ready(sock) ~= 0 or not native.datagram_facts(sock)
            or core.field(sock, "on_datagram")
    end, '"datagram"'
end

local WANTED = "{ object, event }, task, condition, queue or watch"

local function stand_of(item, place)
    local name = "list[" .. place .. "]"
    local is_pair = type(item) == "table" and getmetatable(item) == nil
    local object, event = item, nil
    if is_pair then
        object, event = item[1], item[2]
    end
    local stand = stand_at(object)
    if not stand or is_pair and not stand.object then
        bad("argument", name, "wait_any", WANTED, item)
    elseif not stand.object then
        return stand
    end
    local make = waitable[native.kind(object)]
        or bad("argument", name, "wait_any", WANTED, item)
    local is_ready, events = make(object, event)
    if not is_ready then
        bad("argument", name, "wait_any", "{ object, event } with " .. events .. " as the event",
            event)
    end
    stand.is_ready = is_ready
    if is_ready == has_passed then
        stand.sock, stand.event = object, event
        native.admit(object)
    end
    return stand
end

local function finds(waiter)
    if waiter.answered then
        return true
    end
    for place, stand in ipairs(waiter.stands) do
        if stand:is_ready() then
            return answer(waiter, place)
        end
    end
    return false
end

local function expire(waiter)
    answer(waiter, nil, "wait_any: timed out", "ETIMEDOUT")
end

-- The place in the list of the first that is ready; of a queue also the value, which is taken.
local function wait_any(list, timeout)
    timeout = seconds_or_nil(timeout, "wait_any")
    if type(list) ~= "table" then
        bad("argument", "list", "wait_any", "list", list)
    elseif #list == 0 and not timeout then
        native.raise("bad argument 'list' to 'wait_any' (it is empty: the wait would never end)")
    end
    local stands = {}
    for place = 1, #list do
        stands[place] = stand_of(list[place], place)
    end
    local waiter = { call = "wait_any", check = finds, expire = expire, stands = stands }
    local place, message, code = wait_for(with_stands(waiter), timeout)
    if place and stands[place].queue then
        return place, stands[place].a
    elseif place then
        return place
    end
    return nil, message, code
end

return { wait = wait, wait_any = wait_any }
