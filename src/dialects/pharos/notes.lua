-- What an object of this dialect has to tell: one call of a handler is one note.
--
-- Not here: what the notes say. On the host handlers run inside of the call that caused them,
-- several in a row; here each has a turn of its own in `pump`: an error in one loses no other.
-- Invariants: notes are told in the order in which they were added; each has one turn; while one is
-- told, `state` is what it was when the note was added, otherwise what was told or called for last.

local core = ...

local post, field = core.post, core.field

local RECORD = {} -- the key of an object's record

local notes = {}

-- What this dialect knows of an object besides the fields that the script sees.
function notes.new_record(object)
    local record = {
        state = 0, -- as the script sees it
        newest = 0, -- as of the last note
        first = 1,
        last = 0,
        fresh = 0, -- notes that have no turn yet
    }
    object[RECORD] = record
    return record
end

-- Nil for what is no object of this dialect.
function notes.record(object)
    return field(object, RECORD)
end

function notes.add(record, kind, value, extra)
    local last = record.last + 1
    record.last, record.fresh = last, record.fresh + 1
    record[last] = { kind = kind, value = value, extra = extra, state = record.newest }
end

-- A note that is a change of the state.
function notes.change(record, state, cause)
    record.newest, record.changed = state, true
    notes.add(record, "state", state, cause)
end

local function give_turns(object, record, next, count)
    record.fresh, record.changed = 0, nil
    for _ = 1, count do
        post(object, next)
    end
end

-- At the end of a method: the notes are told by the next pump, the state has changed now. An object
-- that is held back tells nothing yet.
function notes.publish(object, record)
    if record.changed then
        record.state = record.newest
    end
    if not record.held then
        give_turns(object, record, false, record.fresh)
    end
end

-- The message handler of whoever goes on after an error and raises it then.
notes.keep_place = core.common.explain

-- A turn: `tell` has a function for each kind of note.
function notes.turn(object, tell)
    local record = object[RECORD]
    local first = record and record.first
    local note = record and record[first]
    if not note then
        return false
    end
    record[first], record.first = nil, first + 1
    local before = note.kind == "state" and note.state or record.state
    if before == note.state then
        record.state = before
        local handled = tell[note.kind](object, record, note.value, note.extra)
        give_turns(object, record, true, record.fresh)
        return handled
    end
    record.state = note.state
    local ok, handled = xpcall(function()
        return tell[note.kind](object, record, note.value, note.extra)
    end, notes.keep_place)
    if record.state == note.state then
        record.state = before
    end
    give_turns(object, record, true, record.fresh)
    if not ok then
        error(handled, 0)
    end
    return handled
end

-- At the end of an event's function: the first note is told now, the others right behind it.
function notes.follow(object, record, tell)
    if record.held or record.fresh == 0 then
        return false
    end
    give_turns(object, record, true, record.fresh - 1)
    return notes.turn(object, tell)
end

-- Nothing of what waits is told any more; the turns find nothing.
function notes.drop(record)
    for place = record.first, record.last do
        record[place] = nil
    end
    record.first, record.fresh, record.changed = record.last + 1, 0, nil
end

function notes.last(record)
    return record[record.last]
end

-- The calls of handlers that get nothing but their object.
function notes.teller(handler)
    return function(object)
        local call = object[handler]
        if not call then
            return false
        end
        call(object)
    end
end

-- The answer of an asynchronous call.
function notes.answer(object, _, callback, result)
    callback(object, result)
end

-- Nil, or a function: the vendor's guide leaves it out where the answer does not matter.
function notes.check_callback(callback, name)
    if callback ~= nil and type(callback) ~= "function" then
        core.raise("bad argument 'callback' to '" .. name .. "' (function or nil expected, got "
            .. type(callback) .. ")")
    end
end

-- The asynchronous form of a method with at most one argument. It is carried out at once, in the
-- order of the script; the callback comes from `pump`, after the handlers that the call caused.
function notes.async(name, call)
    return function(object, argument, callback)
        if callback == nil and type(argument) == "function" then
            argument, callback = nil, argument
        end
        local record = notes.record(object)
        if record then
            notes.check_callback(callback, name)
        end
        -- Without a record the method itself refuses what is none of its objects.
        local result = call(object, argument)
        if callback then
            notes.add(record, "answer", callback, result)
            notes.publish(object, record)
        end
    end
end

return notes
