---@meta evsock.pharos
-- Not `error`: editors would take what is behind it for dead code.
assert(false, "src/meta/evsock/pharos.lua is for editors only; the module is in evsock.so")

--- `net` and `iomodules` as IO modules of Pharos and Mosaic controllers know them. Misuse raises;
--- what goes wrong in the world comes to a handler. All handlers are called by `evsock.pump`.
---@class evsock.pharos
---@field net evsock.pharos.net
---@field iomodules evsock.pharos.iomodules
---@field Stream evsock.pharos.OpenModes
---@field Timer evsock.pharos.Timers
local pharos = {}

--- What a controller leaves to its surroundings.
---@class evsock.pharos.Settings
--- Where a host name or address really leads: an address, "address:port", or false (not found).
---@field hosts? table<string, string|false>
---@field ports? table<integer, integer> where a port really leads
---@field cafile? string certificates to trust, in place of the system's
---@field logger? fun(level: string, text: string) hears the real reason of each failure
---@field connect_timeout? number seconds that an attempt may take; default 30

--- Sets `net` and `iomodules` in a table, by default the globals; adds to what is there.
---
--- `require("evsock.pharos").install()`
---@param env? table
---@return evsock.pharos module
function pharos.install(env) end

--- Replaces the settings named; the others stay. Unknown names raise.
---
--- `pharos.configure({ hosts = { ["10.0.0.9"] = "127.0.0.1" }, ports = { [23] = 2323 } })`
---@param settings evsock.pharos.Settings
function pharos.configure(settings) end

---@class evsock.pharos.net
---@field SslCertificate evsock.pharos.SslCertificates
---@field SslConfiguration evsock.pharos.SslConfigurations
---@field SslEncoding evsock.pharos.SslEncoding
---@field SslKey evsock.pharos.SslKeys
---@field SslServer evsock.pharos.SslServers
---@field SslSocket evsock.pharos.SslSockets
---@field Stream evsock.pharos.OpenModes
---@field TcpServer evsock.pharos.TcpServers
---@field TcpSocket evsock.pharos.TcpSockets
---@field UdpSocket evsock.pharos.UdpSockets

--- The classes of `net` are found here, too: `iomodules.UdpSocket.new()`.
---@class evsock.pharos.iomodules: evsock.pharos.net
---@field net evsock.pharos.net
---@field Timer evsock.pharos.Timers

-- Numbers -----------------------------------------------------------------------------------------

--- How a stream is open; add them up.
---@class evsock.pharos.OpenModes
---@field NOT_OPEN_MODE 0
---@field READ_ONLY_MODE 1
---@field WRITE_ONLY_MODE 2
---@field READ_WRITE_MODE 3
---@field APPEND_MODE 4
---@field TRUNCATE_MODE 8

--- Errors and states.
---@class evsock.pharos.Constants: evsock.pharos.OpenModes
---@field CONNECTION_REFUSED_ERROR 0
---@field REMOTE_HOST_CLOSED_ERROR 1 a reset, too
---@field HOST_NOT_FOUND_ERROR 2
---@field SOCKET_RESOURCE_ERROR 4 too many descriptors, or no memory
---@field SOCKET_TIMEOUT_ERROR 5
---@field DATAGRAM_TOO_LARGE_ERROR 6
---@field NETWORK_ERROR 7
---@field UNSUPPORTED_SOCKET_OPERATION_ERROR 10
---@field UNFINISHED_SOCKET_OPERATION_ERROR 11
---@field SSL_HANDSHAKE_FAILED_ERROR 13
---@field OPERATION_ERROR 19 not in this state
---@field SSL_INTERNAL_ERROR 20
---@field SSL_INVALID_USERDATA_ERROR 21 a bad certificate or key was given
---@field TEMPORARY_ERROR 22
---@field UNKNOWN_ERROR -1
---@field UNCONNECTED_STATE 0
---@field HOST_LOOKUP_STATE 1
---@field CONNECTING_STATE 2
---@field CONNECTED_STATE 3
---@field BOUND_STATE 4
---@field CLOSING_STATE 6 what was written is still being sent

--- How the peer's certificate is looked at.
---@class evsock.pharos.VerifyModes
---@field VERIFY_NONE 0
---@field QUERY_PEER 1
---@field VERIFY_PEER 2
---@field AUTO_VERIFY_PEER 3 verify as a client, query as a server

---@class evsock.pharos.SslModes: evsock.pharos.VerifyModes
---@field UNENCRYPTED_MODE 0
---@field SSL_CLIENT_MODE 1
---@field SSL_SERVER_MODE 2

---@class evsock.pharos.SslEncoding
---@field PEM 0
---@field DER 1

-- Stream ------------------------------------------------------------------------------------------

--- Reading and writing. The asynchronous forms give their result to a callback, if there is one,
--- which `pump` calls after the handlers that belong with it.
---@class evsock.pharos.Stream: evsock.pharos.OpenModes
---@field is_open boolean
---@field open_mode integer
---@field bytes_available integer bytes that can be read now
---@field bytes_to_write integer bytes that wait to be sent
---@field at_end boolean nothing can be read now
---@field pos integer 0 for sockets
---@field readable boolean
---@field writeable boolean
---@field sequential boolean true for sockets
---@field can_read_line boolean a line feed is there
---@field error_string string text of the last error
local Stream = {}

--- Takes bytes as a string.
---
--- `local data = socket:read_string(100)`
---@param max? integer at most so many bytes; all if not given
---@return string data empty when nothing is there
function Stream:read_string(max) end

--- The same for a callback.
---
--- `socket:read_string_async(100, print)`
---@param max? integer at most so many bytes; all if not given
---@param callback? fun(stream: evsock.pharos.Stream, result: string, problem: nil)
function Stream:read_string_async(max, callback) end

--- Takes bytes as a table.
---
--- `local bytes = socket:read_bytes(100)`
---@param max? integer at most so many bytes; all if not given
---@return integer[] bytes from 1; empty when nothing is there
function Stream:read_bytes(max) end

--- The same for a callback.
---
--- `socket:read_bytes_async(100, print)`
---@param max? integer at most so many bytes; all if not given
---@param callback? fun(stream: evsock.pharos.Stream, result: integer[], problem: nil)
function Stream:read_bytes_async(max, callback) end

--- The string form of reading.
---
--- `local data = socket:read(100)`
---@param max? integer at most so many bytes; all if not given
---@return string data empty when nothing is there
function Stream:read(max) end

--- The same for a callback.
---
--- `socket:read_async(100, print)`
---@param max? integer at most so many bytes; all if not given
---@param callback? fun(stream: evsock.pharos.Stream, result: string, problem: nil)
function Stream:read_async(max, callback) end

--- Takes a line with its line feed; all there is when there is none.
---
--- `local line = socket:read_line_string()`
---@param max? integer at most so many bytes; all if not given
---@return string data empty when nothing is there
function Stream:read_line_string(max) end

--- The same for a callback.
---
--- `socket:read_line_string_async(print)`
---@param max? integer at most so many bytes; all if not given
---@param callback? fun(stream: evsock.pharos.Stream, result: string, problem: nil)
function Stream:read_line_string_async(max, callback) end

--- The same as a table.
---
--- `local line = socket:read_line_bytes()`
---@param max? integer at most so many bytes; all if not given
---@return integer[] bytes from 1; empty when nothing is there
function Stream:read_line_bytes(max) end

--- The same for a callback.
---
--- `socket:read_line_bytes_async(print)`
---@param max? integer at most so many bytes; all if not given
---@param callback? fun(stream: evsock.pharos.Stream, result: integer[], problem: nil)
function Stream:read_line_bytes_async(max, callback) end

--- The string form of reading a line.
---
--- `local line = socket:read_line()`
---@param max? integer at most so many bytes; all if not given
---@return string data empty when nothing is there
function Stream:read_line(max) end

--- The same for a callback.
---
--- `socket:read_line_async(print)`
---@param max? integer at most so many bytes; all if not given
---@param callback? fun(stream: evsock.pharos.Stream, result: string, problem: nil)
function Stream:read_line_async(max, callback) end

--- Takes everything.
---
--- `local data = socket:read_all_string()`
---@return string data empty when nothing is there
function Stream:read_all_string() end

--- The same for a callback.
---
--- `socket:read_all_string_async(print)`
---@param callback? fun(stream: evsock.pharos.Stream, result: string, problem: nil)
function Stream:read_all_string_async(callback) end

--- The same as a table.
---
--- `local bytes = socket:read_all_bytes()`
---@return integer[] bytes from 1; empty when nothing is there
function Stream:read_all_bytes() end

--- The same for a callback.
---
--- `socket:read_all_bytes_async(print)`
---@param callback? fun(stream: evsock.pharos.Stream, result: integer[], problem: nil)
function Stream:read_all_bytes_async(callback) end

--- The string form of reading everything.
---
--- `local data = socket:read_all()`
---@return string data empty when nothing is there
function Stream:read_all() end

--- The same for a callback.
---
--- `socket:read_all_async(print)`
---@param callback? fun(stream: evsock.pharos.Stream, result: string, problem: nil)
function Stream:read_all_async(callback) end

--- As `read_string`, but nothing is removed.
---
--- `local data = socket:peek_string(4)`
---@param max? integer at most so many bytes; all if not given
---@return string data empty when nothing is there
function Stream:peek_string(max) end

--- The same for a callback.
---
--- `socket:peek_string_async(4, print)`
---@param max? integer at most so many bytes; all if not given
---@param callback? fun(stream: evsock.pharos.Stream, result: string, problem: nil)
function Stream:peek_string_async(max, callback) end

--- As `read_bytes`, but nothing is removed.
---
--- `local bytes = socket:peek_bytes(4)`
---@param max? integer at most so many bytes; all if not given
---@return integer[] bytes from 1; empty when nothing is there
function Stream:peek_bytes(max) end

--- The same for a callback.
---
--- `socket:peek_bytes_async(4, print)`
---@param max? integer at most so many bytes; all if not given
---@param callback? fun(stream: evsock.pharos.Stream, result: integer[], problem: nil)
function Stream:peek_bytes_async(max, callback) end

--- Writes; while connecting it is queued.
---
--- `local count = socket:write_string("POWER ON")`
---@param data string|number
---@return integer count bytes taken; -1: none, `error_string` tells why
function Stream:write_string(data) end

--- The same for a callback.
---
--- `socket:write_string_async("POWER ON", print)`
---@param data string|number
---@param callback? fun(stream: evsock.pharos.Stream, result: integer, problem: nil)
function Stream:write_string_async(data, callback) end

--- The same from a table of numbers from 0 to 255.
---
--- `local count = socket:write_bytes({ 2, 48, 3 })`
---@param bytes integer[]
---@return integer count bytes taken; -1: none, `error_string` tells why
function Stream:write_bytes(bytes) end

--- The same for a callback.
---
--- `socket:write_bytes_async({ 2, 48, 3 }, print)`
---@param bytes integer[]
---@param callback? fun(stream: evsock.pharos.Stream, result: integer, problem: nil)
function Stream:write_bytes_async(bytes, callback) end

--- The string form of writing.
---
--- `local count = socket:write("POWER ON")`
---@param data string|number
---@return integer count bytes taken; -1: none, `error_string` tells why
function Stream:write(data) end

--- The same for a callback.
---
--- `socket:write_async("POWER ON", print)`
---@param data string|number
---@param callback? fun(stream: evsock.pharos.Stream, result: integer, problem: nil)
function Stream:write_async(data, callback) end

--- False for sockets.
---
--- `local moved = socket:seek(0)`
---@param pos integer
---@return boolean moved
function Stream:seek(pos) end

--- The same for a callback.
---
--- `socket:seek_async(0, print)`
---@param pos integer
---@param callback? fun(stream: evsock.pharos.Stream, result: boolean, problem: nil)
function Stream:seek_async(pos, callback) end

--- False for sockets.
---
--- `local moved = socket:reset()`
---@return boolean moved
function Stream:reset() end

--- The same for a callback.
---
--- `socket:reset_async(print)`
---@param callback? fun(stream: evsock.pharos.Stream, result: boolean, problem: nil)
function Stream:reset_async(callback) end

--- Sets the open mode.
---
--- `local opened = socket:open(3)`
---@param mode integer
---@return boolean opened
function Stream:open(mode) end

--- The same for a callback.
---
--- `socket:open_async(3, print)`
---@param mode integer
---@param callback? fun(stream: evsock.pharos.Stream, result: boolean, problem: nil)
function Stream:open_async(mode, callback) end

-- TcpSocket ---------------------------------------------------------------------------------------

---@class evsock.pharos.TcpSockets: evsock.pharos.Constants
local TcpSocket = {}

--- A new socket, not connected.
---
--- `local socket = TcpSocket.new()`
---@return evsock.pharos.TcpSocket socket
function TcpSocket.new() end

--- Every handler sees the state that it tells of. Other fields are free.
---@class evsock.pharos.TcpSocket: evsock.pharos.Stream, evsock.pharos.Constants
---@field error integer the last error, -1 before any
---@field state integer
---@field valid boolean connecting, connected, bound or closing
---@field local_address string empty when there is none
---@field local_port integer 0 when there is none
---@field remote_address string empty unless connected
---@field remote_port integer 0 unless connected
---@field connected_handler? fun(socket: evsock.pharos.TcpSocket)
---@field disconnected_handler? fun(socket: evsock.pharos.TcpSocket) not after a failed attempt
---@field error_handler? fun(socket: evsock.pharos.TcpSocket, error: integer)
---@field state_changed_handler? fun(socket: evsock.pharos.TcpSocket, state: integer)
---@field host_found_handler? fun(socket: evsock.pharos.TcpSocket)
---@field ready_read_handler? fun(socket: evsock.pharos.TcpSocket) once for each arrival
---@field bytes_written_handler? fun(socket: evsock.pharos.TcpSocket, count: integer)
---@field about_to_close_handler? fun(socket: evsock.pharos.TcpSocket)
local Socket = {}

--- Connects, once. Error 19 when a connection stands or is under way.
---
--- `socket:connect("10.0.0.9", 4352)`
---@param host string
---@param port integer|string
---@param open_mode? integer default READ_WRITE_MODE
function Socket:connect(host, port, open_mode) end

--- Closes when everything is sent.
---
--- `socket:disconnect()`
function Socket:disconnect() end

--- Closes at once; unsent and unread bytes are dropped.
---
--- `socket:abort()`
function Socket:abort() end

--- As `disconnect`; unread bytes are dropped.
---
--- `socket:close()`
function Socket:close() end

--- Takes a local port for the next connection; 0 picks one.
---
--- `local bound = socket:bind(5000)`
---@param port integer|string
---@return boolean bound
function Socket:bind(port) end

--- The same for a callback.
---
--- `socket:bind_async(5000, print)`
---@param port integer|string
---@param callback? fun(socket: evsock.pharos.TcpSocket, result: boolean, problem: nil)
function Socket:bind_async(port, callback) end

-- UdpSocket ---------------------------------------------------------------------------------------

---@class evsock.pharos.UdpConstants
---@field CONNECTION_REFUSED_ERROR 0
---@field REMOTE_HOST_CLOSED_ERROR 1 a reset, too
---@field HOST_NOT_FOUND_ERROR 2
---@field SOCKET_RESOURCE_ERROR 4 too many descriptors, or no memory
---@field SOCKET_TIMEOUT_ERROR 5
---@field DATAGRAM_TOO_LARGE_ERROR 6
---@field NETWORK_ERROR 7
---@field UNSUPPORTED_SOCKET_OPERATION_ERROR 10
---@field UNFINISHED_SOCKET_OPERATION_ERROR 11
---@field SSL_HANDSHAKE_FAILED_ERROR 13
---@field OPERATION_ERROR 19 not in this state
---@field SSL_INTERNAL_ERROR 20
---@field SSL_INVALID_USERDATA_ERROR 21 a bad certificate or key was given
---@field TEMPORARY_ERROR 22
---@field UNKNOWN_ERROR -1
---@field UNBOUND_STATE 0
---@field BOUND_STATE 4

---@class evsock.pharos.UdpSockets: evsock.pharos.UdpConstants
local UdpSocket = {}

--- A new socket, not bound.
---
--- `local socket = UdpSocket.new()`
---@return evsock.pharos.UdpSocket socket
function UdpSocket.new() end

--- What has come, and from whom.
---@class evsock.pharos.Datagram
---@field data string|integer[] as read
---@field sender_address string
---@field sender_port integer
---@field valid boolean false: there was none

--- Datagrams over IPv4.
---@class evsock.pharos.UdpSocket: evsock.pharos.UdpConstants
---@field state integer
---@field error integer the last one; -1: none
---@field error_string string
---@field local_address string "" while it is not bound
---@field local_port integer 0 while it is not bound
---@field has_pending_datagrams boolean
---@field pending_datagram_size integer of the next one; -1: none
--- There is something to read. Not called again before a datagram has been read.
---@field ready_read_handler? fun(socket: evsock.pharos.UdpSocket)
---@field bytes_written_handler? fun(socket: evsock.pharos.UdpSocket, count: integer)
---@field error_handler? fun(socket: evsock.pharos.UdpSocket, error: integer)
---@field state_changed_handler? fun(socket: evsock.pharos.UdpSocket, state: integer)
local Udp = {}

--- Binds it, to all interfaces; 0 picks a port.
---
--- `local bound = socket:bind(5000)`
---@param port integer|string
---@return boolean bound
function Udp:bind(port) end

--- The same for a callback.
---
--- `socket:bind_async(5000, print)`
---@param port integer|string
---@param callback? fun(socket: evsock.pharos.UdpSocket, result: boolean)
function Udp:bind_async(port, callback) end

--- Ends it; what was not read is dropped, and it may be bound again.
---
--- `socket:close()`
function Udp:close() end

--- The same for a callback.
---
--- `socket:close_async(print)`
---@param callback? fun(socket: evsock.pharos.UdpSocket, result: nil)
function Udp:close_async(callback) end

--- The datagram that waits longest.
---
--- `local found = socket:read_datagram_string()`
---@param max? integer what is beyond is lost
---@return evsock.pharos.Datagram datagram
function Udp:read_datagram_string(max) end

--- The same for a callback.
---
--- `socket:read_datagram_string_async(print)`
---@param max? integer what is beyond is lost
---@param callback? fun(socket: evsock.pharos.UdpSocket, result: evsock.pharos.Datagram)
function Udp:read_datagram_string_async(max, callback) end

--- The same with a table of numbers as data.
---
--- `local found = socket:read_datagram_bytes()`
---@param max? integer what is beyond is lost
---@return evsock.pharos.Datagram datagram
function Udp:read_datagram_bytes(max) end

--- The same for a callback.
---
--- `socket:read_datagram_bytes_async(print)`
---@param max? integer what is beyond is lost
---@param callback? fun(socket: evsock.pharos.UdpSocket, result: evsock.pharos.Datagram)
function Udp:read_datagram_bytes_async(max, callback) end

--- Sends a datagram; binds the socket if it is not.
---
--- `socket:write_datagram_string("hello", "10.0.0.9", 5000)`
---@param data string
---@param host string
---@param port integer|string
---@return integer count -1: refused
function Udp:write_datagram_string(data, host, port) end

--- The same for a callback.
---
--- `socket:write_datagram_string_async("hello", "10.0.0.9", 5000, print)`
---@param data string
---@param host string
---@param port integer|string
---@param callback? fun(socket: evsock.pharos.UdpSocket, result: integer)
function Udp:write_datagram_string_async(data, host, port, callback) end

--- The same with a table of numbers.
---
--- `socket:write_datagram_bytes({ 1, 2 }, "10.0.0.9", 5000)`
---@param bytes integer[]
---@param host string
---@param port integer|string
---@return integer count -1: refused
function Udp:write_datagram_bytes(bytes, host, port) end

--- The same for a callback.
---
--- `socket:write_datagram_bytes_async({ 1, 2 }, "10.0.0.9", 5000, print)`
---@param bytes integer[]
---@param host string
---@param port integer|string
---@param callback? fun(socket: evsock.pharos.UdpSocket, result: integer)
function Udp:write_datagram_bytes_async(bytes, host, port, callback) end

--- Also hears what is sent to a group.
---
--- `socket:join_multicast_group("239.1.2.3")`
---@param address string
---@return boolean joined
function Udp:join_multicast_group(address) end

--- The same for a callback.
---
--- `socket:join_multicast_group_async("239.1.2.3", print)`
---@param address string
---@param callback? fun(socket: evsock.pharos.UdpSocket, result: boolean)
function Udp:join_multicast_group_async(address, callback) end

--- Hears the group no more.
---
--- `socket:leave_multicast_group("239.1.2.3")`
---@param address string
---@return boolean left
function Udp:leave_multicast_group(address) end

--- The same for a callback.
---
--- `socket:leave_multicast_group_async("239.1.2.3", print)`
---@param address string
---@param callback? fun(socket: evsock.pharos.UdpSocket, result: boolean)
function Udp:leave_multicast_group_async(address, callback) end

-- TcpServer ---------------------------------------------------------------------------------------

---@class evsock.pharos.TcpServers
local TcpServer = {}

--- A new server, not listening.
---
--- `local server = TcpServer.new()`
---@return evsock.pharos.TcpServer server
function TcpServer.new() end

--- Sockets taken from a server are closed when the server is collected.
---@class evsock.pharos.TcpServer
---@field listening boolean
---@field port integer 0 when it does not listen
---@field has_pending_connections boolean
---@field error_string string text of the last error
---@field max_pending_connections integer how many may wait to be taken; default 30
---@field new_connection_handler? fun(server: evsock.pharos.TcpServer) once for each connection
---@field new_connect_handler? fun(server: evsock.pharos.TcpServer) an older name
---@field accept_error_handler? fun(server: evsock.pharos.TcpServer, error: integer)
local Server = {}

--- Listens on all interfaces; port 0 picks one.
---
--- `local listening = server:listen(8080)`
---@param port integer|string
---@return boolean listening
function Server:listen(port) end

--- The same for a callback.
---
--- `server:listen_async(8080, print)`
---@param port integer|string
---@param callback? fun(server: evsock.pharos.TcpServer, result: boolean, problem: nil)
function Server:listen_async(port, callback) end

--- Stops listening. Connections that nobody has taken end, the others stay.
---
--- `server:close()`
function Server:close() end

--- No more connections are announced until `resume_accepting`.
---
--- `server:pause_accepting()`
function Server:pause_accepting() end

--- Those that waited are announced.
---
--- `server:resume_accepting()`
function Server:resume_accepting() end

--- Takes the connection that waits longest.
---
--- `local socket = server:next_pending_connection()`
---@return evsock.pharos.TcpSocket? socket connected; nil when none waits
function Server:next_pending_connection() end

--- The same for a callback.
---
--- `server:next_pending_connection_async(print)`
---@param callback? fun(server: evsock.pharos.TcpServer, socket: evsock.pharos.TcpSocket?)
function Server:next_pending_connection_async(callback) end

-- SSL ---------------------------------------------------------------------------------------------

---@class evsock.pharos.SslSockets: evsock.pharos.Constants, evsock.pharos.SslModes
local SslSocket = {}

--- A new socket, not connected.
---
--- `local socket = SslSocket.new()`
---@return evsock.pharos.SslSocket socket
function SslSocket.new() end

---@class evsock.pharos.SslSocket: evsock.pharos.TcpSocket, evsock.pharos.SslModes
---@field encrypted boolean
---@field mode integer
---@field configuration evsock.pharos.SslConfiguration
---@field peer_verify_mode integer default AUTO_VERIFY_PEER
---@field encrypted_handler? fun(socket: evsock.pharos.SslSocket)
---@field mode_changed_handler? fun(socket: evsock.pharos.SslSocket, mode: integer)
local Secure = {}

--- Connects and encrypts; what is written before that waits for it.
---
--- `socket:connect_encrypted("example.com", 443)`
---@param host string
---@param port integer|string
---@param open_mode? integer default READ_WRITE_MODE
function Secure:connect_encrypted(host, port, open_mode) end

--- Encrypts a connection that stands; otherwise no effect.
---
--- `socket:start_client_encryption()`
function Secure:start_client_encryption() end

---@class evsock.pharos.SslServers
local SslServer = {}

--- A new server; it needs a certificate and a key in its configuration.
---
--- `local server = SslServer.new()`
---@return evsock.pharos.SslServer server
function SslServer.new() end

---@class evsock.pharos.SslServer: evsock.pharos.TcpServer
---@field configuration evsock.pharos.SslConfiguration
local SecureServer = {}

--- Takes the encrypted connection that waits longest.
---
--- `local socket = server:next_pending_secure_connection()`
---@return evsock.pharos.SslSocket? socket
function SecureServer:next_pending_secure_connection() end

--- The same for a callback.
---
--- `server:next_pending_secure_connection_async(print)`
---@param callback? fun(server: evsock.pharos.SslServer, socket: evsock.pharos.SslSocket?)
function SecureServer:next_pending_secure_connection_async(callback) end

---@class evsock.pharos.SslConfigurations: evsock.pharos.VerifyModes
local SslConfiguration = {}

--- Without certificates; AUTO_VERIFY_PEER.
---
--- `local configuration = SslConfiguration.new()`
---@return evsock.pharos.SslConfiguration configuration
function SslConfiguration.new() end

---@class evsock.pharos.SslConfiguration: evsock.pharos.VerifyModes
---@field local_certificate? evsock.pharos.SslCertificate
--- Its first is `local_certificate`; the others issued one another.
---@field local_certificate_chain evsock.pharos.SslCertificate[]
---@field private_key? evsock.pharos.SslKey
---@field peer_verify_mode integer
local Configuration = {}

--- Trusts peers below it; the system's roots are then no longer used.
---
--- `configuration:add_ca_certificate(certificate)`
---@param certificate evsock.pharos.SslCertificate
function Configuration:add_ca_certificate(certificate) end

---@class evsock.pharos.SslCertificate

---@class evsock.pharos.SslKey

---@class evsock.pharos.SslCertificates
local SslCertificate = {}

--- A certificate from its text or bytes.
---
--- `local certificate = SslCertificate.new(text)`
---@param data string
---@param ... integer its encoding, one of SslEncoding; default PEM
---@return evsock.pharos.SslCertificate certificate
function SslCertificate.new(data, ...) end

---@class evsock.pharos.SslKeys
local SslKey = {}

--- A private key from its text or bytes. An algorithm before the encoding is not needed.
---
--- `local key = SslKey.new(text)`
---@param data string
---@param ... integer its encoding, one of SslEncoding; default PEM
---@return evsock.pharos.SslKey key
function SslKey.new(data, ...) end

-- Timer -------------------------------------------------------------------------------------------

---@class evsock.pharos.Timers
local Timer = {}

--- A new timer, stopped.
---
--- `local timer = Timer.new()`
---@return evsock.pharos.Timer timer
function Timer.new() end

---@class evsock.pharos.Timer
---@field interval number milliseconds; a running timer begins anew
---@field single_shot boolean it fires once
---@field active boolean
---@field timeout_handler? fun(timer: evsock.pharos.Timer)
local Clock = {}

--- Starts, or begins anew.
---
--- `timer:start()`
function Clock:start() end

--- Stops.
---
--- `timer:stop()`
function Clock:stop() end

return pharos
