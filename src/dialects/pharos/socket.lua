-- TcpSocket: the states of a connection and the order of its handlers (4.2 to 4.4).
--
-- Not here: reading and writing (`stream.lua`), encryption (`ssl.lua`), what connecting is (the
-- core). What the script calls changes `state` at once, as on the host; what happens on the network
-- changes it when its handlers are called.

local _, core = ...
local deferred, constants = core.part "pharos/deferred", core.part "pharos/constants"
local stream, settings = core.part "pharos/stream", constants.settings
local common, sock_api = core.common, core.socket
local add, change = deferred.add, deferred.change

local UNCONNECTED, HOST_LOOKUP, CONNECTING = 0, 1, 2
local CONNECTED, BOUND, CLOSING = 3, 4, 6

local cause_of = constants.cause_of
local REMOTE_CLOSED = constants.REMOTE_CLOSED

-- Reads and writes without bounds of their own, as the host does: nothing but memory limits what a
-- script may leave unread until all of a message is there.
local PLENTY = 64 * 1024 * 1024

local function new_record(socket)
    local record = deferred.new_record(socket)
    record.mode = 0
    record.error, record.error_string = -1, "Unknown error"
    record.written, record.reported = 0, 0
    return record
end

local record_of, progress = stream.record_of, stream.progress

local notify = deferred.socket_handlers()

-- The addresses are cleared after the disconnected handler has run, unless there are new ones.
function notify.clear(_, record, ends)
    if record.ends == ends then
        record.ends = nil
    end
    return false
end

-- The end of a connection -------------------------------------------------------------------------

local function is_over(record)
    record.live, record.stood, record.closing = false, nil, nil
    change(record, UNCONNECTED)
end

local function is_disconnected(record)
    is_over(record)
    add(record, "disconnected")
    add(record, "clear", record.ends)
end

local function end_when_flushed(socket, record)
    if sock_api.pending(socket) == 0 then
        sock_api.release(socket, true)
        is_disconnected(record)
    end
end

local function begin_closing(socket, record)
    if record.live and not record.closing then
        record.closing = true
        progress(socket, record)
        change(record, CLOSING)
        end_when_flushed(socket, record)
    end
end

-- After the error handler or the connected handler, which may still write or abort.
function notify.closing(socket, record)
    begin_closing(socket, record)
    return false
end

local function about_to_close(record)
    if record.mode ~= 0 then
        add(record, "about_to_close")
        record.mode = 0
    end
end

-- The system's events -----------------------------------------------------------------------------

local function follow(socket, record)
    return deferred.after_event(socket, record, notify)
end

-- An address that was asked for is told as it was asked for, wherever `configure` leads it.
local function ends_of(socket, record)
    local info = sock_api.info(socket)
    return {
        local_address = info.local_address or "",
        local_port = info.local_port or 0,
        remote_address = record.asked or info.peer_address or "",
        remote_port = info.port or info.peer_port or 0,
    }
end

local function stands(socket, record)
    record.stood = true
    record.ends = ends_of(socket, record)
    change(record, CONNECTED)
    add(record, "connected")
    progress(socket, record)
    if record.wants_close then
        add(record, "closing")
    end
end

local on = {}

function on.deferred(socket)
    record_of(socket)
    return deferred.run(socket, notify)
end

function on.resolve(socket)
    local record = record_of(socket)
    change(record, CONNECTING)
    add(record, "host_found")
    return follow(socket, record)
end

function on.connect(socket)
    local record = record_of(socket)
    stands(socket, record)
    return follow(socket, record)
end

function on.data(socket)
    local record = record_of(socket)
    if not record.closing then
        add(record, "ready_read")
    end
    return follow(socket, record)
end

function on.sent(socket)
    local record = record_of(socket)
    if record.live then
        progress(socket, record)
        if record.closing then
            end_when_flushed(socket, record)
        end
    end
    return follow(socket, record)
end

on["end"] = function(socket)
    local record = record_of(socket)
    if record.live and not record.closing then
        add(record, "error", REMOTE_CLOSED)
        add(record, "closing")
    end
    return follow(socket, record)
end

function on.close(socket, message, code)
    local record = record_of(socket)
    if not record.live then
        return false
    end
    local shaking = record.tls and not record.secured
    local cause = code and cause_of(message, code, shaking) or REMOTE_CLOSED
    if not record.stood then
        local ends = record.ends
        record.live = false
        change(record, UNCONNECTED, cause)
        add(record, "error", cause)
        add(record, "clear", ends)
    else
        if code or not record.closing then
            add(record, "error", cause)
        end
        if cause[1] == 13 then
            about_to_close(record)
        elseif not record.closing then
            change(record, CLOSING)
        end
        is_disconnected(record)
    end
    return follow(socket, record)
end

-- Methods -----------------------------------------------------------------------------------------

local methods = common.copy_of(stream.methods)

-- `tls`: compiled, or nil.
local function start(socket, host, port, mode, tls)
    local record = record_of(socket)
    if record.live or record.state ~= UNCONNECTED and record.state ~= BOUND then
        return deferred.fail(socket, record, constants.BUSY)
    end
    local redirect = settings:redirect(host, port)
    sock_api.release(socket)
    sock_api.set(socket, "bind", record.bound and { "0.0.0.0", record.bound } or false)
    sock_api.set(socket, "tls", tls or false)
    sock_api.set(socket, "connect_timeout", settings:get("connect_timeout") or 30)
    record.live, record.bound, record.wants_close, record.secured = true, nil, nil, nil
    record.written, record.reported = 0, 0
    record.tls, record.ssl_mode = tls, nil
    record.asked = redirect and core.is_numeric(host) and common.bare(host) or nil
    record.mode = mode
    change(record, HOST_LOOKUP)
    local ok, message, code = sock_api.connect(socket, host, port, nil, redirect)
    if not ok then
        -- The process forked, or no thread could be started.
        record.live = false
        local cause = cause_of(message, code)
        change(record, UNCONNECTED, cause)
        add(record, "error", cause)
    elseif sock_api.state(socket) == "connecting" then
        -- An address needs no lookup.
        change(record, CONNECTING)
        add(record, "host_found")
    end
    deferred.after_method(socket, record)
    record.state = ok and HOST_LOOKUP or UNCONNECTED
end

function methods.connect(socket, host, port, mode)
    record_of(socket)
    host = common.check_text(host, "host", "connect")
    port = common.check_port(port, "connect")
    start(socket, host, port, stream.check_mode(mode or 3, "connect"))
end

local function disconnect(socket, record)
    if record.bound then
        record.bound = nil
        sock_api.release(socket, true)
        change(record, CLOSING)
        is_disconnected(record)
    elseif record.stood then
        begin_closing(socket, record)
    elseif record.live then
        record.wants_close = true
    end
    deferred.after_method(socket, record)
end

function methods.disconnect(socket)
    disconnect(socket, record_of(socket))
end

function methods.close(socket)
    local record = record_of(socket)
    about_to_close(record)
    sock_api.read(socket)
    disconnect(socket, record)
end

function methods.abort(socket)
    local record = record_of(socket)
    if record.live then
        about_to_close(record)
        sock_api.abort(socket)
        if record.stood then
            is_disconnected(record)
        else
            is_over(record)
            add(record, "clear", record.ends)
        end
    elseif record.bound then
        record.bound = nil
        is_over(record)
        add(record, "clear", record.ends)
    end
    record.mode = 0
    sock_api.release(socket)
    deferred.after_method(socket, record)
end

local function bind(socket, port)
    local record = record_of(socket)
    port = common.check_port(port, "bind")
    local cause = constants.NOT_NOW
    if not record.live and record.state == UNCONNECTED then
        local taken, message, code = sock_api.hold_port(socket, "0.0.0.0", port)
        if taken then
            record.bound = taken
            record.ends = {
                local_address = "0.0.0.0", local_port = taken, remote_address = "", remote_port = 0,
            }
            change(record, BOUND)
            deferred.after_method(socket, record)
            return true
        end
        cause = cause_of(message, code)
    end
    deferred.fail(socket, record, cause)
    return false
end

methods.bind = bind
methods.bind_async = deferred.async("bind_async", bind)

-- Properties --------------------------------------------------------------------------------------

local get = common.copy_of(stream.get)

local TcpSocket = {}
constants.add_constants(TcpSocket, get, constants.constants)
constants.add_constants(TcpSocket, get, stream.modes)

function get.error(socket)
    return record_of(socket).error
end

function get.state(socket)
    return record_of(socket).state
end

function get.valid(socket)
    local state = record_of(socket).state
    return state ~= UNCONNECTED and state ~= HOST_LOOKUP
end

local function end_of(field, missing)
    get[field] = function(socket)
        local ends = record_of(socket).ends
        return ends and ends[field] or missing
    end
end
end_of("local_address", "")
end_of("local_port", 0)
end_of("remote_address", "")
end_of("remote_port", 0)

-- The class ---------------------------------------------------------------------------------------

local handlers = {
    "connected_handler", "disconnected_handler", "error_handler", "state_changed_handler",
    "host_found_handler", "ready_read_handler", "bytes_written_handler", "about_to_close_handler",
}

local function printer(name)
    return function(socket)
        local record = record_of(socket)
        local ends = record.ends
        local where = ends and ends.remote_port ~= 0
            and core.where(ends.remote_address, ends.remote_port) or ""
        return name .. ": state " .. record.state .. where
    end
end

local Socket = core.class {
    name = "TcpSocket",
    kind = "socket",
    anchor = "handlers",
    handlers = handlers,
    methods = methods,
    get = get,
    on = on,
    tostring = printer "TcpSocket",
}

local options = { half_open = true, read_limit = PLENTY, write_limit = 2 ^ 53 }

local function new(class)
    local socket = class.new()
    for name, value in pairs(options) do
        sock_api.set(socket, name, value)
    end
    new_record(socket)
    return socket
end

function TcpSocket.new()
    return new(Socket)
end

-- A connection that a server has accepted; it tells nothing before it is taken.
local function adopt(socket)
    local record = new_record(socket)
    record.live, record.stood, record.held = true, true, true
    record.state, record.newest, record.mode = CONNECTED, CONNECTED, stream.modes.READ_WRITE_MODE
    record.ends = ends_of(socket, record)
    return record
end

return {
    adopt = adopt,
    class = Socket,
    end_when_flushed = end_when_flushed,
    follow = follow,
    get = get,
    handlers = handlers,
    methods = methods,
    new = new,
    record_of = record_of,
    on = on,
    options = options,
    printer = printer,
    stands = stands,
    start = start,
    stream = stream,
    notify = notify,
    TcpSocket = TcpSocket,
}
