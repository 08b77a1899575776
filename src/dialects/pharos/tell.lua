-- The calls of a socket's handlers, one function for each kind of note.
--
-- Not here: when (`socket.lua`). What a handler sees changes here, right before it is called.

local notes = ...
local add = notes.add

local UNCONNECTED = 0

local tell = { answer = notes.answer }
tell.connected = notes.teller "connected_handler"
tell.disconnected = notes.teller "disconnected_handler"
tell.host_found = notes.teller "host_found_handler"
tell.about_to_close = notes.teller "about_to_close_handler"

function tell.state(socket, record, state, cause)
    if cause then
        record.error, record.error_string = cause[1], cause[2]
    end
    if state == UNCONNECTED then
        record.encrypted = nil
    end
    local handler = socket.state_changed_handler
    if not handler then
        return false
    end
    handler(socket, state)
end

function tell.error(socket, record, cause)
    record.error, record.error_string = cause[1], cause[2]
    local handler = socket.error_handler
    if not handler then
        return false
    end
    handler(socket, cause[1])
end

function tell.written(socket, _, count)
    local handler = socket.bytes_written_handler
    if not handler then
        return false
    end
    handler(socket, count)
end

-- Not called again while it runs: what comes meanwhile (the handler may pump) is told afterwards.
function tell.ready_read(socket, record)
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
    end, notes.keep_place)
    record.reading = nil
    if record.more then
        add(record, "ready_read")
        notes.publish(socket, record)
    end
    if not ok then
        error(problem, 0)
    end
end

return tell
