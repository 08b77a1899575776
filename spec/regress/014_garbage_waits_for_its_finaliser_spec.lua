-- The end of a connection whose object was garbage already was dropped, and the finaliser was to
-- count it as over. In a `run` that waits nothing is collected: it never came back.

local helper = require "spec.helper"

describe("regress 014", function()
    after_each(helper.finish)

    it("run returns although connections that are over still wait for their finalisers", function()
        local output, status = helper.run([[
            local evsock = require "evsock"
            local finalised = false
            local function finaliser()
                finalised = true
            end
            local function guard()
                if newproxy then
                    local proxy = newproxy(true)
                    getmetatable(proxy).__gc = finaliser
                else
                    setmetatable({}, { __gc = finaliser })
                end
            end
            local COUNT = 200
            local accepted, clients = 0, {}
            local server
            server = evsock.listen("127.0.0.1", 0, { on_accept = function(_, sock)
                sock:close()
                accepted = accepted + 1
                if accepted == COUNT then
                    server:close()
                    -- What was made last is finalised first: the sockets have to wait.
                    guard()
                    sock = nil
                    for _ = 1, 1e6 do
                        if finalised then
                            break
                        end
                        collectgarbage("step", 0)
                    end
                    collectgarbage("stop")
                end
            end })
            for i = 1, COUNT do
                clients[i] = evsock.connect("127.0.0.1", server.port)
            end
            local deadline = evsock.now() + 5
            while evsock.active() > 0 and evsock.now() < deadline do
                evsock.pump(0.1)
            end
            print(finalised, accepted, evsock.active())
        ]])
        helper.printed("true\t200\t0\n", output, status)
    end)
end)
