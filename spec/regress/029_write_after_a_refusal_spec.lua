-- Right after `connect` to an address that refuses, `write` and `send` answered ECLOSED, "closed
-- for writing", in half of the runs, while `state` still said "connecting": the library knew of the
-- refusal and the script did not yet.

local helper = require "spec.helper"
local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until
local tls_kit = require "spec.tls_kit"

-- Waits without a pump, so that the script is told of nothing.
local function wait_unheard(condition)
    local deadline = evsock.now() + 5 * helper.slow
    while not condition() do
        assert(evsock.now() < deadline, "the connection did not end")
    end
end

local function refused(options)
    -- Whatever waits from before is not the refusal.
    repeat
        evsock.pump()
    until not evsock.timeout()
    local port = helper.free_port()
    local sock = helper.connect(port, options)
    wait_unheard(evsock.timeout)
    assert.equal("connecting", sock.state)
    return sock, "ECONNREFUSED", "connect 127.0.0.1:" .. port .. ": "
end

local function broken(options)
    local sock, peer = helper.pair(options)
    peer:abort()
    wait_unheard(function()
        return not sock:info().live.connected
    end)
    assert.equal("open", sock.state)
    return sock, "ECONNRESET", "127.0.0.1"
end

describe("regress 029", function()
    after_each(helper.finish)

    for name, make in pairs { ["an attempt that was refused"] = refused,
        ["a connection that broke"] = broken } do
        describe(name .. ", of which the script was not told", function()
            it("takes what is written, and on_close tells the end once", function()
                local problem
                local sock, code = make({
                    on_close = expect(function(_, _, its_code)
                        problem = its_code
                    end, 1),
                    on_drain = helper.never("on_drain"),
                })
                assert.same({ true }, { sock:write("one") })
                assert.same({ true }, { sock:write("two", "three") })
                assert.same({ true }, { sock:mark() })
                assert.same({ true }, { sock:write("") })
                assert.equal(0, sock.pending)
                pump_until(function() return problem end)
                assert.equal(code, problem)
                assert.equal("ECLOSED", (select(3, sock:write("late"))))
            end)

            it("has send wait for that, and gives its message and code", function()
                for _, inside in ipairs { true, false } do
                    local order = {}
                    local sock, code, text = make({
                        on_close = expect(function()
                            order[#order + 1] = "close"
                        end, 1),
                    })
                    local function send()
                        local results = { sock:send("a line\n", 5) }
                        order[#order + 1] = "send"
                        return results[1], results[2], results[3]
                    end
                    local sent, message, its_code
                    if inside then
                        local ok
                        ok, sent, message, its_code = helper.track(evsock.spawn(send)):join(5)
                        assert.is_true(ok)
                    else
                        sent, message, its_code = send()
                    end
                    assert.is_nil(sent)
                    assert.equal(code, its_code)
                    assert.truthy(message:find(text, 1, true), message)
                    assert.equal("close send", table.concat(order, " "))
                end
            end)

            it("has every wait end with that, but that for the close", function()
                for _, event in ipairs { "connect", "data", "drain", "close" } do
                    local sock, code = make()
                    if not (event == "connect" and sock.state == "open") then
                        sock:write("dropped")
                        local ok, message, its_code = sock:wait(event, 5)
                        if event == "close" then
                            assert.is_true(ok)
                        else
                            assert.is_nil(ok, event)
                            assert.is_string(message, event)
                            assert.equal(code, its_code, event)
                        end
                    end
                end
            end)

            it("has receive end with that", function()
                local sock, code = make()
                sock:write("a question\n")
                assert.equal(code, (select(3, sock:receive("*l", 5))))
            end)

            it("may be shut down, and then takes nothing", function()
                local sock = make()
                sock:shutdown()
                local ok, message, code = sock:write("late")
                assert.is_nil(ok)
                assert.truthy(message:find("closed for writing", 1, true), message)
                assert.equal("ECLOSED", code)
            end)

            it("has flush fail: nobody waits for events there", function()
                local sock = make()
                sock:write("dropped")
                local ok, message, code = sock:flush(1)
                assert.is_nil(ok)
                assert.is_string(message)
                assert.is_string(code)
            end)

            it("with reconnect drops it, and the next connection begins afresh", function()
                local sock = make({ reconnect = 0.01 })
                sock:write("dropped")
                sock:shutdown()
                local peer
                sock.on_reconnect = function(self)
                    local server = helper.server({
                        on_accept = function(_, accepted)
                            peer = accepted
                        end,
                    })
                    self:connect("127.0.0.1", server.port)
                end
                pump_until(function() return sock.state == "open" and peer end)
                assert.is_true(sock:write("fresh"))
                assert.equal("fresh", peer:receive(5, 5))
                assert.equal(0, peer.buffered)
            end)
        end)
    end

    it("start_tls on a connection that broke is told by on_close", function()
        local problem
        local sock = broken({
            on_close = expect(function(_, _, code)
                problem = code
            end, 1),
            on_secure = helper.never("on_secure"),
        })
        assert.same({ true }, { sock:start_tls({ verify = false }) })
        pump_until(function() return problem end)
        assert.equal("ECONNRESET", problem)
    end)

    it("send over TLS does not take what was dropped for sent", function()
        local certificates = tls_kit.certificates()
        local sock, peer = tls_kit.pair(certificates)
        certificates:remove()
        peer:abort()
        wait_unheard(function()
            return not sock:info().live.connected
        end)
        assert.equal("open", sock.state)
        local sent, _, code = sock:send("a line\n", 5)
        assert.is_nil(sent)
        assert.equal("ECONNRESET", code)
    end)

    it("write right behind connect answers true however fast the refusal comes", function()
        for i = 1, 200 do
            local client = evsock.connect("127.0.0.1", helper.free_port())
            for _ = 1, i * 10 do
                evsock.now()
            end
            assert.same({ true }, { client:write("hello\n") })
            client:abort()
        end
    end)
end)
