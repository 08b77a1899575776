-- Options of TLS: what may be given, and what is said when it may not.
--
-- Not here: what they do (`src/tls`), which there are (`src/net/options.rs`). Loaded when a script
-- first speaks of TLS.

local native, inner = ...

local bad, kinds, makers = inner.bad, inner.kinds, inner.makers
local named, raise, unknown = inner.named, inner.raise, inner.unknown

function kinds.text(value)
    return type(value) == "string" and value or nil, "string"
end

-- A name with other letters is written in ASCII ("xn--..."); one that is no name fails later.
function kinds.ascii(value)
    local right = type(value) == "string" and not value:find("[\128-\255]")
    return right and value or nil, "string in ASCII"
end

function kinds.protocols(value)
    local right = type(value) == "table" and #value > 0
    for _, name in ipairs(right and value or {}) do
        right = right and type(name) == "string" and #name >= 1 and #name <= 255
    end
    return right and value or nil, "list of protocol names"
end

function makers.choice(row)
    local words = row.off and { "false" } or {}
    for _, word in ipairs(row.words) do
        words[#words + 1] = '"' .. word .. '"'
    end
    local last = table.remove(words)
    local wanted = table.concat(words, ", ") .. " or " .. last
    return function(value)
        for _, word in ipairs(row.words) do
            if value == word then
                return value
            end
        end
        if row.off and value == false then
            return value
        end
        return nil, wanted
    end
end

local tls_fields = inner.read_list "tls"

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
        local checked, wanted = check(value)
        if checked == nil then
            bad("tls option", name, call, wanted, value)
        end
        fields[name] = value
    end
    for _, name in ipairs { "ca", "cert", "crl", "key" } do
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
    elseif fields.password and not has_key then
        raise("bad tls option 'password' to '" .. call .. "' (the 'key' that it opens is missing)")
    end
    if (fields.crl or fields.crlfile) and fields.verify == false then
        raise("bad tls option 'crl' to '" .. call .. "' (with verify = false nobody looks at it)")
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

local function check(value, call)
    local compiled = tls_of(value, call)
    if compiled then
        if call == "listen" and native.tls_kind(compiled) ~= "server" then
            raise("bad option 'tls' to 'listen' (a server needs 'cert' and 'key')")
        end
        return compiled
    end
    return nil, "boolean, table or the result of evsock.tls"
end

return { check = check, compile = compile_tls, of = tls_of }
