-- `configure { logger = … }` was documented for the dialects and never called by Q-SYS and Pharos:
-- a refused port, whose own text is empty on a Core, left no trace of the reason anywhere.

local helper = require "spec.helper"
local evsock = helper.evsock
local dialects = {
    qsys = require "evsock.qsys",
    pharos = require "evsock.pharos",
    renoise = require "evsock.renoise",
    hammerspoon = require "evsock.hammerspoon",
}

local function deaf() end

-- Tries to connect to a port that refuses, and says when that has been told.
local refused = {
    qsys = function(port, done)
        local sock = helper.track(dialects.qsys.TcpSocket.New())
        sock.ReconnectTimeout = 0
        sock.Error = done
        sock:Connect("127.0.0.1", port)
        return sock
    end,
    pharos = function(port, done)
        local sock = helper.track(dialects.pharos.net.TcpSocket.new(), function(sock)
            sock:abort()
        end)
        sock.error_handler = done
        sock:connect("127.0.0.1", port)
        return sock
    end,
    renoise = function(port, done)
        assert.is_nil((dialects.renoise.Socket.create_client("127.0.0.1", port)))
        done()
    end,
}

describe("the logger of", function()
    after_each(function()
        for _, dialect in pairs(dialects) do
            dialect.configure { logger = deaf }
        end
        helper.finish()
    end)

    for name, attempt in pairs(refused) do
        it(name .. " hears why an attempt failed, and where it led", function()
            local port, heard, told = helper.free_port(), {}, false
            dialects[name].configure {
                logger = function(level, text)
                    heard[#heard + 1] = level .. " " .. text
                end,
            }
            local kept = attempt(port, function()
                told = true
            end)
            helper.pump_until(function()
                return told and heard[1]
            end, 5, "the reason")
            local text = table.concat(heard, "\n")
            assert.is_truthy(text:find("error ", 1, true), text)
            assert.is_truthy(text:find("connection refused", 1, true), text)
            assert.is_truthy(text:find(":" .. port, 1, true), text)
            assert.is_truthy(kept or name == "renoise")
        end)

        it(name .. " takes no event along when it raises itself", function()
            local told, raised = false, nil
            dialects[name].configure {
                logger = function()
                    error("a fault of the logger")
                end,
            }
            evsock.on_error = function(problem)
                raised = problem
            end
            local kept = attempt(helper.free_port(), function()
                told = true
            end)
            helper.pump_until(function()
                return told and raised
            end, 5, "the failure and the fault")
            assert.is_truthy(raised:find("a fault of the logger", 1, true), raised)
            assert.is_truthy(kept or name == "renoise")
        end)
    end

    it("hammerspoon takes no event along when it raises itself", function()
        local raised
        dialects.hammerspoon.configure {
            logger = function()
                error("a fault of the logger")
            end,
        }
        evsock.on_error = function(problem)
            raised = problem
        end
        local sock = helper.track(dialects.hammerspoon.socket.new(), function(sock)
            sock:disconnect()
        end)
        -- There is no callback, which only the logger hears of.
        assert.is_true(pcall(sock.read, sock, 1))
        helper.pump_until(function()
            return raised
        end, 5, "the fault")
        assert.is_truthy(raised:find("a fault of the logger", 1, true), raised)
    end)
end)
