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

-- Gives a dialect a logger that raises; the function that is returned says what that led to.
local function faulty_logger(name)
    local raised
    dialects[name].configure {
        logger = function()
            error("a fault of the logger")
        end,
    }
    evsock.on_error = function(problem)
        raised = problem
    end
    return function()
        return raised
    end
end

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
            helper.pump_until(function() return told and heard[1] end, 5, "the reason")
            local text = table.concat(heard, "\n")
            assert.is_truthy(text:find("error ", 1, true), text)
            assert.is_truthy(text:find("connection refused", 1, true), text)
            assert.is_truthy(text:find(":" .. port, 1, true), text)
            assert.is_truthy(kept or name == "renoise")
        end)

        it(name .. " takes no event along when it raises itself", function()
            local told, raised = false, faulty_logger(name)
            local kept = attempt(helper.free_port(), function()
                told = true
            end)
            helper.pump_until(function() return told and raised() end, 5,
                "the failure and the fault")
            assert.is_truthy(raised():find("a fault of the logger", 1, true), raised())
            assert.is_truthy(kept or name == "renoise")
        end)
    end

    it("hammerspoon takes no event along when it raises itself", function()
        local raised = faulty_logger("hammerspoon")
        local sock = helper.track(dialects.hammerspoon.socket.new(), function(sock)
            sock:disconnect()
        end)
        -- There is no callback, which only the logger hears of.
        assert.is_true(pcall(sock.read, sock, 1))
        helper.pump_until(raised, 5, "the fault")
        assert.is_truthy(raised():find("a fault of the logger", 1, true), raised())
    end)

    -- What its own clocks and calls end, and what befalls a listener, is told by no event of a
    -- connection.
    describe("hammerspoon hears of", function()
        local heard
        local hs = dialects.hammerspoon.socket

        local function track(sock)
            return helper.track(sock, function()
                sock:disconnect()
            end)
        end

        local function connected(fn, options)
            local record = helper.server(options)
            local sock = track(hs.new(fn or deaf))
            sock:connect("127.0.0.1", record.port)
            helper.pump_until(function() return record.sockets[1] and sock:connected() end)
            return sock, record
        end

        before_each(function()
            heard = {}
            dialects.hammerspoon.configure { logger = function(level, text)
                heard[#heard + 1] = level .. " " .. text
            end }
        end)

        local function said(text)
            helper.pump_until(function() return heard[1] end, 5, "a line")
            assert.is_truthy(heard[1]:find(text), table.concat(heard, "\n"))
            assert.equal(1, #heard)
        end

        it("a read that expires", function()
            local sock, record = connected()
            sock:setTimeout(0.02)
            sock:read(1)
            said("^debug hs%.socket: read 127%.0%.0%.1:" .. record.port .. ": timed out$")
        end)

        it("a write that expires", function()
            local sock, record = connected(nil, { read_limit = 1000 })
            sock:setTimeout(0.02)
            sock:write(("x"):rep(3e7))
            said("^debug hs%.socket: write 127%.0%.0%.1:" .. record.port .. ": timed out$")
        end)

        it("an attempt that is given no time", function()
            local sock, port = track(hs.new()), helper.free_port()
            sock:setTimeout(0)
            sock:connect("127.0.0.1", port)
            said("^debug hs%.socket: connect 127%.0%.0%.1:" .. port .. ": timed out$")
        end)

        it("a startTLS that cannot begin", function()
            local sock = connected()
            sock:startTLS(true, "a name with b\195\164d letters")
            said("^error hs%.socket: startTLS: .*server_name")
        end)

        it("an error of a callback with one traceback", function()
            local sock, record = connected(function()
                evsock.after(0, function()
                    error("a fault within")
                end)
                helper.pump_for(0.1)
            end)
            sock:read(1)
            record.sockets[1]:write("x")
            said("a fault within")
            local _, count = heard[1]:gsub("stack traceback:", "")
            assert.equal(1, count)
        end)
    end)
end)
