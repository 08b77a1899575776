-- Pharos and Mosaic controllers: `net` and `iomodules`, as IO modules know them.
--
-- The parts, a page each: `words` (numbers and texts), `notes` and `tell` (calls of handlers, in
-- order), `stream`, `socket`, `server`, `udp`, `ssl`.
-- Translation only; times are milliseconds. Numbers like 4.4 name the sections of the dialects'
-- specification.

local evsock, core, parts = ...
local common = core.common

local settings = common.settings { connect_timeout = "number" }

local notes = parts.notes(core)
local words = parts.words(settings)
local socket = parts.socket(core, notes, settings, words, parts.stream, parts.tell)
local server = parts.server(core, notes, socket, settings)
local udp = parts.udp(core, notes, settings, words, socket.stream, parts.tell)
local ssl = parts.ssl(evsock, core, notes, settings, socket, server)

-- Timer (4.8) -------------------------------------------------------------------------------------

-- Milliseconds, and whether it fires once alone.
local INTERVAL, SINGLE_SHOT = {}, {}

local Clock

local function start(timer)
    core.timer.start(timer, (timer[INTERVAL] or 0) / 1000, not timer[SINGLE_SHOT])
end

local get, set = {}, {}
get.active = core.timer.active

function get.interval(timer)
    return timer[INTERVAL] or 0
end

-- A running timer begins anew.
function set.interval(timer, interval)
    if type(interval) ~= "number" or not (interval >= 0 and interval < math.huge) then
        core.raise("bad value for interval (milliseconds of at least 0 expected, got "
            .. core.got(interval) .. ")")
    end
    timer[INTERVAL] = interval
    if core.timer.active(timer) then
        start(timer)
    end
end

function get.single_shot(timer)
    return timer[SINGLE_SHOT] == true
end

function set.single_shot(timer, once)
    timer[SINGLE_SHOT] = once and true or nil
end

Clock = core.class {
    name = "Timer",
    kind = "timer",
    anchor = "object",
    handlers = { "timeout_handler" },
    methods = {
        start = function(timer)
            Clock.expect(timer, "start")
            start(timer)
        end,
        stop = core.timer.cancel,
    },
    get = get,
    set = set,
    on = {
        timer = function(timer)
            -- As it is now, not as it was at the start.
            if timer[SINGLE_SHOT] then
                core.timer.cancel(timer)
            end
            local handler = timer.timeout_handler
            if not handler then
                return false
            end
            handler(timer)
        end,
    },
    close = core.timer.cancel,
    tostring = function(timer)
        return "Timer: " .. (core.timer.active(timer) and "active" or "stopped")
    end,
}

local Timer = {}

function Timer.new()
    return Clock.new()
end

-- The module --------------------------------------------------------------------------------------

local Stream = socket.stream.modes

local net = {
    SslCertificate = ssl.SslCertificate,
    SslConfiguration = ssl.SslConfiguration,
    SslEncoding = ssl.SslEncoding,
    SslKey = ssl.SslKey,
    SslServer = ssl.SslServer,
    SslSocket = ssl.SslSocket,
    Stream = Stream,
    TcpServer = server.TcpServer,
    TcpSocket = socket.TcpSocket,
    UdpSocket = udp,
}

local iomodules = { net = net, Timer = Timer }
-- The vendor's guide writes `iomodules.UdpSocket.new()`, too.
for class, value in pairs(net) do
    iomodules[class] = value
end

local pharos = { net = net, iomodules = iomodules, Stream = Stream, Timer = Timer }

-- `hosts`, `ports`, `cafile`, `logger`; `connect_timeout`: seconds after which an attempt that
-- nobody answers has failed (30).
function pharos.configure(given)
    settings:configure(given)
end

-- Sets `net` and `iomodules`; into tables that are there already the classes are added.
function pharos.install(env)
    env = env or _G
    if type(env) ~= "table" then
        core.raise("bad argument 'env' to 'install' (table expected, got " .. type(env) .. ")")
    end
    for _, name in ipairs { "net", "iomodules" } do
        local there = env[name]
        if type(there) == "table" and there ~= pharos[name] then
            for class, value in pairs(pharos[name]) do
                there[class] = value
            end
        else
            env[name] = pharos[name]
        end
    end
    return pharos
end

return pharos
