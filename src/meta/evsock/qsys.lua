---@meta evsock.qsys
-- Not `error`: editors would take what is behind it for dead code.
assert(false, "src/meta/evsock/qsys.lua is for editors only; the module is in evsock.so")

--- TcpSocket, TcpSocketServer and Timer as scripts know them from a Q-SYS Core. Misuse raises; what
--- goes wrong in the world comes as an event.
---@class evsock.qsys
local qsys = {}

--- What a Core leaves to its surroundings.
---@class evsock.qsys.Settings
--- Where a host name or address really leads: an address, "address:port", or false (not found).
---@field hosts? table<string, string|false>
---@field ports? table<integer, integer> where a port really leads
---@field cafile? string certificates to trust
---@field logger? fun(level: string, text: string) hears the real reason of each failure
---@field listen_raises? boolean a failed `Listen` raises instead of returning a text

--- Sets TcpSocket, TcpSocketServer and Timer in a table, by default the globals.
---
--- `require("evsock.qsys").install()`
---@param env? table
---@return evsock.qsys module
function qsys.install(env) end

--- Replaces the settings named; the others stay. Unknown names raise.
---
--- `qsys.configure({ hosts = { ["10.0.0.9"] = "127.0.0.1" }, ports = { [23] = 2323 } })`
---@param settings evsock.qsys.Settings
function qsys.configure(settings) end

-- TcpSocket ---------------------------------------------------------------------------------------

--- The events' names, and what `EventHandler` gets for each.
---@class evsock.qsys.Events
---@field Connected "CONNECTED"
---@field Reconnect "RECONNECT" it is about to connect again
---@field Data "DATA" something can be read
---@field Closed "EOF" the peer closed the connection
---@field Error "ERROR"
---@field Timeout "TIMEOUT" a read or write took longer than allowed

---@alias evsock.qsys.Event
---| "CONNECTED"
---| "RECONNECT"
---| "DATA"
---| "EOF"
---| "ERROR"
---| "TIMEOUT"

--- What ends a line, for `ReadLine`.
---@class evsock.qsys.EOL
---@field Any 0 a run of CR and LF
---@field CrLf 1 LF with an optional CR before it
---@field CrLfStrict 2 CR LF and nothing else
---@field Lf 3
---@field Null 4 a zero byte
---@field Custom 5 the text given behind it

---@class evsock.qsys.TcpSockets
---@field Events evsock.qsys.Events
---@field EOL evsock.qsys.EOL
local TcpSocket = {}
qsys.TcpSocket = TcpSocket

--- A new socket, not connected.
---
--- `local socket = TcpSocket.New()`
---@return evsock.qsys.TcpSocket socket
function TcpSocket.New() end

--- The same, speaking TLS. Nothing is validated unless `ValidateCertificate` is set.
---
--- `local socket = TcpSocket.NewTls()`
---@return evsock.qsys.TcpSocket socket
function TcpSocket.NewTls() end

--- An event goes to the handler of its name or else to `EventHandler`. Other fields are free.
---@class evsock.qsys.TcpSocket
---@field IsConnected boolean
---@field BufferLength integer bytes that can be read now
---@field PeerAddress string of a socket that a server accepted; otherwise empty
---@field ValidateCertificate boolean of a TLS socket; default false
---@field CACertData string PEM of what is trusted; default the configured or the system's
---@field ClientCertData string PEM
---@field ClientKeyData string PEM
---@field ReadTimeout number seconds; 0: none
---@field WriteTimeout number seconds; 0: none
--- Pause before it connects again in seconds, at least 0.01; default 5, 0: never.
---@field ReconnectTimeout number
---@field EventHandler? fun(socket: evsock.qsys.TcpSocket, event: evsock.qsys.Event, error: string)
---@field Connected? fun(socket: evsock.qsys.TcpSocket)
---@field Reconnect? fun(socket: evsock.qsys.TcpSocket)
---@field Data? fun(socket: evsock.qsys.TcpSocket)
---@field Closed? fun(socket: evsock.qsys.TcpSocket)
---@field Error? fun(socket: evsock.qsys.TcpSocket, error: string)
---@field Timeout? fun(socket: evsock.qsys.TcpSocket, error: string)
local Socket = {}

--- Connects, and connects again whenever it fails or ends.
---
--- `socket:Connect("10.0.0.9", 23)`
---@param host string
---@param port integer|string
function Socket:Connect(host, port) end

--- Closes; no event follows.
---
--- `socket:Disconnect()`
function Socket:Disconnect() end

--- Queues the text; raises if the socket is not connected.
---
--- `socket:Write("POWER ON\r\n")`
---@param data string|number
function Socket:Write(data) end

--- Up to that many bytes, or nil.
---
--- `local data = socket:Read(socket.BufferLength)`
---@param length? integer
---@return string? data
function Socket:Read(length) end

--- Text before the end of line, which is removed; nil when no whole line is there.
---
--- `local line = socket:ReadLine(TcpSocket.EOL.CrLf)`
---@param eol integer one of `TcpSocket.EOL`
---@param custom? string with `EOL.Custom`
---@return string? line
function Socket:ReadLine(eol, custom) end

--- Where plain text stands in the buffer, from 1; removes nothing.
---
--- `local place = socket:Search("OK")`
---@param text string
---@param start? integer
---@return integer? index
function Socket:Search(text, start) end

-- TcpSocketServer ---------------------------------------------------------------------------------

---@class evsock.qsys.TcpSocketServers
local TcpSocketServer = {}
qsys.TcpSocketServer = TcpSocketServer

--- A new server, not listening.
---
--- `local server = TcpSocketServer.New()`
---@return evsock.qsys.TcpSocketServer server
function TcpSocketServer.New() end

--- Other fields are free.
---@class evsock.qsys.TcpSocketServer
---@field EventHandler? fun(socket: evsock.qsys.TcpSocket) somebody connected
local Server = {}

--- Listens on all interfaces.
---
--- `local problem = server:Listen(1710)`
---@param port integer|string
---@return string? problem
function Server:Listen(port) end

--- Stops listening; accepted sockets stay open.
---
--- `server:Close()`
function Server:Close() end

-- Timer -------------------------------------------------------------------------------------------

---@class evsock.qsys.Timers
local Timer = {}
qsys.Timer = Timer

--- A new timer, not running.
---
--- `local timer = Timer.New()`
---@return evsock.qsys.Timer timer
function Timer.New() end

--- Calls a function once. The function comes first.
---
--- `Timer.CallAfter(function() print("late") end, 1.5)`
---@param fn function
---@param seconds number
function Timer.CallAfter(fn, seconds) end

--- Seconds of a clock that never goes back.
---
--- `local begun = Timer.Now()`
---@return number seconds
function Timer.Now() end

--- Other fields are free.
---@class evsock.qsys.Timer
---@field EventHandler? fun(timer: evsock.qsys.Timer)
local Clock = {}

--- Calls `EventHandler` every so many seconds, also while it runs already.
---
--- `timer:Start(0.5)`
---@param seconds number
function Clock:Start(seconds) end

--- Ends the calls.
---
--- `timer:Stop()`
function Clock:Stop() end

--- Whether it calls.
---
--- `if timer:IsRunning() then timer:Stop() end`
---@return boolean running
function Clock:IsRunning() end

return qsys
