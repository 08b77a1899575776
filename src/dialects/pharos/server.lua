-- TcpServer (4.6): listens, and keeps the connections until the script asks for them.
--
-- Not here: accepting (the core), what a connection is (`socket.lua`). Invariants: at most
-- `max_pending_connections` wait to be taken, more stand behind them unannounced; a connection
-- tells nothing before it is taken.

local _, core = ...
local deferred, socket = core.part "pharos/deferred", core.part "pharos/socket"
local constants = core.part "pharos/constants"
local common, sock_api, settings = core.common, core.socket, constants.settings

local MOST_PENDING = 30

-- `call`: as in `stream.lua`.
local function record_of(server, call)
    local record = deferred.record(server)
    if not record or not record.behind then
        core.misuse(server, "TcpServer", call)
    end
    return record
end

local notify = { answer = deferred.answer }

function notify.new_connection(server, record)
    -- The introduction of the host's page has the second name.
    local handler = server.new_connection_handler or server.new_connect_handler
    if not handler or not record.listening then
        return false
    end
    handler(server)
end

local call_accept_error = deferred.caller_with_value "accept_error_handler"

function notify.accept_error(server, record, cause)
    record.error_string = cause[2]
    return call_accept_error(server, record, cause[1])
end

-- Announces what may be announced now; the core accepts no more than is wanted.
local function admit(server, record)
    local pending, behind = record.pending, record.behind
    while not record.paused and behind[1] and #pending < record.most do
        pending[#pending + 1] = table.remove(behind, 1)
        deferred.add(record, "new_connection")
    end
    local full = record.paused or #pending >= record.most
    if record.listening and full ~= record.stopped then
        record.stopped = full
        core.server[full and "pause" or "resume"](server)
    end
end

local on = {}

function on.deferred(server)
    return deferred.run(server, notify)
end

function on.accept(server, accepted)
    local record = record_of(server)
    socket.adopt(accepted)
    record.behind[#record.behind + 1] = accepted
    admit(server, record)
    return deferred.after_event(server, record, notify)
end

function on.error(server, message, code)
    local record = record_of(server)
    if message:find("^listen ") then
        -- It listens, but something about it is odd: no connection has failed.
        record.error_string = message
        settings:log("warning", "net: " .. message)
        return false
    end
    deferred.add(record, "accept_error", constants.cause_of(message, code, true))
    return deferred.after_event(server, record, notify)
end

local methods = {}

local function stop(server)
    local record = record_of(server)
    core.server.close(server)
    for _, list in ipairs { record.pending, record.behind } do
        -- A finaliser may stop it meanwhile, too.
        local waiting = table.remove(list)
        while waiting do
            sock_api.release(waiting)
            waiting = table.remove(list)
        end
    end
    record.listening = false
end

-- `tls`: compiled, or nil. `class`: of the sockets.
local function listen(server, port, class, tls)
    local record = record_of(server, "listen")
    port = common.check_port(port, "listen")
    if record.listening then
        record.error_string = "The server is listening already"
        return false
    end
    local options = { tls = tls }
    for name, value in pairs(socket.options) do
        options[name] = value
    end
    -- A connection lives while it has a handler, kept by the script or not, and the server lives.
    local ok, message, code = core.server.listen(server, "*", port, options, class, "object")
    if not ok then
        record.error_string = constants.cause_of(message, code)[2]
        return false
    end
    record.listening, record.stopped = true, false
    admit(server, record)
    return true
end

function methods.listen(server, port)
    return listen(server, port, socket.class)
end

methods.listen_async = deferred.async("listen_async", methods.listen)
methods.close = stop

function methods.pause_accepting(server)
    local record = record_of(server)
    record.paused = true
    admit(server, record)
end

function methods.resume_accepting(server)
    local record = record_of(server)
    record.paused = false
    admit(server, record)
    deferred.after_method(server, record)
end

function methods.next_pending_connection(server)
    local record = record_of(server)
    local taken = table.remove(record.pending, 1)
    if not taken then
        return nil
    end
    local its = socket.record_of(taken)
    its.held = nil
    deferred.after_method(taken, its)
    admit(server, record)
    deferred.after_method(server, record)
    return taken
end

methods.next_pending_connection_async = deferred.async(
    "next_pending_connection_async", methods.next_pending_connection)

local get, set = {}, {}

function get.listening(server)
    return record_of(server).listening
end

function get.port(server)
    return record_of(server).listening and select(2, core.server.info(server)) or 0
end

function get.has_pending_connections(server)
    return record_of(server).pending[1] ~= nil
end

function get.error_string(server)
    return record_of(server).error_string
end

function get.max_pending_connections(server)
    return record_of(server).most
end

function set.max_pending_connections(server, most)
    if not common.is_whole(most, 2 ^ 31) then
        common.bad_value("max_pending_connections", "integer of at least 0", core.got(most))
    end
    local record = record_of(server)
    record.most = most
    admit(server, record)
    deferred.after_method(server, record)
end

local handlers = { "new_connection_handler", "new_connect_handler", "accept_error_handler" }

local function printer(name)
    return function(server)
        local record = record_of(server)
        return name .. ": " .. (record.listening and "listening" or "closed")
    end
end

local Server = core.class {
    name = "TcpServer",
    kind = "server",
    anchor = "handlers",
    handlers = handlers,
    methods = methods,
    get = get,
    set = set,
    on = on,
    tostring = printer "TcpServer",
}

local function new(class)
    local server = class.new()
    local record = deferred.new_record(server)
    record.pending, record.behind = {}, {}
    record.most, record.listening, record.paused = MOST_PENDING, false, false
    record.error_string = "Unknown error"
    core.server.keep_sockets(server)
    return server
end

local TcpServer = {}

function TcpServer.new()
    return new(Server)
end

return {
    get = get,
    handlers = handlers,
    listen = listen,
    methods = methods,
    new = new,
    record_of = record_of,
    on = on,
    printer = printer,
    set = set,
    TcpServer = TcpServer,
}
