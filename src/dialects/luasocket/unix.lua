-- LuaSocket: `socket.unix`: streams between processes of this machine, by a path.
--
-- Not here: `receive` and `send` (`stream.lua`), datagrams (`unix_dgram.lua`). Invariants: as in
-- `tcp.lua`; the file of a server goes with it, where LuaSocket leaves it to be removed by hand.

local _, core = ...
local shared = core.part "luasocket/shared"
local stream = core.part "luasocket/stream"
local options = core.part "luasocket/options"
local tcp = core.part "luasocket/tcp"
local sock_api, system = core.socket, core.system
local expect, word = shared.expect, shared.word

local NO_DESCRIPTOR, TOO_LONG = "Bad file descriptor", "path too long"
local ANY = "unixstream{any}"
-- An attempt at a path is over at once, unless nobody accepts there.
local SOON = 1
-- The longest path that all systems take.
local LONGEST = 103

local Master, Client, Server

local function path_of(value, method)
    return shared.text(value, 1, method)
end

local methods = stream.methods("unixstream{client}")

function methods.bind(object, path)
    expect(object, "unixstream{master}", "bind")
    path = path_of(path, "bind")
    if #path > LONGEST then
        return nil, TOO_LONG
    elseif not object.core then
        return nil, NO_DESCRIPTOR
    end
    local ok, message, code = system.bind(object.core, "unix:" .. path, 0)
    if not ok then
        return nil, word(message, code)
    end
    object.path, object.bound = path, true
    return 1
end

function methods.listen(object, backlog)
    expect(object, "unixstream{master}", "listen")
    backlog = shared.number(backlog, 1, "listen", 32)
    if not object.core then
        return nil, NO_DESCRIPTOR
    elseif not object.bound then
        return nil, "Invalid argument"
    end
    local server, why = stream.listen(object, math.max(0, backlog - backlog % 1))
    if not server then
        return nil, why
    end
    setmetatable(object, Server)
    return 1
end

function methods.accept(object)
    expect(object, "unixstream{server}", "accept")
    local client, why = stream.accept(object, Client)
    if client then
        client.path = object.path
    end
    return client, why
end

function methods.connect(object, path)
    expect(object, "unixstream{master}", "connect")
    path = path_of(path, "connect")
    if #path > LONGEST then
        return nil, TOO_LONG
    elseif not object.core then
        return nil, NO_DESCRIPTOR
    end
    local sock = object.core
    local ok, message, code = sock_api.connect(sock, "unix:" .. path)
    if ok then
        local is_over, why
        local held = core.wait({ sock }, function()
            is_over, why = tcp.outcome(sock)
            return is_over ~= nil
        end, math.max(SOON, shared.left(object, 0) or SOON))
        if not is_over then
            stream.close(object)
            return nil, held and why or "timeout"
        end
        object.opened = nil
        setmetatable(object, Client)
        return 1
    end
    stream.close(object)
    return nil, word(message, code)
end

methods.setpeername, methods.setsockname = methods.connect, methods.bind

function methods.close(object)
    expect(object, ANY, "close")
    if object.listens then
        local server = object.core
        object.core = nil
        if server then
            core.server.close(server)
        end
    else
        stream.close(object)
    end
    return 1
end

function methods.dirty(object)
    expect(object, ANY, "dirty")
    return stream.is_dirty(object)
end

function methods.getfd(object)
    expect(object, ANY, "getfd")
    return shared.descriptor(object)
end

-- A negative number takes the descriptor away; the core keeps all others itself.
function methods.setfd(object, number)
    expect(object, ANY, "setfd")
    shared.check_setfd(number, "evsock.connect and evsock.listen")
    methods.close(object)
end

function methods.getsockname(object)
    expect(object, ANY, "getsockname")
    if not object.core then
        return nil, NO_DESCRIPTOR
    end
    return object.path or ""
end

function methods.setoption(object, name, value)
    expect(object, ANY, "setoption")
    return options.set(object, options.unix, name, value)
end

function methods.settimeout(object, value, mode)
    expect(object, ANY, "settimeout")
    return shared.settimeout(object, value, mode)
end

Master = shared.class("unixstream{master}", { ANY }, methods)
Client = shared.class("unixstream{client}", { ANY }, methods)
Server = shared.class("unixstream{server}", { ANY }, methods)
shared.selectable(Master, tcp.polls.master)
shared.selectable(Client, tcp.polls.client)
shared.selectable(Server, tcp.polls.server)

-- The module -------------------------------------------------------------------------------------

local unix = {}

function unix.stream()
    local object = stream.adopt(Master, stream.new_connection())
    local ok, message, code = system.open(object.core, "unix")
    if not ok then
        return nil, word(message, code)
    end
    object.opened = true
    return object
end

function unix.dgram()
    return core.part "luasocket/unix_dgram" ()
end

-- As they were called before.
unix.tcp, unix.udp = unix.stream, unix.dgram

function unix.__call(module)
    return module.stream()
end

return setmetatable(unix, unix)
