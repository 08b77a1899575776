-- What the Hammerspoon specs share: objects that are ended after each test, pairs of an hs.socket
-- and a native peer, callbacks that note what they get. Not here: what only one spec needs.

local assert = require "luassert"
local helper = require "spec.helper"
local hammerspoon = require "evsock.hammerspoon"
local evsock = helper.evsock

local tools = { hs = {}, logged = {} }

hammerspoon.install({ hs = tools.hs })
local hs = tools.hs

local function disconnect(object)
    object:disconnect()
end

--- For after_each: everything as it was, and nothing left active.
function tools.finish()
    hs.socket.timeout = -1
    hammerspoon.configure { hosts = {}, ports = {} }
    helper.finish()
    tools.logged = {}
end

--- Has what is logged noted in `tools.logged`, as { level, text }.
function tools.log_all()
    hammerspoon.configure { logger = function(level, text)
        table.insert(tools.logged, { level, text })
    end }
end

--- A callback that notes what it gets as { data, tag }, and collects garbage.
function tools.note()
    local log = {}
    return function(...)
        collectgarbage()
        log[#log + 1] = { ... }
        if log.also then
            log.also(...)
        end
    end, log
end

function tools.new(fn)
    return helper.track(hs.socket.new(fn), disconnect)
end

function tools.server(where, fn)
    return helper.track(hs.socket.server(where, fn), disconnect)
end

function tools.wait(condition, what)
    return helper.pump_until(condition, 5 * helper.slow, what)
end

function tools.wait_for(log, count)
    tools.wait(function()
        return #log >= count
    end, count .. " callbacks")
end

function tools.wait_connected(client)
    tools.wait(function()
        return client:connected()
    end, "connected")
end

function tools.wait_disconnected(client)
    tools.wait(function()
        return not client:connected()
    end, "not connected")
end

function tools.wait_connections(server, count)
    tools.wait(function()
        return server:connections() == count
    end, count .. " clients")
end

--- Waits without pumping, so that no event is dispatched.
function tools.watch(condition, what)
    local deadline = evsock.now() + 5 * helper.slow
    repeat
        if condition() then
            return
        end
    until evsock.now() > deadline
    error("not without a pump: " .. what, 2)
end

--- An hs.socket that is connected, its native peer, what its callback got, and the peer's server.
--- Reads and writes may be queued in `early(client)`, while it is connecting.
function tools.pair(server_options, early)
    local record = helper.server(server_options)
    local callback, log = tools.note()
    local client, stands = tools.new(callback), false
    assert.equal(client, client:connect("127.0.0.1", record.port, function()
        stands = true
    end))
    if early then
        early(client)
    end
    tools.wait(function()
        return stands and record.sockets[1]
    end, "the pair is connected")
    return client, record.sockets[1], log, record
end

--- A listener with that many clients of the native API.
function tools.crowd(count)
    local callback, log = tools.note()
    local server = tools.server(0, callback)
    local clients = {}
    for i = 1, count do
        clients[i] = helper.connect(server:info().localPort)
        tools.wait(function()
            return clients[i].state == "open"
        end, "a client")
    end
    assert.equal(count, server:connections())
    return server, clients, log
end

--- The data that callbacks got, one after the other.
function tools.data(log)
    local all = {}
    for i, entry in ipairs(log) do
        all[i] = entry[1]
    end
    return all
end

--- Waits until callbacks have got just those data, and shows that nothing more comes.
function tools.assert_data(log, expected)
    tools.wait_for(log, #expected)
    helper.pump_for(0.02)
    assert.same(expected, tools.data(log))
end

--- Shows that in so many seconds no more callbacks come than `count` in all.
function tools.assert_no_more(log, count, seconds)
    helper.pump_for(seconds)
    assert.equal(count, #log)
end

--- What a native socket has received, once it is that long.
function tools.received(peer, count)
    tools.wait(function()
        return peer.buffered >= count
    end, count .. " bytes")
    return peer:read()
end

--- A path for a Unix socket, gone after the test.
function tools.path()
    local path = os.tmpname()
    os.remove(path)
    helper.track(path, os.remove)
    return path
end

function tools.exists(path)
    return os.rename(path, path) ~= nil
end

tools.raises = helper.raises

--- The kind of a number where Lua tells.
function tools.is_integer(value)
    local kind = rawget(math, "type")
    return value % 1 == 0 and (not kind or kind(value) == "integer")
end

return tools
