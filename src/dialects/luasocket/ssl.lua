-- LuaSec's `ssl`: TLS over a stream of this dialect, which it takes over.
--
-- Not here: what parameters mean (`context.lua`), certificates (`certificate.lua`), TLS itself.
-- Invariants: the handshake begins with the first `dohandshake`; before it is over nothing is sent
-- and nothing received. Where `sni` gave a name and the peer is verified, its certificate must be
-- for that name, which LuaSec leaves to its callers.

local evsock, core = ...
local shared = core.part "luasocket/shared"
local stream = core.part "luasocket/stream"
local contexts = core.part "luasocket/context"
local certificates = core.part "luasocket/certificate"
local sock_api, expect = core.socket, shared.expect

local CLASS, CLOSED = "SSL:Connection", "closed"

-- Codes for which OpenSSL has one word.
local UNBELIEVED = {}
for _, code in ipairs {
    "TLS_BAD_CERTIFICATE", "TLS_BAD_HOSTNAME", "TLS_BAD_PURPOSE", "TLS_BAD_SIGNATURE",
    "TLS_EXPIRED", "TLS_FINGERPRINT", "TLS_NO_ROOTS", "TLS_NOT_YET_VALID", "TLS_REVOKED",
    "TLS_SELF_SIGNED", "TLS_UNKNOWN_ISSUER", "TLS_WEAK",
} do
    UNBELIEVED[code] = true
end

-- What LuaSec calls a failure; the core's reason stands behind OpenSSL's word.
local function word(message, code)
    if UNBELIEVED[code] then
        return "certificate verify failed (" .. message .. ")"
    elseif code == "TLS_TRUNCATED" then
        return "unexpected eof while reading"
    elseif code == "TLS_NOT_TLS" then
        return "wrong version number"
    elseif code:find("^TLS_") then
        return message
    end
    return shared.word(message, code)
end

-- The handshake -----------------------------------------------------------------------------------

-- Whether it is over: nil before, true, or false and a word.
local function outcome(object)
    local sock = object.core
    if not sock then
        return false, CLOSED
    elseif object.begun and sock_api.tls_facts(sock) then
        return true
    end
    local state = sock_api.state(sock)
    if state ~= "closed" and state ~= "idle" and state ~= "closing" then
        return nil
    end
    local message, code = sock_api.failure(sock)
    return false, message and word(message, code) or CLOSED
end

-- Begins it as soon as there is a connection; the same answer as above.
local function advance(object)
    local is_over, why = outcome(object)
    if is_over ~= nil or object.begun or sock_api.state(object.core) ~= "open" then
        return is_over, why
    end
    object.begun = true
    local context, name = object.context, object.name
    local compiled = object.compiled or contexts.compiled(context, name ~= nil)
    local ok, message, code = sock_api.start_tls(object.core, compiled, name or "")
    if not ok then
        return false, word(message, code)
    end
    return outcome(object)
end

local methods = stream.methods(CLASS)
local receive, send = methods.receive, methods.send

function methods.dohandshake(object)
    expect(object, CLASS, "dohandshake")
    if object.secured then
        return true
    elseif object.failed then
        return false, object.failed
    end
    local start = evsock.now()
    object.asked = true
    local is_over, why = advance(object)
    local sock = object.core
    if is_over == nil and shared.left(object, start) == 0 then
        stream.catch_up(sock)
        is_over, why = advance(object)
    elseif is_over == nil then
        shared.wait(object, { sock }, function()
            is_over, why = advance(object)
            return is_over ~= nil
        end, start)
    end
    if is_over == nil then
        object.wants = "read"
        return false, "wantread"
    elseif is_over then
        object.secured, object.wants = true, "nothing"
        return true
    end
    object.failed = why
    return false, why
end

-- Of a client: the name to ask the server for, and to find in its certificate if that is verified.
-- Of a server: contexts by the name that a client asks for; `strict`: others are refused.
function methods.sni(object, name, strict)
    expect(object, CLASS, "sni")
    if contexts.is_server(object.context) then
        object.compiled = contexts.with_names(object.context, name, strict)
        return
    end
    object.name = shared.text(name, 1, "sni")
end

-- The stream --------------------------------------------------------------------------------------

-- The word of a call that has failed, by that of a plain stream.
local function wanting(object, why, what)
    if why == "timeout" then
        object.wants = what
        return "want" .. what
    end
    object.wants = "nothing"
    local message, code
    if object.core and why ~= CLOSED then
        message, code = sock_api.failure(object.core)
    end
    return message and word(message, code) or why
end

function methods.receive(object, what, prefix)
    expect(object, CLASS, "receive")
    if not object.secured and object.core then
        return nil, CLOSED, prefix == nil and "" or shared.text(prefix, 2, "receive")
    end
    local data, why, partial = receive(object, what, prefix)
    if data then
        return data, nil, nil
    end
    return nil, wanting(object, why, "read"), partial
end

function methods.send(object, data, i, j)
    expect(object, CLASS, "send")
    if not object.secured and object.core then
        shared.text(data, 1, "send")
        return nil, CLOSED, 0
    end
    local last, why, done = send(object, data, i, j)
    if last then
        return last, nil, nil
    end
    return nil, wanting(object, why, "write"), done
end

-- What the last call would have waited for: "nothing", "read" or "write".
function methods.want(object)
    expect(object, CLASS, "want")
    return object.wants
end

function methods.close(object)
    expect(object, CLASS, "close")
    stream.close(object)
end

shared.add_timeouts(methods, CLASS)

local function end_of(host, port)
    if not host then
        return nil, "Bad file descriptor"
    end
    return host, port, host:find(":", 1, true) and "inet6" or "inet"
end

function methods.getpeername(object)
    expect(object, CLASS, "getpeername")
    local info = object.core and sock_api.info(object.core) or {}
    return end_of(info.peer_address, info.peer_port)
end

-- The port is text, as that of plain streams.
function methods.getsockname(object)
    expect(object, CLASS, "getsockname")
    local info = object.core and sock_api.info(object.core) or {}
    return end_of(info.local_address, tostring(info.local_port))
end

function methods.getfd(object)
    expect(object, CLASS, "getfd")
    return shared.descriptor(object)
end

-- What was agreed on ------------------------------------------------------------------------------

local function facts_of(object, method)
    expect(object, CLASS, method)
    return object.secured and object.core and sock_api.tls_facts(object.core)
end

-- OpenSSL's name of a suite of TLS 1.2; of newer ones it is the same.
local function openssl_name(cipher)
    local name = cipher:match("^TLS_(ECDHE_.*)$")
    if not name then
        return cipher
    end
    return (name:gsub("_WITH", ""):gsub("_POLY1305_SHA256$", "_POLY1305")
        :gsub("AES_(%d+)", "AES%1"):gsub("_", "-"))
end

local function described(facts)
    local cipher, is_new = facts.cipher, facts.version == "1.3"
    local bits = tonumber(cipher:match("AES_(%d+)")) or 256
    local encryption = cipher:find("CHACHA20", 1, true) and "CHACHA20/POLY1305" or "AESGCM"
    return {
        algbits = bits,
        authentication = is_new and "any" or cipher:match("^TLS_ECDHE_(%u+)_"),
        bits = bits,
        cipher = openssl_name(cipher),
        encryption = encryption .. "(" .. bits .. ")",
        export = false,
        key = is_new and "any" or "ECDH",
        mac = "AEAD",
        protocol = "TLSv" .. facts.version,
    }
end

-- What OpenSSL does not tell: of the core's facts.
local BEYOND = { resumed = true, verified = true }

function methods.info(object, field)
    local facts = facts_of(object, "info")
    if not facts then
        return nil, CLOSED
    elseif BEYOND[field] then
        return facts[field]
    elseif field ~= nil then
        return described(facts)[field]
    end
    return described(facts)
end

function methods.getalpn(object)
    local facts = facts_of(object, "getalpn")
    return facts and facts.alpn or nil
end

function methods.getsniname(object)
    local facts = facts_of(object, "getsniname")
    return facts and facts.server_name or nil
end

-- The peer's, its own first.
function methods.getpeercertificate(object, index)
    if not facts_of(object, "getpeercertificate") then
        return nil, CLOSED
    end
    index = shared.number(index, 1, "getpeercertificate", 1)
    if index < 1 then
        return nil, "invalid certificate index"
    end
    local der = core.system.peer_certificates(object.core)[index]
    if der then
        return certificates.of(der)
    end
    return nil
end

function methods.getpeerchain(object)
    if not facts_of(object, "getpeerchain") then
        return nil, CLOSED
    end
    local chain = {}
    for place, der in ipairs(core.system.peer_certificates(object.core)) do
        chain[place] = certificates.of(der)
    end
    return chain
end

-- Whether the peer is to be believed; of a server whose clients show nothing: yes. Where nobody has
-- asked that yet, it is found out now.
function methods.getpeerverification(object)
    local facts = facts_of(object, "getpeerverification")
    if not facts then
        return false, CLOSED
    elseif facts.verified or contexts.is_server(object.context) then
        return true
    end
    local chain = core.system.peer_certificates(object.core)
    local ok, why = contexts.judge(object.context, chain)
    if ok then
        return true
    elseif contexts.goes_on(object.context) then
        -- By place in the chain, of which the core tells the first reason.
        return false, { { why } }
    end
    return false, why
end

-- What nobody here can do.
for _, name in ipairs {
    "exportkeyingmaterial", "getfinished", "getpeerfinished", "setdane", "settlsa",
} do
    methods[name] = function(object)
        expect(object, CLASS, name)
        return nil, name .. " is not available"
    end
end

local Connection = shared.class(CLASS, {}, methods)
Connection.__tostring = shared.printer "SSL connection"

-- In a handshake it is ready once that is over.
local function ready(is_ready)
    return function(object)
        if object.secured or not object.asked then
            local sock = object.core
            return sock ~= nil and sock_api.state(sock) ~= "connecting" and is_ready(sock)
        end
        return advance(object) ~= nil
    end
end

shared.selectable(Connection, {
    source = function(object)
        return object.core
    end,
    readable = ready(stream.is_readable),
    writable = ready(sock_api.is_writable),
})

-- The module --------------------------------------------------------------------------------------

-- The stream of ours behind a value: itself, or that whose descriptor it shows.
local function stream_of(value)
    if shared.core_of(value) then
        return value
    end
    local fd = value.getfd and value:getfd()
    return type(fd) == "number" and shared.owner_of(fd) or value
end

-- Takes the connection out of a stream: false if it has none, nil where it is no stream.
local function take_over(object)
    local metatable = getmetatable(object)
    local is_stream = metatable and (metatable["tcp{any}"] or metatable["unixstream{any}"])
    if not is_stream or object.listens then
        return nil
    end
    local connection = object.core
    object.core, object.opened, object.phase, object.bound = nil, nil, false, nil
    return connection or false
end

local ssl = {
    _VERSION = "1.2.0",
    _COPYRIGHT = "evsock",
    config = contexts.config,
    loadcertificate = certificates.load,
    newcontext = contexts.new,
}

-- The connection goes over to the new object: the old one is closed.
function ssl.wrap(sock, cfg)
    local context = cfg
    if type(cfg) == "table" and not contexts.is(cfg) then
        local why
        context, why = contexts.new(cfg)
        if not context then
            return nil, why
        end
    elseif not contexts.is(cfg) then
        shared.bad_argument(1, "create", "invalid context")
    end
    if type(sock) ~= "table" and type(sock) ~= "userdata" then
        shared.expected(1, "wrap", "socket", sock)
    elseif getmetatable(sock) == Connection then
        return nil, "wrap: TLS inside of TLS is not available"
    end
    local old = stream_of(sock)
    local connection = take_over(old)
    if connection == nil then
        return nil, "wrap: only streams of this module can be secured"
    end
    local object = stream.adopt(Connection, connection or nil)
    object.context, object.wants = context, "nothing"
    return object
end

return ssl
