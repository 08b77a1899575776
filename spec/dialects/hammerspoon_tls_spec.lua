-- hs.socket: startTLS, over the wire.
-- dialects.md 6.8 > "TLS"; 1.13 (cafile, hosts)

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local tools = require "spec.dialects.hammerspoon_tools"
local hammerspoon = require "evsock.hammerspoon"
local new, wait, raises = tools.new, tools.wait, tools.raises

describe("hs.socket TLS:", function()
    local certificates = kit.certificates_for(setup, teardown)

    setup(function()
        hammerspoon.configure { cafile = certificates:path("ca.pem") }
    end)

    after_each(tools.finish)

    -- A client whose first message of TLS has arrived, and the peer that has not read it.
    local function greeting_pair()
        local client, peer = tools.pair()
        client:startTLS(false)
        wait(function()
            return peer.buffered > 0
        end)
        return client, peer
    end

    -- A peer that becomes a TLS server when it has read `cue` in clear. What it reads afterwards is
    -- in `secret`; it answers that with `answer`.
    local function upgrading(name, cue, answer)
        local state = { clear = "", secret = "" }
        local record = helper.server()
        record.server.on_accept = function(_, sock)
            helper.track(sock)
            state.peer = sock
            sock.on_data = function()
                if state.begun then
                    state.secret = state.secret .. sock:read()
                    if answer then
                        sock:write(answer)
                        answer = nil
                    end
                    return
                end
                state.clear = state.clear .. (sock:read(#cue - #state.clear) or "")
                if state.clear == cue then
                    state.begun = true
                    if state.greeting then
                        sock:write(state.greeting)
                    end
                    sock:start_tls(certificates:identity(name or "ecdsa"))
                end
            end
        end
        return state, record.port
    end

    -- What becomes of a client that says startTLS with these arguments to a TLS server.
    local function outcome(name, host, ...)
        local server = helper.server { tls = certificates:identity(name) }
        hammerspoon.configure { hosts = { [host] = "127.0.0.1:" .. server.port } }
        local callback = tools.note()
        local client = new(callback):connect(host, 443)
        client:startTLS(...)
        wait(function()
            local info = client:info()
            return info.isSecure or info.isDisconnected
        end, "a handshake or its failure")
        return client:info().isSecure, client, server
    end

    it("6.8 what was queued before startTLS goes in clear, what comes after is secured", function()
        local state, port = upgrading("ecdsa", "STARTTLS\n", "secret answer\n")
        state.greeting = "go ahead\n"
        local callback, log = tools.note()
        local client = new(callback):connect("localhost", port)
        local written = {}
        local function note(tag)
            written[#written + 1] = { tag, client:info().isSecure }
        end
        client:write("STARTTLS\n", 1, note)
        client:read("\n", 1)
        client:startTLS()
        client:write("secret question\n", 2, note)
        client:read("\n", 2)
        tools.wait_for(log, 2)
        assert.same({ { "go ahead\n", 1 }, { "secret answer\n", 2 } }, { log[1], log[2] })
        assert.same({ { 1, false }, { 2, true } }, { written[1], written[2] })
        assert.same({ "STARTTLS\n", "secret question\n" }, { state.clear, state.secret })
        assert.is_truthy(state.peer.tls)
    end)

    it("6.8 the handshake waits for a read queued before, however long that takes", function()
        local record = helper.server()
        local callback, log = tools.note()
        local client = new(callback):connect("127.0.0.1", record.port)
        client:read("\n", 1)
        client:startTLS(false)
        client:write("after", 2)
        helper.wait_accepted(record)
        helper.pump_for(0.05)
        assert.equal(0, record.sockets[1].buffered)
        record.sockets[1]:write("now\n")
        tools.wait_for(log, 1)
        -- The first record of a client's.
        assert.equal("\22\3", tools.received(record.sockets[1], 100):sub(1, 2))
    end)

    it("6.8 the handshake waits for a write queued before", function()
        local record = helper.server({ read_limit = 1024 })
        local client = new():connect("127.0.0.1", record.port)
        local clear = ("x"):rep(16 * 1024 * 1024)
        client:write(clear)
        client:startTLS(false)
        local peer, count, hello = helper.wait_accepted(record), 0, ""
        local function take()
            local data = peer:read() or ""
            hello = hello .. data:sub(math.max(#clear - count, 0) + 1)
            count = count + #data
        end
        peer.on_data = take
        take()
        wait(function()
            return #hello >= 2
        end)
        assert.equal("\22\3", hello:sub(1, 2))
    end)

    it("6.8 no argument: the chain is verified, the host name is not", function()
        assert.is_true((outcome("ecdsa", "wrong.example")))
        assert.is_false((outcome("other", "localhost")))
    end)

    it("6.8 true: the same", function()
        assert.is_true((outcome("ecdsa", "wrong.example", true)))
        assert.is_false((outcome("other", "localhost", true)))
    end)

    it("6.8 a string: the chain is verified and the name must match", function()
        assert.is_true((outcome("ecdsa", "wrong.example", "localhost")))
        assert.is_false((outcome("ecdsa", "localhost", "wrong.example")))
        assert.is_false((outcome("other", "localhost", "localhost")))
    end)

    it("6.8 a name that no certificate can have never matches", function()
        assert.is_false((outcome("ecdsa", "localhost", "no such name")))
        assert.is_false((outcome("ecdsa", "localhost", "")))
    end)

    it("6.8 false: nothing is verified", function()
        assert.is_true((outcome("other", "wrong.example", false)))
    end)

    it("6.8 the form with two parameters is accepted, too", function()
        assert.is_true((outcome("ecdsa", "wrong.example", true, "localhost")))
        assert.is_false((outcome("ecdsa", "localhost", true, "wrong.example")))
        assert.is_false((outcome("ecdsa", "localhost", nil, "wrong.example")))
        assert.is_true((outcome("other", "wrong.example", false, "else.example")))
    end)

    it("6.8 the chain is verified against cafile alone where configured", function()
        hammerspoon.configure { cafile = certificates:path("other.pem") }
        local trusted, refused = outcome("other", "localhost"), outcome("ecdsa", "localhost")
        hammerspoon.configure { cafile = certificates:path("ca.pem") }
        assert.same({ true, false }, { trusted, refused })
    end)

    it("6.8 the chain is verified against the system's roots where no cafile is", function()
        local server = helper.server { tls = certificates:identity("ecdsa") }
        local function try(roots)
            local output = helper.run(([[
                local evsock = require "evsock"
                require("evsock.hammerspoon").install()
                local client = hs.socket.new():connect("127.0.0.1", %d)
                client:startTLS()
                local stop, info = evsock.now() + 10
                repeat
                    evsock.pump(0.02)
                    info = client:info()
                until info.isSecure or info.isDisconnected or evsock.now() > stop
                print(info.isSecure, info.isDisconnected)
            ]]):format(server.port), nil, "unset SSL_CERT_DIR; export SSL_CERT_FILE=" .. roots)
            return output
        end
        assert.equal("true\tfalse\n", try(certificates:path("ca.pem")))
        assert.equal("false\ttrue\n", try(certificates:path("other.pem")))
    end)

    it("6.8 a cafile that cannot be read raises", function()
        local client = tools.pair()
        hammerspoon.configure { cafile = "/nowhere/ca.pem" }
        raises("/nowhere/ca.pem", function() client:startTLS() end)
        hammerspoon.configure { cafile = certificates:path("ca.pem") }
        assert.is_true(client:connected())
    end)

    it("6.8 the host given to connect is sent as server name when no peerName is given", function()
        local _, _, server = outcome("ecdsa", "device.example")
        helper.wait_accepted(server)
        assert.equal("device.example", server.sockets[1].tls.server_name)
        _, _, server = outcome("ecdsa", "device.example", "localhost")
        helper.wait_accepted(server)
        assert.equal("localhost", server.sockets[1].tls.server_name)
    end)

    it("6.8 failure disconnects at once, silently", function()
        local server = helper.server { tls = certificates:identity("other") }
        local client = new(helper.never("the read callback"))
        local never = helper.never("fn of a write")
        client:connect("127.0.0.1", server.port)
        client:startTLS()
        client:read(1)
        client:write("never sent", never)
        wait(function()
            return client:info().isDisconnected
        end)
        assert.is_false(client:connected())
        helper.pump_for(0.02)
    end)

    it("6.8 a peer that does not speak TLS is one of the failures", function()
        local client, peer = greeting_pair()
        peer:write("HTTP/1.1 400 Bad Request\r\n\r\n")
        wait(function()
            return client:info().isDisconnected
        end)
    end)

    it("6.8 plain bytes behind what was asked for in clear are one, too", function()
        local client, peer, log = tools.pair()
        client:read(2)
        client:startTLS(false)
        peer:write("okplain")
        wait(function()
            return client:info().isDisconnected
        end)
        assert.same({ "ok" }, tools.data(log))
    end)

    it("6.8 the peer's end during the handshake, or while one waits for it, likewise", function()
        local client, peer = greeting_pair()
        peer:read()
        peer:close()
        wait(function()
            return client:info().isDisconnected
        end)
        client, peer = tools.pair()
        client:read("\n")
        client:startTLS(false)
        peer:close()
        wait(function()
            return client:info().isDisconnected
        end)
    end)

    it("6.8 a second startTLS is ignored", function()
        local state, port = upgrading("ecdsa", "go\n", "fine\n")
        local callback, log = tools.note()
        local client = new(callback):connect("localhost", port)
        client:write("go\n")
        client:startTLS(false)
        assert.equal(client, client:startTLS("wrong.example"))
        client:write("x")
        client:read("\n")
        tools.wait_for(log, 1)
        assert.equal(client, client:startTLS())
        client:write("y")
        wait(function()
            return state.secret == "xy"
        end)
        assert.is_true(client:info().isSecure)
    end)

    it("6.8 before connect it is dropped, as reads and writes are", function()
        local record = helper.server()
        local client = new()
        assert.equal(client, client:startTLS())
        client:connect("127.0.0.1", record.port)
        client:write("plain")
        helper.wait_accepted(record)
        assert.equal("plain", tools.received(record.sockets[1], 5))
    end)

    it("6.8 client side only: on a listener it changes nothing", function()
        local server, clients, log = tools.crowd(1)
        assert.equal(server, server:startTLS())
        server:read("\n")
        clients[1]:write("plain\n")
        tools.wait_for(log, 1)
        assert.equal("plain\n", log[1][1])
    end)

    it("6.9 isSecure is true once the handshake is done, and false again after the end", function()
        local secure, client = outcome("ecdsa", "localhost")
        assert.is_true(secure)
        assert.is_true(client:connected())
        client:disconnect()
        assert.is_false(client:info().isSecure)
    end)

    it("6.7 the handshake has no timeout, and clocks behind it wait for it", function()
        local client, peer = tools.pair()
        client:setTimeout(0.05)
        client:startTLS(false)
        client:read(1)
        wait(function()
            return peer.buffered > 0
        end)
        helper.pump_for(0.15)
        assert.is_true(client:connected())
    end)

    it("6.9 reads drain a secured connection that the peer has closed", function()
        local _, client, server = outcome("ecdsa", "localhost")
        local callback, log = tools.note()
        client:setCallback(callback)
        helper.wait_accepted(server)
        server.sockets[1]:write("one\ntwo\n")
        server.sockets[1]:close()
        helper.pump_for(0.03)
        assert.is_true(client:connected())
        client:read("\n")
        tools.wait_for(log, 1)
        assert.is_true(client:connected())
        client:read("\n")
        tools.wait_for(log, 2)
        assert.is_false(client:connected())
    end)

    it("6.9 reads queued before are served although the peer cuts it off without a word", function()
        local relay = { }
        local server = helper.server { tls = certificates:identity("ecdsa") }
        local front = helper.server()
        front.server.on_accept = function(_, near)
            local far = helper.connect(server.port)
            relay.near = helper.track(near)
            near.on_data = function()
                far:write(near:read())
            end
            far.on_data = function()
                near:write(far:read())
            end
        end
        local callback, log = tools.note()
        local client = new(callback):connect("127.0.0.1", front.port)
        client:startTLS()
        wait(function()
            return client:info().isSecure and server.sockets[1]
        end)
        log.also = function()
            client:read("\n")
        end
        client:read("\n")
        server.sockets[1]:write("one\ntwo\n")
        tools.wait_for(log, 1)
        relay.near:close()
        tools.wait_disconnected(client)
        assert.same({ "one\n", "two\n" }, tools.data(log))
    end)

    it("1.7 all bytes pass through TLS in both directions", function()
        local all = {}
        for byte = 0, 255 do
            all[#all + 1] = string.char(byte)
        end
        all = table.concat(all):rep(300)
        local _, client, server = outcome("ecdsa", "localhost")
        local callback, log = tools.note()
        client:setCallback(callback)
        helper.wait_accepted(server)
        client:write(all)
        client:read(#all)
        assert.is_true(tools.received(server.sockets[1], #all) == all)
        server.sockets[1]:write(all)
        tools.wait_for(log, 1)
        assert.is_true(log[1][1] == all)
    end)
end)
