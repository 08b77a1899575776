-- What every dialect needs, written once: checks of arguments, the settings and what they redirect,
-- callbacks in order, waiting, files, `configure` and `install`.
--
-- Not here: what one dialect alone does. Each dialect has settings of its own.

local evsock, core = ...

local common = {}

-- Checks ------------------------------------------------------------------------------------------

-- Each raises in the name of the method that was given the value, and returns the value to go on
-- with. Where a host's message names other words, the dialect raises them by `bad`.

function common.bad(argument, method, wanted, value)
    core.raise("bad argument '" .. argument .. "' to '" .. method .. "' (" .. wanted
        .. " expected, got " .. type(value) .. ")")
end

-- The same for a property; `got`: what was given, as the message shows it.
function common.bad_value(property, wanted, got)
    core.raise("bad value for " .. property .. " (" .. wanted .. " expected, got " .. got .. ")")
end

function common.check_string(value, argument, method)
    return type(value) == "string" and value or common.bad(argument, method, "string", value)
end

-- A string, or a number as the text that Lua makes of it.
function common.check_text(value, argument, method)
    return type(value) == "number" and tostring(value)
        or common.check_string(value, argument, method)
end

-- A function or nil.
function common.check_function(value, argument, method, wanted)
    if value ~= nil and type(value) ~= "function" then
        common.bad(argument, method, wanted or "function", value)
    end
    return value
end

-- Whether it is an integer from 0 to `most`, of whatever type of number.
function common.is_whole(value, most)
    return type(value) == "number" and value >= 0 and value <= most and value % 1 == 0
end

-- Whether it is a time to wait: of at least 0, and of an end.
function common.is_duration(value)
    return type(value) == "number" and value >= 0 and value < math.huge
end

-- An integer from 0 to 65535 from an integer, a float with integral value or a numeric string; else
-- nil. `Controls.Port.Value` is a float on Q-SYS, and plugins pass it straight in.
common.port = core.port

function common.check_port(value, method)
    return common.port(value) or common.bad("port", method, "integer from 0 to 65535", value)
end

-- Settings ----------------------------------------------------------------------------------------

-- A numeric address without the brackets that it may stand in, which is how scripts are shown it.
function common.bare(host)
    return host:match("^%[(.*)%]$") or host
end

-- By which `hosts` finds a host, and a redirect where a datagram came from: an address as it is
-- told, whatever way it was written; a name in small letters.
local function key_of(host)
    return core.told(host) or common.bare(host):lower()
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

local Settings = {}
Settings.__index = Settings

-- `extra`: further settings of this dialect, name to type.
function common.settings(extra)
    return setmetatable({ values = {}, extra = extra or {} }, Settings)
end

-- Replaces the settings named; the others stay.
function Settings:configure(given)
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
                kept[key_of(host)] = address
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

function Settings:get(name)
    return self.values[name]
end

-- Tells the logger, if there is one. What it raises leaves the next `pump`: the event under way
-- goes on. Levels: "error", "warning", "debug".
function Settings:log(level, text)
    local logger = self.values.logger
    if logger then
        local ok, problem = pcall(logger, level, text)
        if not ok then
            evsock.after(0, error, problem, 0)
        end
    end
end

-- Tells it the reason of a failure; returns what the host says of it.
function Settings:failed(reason, word)
    self:log("error", reason)
    return word
end

-- The same for what befell an object; the text begins with its class and where it leads to.
function Settings:log_of(level, class, host, port, message)
    if self.values.logger then
        message = message or "no reason is known"
        self:log(level, class .. core.where(host, port) .. ": " .. message)
    end
end

-- Where `host` and `port` really lead: nil (there), false (the lookup fails), or a table.
function Settings:redirect(host, port)
    local hosts, ports = self.values.hosts, self.values.ports
    local address = hosts and hosts[key_of(host)]
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
function Settings:redirect_by_ipv4(host, port)
    local redirect = self:redirect(host, port)
    if redirect == false or (redirect and redirect.host or host):lower() ~= "localhost" then
        return redirect
    end
    return { host = "127.0.0.1", port = redirect and redirect.port or port }
end

-- Redirects of datagrams: what comes from where `hosts` or `ports` led to is shown as coming from
-- where the script has sent to.
local Redirects = {}
Redirects.__index = Redirects

function common.redirects()
    return setmetatable({ places = {} }, Redirects)
end

function Redirects:add(host, port, redirect)
    if not redirect then
        return
    end
    local asked = { host = core.is_numeric(host) and common.bare(host) or nil, port = port }
    local name = key_of(redirect.host)
    for _, to in ipairs(name == "localhost" and { "127.0.0.1", "::1" } or { name }) do
        self.places[to .. " " .. (redirect.port or port)] = asked
    end
end

function Redirects:shown(host, port)
    local asked = self.places[host .. " " .. port]
    if asked then
        return asked.host or host, asked.port
    end
    return host, port
end

-- Callbacks in order ------------------------------------------------------------------------------

-- What is to be called later, in the order in which it was added: the items lie in any table of the
-- dialect's, under the numbers from `first` to `last`.
local ordered = {}
common.ordered = ordered

-- Empties the list, or makes one of a table.
function ordered.clear(list)
    for place = list.first or 1, list.last or 0 do
        list[place] = nil
    end
    list.first, list.last = 1, 0
    return list
end

function ordered.add(list, item)
    local last = list.last + 1
    list.last, list[last] = last, item
end

-- The first item, which leaves the list; nil from an empty one.
function ordered.take(list)
    local first = list.first
    local item = list[first]
    if item ~= nil then
        list.first, list[first] = first + 1, nil
    end
    return item
end

function ordered.count(list)
    return list.last - list.first + 1
end

-- The call of a handler that gets nothing but its object; false where there is none.
function common.caller(name)
    return function(object)
        local handler = object[name]
        if not handler then
            return false
        end
        handler(object)
    end
end

-- Waiting and failures ----------------------------------------------------------------------------

-- The other end of a socket, for a message.
function common.display(sock)
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
    local deadline = core.wait_now() + seconds
    local left
    repeat
        if is_over() then
            return true
        end
        left = core.left_until(deadline)
        local handled, message = evsock.attend(object, left)
        if not handled then
            return nil, message
        end
    until left == 0
    return is_over() and true or false
end

-- Files -------------------------------------------------------------------------------------------

-- What stands in the file; nil and why it can't be read, which begins with its path.
function common.read_file(path)
    local file, reason = io.open(path, "rb")
    if not file then
        return nil, reason
    end
    -- A folder opens on some systems, and its reading fails.
    local text, why = file:read("*a")
    file:close()
    if not text then
        return nil, path .. ": " .. (why or "it can't be read")
    end
    return text
end

-- The module of a dialect -------------------------------------------------------------------------

-- Adds the two functions that each dialect has. `configure(given)` changes its settings;
-- `install([env])` has `put` set the names in `env` (default: the globals) and returns the dialect.
function common.publish(dialect, settings, put)
    function dialect.configure(given)
        settings:configure(given)
    end

    function dialect.install(env)
        if env == nil then
            env = _G
        elseif type(env) ~= "table" then
            common.bad("env", "install", "table", env)
        end
        put(env)
        return dialect
    end

    return dialect
end

function common.copy_of(fields)
    local copy = {}
    for name, value in pairs(fields) do
        copy[name] = value
    end
    return copy
end

-- The table that a host has under a name, which is made if there is none.
function common.table_of(env, name)
    local found = rawget(env, name)
    if type(found) ~= "table" then
        found = {}
        rawset(env, name, found)
    end
    return found
end

return common
