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

-- What a fingerprint looks like is checked where it is read.
function kinds.fingerprints(value)
    local list = type(value) == "string" and { value } or value
    local right = type(list) == "table" and #list > 0
    for place, text in pairs(right and list or {}) do
        right = right and inner.whole(place, 1, #list) and type(text) == "string"
    end
    return right and value or nil, '"sha256:..." or a list of such texts'
end

function kinds.keylog(value)
    local right = type(value) == "boolean" or type(value) == "string" and value ~= ""
    if right then
        return value
    end
    return nil, "path or boolean"
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

function kinds.certs(value)
    local right = type(value) == "table" and next(value) ~= nil
    for name, given in pairs(right and value or {}) do
        right = right and type(name) == "string" and type(given) == "table"
    end
    return right and value or nil, "tables by the names that clients ask for"
end

local tls_fields, certs_fields = inner.read_list "tls", inner.read_list "certs"

-- Given as text, or as the path of a file by the name with "file" behind it.
local TEXTS = { "ca", "cert", "crl", "key" }

-- Checks one table; `known`: what may stand in it, `of`: in what it stands itself, in words.
local function check_fields(given, known, call, of)
    local fields = {}
    for name, value in pairs(given) do
        local check = known[name]
        if not check then
            raise("bad tls option " .. named(name) .. of .. " to '" .. call .. "'"
                .. (tls_fields[name] and " (it is not for one name; give it beside 'certs')"
                    or unknown(name, known)))
        end
        local checked, wanted = check(value)
        if checked == nil then
            bad("tls option", name, call, wanted, value, of)
        end
        fields[name] = value
    end
    for _, name in ipairs(TEXTS) do
        if fields[name] and fields[name .. "file"] then
            raise("bad tls option '" .. name .. "'" .. of .. " to '" .. call .. "' ('" .. name
                .. "file' was given, too)")
        end
    end
    local has_cert = fields.cert or fields.certfile
    local has_key = fields.key or fields.keyfile
    if has_cert and not has_key then
        raise("bad tls option 'cert'" .. of .. " to '" .. call .. "' (its 'key' is missing)")
    elseif has_key and not has_cert then
        raise("bad tls option 'key'" .. of .. " to '" .. call .. "' (its 'cert' is missing)")
    elseif fields.password and not has_key then
        raise("bad tls option 'password'" .. of .. " to '" .. call
            .. "' (the 'key' that it opens is missing)")
    end
    if (fields.crl or fields.crlfile) and fields.verify == false then
        raise("bad tls option 'crl'" .. of .. " to '" .. call
            .. "' (with verify = false nobody looks at it)")
    end
    return fields, has_cert
end

-- What belongs to the one certificate, what says whom to believe, what was called back of these.
local OWN = { cert = true, certfile = true, key = true, keyfile = true, password = true }
local TRUST = { ca = true, cafile = true, fingerprint = true }
local LISTS = { crl = true, crlfile = true }

-- The fields of one name: its own, and those of the table around it that it does not replace.
local function fields_of_name(name, given, around, call)
    local of = " of " .. named(name) .. " in 'certs'"
    local fields, has_cert = check_fields(given, certs_fields, call, of)
    if not has_cert then
        raise("bad tls option 'certs' to '" .. call .. "' (" .. named(name)
            .. " needs 'cert' and 'key')")
    end
    -- Whom clients are believed by is of one piece, and of no use where they are not asked.
    local is_own = fields.ca or fields.cafile or fields.fingerprint or fields.client_auth == false
    local has_lists = is_own or fields.crl or fields.crlfile
    for field in pairs(certs_fields) do
        local replaced = OWN[field] or TRUST[field] and is_own or LISTS[field] and has_lists
        if fields[field] == nil and not replaced then
            fields[field] = around[field]
        end
    end
    return fields
end

-- Compiles a TLS table; raises with the reason. The second result: what of its certificates can't
-- be used, or nil.
local function compile_tls(given, call)
    local fields, has_cert = check_fields(given, tls_fields, call, "")
    if fields.certs then
        if not has_cert then
            raise("bad tls option 'certs' to '" .. call .. "' ('cert' and 'key' beside it are"
                .. " missing: for who asks for another name, or for none)")
        end
        local certs = {}
        for name, own in pairs(fields.certs) do
            certs[name] = fields_of_name(name, own, fields, call)
        end
        fields.certs = certs
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
        local kind, why = native.tls_kind(compiled)
        if call == "listen" and kind ~= "server" then
            why = why or "a server needs 'cert' and 'key'"
            raise("bad option 'tls' to 'listen' (" .. why .. ")")
        end
        return compiled
    end
    return nil, "boolean, table or the result of evsock.tls"
end

return { check = check, compile = compile_tls, of = tls_of }
