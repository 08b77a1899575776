-- What the TLS specs of the native API share: certificates beyond those of `peers/openssl.lua`,
-- servers and pairs with them, a relay that sees, cuts and spoils what passes.

local helper = require "spec.helper"
local peers = require "spec.peers.openssl"
local evsock = helper.evsock

local kit = {
    openssl = peers.openssl, run = peers.run,
    --- What must never be read by others.
    SECRET = "a secret of the application",
    --- Seconds within which a handshake must come to its end.
    WAIT = 5 * helper.slow,
}

-- Below the root of the peers' kit; `openssl ca` alone can choose both dates.
local MORE = [[
touch index
printf '[ca]\ndefault_ca = c\n[c]\ndatabase = index\nnew_certs_dir = .\nserial = serial\n' >ca.conf
printf 'default_md = sha256\npolicy = p\nx509_extensions = x\nunique_subject = no\n' >>ca.conf
printf '[p]\ncommonName = supplied\n[x]\nbasicConstraints = critical,CA:FALSE\n' >>ca.conf
printf 'keyUsage = critical,digitalSignature\nsubjectAltName = DNS:localhost\n' >>ca.conf
echo 01 >serial
dated() { # NAME BEGIN END
    openssl req -new -config conf -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
        -subj /CN=localhost -keyout "$1.key" -out "$1.csr"
    openssl ca -batch -notext -config ca.conf -cert ca.pem -keyfile ca.key -in "$1.csr" \
        -out "$1.pem" -startdate "$2" -enddate "$3"
}
dated expired 20200101000000Z 20210101000000Z
dated early 20900101000000Z 20910101000000Z
openssl pkcs8 -topk8 -in ecdsa.key -out locked.key -passout pass:secret
cat ecdsa.key ecdsa.pem >both.pem
openssl x509 -in ecdsa.pem -outform DER -out der.pem
: >empty.pem
]]

--- Those of the peers' kit, and: expired, early (not valid yet), locked.key (encrypted), both.pem
--- (key and certificate in one), der.pem, empty.pem. `more`: what else is made.
function kit.certificates(more)
    return peers.certificates(MORE .. (more or ""))
end

--- The same for all tests of a file or block, as in the peers' kit.
function kit.certificates_for(setup, teardown, more)
    return peers.certificates_for(setup, teardown, MORE .. (more or ""))
end

local function merge(...)
    local all = {}
    for i = 1, select("#", ...) do
        for name, value in pairs(select(i, ...) or {}) do
            all[name] = value
        end
    end
    return all
end

kit.merge = merge

--- A server with the certificate of that name; `sockets`, and `errors` as { message, code }.
function kit.server(certificates, name, tls, options)
    local record = { sockets = {}, errors = {} }
    record.server = helper.track(assert(evsock.listen("127.0.0.1", 0, merge({
        tls = certificates:identity(name, tls),
        on_accept = function(_, sock)
            record.sockets[#record.sockets + 1] = helper.track(sock)
        end,
        on_error = function(_, message, code)
            record.errors[#record.errors + 1] = { message, code }
        end,
    }, options))))
    record.port = record.server.port
    return record
end

--- A client that trusts the root, and what the server accepted for it. `port`: of a relay.
function kit.pair(certificates, client_options, server_options, port)
    local record = port or kit.server(certificates, "ecdsa", nil, server_options)
    local to = type(record) == "number" and record or record.port
    local client = helper.track(evsock.connect("localhost", to, merge({
        tls = { cafile = certificates:path("ca.pem") } }, client_options)))
    if type(record) == "number" then
        return client
    end
    helper.pump_until(function()
        return client.state == "open" and record.sockets[1]
    end, 5 * helper.slow, "a secured pair")
    return client, record.sockets[1], record
end

--- How a connection ends: `over`, and what `on_close` was told as `message` and `code`.
function kit.closing_of(sock)
    local told = {}
    sock.on_close = helper.expect(function(_, message, code)
        told.over, told.message, told.code = true, message, code
    end, 1)
    return told
end

--- Waits for that end and returns its code.
function kit.wait_for(told)
    helper.pump_until(function() return told.over end, 5 * helper.slow, "on_close")
    return told.code
end

--- A relay to a port, in plain TCP: `up` and `down` are what passed. `change(bytes, way)` may
--- answer with others, or with nil to hold them; `cut()` ends both sides without a word of TLS.
function kit.relay(port)
    local record = { up = "", down = "" }
    local front = helper.server()
    front.server.on_accept = function(_, near)
        helper.track(near)
        local far = helper.connect(port)
        local function pass(from, to, way)
            from.on_data = function()
                local bytes = from:read()
                record[way] = record[way] .. bytes
                if record.change then
                    bytes = record.change(bytes, way)
                end
                if bytes then
                    to:write(bytes)
                end
            end
            from.on_close = function()
                to:close()
            end
        end
        pass(near, far, "up")
        pass(far, near, "down")
        record.near, record.far = near, far
        record.cut = function()
            near.on_close, far.on_close = nil, nil
            near:close()
            far:close()
        end
    end
    record.port = front.port
    return record
end

return kit
