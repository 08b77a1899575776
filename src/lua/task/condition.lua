-- Conditions and queues: how tasks wait for each other.
--
-- Not here: how a wait goes (`wait.lua`). Invariants: who has waited longest goes on first; a value
-- is taken in the moment in which the task that gets it goes on, so that none is lost with a task
-- that is canceled.

local native, checks, _, _, inner = ...

local answer, wait_for, seconds_or_nil = inner.answer, inner.wait_for, inner.seconds_or_nil
local make_ready, pumping = inner.tasks.make_ready, inner.pumping

-- Of the waits that pump, those around the last cannot end before it. What stands in a list may be
-- the stand of a waiter that stands at other objects, too.
local function can_end(waiter)
    return waiter.task or (waiter.of or waiter) == pumping[#pumping]
end

-- The waiter looks whether it may go on.
local function rouse(waiter)
    waiter.roused = true
    if waiter.task then
        make_ready(waiter.task)
    else
        (waiter.of or waiter).was_woken = true
    end
end

-- Of those in the list that nobody has roused, at most `count`: those that can end first, in their
-- order, then the others, the innermost first. How many there were.
local function rouse_next(list, count)
    local found = 0
    for place = 1, #list do
        local waiter = list[place]
        if found < count and not waiter.roused and can_end(waiter) then
            rouse(waiter)
            found = found + 1
        end
    end
    for place = #list, 1, -1 do
        if found < count and not list[place].roused then
            rouse(list[place])
            found = found + 1
        end
    end
    return found
end

-- How many of the list come before a waiter that is new: they were roused and go on without it.
local function reserved(list, waiter)
    local count = 0
    for _, other in ipairs(list) do
        local is_ahead = other.roused and can_end(other)
            and (other.task or not (waiter.of or waiter).pumps)
        count = count + (is_ahead and 1 or 0)
    end
    return count
end

-- What a waiter was roused for and does not take is for the next.
local function make_way(waiter)
    if waiter.roused and not waiter.answered then
        rouse_next(waiter.list, 1)
    end
end

local function timed_out(waiter)
    answer(waiter, nil, waiter.call .. ": timed out", "ETIMEDOUT")
end

-- Objects of a class, each with a metatable of its own, where its record stands. `length`: what `#`
-- gives, which a table cannot say before Lua 5.2.
local RECORD = {}

local function maker(name, methods, length)
    local newproxy = rawget(_G, "newproxy")
    local kind = name:match("%w+$"):lower()

    local function say_name()
        return name
    end

    local function refuse(_, field)
        native.raise("a " .. kind .. " has no field " .. checks.named(field))
    end

    local function record_of(object, call)
        local metatable = getmetatable(object)
        local record = type(metatable) == "table" and rawget(metatable, RECORD)
        if not record or record.name ~= name then
            native.misuse(object, kind, call)
        end
        return record
    end

    local function new(record)
        local object = newproxy and newproxy(true) or setmetatable({}, {})
        local metatable = getmetatable(object)
        metatable.__name, metatable.__type, metatable.__tostring = name, name, say_name
        metatable.__index, metatable.__newindex = methods, refuse
        metatable.__len = length and function()
            return length(record)
        end
        record.name = name
        metatable[RECORD] = record
        return object
    end

    return new, record_of
end

-- Conditions --------------------------------------------------------------------------------------

local Condition = {}
local new_condition, condition_of = maker("evsock.Condition", Condition)

local function is_signaled(waiter)
    return waiter.roused and answer(waiter, true) or false
end

function Condition.wait(condition, timeout)
    local record = condition_of(condition, "wait")
    timeout = seconds_or_nil(timeout, "wait")
    return wait_for({
        call = "wait", list = record.waiters, check = is_signaled, expire = timed_out,
        on_leave = make_way,
    }, timeout)
end

-- How many go on.
function Condition.signal(condition, count)
    local record = condition_of(condition, "signal")
    count = checks.whole(count or 1, 0, 2 ^ 53)
        or checks.bad("argument", "n", "signal", "integer of at least 0, or nil", count)
    return rouse_next(record.waiters, count)
end

function Condition.broadcast(condition)
    return rouse_next(condition_of(condition, "broadcast").waiters, math.huge)
end

-- Queues ------------------------------------------------------------------------------------------

local Queue = {}

local function length_of(record)
    return record.last - record.first + 1
end

local new_queue, queue_of = maker("evsock.Queue", Queue, length_of)

local function closed(waiter)
    return answer(waiter, nil, waiter.call .. ": the queue is closed", "ECLOSED")
end

-- How much of `there` is left to the waiter.
local function share(waiter, there)
    return waiter.roused and there or there - reserved(waiter.list, waiter)
end

local function pushed(waiter)
    local record = waiter.queue
    if record.closed then
        return closed(waiter)
    elseif share(waiter, record.limit - length_of(record)) <= 0 then
        waiter.roused = false
        return false
    end
    record.last = record.last + 1
    record[record.last] = waiter.value
    rouse_next(record.poppers, 1)
    return answer(waiter, true)
end

local function popped(waiter)
    local record = waiter.queue
    if share(waiter, length_of(record)) <= 0 then
        waiter.roused = false
        return record.closed and length_of(record) == 0 and closed(waiter) or false
    end
    local value = record[record.first]
    record[record.first] = nil
    record.first = record.first + 1
    rouse_next(record.pushers, 1)
    if record.closed and length_of(record) == 0 then
        rouse_next(record.poppers, math.huge)
    end
    return answer(waiter, value)
end

function Queue.push(queue, value, timeout)
    local record = queue_of(queue, "push")
    if value == nil then
        checks.bad("argument", "value", "push", "anything but nil", value)
    end
    timeout = seconds_or_nil(timeout, "push")
    return wait_for({
        call = "push", queue = record, value = value, list = record.pushers, check = pushed,
        expire = timed_out, on_leave = make_way,
    }, timeout)
end

function Queue.pop(queue, timeout)
    local record = queue_of(queue, "pop")
    timeout = seconds_or_nil(timeout, "pop")
    return wait_for({
        call = "pop", queue = record, list = record.poppers, check = popped, expire = timed_out,
        on_leave = make_way,
    }, timeout)
end

-- What is in it can still be popped.
function Queue.close(queue)
    local record = queue_of(queue, "close")
    record.closed = true
    rouse_next(record.poppers, math.huge)
    rouse_next(record.pushers, math.huge)
end

return {
    -- What a waiter that stands at several objects needs to stand at a condition or a queue, too:
    -- the fields of its stand, or nil.
    stand = function(object)
        local metatable = getmetatable(object)
        local record = type(metatable) == "table" and rawget(metatable, RECORD)
        if not record then
            return nil
        elseif record.poppers then
            return {
                queue = record, list = record.poppers, is_ready = popped, on_leave = make_way,
            }
        end
        return { list = record.waiters, is_ready = is_signaled, on_leave = make_way }
    end,
    condition = function()
        return new_condition { waiters = {} }
    end,
    queue = function(limit)
        local most = checks.whole(limit or 2 ^ 53, 1, 2 ^ 53)
            or checks.bad("argument", "limit", "queue", "integer of at least 1, or nil", limit)
        return new_queue { first = 1, last = 0, limit = most, poppers = {}, pushers = {} }
    end,
}
