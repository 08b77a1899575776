-- What every dialect needs: where names lead (rule 13 of the specification), ports, `install`.
--
-- Not here: anything that one dialect alone does. Each dialect has settings of its own.

local evsock, core = ...

local common = {}

function common.bad(argument, method, wanted, value)
    core.raise("bad argument '" .. argument .. "' to '" .. method .. "' (" .. wanted
        .. " expected, got " .. type(value) .. ")")
end

-- An integer from 0 to 65535 from an integer, a float with integral value or a numeric string; else
-- nil. `Controls.Port.Value` is a float on Q-SYS, and plugins pass it straight in.
common.port = core.port

-- A numeric address without the brackets that it may stand in: as addresses are told.
function common.bare(host)
    return host:match("^%[(.*)%]$") or host
end

function common.check_port(value, method)
    return common.port(value) or common.bad("port", method, "integer from 0 to 65535", value)
end

-- "10.0.0.9:1999" -> "10.0.0.9", 1999; "[::1]:1999" likewise; a bare address has no port. Nothing
-- for what is neither.
local function split(address)
    local host, port = address:match("^%[([^%[%]]+)%]:(.*)$")
    if not host then
        host, port = address:match("^([^:%[%]]+):([^:]*)$")
    end
    if host then
        port = port:find("^%d+$") and common.port(port)
        return port and host, port
    end
    local literal = address:match("^%[([^%[%]]+)%]$") or address
    -- The zone of an IPv6 address may be anything.
    local is_numeric = core.is_numeric((literal:gsub("%%.*$", "")))
    return (is_numeric or address:find("^[^:%[%]]+$")) and address, nil
end

-- What a setting takes, by name; a check returns true or what was expected.
local checks = {}

function checks.hosts(value)
    for name, address in pairs(value) do
        local is_text = type(name) == "string" and name ~= "" and type(address) == "string"
        if not (is_text and split(address) or type(name) == "string" and address == false) then
            return "names with an address, 'address:port' or false expected, got ", name, address
        end
    end
    return true
end

function checks.ports(value)
    for from, to in pairs(value) do
        if not (common.port(from) and common.port(to)) then
            return "ports from 0 to 65535 expected, got ", from, to
        end
    end
    return true
end

-- What was given, for a message.
local function short(value)
    local text = type(value) == "string" and "'" .. value .. "'" or tostring(value)
    return #text > 60 and text:sub(1, 57) .. "..." or text
end

local kinds = { hosts = "table", ports = "table", cafile = "string", logger = "function" }

local settings = {}
settings.__index = settings

-- `extra`: further settings of this dialect, name to type.
function common.settings(extra)
    return setmetatable({ values = {}, extra = extra or {} }, settings)
end

-- Replaces the settings named; the others stay.
function settings:configure(given)
    if type(given) ~= "table" then
        core.raise("bad argument 'settings' to 'configure' (table expected, got "
            .. type(given) .. ")")
    end
    for name, value in pairs(given) do
        local kind = kinds[name] or self.extra[name]
        if not kind then
            core.raise("bad setting " .. core.named(name) .. " to 'configure'"
                .. core.unknown(name, kinds, self.extra))
        elseif type(value) ~= kind then
            core.raise("bad setting '" .. name .. "' to 'configure' (" .. kind
                .. " expected, got " .. type(value) .. ")")
        end
        local fits, key, entry = true, nil, nil
        if checks[name] then
            fits, key, entry = checks[name](value)
        end
        if fits ~= true then
            core.raise("bad setting '" .. name .. "' to 'configure' (" .. fits .. short(entry)
                .. " for " .. short(key) .. ")")
        end
    end
    for name, value in pairs(given) do
        local kept = value
        if name == "hosts" then
            kept = {}
            for host, address in pairs(value) do
                kept[host:lower()] = address
            end
        elseif name == "ports" then
            kept = {}
            for from, to in pairs(value) do
                kept[common.port(from)] = common.port(to)
            end
        end
        self.values[name] = kept
    end
end

function settings:get(name)
    return self.values[name]
end

-- Tells the logger, if there is one. What it raises leaves the next `pump`: the event under way
-- goes on. Levels: "error", "warning", "debug".
function settings:log(level, text)
    local logger = self.values.logger
    if logger then
        local ok, problem = pcall(logger, level, text)
        if not ok then
            evsock.after(0, error, problem, 0)
        end
    end
end

-- Tells it the reason of a failure; returns what the host says of it.
function settings:failed(reason, word)
    self:log("error", reason)
    return word
end

-- The same for what befell an object; the text begins with its class and where it leads to.
function settings:log_of(level, class, host, port, message)
    if self.values.logger then
        message = message or "no reason is known"
        self:log(level, class .. core.where(host, port) .. ": " .. message)
    end
end

-- Where `host` and `port` really lead: nil (there), false (the lookup fails), or a table.
function settings:route(host, port)
    local hosts, ports = self.values.hosts, self.values.ports
    local address = hosts and hosts[host:lower()]
    if address == false then
        return false
    end
    local to_host, to_port = host, nil
    if address then
        to_host, to_port = split(address)
    end
    to_port = to_port or ports and ports[port] or port
    if to_host ~= host or to_port ~= port then
        return { host = to_host, port = to_port }
    end
end

-- The same where `localhost` is 127.0.0.1 alone.
function settings:route_by_ipv4(host, port)
    local route = self:route(host, port)
    if route == false or (route and route.host or host):lower() ~= "localhost" then
        return route
    end
    return { host = "127.0.0.1", port = route and route.port or port }
end

-- Where datagrams were led elsewhere: answers from there are shown as from where the script sent.
local detours = {}
detours.__index = detours

function common.detours()
    return setmetatable({ places = {} }, detours)
end

function detours:note(host, port, route)
    if not route then
        return
    end
    local asked = { host = core.is_numeric(host) and common.bare(host) or nil, port = port }
    local name = common.bare(route.host):lower()
    for _, to in ipairs(name == "localhost" and { "127.0.0.1", "::1" } or { name }) do
        self.places[to .. " " .. (route.port or port)] = asked
    end
end

function detours:shown(host, port)
    local asked = self.places[host .. " " .. port]
    if asked then
        return asked.host or host, asked.port
    end
    return host, port
end

-- The other end of a socket, for a message.
function common.whom(sock)
    local info = core.socket.info(sock)
    return core.where(info.host or info.peer_address, info.port or info.peer_port)
end

-- A message handler: an error that is text gets its traceback, unless it leaves a pump of its own
-- and has it already.
function common.explain(problem)
    local is_bare = type(problem) == "string"
        and not problem:find("\nstack traceback:\n", 1, true)
    return is_bare and debug and debug.traceback(problem, 2) or problem
end

-- Blocks until `is_over()`, at most for so many seconds; meanwhile only the events of this object
-- are dispatched. Returns whether it is over; nil and a message when nothing can be waited for.
function common.block(object, seconds, is_over)
    local deadline = evsock.now() + seconds
    local left
    repeat
        if is_over() then
            return true
        end
        left = math.max(0, deadline - evsock.now())
        local handled, message = evsock.attend(object, left)
        if not handled then
            return nil, message
        end
    until left == 0
    return is_over() and true or false
end

local function check_env(env)
    if env ~= nil and type(env) ~= "table" then
        common.bad("env", "install", "table", env)
    end
    return env or _G
end

-- `install([env])`: sets the names in `env` (default: the globals) and returns the module.
function common.installer(module, names)
    return function(env)
        env = check_env(env)
        for _, name in ipairs(names) do
            env[name] = module[name]
        end
        return module
    end
end

-- The same for one name in a table of the host (`renoise.Socket`), which is made if there is none.
function common.nested_installer(module, host, name)
    return function(env)
        env = check_env(env)
        local owner = rawget(env, host)
        if type(owner) ~= "table" then
            owner = {}
            rawset(env, host, owner)
        end
        owner[name] = module[name]
        return module
    end
end

return common
