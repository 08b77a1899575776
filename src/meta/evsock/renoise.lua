---@meta evsock.renoise
-- Not `error`: editors would take what is behind it for dead code.
assert(false, "src/meta/evsock/renoise.lua is for editors only; the module is in evsock.so")

--- `renoise.Socket` and `renoise.Osc` as tools know them from Renoise: clients that block, servers
--- that call back, messages and bundles of OSC.
--- Misuse and the use of a closed socket raise; what goes wrong in the world is a second result.
---@class evsock.renoise
---@field Osc evsock.renoise.Osc
---@field Socket evsock.renoise.Sockets
local renoise = {}

--- What Renoise leaves to its surroundings.
---@class evsock.renoise.Settings
--- Where a host name or address really leads: an address, "address:port", or false (not found).
---@field hosts? table<string, string|false>
---@field ports? table<integer, integer> where a port really leads
---@field cafile? string certificates to trust; Renoise's sockets know no TLS
---@field logger? fun(level: string, text: string) hears the real reason of each failure
--- Milliseconds for which the system may take nothing of what is sent; default 10000.
---@field send_timeout? number

--- Sets `renoise.Socket` and `renoise.Osc` in a table, by default the globals. What a table
--- `renoise` that is there already holds besides stays.
---
--- `require("evsock.renoise").install()`
---@param env? table
---@return evsock.renoise module
function renoise.install(env) end

--- Replaces the settings named; the others stay. Unknown names raise.
---
--- `renoise.configure({ hosts = { ["10.0.0.9"] = "127.0.0.1" }, ports = { [80] = 8080 } })`
---@param settings evsock.renoise.Settings
function renoise.configure(settings) end

--- `renoise.Socket`.
---@class evsock.renoise.Sockets
---@field PROTOCOL_TCP 1
---@field PROTOCOL_UDP 2
local Socket = {}

--- Connects, and blocks until the connection stands, which a client of UDP does at once. No
--- connection: nil and a text, "timeout" when the time is up.
---
--- `local client, problem = renoise.Socket.create_client("localhost", 80)`
---@param address string
---@param port integer
---@param protocol? 1|2 default `PROTOCOL_TCP`
---@param timeout_ms? number for the lookup and connecting together; default 1000
---@return evsock.renoise.SocketClient? client
---@return string? problem
function Socket.create_client(address, port, protocol, timeout_ms) end

--- Listens; serves once it runs. Without an address, on every interface. Port taken, no such
--- address: nil and a text.
---
--- `local server, problem = renoise.Socket.create_server("localhost", 1025)`
---@param address string
---@param port integer
---@param protocol? 1|2 default `PROTOCOL_TCP`
---@return evsock.renoise.SocketServer? server
---@return string? problem
---@overload fun(port: integer, protocol?: 1|2): evsock.renoise.SocketServer?, string?
function Socket.create_server(address, port, protocol) end

--- What both have. All but `is_open` raise once the socket is closed.
---@class evsock.renoise.SocketBase
---@field is_open boolean it was not closed, and no receive or send has found out that it is over
---@field local_address string
---@field local_port integer

--- What `receive` takes: a line, whatever is there, or that many bytes.
---@alias evsock.renoise.ReceiveMode integer|"*line"|"*all"

--- A connection: made by `create_client`, or accepted by a server.
---@class evsock.renoise.SocketClient: evsock.renoise.SocketBase
---@field peer_address string
---@field peer_port integer
local SocketClient = {}

--- Receives, blocking for at most that long; 0: looks once. Nobody's callbacks run meanwhile. For
--- a number of bytes the time counts anew with every piece. "timeout": nothing was lost, try
--- again; "disconnected" and everything else: the socket is closed now. Newlines are removed.
--- Of UDP: the bytes of datagrams in order, "*all" what is left of one; it is never closed by this.
---
--- `local line, problem = client:receive("*line", 500)`
---@param mode evsock.renoise.ReceiveMode
---@param timeout_ms number
---@return string? data
---@return string? problem
function SocketClient:receive(mode, timeout_ms) end

--- Sends, blocking until the system has taken everything. Nobody's callbacks run meanwhile. False:
--- the socket is closed now. Of UDP: one datagram; the socket stays open.
---
--- `local ok, problem = client:send("GET / HTTP/1.0\r\n\r\n")`
---@param message string|evsock.renoise.Message|evsock.renoise.Bundle|{ binary_data: string }
---@return boolean ok
---@return string? problem
function SocketClient:send(message) end

--- Closes the connection. Closing again does nothing.
---
--- `client:close()`
function SocketClient:close() end

--- The callbacks of a server, all optional: a table of functions, or an object whose class has
--- them as methods.
---@class evsock.renoise.Notifier
---@field socket_error? fun(text: string) something failed in the background
---@field socket_accepted? fun(client: evsock.renoise.SocketClient) somebody connected
--- Bytes came: pieces as they arrive, no lines. Of UDP: a datagram and who sent it.
---@field socket_message? fun(client: evsock.renoise.From, data: string)

---@alias evsock.renoise.From evsock.renoise.SocketClient|evsock.renoise.Sender

--- Who has sent a datagram to a server of UDP. The same object for the same address and port as
--- long as the script holds it; reading from it raises.
---@class evsock.renoise.Sender
---@field is_open false
---@field address string the same as `peer_address`
---@field port integer the same as `peer_port`
---@field peer_address string
---@field peer_port integer
---@field local_address string
---@field local_port integer
local Sender = {}

--- Answers, from the server's port. Raises once the server is closed.
---
--- `sender:send("answer")`
---@param message string|evsock.renoise.Message|evsock.renoise.Bundle|{ binary_data: string }
---@return boolean ok
---@return string? problem
function Sender:send(message) end

--- Raises: the server receives.
---
--- `sender:receive("*all", 0)`
function Sender:receive() end

--- Does nothing, since there is no connection.
---
--- `sender:close()`
function Sender:close() end

--- Listens on a port. It keeps its connections alive, and closes with its last reference.
---@class evsock.renoise.SocketServer: evsock.renoise.SocketBase
---@field is_running boolean
local SocketServer = {}

--- Serves from now on: callbacks come from `evsock.pump`. Who connected before is served, too.
---
--- `server:run({ socket_message = function(client, data) client:send(data) end })`
---@param notifier evsock.renoise.Notifier
function SocketServer:run(notifier) end

--- Stops serving. Connections stay; what comes is told after the next `run`.
---
--- `server:stop()`
function SocketServer:stop() end

--- Blocks for that long, or until the server is closed; its callbacks, and only these, come
--- meanwhile.
---
--- `server:wait(1000)`
---@param timeout_ms number
function SocketServer:wait(timeout_ms) end

--- Closes the port and all connections. Closing again does nothing.
---
--- `server:close()`
function SocketServer:close() end

--- `renoise.Osc`: messages and bundles of OSC 1.0.
---@class evsock.renoise.Osc
local Osc = {}

--- An argument: the tag of OSC, and a value that fits it. `i` integer of 32 bits, `f` float of 32
--- bits, `s` and `S` text without NUL, `b` any string, `h` integer of 64 bits, `t` time (a number
--- from 0 to 2^64, 1: at once), `d` number, `c` text of one byte, `r` and `m` integer from 0 to
--- 2^32 - 1; `T` true, `F` false, `N` and `I` have no value. Beyond 2^53 an `h` is the nearest
--- double where Lua has no integers.
---@class evsock.renoise.Argument
---@field tag string one of i f s b h t d S c r m T F N I
---@field value? number|string|boolean

--- A message, which does not change.
---@class evsock.renoise.Message
---@field pattern string
---@field arguments evsock.renoise.Argument[]
---@field binary_data string as it is sent

--- A bundle, which does not change.
---@class evsock.renoise.Bundle
---@field timetag number
---@field elements (evsock.renoise.Message|evsock.renoise.Bundle)[]
---@field binary_data string as it is sent

--- Makes a message. A value that does not fit its tag raises.
---
--- `client:send(renoise.Osc.Message("/volume", { { tag = "f", value = 0.5 } }))`
---@param pattern string begins with "/"
---@param arguments? evsock.renoise.Argument[]
---@return evsock.renoise.Message message
function Osc.Message(pattern, arguments) end

--- Makes a bundle of messages, of none that is a bundle.
---
--- `client:send(renoise.Osc.Bundle(os.clock(), { first, second }))`
---@param timetag number as the tag `t`; its fraction is cut off; `os.clock()`: now
---@param messages evsock.renoise.Message|evsock.renoise.Message[]
---@return evsock.renoise.Bundle bundle
function Osc.Bundle(timetag, messages) end

--- Reads a packet. What is none: nil and a text.
---
--- `local packet, problem = renoise.Osc.from_binary_data(data)`
---@param data string
---@return evsock.renoise.Message|evsock.renoise.Bundle|nil packet
---@return string? problem
function Osc.from_binary_data(data) end

return renoise
