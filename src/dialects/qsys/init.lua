-- Q-SYS: the classes around the network and time, as scripts know them from the Core.
--
-- The parts, a page each: `settings`, `tls`, `socket`, `server`, `timer`, `udp`, `http` with `url`
-- and `credentials`. UDP and HTTP are loaded by their first call.
-- Translation only: connecting, reconnecting, buffering and framing are the core's.

local _, core = ...

-- A table of functions that are those of a part, which the first call of one loads. A script may
-- put others into their places.
local function late(part, names)
    local stand_in = {}
    for _, name in ipairs(names) do
        stand_in[name] = function(...)
            return core.part(part)[name](...)
        end
    end
    return stand_in
end

local qsys = {
    HttpClient = late("qsys/http", {
        "CreateUrl", "DecodeString", "Delete", "Download", "EncodeParams", "EncodeString", "Get",
        "Patch", "Post", "Put", "Upload",
    }),
    TcpSocket = core.part("qsys/socket").TcpSocket,
    TcpSocketServer = core.part "qsys/server",
    Timer = core.part "qsys/timer",
    UdpSocket = late("qsys/udp", { "New" }),
}

local classes = core.common.copy_of(qsys)

-- Settings: `hosts`, `ports`, `cafile`, `logger`; `listen_raises = true`: a failed Listen raises,
-- as newer releases do, instead of returning a text.
return core.common.publish(qsys, core.part "qsys/settings", function(env)
    for name, class in pairs(classes) do
        env[name] = class
    end
end)
