---@meta evsock.qsys
-- Not `error`: editors would take what is behind it for dead code.
assert(false, "src/meta/evsock/qsys.lua is for editors only; the module is in evsock.so")

--- TcpSocket, TcpSocketServer, UdpSocket, HttpClient and Timer as scripts know them from a Q-SYS
--- Core. Misuse raises; what goes wrong in the world comes as an event.
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

--- Sets TcpSocket, TcpSocketServer, UdpSocket, HttpClient and Timer in a table, by default the
--- globals.
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

-- UdpSocket ---------------------------------------------------------------------------------------

---@class evsock.qsys.UdpSockets
local UdpSocket = {}
qsys.UdpSocket = UdpSocket

--- A new socket, not open.
---
--- `local socket = UdpSocket.New()`
---@return evsock.qsys.UdpSocket socket
function UdpSocket.New() end

---@class evsock.qsys.Packet
---@field Address string who sent it
---@field Port integer
---@field Data string

--- What comes goes to `Data`, or else to `EventHandler`. Other fields are free.
---@class evsock.qsys.UdpSocket
--- How many routers pass on what is sent to a group, 0 to 255; default 1.
---@field MulticastTtl integer
---@field EventHandler? fun(socket: evsock.qsys.UdpSocket, packet: evsock.qsys.Packet)
---@field Data? fun(socket: evsock.qsys.UdpSocket, packet: evsock.qsys.Packet)
local Datagrams = {}

--- Binds, and closes what was open before; raises where the address is not ours or is taken.
---
--- `socket:Open("", 9131)`
---@param ip? string one of our own addresses; default all of IPv4
---@param port? integer|string default: the system's choice
function Datagrams:Open(ip, port) end

--- Nothing comes any more.
---
--- `socket:Close()`
function Datagrams:Close() end

--- Sends a datagram, also to an address for broadcasts; raises if the socket is not open.
---
--- `socket:Send("10.0.0.255", 9, "wake up")`
---@param ip string an address or a name
---@param port integer|string
---@param data string|number at most 65,535 bytes, of which IPv4 takes 65,507
function Datagrams:Send(ip, port, data) end

--- Receives what is sent to a group, too; raises if the socket is not open.
---
--- `socket:JoinMulticast("239.1.2.3")`
---@param group string a numeric address
---@param ip? string our own address where it is to be joined
function Datagrams:JoinMulticast(group, ip) end

-- HttpClient --------------------------------------------------------------------------------------

---@class evsock.qsys.HttpClients
local HttpClient = {}
qsys.HttpClient = HttpClient

---@alias evsock.qsys.HttpAuth "any"|"basic"|"digest"

--- What is asked. Misuse raises; anything else comes to the handler.
---@class evsock.qsys.HttpRequest
---@field Url string http or https; http where it names neither
--- Name to text; to a list, to say it several times.
---@field Headers? table<string, string|string[]>
---@field User? string
---@field Password? string
--- How they are told: "any" (default; as the server asks), "basic" (at once), "digest".
---@field Auth? evsock.qsys.HttpAuth
---@field Timeout? number seconds for all of it; default 30
---@field Data? string the body
---@field Method? string of `Upload` alone; default "PUT"
---@field ValidateCertificate? boolean default false
---@field CACertData? string PEM of what is trusted; default the configured or the system's
---@field ClientCertData? string PEM
---@field ClientKeyData? string PEM
--- `code` is 0 when no answer came; `err` is nil when a whole one came, whatever its code. In
--- `headers` a name has a text, or a list where it came several times.
---@field EventHandler? fun(asked: table, code: integer, data: string, err?: string, headers: table)

--- Asks for what is there.
---
--- `HttpClient.Get { Url = "http://10.0.0.9/state", EventHandler = on_state }`
---@param request evsock.qsys.HttpRequest
function HttpClient.Get(request) end

--- The same as `Get`.
---
--- `HttpClient.Download { Url = "http://10.0.0.9/log", EventHandler = on_log }`
---@param request evsock.qsys.HttpRequest
function HttpClient.Download(request) end

--- Asks that it be removed.
---
--- `HttpClient.Delete { Url = "http://10.0.0.9/presets/4", EventHandler = on_gone }`
---@param request evsock.qsys.HttpRequest
function HttpClient.Delete(request) end

--- Sends what is to be there.
---
--- `HttpClient.Put { Url = "http://10.0.0.9/name", Data = "Foyer", EventHandler = on_put }`
---@param request evsock.qsys.HttpRequest
function HttpClient.Put(request) end

--- Sends something to be worked on; a form unless `Headers` say otherwise.
---
--- `HttpClient.Post { Url = "http://10.0.0.9/power", Data = "on=1", EventHandler = on_power }`
---@param request evsock.qsys.HttpRequest
function HttpClient.Post(request) end

--- Sends a change.
---
--- `HttpClient.Patch { Url = "http://10.0.0.9/state", Data = '{"mute":true}' }`
---@param request evsock.qsys.HttpRequest
function HttpClient.Patch(request) end

--- Sends something by the method that `Method` names.
---
--- `HttpClient.Upload { Url = "http://10.0.0.9/logo", Method = "PUT", Data = logo }`
---@param request evsock.qsys.HttpRequest
function HttpClient.Upload(request) end

---@class evsock.qsys.UrlParts
---@field Host string with its scheme; default http
---@field Port? integer|string
---@field Path? string
---@field Query? string|table<string, string|number|boolean> a table is encoded

--- A URL of its parts.
---
--- `local url = HttpClient.CreateUrl { Host = "10.0.0.9", Path = "find", Query = { q = "a b" } }`
---@param parts evsock.qsys.UrlParts
---@return string url
function HttpClient.CreateUrl(parts) end

--- Text with escapes for all but letters, digits and `-._~`.
---
--- `local text = HttpClient.EncodeString("a b")`
---@param text string
---@return string encoded
function HttpClient.EncodeString(text) end

--- The opposite.
---
--- `local text = HttpClient.DecodeString("a%20b")`
---@param text string
---@return string decoded
function HttpClient.DecodeString(text) end

--- What stands behind a `?`: "a=1&b=2", in the order of names; a list gives its name often.
---
--- `local query = HttpClient.EncodeParams { a = 1, b = 2 }`
---@param params table
---@return string encoded
function HttpClient.EncodeParams(params) end

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
