-- What the specs of Pharos share: sockets whose handlers note what they see, pairs, waiting.

local helper = require "spec.helper"
local pharos = require "evsock.pharos"
local net = pharos.net

local unpack = rawget(_G, "unpack") or table.unpack

local kit = {}

local handlers = {
    "connected", "disconnected", "error", "state_changed", "host_found", "ready_read",
    "bytes_written", "about_to_close", "encrypted", "mode_changed",
}

--- Notes every call of a handler: `log[i]` is its name, with its value ("state_changed 3"), and
--- `log.states[i]` the state that the socket showed. `log.also(word)` is called after that.
function kit.watch(socket, skipped)
    local log = { states = {} }
    for _, name in ipairs(handlers) do
        if not (skipped and skipped[name]) then
            socket[name .. "_handler"] = function(given, value)
                collectgarbage()
                assert(given == socket, "the handler got another object")
                local word = value == nil and name or name .. " " .. value
                log[#log + 1] = word
                log.states[#log] = given.state
                if log.also then
                    log.also(word)
                end
            end
        end
    end
    return log
end

--- A new socket that `finish` ends, and its log.
function kit.socket(class, skipped)
    local socket = helper.track((class or net.TcpSocket).new())
    return socket, kit.watch(socket, skipped)
end

--- The same, after `socket:connect(...)`.
function kit.connecting(...)
    local socket, log = kit.socket()
    socket:connect(...)
    return socket, log
end

function kit.wait(condition, what)
    return helper.pump_until(condition, 5 * helper.slow, what)
end

function kit.find(log, word)
    for index, found in ipairs(log) do
        if found == word then
            return index
        end
    end
end

--- Waits until the log has that word; then for nothing more.
function kit.wait_for(log, word)
    kit.wait(function()
        return kit.find(log, word)
    end, word .. " after " .. table.concat(log, ", "))
end

--- Has `fn` called whenever the log takes down that word.
function kit.at(log, wanted, fn)
    log.also = function(word)
        if word == wanted then
            fn()
        end
    end
end

--- The log as one text.
function kit.said(log, from)
    return table.concat(log, ", ", from or 1)
end

function kit.clear(log)
    for index = #log, 1, -1 do
        log[index], log.states[index] = nil, nil
    end
end

--- A connected socket with its log, the native peer it talks to, and the server's record. What was
--- told until then is cleared.
function kit.pair(options)
    local record = helper.server(options)
    local socket, log = kit.socket()
    socket:connect("127.0.0.1", record.port)
    kit.wait(function()
        return socket.state == 3 and record.sockets[1]
    end, "the pair is connected")
    kit.wait_for(log, "connected")
    kit.clear(log)
    return socket, record.sockets[1], log, record
end

--- Sends `text` as an arrival of its own and waits until the socket has been told of it.
function kit.deliver(socket, peer, text)
    helper.fill(socket, peer, text, "bytes_available")
end

--- A listening server that `finish` closes, and the sockets that it was asked for.
function kit.server(class)
    local server = helper.track((class or net.TcpServer).new())
    local taken = {}
    server.new_connection_handler = function(given)
        collectgarbage()
        assert(given == server, "the handler got another object")
        taken[#taken + 1] = helper.track(given:next_pending_connection())
    end
    return server, taken
end

--- A socket that a listening server was asked for, the native client at its other end, the server.
function kit.accepted()
    local server, taken = kit.server()
    server:listen(0)
    local client = helper.connect(server.port)
    helper.wait_count(taken, 1)
    return taken[1], client, server
end

--- Asks `object` for something by its method `..._async` with that argument: the callback comes
--- once, and only from pump. Returns what it got.
function kit.answer(object, method, argument)
    local got
    object[method](object, argument, helper.expect(function(...)
        got = { n = select("#", ...), ... }
    end, 1))
    assert(not got, "the callback came inside of the call")
    kit.wait(function()
        return got
    end, "the callback of " .. method)
    return unpack(got, 1, got.n)
end

kit.wait_state = helper.wait_state

--- Calls `fn` where no register of the test, nor any that it has used before, holds what is made.
function kit.aside(fn)
    local problem
    coroutine.wrap(function()
        local ok, message = pcall(fn)
        problem = not ok and message or nil
    end)()
    if problem then
        error(problem, 0)
    end
end

--- For after_each: the host's settings as they were, and nothing left active.
function kit.finish()
    pharos.configure { hosts = {}, ports = {}, connect_timeout = 30 }
    helper.finish()
end

return kit
