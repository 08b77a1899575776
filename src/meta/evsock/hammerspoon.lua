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

--- Datagrams.
---@class evsock.hammerspoon.Udp
---@field timeout number what `new` gives to a socket, seconds; default -1: none
local udp = {}
socket.udp = udp

--- A new socket, closed. `fn` is its callback.
---
--- `local object = hs.socket.udp.new(function(data, from) print(data) end)`
---@param fn? fun(data: string, sockaddr: string)
---@return evsock.hammerspoon.UdpSocket object
function udp.new(fn) end

--- A new socket that listens; it receives when it is told to. It is returned also when it cannot
--- listen: `info().userData` is "SERVER" if it does.
---
--- `local object = hs.socket.udp.server(9001, print):receive()`
---@param port integer|string
---@param fn? fun(data: string, sockaddr: string)
---@return evsock.hammerspoon.UdpSocket object
function udp.server(port, fn) end

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

--- A socket for datagrams: one of IPv4 and one of IPv6 at once.
---@class evsock.hammerspoon.UdpSocket
local UdpSocket = {}

--- Binds it, on all interfaces; port 0 picks one. Nil if that cannot be.
---
--- `assert(object:listen(9001))`
---@param port integer|string
---@return evsock.hammerspoon.UdpSocket? self
function UdpSocket:listen(port) end

--- Fixes the other end, once; `fn` is called when that is so. Nil if it is known at once that it
--- cannot be.
---
--- `object:connect("10.0.0.9", 9001, function() object:send("hello") end)`
---@param host string
---@param port integer|string
---@param fn? fun()
---@return evsock.hammerspoon.UdpSocket? self
function UdpSocket:connect(host, port, fn) end

--- Closes it at once; it may be used again.
---
--- `object:close()`
---@return evsock.hammerspoon.UdpSocket self
function UdpSocket:close() end

--- Sends a datagram, without an address to where it is connected; `fn` gets the tag when it has
--- left. Opens a socket that is closed.
---
--- `object:send("hello", "10.0.0.9", 9001, 1, function(tag) print("sent", tag) end)`
---@param message string
---@param host? string
---@param port? integer|string
---@param tag? integer default -1
---@param fn? fun(tag: integer)
---@return evsock.hammerspoon.UdpSocket self
---@overload fun(self: evsock.hammerspoon.UdpSocket, message: string, tag?: integer, fn?: fun())
function UdpSocket:send(message, host, port, tag, fn) end

--- The same as `send`.
---
--- `object:write("hello", "10.0.0.9", 9001)`
---@param message string
---@param host? string
---@param port? integer|string
---@param tag? integer default -1
---@param fn? fun(tag: integer)
---@return evsock.hammerspoon.UdpSocket self
function UdpSocket:write(message, host, port, tag, fn) end

--- Receives datagrams as they come. Nil without a callback, or while it is closed.
---
--- `object:receive()`
---@param fn? fun(data: string, sockaddr: string) becomes the callback
---@return evsock.hammerspoon.UdpSocket? self
function UdpSocket:receive(fn) end

--- The same as `receive`.
---
--- `object:read()`
---@param fn? fun(data: string, sockaddr: string) becomes the callback
---@return evsock.hammerspoon.UdpSocket? self
function UdpSocket:read(fn) end

--- Receives one datagram and pauses.
---
--- `object:receiveOne()`
---@param fn? fun(data: string, sockaddr: string) becomes the callback
---@return evsock.hammerspoon.UdpSocket? self
function UdpSocket:receiveOne(fn) end

--- The same as `receiveOne`.
---
--- `object:readOne()`
---@param fn? fun(data: string, sockaddr: string) becomes the callback
---@return evsock.hammerspoon.UdpSocket? self
function UdpSocket:readOne(fn) end

--- Receives nothing until it is told to again.
---
--- `object:pause()`
---@return evsock.hammerspoon.UdpSocket self
function UdpSocket:pause() end

--- Lets broadcasts be sent. Nil if the system does not.
---
--- `object:broadcast()`
---@param flag? boolean default true
---@return evsock.hammerspoon.UdpSocket? self
function UdpSocket:broadcast(flag) end

--- Lets others that say so, too, have the same port; before `listen`.
---
--- `object:reusePort()`
---@param flag? boolean default true
---@return evsock.hammerspoon.UdpSocket self
function UdpSocket:reusePort(flag) end

--- Uses a version of IP, or not, when it is opened next. Both are used by default.
---
--- `object:enableIPv(6, false)`
---@param version 4|6
---@param flag? boolean default true
---@return evsock.hammerspoon.UdpSocket self
function UdpSocket:enableIPv(version, flag) end

--- Which version is tried first where a name has both; nil says neither, and it is 4.
---
--- `object:preferIPv(6)`
---@param version? 4|6
---@return evsock.hammerspoon.UdpSocket self
function UdpSocket:preferIPv(version) end

--- What is longer is cut, without a sign.
---
--- `object:setBufferSize(1500)`
---@param size integer bytes; default 65535, which is also the most
---@param version? 4|6 nil: both
---@return evsock.hammerspoon.UdpSocket self
function UdpSocket:setBufferSize(size, version) end

--- Replaces the callback, or clears it.
---
--- `object:setCallback(function(data, from) print(data) end)`
---@param fn? fun(data: string, sockaddr: string)
---@return evsock.hammerspoon.UdpSocket self
function UdpSocket:setCallback(fn) end

--- Is kept for `info` and has no effect: no datagram waits for long.
---
--- `object:setTimeout(5)`
---@param seconds number
---@return evsock.hammerspoon.UdpSocket self
function UdpSocket:setTimeout(seconds) end

--- Whether its other end is fixed.
---
--- `print(object:connected())`
---@return boolean connected
function UdpSocket:connected() end

--- Whether it has not been opened, or was closed.
---
--- `print(object:closed())`
---@return boolean closed
function UdpSocket:closed() end

--- What there is to know, now.
---
--- `print(object:info().localPort)`
---@return evsock.hammerspoon.UdpInfo info
function UdpSocket:info() end

--- What is not so is "", 0 or false.
---@class evsock.hammerspoon.UdpInfo
---@field userData ""|"DEFAULT"|"SERVER" "SERVER" after `listen`, "DEFAULT" after `connect`
---@field isClosed boolean
---@field isConnected boolean
---@field connectedHost string numeric
---@field connectedPort integer
---@field connectedAddress string the same as a `sockaddr`
---@field localHost string of IPv4 if there is that
---@field localPort integer
---@field localAddress string
---@field localHost_IPv4 string
---@field localPort_IPv4 integer
---@field localAddress_IPv4 string
---@field localHost_IPv6 string
---@field localPort_IPv6 integer
---@field localAddress_IPv6 string
---@field isIPv4 boolean there is a socket of IPv4
---@field isIPv6 boolean
---@field isIPv4Enabled boolean
---@field isIPv6Enabled boolean
---@field isIPv4Preferred boolean
---@field isIPv6Preferred boolean
---@field isIPVersionNeutral boolean neither is preferred
---@field maxReceiveIPv4BufferSize integer
---@field maxReceiveIPv6BufferSize integer
---@field timeout number

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
