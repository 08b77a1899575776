-- What a Core adds to Lua's globals, besides sockets and timers: the system, its network, the
-- components of the design, logs and notifications.
--
-- Not here: `Controls` and `Properties`, which the plugin's life gives (`init`); `Crypto`, `bit32`
-- and JSON, each a page. Invariant: what is not offered raises at its first use, and says so.

local _, core = ...
local controls = core.part "qsys/host/controls"

local globals = {}

local check_text = core.common.check_text

local function by_name(one, other)
    return one.Name < other.Name
end

-- Components --------------------------------------------------------------------------------------

local function type_of(control)
    local name = controls.state_of(control).kind_name
    if name == "Toggle" or name == "Trigger" or name == "Momentary" or name == "Led" then
        return "Boolean"
    end
    return (name == "Text" or name == "Free") and "Text" or "Float"
end

local function list_of_controls(panel)
    local list = {}
    for name, control in pairs(panel.Controls) do
        if controls.is(control) then
            list[#list + 1] = {
                Name = name, Type = type_of(control), Direction = "Read/Write",
                Value = control.Value, String = control.String, Position = control.Position,
            }
        end
    end
    table.sort(list, by_name)
    return list
end

local function component(plugin)
    local Component = {}

    function Component.New(name)
        name = check_text(name, "name", "Component.New")
        if not plugin.panels[name] then
            plugin:say("warning", "Component.New: no component '" .. name
                .. "' was given; what is asked of it is made (`components` of host.load)")
        end
        return plugin:panel(name).Controls
    end

    function Component.GetComponents()
        local list = {}
        for name, panel in pairs(plugin.panels) do
            list[#list + 1] = {
                ID = name, Name = name, Type = panel.type or "custom",
                ControlCount = #list_of_controls(panel), Properties = panel.properties or {},
            }
        end
        table.sort(list, by_name)
        return list
    end

    -- Takes a name, or what `New` gave.
    function Component.GetControls(which)
        for name, panel in pairs(plugin.panels) do
            if which == name or which == panel.Controls then
                return list_of_controls(panel)
            end
        end
        return {}
    end

    return Component
end

-- Notifications, heard by all plugins of the process ----------------------------------------------

local subscriptions = {}

-- Data as another plugin may have it: a copy.
local function copied(value, depth)
    if type(value) ~= "table" then
        return value
    elseif depth > 100 then
        core.raise("bad argument 'data' to 'Publish' (tables within each other up to 100 deep"
            .. " expected)")
    end
    local copy = {}
    for name, field in pairs(value) do
        copy[copied(name, depth + 1)] = copied(field, depth + 1)
    end
    return copy
end

local function notifications(plugin)
    local Notifications = {}

    function Notifications.Publish(name, data)
        name = check_text(name, "name", "Publish")
        data = copied(data, 1)
        for _, subscription in ipairs(subscriptions) do
            if subscription.name == name then
                local heard = copied(data, 1)
                subscription.plugin.later(0, function()
                    if subscription.fn then
                        subscription.plugin.call(subscription.fn, name, heard)
                    end
                end)
            end
        end
    end

    function Notifications.Subscribe(name, fn)
        name = check_text(name, "name", "Subscribe")
        if type(fn) ~= "function" then
            core.common.bad("fn", "Subscribe", "function", fn)
        end
        local subscription = { name = name, fn = fn, plugin = plugin }
        subscriptions[#subscriptions + 1] = subscription
        return subscription
    end

    function Notifications.Unsubscribe(subscription)
        for place, known in ipairs(subscriptions) do
            if known == subscription then
                table.remove(subscriptions, place)
                subscription.fn = nil
                return
            end
        end
    end

    return Notifications
end

-- Ends those of a plugin.
function globals.forget(plugin)
    for place = #subscriptions, 1, -1 do
        if subscriptions[place].plugin == plugin then
            table.remove(subscriptions, place).fn = nil
        end
    end
end

-- The rest ----------------------------------------------------------------------------------------

local VERSION = { major = 10, minor = 0 }

local function system()
    local version = VERSION.major .. "." .. VERSION.minor .. ".0"
    return {
        IsEmulating = false, Version = version, BuildVersion = version,
        MajorVersion = VERSION.major, MinorVersion = VERSION.minor, LockingId = "evsock",
    }
end

local function network()
    local Network = {}

    -- All that a test may reach.
    function Network.Interfaces()
        return { {
            Interface = "LAN A", Address = "127.0.0.1", Netmask = "255.0.0.0",
            Gateway = "127.0.0.1", MACAddress = "00:00:00:00:00:00",
        } }
    end

    Network.GetInterfaces = Network.Interfaces
    return Network
end

local function design(plugin)
    local Design = {}

    function Design.GetStatus()
        return {
            Platform = "evsock", State = "Active", DesignName = plugin.name, DesignCode = "evsock",
            IsRedundant = false, IsEmulator = false, Status = { Code = 0, String = "OK" },
        }
    end

    function Design.GetInventory()
        return {}
    end

    return Design
end

local function log(plugin)
    local Log = {}

    function Log.Message(text)
        plugin:say("message", tostring(text))
    end

    function Log.Error(text)
        plugin:say("error", tostring(text))
    end

    return Log
end

local NOT_OFFERED = {
    "ChannelGroup", "Email", "Mixer", "NamedControl", "Ping", "SNMPSession", "SNMPTrap", "Snapshot",
    "Ssh", "Telnet", "Uci", "WebSocket",
}

-- Raises whatever is done with it.
local function absent(name)
    local function refuse()
        core.raise(name .. " is not offered here; pass your own in `globals`")
    end
    return setmetatable({}, {
        __index = refuse, __newindex = refuse, __call = refuse, __tostring = function()
            return name .. " (not offered)"
        end,
    })
end

-- Scripts write `Crypto.Digest(…)` and `Crypto:Digest(…)` alike.
local function with_colon(library)
    for name, fn in pairs(library) do
        if type(fn) == "function" then
            library[name] = function(first, ...)
                if first == library then
                    return fn(...)
                end
                return fn(first, ...)
            end
        end
    end
    return library
end

-- What this Lua has, or else ours.
local function kept(name, part)
    return function()
        local ok, library = pcall(require, name)
        return ok and library or core.part(part)
    end
end

-- What a Core has for `require`.
globals.modules = {
    bit32 = function()
        return core.part "qsys/host/bit32"
    end,
    json = kept("json", "qsys/host/rapidjson"),
    rapidjson = kept("rapidjson", "qsys/host/rapidjson"),
}

-- A table whose part is loaded when something is first asked of it.
local function late(part)
    local function index(library, name)
        setmetatable(library, nil)
        for key, value in pairs(core.part(part)) do
            library[key] = value
        end
        with_colon(library)
        return library[name]
    end
    return setmetatable({}, { __index = index })
end

-- Puts all of it into the globals of the plugin's script.
function globals.add(env, plugin)
    for _, name in ipairs(NOT_OFFERED) do
        env[name] = absent(name)
    end
    env.System, env.SerialPorts = system(), {}
    env.Network = with_colon(network())
    env.Component = with_colon(component(plugin))
    env.Design = with_colon(design(plugin))
    env.Notifications = with_colon(notifications(plugin))
    env.Log = with_colon(log(plugin))
    env.Crypto = late "qsys/host/crypto"
    env.bit32 = _G.bit32 or late "qsys/host/bit32"
    -- Controls are no tables on a Core, by which scripts know arrays of them.
    env.type = function(...)
        if controls.is((...)) then
            return "userdata"
        end
        return type(...)
    end
    env["print"] = function(...)
        local words = { ... }
        for place = 1, select("#", ...) do
            words[place] = tostring(words[place])
        end
        plugin:say("print", table.concat(words, "\t"))
    end
end

return globals
