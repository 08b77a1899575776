-- What editors are told in src/meta is what there is: every public name, and no other.
--
-- The declarations are read line by line and compared with the tables of the loaded module. What no
-- table holds (line ends, events to wait for) comes from the messages that refuse a wrong one;
-- codes of errors and states come from the Rust text that is their only list.

local evsock = require "evsock"
local helper = require "spec.helper"
local hammerspoon = require "evsock.hammerspoon"
local pharos = require "evsock.pharos"
local qsys = require "evsock.qsys"
local renoise = require "evsock.renoise"

local files = {
    "src/meta/evsock.lua", "src/meta/evsock/qsys.lua", "src/meta/evsock/renoise.lua",
    "src/meta/evsock/hammerspoon.lua", "src/meta/evsock/pharos.lua",
}

local function read(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
end

-- Reading the declarations ------------------------------------------------------------------------

local scopes = { private = true, protected = true, package = true, public = true }

local function add(class, name, what)
    assert(not class.own[name], "declared twice: " .. class.name .. "." .. name)
    what.line = class.meta.line
    class.own[name] = what
end

-- One declaration a line: a class, a field, an alias with its texts, a table, a function.
local function read_line(meta, line, comment)
    local name, parents = line:match("^%-%-%-@class ([%w_.]+):?%s*(.-)%s*$")
    if name then
        assert(not meta.classes[name], "two classes named " .. name)
        meta.class = { name = name, meta = meta, own = {}, parents = {} }
        for parent in parents:gmatch("[%w_.]+") do
            table.insert(meta.class.parents, parent)
        end
        meta.classes[name], meta.alias = meta.class, nil
        return
    end
    local field, rest = line:match("^%-%-%-@field (%S+) (.+)$")
    if field then
        if scopes[field] then
            field, rest = rest:match("^(%S+) (.+)$")
        end
        local literal = rest:match('^"([^"]*)"%s*') or rest:match("^(%d+)%s")
            or rest:match("^(%d+)$")
        add(meta.class, field:gsub("?$", ""), { kind = "value", literal = literal })
        return
    end
    local alias, body = line:match("^%-%-%-@alias ([%w_.]+)%s*(.*)$")
    if alias then
        meta.alias = { name = alias, meta = meta, own = {}, parents = {} }
        meta.classes[alias], meta.class = meta.alias, nil
        for text in body:gmatch('"([^"]*)"') do
            add(meta.alias, text, { kind = "text" })
        end
        meta.alias.whole_line = body ~= "" and meta.line
        return
    end
    local text = line:match('^%-%-%-| "([^"]*)"')
    if text then
        add(meta.alias, text, { kind = "text" })
        return
    end
    local variable = line:match("^local ([%w_]+) = {}$")
    if variable then
        meta.tables[variable] = assert(meta.class, "no class above: " .. line)
        return
    end
    local owner, member = line:match("^([%w_]+)%.([%w_]+) = [%w_]+$")
    if owner then
        add(meta.tables[owner], member, { kind = "value" })
        return
    end
    local holder, method, arguments = line:match("^function ([%w_]+)[.:]([%w_]+)%((.-)%) end$")
    if holder then
        add(meta.tables[holder], method, {
            kind = "function", arguments = arguments, comment = comment,
        })
    elseif not (line == "" or line:match("^%-%-") or line:match("^assert%(false, ")
        or line:match("^return [%w_]+$")) then
        error("not understood: " .. line)
    end
end

-- `skip`: the number of a line to leave out; `extra`: a line to put behind it instead.
local function parse(texts, skip, extra)
    local meta = { classes = {}, tables = {}, line = 0 }
    for _, text in ipairs(texts) do
        local comment = {}
        meta.tables = {}
        for line in text:gmatch("([^\n]*)\n") do
            meta.line = meta.line + 1
            if meta.line ~= skip then
                read_line(meta, line, comment)
            elseif extra then
                read_line(meta, line, comment)
                read_line(meta, extra, comment)
            end
            if line:match("^%-%-%-") then
                comment[#comment + 1] = line
            else
                comment = {}
            end
        end
    end
    return meta
end

-- All names of a class, those of its parents included.
local function names_in(meta, class, names)
    names = names or {}
    for _, parent in ipairs(class.parents) do
        if meta.classes[parent] then
            names_in(meta, meta.classes[parent], names)
        end
    end
    for name, what in pairs(class.own) do
        names[name] = what
    end
    return names
end

-- What there really is ----------------------------------------------------------------------------

local function kind_of(value)
    return type(value) == "function" and "function" or "value"
end

local function of_table(values)
    local names = {}
    for name, value in pairs(values) do
        names[name] = { kind = kind_of(value), value = value }
    end
    return names
end

local function of_list(list, kind, names)
    names = names or {}
    for _, name in ipairs(list or {}) do
        names[name] = { kind = kind }
    end
    return names
end

local function keys(values)
    local list = {}
    for key in pairs(values or {}) do
        list[#list + 1] = key
    end
    return list
end

-- Methods, properties and handlers of an object of a class.
local function of_object(object)
    local metatable = getmetatable(object)
    local definition = metatable.__definition
    if not definition then
        -- A table: its class holds the methods.
        return of_table(metatable.__index)
    end
    local names = of_list(keys(definition.methods), "function")
    of_list(keys(definition.get), "value", names)
    of_list(keys(definition.set), "value", names)
    return of_list(definition.handlers, "value", names)
end

-- The table of that name that a function uses, itself or by way of others. `sign` is one of its
-- keys: it is the right one of several.
local function table_behind(fn, wanted, sign)
    local seen, queue = { [fn] = true }, { fn }
    for _, current in ipairs(queue) do
        local place = 1
        local name, value = debug.getupvalue(current, place)
        while name do
            if name == wanted and type(value) == "table" and rawget(value, sign) ~= nil then
                return value
            elseif type(value) == "function" and not seen[value] then
                seen[value] = true
                queue[#queue + 1] = value
            end
            place = place + 1
            name, value = debug.getupvalue(current, place)
        end
    end
    error("no table '" .. wanted .. "' with '" .. sign .. "' in the core: it has changed")
end

-- The names that `fn` asks a table for; `values` are what it finds.
local function asked_for(fn, values)
    local names = {}
    fn(setmetatable({}, {
        __index = function(_, name)
            names[name] = { kind = "value" }
            return values[name]
        end,
    }))
    return names
end

-- The quoted words of what was expected instead of a wrong argument.
local function expected_words(object, method, ...)
    local ok, message = pcall(object[method], object, ...)
    assert(not ok, method .. " takes anything")
    local names = {}
    for word in message:match("%((.*) expected"):gmatch("[\"']([^\"']+)[\"']") do
        names[word] = { kind = "text" }
    end
    return names
end

local function words_of(text, pattern)
    local names = {}
    for word in text:gmatch(pattern) do
        names[word] = { kind = "text" }
    end
    return names
end

-- No option takes a file, so nothing comes to be.
local function is_known(name, call, ...)
    local arguments = { ... }
    arguments[#arguments + 1] = { [name] = io.stdout }
    local ok, message = pcall(call, (table.unpack or unpack)(arguments))
    assert(not ok, "an option takes anything: " .. name)
    return not message:find("unknown name", 1, true)
end

-- Options in `names` and `more`, without those that the call does not take after all.
local function of_options(names, more, call, ...)
    of_list(more, "value", names)
    for _, name in ipairs(keys(names)) do
        names[name] = is_known(name, call, ...) and { kind = "value" } or nil
    end
    return names
end

-- By class of src/meta: a function that tells its real names.
local real = {}

real["evsock"] = function()
    local names = of_table(evsock)
    -- Neither stands in the table: one is computed, the other is what a script may set.
    names.spin = { kind = kind_of(assert(evsock.spin)) }
    names.on_error, names.on_unhandled = { kind = "value" }, { kind = "value" }
    return names
end

real["evsock.Socket"] = function()
    return of_object(evsock.socket())
end

real["evsock.SocketHandlers"] = function()
    return of_list(getmetatable(evsock.socket()).__definition.handlers, "value")
end

real["evsock.Server"] = function()
    local server = assert(evsock.listen("127.0.0.1", 0))
    server:close()
    return of_object(server)
end

local function udp_definition()
    local sock = helper.track(assert(evsock.udp("127.0.0.1")))
    return getmetatable(sock).__definition, sock
end

real["evsock.Udp"] = function()
    return of_object(select(2, udp_definition()))
end

real["evsock.UdpHandlers"] = function()
    return of_list(udp_definition().handlers, "value")
end

real["evsock.UdpOptions"] = function()
    local check = table_behind(evsock.udp, "datagram_options", "max_size")
    return of_list(keys(check), "value", of_list(udp_definition().handlers, "value"))
end

real["evsock.Timer"] = function()
    local timer = evsock.after(60, print)
    timer:cancel()
    return of_object(timer)
end

real["evsock.Task"] = function()
    local task = evsock.spawn(function() end)
    local names = of_object(task)
    names.done = rawget(task, "done") ~= nil and { kind = "value" } or names.done
    task:cancel()
    return names
end

local function socket_options(...)
    local names = of_list(keys(table_behind(evsock.listen, "options", "connect_timeout")), "value")
    return of_options(names, getmetatable(evsock.socket()).__definition.handlers, ...)
end

real["evsock.SocketOptions"] = function()
    local names = socket_options(evsock.socket)
    -- All three take the same ones.
    for name in pairs(names) do
        assert(is_known(name, evsock.connect, "127.0.0.1", 1), "connect does not know " .. name)
        assert(is_known(name, evsock.socket().connect, evsock.socket(), "127.0.0.1", 1),
            "sock:connect does not know " .. name)
    end
    return names
end

real["evsock.ListenOptions"] = function()
    local server = assert(evsock.listen("127.0.0.1", 0))
    server:close()
    local names = socket_options(evsock.listen, "127.0.0.1", 0)
    of_list(keys(table_behind(evsock.listen, "listen_options", "backlog")), "value", names)
    local handlers = getmetatable(server).__definition.handlers
    return of_options(names, handlers, evsock.listen, "127.0.0.1", 0)
end

real["evsock.Reconnect"] = function()
    return asked_for(function(pauses)
        evsock.socket({ reconnect = pauses })
    end, {})
end

real["evsock.TlsOptions"] = function()
    return of_list(keys(table_behind(evsock.tls, "tls_fields", "verify")), "value")
end

-- A handshake would need certificates; its names stand in one function.
real["evsock.TlsFacts"] = function()
    local file = assert(io.open("src/lua/tls.rs"))
    local text = file:read("*a"):match("fn facts.*")
    file:close()
    local names = {}
    for name in text:gmatch('table%.set%("([%w_]+)"') do
        names[name] = { kind = "value" }
    end
    return names
end

real["evsock.Until"] = function()
    return asked_for(function(what)
        evsock.socket():receive(what, 0)
    end, { until_ = "\n" })
end

local function open_info()
    local client = helper.pair()
    return client:info()
end

real["evsock.SocketInfo"] = function()
    return of_table(open_info())
end

real["evsock.LiveInfo"] = function()
    return of_table(open_info().live)
end

real["evsock.LineEnd"] = function()
    return expected_words(evsock.socket(), "read_line", "nothing")
end

real["evsock.WaitEvent"] = function()
    return expected_words(evsock.socket(), "wait", "nothing")
end

real["evsock.Wanted"] = function()
    return expected_words(evsock.socket(), "receive", "nothing")
end

real["evsock.ErrorCode"] = function()
    local list = assert(read("src/error.rs"):match("\ncodes! (%b{})"), "no list of codes")
    return words_of(list, '%u%w* = "([%u%d_]+)"')
end

real["evsock.State"] = function()
    local list = assert(read("src/lua/raw/object.rs"):match("\nimpl View (%b{})"), "no states")
    return words_of(list, '=> "(%l+)"')
end

real["evsock.qsys"] = function()
    return of_table(qsys)
end

real["evsock.qsys.TcpSockets"] = function()
    return of_table(qsys.TcpSocket)
end

real["evsock.qsys.TcpSocketServers"] = function()
    return of_table(qsys.TcpSocketServer)
end

real["evsock.qsys.Timers"] = function()
    return of_table(qsys.Timer)
end

for _, name in ipairs { "TcpSocket", "TcpSocketServer", "Timer" } do
    real["evsock.qsys." .. name] = function()
        return of_object(qsys[name].New())
    end
end

real["evsock.qsys.Events"] = function()
    return of_table(qsys.TcpSocket.Events)
end

real["evsock.qsys.EOL"] = function()
    return of_table(qsys.TcpSocket.EOL)
end

real["evsock.qsys.Event"] = function()
    local names = {}
    for _, word in pairs(qsys.TcpSocket.Events) do
        names[word] = { kind = "text" }
    end
    return names
end

local function of_settings(configure)
    local settings = table_behind(configure, "settings", "values")
    local kinds = table_behind(getmetatable(settings).configure, "kinds", "hosts")
    local names = of_list(keys(kinds), "value")
    return of_options(names, keys(settings.extra), configure)
end

real["evsock.qsys.Settings"] = function()
    return of_settings(qsys.configure)
end

real["evsock.renoise"] = function()
    return of_table(renoise)
end

real["evsock.renoise.Sockets"] = function()
    return of_table(renoise.Socket)
end

local function renoise_server()
    return helper.track(assert(renoise.Socket.create_server("localhost", 0)))
end

local function renoise_client()
    local server = renoise_server()
    return helper.track(assert(renoise.Socket.create_client("localhost", server.local_port)))
end

real["evsock.renoise.SocketClient"] = function()
    return of_object(renoise_client())
end

real["evsock.renoise.SocketServer"] = function()
    return of_object(renoise_server())
end

-- What both have.
real["evsock.renoise.SocketBase"] = function()
    local of_server, names = of_object(renoise_server()), {}
    for name, what in pairs(of_object(renoise_client())) do
        names[name] = what.kind == "value" and of_server[name] or nil
    end
    return names
end

real["evsock.renoise.ReceiveMode"] = function()
    return expected_words(renoise_client(), "receive", "nothing")
end

real["evsock.renoise.Notifier"] = function()
    local text = read("src/dialects/renoise.lua")
    return of_list(keys(words_of(text, 'notify%(server, "([%l_]+)"')), "value")
end

real["evsock.renoise.Settings"] = function()
    return of_settings(renoise.configure)
end

real["evsock.hammerspoon.Settings"] = function()
    return of_settings(hammerspoon.configure)
end

real["evsock.hammerspoon"] = function()
    return of_table(hammerspoon)
end

real["evsock.hammerspoon.Sockets"] = function()
    return of_table(hammerspoon.socket)
end

real["evsock.hammerspoon.Udp"] = function()
    return of_table(hammerspoon.socket.udp)
end

real["evsock.hammerspoon.Socket"] = function()
    return of_object(hammerspoon.socket.new())
end

real["evsock.hammerspoon.UdpSocket"] = function()
    return of_object(hammerspoon.socket.udp.new())
end

real["evsock.hammerspoon.UdpInfo"] = function()
    return of_table(hammerspoon.socket.udp.new():info())
end

real["evsock.hammerspoon.Info"] = function()
    return of_table(hammerspoon.socket.new():info())
end

real["evsock.hammerspoon.Address"] = function()
    return of_table(hammerspoon.socket.parseAddress("\16\2" .. ("\0"):rep(14)))
end

-- Names of Pharos: class to what has them. Constants of objects have their values.
local function of_constants(object)
    local names = of_object(object)
    for name, what in pairs(names) do
        what.value = name:find("^%u") and object[name] or nil
    end
    return names
end

real["evsock.pharos"] = function()
    return of_table(pharos)
end

real["evsock.pharos.Settings"] = function()
    return of_settings(pharos.configure)
end

for name, values in pairs {
    net = pharos.net,
    iomodules = pharos.iomodules,
    OpenModes = pharos.Stream,
    SslCertificates = pharos.net.SslCertificate,
    SslConfigurations = pharos.net.SslConfiguration,
    SslEncoding = pharos.net.SslEncoding,
    SslKeys = pharos.net.SslKey,
    SslServers = pharos.net.SslServer,
    SslSockets = pharos.net.SslSocket,
    TcpServers = pharos.net.TcpServer,
    TcpSockets = pharos.net.TcpSocket,
    UdpSockets = pharos.net.UdpSocket,
    Timers = pharos.Timer,
} do
    real["evsock.pharos." .. name] = function()
        return of_table(values)
    end
end

for _, name in ipairs { "SslServer", "SslSocket", "TcpServer", "TcpSocket", "UdpSocket" } do
    real["evsock.pharos." .. name] = function()
        return of_constants(pharos.net[name].new())
    end
end

real["evsock.pharos.Timer"] = function()
    return of_object(pharos.Timer.new())
end

local function ends_in(names, ...)
    local found = {}
    for name, what in pairs(names) do
        for _, ending in ipairs { ... } do
            if name:find("^%u") and name:find(ending .. "$") then
                found[name] = what
            end
        end
    end
    return found
end

real["evsock.pharos.Constants"] = function()
    return ends_in(of_table(pharos.net.TcpSocket), "_ERROR", "_STATE", "_MODE")
end

real["evsock.pharos.UdpConstants"] = function()
    return ends_in(of_table(pharos.net.UdpSocket), "_ERROR", "_STATE")
end

real["evsock.pharos.Datagram"] = function()
    return of_table(pharos.net.UdpSocket.new():read_datagram_string())
end

real["evsock.pharos.VerifyModes"] = function()
    return ends_in(of_table(pharos.net.SslConfiguration), "_NONE", "_PEER")
end

real["evsock.pharos.SslModes"] = function()
    local names = of_table(pharos.net.SslSocket)
    return ends_in(names, "ENCRYPTED_MODE", "SSL_%u+_MODE", "_NONE", "_PEER")
end

-- Nothing of these is public but that they are there.
for _, name in ipairs { "SslCertificate", "SslKey" } do
    real["evsock.pharos." .. name] = function()
        return of_table({})
    end
end

-- What a socket has that is of streams stands in a table of its own.
real["evsock.pharos.Stream"] = function()
    local definition = getmetatable(pharos.net.TcpSocket.new()).__definition
    local stream = table_behind(definition.methods.connect, "stream", "methods")
    local names = of_table(stream.modes)
    of_list(keys(stream.methods), "function", names)
    return of_list(keys(stream.get), "value", names)
end

real["evsock.pharos.SslConfiguration"] = function()
    local index = getmetatable(pharos.net.SslConfiguration.new()).__index
    local names = of_table(table_behind(index, "verify_modes", "VERIFY_NONE"))
    local properties = table_behind(index, "configuration_get", "peer_verify_mode")
    of_list(keys(properties), "value", names)
    local methods = table_behind(index, "configuration_methods", "add_ca_certificate")
    return of_list(keys(methods), "function", names)
end

-- The comparison ----------------------------------------------------------------------------------

local function compare(class, documented, existing, misses)
    local function miss(name, text)
        misses[#misses + 1] = class .. ": '" .. name .. "' " .. text
    end
    for name, what in pairs(documented) do
        local found = existing[name]
        if not found then
            miss(name, "is in src/meta but not in the module")
        elseif found.kind ~= what.kind then
            miss(name, "is a " .. what.kind .. " in src/meta but a " .. found.kind
                .. " in the module")
        elseif what.literal and what.literal ~= tostring(found.value) then
            miss(name, "is " .. what.literal .. " in src/meta but " .. tostring(found.value)
                .. " in the module")
        end
    end
    for name in pairs(existing) do
        if not documented[name] then
            miss(name, "is in the module but not in src/meta")
        end
    end
end

-- `existing`: class to real names, so that they are found once for many comparisons.
local function compare_all(meta, existing)
    local misses = {}
    for name, class in pairs(meta.classes) do
        local documented = names_in(meta, class)
        if existing[name] then
            compare(name, documented, existing[name], misses)
        elseif next(documented) then
            misses[#misses + 1] = name .. " is in src/meta but compared with nothing"
        end
    end
    for name in pairs(existing) do
        if not meta.classes[name] then
            misses[#misses + 1] = name .. " is in the module but not in src/meta"
        end
    end
    table.sort(misses)
    return misses
end

local function find_all()
    local existing, problems = {}, {}
    for name, find in pairs(real) do
        local ok, names = pcall(find)
        if ok then
            existing[name] = names
        else
            existing[name] = {}
            problems[#problems + 1] = name .. ": " .. tostring(names)
        end
    end
    table.sort(problems)
    return existing, problems
end

local function contains(list, text)
    for _, entry in ipairs(list) do
        if entry == text then
            return true
        end
    end
    return false
end

describe("what editors are told", function()
    after_each(helper.finish)

    local texts = {}
    for place, path in ipairs(files) do
        texts[place] = read(path)
    end

    it("is every public name and no other", function()
        local existing, problems = find_all()
        local misses = compare_all(parse(texts), existing)
        for _, miss in ipairs(misses) do
            problems[#problems + 1] = miss
        end
        assert.equal("", table.concat(problems, "\n"))
    end)

    it("is not the module: it refuses to be required", function()
        for _, path in ipairs(files) do
            local first = read(path):match("^%-%-%-@meta [%w.]+\n%-%- [^\n]+\n(%w+)")
            assert.equal("assert", first)
            local ok, message = pcall(assert(loadfile(path)))
            assert.is_false(ok)
            assert.is_truthy(message:find("for editors only", 1, true))
        end
    end)

    it("has for each function what it does, its arguments and one line of use", function()
        local compile = rawget(_G, "loadstring") or load
        local lacking, count = {}, 0
        for _, class in pairs(parse(texts).classes) do
            for name, what in pairs(class.own) do
                local full = class.name .. "." .. name
                if what.kind == "function" then
                    count = count + 1
                    local comment = "\n" .. table.concat(what.comment, "\n") .. "\n"
                    for argument in what.arguments:gmatch("[%w_.]+") do
                        local plain = argument:gsub("%.", "%%.")
                        if not comment:find("\n%-%-%-@param " .. plain .. "%??%s") then
                            lacking[#lacking + 1] = full .. ": the argument " .. argument
                        end
                    end
                    if not what.comment[1] or not what.comment[1]:find("^%-%-%- %u") then
                        lacking[#lacking + 1] = full .. ": what it does"
                    end
                    local use = comment:match("\n%-%-%-\n%-%-%- `([^\n]+)`\n")
                    if not use or not use:find(name, 1, true) or not compile(use) then
                        lacking[#lacking + 1] = full .. ": a line of use that is Lua"
                    end
                end
            end
        end
        assert.equal("", table.concat(lacking, "\n"))
        assert.is_true(count > 40)
    end)

    it("names no type that is not declared", function()
        local meta = parse(texts)
        local unknown = {}
        for _, text in ipairs(texts) do
            for line in text:gmatch("%-%-%-@[^\n]*") do
                if not line:find("^%-%-%-@meta") then
                    -- The words behind a type are for people.
                    for name in line:gmatch("[^%w_.`](evsock%.[%w_.]+)") do
                        if not meta.classes[name] then
                            unknown[#unknown + 1] = name
                        end
                    end
                end
            end
        end
        assert.equal("", table.concat(unknown, "\n"))
    end)

    it("is missed name by name when a line of it is gone", function()
        local existing = find_all()
        local whole = parse(texts)
        local tried, unnoticed = 0, {}
        for class_name, class in pairs(whole.classes) do
            for name, what in pairs(class.own) do
                if existing[class_name][name] and class.whole_line ~= what.line then
                    tried = tried + 1
                    local misses = compare_all(parse(texts, what.line), existing)
                    local wanted = class_name .. ": '" .. name
                        .. "' is in the module but not in src/meta"
                    if not contains(misses, wanted) then
                        unnoticed[#unnoticed + 1] = wanted
                    end
                end
            end
        end
        assert.equal("", table.concat(unnoticed, "\n"))
        assert.is_true(tried > 150)
    end)

    it("is refused name by name when it promises too much", function()
        local existing = find_all()
        local line = 0
        for class_line in table.concat(texts):gmatch("([^\n]*)\n") do
            line = line + 1
            local class = class_line:match("^%-%-%-@class ([%w_.]+)")
            local alias = class_line:match("^%-%-%-@alias ([%w_.]+)$")
            if class or alias then
                local extra = class and "---@field invented? string" or '---| "invented"'
                local misses = compare_all(parse(texts, line, extra), existing)
                assert.is_true(contains(misses, (class or alias)
                    .. ": 'invented' is in src/meta but not in the module"), class_line)
            end
        end
    end)

    it("is refused where a value or a kind is another", function()
        local existing = find_all()
        local function altered(from, to)
            local changed = {}
            for place, text in ipairs(texts) do
                local start, stop = text:find(from, 1, true)
                changed[place] = start and text:sub(1, start - 1) .. to .. text:sub(stop + 1)
                    or text
            end
            return compare_all(parse(changed), existing)
        end
        assert.is_true(contains(altered("---@field Lf 3", "---@field Lf 4"),
            "evsock.qsys.EOL: 'Lf' is 4 in src/meta but 3 in the module"))
        assert.is_true(contains(altered("function Server:pause() end", "Server.pause = pause"),
            "evsock.Server: 'pause' is a value in src/meta but a function in the module"))
    end)
end)
