-- Every method, property, handler and metamethod of every class, native and of the dialects, called
-- with what is not its object: each error is a text at the script's own line that names 'self'.
--
-- What there is to call is found in the classes themselves, so a new method is tried as well.

local helper = require "spec.helper"
local evsock = helper.evsock
local hammerspoon, pharos, qsys, renoise = helper.dialects()

-- Some are finalised by hand and have nothing left to close.
local function track(object)
    return helper.track(object, function()
        pcall(function()
            (object.cancel or object.close)(object)
        end)
    end)
end

-- One object of each class, by name.
local makers = {
    ["evsock.Socket"] = function()
        return evsock.socket()
    end,
    ["evsock.Server"] = function()
        return track(assert(evsock.listen("127.0.0.1", 0)))
    end,
    ["evsock.Udp"] = function()
        return track(assert(evsock.udp("127.0.0.1")))
    end,
    ["evsock.Timer"] = function()
        return track(evsock.after(60, print))
    end,
    ["evsock.Task"] = function()
        local task = evsock.spawn(function() end)
        task:cancel()
        return task
    end,
    ["Q-SYS TcpSocket"] = qsys.TcpSocket.New,
    ["Q-SYS TcpSocketServer"] = qsys.TcpSocketServer.New,
    ["Q-SYS Timer"] = qsys.Timer.New,
    ["Pharos SslConfiguration"] = pharos.net.SslConfiguration.new,
    ["Pharos SslServer"] = pharos.net.SslServer.new,
    ["Pharos SslSocket"] = pharos.net.SslSocket.new,
    ["Pharos TcpServer"] = pharos.net.TcpServer.new,
    ["Pharos TcpSocket"] = pharos.net.TcpSocket.new,
    ["Pharos Timer"] = pharos.Timer.new,
    ["Pharos UdpSocket"] = pharos.net.UdpSocket.new,
    ["Renoise server"] = function()
        return track(assert(renoise.Socket.create_server("127.0.0.1", 0)))
    end,
    ["Renoise client"] = function()
        local server = track(assert(renoise.Socket.create_server("127.0.0.1", 0)))
        return track(assert(
            renoise.Socket.create_client("127.0.0.1", server.local_port)))
    end,
    ["hs.socket"] = hammerspoon.socket.new,
    ["hs.socket.udp"] = hammerspoon.socket.udp.new,
}

local function sorted(values)
    local list = {}
    for name in pairs(values) do
        list[#list + 1] = name
    end
    table.sort(list)
    return list
end

local class_names = sorted(makers)

-- A finaliser of ours that runs now; nil for classes that are tables.
local function finalised(object)
    local collect = getmetatable(object).__gc
    if not collect then
        return nil
    end
    collect(object)
    return object
end

-- What is not an object of the class, by what it is called.
local function strangers(class)
    local list = {
        { "nil", nil }, { "a number", 5 }, { "a text", "text" }, { "a boolean", true },
        { "a table", {} }, { "a function", print }, { "a file", io.stdout },
        { "its class's metatable", getmetatable(makers[class]()) },
    }
    local dead = finalised(makers[class]())
    if dead then
        list[#list + 1] = { "a finalised object", dead }
    end
    for _, name in ipairs(class_names) do
        if name ~= class then
            list[#list + 1] = { "an object of " .. name, makers[name](), true }
        end
    end
    return list
end

-- All that can be called with an object in front: name, function, arguments behind the object.
local function calls_of(object)
    local metatable = getmetatable(object)
    local definition = metatable.__definition
    local list = {}
    local function add(name, fn, ...)
        list[#list + 1] = { name = name, fn = fn, first = (...), second = (select(2, ...)) }
    end
    if not definition then
        -- A table: its methods are what its class gives for their names.
        for _, name in ipairs { "add_ca_certificate", "cancel", "join" } do
            local found, method = pcall(function()
                return object[name]
            end)
            if found and type(method) == "function" then
                add(name, method)
            end
        end
        add("__tostring", metatable.__tostring)
        if type(metatable.__index) == "function" then
            add("reading a field", metatable.__index, "private_key")
            add("setting a field", metatable.__newindex, "private_key", nil)
        end
        return list
    end
    for _, name in ipairs(sorted(definition.methods or {})) do
        add(name, definition.methods[name])
    end
    for _, name in ipairs(sorted(definition.get or {})) do
        add("reading " .. name, metatable.__index, name)
    end
    for _, name in ipairs(sorted(definition.set or {})) do
        add("setting " .. name, metatable.__newindex, name, 1)
    end
    for _, name in ipairs(definition.handlers or {}) do
        add("setting " .. name, metatable.__newindex, name, print)
    end
    add("setting a field", metatable.__newindex, "own_field", 1)
    add("__tostring", metatable.__tostring)
    if metatable.__close then
        add("__close", metatable.__close)
    end
    return list
end

local source = debug.getinfo(1, "S").short_src

-- What is wrong with the answer to such a call, or nil. `may_work`: it is an object of another
-- class, whose methods may be the very same.
local function fault(call, stranger, may_work)
    local ok, message = pcall(call.fn, stranger, call.first, call.second)
    local line = debug.getinfo(1, "l").currentline - 1
    local place = source .. ":" .. line .. ": "
    if ok then
        return not may_work and "works" or nil
    elseif type(message) ~= "string" then
        return "raises a " .. type(message)
    elseif message:sub(1, #place) ~= place then
        return "raises elsewhere: " .. message
    elseif not may_work and not message:find("'self'", 1, true) then
        return "does not name 'self': " .. message
    end
end

describe("a wrong self", function()
    after_each(helper.finish)

    for _, class in ipairs(class_names) do
        it("raises at the script's line in everything of " .. class, function()
            local calls, faults, tried = calls_of(makers[class]()), {}, 0
            for _, stranger in ipairs(strangers(class)) do
                local what, value, may_work = stranger[1], stranger[2], stranger[3]
                for _, call in ipairs(calls) do
                    -- A dead object is printed as such.
                    local prints = call.name == "__tostring" and what == "a finalised object"
                    tried = tried + 1
                    local problem = fault(call, value, may_work or prints)
                    if problem then
                        faults[#faults + 1] = call.name .. " with " .. what .. " " .. problem
                    end
                end
            end
            assert.equal("", table.concat(faults, "\n"))
            assert.is_true(tried >= 20)
        end)
    end

    it("is told from the right one", function()
        for _, class in ipairs(class_names) do
            local object = makers[class]()
            assert.is_string(tostring(object))
        end
    end)
end)
