-- The handlers of an object of this dialect, called one by one in order.
--
-- On the host handlers run inside of the call that caused them, several in a row. Here each call is
-- a deferred callback, a piece of work of `pump` by itself: an error in one loses no other.
-- Not here: when a handler is to be called (the classes). What a handler sees changes here, right
-- before it is called.
-- Invariants: callbacks run in the order in which they were added, each once; while one runs,
-- `state` is what it was when the callback was added; otherwise it is that of the last callback
-- that ran, or of the last method that changed it.

local _, core = ...

local common, field = core.common, core.field
local defer, explain, caller = core.defer, common.explain, common.caller
local ordered = common.ordered
local append, take = ordered.add, ordered.take

local UNCONNECTED = 0

local RECORD = {} -- the key of an object's record

local deferred = {}

-- What this dialect knows of an object besides the fields that the script sees; the callbacks that
-- wait lie in it, too.
function deferred.new_record(object)
    local record = {
        state = 0, -- as the script sees it
        newest = 0, -- as of the last callback that was added
        first = 1,
        last = 0,
        fresh = 0, -- callbacks that the core was not asked to run yet
    }
    object[RECORD] = record
    return record
end

-- Nil for what is no object of this dialect.
function deferred.record(object)
    return field(object, RECORD)
end

-- `kind`: which of the functions in the `notify` of the object's class makes the call.
function deferred.add(record, kind, value, extra)
    record.fresh = record.fresh + 1
    append(record, { kind = kind, value = value, extra = extra, state = record.newest })
end

-- A callback that tells of a new state.
function deferred.change(record, state, cause)
    record.newest, record.changed = state, true
    deferred.add(record, "state", state, cause)
end

-- Has the core run so many callbacks; `next`: right behind the event under way.
local function defer_times(object, record, next, count)
    record.fresh, record.changed = 0, nil
    for _ = 1, count do
        defer(object, next)
    end
end

-- At the end of a method: the callbacks run in the next pump, but the state has changed now.
-- Nothing of an object that is held back runs yet.
function deferred.after_method(object, record)
    if record.changed then
        record.state = record.newest
    end
    if not record.held then
        defer_times(object, record, false, record.fresh)
    end
end

-- A method has failed: the object has the error now, and its handler is called.
function deferred.fail(object, record, cause)
    record.error, record.error_string = cause[1], cause[2]
    deferred.add(record, "error", cause)
    deferred.after_method(object, record)
end

-- Runs the first callback that waits.
function deferred.run(object, notify)
    local record = object[RECORD]
    local callback = record and take(record)
    if not callback then
        return false
    end
    local before = callback.kind == "state" and callback.state or record.state
    if before == callback.state then
        record.state = before
        local handled = notify[callback.kind](object, record, callback.value, callback.extra)
        defer_times(object, record, true, record.fresh)
        return handled
    end
    record.state = callback.state
    local ok, handled = xpcall(function()
        return notify[callback.kind](object, record, callback.value, callback.extra)
    end, explain)
    if record.state == callback.state then
        record.state = before
    end
    defer_times(object, record, true, record.fresh)
    if not ok then
        error(handled, 0)
    end
    return handled
end

-- At the end of an event's function: the first callback runs now, the others right behind it.
function deferred.after_event(object, record, notify)
    if record.held or record.fresh == 0 then
        return false
    end
    defer_times(object, record, true, record.fresh - 1)
    return deferred.run(object, notify)
end

-- What waits is never called; for what the core runs of it nothing is found.
function deferred.drop(record)
    ordered.clear(record)
    record.fresh, record.changed = 0, nil
end

-- The callback that was added last, if it has not run.
function deferred.newest(record)
    return record[record.last]
end

-- Asynchronous methods ----------------------------------------------------------------------------

-- In the `notify` of every class: the answer of an asynchronous method.
function deferred.answer(object, _, callback, result)
    callback(object, result)
end

-- Nil, or a function: the vendor's guide leaves it out where the answer does not matter.
function deferred.check_callback(callback, method)
    return common.check_function(callback, "callback", method, "function or nil")
end

-- The asynchronous form of a method with at most one argument. It is carried out at once, in the
-- order of the script; the callback comes from `pump`, after the handlers that the call caused.
function deferred.async(name, method)
    return function(object, argument, callback)
        if callback == nil and type(argument) == "function" then
            argument, callback = nil, argument
        end
        local record = deferred.record(object)
        if record then
            deferred.check_callback(callback, name)
        end
        -- Without a record the method itself refuses what is none of its objects.
        local result = method(object, argument)
        if callback then
            deferred.add(record, "answer", callback, result)
            deferred.after_method(object, record)
        end
    end
end

-- Handlers ----------------------------------------------------------------------------------------

-- The call of a handler that gets its object and a value; false where there is none.
local function caller_with_value(name)
    return function(object, _, value)
        local handler = object[name]
        if not handler then
            return false
        end
        handler(object, value)
    end
end
deferred.caller_with_value = caller_with_value

local call_state_changed = caller_with_value "state_changed_handler"
local call_error = caller_with_value "error_handler"

-- The functions that call a socket's handlers, one for each kind of callback. Each class has a
-- table of its own, to which it adds.
function deferred.socket_handlers()
    local notify = { answer = deferred.answer }
    notify.connected = caller "connected_handler"
    notify.disconnected = caller "disconnected_handler"
    notify.host_found = caller "host_found_handler"
    notify.about_to_close = caller "about_to_close_handler"
    notify.written = caller_with_value "bytes_written_handler"

    function notify.state(socket, record, state, cause)
        if cause then
            record.error, record.error_string = cause[1], cause[2]
        end
        if state == UNCONNECTED then
            record.encrypted = nil
        end
        return call_state_changed(socket, record, state)
    end

    function notify.error(socket, record, cause)
        record.error, record.error_string = cause[1], cause[2]
        return call_error(socket, record, cause[1])
    end

    -- Not called again while it runs, for it may pump: what comes meanwhile is told afterwards.
    function notify.ready_read(socket, record)
        local handler = socket.ready_read_handler
        if not handler then
            return false
        elseif record.reading then
            record.more = true
            return false
        end
        record.reading, record.more = true, false
        local ok, problem = xpcall(function()
            handler(socket)
        end, explain)
        record.reading = nil
        if record.more then
            deferred.add(record, "ready_read")
            deferred.after_method(socket, record)
        end
        if not ok then
            error(problem, 0)
        end
    end

    return notify
end

return deferred
