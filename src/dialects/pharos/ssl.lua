-- SslSocket, SslServer and SslConfiguration with its certificates and keys (4.7).
--
-- Not here: TLS (the core), TCP (`socket.lua`, `server.lua`).

local evsock, core = ...
local deferred = core.part "pharos/deferred"
local socket, server = core.part "pharos/socket", core.part "pharos/server"
local common, constants = core.common, core.part "pharos/constants"
local add, bad, bad_value = deferred.add, common.bad, common.bad_value
local copy_of = common.copy_of
local settings, stream = constants.settings, socket.stream

local NONE, QUERY, VERIFY, AUTO = 0, 1, 2, 3
local UNENCRYPTED, CLIENT, SERVER = 0, 1, 2

local verify_modes = {
    VERIFY_NONE = NONE, QUERY_PEER = QUERY, VERIFY_PEER = VERIFY, AUTO_VERIFY_PEER = AUTO,
}
local socket_modes = {
    UNENCRYPTED_MODE = UNENCRYPTED, SSL_CLIENT_MODE = CLIENT, SSL_SERVER_MODE = SERVER,
}
local SslEncoding = { PEM = 0, DER = 1 }

-- Certificates and keys ---------------------------------------------------------------------------

-- The PEM text of what was given in PEM or DER.
local function to_pem(data, encoding, title_of)
    if encoding == SslEncoding.DER then
        return core.part "pem" (data, title_of(data))
    end
    return data
end

-- A key in DER does not name its kind; what the three kinds begin with is told apart here.
local function title_of_key(data)
    local length = data:byte(2) or 0
    -- Behind the outer head: the version, and what follows it.
    local at = length > 128 and 3 + length - 128 or 3
    local version, kind = data:byte(at + 2), data:byte(at + 3)
    if version == 1 then
        return "EC PRIVATE KEY"
    end
    return kind == 0x30 and "PRIVATE KEY" or "RSA PRIVATE KEY"
end

local PEM = {} -- the key of a certificate's or key's text

local function is_a(value, class)
    return type(value) == "table" and getmetatable(value) == class.metatable
end

local function material(name, title_of)
    local class = { metatable = { __name = name, __type = name } }
    class.metatable.__index = class.metatable
    class.metatable.__tostring = function()
        return name
    end
    local public = {}
    -- The encoding comes last; a key's algorithm, if named before it, is found in the key itself.
    function public.new(data, ...)
        if type(data) ~= "string" then
            bad("data", name .. ".new", "string", data)
        end
        local count = select("#", ...)
        local encoding = count > 0 and select(count, ...) or SslEncoding.PEM
        if encoding ~= SslEncoding.PEM and encoding ~= SslEncoding.DER then
            bad("encoding", name .. ".new", "one of SslEncoding", encoding)
        end
        return setmetatable({ [PEM] = to_pem(data, encoding, title_of) }, class.metatable)
    end
    return public, class
end

local SslCertificate, Certificate = material("SslCertificate", function()
    return "CERTIFICATE"
end)
local SslKey, Key = material("SslKey", title_of_key)

-- SslConfiguration --------------------------------------------------------------------------------

local FIELDS = {} -- the key of a configuration's fields
local Configuration = { metatable = { __name = "SslConfiguration", __type = "SslConfiguration" } }

local function check_verify_mode(value)
    if not common.is_whole(value, AUTO) then
        bad_value("peer_verify_mode", "0 to 3", core.got(value))
    end
    return value
end

local function check_certificates(name, list)
    local right, copy = type(list) == "table", {}
    for place, certificate in ipairs(right and list or {}) do
        right = right and is_a(certificate, Certificate)
        copy[place] = certificate
    end
    if not right then
        bad_value(name, "list of SslCertificate", type(list))
    end
    return copy
end

local configuration_get, configuration_set, configuration_methods = {}, {}, {}

function configuration_get.local_certificate(fields)
    return fields.chain[1]
end

function configuration_set.local_certificate(fields, certificate)
    fields.chain = check_certificates("local_certificate", { certificate })
end

function configuration_get.local_certificate_chain(fields)
    return check_certificates("local_certificate_chain", fields.chain)
end

function configuration_set.local_certificate_chain(fields, chain)
    fields.chain = check_certificates("local_certificate_chain", chain)
end

function configuration_get.private_key(fields)
    return fields.key
end

function configuration_set.private_key(fields, key)
    if key ~= nil and not is_a(key, Key) then
        bad_value("private_key", "SslKey", type(key))
    end
    fields.key = key
end

function configuration_get.peer_verify_mode(fields)
    return fields.verify
end

function configuration_set.peer_verify_mode(fields, mode)
    fields.verify = check_verify_mode(mode)
end

local function expect(configuration, call)
    if not is_a(configuration, Configuration) then
        core.misuse(configuration, "SslConfiguration", call)
    end
end

function configuration_methods.add_ca_certificate(configuration, certificate)
    expect(configuration, "add_ca_certificate")
    if not is_a(certificate, Certificate) then
        bad("certificate", "add_ca_certificate", "SslCertificate", certificate)
    end
    local authorities = rawget(configuration, FIELDS).authorities
    authorities[#authorities + 1] = certificate
end

function Configuration.metatable.__index(configuration, name)
    expect(configuration, name)
    local getter = configuration_get[name]
    if getter then
        return getter(rawget(configuration, FIELDS))
    end
    return configuration_methods[name] or verify_modes[name]
end

function Configuration.metatable.__newindex(configuration, name, value)
    expect(configuration, name)
    local setter = configuration_set[name]
    if setter then
        setter(rawget(configuration, FIELDS), value)
    elseif configuration_methods[name] then
        core.raise("field '" .. tostring(name) .. "' of SslConfiguration is a method")
    else
        rawset(configuration, name, value)
    end
end

function Configuration.metatable.__tostring(configuration)
    expect(configuration, "__tostring")
    return "SslConfiguration"
end

local SslConfiguration = copy_of(verify_modes)

function SslConfiguration.new()
    local fields = { chain = {}, authorities = {}, verify = AUTO }
    return setmetatable({ [FIELDS] = fields }, Configuration.metatable)
end

local function joined(list)
    local texts = {}
    for index, certificate in ipairs(list) do
        texts[index] = certificate[PEM]
    end
    return texts[1] and table.concat(texts, "\n") or nil
end

-- The core's form of it, or nil and why not. A client verifies by itself; a server asks its clients
-- for certificates only where it verifies them.
local function compile(configuration, role)
    local fields = rawget(configuration, FIELDS)
    local verify = fields.verify == VERIFY or fields.verify == AUTO and role == CLIENT
    local ca = verify and joined(fields.authorities) or nil
    local ok, result = pcall(evsock.tls, {
        verify = verify,
        ca = ca,
        cafile = verify and not ca and settings:get("cafile") or nil,
        cert = joined(fields.chain),
        key = fields.key and fields.key[PEM],
        client_auth = role == SERVER and verify and "require" or nil,
    })
    if ok then
        return result
    end
    local why = tostring(result):gsub("^.-: bad tls option[^(]*", "")
    settings:log("error", "net: " .. why)
    return nil, why
end

-- The property `configuration` of a socket or server.
local function configuration_property(get, set, record_of)
    local function configuration_of(object)
        local record = record_of(object)
        record.configuration = record.configuration or SslConfiguration.new()
        return record.configuration
    end
    get.configuration = configuration_of
    function set.configuration(object, value)
        if not is_a(value, Configuration) then
            bad_value("configuration", "SslConfiguration", type(value))
        end
        record_of(object).configuration = value
    end
    return configuration_of
end

-- SslSocket ---------------------------------------------------------------------------------------

local record_of, notify = socket.record_of, socket.notify

local call_encrypted = common.caller "encrypted_handler"
local call_mode_changed = deferred.caller_with_value "mode_changed_handler"

function notify.encrypted(object, record)
    record.encrypted = true
    return call_encrypted(object)
end

function notify.mode_changed(object, record, mode)
    record.ssl_mode = mode
    return call_mode_changed(object, record, mode)
end

local on = copy_of(socket.on)

-- TCP stands; the handshake begins. Of an upgrade the script knows already.
function on.securing(object)
    local record = record_of(object)
    if record.live and not record.stood then
        socket.stands(object, record)
        add(record, "mode_changed", CLIENT)
    end
    return socket.follow(object, record)
end

local function is_secured(object)
    local record = record_of(object)
    if record.live then
        record.secured = true
        add(record, "encrypted")
        stream.progress(object, record)
        if record.closing then
            socket.end_when_flushed(object, record)
        end
    end
    return socket.follow(object, record)
end

function on.connect(object)
    if record_of(object).tls then
        return is_secured(object)
    end
    return socket.on.connect(object)
end

on.secure = is_secured

local get, set = copy_of(socket.get), {}
local configuration_of = configuration_property(get, set, record_of)

function get.encrypted(object)
    return record_of(object).encrypted == true
end

function get.mode(object)
    return record_of(object).ssl_mode or UNENCRYPTED
end

function get.peer_verify_mode(object)
    return configuration_of(object).peer_verify_mode
end

function set.peer_verify_mode(object, mode)
    configuration_of(object).peer_verify_mode = check_verify_mode(mode)
end

local methods = copy_of(socket.methods)

-- Bad certificates or keys.
local INVALID = 21

function methods.connect_encrypted(object, host, port, mode)
    local record = record_of(object)
    host = common.check_text(host, "host", "connect_encrypted")
    port = common.check_port(port, "connect_encrypted")
    mode = stream.check_mode(mode or 3, "connect_encrypted")
    local tls, why = compile(configuration_of(object), CLIENT)
    if not tls and not record.live then
        return deferred.fail(object, record, { INVALID, why })
    end
    socket.start(object, host, port, mode, tls)
end

function methods.start_client_encryption(object)
    local record = record_of(object)
    if not record.live or record.state ~= 3 or record.closing or record.tls then
        return
    end
    local tls, why = compile(configuration_of(object), CLIENT)
    if not tls then
        -- What the script means to keep secret must not go out in the clear.
        deferred.fail(object, record, { INVALID, why })
        methods.abort(object)
        return
    end
    record.tls = tls
    add(record, "mode_changed", CLIENT)
    -- If it cannot begin, the end of the connection tells why.
    core.socket.start_tls(object, tls)
    deferred.after_method(object, record)
end

local handlers = { "encrypted_handler", "mode_changed_handler" }
for _, name in ipairs(socket.handlers) do
    handlers[#handlers + 1] = name
end

local SslSocket = copy_of(socket.TcpSocket)
constants.add_constants(SslSocket, get, verify_modes)
constants.add_constants(SslSocket, get, socket_modes)

local Socket = core.class {
    name = "SslSocket",
    kind = "socket",
    anchor = "handlers",
    handlers = handlers,
    methods = methods,
    get = get,
    set = set,
    on = on,
    tostring = socket.printer "SslSocket",
}

function SslSocket.new()
    return socket.new(Socket)
end

-- SslServer ---------------------------------------------------------------------------------------

local server_get, server_set = copy_of(server.get), copy_of(server.set)
local server_configuration = configuration_property(server_get, server_set, server.record_of)
local server_methods = copy_of(server.methods)

function server_methods.listen(object, port)
    local tls, why = compile(server_configuration(object), SERVER)
    local fields = rawget(server_configuration(object), FIELDS)
    if tls and not (fields.chain[1] and fields.key) then
        tls, why = nil, "a server needs local_certificate and private_key"
    end
    if not tls then
        server.record_of(object).error_string = why
        return false
    end
    return server.listen(object, port, Socket, tls)
end

server_methods.listen_async = deferred.async("listen_async", server_methods.listen)

-- Its connections are announced when they are encrypted.
function server_methods.next_pending_connection(object)
    local taken = server.methods.next_pending_connection(object)
    if taken then
        local record = record_of(taken)
        record.tls, record.secured = true, true
        record.encrypted, record.ssl_mode = true, SERVER
    end
    return taken
end

server_methods.next_pending_connection_async = deferred.async(
    "next_pending_connection_async", server_methods.next_pending_connection)
server_methods.next_pending_secure_connection = server_methods.next_pending_connection
server_methods.next_pending_secure_connection_async = deferred.async(
    "next_pending_secure_connection_async", server_methods.next_pending_connection)

local Server = core.class {
    name = "SslServer",
    kind = "server",
    anchor = "handlers",
    handlers = server.handlers,
    methods = server_methods,
    get = server_get,
    set = server_set,
    on = server.on,
    tostring = server.printer "SslServer",
}

local SslServer = {}

function SslServer.new()
    return server.new(Server)
end

return {
    SslCertificate = SslCertificate,
    SslConfiguration = SslConfiguration,
    SslEncoding = SslEncoding,
    SslKey = SslKey,
    SslServer = SslServer,
    SslSocket = SslSocket,
}
