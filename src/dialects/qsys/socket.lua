-- Q-SYS: TcpSocket.
--
-- Translation only: connecting, reconnecting, buffering and framing are the core's. Times are
-- seconds. Numbers like 2.4 name the sections of the dialects' specification.

local _, core = ...
local common, sock_api = core.common, core.socket
local settings, compile_tls = core.part "qsys/settings", core.part("qsys/tls").compile
local read_line = sock_api.read_line
local bad, bad_value, check_port = common.bad, common.bad_value, common.check_port
local check_text, is_seconds = common.check_text, common.is_duration

local Events = {
    Connected = "CONNECTED",
    Reconnect = "RECONNECT",
    Data = "DATA",
    Closed = "EOF",
    Error = "ERROR",
    Timeout = "TIMEOUT",
}

local EOL = { Any = 0, CrLf = 1, CrLfStrict = 2, Lf = 3, Null = 4, Custom = 5 }

-- The core's names of the line ends.
local line_ends = {
    [EOL.Any] = "any",
    [EOL.CrLf] = "crlf",
    [EOL.CrLfStrict] = "strict",
    [EOL.Lf] = "lf",
    [EOL.Null] = "null",
}

-- What `Search` finds where there is a line.
local sought_for = {
    [EOL.Any] = EOL.Any, [EOL.CrLf] = "\n", [EOL.CrLfStrict] = "\r\n", [EOL.Lf] = "\n",
    [EOL.Null] = "\0",
}

-- Error codes to Q-SYS's words (2.4); any other error keeps the core's words.
local connect_errors = {
    EHOSTNOTFOUND = "nodename nor servname provided, or not known",
    EBADHOST = "non-recoverable failure in name resolution",
}
-- A failed attempt for any other reason.
local COULD_NOT_CONNECT = ""

-- What a socket keeps besides what the script stores in it. The keys are private.
local CONNECTED = {} -- the present attempt has stood
local CLIENT_ADDRESS = {} -- PeerAddress
local TLS = {} -- the TLS properties of a socket made by NewTls
local VALIDATES = {} -- the present attempt validates certificates

-- The event's own handler alone, otherwise EventHandler (2.3).
local function notify(socket, name, problem)
    local own = socket[name]
    if own and problem then
        own(socket, problem)
        return
    elseif own then
        own(socket)
        return
    end
    local handler = socket.EventHandler
    if not handler then
        return false
    end
    handler(socket, Events[name], problem or "")
end

local on = {}

function on.connect(socket)
    socket[CONNECTED] = true
    return notify(socket, "Connected")
end

-- The socket whose DATA is under way, known weakly, since an error may leave it here; and what its
-- last reading call looked for, if that was a ReadLine that gave a line (2.4).
local notifying, found_by = setmetatable({}, { __mode = "v" }), nil
-- What ends a line of `EOL.Any`; the one seen last comes first.
local likely, other = "\n", "\r"

local function has_line(socket, sought)
    if sought ~= EOL.Any then
        return sock_api.search(socket, sought) ~= nil
    elseif sock_api.search(socket, likely) then
        return true
    elseif not sock_api.search(socket, other) then
        return false
    end
    likely, other = other, likely
    return true
end

-- Arrivals may have merged before the script heard of them, and many scripts read one line in each
-- DATA: it comes once more, right behind, while the handler's way of reading would find another
-- line.
function on.data(socket)
    local before, found_before = notifying.socket, found_by
    notifying.socket, found_by = socket, nil
    local handled = notify(socket, "Data")
    local sought = found_by
    notifying.socket, found_by = before, found_before
    if sought and has_line(socket, sought) then
        core.defer(socket, true)
    end
    return handled
end

function on.deferred(socket)
    return sock_api.buffered(socket) > 0 and on.data(socket)
end

function on.reconnect(socket)
    return notify(socket, "Reconnect")
end

-- The reason of a failure, of which scripts hear a short form, if anything.
local function log(level, socket, message)
    if not settings:get("logger") then
        return
    end
    local info = sock_api.info(socket)
    local host = info.host or socket[CLIENT_ADDRESS]
    settings:log_of(level, "TcpSocket", host, info.port or info.peer_port, message)
end

function on.close(socket, message, code)
    local stood = socket[CONNECTED]
    socket[CONNECTED] = nil
    if code then
        log(code == "TLS_TRUNCATED" and stood and "warning" or "error", socket, message)
    end
    if not code or code == "TLS_TRUNCATED" and stood and not socket[VALIDATES] then
        -- Without validation nothing is known of who has sent it all, and it is an end like any
        -- other; many devices just close.
        return notify(socket, "Closed")
    elseif code:sub(1, 4) == "TLS_" then
        return notify(socket, "Error", message)
    elseif not stood then
        return notify(socket, "Error", connect_errors[code] or COULD_NOT_CONNECT)
    elseif code == "ETIMEDOUT" and message:find("^read ") then
        return notify(socket, "Timeout", "read timeout")
    elseif code == "ETIMEDOUT" and message:find("^write ") then
        return notify(socket, "Timeout", "write timeout")
    end
    return notify(socket, "Error", message)
end

local Socket
local methods = {}

function methods.Connect(socket, host, port)
    Socket.expect(socket, "Connect")
    host = check_text(host, "host", "Connect")
    port = check_port(port, "Connect")
    local tls = socket[TLS] and compile_tls(socket[TLS], "Connect")
    -- No event for what was there before (2.6).
    sock_api.release(socket)
    socket[CONNECTED] = nil
    if tls then
        socket[VALIDATES] = socket[TLS].ValidateCertificate
        sock_api.set(socket, "tls", tls)
    end
    sock_api.connect(socket, host, port, nil, settings:redirect(host, port))
end

-- No event follows: this line is the whole decision of 2.8.
function methods.Disconnect(socket)
    sock_api.release(socket)
    socket[CONNECTED] = nil
end

function methods.Write(socket, data)
    local state = sock_api.state(socket)
    data = check_text(data, "data", "Write")
    if state ~= "open" then
        core.raise("Write: the socket is not connected")
    end
    local ok, message, code = sock_api.write(socket, data)
    -- Between the real end of a connection and the event that tells of it, bytes are dropped (2.4).
    if not ok and code ~= "ECLOSED" then
        core.raise("Write: " .. message)
    end
end

function methods.Read(socket, count)
    if socket == notifying.socket then
        found_by = nil
    end
    local data = sock_api.read(socket, count)
    return data
end

methods.Search = sock_api.search

function methods.ReadLine(socket, eol, custom)
    local line_end = line_ends[eol]
    if line_end then
        local line = read_line(socket, line_end)
        if socket == notifying.socket then
            found_by = line and sought_for[eol]
        end
        return line
    end
    Socket.expect(socket, "ReadLine")
    if eol ~= EOL.Custom then
        bad("EOL", "ReadLine", "one of TcpSocket.EOL", eol)
    elseif type(custom) ~= "string" or custom == "" then
        bad("custom", "ReadLine", "string that is not empty", custom)
    end
    local line = sock_api.read_until(socket, custom)
    if socket == notifying.socket then
        found_by = line and custom
    end
    return line
end

-- Seconds; 0 disables.
local function timeout(name, option)
    return function(socket)
        return sock_api.get(socket, option) or 0
    end, function(socket, value)
        if not is_seconds(value) then
            bad_value(name, "seconds of at least 0", core.got(value))
        end
        if option == "reconnect" then
            -- The core's least pause, 10 ms, for what is less and yet not "off".
            value = value > 0 and math.max(value, 0.01)
        end
        sock_api.set(socket, option, value)
    end
end

local get, set = {}, {}
get.ReadTimeout, set.ReadTimeout = timeout("ReadTimeout", "read_timeout")
get.WriteTimeout, set.WriteTimeout = timeout("WriteTimeout", "write_timeout")
get.ReconnectTimeout, set.ReconnectTimeout = timeout("ReconnectTimeout", "reconnect")

-- Properties of TLS sockets; on others they are set to no effect, as before NewTls there was none.
local function tls_property(name, kind, default)
    get[name] = function(socket)
        local tls = socket[TLS]
        local value = tls and tls[name]
        if value == nil then
            return default
        end
        return value
    end
    set[name] = function(socket, value)
        if type(value) ~= kind then
            bad_value(name, kind, type(value))
        end
        local tls = socket[TLS]
        if tls then
            if value == "" then
                value = nil
            end
            tls[name] = value
        end
    end
end
tls_property("ValidateCertificate", "boolean", false)
tls_property("CACertData", "string", "")
tls_property("ClientCertData", "string", "")
tls_property("ClientKeyData", "string", "")

function get.IsConnected(socket)
    return sock_api.state(socket) == "open"
end

get.BufferLength = sock_api.buffered

function get.PeerAddress(socket)
    return socket[CLIENT_ADDRESS] or ""
end

Socket = core.class {
    name = "TcpSocket",
    kind = "socket",
    anchor = "handlers",
    handlers = {
        "EventHandler", "Connected", "Reconnect", "Data", "Closed", "Error", "Timeout",
    },
    methods = methods,
    get = get,
    set = set,
    on = on,
    close = methods.Disconnect,
    tostring = function(socket)
        local info = sock_api.info(socket)
        return "userdata: TcpSocket " .. info.state .. core.where(info.host, info.port)
    end,
}

local TcpSocket = { Events = Events, EOL = EOL }

-- An attempt is bounded at 30 s, the core's own default (2.5).
function TcpSocket.New()
    local socket = Socket.new()
    sock_api.set(socket, "reconnect", 5)
    return socket
end

function TcpSocket.NewTls()
    local socket = TcpSocket.New()
    socket[TLS] = { ValidateCertificate = false }
    return socket
end

return {
    TcpSocket = TcpSocket,
    -- For the server, whose sockets these are, too.
    Socket = Socket,
    CLIENT_ADDRESS = CLIENT_ADDRESS,
    CONNECTED = CONNECTED,
    log = log,
}
