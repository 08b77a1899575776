---@meta evsock.hammerspoon
-- Not `error`: editors would take what is behind it for dead code.
assert(false, "src/meta/evsock/hammerspoon.lua is for editors only; it is in evsock.so")

--- `hs.socket` as scripts know it from Hammerspoon: queued reads and writes with tags. Times are
--- seconds, negative ones mean none. Misuse raises; what goes wrong in the world is silent, and
--- shows in `connected()`.
---@class evsock.hammerspoon
local hammerspoon = {}

--- What Hammerspoon leaves to its surroundings.
---@class evsock.hammerspoon.Settings
--- Where a host name or address really leads: an address, "address:port", or false (not found).
---@field hosts? table<string, string|false>
---@field ports? table<integer, integer> where a port really leads
---@field cafile? string certificates to trust, in place of the system's
--- Gets what Hammerspoon would write to its console: "error" or "debug", and a text. Errors of
--- callbacks are among them; without it they leave `pump`, unless `evsock.on_error` is set.
---@field logger? fun(level: string, text: string)

--- Sets `hs.socket` in a table, by default the globals, and what `require "hs.socket"` finds.
---
--- `require("evsock.hammerspoon").install()`
---@param env? table
---@return evsock.hammerspoon module
function hammerspoon.install(env) end

--- Replaces the settings named; the others stay. Unknown names raise.
---
--- `hammerspoon.configure({ hosts = { ["10.0.0.9"] = "127.0.0.1" }, ports = { [23] = 2323 } })`
---@param settings evsock.hammerspoon.Settings
function hammerspoon.configure(settings) end

-- The module --------------------------------------------------------------------------------------

---@class evsock.hammerspoon.Sockets
---@field timeout number what `new` gives to a socket, seconds; default -1: none
local socket = {}
hammerspoon.socket = socket

--- A new socket, not connected. `fn` is its read callback.
---
--- `local client = hs.socket.new(function(data, tag) print(tag, data) end)`
---@param fn? fun(data: string, tag: integer)
---@return evsock.hammerspoon.Socket object
function socket.new(fn) end

--- A new socket that listens, on all interfaces or a Unix socket. It is returned also when it
--- cannot listen: `info().userData` is "SERVER" if it does.
---
--- `local server = hs.socket.server(8080, print)`
---@param where integer|string port, or path of a Unix socket
---@param fn? fun(data: string, tag: integer)
---@return evsock.hammerspoon.Socket object
function socket.server(where, fn) end

--- Takes a `sockaddr` string of `info` apart; nil for what is no address.
---
--- `local address = hs.socket.parseAddress(client:info().connectedAddress)`
---@param sockaddr string
---@return evsock.hammerspoon.Address? address
function socket.parseAddress(sockaddr) end

--- Notes a level, and no more: `configure` says what becomes of the log.
---
--- `hs.socket.setLogLevel("debug")`
---@param level integer|string
function socket.setLogLevel(level) end

--- The level noted last.
---
--- `local level = hs.socket.getLogLevel()`
---@return integer|string level
function socket.getLogLevel() end

--- An address taken apart.
---@class evsock.hammerspoon.Address
---@field host string numeric
---@field port integer
---@field addressFamily integer 2: IPv4, 30: IPv6

--- Not supported yet: `new` and `server` raise.
---@class evsock.hammerspoon.Udp
---@field timeout number
local udp = {}
socket.udp = udp

--- Raises: not supported yet.
---
--- `hs.socket.udp.new()`
function udp.new() end

--- Raises: not supported yet.
---
--- `hs.socket.udp.server()`
function udp.server() end

--- As `hs.socket.parseAddress`.
---
--- `local address = hs.socket.udp.parseAddress(from)`
---@param sockaddr string
---@return evsock.hammerspoon.Address? address
function udp.parseAddress(sockaddr) end

-- Objects -----------------------------------------------------------------------------------------

--- A client or a listener, or neither. A listener speaks to all its clients at once.
---@class evsock.hammerspoon.Socket
local Socket = {}

--- Connects, later: `fn` is called once if that succeeds, and nothing happens if it fails. Without
--- a port the host is the path of a Unix socket. Nil if it is connecting, connected or listening
--- already, or the host is empty.
---
--- `client:connect("10.0.0.9", 23, function() client:write("hello\r\n") end)`
---@param host string
---@param port? integer
---@param fn? fun()
---@return evsock.hammerspoon.Socket? self
---@overload fun(self: evsock.hammerspoon.Socket, path: string, fn?: fun())
function Socket:connect(host, port, fn) end

--- Listens on all interfaces or a Unix socket; port 0 picks one. Nil if that cannot be.
---
--- `assert(object:listen(8080))`
---@param where integer|string port, or path of a Unix socket
---@return evsock.hammerspoon.Socket? self
function Socket:listen(where) end

--- Ends the connection, or the listener and its clients. What is queued is dropped.
---
--- `client:disconnect()`
---@return evsock.hammerspoon.Socket self
function Socket:disconnect() end

--- Queues a read: so many bytes, or everything up to and including a delimiter. The callback gets
--- the data and the tag. On a listener: of every client connected now. Nil if no callback is set.
---
--- `client:read("\r\n", 1)`
---@param delimiter integer|string
---@param tag? integer default -1
---@return evsock.hammerspoon.Socket? self
function Socket:read(delimiter, tag) end

--- The same as `read`.
---
--- `client:receive(4)`
---@param delimiter integer|string
---@param tag? integer default -1
---@return evsock.hammerspoon.Socket? self
function Socket:receive(delimiter, tag) end

--- Queues a write; `fn` gets the tag when it has left. On a listener: to every client that is
--- connected now.
---
--- `client:write("hello\r\n", 2, function(tag) print("sent", tag) end)`
---@param message string
---@param tag? integer default -1
---@param fn? fun(tag: integer)
---@return evsock.hammerspoon.Socket self
---@overload fun(self: evsock.hammerspoon.Socket, message: string, fn: fun(tag: integer))
function Socket:write(message, tag, fn) end

--- The same as `write`.
---
--- `client:send("hello\r\n")`
---@param message string
---@param tag? integer default -1
---@param fn? fun(tag: integer)
---@return evsock.hammerspoon.Socket self
function Socket:send(message, tag, fn) end

--- Replaces the read callback, or clears it.
---
--- `client:setCallback(function(data, tag) print(tag, data) end)`
---@param fn? fun(data: string, tag: integer)
---@return evsock.hammerspoon.Socket self
function Socket:setCallback(fn) end

--- The timeout of connects, reads and writes from now on; one that expires disconnects.
---
--- `client:setTimeout(5)`
---@param seconds number negative: none; 0: at once
---@return evsock.hammerspoon.Socket self
function Socket:setTimeout(seconds) end

--- Queues a TLS handshake behind the reads and writes that are queued. The chain is verified,
--- unless `verify` is false; the name is if it is given. A failure disconnects.
---
--- `client:startTLS("device.example")`
---@param verify? boolean|string a string is the name
---@param peerName? string
---@return evsock.hammerspoon.Socket self
function Socket:startTLS(verify, peerName) end

--- Whether it is connected now, ahead of any callback; of a listener, whether it has a client.
---
--- `while client:connected() do evsock.pump(1) end`
---@return boolean connected
function Socket:connected() end

--- How many connections it has now: 0 or 1; of a listener, its clients.
---
--- `print(server:connections())`
---@return integer count
function Socket:connections() end

--- What there is to know, now.
---
--- `print(server:info().localPort)`
---@return evsock.hammerspoon.Info info
function Socket:info() end

--- Without a connection: "", 0 and false, but for `isDisconnected`.
---@class evsock.hammerspoon.Info
---@field userData ""|"DEFAULT"|"SERVER" nothing yet, a client, a listener
---@field isConnected boolean as a client
---@field isDisconnected boolean neither connecting nor connected nor listening
---@field connections integer
---@field connectedHost string the peer, numeric
---@field connectedPort integer
---@field connectedAddress string the same as a `sockaddr`
---@field connectedURL string path of a Unix client
---@field localHost string our end, numeric; "0.0.0.0" of a listener
---@field localPort integer
---@field localAddress string the same as a `sockaddr`
---@field unixSocketPath string
---@field isIPv4 boolean
---@field isIPv6 boolean
---@field isIPv4Enabled boolean
---@field isIPv6Enabled boolean
---@field isIPv4PreferredOverIPv6 boolean
---@field isSecure boolean the TLS handshake is done
---@field timeout number

return hammerspoon
