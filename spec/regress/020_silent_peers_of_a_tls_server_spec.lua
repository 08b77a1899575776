-- 256 peers that connected and said nothing shut a server with TLS for everybody, until the time of
-- their handshakes was up; with `max_connections = 50`, 50 peers did. A handshake under way is now
-- no connection: it takes no place of the script's queue nor of `max_connections`, has a bound and
-- a time of its own, and when there are too many the oldest that says nothing is ended.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local pharos = require "evsock.pharos"
local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until

local certificates = kit.certificates_for(setup, teardown)

-- Connections that never say what a handshake begins with; `word`: what they say instead.
local function connect_silently(port, count, word)
    local peers, open = {}, 0
    for i = 1, count do
        peers[i] = helper.connect(port, {
            on_connect = function(sock)
                open = open + 1
                if word then
                    sock:write(word)
                end
            end,
        })
    end
    pump_until(function() return open == count end, 10, "all silent peers connected")
    helper.pump_for(0.05)
    return peers
end

local function echo(sock)
    sock:write(sock:read())
end

-- Whether an honest client is served.
local function serve(port)
    local answer
    local client = helper.track(evsock.connect("127.0.0.1", port, {
        tls = { cafile = certificates:path("ca.pem"), server_name = "localhost" },
        on_data = function(sock) answer = sock:read() end,
    }))
    client:write("hello")
    pump_until(function() return answer == "hello" end, 5, "the honest client is served")
    return client
end

local function tls_server(options)
    options.tls = certificates:identity("ecdsa")
    options.on_data = echo
    return helper.server(options)
end

describe("regress 020", function()
    after_each(helper.finish)

    it("300 peers that say nothing shut nobody out", function()
        local record = tls_server {}
        connect_silently(record.port, 300)
        serve(record.port)
        assert.equal(1, #record.sockets)
    end)

    it("nor do peers that say one byte", function()
        local record = tls_server {}
        connect_silently(record.port, 300, "\22")
        serve(record.port)
    end)

    it("silent peers are no connections, and take no place of max_connections", function()
        local record = tls_server { max_connections = 2 }
        connect_silently(record.port, 60)
        assert.equal(0, record.server.connections)
        serve(record.port)
        assert.equal(1, record.server.connections)
    end)

    it("who is secured while max_connections are there waits until one of them goes", function()
        local record = tls_server { max_connections = 1 }
        local first, answer = serve(record.port), nil
        local open = expect(1)
        local second = helper.track(evsock.connect("127.0.0.1", record.port, {
            tls = { cafile = certificates:path("ca.pem"), server_name = "localhost" },
            on_connect = open,
            on_data = function(sock) answer = sock:read() end,
        }))
        second:write("me, too")
        helper.pump_for(0.1)
        assert.equal(1, #record.sockets)
        assert.equal(1, record.server.connections)
        first:close()
        pump_until(function() return answer == "me, too" end, 5, "the one that has waited")
        assert.equal(2, #record.sockets)
    end)

    -- A server in a process with few descriptors, and 80 peers in another that say next to nothing:
    -- all wait in the system's queue, and an honest client behind them. `spare`: how many
    -- descriptors are left then, if not all. What the client got, and what `on_error` heard first.
    local function under_siege(descriptors, spare)
        return helper.run(([[
            local evsock = require "evsock"
            local answer, problem, code
            local server = assert(evsock.listen("127.0.0.1", 0, {
                tls = { certfile = %q, keyfile = %q },
                connect_timeout = 0,
                on_data = function(sock) sock:write(sock:read()) end,
                on_error = function(_, ...)
                    if not code then problem, code = ... end
                end,
            }))
            local function pump_until(condition)
                local deadline = evsock.now() + 5 * %d
                while not condition() and evsock.now() < deadline do evsock.pump(0.02) end
            end
            server:pause()
            local peers = io.popen("%s -e 'package.cpath = [==[" .. package.cpath
                .. "]==]' spec/programs/silent.lua " .. server.port .. " 80 18 trickle")
            assert(peers:read("*l") == "connected")
            local client = evsock.connect("127.0.0.1", server.port, {
                tls = { cafile = %q, server_name = "localhost" },
                on_data = function(sock) answer = sock:read() end,
            })
            client:write("hello")
            pump_until(function() return client.state == "securing" end)
            local files, spare = {}, %d
            local file = spare > 0 and io.open("/dev/null")
            while file do
                files[#files + 1] = file
                file = io.open("/dev/null")
            end
            for i = 1, spare do table.remove(files):close() end
            server:resume()
            pump_until(function() return answer end)
            local count = spare == 0 and io.popen("ls /proc/$PPID/fd | wc -l"):read("*n") or 0
            print(answer, code, count < 80 and "few" or count, problem)
            os.exit(0) -- the peers end when nobody listens
        ]]):format(certificates:path("ecdsa.pem"), certificates:path("ecdsa.key"), helper.slow,
            helper.lua, certificates:path("ca.pem"), spare), nil, "ulimit -n " .. descriptors)
    end

    it("beyond the bound the oldest that says nothing is ended, and on_error tells it", function()
        local said = under_siege(200, 0)
        local wanted = "^hello\tEAGAIN\tfew\taccept 127%.0%.0%.1:%d+: 50 handshakes are under way; "
            .. "the oldest that says nothing is ended for a new one\n$"
        assert.truthy(said:find(wanted), said)
    end)

    it("so it is where descriptors run out", function()
        local said = under_siege(120, 20)
        assert.truthy(said:find("^hello\tEMFILE"), said)
    end)

    it("a server of Pharos is as safe", function()
        local net = pharos.net
        local server = helper.track(net.SslServer.new())
        local configuration = net.SslConfiguration.new()
        configuration.local_certificate = net.SslCertificate.new((certificates:pem("ecdsa.pem")))
        configuration.private_key = net.SslKey.new((certificates:pem("ecdsa.key")))
        configuration.peer_verify_mode = net.SslConfiguration.VERIFY_NONE
        server.configuration = configuration
        local taken = {}
        server.new_connection_handler = function()
            local sock = server:next_pending_connection()
            taken[#taken + 1] = helper.track(sock)
            sock.ready_read_handler = function()
                sock:write(sock:read(100))
            end
        end
        assert.is_true(server:listen(0))
        connect_silently(server.port, 300)
        serve(server.port)
        assert.equal(1, #taken)
    end)
end)
