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

-- The distance of two names in letters put in, left out, replaced or swapped, as far as `most`.
local function distance(one, other, most)
    if math.abs(#one - #other) > most then
        return most + 1
    end
    local before, row = {}, {}
    for j = 0, #other do
        row[j] = j
    end
    for i = 1, #one do
        local above = row
        row = { [0] = i }
        for j = 1, #other do
            local same = one:byte(i) == other:byte(j)
            local least = math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same and 0 or 1))
            if i > 1 and j > 1 and one:byte(i) == other:byte(j - 1)
                and one:byte(i - 1) == other:byte(j) then
                least = math.min(least, before[j - 2] + 1)
            end
            row[j] = least
        end
        before = above
    end
    return row[#other]
end

-- "did you mean 'on_close'?", of the names that the tables have as keys; nil if none is near.
local function meant(name, ...)
    if type(name) ~= "string" or #name > LONGEST then
        return nil
    end
    local plain = name:lower():gsub("[_-]", "")
    local found, least = nil, math.max(1, math.floor(#plain / 3)) + 1
    for _, set in ipairs { ... } do
        for known in pairs(set) do
            local away = distance(plain, (known:lower():gsub("[_-]", "")), least)
            -- Of several the first by letters, whatever order the table has.
            if away < least or away == least and found and known < found then
                found, least = known, away
            end
        end
    end
    return found and "did you mean '" .. found .. "'?"
end

-- What stands behind the name that is unknown.
local function unknown(name, ...)
    local advice = meant(name, ...)
    return " (unknown name" .. (advice and "; " .. advice or "") .. ")"
end

local is_secret = { key = true, password = true }

-- Where it stands: `call` is nil for a property, which is written, not passed to anything.
local function place(what, name, call)
    if not call then
        return "bad value for '" .. name .. "'"
    end
    return "bad " .. what .. " '" .. name .. "' to '" .. call .. "'"
end

local function bad(what, name, call, wanted, value)
    local found = is_secret[name] and type(value) or got(value)
    if name == "self" then
        found = found .. "; call it with a colon"
    elseif value == native.module then
        found = "the module; call it with a dot"
    end
    raise(place(what, name, call) .. " (" .. wanted .. " expected, got " .. found .. ")")
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

local function seconds(value)
    return is_seconds(value) and { value } or nil, "seconds of at least 0"
end

local function boolean(value)
    return type(value) == "boolean" and { value } or nil, "boolean"
end

local function byte_count(value)
    local ok = type(value) == "number" and whole(value, 0, 2 ^ 53)
    return ok and { value } or nil, "number of bytes"
end

local function keepalive(value)
    local ok = type(value) == "boolean" or is_seconds(value) and value > 0
    return ok and { value } or nil, "boolean or idle seconds"
end

-- As `SHORTEST_PAUSE` in `src/limits.rs`.
local SHORTEST = 0.01
local pauses = { min = 1, max = 30, factor = 2, jitter = 0.1 }
local pause_names = {
    min = "seconds of at least 0.01", max = "seconds of at least 0.01",
    factor = "number of at least 0", jitter = "number of at least 0",
}

local function check_pauses(given, call)
    local function wrong(why)
        raise(place("option", "reconnect", call) .. " (" .. why .. ")")
    end
    for name, value in pairs(given) do
        local wanted = pause_names[name]
        if not wanted then
            local advice = meant(name, pause_names)
            wrong("unknown name " .. named(name) .. (advice and "; " .. advice or ""))
        end
        local least = (name == "min" or name == "max") and SHORTEST or 0
        if not (is_seconds(value) and value >= least) then
            wrong("'" .. name .. "': " .. wanted .. " expected, got " .. got(value))
        end
    end
    if given.min and given.max and given.min > given.max then
        wrong("'min' of at most 'max' expected, got " .. given.min .. " and " .. given.max)
    end
end

local function reconnect(value, call)
    local wanted = "seconds of at least 0.01, a table of min, max, factor and jitter,"
        .. " or false: not at all"
    if value == false then
        return { false }
    elseif is_seconds(value) and value >= SHORTEST then
        return { value, value, 1, 0 }
    elseif type(value) ~= "table" then
        return nil, wanted
    end
    check_pauses(value, call)
    -- Whichever of the two is given moves the default of the other.
    local min = value.min or math.min(pauses.min, value.max or pauses.min)
    local max = value.max or math.max(pauses.max, min)
    return { min, max, value.factor or pauses.factor, value.jitter or pauses.jitter }
end

-- TLS ---------------------------------------------------------------------------------------------

local function text(value)
    return type(value) == "string", "string"
end

local function flag(value)
    return type(value) == "boolean", "boolean"
end

-- Field to its check: whether it is right, and what was expected.
local tls_fields = {
    verify = flag,
    insecure_name = flag,
    server_name = function(value)
        -- A name with other letters is written in ASCII ("xn--..."); what is no name is told later.
        return type(value) == "string" and not value:find("[\128-\255]"), "string in ASCII"
    end,
    ca = text,
    cafile = text,
    cert = text,
    certfile = text,
    key = text,
    keyfile = text,
    alpn = function(value)
        local right = type(value) == "table" and #value > 0
        for _, name in ipairs(right and value or {}) do
            right = right and type(name) == "string" and #name >= 1 and #name <= 255
        end
        return right, "list of protocol names"
    end,
    min_version = function(value)
        return value == "1.2" or value == "1.3", '"1.2" or "1.3"'
    end,
    client_auth = function(value)
        return value == false or value == "request" or value == "require",
            'false, "request" or "require"'
    end,
}

-- Compiles a TLS table; raises with the reason. The second result: what of its certificates can't
-- be used, or nil.
local function compile_tls(given, call)
    local fields = {}
    for name, value in pairs(given) do
        local check = tls_fields[name]
        if not check then
            raise("bad tls option " .. named(name) .. " to '" .. call .. "'"
                .. unknown(name, tls_fields))
        end
        local right, wanted = check(value)
        if not right then
            bad("tls option", name, call, wanted, value)
        end
        fields[name] = value
    end
    for _, name in ipairs { "ca", "cert", "key" } do
        if fields[name] and fields[name .. "file"] then
            raise("bad tls option '" .. name .. "' to '" .. call .. "' ('" .. name
                .. "file' was given, too)")
        end
    end
    local has_cert = fields.cert or fields.certfile
    local has_key = fields.key or fields.keyfile
    if has_cert and not has_key then
        raise("bad tls option 'cert' to '" .. call .. "' (its 'key' is missing)")
    elseif has_key and not has_cert then
        raise("bad tls option 'key' to '" .. call .. "' (its 'cert' is missing)")
    end
    local compiled, why = native.tls(fields)
    if not compiled then
        raise("bad tls options to '" .. call .. "' (" .. why .. ")")
    end
    return compiled, why
end

local plain_tls

-- The compiled form of `true`, a table, or what `evsock.tls` returned; nil for anything else.
local function tls_of(value, call)
    if value == true then
        plain_tls = plain_tls or compile_tls({}, call)
        return plain_tls
    elseif type(value) == "table" then
        return compile_tls(value, call)
    elseif native.tls_kind(value) then
        return value
    end
end

local function tls(value, call)
    local compiled = value ~= false and tls_of(value, call)
    if compiled then
        if call == "listen" and native.tls_kind(compiled) ~= "server" then
            raise("bad option 'tls' to 'listen' (a server needs 'cert' and 'key')")
        end
        return { compiled }
    end
    return value == false and { false } or nil, "boolean, table or the result of evsock.tls"
end

-- `{ address, port }`; the port may be missing.
local function bind(value)
    local wanted = "false or { address, port } with a numeric address"
    if value == false then
        return { false }
    elseif type(value) ~= "table" then
        return nil, wanted
    end
    local address, own = value[1], port(value[2] or 0)
    address = address == "*" and "0.0.0.0" or address
    local known = type(address) == "string" and native.is_numeric(address)
    return known and own and { address, own } or nil, wanted
end

-- Name to check. A check returns the values for the native side, or nil and what was expected.
local options = {
    connect_timeout = seconds,
    read_timeout = seconds,
    write_timeout = seconds,
    reconnect = reconnect,
    nodelay = boolean,
    keepalive = keepalive,
    read_limit = byte_count,
    max_frame = byte_count,
    write_limit = byte_count,
    drain_at = byte_count,
    half_open = boolean,
    ipv4_first = boolean,
    bind = bind,
    tls = tls,
}

local defaults = {
    connect_timeout = 30,
    read_timeout = 0,
    write_timeout = 0,
    reconnect = false,
    nodelay = true,
    keepalive = false,
    read_limit = 1024 * 1024,
    max_frame = 16 * 1024 * 1024,
    write_limit = 64 * 1024 * 1024,
    drain_at = 0,
    half_open = false,
    ipv4_first = false,
    bind = false,
    tls = false,
}

local socket_handlers = {
    "on_resolve", "on_connect", "on_data", "on_drain", "on_end", "on_close", "on_reconnect",
    "on_secure", "on_mark",
}
local server_handlers = { "on_accept", "on_error" }

local function set_of(list)
    local set = {}
    for _, name in ipairs(list) do
        set[name] = true
    end
    return set
end

local is_socket_handler = set_of(socket_handlers)
local is_server_handler = set_of(server_handlers)

-- One that is written as a property of an object.
local function check_property(name, value)
    local values, wanted = options[name](value)
    if not values then
        bad("option", name, nil, wanted, value)
    end
    return values
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
            local values, wanted = check(value, call)
            if not values then
                bad("option", name, call, wanted, value)
            end
            if checked == nothing then
                checked = {}
            end
            checked[name] = values
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
    bad = bad,
    boolean = boolean,
    byte_count = byte_count,
    check_property = check_property,
    compile_tls = compile_tls,
    tls_of = tls_of,
    check_all = check_options,
    defaults = defaults,
    function_of = function_of,
    got = got,
    is_seconds = is_seconds,
    is_server_handler = is_server_handler,
    is_socket_handler = is_socket_handler,
    meant = meant,
    named = named,
    unknown = unknown,
    names = options,
    port = port,
    port_of = port_of,
    seconds_of = seconds_of,
    server_handlers = server_handlers,
    set_of = set_of,
    socket_handlers = socket_handlers,
    target_of = target_of,
    whole = whole,
}
