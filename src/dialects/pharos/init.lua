-- Pharos and Mosaic controllers: `net` and `iomodules`, as IO modules know them.
--
-- The parts, a page each: `constants` (numbers and texts), `deferred` (calls of handlers in order),
-- `stream`, `socket`, `server`, `udp`, `ssl`.
-- Translation only; times are milliseconds. Numbers like 4.4 name the sections of the dialects'
-- specification.

local _, core = ...
local common = core.common

local constants = core.part "pharos/constants"
local socket = core.part "pharos/socket"
local server = core.part "pharos/server"
local udp = core.part "pharos/udp"
local ssl = core.part "pharos/ssl"
local settings = constants.settings

-- Timer (4.8) -------------------------------------------------------------------------------------

-- Milliseconds, and whether it fires once alone.
local INTERVAL, SINGLE_SHOT = {}, {}

local Clock
local timed_out = common.caller "timeout_handler"

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
    if not common.is_duration(interval) then
        common.bad_value("interval", "milliseconds of at least 0", core.got(interval))
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
            return timed_out(timer)
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

-- Settings: `hosts`, `ports`, `cafile`, `logger`; `connect_timeout`: seconds after which an attempt
-- that nobody answers has failed (30). `install` sets `net` and `iomodules`; into tables that are
-- there already the classes are added.
return common.publish(pharos, settings, function(env)
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
end)
