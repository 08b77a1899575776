-- The zone of an IPv6 address was lost where it was told -- peer_address, local_address, the sender
-- of a datagram -- so that nobody could answer a link-local peer, and was refused by listen, udp,
-- bind and groups. An interface given beside a group of IPv6 was ignored. Brackets failed with TLS
-- ("'[::1]' is no name that a certificate can have") and beside a zone, and were printed twice:
-- "connect [[::1]]:80: connection refused".
--
-- Link-local addresses are shown in a child with a network of its own, where the system lets us
-- make one; what is read and written is shown everywhere by `src/address.rs`.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until

-- An interpreter in a network where `lo` has fe80::77; a path, or nil where that can't be had.
local function secluded()
    local path = os.tmpname()
    for _, flags in ipairs { "-n", "--map-current-user --keep-caps -n", "-rn" } do
        local file = assert(io.open(path, "w"))
        file:write("#!/bin/sh\nexec unshare " .. flags .. " sh -c 'ip link set lo up 2>/dev/null"
            .. " && ip -6 addr add fe80::77/64 dev lo nodad 2>/dev/null && tries=0"
            -- Where it leads a busy system notes later than that it is there.
            .. " && until ip -6 route show table local | grep -q fe80::77 || [ $tries -ge 100 ]"
            .. "; do tries=$((tries + 1)); sleep 0.05; done"
            .. " && exec \"$@\"' network "
            .. helper.lua .. ' "$@"\n')
        file:close()
        os.execute("chmod +x " .. path)
        if helper.run("print(1)", path) == "1\n" then
            return path
        end
    end
    os.remove(path)
end

local has_ipv6 = evsock.listen("::1", 0)
if has_ipv6 then
    has_ipv6:close()
end

local PRELUDE = [[
local evsock = require "evsock"
evsock.on_unhandled = false
local HOST = "fe80::77%lo"
local child = require "spec.child"
local function wait_for(condition) child.wait_until(evsock, "a condition", condition, 10) end
-- Whether the system says that the group is joined, of the one interface that is up.
local function is_joined(group)
    return child.read_file("/proc/self/net/igmp6"):find("%slo%s+" .. group) ~= nil
end
local function free_port(host)
    local server = assert(evsock.listen(host, 0))
    local port = server.port
    server:close()
    return port
end
]]

describe("regress 035", function()
    after_each(helper.finish)

    local interpreter = secluded()
    teardown(function()
        if interpreter then
            os.remove(interpreter)
        end
    end)

    local function child(script)
        local output, status = helper.run(PRELUDE .. script .. "\nprint 'fine'", interpreter)
        helper.printed("fine\n", output, status)
    end

    if interpreter then
        it("a zone leads to its interface, and is told of both ends", function()
            child [[
                for _, host in ipairs { HOST, "[" .. HOST .. "]", "fe80::77%1" } do
                    local peer
                    local server = assert(evsock.listen(host, 0, {
                        on_accept = function(_, sock) peer = sock end,
                    }))
                    assert(server.address == HOST, server.address)
                    local place = "[" .. HOST .. "]:" .. server.port
                    assert(tostring(server) == "evsock.Server: listening " .. place)
                    local resolved
                    local sock = evsock.connect(host, server.port, {
                        bind = { host }, on_resolve = function() resolved = true end,
                    })
                    assert(sock.state == "connecting", sock.state)
                    assert(sock:wait("connect", 10))
                    wait_for(function() return peer end)
                    for _, name in ipairs { "peer_address", "local_address" } do
                        assert(sock[name] == HOST and peer[name] == HOST, name)
                    end
                    assert(sock.host == host and not resolved)
                    assert(sock:info().peer_address == HOST)
                    assert(tostring(peer) == ("evsock.Socket: open [%s]:%d"):format(
                        HOST, sock.local_port))
                    sock:abort()
                    peer:abort()
                    server:close()
                end
            ]]
        end)

        it("the sender of a datagram is told so that it can be answered", function()
            child [[
                local answered
                local one = assert(evsock.udp(HOST, 0, {
                    on_datagram = function(sock, data, host, port)
                        assert(host == HOST, host)
                        assert(sock:send_to(data .. "!", host, port))
                    end,
                }))
                local two = assert(evsock.udp("[" .. HOST .. "]", 0, {
                    on_datagram = function(_, data) answered = data end,
                }))
                assert(one.host == HOST and two.host == HOST)
                assert(two:send_to("x", "[" .. HOST .. "]", one.port))
                wait_for(function() return answered end)
                assert(answered == "x!")
                one:close()
                two:close()
            ]]
        end)

        it("a group is joined at the interface that its zone names", function()
            child [[
                local function joined() return is_joined "ff020000000000000000000000004242" end
                local group = assert(evsock.udp("::", 0))
                assert(not joined() and group:join_group("ff02::4242%lo") and joined())
                assert(group:leave_group("[ff02::4242%lo]") and not joined())
                local ok, message, code = group:join_group("ff02::4242%nowhere")
                assert(not ok and code == "EADDRNOTAVAIL", code)
                assert(message == "join_group: there is no interface 'nowhere'", message)
                group:close()
            ]]
        end)

        it("a group is joined and sent to by the interface that is given beside it", function()
            child [[
                local function joined() return is_joined "ff120000000000000000000000004242" end
                -- Only what is to leave by `lo` has a way.
                local routed = os.execute("ip -6 rule add oif lo table 77 2>/dev/null"
                    .. " && ip -6 route add multicast ff12::/16 dev lo table 77 2>/dev/null")
                routed = routed == true or routed == 0
                for _, interface in ipairs { "lo", "1" } do
                    local group = assert(evsock.udp("::", 0))
                    assert(not group:send_to("x", "ff12::4242", 9))
                    assert(not joined() and group:join_group("[ff12::4242]", interface))
                    assert(joined())
                    assert(not routed or group:send_to("x", "ff12::4242", 9))
                    assert(group:leave_group("ff12::4242", interface) and not joined())
                    group:close()
                end
                local group = assert(evsock.udp("::", 0))
                assert(group:join_group("ff12::4242%lo", "lo") and joined())
                assert(group:leave_group("ff12::4242%lo", "lo") and not joined())
                group:close()
            ]]
        end)

        it("messages name the zone, and brackets stand once", function()
            child [[
                for _, host in ipairs { HOST, "[" .. HOST .. "]" } do
                    local port = free_port(host)
                    local ok, message = evsock.connect(host, port):wait("connect", 10)
                    assert(not ok and message == ("connect [%s]:%d: connection refused"):format(
                        HOST, port), message)
                end
            ]]
        end)

        it("a link-local address without its zone is told what it lacks", function()
            child [[
                local wanted = "a link-local address needs its interface, as in fe80::77%eth0"
                local _, message, code = evsock.listen("fe80::77", 5)
                assert(code == "EINVAL" and message == "listen [fe80::77]:5: " .. wanted, message)
                _, message = evsock.udp("fe80::77", 5)
                assert(message == "udp [fe80::77]:5: " .. wanted, message)
                _, message = evsock.connect("[fe80::77]", 5):wait("connect", 10)
                assert(message == "connect [fe80::77]:5: " .. wanted, message)
            ]]
        end)

        it("an interface may come after the first attempt", function()
            child [[
                local tries = 0
                local sock = evsock.connect("fe80::1%later0", 9, {
                    reconnect = 0.02, on_close = function(_, message, code)
                        tries = tries + 1
                        assert(message == "connect [fe80::1%later0]:9: there is no interface"
                            .. " 'later0'" and code == "EADDRNOTAVAIL", message)
                    end,
                })
                wait_for(function() return tries == 3 end)
                sock:abort()
            ]]
        end)

        it("dialects take and tell zones, too", function()
            child [[
                local renoise = require "evsock.renoise".Socket
                local server = assert(evsock.listen(HOST, 0, {
                    on_accept = function(_, sock) sock:write "x" end,
                }))
                local client = assert(renoise.create_client("[" .. HOST .. "]", server.port,
                    renoise.PROTOCOL_TCP, 5000))
                assert(client.peer_address == HOST, client.peer_address)
                client:close()
                server:close()

                local hammerspoon = require "evsock.hammerspoon"
                local bytes
                local udp = hammerspoon.socket.udp.server(0, function(_, from) bytes = from end)
                udp:receive()
                local sender = assert(evsock.udp(HOST, 0))
                assert(sender:send_to("x", HOST, udp:info().localPort))
                wait_for(function() return bytes end)
                local told = hammerspoon.socket.parseAddress(bytes)
                assert(told.host == HOST and told.port == sender.port, told.host)
                udp:close()
                sender:close()
            ]]
        end)
    end

    it("the interface of a group is one, and no address", function()
        local sock = helper.track(evsock.udp("::", 0) or evsock.udp("127.0.0.1", 0))
        local misuse = helper.misuse
        for _, call in ipairs { "join_group", "leave_group" } do
            local wanted = "bad argument 'interface' to '" .. call .. "' (name or number of an "
                .. "interface or nil expected, got string %q)"
            local all = { "127.0.0.1", "fe80::1", "fe80::1%lo", "", "a b", ("x"):rep(16) }
            for _, bad in ipairs(all) do
                misuse(function() sock[call](sock, "ff12::1", bad) end, wanted:format(bad))
            end
            wanted = "bad argument 'interface' to '" .. call
                .. "' (the group's own zone or nil expected, got string \"b\")"
            misuse(function() sock[call](sock, "[ff12::1%a]", "b") end, wanted)
            wanted = "bad argument 'interface' to '" .. call
                .. "' (numeric IPv4 address or nil expected, got string \"lo\")"
            misuse(function() sock[call](sock, "239.1.2.3", "lo") end, wanted)
        end
        local ok, message, code = sock:join_group("ff12::1", "no-such-if")
        assert.is_nil(ok)
        assert.equal("join_group: there is no interface 'no-such-if'", message)
        assert.equal("EADDRNOTAVAIL", code)
    end)

    it("a group of the other family is refused with words", function()
        local sock = helper.track(assert(evsock.udp("127.0.0.1", 0)))
        for _, call in ipairs { "join_group", "leave_group" } do
            local ok, message, code = sock[call](sock, "ff12::1")
            assert.is_nil(ok)
            assert.equal(call .. " ff12::1: no IPv4 address, which this socket needs", message)
            assert.equal("EADDRNOTAVAIL", code)
        end
        if has_ipv6 then
            local v6 = helper.track(assert(evsock.udp("::", 0)))
            local ok, message = v6:join_group("239.1.2.3")
            assert.is_nil(ok)
            assert.equal("join_group 239.1.2.3: no IPv6 address, which this socket needs", message)
        end
    end)

    it("an interface that is not there is named", function()
        local server, message, code = evsock.listen("fe80::1%no-such-if", 0)
        assert.is_nil(server)
        assert.equal("listen [fe80::1%no-such-if]:0: there is no interface 'no-such-if'", message)
        assert.equal("EADDRNOTAVAIL", code)
        local udp, why = evsock.udp("[fe80::1%no-such-if]", 5)
        assert.is_nil(udp)
        assert.equal("udp [fe80::1%no-such-if]:5: there is no interface 'no-such-if'", why)
        helper.misuse(function() evsock.socket { bind = { "10.0.0.1%lo" } } end, "'bind'")
        assert(evsock.socket { bind = { "[fe80::1%no-such-if]" } })
    end)

    it("no message and no text has brackets twice", function()
        local port = helper.free_port()
        local told
        local sock = helper.track(evsock.connect("[::1]", port, {
            on_close = expect(function(_, message) told = message end, 1),
        }))
        assert.truthy(tostring(sock):find(" [::1]:" .. port, 1, true))
        pump_until(function() return told end, 5, "an end")
        assert.truthy(told:find("connect [::1]:" .. port .. ": ", 1, true), told)
        local ok, message = pcall(sock.receive, sock, "*l", 0)
        assert.is_nil(ok and tostring(message):find("[[", 1, true))
    end)

    if has_ipv6 then
        it("brackets with TLS mean the address", function()
            local certificates = kit.certificates()
            helper.track(certificates, certificates.remove)
            local server = helper.track(assert(evsock.listen("[::1]", 0, {
                tls = certificates:identity("ecdsa"),
                on_accept = function(_, sock) helper.track(sock) end,
            })))
            for _, given in ipairs {
                { verify = false }, { cafile = certificates:path("ca.pem"), insecure_name = true },
                { cafile = certificates:path("ca.pem"), server_name = "localhost" },
            } do
                local open = false
                helper.track(evsock.connect("[::1]", server.port, {
                    tls = given, on_connect = expect(function() open = true end, 1),
                }))
                pump_until(function() return open end, 5 * helper.slow, "a handshake")
            end
            local told
            helper.track(evsock.connect("[::1]", server.port, {
                tls = { cafile = certificates:path("ca.pem"), server_name = "[::2]" },
                on_close = expect(function(_, message, code) told = code .. " " .. message end, 1),
            }))
            pump_until(function() return told end, 5 * helper.slow, "an end")
            assert.truthy(told:find("TLS_BAD_HOSTNAME .*not for ::2 but for"), told)
        end)
    end
end)
