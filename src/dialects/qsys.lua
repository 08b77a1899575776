-- Q-SYS: TcpSocket, TcpSocketServer and Timer, as scripts know them from the Core.
--
-- Translation only: connecting, reconnecting, buffering and framing are the core's. Times are
-- seconds. Numbers like 2.4 name the sections of the dialects' specification.

local evsock, core = ...
local common, native = core.common, core.socket
local read_line = native.read_line

local settings = common.settings { listen_raises = "boolean" }

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

-- Error codes to Q-SYS's words (2.4); any other error is told in the core's words.
local connect_errors = {
    EHOSTNOTFOUND = "nodename nor servname provided, or not known",
    EBADHOST = "non-recoverable failure in name resolution",
}
-- A failed attempt for any other reason.
local COULD_NOT_CONNECT = ""

-- Checks ------------------------------------------------------------------------------------------

local bad, check_port = common.bad, common.check_port

local function check_string(value, argument, method)
    if type(value) == "number" then
        return tostring(value)
    elseif type(value) ~= "string" then
        bad(argument, method, "string", value)
    end
    return value
end

local function is_seconds(value)
    return type(value) == "number" and value >= 0 and value < math.huge
end

-- TcpSocket ---------------------------------------------------------------------------------------

-- What a socket keeps besides what the script stores in it. The keys are private.
local CONNECTED = {} -- the present attempt has stood
local CLIENT_ADDRESS = {} -- PeerAddress
local TLS = {} -- the TLS properties of a socket made by NewTls
local VALIDATES = {} -- the present attempt validates certificates

-- The event's own handler alone, otherwise EventHandler (2.3).
local function tell(socket, name, problem)
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
    return tell(socket, "Connected")
end

-- The socket whose DATA is being told, known weakly: an error may leave it here. What its last
-- reading call looked for, if that was a ReadLine that gave a line (2.4).
local telling, found_by = setmetatable({}, { __mode = "v" }), nil
-- What ends a line of `EOL.Any`; the one seen last comes first.
local likely, other = "\n", "\r"

local function has_line(socket, sought)
    if sought ~= EOL.Any then
        return native.search(socket, sought) ~= nil
    elseif native.search(socket, likely) then
        return true
    elseif not native.search(socket, other) then
        return false
    end
    likely, other = other, likely
    return true
end

-- Arrivals may have merged before they were told, and many scripts read one line in each DATA: it
-- comes once more, right behind, while the handler's way of reading would find another line.
function on.data(socket)
    local before, found_before = telling.socket, found_by
    telling.socket, found_by = socket, nil
    local handled = tell(socket, "Data")
    local sought = found_by
    telling.socket, found_by = before, found_before
    if sought and has_line(socket, sought) then
        core.post(socket, true)
    end
    return handled
end

function on.note(socket)
    return native.buffered(socket) > 0 and on.data(socket)
end

function on.reconnect(socket)
    return tell(socket, "Reconnect")
end

-- The reason of a failure, which scripts are told shortened, if at all.
local function log(level, socket, message)
    if not settings:get("logger") then
        return
    end
    local info = native.info(socket)
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
        return tell(socket, "Closed")
    elseif code:sub(1, 4) == "TLS_" then
        return tell(socket, "Error", message)
    elseif not stood then
        return tell(socket, "Error", connect_errors[code] or COULD_NOT_CONNECT)
    elseif code == "ETIMEDOUT" and message:find("^read ") then
        return tell(socket, "Timeout", "read timeout")
    elseif code == "ETIMEDOUT" and message:find("^write ") then
        return tell(socket, "Timeout", "write timeout")
    end
    return tell(socket, "Error", message)
end

-- Nothing is validated unless the script asks for it (2.1); then against its own certificates, the
-- configured ones, or the system's.
local function tls_options(tls)
    local checks = tls.ValidateCertificate
    local own = checks and tls.CACertData
    return {
        verify = checks,
        ca = own or nil,
        cafile = checks and not own and settings:get("cafile") or nil,
        cert = tls.ClientCertData,
        key = tls.ClientKeyData,
    }
end

-- The core's names of the properties.
local property_of = { ca = "CACertData", cert = "ClientCertData", key = "ClientKeyData" }

-- Raises in the words of the properties.
local function compile(tls)
    local ok, result = pcall(evsock.tls, tls_options(tls))
    if ok then
        return result
    end
    local why = tostring(result):gsub("^.-: (bad tls option)", "%1")
    why = why:gsub("to 'tls'", "to 'Connect'"):gsub(", which '%l+' takes", "")
    core.raise((why:gsub("'(%l+)'", function(name)
        return property_of[name] and "'" .. property_of[name] .. "'"
    end)))
end

local Socket
local methods = {}

function methods.Connect(socket, host, port)
    Socket.expect(socket, "Connect")
    host = check_string(host, "host", "Connect")
    port = check_port(port, "Connect")
    local tls = socket[TLS] and compile(socket[TLS])
    -- No event for what was there before (2.6).
    native.release(socket)
    socket[CONNECTED] = nil
    if tls then
        socket[VALIDATES] = socket[TLS].ValidateCertificate
        native.set(socket, "tls", tls)
    end
    native.connect(socket, host, port, nil, settings:route(host, port))
end

-- No event follows: this line is the whole decision of 2.8.
function methods.Disconnect(socket)
    native.release(socket)
    socket[CONNECTED] = nil
end

function methods.Write(socket, data)
    local state = native.state(socket)
    data = check_string(data, "data", "Write")
    if state ~= "open" then
        core.raise("Write: the socket is not connected")
    end
    local ok, message, code = native.write(socket, data)
    -- Between the real end of a connection and the event that tells of it, bytes are dropped (2.4).
    if not ok and code ~= "ECLOSED" then
        core.raise("Write: " .. message)
    end
end

function methods.Read(socket, count)
    if socket == telling.socket then
        found_by = nil
    end
    local data = native.read(socket, count)
    return data
end

methods.Search = native.search

function methods.ReadLine(socket, eol, custom)
    local line_end = line_ends[eol]
    if line_end then
        local line = read_line(socket, line_end)
        if socket == telling.socket then
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
    local line = native.read_until(socket, custom)
    if socket == telling.socket then
        found_by = line and custom
    end
    return line
end

-- Seconds; 0 disables.
local function timeout(name, option)
    return function(socket)
        return native.get(socket, option) or 0
    end, function(socket, value)
        if not is_seconds(value) then
            core.raise("bad value for " .. name .. " (seconds of at least 0 expected, got "
                .. core.got(value) .. ")")
        end
        if option == "reconnect" then
            -- The core's least pause, 10 ms, for what is less and yet not "off".
            value = value > 0 and math.max(value, 0.01)
        end
        native.set(socket, option, value)
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
            core.raise("bad value for " .. name .. " (" .. kind .. " expected, got "
                .. type(value) .. ")")
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
    return native.state(socket) == "open"
end

get.BufferLength = native.buffered

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
        local info = native.info(socket)
        local where = info.host and " " .. info.host .. ":" .. info.port or ""
        return "userdata: TcpSocket " .. info.state .. where
    end,
}

local TcpSocket = { Events = Events, EOL = EOL }

-- An attempt is bounded at 30 s, the core's own default (2.5).
function TcpSocket.New()
    local socket = Socket.new()
    native.set(socket, "reconnect", 5)
    return socket
end

function TcpSocket.NewTls()
    local socket = TcpSocket.New()
    socket[TLS] = { ValidateCertificate = false }
    return socket
end

-- TcpSocketServer ---------------------------------------------------------------------------------

local Server
local server_methods = {}

function server_methods.Listen(server, port)
    Server.expect(server, "Listen")
    port = check_port(port, "Listen")
    -- Accepted sockets live while they have a handler, kept by the script or not (chapter 3).
    local listening, message = core.server.listen(server, "*", port, nil, Socket, "object")
    if listening then
        return nil
    end
    message = "Could not bind to port " .. port .. ": " .. message
    settings:log("error", "TcpSocketServer: " .. message)
    if settings:get("listen_raises") then
        core.raise(message)
    end
    return message
end

server_methods.Close = core.server.close

Server = core.class {
    name = "TcpSocketServer",
    kind = "server",
    anchor = "handlers",
    handlers = { "EventHandler" },
    methods = server_methods,
    on = {
        accept = function(server, socket)
            local handler = server.EventHandler
            socket[CLIENT_ADDRESS] = native.info(socket).peer_address
            if not handler then
                log("warning", socket, "closed, for its server has no EventHandler")
                native.release(socket)
                return false
            end
            socket[CONNECTED] = true
            handler(socket)
        end,
        error = function(_, message)
            settings:log("error", "TcpSocketServer: " .. message)
            return false
        end,
    },
    close = core.server.close,
    tostring = function()
        return "userdata: TcpSocketServer"
    end,
}

local TcpSocketServer = {}

function TcpSocketServer.New()
    return Server.new()
end

-- Timer (2.9) -------------------------------------------------------------------------------------

local Clock
Clock = core.class {
    name = "Timer",
    kind = "timer",
    anchor = "object",
    handlers = { "EventHandler" },
    methods = {
        Start = function(timer, seconds)
            Clock.expect(timer, "Start")
            if not is_seconds(seconds) then
                bad("seconds", "Start", "number of at least 0", seconds)
            end
            core.timer.start(timer, seconds, true)
        end,
        Stop = core.timer.cancel,
        IsRunning = function(timer)
            Clock.expect(timer, "IsRunning")
            return core.timer.active(timer)
        end,
    },
    on = {
        timer = function(timer)
            local handler = timer.EventHandler
            if not handler then
                return false
            end
            handler(timer)
        end,
    },
    close = core.timer.cancel,
    tostring = function(timer)
        return "userdata: Timer " .. (core.timer.active(timer) and "running" or "stopped")
    end,
}

local Timer = {}

function Timer.New()
    return Clock.new()
end

-- The function comes first, then the seconds. What is no function raises when it is due, as on a
-- Core: drivers call it so in their first lines, and go on.
function Timer.CallAfter(fn, seconds)
    if not is_seconds(seconds) then
        bad("seconds", "CallAfter", "number of at least 0", seconds)
    elseif type(fn) == "function" then
        evsock.after(seconds, fn)
    else
        local _, problem = pcall(bad, "fn", "CallAfter", "function", fn)
        evsock.after(seconds, error, problem, 0)
    end
end

function Timer.Now()
    return evsock.now()
end

-- The module --------------------------------------------------------------------------------------

local qsys = { TcpSocket = TcpSocket, TcpSocketServer = TcpSocketServer, Timer = Timer }

-- `hosts`, `ports`, `cafile`, `logger`; `listen_raises = true`: a failed Listen raises, as newer
-- releases do, instead of returning a text.
function qsys.configure(given)
    settings:configure(given)
end

qsys.install = common.installer(qsys, { "TcpSocket", "TcpSocketServer", "Timer" })

return qsys
