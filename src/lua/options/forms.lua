-- Options that are more than a flag: tables, names of interfaces. What may be given, and what is
-- said when it may not.
--
-- Not here: what they do (`src/net/options.rs`), TLS (`tls.lua`). Loaded when a script first gives
-- one.

local native, inner = ...

local got, is_seconds, meant, named = inner.got, inner.is_seconds, inner.meant, inner.named
local place, port, raise, read_list = inner.place, inner.port, inner.raise, inner.read_list

local forms = {}

-- The table that an option may be, by the checks of its list; returns what raises for what else is
-- wrong with it.
local function check_table(given, option, list, call)
    local function wrong(why)
        raise(place("option", option, call) .. " (" .. why .. ")")
    end
    for name, value in pairs(given) do
        local check = list[name]
        if not check then
            local advice = meant(name, list)
            wrong("unknown name " .. named(name) .. (advice and "; " .. advice or ""))
        end
        local right, wanted = check(value)
        if not right then
            wrong("'" .. name .. "': " .. wanted .. " expected, got " .. got(value))
        end
    end
    return wrong
end

local probe_checks
function forms.keepalive(value, call)
    if is_seconds(value) and value > 0 then
        return value
    elseif type(value) == "table" and value ~= native.module then
        probe_checks = probe_checks or read_list "keepalive"
        check_table(value, "keepalive", probe_checks, call)
        return value
    end
    return nil, "boolean, idle seconds or a table of idle, interval and count"
end

function forms.linger(value)
    return is_seconds(value) and value or nil, "seconds of at least 0 or false"
end

-- A zero byte would end the name.
function forms.device(value)
    local is_name = type(value) == "string" and value ~= "" and not value:find("%z")
    return is_name and value or nil, "name of an interface or false"
end

function forms.interface(value)
    local number = type(value) == "number" and inner.whole(value, 1, 2 ^ 31 - 1)
    if number then
        return ("%d"):format(number)
    end
    return forms.device(value) or nil, "name, number or IPv4 address of an interface, or false"
end

local pause_checks, pauses = read_list "reconnect"

-- A number stays one: the same pause each time.
function forms.reconnect(value, call)
    local pause, wanted = pause_checks.min(value)
    if pause then
        return value
    elseif type(value) ~= "table" then
        return nil, wanted .. ", a table of min, max, factor and jitter, or false: not at all"
    end
    local wrong = check_table(value, "reconnect", pause_checks, call)
    if value.min and value.max and value.min > value.max then
        wrong("'min' of at most 'max' expected, got " .. value.min .. " and " .. value.max)
    end
    -- Whichever of the two is given moves the default of the other.
    local min = value.min or math.min(pauses.min, value.max or pauses.min)
    return {
        min = min,
        max = value.max or math.max(pauses.max, min),
        factor = value.factor or pauses.factor,
        jitter = value.jitter or pauses.jitter,
    }
end

-- `{ address, port }`; the port may be missing.
function forms.bind(value)
    local wanted = "false or { address, port } with a numeric address"
    if type(value) ~= "table" then
        return nil, wanted
    end
    local address, own = value[1], port(value[2] or 0)
    address = address == "*" and "0.0.0.0" or address
    local known = type(address) == "string" and native.is_numeric(address)
    return known and own and { address, own } or nil, wanted
end

return forms
