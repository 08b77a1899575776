-- LuaSocket: `unixdgram{unconnected}`, which becomes `unixdgram{connected}` by `connect`.
--
-- Not here: sockets by a path (`src/net/path_datagram.rs`). The core has no events of these: who
-- waits watches the descriptor as one of others. Invariant: a watch is open exactly while somebody
-- waits.

local evsock, core = ...
local shared = core.part "luasocket/shared"
local options = core.part "luasocket/options"
local system = core.system
local expect, word = shared.expect, shared.word

local CLOSED, NO_DESCRIPTOR, TOO_LONG = "closed", "Bad file descriptor", "path too long"
local ANY, DEFAULT_SIZE = "unixdgram{any}", 8192
-- The longest path that all systems take.
local LONGEST = 103
-- How often one that has no room tries again, in seconds: nothing tells when there is.
local PAUSE = 0.01

local Connected, Unconnected

-- Waits until `try()` holds for as long as the timeouts allow: true, or nil and a word.
local function await(object, try, start)
    if shared.left(object, start) == 0 then
        return nil, "timeout"
    end
    local watch = object.watch
    if not watch then
        local message, code
        watch, message, code = evsock.watch(system.path_datagram_fd(object.core), "r")
        if not watch then
            return nil, word(message, code)
        end
        object.watch, object.waiting = watch, 0
    end
    object.waiting = object.waiting + 1
    local ok, done, why = evsock.pcall(shared.wait, object, { watch }, try, start)
    object.waiting = object.waiting - 1
    if object.waiting == 0 then
        object.watch = nil
        watch:close()
    end
    if not ok then
        error(done, 0)
    end
    return done, why
end

-- Data and the path of its sender, or nil and a word.
local function receive(object, size)
    local held = object.core
    if not held then
        return nil, CLOSED
    end
    local data, path, code
    local function take()
        if object.core ~= held then
            data, path, code = nil, CLOSED, "ECLOSED"
        else
            data, path, code = system.path_datagram_receive(held, size)
        end
        return data ~= false
    end
    if not take() then
        local ok, why = await(object, take, evsock.now())
        if not ok then
            return nil, why
        end
    end
    if data then
        return data, path
    end
    return nil, code == "ECLOSED" and CLOSED or word(path, code)
end

local function size_of(value, method)
    local size = math.max(0, shared.number(value, 1, method, DEFAULT_SIZE))
    return size - size % 1
end

local function send(object, data, path)
    local held, start = object.core, evsock.now()
    if not held then
        return nil, "refused"
    end
    while true do
        local sent, message, code = system.path_datagram_send(held, data, path)
        if sent then
            return #data
        elseif sent == nil then
            return nil, word(message, code)
        end
        local left = shared.left(object, start)
        if left and left <= 0 then
            return nil, "timeout"
        end
        evsock.sleep(math.min(left or PAUSE, PAUSE))
    end
end

local methods = {}

function methods.receive(object, size)
    expect(object, ANY, "receive")
    local data, why = receive(object, size_of(size, "receive"))
    if data then
        return data
    end
    return nil, why
end

function methods.receivefrom(object, size)
    expect(object, "unixdgram{unconnected}", "receivefrom")
    return receive(object, size_of(size, "receivefrom"))
end

function methods.send(object, data)
    expect(object, "unixdgram{connected}", "send")
    return send(object, shared.text(data, 1, "send"))
end

function methods.sendto(object, data, path)
    expect(object, "unixdgram{unconnected}", "sendto")
    data, path = shared.text(data, 1, "sendto"), shared.text(path, 2, "sendto")
    if #path > LONGEST then
        return nil, TOO_LONG
    end
    return send(object, data, path)
end

function methods.bind(object, path)
    expect(object, "unixdgram{unconnected}", "bind")
    path = shared.text(path, 1, "bind")
    if #path > LONGEST then
        return nil, TOO_LONG
    elseif not object.core then
        return nil, NO_DESCRIPTOR
    elseif object.path then
        return nil, "Invalid argument"
    end
    local ok, message, code = system.path_datagram_bind(object.core, path)
    if not ok then
        return nil, word(message, code)
    end
    object.path = path
    return 1
end

function methods.connect(object, path)
    expect(object, ANY, "connect")
    path = shared.text(path, 1, "connect")
    if #path > LONGEST then
        return nil, TOO_LONG
    elseif not object.core then
        return nil, NO_DESCRIPTOR
    end
    local ok, message, code = system.path_datagram_connect(object.core, path)
    if not ok then
        return nil, word(message, code)
    end
    setmetatable(object, Connected)
    return 1
end

methods.setpeername, methods.setsockname = methods.connect, methods.bind

function methods.getsockname(object)
    expect(object, ANY, "getsockname")
    if not object.core then
        return nil, NO_DESCRIPTOR
    end
    return object.path or ""
end

function methods.getfd(object)
    expect(object, ANY, "getfd")
    return object.core and system.path_datagram_fd(object.core) or -1
end

function methods.close(object)
    expect(object, ANY, "close")
    local held = object.core
    object.core = nil
    if object.watch then
        object.watch:close()
    end
    if held then
        system.path_datagram_close(held)
    end
    return 1
end

-- A negative number takes the descriptor away.
function methods.setfd(object, number)
    expect(object, ANY, "setfd")
    shared.check_setfd(number, "the calls of this module")
    methods.close(object)
end

function methods.dirty(object)
    expect(object, ANY, "dirty")
    return false
end

-- There is one, which means nothing to a path.
function methods.setoption(object, name, value)
    expect(object, ANY, "setoption")
    options.take(options.unix_dgram, name, value)
    if not object.core then
        return nil, "setsockopt failed"
    end
    return 1
end

shared.add_timeouts(methods, ANY)

Connected = shared.class("unixdgram{connected}", { ANY }, methods)
Unconnected = shared.class("unixdgram{unconnected}", { ANY }, methods)

return function()
    local held, message, code = system.path_datagram()
    if not held then
        return nil, word(message, code)
    end
    local object = shared.new(Unconnected)
    object.core = held
    return object
end
