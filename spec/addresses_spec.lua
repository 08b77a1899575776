-- Where connections come from and go to: `bind`, IPv6, and how addresses are written.

local helper = require "spec.helper"
local network = require "spec.network"
local places = require "spec.places"
local evsock = helper.evsock
local pump_until = helper.pump_until

local function fate(host, port, options)
    local sock = helper.track(evsock.connect(host, port, options))
    local ok, message, code = sock:wait("connect", 5)
    return ok or code, message, sock
end

local function accepted(record)
    pump_until(function() return record.sockets[1] end)
    return table.remove(record.sockets, 1)
end

describe("bind", function()
    after_each(helper.finish)

    it("is where the connection comes from, as the server sees it", function()
        local record = helper.server()
        local ok, _, sock = fate("127.0.0.1", record.port, { bind = { "127.0.0.5" } })
        assert.is_true(ok)
        assert.equal("127.0.0.5", sock.local_address)
        assert.equal("127.0.0.5", accepted(record).peer_address)
    end)

    it("may name the port, which serves again at once", function()
        local record = helper.server()
        local port = helper.free_port()
        for _ = 1, 3 do
            local from = { bind = { "127.0.0.6", port } }
            local ok, message, sock = fate("127.0.0.1", record.port, from)
            assert.is_true(ok, message)
            assert.equal(port, sock.local_port)
            local peer = accepted(record)
            assert.equal(port, peer.peer_port)
            -- The server's end first, so that no TIME_WAIT keeps this very pair of addresses.
            peer:close()
            pump_until(function() return sock.state == "closed" and peer.state == "closed" end)
        end
    end)

    it("of any address in the family of the target", function()
        local record = helper.server()
        for _, any in ipairs { "*", "0.0.0.0", "::" } do
            assert.is_true((fate("127.0.0.1", record.port, { bind = { any } })))
            assert.equal("127.0.0.1", accepted(record).peer_address)
        end
    end)

    it("that is none of this machine's gives EADDRNOTAVAIL", function()
        local code, message = fate("127.0.0.1", 9, { bind = { "192.0.2.1" } })
        assert.equal("EADDRNOTAVAIL", code)
        assert.equal("connect 127.0.0.1:9: cannot assign requested address", message)
    end)

    it("of the other family gives EINVAL, and chooses among the addresses of a name", function()
        local record = helper.server()
        local code, message = fate("127.0.0.1", record.port, { bind = { "::1" } })
        assert.equal("EINVAL", code)
        assert.is_truthy(message:find("other address family", 1, true))
        assert.is_true((fate("localhost", record.port, { bind = { "127.0.0.1" } })))
    end)

    it("with a Unix socket gives EINVAL", function()
        assert.equal("EINVAL", (fate("unix:/tmp", nil, { bind = { "127.0.0.1" } })))
    end)

    it("is a property, too", function()
        local record = helper.server()
        local sock = helper.track(evsock.socket())
        assert.is_false(sock.bind)
        local mine = { "127.0.0.7", 0 }
        sock.bind = mine
        mine[1] = "changed afterwards"
        assert.equal("127.0.0.7", sock.bind[1])
        sock:connect("127.0.0.1", record.port)
        assert.is_true(sock:wait("connect", 5))
        assert.equal("127.0.0.7", accepted(record).peer_address)
        sock.bind = false
        sock:connect("127.0.0.1", record.port)
        assert.is_true(sock:wait("connect", 5))
        assert.equal("127.0.0.1", accepted(record).peer_address)
    end)

    it("of anything but a numeric address and a port raises at the caller's line", function()
        local sock = helper.track(evsock.socket())
        helper.misuse(function() sock.bind = "127.0.0.1" end, "'bind'")
        helper.misuse(function() sock.bind = { "localhost" } end, "'bind'")
        helper.misuse(function() sock.bind = { "127.0.0.1", 65536 } end, "'bind'")
        helper.misuse(function() sock.bind = {} end, "'bind'")
        helper.misuse(function() evsock.connect("::1", 9, { bind = true }) end, "'bind'")
    end)
end)

describe("IPv6", function()
    after_each(helper.finish)

    it("works with and without brackets, and is shown with them beside a port", function()
        local server = helper.track(assert(evsock.listen("::1", 0, {
            on_accept = function(_, sock)
                helper.track(sock)
                sock:write(sock.peer_address .. "\n")
            end,
        })))
        assert.equal("::1", server.address)
        assert.equal("evsock.Server: listening [::1]:" .. server.port, tostring(server))
        for _, host in ipairs { "::1", "[::1]", "0:0:0:0:0:0:0:1" } do
            local ok, message, sock = fate(host, server.port)
            assert.is_true(ok, message)
            assert.equal(host, sock.host)
            assert.equal("::1", sock.peer_address)
            assert.equal("::1", sock.local_address)
            assert.equal("::1", sock:receive("*l", 5))
        end
        local _, _, sock = fate("::1", server.port)
        assert.equal("evsock.Socket: open [::1]:" .. server.port, tostring(sock))
    end)

    it("is named with brackets in messages", function()
        local server = assert(evsock.listen("::1", 0))
        local port = server.port
        server:close()
        local code, message = fate("::1", port)
        assert.equal("ECONNREFUSED", code)
        assert.equal(("connect [::1]:%d: connection refused"):format(port), message)
    end)

    it("and IPv4 are served by one server on *, each peer with its own kind of address", function()
        local seen = {}
        local server = helper.track(assert(evsock.listen("*", 0, {
            on_accept = function(_, sock)
                helper.track(sock)
                seen[sock.peer_address] = true
            end,
        })))
        assert.is_true((fate("127.0.0.1", server.port)))
        assert.is_true((fate("::1", server.port)))
        pump_until(function() return seen["127.0.0.1"] and seen["::1"] end)
    end)

    it("of a wrong form is no host", function()
        for _, host in ipairs { "[::1", "[]", "[::1]:80", "::g", "[127.0.0.1" } do
            local code = fate(host, 80)
            assert.is_true(code == "EBADHOST" or code == "EHOSTNOTFOUND", host .. tostring(code))
        end
    end)
end)

describe("an address", function()
    after_each(helper.finish)

    -- One of this machine, with which both ends of the cable are the same. `other`: another way to
    -- write it.
    local function here(given, told, other)
        return {
            given = given, told = told, shown = given:match("^%[(.*)%]$") or given, other = other,
            own = given, own_told = told, own_shown = given:match("^%[(.*)%]$") or given,
            from = given, from_told = told, from_told_here = told,
        }
    end

    local function wait(what, condition)
        pump_until(condition, 10 * helper.slow, what)
    end

    local has_ipv6 = evsock.listen("::1", 0)
    if has_ipv6 then
        has_ipv6:close()
    end
    local forms = { here("127.0.0.1", "127.0.0.1", "::ffff:127.0.0.1") }
    if has_ipv6 then
        forms[#forms + 1] = here("::1", "::1", "[0:0:0::1]")
        forms[#forms + 1] = here("[::1]", "::1", "0::0:1")
    end
    for _, place in ipairs(places(evsock, wait)) do
        it("is taken and told in its one form: " .. place.name, function()
            for _, form in ipairs(forms) do
                place.check(form)
            end
        end)
    end

    local interpreter, remove = network.interpreter()
    teardown(function()
        if interpreter then
            remove()
        end
    end)

    for _, place in ipairs(interpreter and places(evsock, wait) or {}) do
        it("with a zone is taken and told in its one form: " .. place.name, function()
            local output, status = helper.run(([[
                local evsock = require "evsock"
                local child = require "spec.child"
                evsock.on_unhandled = false
                local function wait(what, condition)
                    child.wait_until(evsock, what, condition, 10)
                end
                local number = io.popen("ip -o link show va"):read("*a"):match("^%%d+")
                for _, given in ipairs { "fe80::b%%va", "[fe80::b%%va]", "fe80::b%%" .. number } do
                    for _, place in ipairs(require "spec.places" (evsock, wait)) do
                        if place.name == %q then
                            place.check {
                                given = given, told = "fe80::b%%va",
                                shown = given:match("^%%[(.*)%%]$") or given,
                                other = "[fe80:0::b%%va]",
                                own = "[fe80::b%%vb]", own_told = "fe80::b%%vb",
                                own_shown = "fe80::b%%vb", from = "fe80::a%%va",
                                from_told = "fe80::a%%vb", from_told_here = "fe80::a%%va",
                            }
                        end
                    end
                end
                print "fine"
            ]]):format(place.name), interpreter)
            helper.printed("fine\n", output, status)
        end)
    end
end)
