-- Arguments and options: what may be given, and what is said when it may not.
--
-- Not here: what options do (`src/net/options.rs`). Invariant: every message of misuse names the
-- argument and what was expected; `raise` puts the caller's line before it.

local native = ...

local raise = native.raise

-- Checks ------------------------------------------------------------------------------------------

-- Text of others as messages show it: short and printable; what is long is not shown at all, for it
-- may be a key in the wrong place.
local LONGEST = 40

-- A value that is not what was expected.
local function got(value)
    if type(value) == "number" then
        return tostring(value)
    elseif type(value) == "string" and #value <= LONGEST then
        return 'string "' .. native.shown(value) .. '"'
    end
    return type(value)
end

-- A name that is not known.
local function named(name)
    if type(name) ~= "string" then
        return "'" .. got(name) .. "'"
    end
    return #name <= LONGEST and "'" .. native.shown(name) .. "'" or "of " .. #name .. " bytes"
end

-- "did you mean 'on_close'?", of the names that the tables have as keys; nil if none is near.
local advise
local function meant(name, ...)
    if type(name) ~= "string" or #name > LONGEST then
        return nil
    end
    advise = advise or native.chunk "options/advice" ()
    return advise(name, ...)
end

-- What stands behind the name that is unknown.
local function unknown(name, ...)
    local advice = meant(name, ...)
    return " (unknown name" .. (advice and "; " .. advice or "") .. ")"
end

local is_secret = { key = true, password = true }

-- Where it stands: `call` is nil for a property, which is written, not passed to anything; `of`
-- says in words in what it stands.
local function place(what, name, call, of)
    if not call then
        return "bad value for '" .. name .. "'"
    end
    return "bad " .. what .. " '" .. name .. "'" .. (of or "") .. " to '" .. call .. "'"
end

local function bad(what, name, call, wanted, value, of)
    local found = is_secret[name] and type(value) or got(value)
    if name == "self" then
        found = found .. "; call it with a colon"
    elseif value == native.module then
        found = "the module; call it with a dot"
    end
    raise(place(what, name, call, of) .. " (" .. wanted .. " expected, got " .. found .. ")")
end

local function is_whole(value)
    return value >= -2 ^ 53 and value <= 2 ^ 53 and value % 1 == 0
end

-- A whole number, as an integer where Lua has them; nil for anything else.
local to_integer = math.tointeger and function(value)
    return math.tointeger(value) or nil
end or function(value)
    return value
end

local function whole(value, least, most)
    local number = tonumber(value)
    if number and is_whole(number) and number >= least and number <= most then
        return to_integer(number)
    end
end

-- A port as an integer where Lua has them; nil for anything else. Text is digits alone, or what
-- tostring makes of a float ("80.0").
local function port(value)
    local is_text = type(value) == "string" and (value:find("^%d+$") or value:find("^%d+%.0+$"))
    if type(value) == "number" or is_text then
        return whole(value, 0, 65535)
    end
end

-- `host`: what stands before it; many take the port for a part of that.
local function port_of(value, call, host)
    local found = port(value)
    if not found then
        local why = type(value) ~= "number" and host and native.misplaced_port(host)
        if why then
            raise("bad argument 'port' to '" .. call .. "' (" .. why .. ")")
        end
        bad("argument", "port", call, "integer from 0 to 65535", value)
    end
    return found
end

local function host_of(value, call)
    if type(value) ~= "string" then
        bad("argument", "host", call, "string", value)
    end
    return value
end

-- Host, port and options; a Unix socket has no port, so its options come second.
local function target_of(host, at, given, call)
    host_of(host, call)
    if host:sub(1, 5) ~= "unix:" then
        return host, port_of(at, call, host), given
    elseif type(at) == "table" and given == nil then
        return host, 0, at
    elseif at ~= nil then
        raise("bad argument 'port' to '" .. call .. "' (a Unix socket has no port)")
    end
    return host, 0, given
end

local function function_of(value, name, call)
    if type(value) ~= "function" then
        bad("argument", name, call, "function", value)
    end
    return value
end

local function is_seconds(value)
    return type(value) == "number" and value >= 0 and value < math.huge
end

local function seconds_of(value, call)
    if not is_seconds(value) then
        bad("argument", "seconds", call, "number of at least 0", value)
    end
    return value
end

-- Options -----------------------------------------------------------------------------------------

-- Which options there are, of what kind and with what default says `src/net/options.rs`. Here is
-- the check of each kind: it returns the value as the native side takes it, or nil and what was
-- expected.
local kinds = {}

-- What its parts of other files need.
local inner = {
    bad = bad, got = got, is_seconds = is_seconds, kinds = kinds, meant = meant, named = named,
    place = place, port = port, raise = raise, unknown = unknown, whole = whole,
}

-- The checks of kinds that have bounds are made for each option, from its row.
local makers = {}
inner.makers = makers

function kinds.boolean(value)
    if type(value) == "boolean" then
        return value
    end
    return nil, "boolean"
end

function kinds.bytes(value)
    local ok = type(value) == "number" and whole(value, 0, 2 ^ 53)
    return ok and value or nil, "number of bytes"
end

function kinds.number(value)
    return is_seconds(value) and value or nil, "number of at least 0"
end

function makers.integer(row)
    local most = row.most or 2 ^ 31 - 1
    local wanted = row.most and "integer from " .. row.least .. " to " .. row.most
        or "integer of at least " .. row.least
    return function(value)
        return type(value) == "number" and whole(value, row.least, most) or nil, wanted
    end
end

function makers.seconds(row)
    local wanted = "seconds of at least " .. row.least
    return function(value)
        return is_seconds(value) and value >= row.least and value or nil, wanted
    end
end

-- By name: the checks, the defaults, and those of accepted connections as far as they differ.
local function read_list(name)
    local checks, defaults, accepted = {}, {}, {}
    for _, row in ipairs(native.options(name)) do
        local make = makers[row.kind]
        checks[row.name] = make and make(row) or kinds[row.kind]
        defaults[row.name] = row.default
        accepted[row.name] = row.accepted
    end
    return checks, defaults, accepted
end

inner.read_list = read_list

-- Of these most scripts give none: their checks are loaded with the first that is not off.
local forms
for _, name in ipairs { "bind", "device", "interface", "keepalive", "linger", "reconnect" } do
    kinds[name] = function(value, call)
        if value == false or value == true and name == "keepalive" then
            return value
        end
        forms = forms or native.chunk "options/forms" (native, inner)
        return forms[name](value, call)
    end
end

-- TLS ---------------------------------------------------------------------------------------------

-- Most scripts need none of it: loaded when it is first asked for.
local loaded
local function tls()
    loaded = loaded or native.chunk "options/tls" (native, inner)
    return loaded
end

local function compile_tls(given, call)
    return tls().compile(given, call)
end

-- The compiled form of `true`, a table, or what `evsock.tls` returned; nil for anything else.
local function tls_of(value, call)
    return tls().of(value, call)
end

function kinds.tls(value, call)
    if value == false then
        return value
    end
    return tls().check(value, call)
end

-- The lists ---------------------------------------------------------------------------------------

local options, defaults, accepted_defaults = read_list "socket"
local server_options, server_defaults = read_list "server"

local function set_of(list)
    local set = {}
    for _, name in ipairs(list) do
        set[name] = true
    end
    return set
end

local is_socket_handler = set_of(native.handlers.socket)
local is_server_handler = set_of(native.handlers.server)

-- One that is written as a property of an object.
local function check_property(name, value)
    local checked, wanted = options[name](value)
    if checked == nil then
        bad("option", name, nil, wanted, value)
    end
    return checked
end

-- Checks a whole table before anything is changed, so that a bad one leaves everything as it was.
-- `extra` holds the checks of options that only this call has.
-- What it returns must not be changed.
local nothing = {}
local function check_options(given, call, handlers, extra)
    if given == nil then
        return nothing
    elseif type(given) ~= "table" or given == native.module then
        bad("argument", "options", call, "table", given)
    end
    local checked = nothing
    for name, value in pairs(given) do
        local check = options[name] or extra and extra[name]
        if check then
            local right, wanted = check(value, call)
            if right == nil then
                bad("option", name, call, wanted, value)
            end
            if checked == nothing then
                checked = {}
            end
            checked[name] = right
        elseif handlers[name] then
            if type(value) ~= "function" then
                bad("option", name, call, "function", value)
            end
        else
            raise("bad option " .. named(name) .. " to '" .. call .. "'"
                .. unknown(name, options, handlers, extra or nothing))
        end
    end
    return checked
end

return {
    accepted_defaults = accepted_defaults,
    bad = bad,
    check_property = check_property,
    compile_tls = compile_tls,
    tls_of = tls_of,
    check_options = check_options,
    defaults = defaults,
    function_of = function_of,
    got = got,
    is_seconds = is_seconds,
    is_server_handler = is_server_handler,
    is_socket_handler = is_socket_handler,
    meant = meant,
    named = named,
    unknown = unknown,
    options = options,
    port = port,
    port_of = port_of,
    read_list = read_list,
    seconds_of = seconds_of,
    server_defaults = server_defaults,
    server_options = server_options,
    set_of = set_of,
    target_of = target_of,
    whole = whole,
}
