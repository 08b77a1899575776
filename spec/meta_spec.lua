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
local qsys_host = require "evsock.qsys.host"
local renoise = require "evsock.renoise"
local testing = require "evsock.testing"

local files = {
    "src/meta/evsock.lua", "src/meta/evsock/qsys.lua", "src/meta/evsock/renoise.lua",
    "src/meta/evsock/hammerspoon.lua", "src/meta/evsock/pharos.lua",
    "src/meta/evsock/testing.lua",
    "src/meta/evsock/qsys/host.lua",
}

local read = helper.read_file

-- Reading the declarations ------------------------------------------------------------------------

local scopes = { private = true, protected = true, package = true, public = true }

local function add(class, name, what)
    assert(not class.own[name], "declared twice: " .. class.name .. "." .. name)
    what.line = class.meta.line
    class.own[name] = what
end

-- What is said above a field, behind the field before it.
local function text_above(comment)
    local place = #comment
    while place > 0 and comment[place]:match("^%-%-%- ") do
        place = place - 1
    end
    return table.concat(comment, " ", place + 1) .. " "
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
        add(meta.class, field:gsub("?$", ""), {
            kind = "value", literal = literal, type = rest:match("^%S+"),
            text = text_above(comment) .. rest,
        })
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

-- The rows of a list in `src/net/options.rs`, as the checks get them.
local native = table_behind(evsock.listen, "native", "options")

local function names_of(list)
    local names = {}
    for place, row in ipairs(native.options(list)) do
        names[place] = row.name
    end
    return names
end

-- By class of src/meta: a function that tells its real names.
local real = {}

real["evsock"] = function()
    -- It is loaded when it is first asked for.
    assert(evsock.coroutine)
    local names = of_table(evsock)
    -- Neither stands in the table: one is computed, the other is what a script may set.
    names.spin = { kind = kind_of(assert(evsock.spin)) }
    names.on_error, names.on_unhandled = { kind = "value" }, { kind = "value" }
    return names
end

real["evsock.Socket"] = function()
    return of_object(evsock.socket())
end

real["evsock.ServerInfo"] = function()
    return of_table(helper.server().server:info())
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
    return of_list(names_of "udp", "value", of_list(udp_definition().handlers, "value"))
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

real["evsock.Condition"] = function()
    return of_table(getmetatable(evsock.condition()).__index)
end

real["evsock.Queue"] = function()
    return of_table(getmetatable(evsock.queue()).__index)
end

local function socket_options(...)
    local names = of_list(names_of "socket", "value")
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
    of_list(names_of "server", "value", names)
    local handlers = getmetatable(server).__definition.handlers
    return of_options(names, handlers, evsock.listen, "127.0.0.1", 0)
end

real["evsock.Keepalive"] = function()
    return asked_for(function(probes)
        evsock.socket({ keepalive = probes })
    end, {})
end

real["evsock.Reconnect"] = function()
    return asked_for(function(pauses)
        evsock.socket({ reconnect = pauses })
    end, {})
end

real["evsock.TlsOptions"] = function()
    return of_list(names_of "tls", "value")
end

real["evsock.CertsOptions"] = function()
    return of_list(names_of "certs", "value")
end

-- A handshake would need certificates; its names stand in one function, and the certificate of the
-- peer, whose names do, is added to them.
local function set_in(name)
    local text = read("src/lua/options/tls.rs"):match("fn " .. name .. "%(lua.-\n}")
    local names = {}
    for field in text:gmatch('table%.set%("([%w_]+)"') do
        names[field] = { kind = "value" }
    end
    return names
end

real["evsock.TlsFacts"] = function()
    local added = read("src/lua/socket/socket.lua"):match("facts%.([%w_]+) = native%.tls_peer")
    return of_list({ added }, "value", set_in "facts")
end

real["evsock.PeerCertificate"] = function()
    return set_in "peer"
end

real["evsock.Address"] = function()
    return of_table(assert(evsock.resolve("127.0.0.1"))[1])
end

real["evsock.Watch"] = function()
    local server = helper.track(assert(evsock.listen("127.0.0.1", 0)))
    return of_object(helper.track(assert(evsock.watch(server.fd, "r"))))
end

-- What the rows of all kinds have together.
real["evsock.ObjectFacts"] = function()
    local client = helper.pair()
    helper.track(evsock.every(60, print))
    helper.track(assert(evsock.watch(client.fd, "r")))
    local task = helper.spawn(client.receive, client, "*l")
    helper.pump_until(function()
        return task.waiter
    end)
    local names = of_list({ "where" }, "value")
    for _, row in ipairs(evsock.objects()) do
        of_list(keys(row), "value", names)
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
    local list = assert(read("src/proto/script.rs"):match("\nimpl SocketState (%b{})"), "no states")
    return words_of(list, '=> "(%l+)"')
end

for _, name in ipairs { "TcpSocket", "TcpSocketServer", "Timer", "UdpSocket" } do
    real["evsock.qsys." .. name] = function()
        return of_object(qsys[name].New())
    end
end

real["evsock.qsys.Packet"] = function()
    local sock, packet = helper.track(qsys.UdpSocket.New()), nil
    sock.Data = function(_, got)
        packet = got
    end
    sock:Open("127.0.0.1", 0)
    local peer = helper.track(assert(evsock.udp("127.0.0.1")))
    peer:send_to("hello", "127.0.0.1", tonumber(tostring(sock):match(":(%d+)$")))
    helper.pump_until(function()
        return packet
    end, 5, "a datagram")
    return of_table(packet)
end

real["evsock.qsys.HttpRequest"] = function()
    return asked_for(qsys.HttpClient.Upload, { Url = "http://" })
end

real["evsock.qsys.HttpAuth"] = function()
    local client = {}
    function client:Get(request)
        assert(self == client)
        qsys.HttpClient.Get(request)
    end
    return expected_words(client, "Get", { Url = "http://", Auth = "none" })
end

real["evsock.qsys.UrlParts"] = function()
    return asked_for(qsys.HttpClient.CreateUrl, { Host = "a" })
end

real["evsock.qsys.Event"] = function()
    local names = {}
    for _, word in pairs(qsys.TcpSocket.Events) do
        names[word] = { kind = "text" }
    end
    return names
end

-- A plugin of one control, and the methods that are for its own parts alone.
local function qsys_plugin()
    local plugin = qsys_host.load("spec/programs/qsys/projector.qplug", {
        hosts = { ["10.0.0.9"] = false }, properties = { ["IP Address"] = "10.0.0.9" },
        logger = false,
    })
    plugin:stop()
    return plugin
end

local internal = { __index = true, __tostring = true, failed = true, find = true, grow = true,
    new = true, panel = true, say = true }

local function public(class)
    local names = of_table(class)
    for name in pairs(internal) do
        names[name] = nil
    end
    return names
end

real["evsock.qsys.host"] = function()
    return of_table(qsys_host)
end

real["evsock.qsys.host.Options"] = function()
    return of_list(keys(table_behind(qsys_host.load, "OPTIONS", "components")), "value")
end

real["evsock.qsys.host.Panel"] = function()
    local names = public(getmetatable(getmetatable(qsys_plugin()).__index).__index)
    names.Controls = { kind = "value" }
    return names
end

real["evsock.qsys.host.Plugin"] = function()
    local plugin = qsys_plugin()
    local names = real["evsock.qsys.host.Panel"]()
    for name, what in pairs(public(getmetatable(plugin).__index)) do
        names[name] = what
    end
    for _, name in ipairs {
        "globals", "info", "log", "name", "path", "pins", "properties", "wiring",
    } do
        names[name] = plugin[name] ~= nil and { kind = "value" } or nil
    end
    return names
end

real["evsock.qsys.host.Entry"] = function()
    local plugin = qsys_host.load("spec/programs/qsys/projector.qplug", {
        hosts = { [""] = false }, logger = false,
    })
    plugin:press("Fail")
    plugin:stop()
    return of_table(plugin.log[#plugin.log])
end

real["evsock.qsys.host.Control"] = function()
    local index = getmetatable(qsys_plugin().Controls.Power).__index
    local names = of_list(keys(table_behind(index, "get", "Value")), "value")
    of_list(keys(table_behind(index, "defaults", "Legend")), "value", names)
    of_list({ "Choices", "EventHandler" }, "value", names)
    names.Trigger = { kind = "function" }
    return names
end

local function of_settings(configure)
    local settings = table_behind(configure, "settings", "values")
    local kinds = table_behind(getmetatable(settings).configure, "kinds", "hosts")
    local names = of_list(keys(kinds), "value")
    return of_options(names, keys(settings.extra), configure)
end

for name, module in pairs {
    hammerspoon = hammerspoon, pharos = pharos, qsys = qsys, renoise = renoise,
} do
    real["evsock." .. name] = function()
        return of_table(module)
    end

    real["evsock." .. name .. ".Settings"] = function()
        return of_settings(module.configure)
    end
end

real["evsock.testing"] = function()
    return of_table(testing)
end

real["evsock.testing.ClockOptions"] = function()
    local text = read("src/lua/testing/clock.lua"):match("local options = (%b{})")
    local names = words_of(text, "([%w_]+) =")
    return of_options({}, keys(names), testing.clock)
end

real["evsock.testing.DeviceOptions"] = function()
    local text = read("src/lua/testing/device.lua"):match("local options = (%b{})")
    return of_options(words_of(text, "\n    ([%w_]+) ="), {}, testing.device, {})
end

real["evsock.testing.Device"] = function()
    local device = assert(testing.device({}))
    device:close()
    local names = of_table(getmetatable(device).__index)
    for name in pairs(names) do
        names[name] = name:sub(1, 2) ~= "__" and names[name] or nil
    end
    -- What else stands in it is its own.
    for _, name in ipairs { "host", "port", "received", "connections" } do
        names[name] = device[name] ~= nil and { kind = "value" } or nil
    end
    return names
end

real["evsock.testing.Clock"] = function()
    local clock = assert(testing.clock())
    clock:release()
    local names = of_table(getmetatable(clock).__index)
    for name in pairs(names) do
        names[name] = name:sub(1, 2) ~= "__" and names[name] or nil
    end
    return names
end

-- What a dialect has beside objects.
for name, values in pairs {
    ["pharos.net"] = pharos.net,
    ["pharos.iomodules"] = pharos.iomodules,
    ["pharos.OpenModes"] = pharos.Stream,
    ["pharos.SslCertificates"] = pharos.net.SslCertificate,
    ["pharos.SslConfigurations"] = pharos.net.SslConfiguration,
    ["pharos.SslEncoding"] = pharos.net.SslEncoding,
    ["pharos.SslKeys"] = pharos.net.SslKey,
    ["pharos.SslServers"] = pharos.net.SslServer,
    ["pharos.SslSockets"] = pharos.net.SslSocket,
    ["pharos.TcpServers"] = pharos.net.TcpServer,
    ["pharos.TcpSockets"] = pharos.net.TcpSocket,
    ["pharos.UdpSockets"] = pharos.net.UdpSocket,
    ["pharos.Timers"] = pharos.Timer,
    ["qsys.TcpSockets"] = qsys.TcpSocket,
    ["qsys.TcpSocketServers"] = qsys.TcpSocketServer,
    ["qsys.HttpClients"] = qsys.HttpClient,
    ["qsys.Timers"] = qsys.Timer,
    ["qsys.UdpSockets"] = qsys.UdpSocket,
    ["qsys.Events"] = qsys.TcpSocket.Events,
    ["qsys.EOL"] = qsys.TcpSocket.EOL,
    ["renoise.Osc"] = renoise.Osc,
    ["renoise.Sockets"] = renoise.Socket,
    ["hammerspoon.Sockets"] = hammerspoon.socket,
    ["hammerspoon.Udp"] = hammerspoon.socket.udp,
} do
    real["evsock." .. name] = function()
        return of_table(values)
    end
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

real["evsock.renoise.Sender"] = function()
    local udp, sender = renoise.Socket.PROTOCOL_UDP, nil
    local server = helper.track(assert(renoise.Socket.create_server("localhost", 0, udp)))
    server:run({ socket_message = function(from)
        sender = from
    end })
    local port = server.local_port
    local client = helper.track(assert(renoise.Socket.create_client("localhost", port, udp)))
    client:send("hello")
    helper.pump_until(function()
        return sender
    end)
    local names = of_object(sender)
    for name in pairs(sender) do
        if type(name) == "string" then
            names[name] = { kind = "value" }
        end
    end
    return names
end

-- What a table of this dialect keeps under its one private key.
local function of_packet(packet)
    local _, fields = next(packet)
    return of_list(keys(fields), "value")
end

real["evsock.renoise.Message"] = function()
    return of_packet(renoise.Osc.Message("/a"))
end

real["evsock.renoise.Bundle"] = function()
    return of_packet(renoise.Osc.Bundle(1, {}))
end

real["evsock.renoise.Argument"] = function()
    local message = renoise.Osc.Message("/a", { { tag = "i", value = 1 } })
    return of_list(keys(message.arguments[1]), "value")
end

real["evsock.renoise.ReceiveMode"] = function()
    return expected_words(renoise_client(), "receive", "nothing")
end

real["evsock.renoise.Notifier"] = function()
    local text = read("src/dialects/renoise/init.lua")
    return of_list(keys(words_of(text, 'notify%(server, "([%l_]+)"')), "value")
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

-- Options -----------------------------------------------------------------------------------------

-- Class to the list of which its options come.
local lists = {
    ["evsock.SocketOptions"] = "socket",
    ["evsock.ListenOptions"] = "server",
    ["evsock.UdpOptions"] = "udp",
    ["evsock.Keepalive"] = "keepalive",
    ["evsock.Reconnect"] = "reconnect",
    ["evsock.TlsOptions"] = "tls",
    ["evsock.CertsOptions"] = "certs",
}

local types = {
    ascii = "string", bind = "false|evsock.Bind", boolean = "boolean", bytes = "integer",
    certs = "table<string,evsock.CertsOptions>",
    device = "false|string", integer = "integer", interface = "false|string|integer",
    fingerprints = "string|string[]", keepalive = "boolean|number|evsock.Keepalive",
    keylog = "string|boolean", linger = "false|number", number = "number",
    protocols = "string[]",
    reconnect = "false|number|evsock.Reconnect", seconds = "number", text = "string",
    tls = "boolean|evsock.TlsOptions|evsock.Tls",
}

-- "30", "1 MiB", "5 s", "false" as values.
local function value_of(text)
    local units = { KiB = 2 ^ 10, MiB = 2 ^ 20, GiB = 2 ^ 30 }
    local number, unit = text:match("^([%d.]+)%s*(%a*)")
    if number and tonumber(number) then
        return tonumber(number) * (units[unit] or 1)
    end
    local word = text:match("^%a+")
    if word == "true" or word == "false" then
        return word == "true"
    end
end

-- What is wrong with the documentation of an option, or nil.
local function wrong_with(row, what)
    local wanted = types[row.kind]
    if row.kind == "choice" then
        for _, word in ipairs(row.words) do
            if not what.text:find('"' .. word .. '"', 1, true) then
                return "may be " .. word
            end
        end
    elseif what.type ~= wanted then
        return "is of type " .. wanted
    end
    local default = value_of(what.text:match("default (.*)") or "false")
    if row.default ~= nil and row.default ~= default then
        return "has the default " .. tostring(row.default)
    end
    local accepted = what.text:match("for accepted ones (.*)")
    if row.accepted ~= (accepted and value_of(accepted)) then
        return "has for accepted ones the default " .. tostring(row.accepted)
    end
end

local function compare_options(meta)
    local misses = {}
    for class, list in pairs(lists) do
        for _, row in ipairs(native.options(list)) do
            local what = meta.classes[class].own[row.name]
            local why = what and wrong_with(row, what)
            if why then
                misses[#misses + 1] = class .. ": '" .. row.name .. "' " .. why
            end
        end
    end
    return misses
end

-- The rows of the table of limits that name one option alone, and what they promise.
local function compare_limits(readme)
    local rows, misses, compared = {}, {}, 0
    for _, list in ipairs { "socket", "server" } do
        for _, row in ipairs(native.options(list)) do
            rows[row.name] = row
        end
    end
    for default, name in readme:gmatch("\n| [^|\n]+ | ([^|\n]+) | `([%w_]+)` |") do
        local row, value = assert(rows[name], "no option: " .. name), value_of(default)
        compared = compared + 1
        if value ~= row.default and value ~= row.accepted then
            misses[#misses + 1] = name .. " is not " .. default
        end
    end
    return misses, compared
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

    it("is the type and the default of every option", function()
        assert.equal("", table.concat(compare_options(parse(texts)), "\n"))
        local misses, compared = compare_limits(read("README.md"))
        assert.equal("", table.concat(misses, "\n"))
        assert.is_true(compared >= 6)
    end)

    it("is the type and the default of every option: others are noticed", function()
        local function altered(from, to)
            local changed = {}
            for place, text in ipairs(texts) do
                local start, stop = text:find(from, 1, true)
                changed[place] = start and text:sub(1, start - 1) .. to .. text:sub(stop + 1)
                    or text
            end
            return compare_options(parse(changed))
        end
        for _, case in ipairs {
            { "default 30, for accepted", "default 31, for accepted",
                "evsock.SocketOptions: 'connect_timeout' has the default 30" },
            { "for accepted ones 10", "for accepted ones 11",
                "evsock.SocketOptions: 'connect_timeout' has for accepted ones the default 10" },
            { "default 64 MiB", "default 64 KiB",
                "evsock.SocketOptions: 'write_limit' has the default 67108864" },
            { "nodelay? boolean", "nodelay? string",
                "evsock.SocketOptions: 'nodelay' is of type boolean" },
            { "the peer's certificate is verified; default true", "it is verified",
                "evsock.TlsOptions: 'verify' has the default true" },
            { '"request"|"require"', '"request"',
                "evsock.TlsOptions: 'client_auth' may be require" },
        } do
            local misses = altered(case[1], case[2])
            assert.same({ case[3] }, misses)
        end
        local readme = read("README.md"):gsub("| 16 MiB, then", "| 17 MiB, then")
        assert.same({ "max_frame is not 17 MiB, then `EMSGSIZE`" }, (compare_limits(readme)))
    end)

    it("of handlers and events of classes is in the one list of events", function()
        local unknown, classes = {}, 0
        for _, metatable in ipairs(native.metatables) do
            local definition = metatable.__definition
            classes = classes + 1
            for event in pairs(definition.on or {}) do
                if not native.events[definition.kind][event] then
                    unknown[#unknown + 1] = definition.name .. ": " .. event
                end
            end
        end
        assert.equal("", table.concat(unknown, "\n"))
        assert.is_true(classes > 10)
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

    -- What editors are told is the same on every Lua: each line is tried on the fastest, and every
    -- tenth on the others.
    local STEP = helper.is_luajit and 1 or 10

    it("is missed name by name when a line of it is gone", function()
        local existing = find_all()
        local whole = parse(texts)
        local met, tried, unnoticed = 0, 0, {}
        for class_name, class in pairs(whole.classes) do
            for name, what in pairs(class.own) do
                met = met + 1
                if met % STEP == 0 and existing[class_name][name]
                    and class.whole_line ~= what.line then
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
        assert.is_true(tried > 150 / STEP)
    end)

    it("is refused name by name when it promises too much", function()
        local existing = find_all()
        local line, met = 0, 0
        for class_line in table.concat(texts):gmatch("([^\n]*)\n") do
            line = line + 1
            local class = class_line:match("^%-%-%-@class ([%w_.]+)")
            local alias = class_line:match("^%-%-%-@alias ([%w_.]+)$")
            met = met + ((class or alias) and 1 or 0)
            if (class or alias) and met % STEP == 0 then
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
