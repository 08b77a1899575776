-- The story: `c.on_conect = f`, `evsock.on_eror = f`, `evsock.on_error = "log"` and
-- `listen { on_connect = f }` were taken without a word, and nothing was ever called; an unknown
-- option was refused, and the right name had to be looked for.

local helper = require "spec.helper"
local qsys = require "evsock.qsys"
local evsock = helper.evsock

describe("regress 031", function()
    after_each(helper.finish)

    it("an unknown handler of an object raises and names the nearest", function()
        local sock, server = evsock.socket(), helper.server().server
        local udp = helper.track(assert(evsock.udp("127.0.0.1")))
        local timer = helper.track(evsock.after(60, print))
        local meant = "unknown handler 'on_conect' of evsock.Socket (did you mean 'on_connect'?)"
        helper.misuse(function() sock.on_conect = print end, meant)
        helper.misuse(function() sock.on_dat = nil end, "did you mean 'on_data'?")
        helper.misuse(function() sock.on_Close = print end, "did you mean 'on_close'?")
        helper.misuse(function() sock.on_quite_different = print end, "' of evsock.Socket")
        helper.misuse(function() server.on_acept = print end, "did you mean 'on_accept'?")
        helper.misuse(function() udp.on_datagramm = print end, "did you mean 'on_datagram'?")
        helper.misuse(function() timer.on_time = print end, "did you mean 'on_timer'?")
        -- Other fields are the script's own, whatever they are called.
        sock.only, sock[1] = "mine", true
        assert.equal("mine", sock.only)
    end)

    it("an object of a dialect stores what it likes", function()
        local sock = helper.track(qsys.TcpSocket.New())
        sock.on_conect = print
        assert.equal(print, sock.on_conect)
    end)

    it("an unknown option names the nearest, wherever options are given", function()
        local sock = evsock.socket()
        local nearest = "(unknown name; did you mean 'nodelay'?)"
        local options = { nodelya = true }
        helper.misuse(function() evsock.connect("127.0.0.1", 1, options) end, nearest)
        helper.misuse(function() evsock.socket(options) end, nearest)
        helper.misuse(function() evsock.listen("127.0.0.1", 0, options) end, nearest)
        helper.misuse(function() sock:connect("127.0.0.1", 1, options) end, nearest)
        local handler = { on_conect = print }
        helper.misuse(function() evsock.socket(handler) end, "did you mean 'on_connect'?")
        local backlog = { backlgo = 1 }
        helper.misuse(function() evsock.listen("127.0.0.1", 0, backlog) end, "mean 'backlog'?")
        local udp = { broadcats = true }
        helper.misuse(function() evsock.udp("127.0.0.1", 0, udp) end, "mean 'broadcast'?")
        local tls = { verfy = false }
        helper.misuse(function() evsock.tls(tls) end, "did you mean 'verify'?")
        local pauses = { reconnect = { mni = 1 } }
        helper.misuse(function() evsock.socket(pauses) end, "did you mean 'min'?")
        local setting = { lodger = print }
        helper.misuse(function() qsys.configure(setting) end, "did you mean 'logger'?")
        -- What is like nothing gets no advice.
        local far = { completely_unlike = 1 }
        helper.misuse(function() evsock.socket(far) end, "(unknown name)")
        local long = { [("x"):rep(1e6)] = 1 }
        helper.misuse(function() evsock.socket(long) end, "(unknown name)")
    end)

    it("listen refuses on_connect, which never comes, and says on_accept", function()
        local options = { on_connect = print }
        helper.misuse(function() evsock.listen("127.0.0.1", 0, options) end, "'on_accept'")
    end)

    it("on_error of the module takes a function or nil, and a typo of it raises", function()
        local wanted = "bad value for 'on_error' (function or nil expected, got string"
        for _ = 1, 2 do
            helper.misuse(function() evsock.on_error = "log" end, wanted)
            helper.misuse(function() evsock.on_eror = print end, "did you mean 'on_error'?")
            evsock.on_error = print
            assert.equal(print, evsock.on_error)
        end
        helper.misuse(function() evsock.on_error = "log" end, wanted)
        assert.equal(print, evsock.on_error)
        evsock.on_error = nil
        assert.is_nil(evsock.on_error)
        evsock.of_my_own = 1
        assert.equal(1, evsock.of_my_own)
        evsock.of_my_own = nil
    end)
end)
