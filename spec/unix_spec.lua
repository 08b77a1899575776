-- Unix sockets: the same API over a path of the file system.

local helper = require "spec.helper"
local evsock = helper.evsock
local expect, pump_until, free_path = helper.expect, helper.pump_until, helper.free_path

local function exists(path)
    local pipe = io.popen("test -e '" .. path .. "' && echo yes")
    local said = pipe:read("*a")
    pipe:close()
    return said ~= ""
end

local function server_at(path, options)
    local record = { sockets = {} }
    local given = { on_accept = function(_, sock)
        record.sockets[#record.sockets + 1] = helper.track(sock)
    end }
    for name, value in pairs(options or {}) do
        given[name] = value
    end
    record.server = helper.track(assert(evsock.listen("unix:" .. path, given)))
    return record
end

local function pair(client_options, server_options)
    local path = free_path()
    local record = server_at(path, server_options)
    local client = helper.track(evsock.connect("unix:" .. path, client_options))
    pump_until(function()
        return client.state == "open" and record.sockets[1]
    end, 5, "a connected pair")
    return client, record.sockets[1], record, path
end

describe("a Unix socket", function()
    after_each(helper.finish)

    it("carries bytes both ways, in order", function()
        local client, peer = pair()
        local block = ("0123456789"):rep(300000)
        client:write(block, "\n")
        assert.equal(block, peer:receive("*l", 10))
        peer:write("back\n")
        assert.equal("back", client:receive("*l", 5))
    end)

    it("calls the handlers in the order of TCP", function()
        local path = free_path()
        local order = {}
        local function note(name)
            return function()
                order[#order + 1] = name
            end
        end
        local record = server_at(path, { on_data = function(sock) sock:write(sock:read()) end })
        local client = helper.track(evsock.connect("unix:" .. path, {
            on_resolve = helper.never("on_resolve"),
            on_connect = function(sock)
                order[#order + 1] = "connect"
                sock:write("x")
            end,
            on_data = function(sock)
                order[#order + 1] = "data " .. sock:read()
                sock:close()
            end,
            on_close = note("close"),
        }))
        assert.equal("connecting", client.state)
        pump_until(function() return client.state == "closed" end)
        assert.equal("connect data x close", table.concat(order, " "))
        record.server:close()
    end)

    it("has a path where TCP has host and port", function()
        local client, peer, record, path = pair()
        local address = "unix:" .. path
        assert.equal(address, client.host)
        assert.is_nil(client.port)
        assert.equal(address, client.peer_address)
        assert.is_nil(client.peer_port)
        assert.is_nil(client.local_address)
        assert.equal(address, peer.local_address)
        assert.is_nil(peer.peer_address)
        assert.equal(address, record.server.address)
        assert.is_nil(record.server.port)
        assert.equal("evsock.Socket: open " .. address, tostring(client))
        assert.equal("evsock.Server: listening " .. address, tostring(record.server))
        assert.equal(address, client:info().host)
    end)

    it("takes every option of TCP, those without meaning too", function()
        local client, peer = pair({
            nodelay = false, keepalive = true, connect_timeout = 2, read_limit = 4096,
            write_limit = 100000, drain_at = 10, half_open = true, write_timeout = 5,
        }, { nodelay = true, keepalive = 30, backlog = 3, max_connections = 5, reuse_port = true })
        client.keepalive = 5
        client:write("works")
        assert.equal("works", peer:receive(5, 5))
    end)

    it("ends like TCP: by close, by abort, half", function()
        local client, peer = pair({ half_open = true }, { half_open = true })
        client:write("question")
        client:shutdown()
        assert.equal("question", peer:receive("*a", 5))
        peer:write("answer")
        peer:close()
        assert.equal("answer", client:receive("*a", 5))

        local other, its_peer = pair()
        its_peer:write("unread by its reader")
        local closed
        its_peer.on_close = expect(function(_, message)
            closed = message or "orderly"
        end, 1)
        other:close()
        pump_until(function() return closed end)
        assert.equal("orderly", closed)
    end)

    it("times out reading and connects again by itself", function()
        local attempts = 0
        local client, _, record = pair({
            read_timeout = 0.03, reconnect = 0.01,
            on_reconnect = function()
                attempts = attempts + 1
            end,
        })
        local code
        client.on_close = function(_, _, its_code)
            code = code or its_code
        end
        pump_until(function() return #record.sockets >= 3 end)
        assert.equal("ETIMEDOUT", code)
        assert.is_true(attempts >= 2)
        client:close()
    end)

    it("keeps to max_connections", function()
        local path = free_path()
        local record = server_at(path, { max_connections = 2 })
        for _ = 1, 5 do
            helper.track(evsock.connect("unix:" .. path))
        end
        pump_until(function() return #record.sockets == 2 end)
        helper.pump_for(0.05)
        assert.equal(2, #record.sockets)
        record.sockets[1]:abort()
        pump_until(function() return #record.sockets == 3 end)
    end)

    it("serves hundreds at once", function()
        local path = free_path()
        local record = server_at(path, { on_data = function(sock) sock:write(sock:read()) end })
        local answers = 0
        for i = 1, 300 do
            local sock = helper.track(evsock.connect("unix:" .. path))
            local text = ("%d\n"):format(i)
            sock.on_data = function()
                local line = sock:read_line()
                if line then
                    assert(line .. "\n" == text)
                    answers = answers + 1
                end
            end
            sock:write(text)
        end
        pump_until(function() return answers == 300 end, 10)
        assert.equal(300, #record.sockets)
    end)
end)

describe("a Unix server", function()
    after_each(helper.finish)

    it("removes its file when it is closed", function()
        local path = free_path()
        local record = server_at(path)
        assert.is_true(exists(path))
        record.server:close()
        assert.is_false(exists(path))
    end)

    it("removes its file when it is collected", function()
        local path = free_path()
        assert(evsock.listen("unix:" .. path))
        pump_until(function()
            collectgarbage()
            return not exists(path)
        end)
    end)

    it("does not remove the file of another that has taken its place", function()
        local path = free_path()
        local first = server_at(path)
        os.remove(path)
        local second = server_at(path)
        first.server:close()
        assert.is_true(exists(path))
        local client = helper.track(evsock.connect("unix:" .. path))
        assert.is_true(client:wait("connect", 5))
        second.server:close()
        assert.is_false(exists(path))
    end)

    it("takes the place of a file that a killed server has left", function()
        local path = free_path()
        local _, status = helper.run(([[
            local evsock = require "evsock"
            assert(evsock.listen("unix:%s", { on_data = function() end }))
            os.exit(0)
        ]]):format(path))
        assert.equal(0, status)
        assert.is_true(exists(path))
        server_at(path)
        assert.is_true(helper.track(evsock.connect("unix:" .. path)):wait("connect", 5))
    end)

    it("leaves a live server's place alone: EADDRINUSE", function()
        local _, _, _, path = pair()
        local server, message, code = evsock.listen("unix:" .. path)
        assert.is_nil(server)
        assert.equal("EADDRINUSE", code)
        assert.equal("listen unix:" .. path .. ": address already in use", message)
    end)

    it("never removes a file that is no socket", function()
        local path = os.tmpname()
        local server, _, code = evsock.listen("unix:" .. path)
        assert.is_nil(server)
        assert.equal("EADDRINUSE", code)
        assert.is_true(exists(path))
        os.remove(path)
    end)

    it("may be listened on with and without an options table, and takes no port", function()
        local path = free_path()
        assert(evsock.listen("unix:" .. path)):close()
        assert(evsock.listen("unix:" .. path, nil, { backlog = 5 })):close()
        assert(evsock.listen("unix:" .. path, { backlog = 5 })):close()
        helper.misuse(function() evsock.listen("unix:/x", 80) end, "'port'")
        helper.misuse(function() evsock.connect("unix:/x", 80) end, "'port'")
        helper.misuse(function() evsock.connect("unix:/x", { no_option = 1 }) end, "'no_option'")
        helper.misuse(function() evsock.listen("unix:/x", "80") end, "'port'")
    end)
end)

describe("a Unix address that leads nowhere", function()
    after_each(helper.finish)

    local function fate(address, options)
        local sock = helper.track(evsock.connect(address, options))
        local _, message, code = sock:wait("connect", 5)
        return code, message
    end

    it("gives ENOENT when there is no file, and names the path", function()
        local code, message = fate("unix:/nowhere/at/all")
        assert.equal("ENOENT", code)
        assert.equal("connect unix:/nowhere/at/all: no such file or directory", message)
        assert.equal("ENOENT", (select(3, evsock.listen("unix:/nowhere/at/all"))))
    end)

    it("gives ECONNREFUSED when nobody listens there any more", function()
        local path = free_path()
        helper.run(([[
            assert(require "evsock".listen("unix:%s", { on_data = function() end }))
            os.exit(0)
        ]]):format(path))
        assert.equal("ECONNREFUSED", (fate("unix:" .. path)))
    end)

    it("with @ is a name of Linux's abstract namespace, which ends with its server", function()
        -- A name of its own: others may run this, too, and the namespace is everybody's.
        local name = ("evsock-test-%s-%d"):format(tostring({}):match("0x%x+"), os.time())
        local address = "unix:@" .. name
        local server = helper.track(assert(evsock.listen(address, {
            on_accept = function(_, sock)
                helper.track(sock)
                sock:write(sock.local_address .. "\n")
            end,
        })))
        assert.is_false(exists("@" .. name))
        assert.equal(address, server.address)
        assert.equal("EADDRINUSE", (select(3, evsock.listen(address))))
        local client = helper.track(evsock.connect(address))
        assert.equal(address, client:receive("*l", 5))
        assert.equal(address, client.peer_address)
        assert.equal("evsock.Socket: open " .. address, tostring(client))
        server:close()
        assert.equal("ECONNREFUSED", (fate(address)))
        assert.equal("EBADHOST", (fate("unix:@")))
        assert.equal("EBADHOST", (fate("unix:@a\0b")))
        assert.equal("EBADHOST", (fate("unix:@" .. ("x"):rep(108))))
    end)

    it("gives EBADHOST when it is no path at all", function()
        assert.equal("EBADHOST", (fate("unix:")))
        assert.equal("EBADHOST", (fate("unix:/a\0b")))
        local code, message = fate("unix:/" .. ("x"):rep(200))
        assert.equal("EBADHOST", code)
        assert.is_truthy(message:find("201 bytes, 107 at most", 1, true), message)
        assert.equal("EBADHOST", (select(3, evsock.listen("unix:"))))
        assert.equal("EBADHOST", (select(3, evsock.listen("unix:" .. ("x"):rep(108)))))
    end)

    it("gives EAGAIN at once when the server lets too many wait", function()
        local path = free_path()
        local record = server_at(path, { backlog = 1 })
        record.server:pause()
        local code, message
        for _ = 1, 10 do
            code, message = fate("unix:" .. path)
            if code ~= nil then
                break
            end
        end
        assert.equal("EAGAIN", code)
        assert.is_truthy(message:find("connect unix:" .. path, 1, true), message)
    end)

    it("is tried again with reconnect until somebody listens", function()
        local path = free_path()
        local sock = helper.track(evsock.connect("unix:" .. path, { reconnect = 0.01 }))
        local closes = 0
        sock.on_close = function()
            closes = closes + 1
        end
        pump_until(function() return closes >= 2 end)
        server_at(path)
        pump_until(function() return sock.state == "open" end)
        sock:close()
    end)
end)
