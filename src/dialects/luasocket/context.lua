-- LuaSec's contexts: what its parameters mean to the core, or what is said where they ask for what
-- nobody here can do.
--
-- Not here: connections (`ssl.lua`), TLS itself (`src/tls`). Invariant: a parameter that makes a
-- connection stricter is met or refused, never passed over.

local _, core = ...
local shared = core.part "luasocket/shared"

-- What is spoken ----------------------------------------------------------------------------------

-- Oldest and newest version by protocol. A protocol alone is also the newest.
local PROTOCOLS = {
    any = { "1.2", "1.3" }, sslv23 = { "1.2", "1.3" }, tlsv1_2 = { "1.2", "1.2" },
    tlsv1_3 = { "1.3", "1.3" },
}
-- OpenSSL has these, and nobody here.
local OLD = { tlsv1 = true, tlsv1_1 = true }

-- Suites of TLS 1.2: OpenSSL's name, ours, and what else a cipher list may call them by.
local SUITES = {
    { "ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "aECDSA ECDSA AES AES256 AESGCM SHA384" },
    { "ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "aRSA AES AES256 AESGCM SHA384" },
    { "ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "aECDSA ECDSA CHACHA20" },
    { "ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "aRSA CHACHA20" },
    { "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "aECDSA ECDSA AES AES128 AESGCM SHA256" },
    { "ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "aRSA AES AES128 AESGCM SHA256" },
}
local ALL_HAVE = "ALL DEFAULT COMPLEMENTOFDEFAULT HIGH kECDHE kEECDH ECDHE EECDH TLSv1.2 AEAD "
local SUITES_13 = {
    "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256",
}

-- Curves by OpenSSL's names, as standards name the groups. Others it knows are passed over in a
-- list: fewer are offered than were asked for.
local GROUPS = {
    x25519 = "X25519", ["p-256"] = "secp256r1", prime256v1 = "secp256r1", secp256r1 = "secp256r1",
    ["p-384"] = "secp384r1", secp384r1 = "secp384r1",
}
local OTHER_GROUPS = { ["p-521"] = true, secp521r1 = true, x448 = true }

local function of_words(text)
    local set = {}
    for word in text:gmatch("%S+") do
        set[word] = true
    end
    return set
end

-- Options that ask for what is so here anyway: no compression, no renegotiation, no old versions;
-- and those about workarounds and kinds of keys that nobody here has.
local ALWAYS_SO = of_words [[
    all allow_no_dhe_kex allow_unsafe_legacy_renegotiation cisco_anyconnect cookie_exchange
    cryptopro_tlsext_bug dont_insert_empty_fragments enable_ktls enable_middlebox_compat
    ephemeral_rsa legacy_server_connect microsoft_big_sslv3_buffer microsoft_sess_id_bug
    msie_sslv2_rsa_padding netscape_ca_dn_bug netscape_challenge_bug
    netscape_demo_cipher_change_bug netscape_reuse_cipher_change_bug no_anti_replay no_compression
    no_dtls_mask no_dtlsv1 no_dtlsv1_2 no_encrypt_then_mac no_query_mtu no_renegotiation
    no_session_resumption_on_renegotiation no_sslv2 no_sslv3 no_tlsv1 no_tlsv1_1 pkcs1_check_1
    pkcs1_check_2 safari_ecdhe_ecdsa_bug single_dh_use single_ecdh_use ssleay_080_client_dh_bug
    sslref2_reuse_cert_type_bug tls_block_padding_bug tls_d5_bug tls_rollback_bug tlsext_padding
]]
-- Options with an effect here.
local HAVE_EFFECT = of_words "cipher_server_preference no_ticket no_tlsv1_2 no_tlsv1_3"
-- Options that OpenSSL has and nobody here can follow.
local IMPOSSIBLE = of_words [[
    allow_client_renegotiation cleanse_plaintext disable_tlsext_ca_names ignore_unexpected_eof
    no_extended_master_secret no_ssl_mask prioritize_chacha
]]

-- Chains that are longer nobody here follows.
local DEEPEST = 6

-- Whether a word of a cipher list, whose parts "+" joins, stands for the suite; nil: for none.
local function is_called(suite, word)
    if word == suite[1] then
        return true
    end
    local has = of_words(ALL_HAVE .. suite[3])
    for part in word:gmatch("[^+]+") do
        if not has[part] then
            return false
        end
    end
    return true
end

-- The suites of TLS 1.2 that a list of OpenSSL's leaves, in its order: words, "!", "-" and "+" in
-- front of them, "@STRENGTH", separated by ":", "," or a blank.
local function suites_of(list)
    local left, killed = {}, {}
    local function take_out(suite)
        for place, other in ipairs(left) do
            if other == suite then
                return table.remove(left, place)
            end
        end
    end
    for mark, word in list:gmatch("([!%-+]?)([^:, ]+)") do
        for _, suite in ipairs(SUITES) do
            if word:sub(1, 1) ~= "@" and is_called(suite, word) then
                local had = take_out(suite)
                killed[suite] = killed[suite] or mark == "!"
                if not killed[suite] and (mark == "" or mark == "+" and had) then
                    left[#left + 1] = suite
                end
            end
        end
    end
    local names = {}
    for place, suite in ipairs(left) do
        names[place] = suite[2]
    end
    return names
end

-- Parameters --------------------------------------------------------------------------------------

-- Each takes the table of parameters and fills that of the core's settings; nil and why, else true.
local take = {}

-- A parameter that is a word or a list of words.
local function words_of(value)
    if value == nil then
        return {}
    end
    return type(value) == "table" and value or { value }
end

function take.protocol(cfg, settings)
    local name = cfg.protocol
    if type(name) ~= "string" then
        core.raise("bad argument #1 to 'create' (string expected, got " .. type(name) .. ")")
    end
    local versions = PROTOCOLS[name]
    if versions then
        settings.min_version, settings.max_version = versions[1], versions[2]
        return true
    elseif OLD[name] then
        return nil, "invalid protocol (" .. name .. "): nothing older than tlsv1_2 is spoken"
    end
    return nil, "invalid protocol (" .. name .. ")"
end

local MODES = { client = true, server = true }

function take.mode(cfg, settings)
    if not MODES[cfg.mode] then
        return nil, "invalid mode (" .. tostring(cfg.mode) .. ")"
    end
    settings.is_server = cfg.mode == "server"
    return true
end

-- Whether a file can be read; OpenSSL looks at it at once, too.
local function readable(path)
    local file, why = io.open(path, "rb")
    if not file then
        return nil, why
    end
    file:close()
    return true
end

local function text_of(path)
    local file, why = io.open(path, "rb")
    local text = file and file:read("*a")
    if file then
        file:close()
    end
    return text, why or "it can not be read"
end

-- The password of a key; a function is asked only if there is something to open.
local function password_of(key, password)
    if type(password) == "function" then
        local locked = (text_of(key) or ""):find("ENCRYPTED", 1, true)
        password = locked and password()
        password = type(password) == "number" and tostring(password) or password
    end
    return type(password) == "string" and password or nil
end

function take.certificates(cfg, settings)
    local list = cfg.certificates or { cfg }
    if list[2] then
        return nil, "several certificates for one context are not available"
    end
    local own = list[1] or {}
    local password = own.password
    if own.key and password and type(password) ~= "function" and type(password) ~= "string" then
        return nil, "invalid password type"
    end
    for _, name in ipairs { "key", "certificate" } do
        if own[name] then
            local ok, why = readable(own[name])
            if not ok then
                local what = name == "key" and "private key" or name
                return nil, "error loading " .. what .. " (" .. why .. ")"
            end
        end
    end
    if own.certificate and own.key then
        settings.certfile, settings.keyfile = own.certificate, own.key
        settings.password = password_of(own.key, password)
    end
    return true
end

function take.authorities(cfg, settings)
    if not cfg.capath then
        settings.cafile = cfg.cafile
        return true
    end
    local text, why = core.system.certificates_of(cfg.capath)
    if text and cfg.cafile then
        local more
        more, why = core.common.read_file(cfg.cafile)
        text = more and more .. "\n" .. text
    end
    if not text then
        return nil, "error loading CA locations (" .. why .. ")"
    elseif text ~= "" then
        settings.ca = text
    end
    return true
end

function take.ciphers(cfg, settings)
    if not (cfg.ciphers or cfg.ciphersuites) then
        return true
    end
    local suites = suites_of(shared.text(cfg.ciphers or "ALL", 2, "setcipher"))
    if not suites[1] then
        return nil, "error setting cipher list (no cipher match)"
    end
    local newest = SUITES_13
    if cfg.ciphersuites then
        newest = {}
        local list = shared.text(cfg.ciphersuites, 2, "setciphersuites")
        for name in list:gmatch("[^:]+") do
            for _, known in ipairs(SUITES_13) do
                newest[#newest + 1] = known == name and name or nil
            end
        end
        if not newest[1] then
            return nil, "error setting cipher list (no cipher match)"
        end
    end
    local all = {}
    for _, list in ipairs { newest, suites } do
        for _, name in ipairs(list) do
            all[#all + 1] = name
        end
    end
    settings.suites = all
    return true
end

local VERIFY = of_words "none peer client_once fail_if_no_peer_cert"

function take.verify(cfg, settings)
    local wants = {}
    for _, word in ipairs(words_of(cfg.verify)) do
        if not VERIFY[word] then
            return nil, "invalid verify option (" .. tostring(word) .. ")"
        end
        wants[word] = true
    end
    settings.verify = wants.peer or false
    if settings.is_server and wants.peer then
        settings.client_auth = wants.fail_if_no_peer_cert and "require" or "request"
    end
    -- A server that asks nobody has nothing to verify, and the core wants no contradiction.
    settings.verify = settings.verify or settings.is_server
    return true
end

-- What LuaSec does not have: the core's own options, checked there. Who has a fingerprint is
-- verified by that.
function take.beyond(cfg, settings)
    local list = cfg.fingerprint
    if type(list) == "string" then
        list = { list }
    end
    for place, text in pairs(type(list) == "table" and list or {}) do
        if type(place) ~= "number" or type(text) ~= "string" then
            list = false
        end
    end
    if list ~= nil and not (type(list) == "table" and list[1]) then
        return nil, 'fingerprint: "sha256:..." or a list of such texts expected'
    elseif list and settings.is_server and not settings.client_auth then
        return nil, "fingerprint: a server asks for certificates with verify = 'peer' only"
    elseif list and cfg.verify == nil then
        settings.verify = true
    end
    local path = cfg.keylog
    if path ~= nil and type(path) ~= "string" and type(path) ~= "boolean" then
        return nil, "keylog: path or boolean expected"
    end
    settings.fingerprint, settings.keylog = list, path
    return true
end

local VERIFY_MORE = of_words "lsec_continue lsec_ignore_purpose crl_check crl_check_chain"

function take.verifyext(cfg, settings)
    local wants = {}
    for _, word in ipairs(words_of(cfg.verifyext)) do
        if not VERIFY_MORE[word] then
            return nil, "invalid verify option (" .. tostring(word) .. ")"
        end
        wants[word] = true
    end
    if wants.crl_check or wants.crl_check_chain then
        return nil, "lists of revoked certificates are not available"
    elseif wants.lsec_continue and not settings.is_server then
        settings.verify, settings.goes_on = false, true
    elseif next(wants) then
        return nil, "verifyext: a server can not go on with clients that it does not believe, "
            .. "nor ignore what a certificate is for"
    end
    return true
end

function take.options(cfg, settings)
    for _, name in ipairs(words_of(cfg.options)) do
        if IMPOSSIBLE[name] then
            return nil, "invalid option (" .. name .. "): it is not available"
        elseif not (ALWAYS_SO[name] or HAVE_EFFECT[name]) then
            return nil, "invalid option (" .. tostring(name) .. ")"
        elseif name == "no_tlsv1_2" then
            settings.min_version = "1.3"
        elseif name == "no_tlsv1_3" then
            settings.max_version = "1.2"
        elseif name == "no_ticket" then
            settings.resumes = false
        elseif name == "cipher_server_preference" then
            settings.prefers_own_suites = true
        end
    end
    if settings.min_version > settings.max_version then
        return nil, "the options leave no version of TLS"
    end
    return true
end

function take.depth(cfg)
    local depth = cfg.depth and shared.number(cfg.depth, 2, "setdepth")
    if depth and depth < DEEPEST then
        return nil, "depth: a bound below " .. DEEPEST .. " is not available"
    end
    return true
end

-- There is no key exchange that these would be for.
function take.dhparam(cfg)
    if cfg.dhparam and type(cfg.dhparam) ~= "function" then
        return nil, "invalid DH parameter type"
    end
    return true
end

function take.curves(cfg, settings)
    local list = cfg.curveslist or cfg.curve
    if not list then
        return true
    end
    local groups = {}
    for name in shared.text(list, 2, "setcurve"):gmatch("[^:]+") do
        local group = GROUPS[name:lower()]
        if group then
            groups[#groups + 1] = group
        elseif not (OTHER_GROUPS[name:lower()] and cfg.curveslist) then
            return nil, cfg.curveslist and ('unknown elliptic curve in "' .. list .. '"')
                or ("elliptic curve '" .. list .. "' not supported")
        end
    end
    if not groups[1] then
        return nil, 'no elliptic curve in "' .. list .. '" is available'
    end
    settings.groups = groups
    return true
end

function take.alpn(cfg, settings)
    local list = cfg.alpn
    if not list then
        return true
    elseif settings.is_server and type(list) == "function" then
        return nil, "alpn: a function can not choose here; give the list of protocols"
    elseif type(list) == "string" and not settings.is_server then
        list = { list }
    elseif type(list) ~= "table" then
        return nil, "invalid ALPN parameter"
    end
    local names = {}
    for place, name in ipairs(list) do
        if type(name) ~= "string" then
            return nil
        elseif name == "" then
            return nil, "invalid ALPN name (empty string)"
        elseif #name > 255 then
            return nil, "invalid ALPN name (length > 255)"
        end
        names[place] = name
    end
    if not names[1] then
        return nil, "invalid ALPN list (empty)"
    end
    settings.alpn = names
    return true
end

function take.dane(cfg)
    if cfg.dane then
        return nil, "dane is not available"
    end
    return true
end

local ORDER = {
    "protocol", "mode", "certificates", "authorities", "ciphers", "verify", "beyond", "verifyext",
    "options", "depth", "dhparam", "curves", "alpn", "dane",
}

-- `ssl.config`: what may be given.
local function config()
    local known = {
        curves = {}, options = {}, protocols = { tlsv1_2 = true, tlsv1_3 = true },
    }
    for _, set in ipairs { ALWAYS_SO, HAVE_EFFECT } do
        for name in pairs(set) do
            known.options[name] = true
        end
    end
    for _, name in ipairs { "X25519", "P-256", "P-384", "prime256v1", "secp384r1" } do
        known.curves[name] = true
    end
    known.algorithms = { ec = true }
    known.capabilities = { alpn = true, curves_list = true, ecdh_auto = true }
    return known
end

-- Contexts ----------------------------------------------------------------------------------------

local Context = shared.class("SSL:Context", {}, {})
Context.__tostring = shared.printer "SSL context"

-- The core's reason in LuaSec's words.
local function explained(why)
    if why:find("the key of another certificate", 1, true) then
        return "private key does not match public key"
    end
    local what = why:find("^keyfile") and "private key" or why:find("^certfile") and "certificate"
        or why:find("^'?ca") and "CA locations"
    return what and "error loading " .. what .. " (" .. why .. ")" or why
end

local function compile(context, checks_name)
    local settings = core.common.copy_of(context.settings)
    settings.insecure_name = not checks_name
    return core.system.tls(settings)
end

local contexts = { config = config() }

-- A context of LuaSec's parameters, or nil and why not.
function contexts.new(cfg)
    if type(cfg) ~= "table" then
        shared.expected(1, "newcontext", "table", cfg)
    end
    local settings = {}
    for _, name in ipairs(ORDER) do
        local ok, why = take[name](cfg, settings)
        if not ok then
            return nil, why
        end
    end
    local goes_on = settings.goes_on
    settings.goes_on = nil
    local context = setmetatable({ settings = settings, goes_on = goes_on }, Context)
    local compiled, why = compile(context, false)
    if not compiled then
        return nil, explained(why)
    end
    context.compiled = compiled
    return context
end

function contexts.is(value)
    return getmetatable(value) == Context
end

-- Whether peers that are not believed are spoken with all the same.
function contexts.goes_on(context)
    return context.goes_on
end

function contexts.is_server(context)
    return context.settings.is_server
end

-- What a connection begins with. Where its peer has a name, the certificate must be for that name.
function contexts.compiled(context, has_name)
    if not has_name or context.settings.is_server or context.settings.insecure_name then
        return context.compiled
    end
    if not context.named then
        context.named = compile(context, true)
    end
    return context.named
end

-- What a server's connection begins with where others ask by name for other contexts.
function contexts.with_names(context, named, strict)
    if type(named) ~= "table" then
        shared.expected(1, "sni", "table", named)
    end
    local others = {}
    for name, other in pairs(named) do
        if not contexts.is(other) then
            shared.bad_argument(1, "sni", "invalid context")
        end
        others[name] = other.compiled
    end
    local compiled = core.system.with_names(context.compiled, others, strict and true or false)
    return compiled or core.raise("sni: each context needs a certificate and its key")
end

-- Whether the peer's chain leads to an authority of the context: true, or nil and why not.
function contexts.judge(context, chain)
    local settings = context.settings
    if not (settings.ca or settings.cafile) then
        return nil, "unable to get local issuer certificate"
    end
    if not context.judge then
        context.judge = core.system.tls {
            ca = settings.ca, cafile = settings.cafile, insecure_name = true,
        }
    end
    return core.system.judge(context.judge, chain, "")
end

return contexts
