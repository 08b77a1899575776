-- The three example scripts of the Q-SYS documents, run as text against native peers.
-- TcpSocket examples > "TcpSocket example"; TcpSocketServer example > "TcpSocketServer example"
-- The scripts are unchanged but for address and port; `Controls` and `print` come from the host.

-- luacheck: no max string line length

local helper = require "spec.helper"
local qsys = require "evsock.qsys"

-- The first is an example of ours, where address and port stand in globals.
local SINGLE_HANDLER = helper.read_file("examples/qsys_demo/script.lua")
    :gsub("= ADDRESS\n", '= "192.168.1.100"\n'):gsub("= PORT\n", "= 1234\n")

local CALLBACKS = [=[
address = "192.168.1.100"
port = 1234
sock = TcpSocket.New()
sock.ReadTimeout = 0
sock.WriteTimeout = 0
sock.ReconnectTimeout = 5
sendData = 'Hello\x0d\x0a'
sock.Connected = function(sock)
print("TCP socket is connected")
end
sock.Reconnect = function(sock)
print("TCP socket is reconnecting")
end
sock.Data = function(sock)
print("TCP socket has data:",sock:Read(sock.BufferLength) )
end
sock.Closed = function(sock)
print("TCP socket was closed by the remote end")
end
sock.Error = function(sock, err)
print("TCP socket had an error:",err)
end
sock.Timeout = function(sock, err)
print("TCP socket timed out",err)
end
Controls.Inputs[1].EventHandler = function()
sock:Write(sendData)
end
sock:Connect(address, port)
]=]

local SERVER = [=[
server = TcpSocketServer.New()
-- table to store connected client sockets
-- this is required so the sockets don't
-- get garbage collected since there aren't
-- any other references to them in the script
sockets = {}
function RemoveSocketFromTable(sock)
for k,v in pairs(sockets) do
if v == sock then
table.remove(sockets, k)
return
end
end
end
function SocketHandler(sock, event) -- the arguments for this EventHandler are documented in the EventHandler definition of TcpSocket Properties
print( "TCP Socket Event: "..event )
if event == TcpSocket.Events.Data then
print( sock, sock:Read(sock.BufferLength) )
elseif event == TcpSocket.Events.Closed or
event == TcpSocket.Events.Error or
event == TcpSocket.Events.Timeout then
-- remove reference of socket from table so
-- it's available for garbage collection
RemoveSocketFromTable(sock)
end
end
server.EventHandler = function(SocketInstance) -- the properties of this socket instance are those of the TcpSocket library
SocketInstance.ReadTimeout = 10
print( "Got connect", SocketInstance )
table.insert(sockets, SocketInstance)
SocketInstance.EventHandler = SocketHandler
end
server:Listen(1720) -- This listen port is opened on all network interfaces
]=]

-- `\x` is no escape on plain 5.1, where the script sends the letters instead.
local compile = rawget(_G, "loadstring") or load
local set_environment = rawget(_G, "setfenv")
local HELLO = compile([[return 'Hello\x0d\x0a']])()

-- Runs the text as the host does: dialect names and host objects are its globals.
local function run(text)
    local out = {}
    local env = setmetatable({ Controls = { Inputs = { {} } } }, { __index = _G })
    env.print = function(...)
        collectgarbage()
        local words = {}
        for i = 1, select("#", ...) do
            words[i] = tostring((select(i, ...)))
        end
        out[#out + 1] = table.concat(words, "\t")
    end
    qsys.install(env)
    local chunk = assert(compile(text, "=script", "t", env))
    if set_environment then
        set_environment(chunk, env)
    end
    chunk()
    return env, out
end

-- The script with its address and port replaced, each exactly once.
local function at(text, port)
    local placed, addresses = text:gsub('"192%.168%.1%.100"', '"127.0.0.1"')
    local ports
    placed, ports = placed:gsub("port = 1234", ("port = %d"):format(port))
    assert(addresses == 1 and ports == 1, "address and port are there once")
    return placed
end

-- Waits for a line that begins so, behind the one found before; events between may be skipped.
local function wait_for(out, beginning)
    local found
    helper.pump_until(function()
        for i = (out.read or 0) + 1, #out do
            if out[i]:sub(1, #beginning) == beginning then
                found = i
                return true
            end
        end
    end, 5, beginning)
    out.read = found
    return found
end

after_each(helper.finish)

-- Runs a script whose sockets and server end with the test.
local function start(text)
    local env, out = run(text)
    helper.track(env, function()
        local objects = { env.sock or env.server }
        for _, sock in ipairs(env.sockets or {}) do
            objects[#objects + 1] = sock
        end
        for _, object in ipairs(objects) do
            (object.Disconnect or object.Close)(object)
        end
    end)
    return env, out
end

-- Button, answer, the device going away and coming back, for both client scripts.
local function client_story(text, say)
    local device = helper.server()
    local env, out = start(at(text, device.port))
    assert.equal(0, #out)
    wait_for(out, say.connected)
    helper.wait_accepted(device)

    env.Controls.Inputs[1].EventHandler()
    helper.wait_field(device.sockets[1], "buffered", #HELLO)
    assert.equal(HELLO, device.sockets[1]:read())

    device.sockets[1]:write("ready\r\n")
    wait_for(out, say.ready)

    -- The script asks for 5 s; the host shortens the pause from outside.
    env.sock.ReconnectTimeout = 0.1
    device.sockets[1]:close()
    wait_for(out, say.closed)
    assert.has_error(function()
        env.Controls.Inputs[1].EventHandler()
    end)
    local back = wait_for(out, say.reconnecting)
    assert.equal(back + 1, wait_for(out, say.connected))
    helper.pump_until(function()
        return device.sockets[2]
    end, 5, "the client is back")

    device.sockets[2]:abort()
    local broken = wait_for(out, say.error)
    assert.is_true(#out[broken] > #say.error)
    assert.equal(broken + 1, wait_for(out, say.reconnecting))
    wait_for(out, say.connected)
    return env, out
end

describe("Q-SYS TcpSocket example", function()
    it("2 seed: \"Using Single EventHandler\" runs unchanged", function()
        local env, out = client_story(SINGLE_HANDLER, {
            connected = "socket connected",
            ready = "reading until CrLf got ready",
            closed = "socket closed by remote",
            reconnecting = "socket reconnecting...",
            error = "socket closed due to error\t",
        })
        assert.equal("socket has data", out[2])
        env.sock.ReadTimeout = 0.05
        wait_for(out, "socket closed due to timeout")
        for _, line in ipairs(out) do
            assert.is_nil(line:find("unknown socket event", 1, true))
        end
    end)

    it("2 seed: \"Using Separate Callback Functions\" runs unchanged", function()
        local env, out = client_story(CALLBACKS, {
            connected = "TCP socket is connected",
            ready = "TCP socket has data:\tready\r\n",
            closed = "TCP socket was closed by the remote end",
            reconnecting = "TCP socket is reconnecting",
            error = "TCP socket had an error:\t",
        })
        env.sock.ReadTimeout = 0.05
        wait_for(out, "TCP socket timed out\tread timeout")
    end)

    it("2 seed: a device that is not there is an error, then reconnecting", function()
        local env, out = start(at(SINGLE_HANDLER, helper.free_port()))
        env.sock.ReconnectTimeout = 0.05
        helper.wait_count(out, 3)
        assert.same({
            "socket closed due to error\t",
            "socket reconnecting...",
            "socket closed due to error\t",
        }, { out[1], out[2], out[3] })
    end)
end)

describe("Q-SYS TcpSocketServer example", function()
    it("3 seed: clients come, talk, time out and go", function()
        local port = helper.free_port()
        local placed, count = SERVER:gsub("Listen%(1720%)", ("Listen(%d)"):format(port))
        assert.equal(1, count)
        local env, out = start(placed)
        local client = helper.connect(port)
        helper.pump_until(function()
            return #env.sockets == 1 and client.state == "open"
        end, 5, "the first client")
        assert.is_truthy(out[1]:find("Got connect\tuserdata:", 1, true))
        assert.equal(10, env.sockets[1].ReadTimeout)

        client:write("who are you?")
        wait_for(out, "TCP Socket Event: DATA")
        assert.is_truthy(out[3]:find("^userdata:.*\twho are you%?$"))
        client:close()
        wait_for(out, "TCP Socket Event: EOF")
        assert.equal(0, #env.sockets)

        local resetting = helper.connect(port)
        helper.pump_until(function()
            return #env.sockets == 1 and resetting.state == "open"
        end, 5, "the second client")
        resetting:abort()
        wait_for(out, "TCP Socket Event: ERROR")
        assert.equal(0, #env.sockets)

        local silent = helper.connect(port)
        helper.pump_until(function()
            return #env.sockets == 1 and silent.state == "open"
        end, 5, "the third client")
        env.sockets[1].ReadTimeout = 0.05
        wait_for(out, "TCP Socket Event: TIMEOUT")
        assert.equal(0, #env.sockets)
        helper.wait_state(silent, "closed")
    end)
end)
