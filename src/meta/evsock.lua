---@meta evsock
-- Not `error`: editors would take what is behind it for dead code.
assert(false, "src/meta/evsock.lua is for editors only; the module is evsock.so")

--- Event-driven sockets. Misuse raises at the caller's line; what goes wrong in the world returns
--- `nil, message, code` or arrives in `on_close`. Handlers run only inside `pump`, `run` and
--- waiting calls outside of tasks. Times are seconds, strings are bytes.
---@class evsock
---@field _VERSION string "evsock X.Y.Z"
---@field spin number how long a waiting `pump` may poll before it sleeps; default 50e-6, 0: never
--- Gets the errors of handlers, with a traceback; without it `pump` raises them.
---@field on_error? fun(message: any, object: evsock.Object)
--- Gets the failures that nobody hears of: of a socket without `on_close` for which no task waits,
--- of a server or a socket for datagrams without `on_error`; of attempts that fail in a row the
--- first.
--- Without it a line on stderr tells; `false`: nothing does.
---@field on_unhandled? false|fun(message: string, object: evsock.Object, code: evsock.ErrorCode)
local evsock = {}

---@alias evsock.Object evsock.Socket|evsock.Udp|evsock.Server|evsock.Timer|evsock.Task

--- For programs; the message beside it is for people.
---@alias evsock.ErrorCode
---| "EACCES" # the system forbids it: a privileged port, a firewall, file permissions
---| "EADDRINUSE" # another program listens there
---| "EADDRNOTAVAIL" # the address is none of this machine's
---| "EAGAIN" # a bound was reached; the same call may succeed later
---| "EBADHOST" # the host is no possible name
---| "EBUSY" # something else is under way on this socket
---| "ECANCELED" # it was called off by the script
---| "ECLOSED" # the socket is idle or closed
---| "ECONNREFUSED" # nothing listens there, or it sent a reset
---| "ECONNRESET" # the peer broke the connection off
---| "EFORK" # the process forked; sockets belong to the parent
---| "EHOSTNOTFOUND" # the name is not known, or nobody answered for it
---| "EHOSTUNREACH" # no way to that host
---| "EINTERNAL" # a fault of this library; please report it
---| "EINVAL" # the system refuses the argument
---| "EIO" # any other answer of the system; the message has its text
---| "EMFILE" # the process or the system has no descriptor left
---| "EMSGSIZE" # a line or block is longer than `max_frame`, or a datagram too long to be sent
---| "ENETUNREACH" # no way to that network
---| "ENOENT" # there is no such file (Unix sockets)
---| "ENOMEM" # the system is out of memory or buffers
---| "ETASK" # a task ended with an error, which is the message
---| "ETIMEDOUT" # a timeout of this socket ran out
---| "TLS_ALERT" # the peer ended it with a TLS alert; look into its log
---| "TLS_ALPN" # no common application protocol: compare `alpn`
---| "TLS_BAD_CERTIFICATE" # the peer's certificate or its issuer breaks a rule: issue it anew
---| "TLS_BAD_HOSTNAME" # the certificate is for other names: connect by one of these
---| "TLS_BAD_PURPOSE" # the certificate was made for another purpose
---| "TLS_BAD_SIGNATURE" # a wrong signature: compare the certificates before trusting any
---| "TLS_CERT_REFUSED" # the peer does not accept our certificate
---| "TLS_CLIENT_CERT_REQUIRED" # the peer asks for a client certificate: give `cert` and `key`
---| "TLS_EXPIRED" # the certificate's time is over: renew it; check the clock
---| "TLS_FINGERPRINT" # the certificate is none of those that `fingerprint` names: compare
---| "TLS_NO_COMMON" # no common cipher suite, key exchange or signature
---| "TLS_NO_ROOTS" # this machine has no trusted roots: install them, or give `ca`
---| "TLS_NOT_TLS" # the peer does not speak TLS
---| "TLS_NOT_YET_VALID" # the certificate's time has not begun; check the clock
---| "TLS_PROTOCOL" # the peer breaks the rules of TLS, or bytes were damaged
---| "TLS_REVOKED" # the certificate was called back
---| "TLS_SELF_SIGNED" # the certificate vouches for itself alone: give it as `ca` if it is known
---| "TLS_TIMEOUT" # the handshake took longer than `connect_timeout`
---| "TLS_TRUNCATED" # the connection ended without the end of TLS: its tail may be missing
---| "TLS_UNKNOWN_ISSUER" # no known authority issued the certificate: give its issuer as `ca`
---| "TLS_VERSION" # no common version of TLS: compare `min_version` and `max_version`
---| "TLS_WEAK" # a key or signature is too weak: issue the certificate anew

--- As of the last dispatched event.
---@alias evsock.State
---| "idle" # nothing was asked for yet
---| "resolving" # the name is being looked up
---| "connecting"
---| "securing" # the TLS handshake is under way
---| "open"
---| "closing" # flushing what was written
---| "closed"
---| "waiting" # pausing before it connects again

--- What ends a line.
---@alias evsock.LineEnd
---| "crlf" # LF with an optional CR before it; the default
---| "any" # a run of CR and LF
---| "each" # LF, CR LF or CR, one each
---| "strict" # CR LF and nothing else
---| "lf"
---| "null" # a zero byte

--- What `wait` waits for.
---@alias evsock.WaitEvent
---| "connect" # the connection stands
---| "secure" # the TLS handshake is over, that of `start_tls` or of connecting
---| "data" # there is something to read
---| "more" # there is more to read than now, beyond `read_limit` if need be, up to `max_frame`
---| "drain" # `pending` is not above `drain_at`, and there is room if `write_some` found none
---| "write" # `write_some` would take something, or fail
---| "close" # the connection is over

--- What `receive` waits for: that many bytes; a line; everything to the end of the stream; whatever
--- comes first; everything up to a delimiter.
---@alias evsock.Wanted integer|"*l"|"*a"|"*r"|evsock.Until

--- Text up to a delimiter, for `receive`.
---@class evsock.Until
---@field until_ string the delimiter
---@field keep? boolean leave it at the end of the text

-- Options -----------------------------------------------------------------------------------------

--- Pauses before connecting again: from `min` on, `factor` times longer after each failed attempt,
--- up to `max`, varied by the share `jitter`; none is shorter than 10 ms.
---@class evsock.Reconnect
---@field min? number at least 0.01, at most `max`; default 1, or `max` if that is less
---@field max? number at least 0.01; default 30, or `min` if that is more
---@field factor? number default 2
---@field jitter? number default 0.1

--- Numeric address and port of our own end; the port may be missing.
---@alias evsock.Bind { [1]: string, [2]: integer? }

---@class evsock.SocketHandlers
---@field on_resolve? fun(sock: evsock.Socket, addresses: string[]) the name was looked up
---@field on_connect? fun(sock: evsock.Socket) the connection stands
---@field on_data? fun(sock: evsock.Socket, n: integer) `n` new bytes can be read
---@field on_drain? fun(sock: evsock.Socket) `pending` fell to `drain_at`, or `write_some` has room
---@field on_end? fun(sock: evsock.Socket) the peer sent its end of stream; with `half_open` only
--- The connection is over or the attempt failed. No arguments after an orderly end.
---@field on_close? fun(sock: evsock.Socket, message?: string, code?: evsock.ErrorCode)
---@field on_reconnect? fun(sock: evsock.Socket, attempt: integer) a new attempt begins by itself
---@field on_secure? fun(sock: evsock.Socket) an open connection was secured
---@field on_mark? fun(sock: evsock.Socket) what was written before a `mark` is with the system

--- What a TLS table may say. A bad certificate, key or option raises with the reason.
--- `ca` are authorities, which vouch for others, and certificates of peers, each of which is
--- believed for itself alone, of whatever version. A server whose own certificate is out of time
--- says so once to `on_error`, and serves.
---@class evsock.TlsOptions
---@field verify? boolean whether the peer's certificate is verified; default true
---@field server_name? string the name that the certificate must have, in ASCII; default the host
---@field ca? string trusted certificates, PEM (line ends may be lost); replaces the system's
---@field cafile? string the same in a file
--- "sha256:..." or a list of these: the peer's own certificate is one of them and its key proven;
--- chain, names and dates are not looked at. On a server with `client_auth`: of clients.
---@field fingerprint? string|string[]
--- Lists of revoked certificates, PEM, or one in DER. With them each certificate of the peer's
--- chain but the trusted one needs a current list of its issuer, or the peer is refused:
--- `TLS_REVOKED`; a list that is missing: `TLS_UNKNOWN_ISSUER`, outdated: `TLS_EXPIRED`, of another
--- key: `TLS_BAD_SIGNATURE`.
---@field crl? string
---@field crlfile? string the same in a file, read once
---@field cert? string our own certificate and its chain, PEM; a server needs one
---@field certfile? string the same in a file
---@field key? string the key of `cert`, PEM
---@field keyfile? string the same in a file
--- Of an encrypted `key`: PKCS#8 with PBKDF2 or scrypt. A key that is not encrypted ignores it.
---@field password? string
---@field alpn? string[] application protocols, the preferred first
---@field min_version? string "1.2", which is the default, or "1.3"
---@field max_version? string "1.3", which is the default, or "1.2"
--- For programs that show what passed, as Wireshark: the path of a file that the secrets of all
--- sessions are appended to (NSS key log format), or true for the one in SSLKEYLOGFILE, without
--- which nothing is written. Whoever has that file reads everything.
---@field keylog? string|boolean
---@field client_auth? false|"request"|"require" whether a server asks for a certificate
---@field insecure_name? boolean verify the chain but not the name; default false
---@field certs? table<string,evsock.CertsOptions> of a server: others by the name that is asked for

--- What a server has for one name in `certs`, "a.example" or "*.b.example": `cert` and `key`, and
--- what is not as in the table around it.
---@class evsock.CertsOptions
---@field cert? string the certificate for that name and its chain, PEM
---@field certfile? string the same in a file
---@field key? string the key of `cert`, PEM
---@field keyfile? string the same in a file
--- Of an encrypted `key`.
---@field password? string
---@field alpn? string[] application protocols, the preferred first
---@field min_version? string "1.2" or "1.3"
---@field max_version? string "1.2" or "1.3"
---@field client_auth? false|"request"|"require" whether the server asks for a certificate
---@field fingerprint? string|string[] that of a client's certificate, or a list of those known
---@field ca? string certificates of clients and those who issue them, PEM
---@field cafile? string the same in a file
---@field crl? string lists of revoked certificates of clients, PEM, or one in DER
---@field crlfile? string the same in a file, read once

--- What a handshake has agreed on.
---@class evsock.TlsFacts
---@field version string "1.2" or "1.3"
---@field cipher string the IANA name, "TLS_AES_128_GCM_SHA256"
---@field alpn? string
---@field server_name? string
--- "chain" with `insecure_name`, "fingerprint" with `fingerprint`, false where nothing was verified
---@field verified boolean|"chain"|"fingerprint"
---@field resumed boolean whether an earlier session went on
---@field peer? evsock.PeerCertificate none if the peer has shown no certificate

--- The peer's own certificate, be it verified or not. What nobody can read in it is nil.
---@class evsock.PeerCertificate
---@field fingerprint string "sha256:" and 64 hexadecimal digits, as the option takes it
--- Whose it is: "C=DE, O=Example, CN=panel 3"; a comma within a part has a backslash in front.
---@field subject? string
---@field issuer? string who has issued it, in the same form
---@field names? string[] the hosts that it lists: names and addresses
---@field not_before? integer Unix seconds
---@field not_after? integer Unix seconds
---@field serial? string hexadecimal
---@field der string the certificate itself

--- A compiled TLS table.
---@alias evsock.Tls userdata

--- How the system probes a silent peer; what is missing is its own choice. Seconds are rounded up,
--- at most 32,767.
---@class evsock.Keepalive
---@field idle? number silence before the first probe
---@field interval? number between probes without an answer
---@field count? integer so many of these, at most 127, end the connection

--- An options table is only read and may be shared; unknown names raise.
---@class evsock.ObjectFacts
---@field kind string "socket", "server", "udp", "timer", "watch" or "task"
---@field class string the name of its class, a dialect's for example
---@field object evsock.Object|evsock.Task itself
---@field number? integer its own number; a task has none
--- A socket's as its property; of others "listening", "bound", "active", "watching", and of a task
--- "ready", "waiting" or "running".
---@field state string
---@field host? string as given to `connect`; of a server and for datagrams where it is bound
---@field port? integer
---@field peer? string address and port of the other end
---@field connections? integer of a server: open sockets that it has accepted
---@field buffered? integer bytes that can be read; datagrams that can
---@field pending? integer bytes that wait to be sent
---@field due? number of a timer: in so many seconds
---@field period? number of a timer that repeats, in seconds
---@field fd? integer of a watch: the descriptor
---@field waits_in? string of a task: the call that it waits in
---@field waits_for? integer of a task: the number of what it waits for
---@field age number seconds since it was made; of a connection since it stands or its attempt began
---@field keeps_run boolean whether `run` goes on because of it
---@field where? string "file:line" that made it, if it was made while tracing

---@class evsock.SocketOptions: evsock.SocketHandlers
--- Lookup, connecting and handshake together; default 30, for accepted ones 10, 0: none.
---@field connect_timeout? number
---@field read_timeout? number nothing received for that long while open closes; default 0: none
---@field write_timeout? number queued bytes not handed over within that time close; default 0: none
--- Connect again after that pause, at least 0.01 s; default false: not at all. What was written
--- before an attempt that fails is dropped with it: write again in `on_connect`.
---@field reconnect? false|number|evsock.Reconnect
---@field nodelay? boolean TCP_NODELAY; default true
--- Whether the system probes a silent peer: true, seconds of silence before the first probe
--- (rounded up, at most 32,767), or a table; default false.
---@field keepalive? boolean|number|evsock.Keepalive
--- Seconds that what was sent may go without an acknowledgement, before the connection ends with
--- `ETIMEDOUT`; default 0: the system decides, on Linux about 15 minutes.
---@field user_timeout? number
--- What `close` does with bytes that are not sent, or not acknowledged. Seconds: they get so long
--- in the background, then the connection is reset. 0: it is reset at once, and they are lost.
--- `close` itself never waits; default false: 5 s to send them, and the system goes on by itself.
---@field linger? false|number
--- Bytes that the system holds of what has come (SO_RCVBUF; Linux takes twice as many, within
--- bounds of its own); default 0: it decides. Set it before `connect` or `listen`: how much may be
--- under way (window scaling) is agreed on there.
---@field receive_buffer? integer
---@field send_buffer? integer the same of what is sent (SO_SNDBUF); default 0: the system decides
--- The name of the interface that alone is used (SO_BINDTODEVICE; not on Windows and FreeBSD);
--- to be set before `connect` or `listen`; default false.
---@field device? false|string
---@field read_limit? integer reading stops while that many bytes are unread; default 1 MiB
--- The longest line or block: when one that is asked for is longer and not whole yet, the
--- connection closes with `EMSGSIZE`, whatever `read_limit` is; default 16 MiB.
---@field max_frame? integer
---@field write_limit? integer a write that would pass it is refused; default 64 MiB
---@field drain_at? integer low-water mark for `on_drain`; default 0
---@field half_open? boolean keep writing after the peer's end of stream; default false
---@field ipv4_first? boolean try the IPv4 addresses of a name before its IPv6 ones; default false
---@field bind? false|evsock.Bind where it connects from, `{ "10.0.0.5", 0 }`; default false
---@field tls? boolean|evsock.TlsOptions|evsock.Tls begin with a TLS handshake; default false

--- `on_accept` and `on_error` are the server's; everything of a socket goes to the accepted ones.
---@class evsock.ListenOptions: evsock.SocketOptions
---@field backlog? integer connections that wait to be accepted; default 1024
---@field reuse_port? boolean several processes share the port; default false
---@field max_connections? integer open at once, more wait in the queue; default 0: no bound
--- Bytes that all accepted connections together may hold, unread and unsent: beyond it reading
--- pauses for the largest first, then new ones wait; default 1 GiB, 0: no bound.
---@field memory_limit? integer
---@field on_accept? fun(server: evsock.Server, sock: evsock.Socket) somebody connected
--- Accepting or a handshake failed, or the certificate is out of its time; it goes on by itself.
---@field on_error? fun(server: evsock.Server, message: string, code: evsock.ErrorCode)

-- The module --------------------------------------------------------------------------------------

--- A new socket that is already connecting; `on_connect` or `on_close` says how that went. The host
--- is a name or a numeric address, or `unix:/path` with no port behind it; on Linux `unix:@name`
--- is of the abstract namespace. IPv6 addresses may stand in brackets and have a zone
--- (`fe80::1%eth0`), everywhere. Nothing but `EFORK` and the want of descriptors or memory makes
--- it return nil.
---
--- `local sock = evsock.connect("10.0.0.9", 23, { read_timeout = 5 })`
---@param host string
---@param port integer|string
---@param options? evsock.SocketOptions
---@return evsock.Socket sock
---@return string? message
---@return evsock.ErrorCode? code
---@overload fun(path: string, options?: evsock.SocketOptions): evsock.Socket
function evsock.connect(host, port, options) end

--- A new idle socket.
---
--- `local sock = evsock.socket({ reconnect = 5 })`
---@param options? evsock.SocketOptions
---@return evsock.Socket sock
function evsock.socket(options) end

--- A server that listens. `"*"` means all interfaces, port 0 picks a port, `unix:/path` needs none.
---
--- `local server = assert(evsock.listen("*", 8080, { on_accept = print }))`
---@param host string
---@param port integer|string
---@param options? evsock.ListenOptions
---@return evsock.Server? server
---@return string? message
---@return evsock.ErrorCode? code
---@overload fun(path: string, options?: evsock.ListenOptions): evsock.Server?, string?
function evsock.listen(host, port, options) end

--- A socket for datagrams, bound at once. nil and why not when it can't be.
---
--- `local sock = assert(evsock.udp("*", 5353, { on_datagram = print }))`
---@param host? string a numeric address, `localhost`, or `"*"`: all IPv4 interfaces, the default
---@param port? integer|string default 0: a free one
---@param options? evsock.UdpOptions
---@return evsock.Udp? sock
---@return string? message
---@return evsock.ErrorCode? code
function evsock.udp(host, port, options) end

--- Dispatches the events that wait now, and only those; when none wait, waits for the first. With a
--- budget it returns after about that time of dispatching, one event at least; what is left comes
--- first next time, in order. Only a process that has forked gets nil (`EFORK`).
---
--- `local called = evsock.pump(0.01)`
---@param timeout? number how long to wait, at least 0; default 0: not at all
---@param budget? number seconds; default: as long as it takes
---@return integer called how many handlers it called
---@return string? message
---@return evsock.ErrorCode? code
function evsock.pump(timeout, budget) end

--- As `pump`, for one object alone: a socket, a timer, or a server with the sockets that it has
--- accepted. Everybody else's events stay queued, in order. Bytes that the system has are found
--- with no timeout, too.
---
--- `while sock.state == "connecting" do evsock.attend(sock, 1) end`
---@param object evsock.Object
---@param timeout? number how long to wait, at least 0; default 0: not at all
---@return integer called how many handlers it called
---@return string? message
---@return evsock.ErrorCode? code
function evsock.attend(object, timeout) end

--- Pumps until nothing is active or `evsock.stop()` is called.
---
--- `evsock.run()`
function evsock.run() end

--- Ends the innermost `run` after the current handler.
---
--- `evsock.after(60, evsock.stop)`
function evsock.stop() end

--- How many sockets, servers, timers and tasks keep `run` going.
---
--- `while evsock.active() > 0 do evsock.pump(1) end`
---@return integer count
function evsock.active() end

--- From now on a line tells of each thing that happens: lookups, attempts, connections, handshakes
--- with their verdict, bytes each way, timeouts, pauses before reconnecting, closes and why,
--- handlers that take over 0.1 s. `"data"` shows the bytes as text, `"hex"` as a dump; `false` ends
--- it. No keys or passwords are told. A function gets the lines inside of pumps; what it raises
--- ends the trace.
---
--- `assert(evsock.trace(true, "panel.log"))`
---@param level boolean|"data"|"hex"
---@param sink? string|fun(line: string) the path of a file, or a function; default: stderr
---@return true? ok
---@return string? message
---@return evsock.ErrorCode? code
function evsock.trace(level, sink) end

--- What is open: sockets, servers, sockets for datagrams, timers and watches that something can
--- still happen to, and tasks that are not over.
---
--- `for _, object in ipairs(evsock.objects()) do print(object.kind, object.state) end`
---@return evsock.ObjectFacts[] objects
function evsock.objects() end

--- The same as text: first what keeps `run` going, then what is open besides.
---
--- `print(evsock.report())`
---@param sink? string|fun(line: string) gets it as well: a file, by its path, or a function
---@return string? text
---@return string? message
---@return evsock.ErrorCode? code
function evsock.report(sink) end

--- Closes whatever is open and cancels all tasks but the running one. No handler is called for it,
--- and nothing that has happened before is told any more: for between tests.
---
--- `after_each(evsock.reset)`
function evsock.reset() end

--- A descriptor that is readable while events wait, for other loops, which then call `pump()`.
---
--- `local poll = require("luv").new_poll(evsock.pollfd())`
---@return integer? descriptor
---@return string? message
---@return evsock.ErrorCode? code
function evsock.pollfd() end

--- What another loop should wait for on `pollfd`; cqueues asks for it.
---
--- `assert(evsock.events() == "r")`
---@return "r" events
function evsock.events() end

--- Checks and compiles a TLS table once; the result goes wherever a TLS table goes. Certificates of
--- `ca` or `cafile` that can't be used are left out while others are there: `left_out` says which
--- and why, and so does the refusal of a peer (`TLS_UNKNOWN_ISSUER`). It also tells of lists of
--- revoked certificates that are out of date, or not signed by the authority of their issuer name.
---
--- `local tls, left_out = evsock.tls { cafile = "device-ca.pem" }`
---@param given evsock.TlsOptions
---@return evsock.Tls tls
---@return string? left_out
function evsock.tls(given) end

--- How long another loop may wait at most; nil: for ever.
---
--- `local seconds = evsock.timeout()`
---@return number? seconds
function evsock.timeout() end

--- Calls `fn` once, with the arguments behind it. Zero seconds: in the next `pump`.
---
--- `local timer = evsock.after(1.5, print, "late")`
---@param seconds number
---@param fn function
---@param ... any
---@return evsock.Timer timer
---@return string? message
---@return evsock.ErrorCode? code
function evsock.after(seconds, fn, ...) end

--- Calls `fn` again and again, with the arguments behind it.
---
--- `local timer = evsock.every(0.1, print, "tick")`
---@param seconds number
---@param fn function
---@param ... any
---@return evsock.Timer timer
---@return string? message
---@return evsock.ErrorCode? code
function evsock.every(seconds, fn, ...) end

--- Runs `fn` as a task: a coroutine that alone is suspended by `receive`, `send`, `wait`, `join`
--- and `sleep`. It begins with the next `pump`.
---
--- `local task = evsock.spawn(function(sock) print(sock:receive("*l")) end, sock)`
---@param fn function
---@param ... any
---@return evsock.Task task
function evsock.spawn(fn, ...) end

--- Lua's functions of coroutines, but in one that these have made or resumed inside of a task a
--- waiting call suspends the whole task; in one of Lua's own it pumps.
---
--- `local read = evsock.coroutine.wrap(function() coroutine.yield(sock:receive("*l")) end)`
evsock.coroutine = coroutine

--- Sets those of `evsock.coroutine` in the table `coroutine` of `env` (default: the globals), for
--- libraries that know nothing of tasks. What has taken Lua's before keeps them.
---
--- `evsock.adopt()`
---@param env table?
function evsock.adopt(env) end

--- Lua's `pcall`; in PUC Lua 5.1 one through which a task can wait.
---
--- `local ok, problem = evsock.pcall(work, sock)`
---@param fn function
---@param ... any
---@return boolean ok
---@return any ...
function evsock.pcall(fn, ...) end

--- Lua's `xpcall`; in PUC Lua 5.1 one through which a task can wait: there `explain` is called when
--- the function is over, and `debug.traceback` still tells of its inside.
---
--- `local ok, problem = evsock.xpcall(work, debug.traceback, sock)`
---@param fn function
---@param explain function
---@param ... any
---@return boolean ok
---@return any ...
function evsock.xpcall(fn, explain, ...) end

--- Waits: suspends the task it is called in, pumps elsewhere.
---
--- `evsock.sleep(0.5)`
---@param seconds number
---@return true? waited
---@return string? message
---@return evsock.ErrorCode? code
function evsock.sleep(seconds) end

--- An address of a name.
---@class evsock.Address
---@field address string numeric
---@field family "inet"|"inet6"

--- Looks a name up and waits for the answer, as a task alone or pumping: its addresses in the order
--- of the system, at least one. What is numeric, and `localhost`, is answered at once.
---
--- `local found, message, code = evsock.resolve("device.example", 5)`
---@param name string
---@param timeout number? seconds; nil: as long as it takes
---@return evsock.Address[]? addresses
---@return string? message
---@return evsock.ErrorCode? code
function evsock.resolve(name, timeout) end

--- A descriptor of somebody else that the script wants to hear of. It keeps `run` going while it
--- has an `on_ready`. Other fields are free for the script.
---@class evsock.Watch
---@field fd? integer the descriptor; nil once it is closed
--- In each pump as long as the descriptor can be read or written, whichever the mode asks for.
---@field on_ready? fun(watch: evsock.Watch, readable: boolean, writable: boolean)
--- The watch is over: the descriptor was closed while it was watched.
---@field on_error? fun(watch: evsock.Watch, message: string, code: evsock.ErrorCode)
local Watch = {}

--- Waits until the descriptor can be read or written. The first result is false where only the
--- second is true; nil says that it failed.
---
--- `local readable, writable = watch:wait(5)`
---@param timeout number? seconds; nil: as long as it takes
---@return boolean? readable
---@return boolean|string writable or the message
---@return "ETIMEDOUT"|"ECLOSED"? code
function Watch:wait(timeout) end

--- Ends it; the descriptor stays open.
---
--- `watch:close()`
function Watch:close() end

--- Watches a descriptor that is not ours: a pipe, a terminal, the socket of another library. Close
--- the watch before the descriptor; a descriptor that was closed first is told by the next wait or
--- event. A regular file is always ready. On Windows only sockets can be watched, and what is
--- behind one stays open until the watch is closed, too.
---
--- `local watch = assert(evsock.watch(0, "r", function() print(io.read()) end))`
---@param fd integer on Windows the SOCKET
---@param mode "r"|"w"|"rw"
---@param on_ready? fun(watch: evsock.Watch, readable: boolean, writable: boolean)
---@return evsock.Watch? watch
---@return string? message
---@return evsock.ErrorCode? code
function evsock.watch(fd, mode, on_ready) end

--- What tasks wait for until another says so.
---@class evsock.Condition
local Condition = {}

--- Waits for a signal. One that was given before anybody waited is forgotten.
---
--- `local ok, message, code = condition:wait(2)`
---@param timeout number? seconds; nil: as long as it takes
---@return true? signaled
---@return string? message
---@return "ETIMEDOUT"? code
function Condition:wait(timeout) end

--- Lets those go on that have waited longest.
---
--- `condition:signal()`
---@param n integer? how many at most (1)
---@return integer count how many go on
function Condition:signal(n) end

--- Lets all go on that wait.
---
--- `condition:broadcast()`
---@return integer count how many go on
function Condition:broadcast() end

--- Makes a condition, for which tasks can wait.
---
--- `local ready = evsock.condition()`
---@return evsock.Condition condition
function evsock.condition() end

--- Values on their way from tasks to tasks, in order; `#queue` is how many wait in it.
---@class evsock.Queue
---@operator len: integer
local Queue = {}

--- Adds a value, which may be anything but nil; waits while the queue is full.
---
--- `local ok, message, code = queue:push(job)`
---@param value any
---@param timeout number? seconds; nil: as long as it takes
---@return true? pushed
---@return string? message
---@return "ETIMEDOUT"|"ECLOSED"? code
function Queue:push(value, timeout) end

--- Takes the oldest value; waits while there is none.
---
--- `local job, message, code = queue:pop(5)`
---@param timeout number? seconds; nil: as long as it takes
---@return any value
---@return string? message
---@return "ETIMEDOUT"|"ECLOSED"? code
function Queue:pop(timeout) end

--- Nothing can be pushed any more; what is in it can still be popped.
---
--- `queue:close()`
function Queue:close() end

--- Makes a queue, by which tasks hand values on.
---
--- `local queue = evsock.queue(100)`
---@param limit integer? how many values it holds at most (as many as memory does)
---@return evsock.Queue queue
function evsock.queue(limit) end

--- What `wait_any` takes of an object with events: those of `sock:wait`, "accept" of a server,
--- "datagram" of a socket for datagrams. It is ready once the single call would not wait, as when
--- the object was closed.
---@alias evsock.WaitPair { [1]: evsock.Socket, [2]: evsock.WaitEvent }
---| { [1]: evsock.Server, [2]: "accept" }
---| { [1]: evsock.Udp, [2]: "datagram" }

--- A task is ready once it is over (`join` tells how, and nobody else hears of its error), a
--- condition once it was signaled, a queue once there is a value in it or it is closed.
---@alias evsock.WaitItem evsock.WaitPair|evsock.Task|evsock.Condition|evsock.Queue
---| evsock.Watch

--- Waits for several at once. Data, connections and datagrams stay where they are; a signal and the
--- value of a queue are taken, but only by the wait that ends by them.
---
--- `local place = evsock.wait_any({ { sock, "data" }, { server, "accept" }, stop }, 5)`
---@param list evsock.WaitItem[]
---@param timeout number? seconds; 0: what is ready now; nil: as long as it takes
---@return integer? place in the list of the first that is ready
---@return any value what was taken of a queue (nil: it is closed and empty), or the message
---@return "ETIMEDOUT"? code
function evsock.wait_any(list, timeout) end

--- Seconds of a clock that never goes back.
---
--- `local begun = evsock.now()`
---@return number seconds
function evsock.now() end

-- Sockets -----------------------------------------------------------------------------------------

--- Other fields are free for the script to store.
---@class evsock.Socket: evsock.SocketHandlers
---@field state evsock.State
---@field buffered integer bytes that can be read now
---@field pending integer bytes accepted and not yet handed to the system
---@field host? string as given to `connect`
---@field port? integer as given to `connect`; none with a Unix socket
---@field peer_address? string numeric
---@field peer_port? integer
---@field local_address? string numeric
---@field local_port? integer
--- The descriptor; on Windows the SOCKET. Nil when there is none, and while the addresses of a name
--- are tried, each of which has its own. It stays ours: to read or write there, or to close it,
--- harms the connection.
---@field fd? integer
---@field tls? evsock.TlsFacts kept until the next connect
---@field connect_timeout number
---@field read_timeout number
---@field write_timeout number
---@field reconnect false|number|evsock.Reconnect
---@field nodelay boolean
---@field keepalive boolean|number|evsock.Keepalive
---@field user_timeout number
---@field linger false|number
---@field receive_buffer integer
---@field send_buffer integer
---@field device false|string not to be changed while it is connected
---@field read_limit integer
---@field max_frame integer
---@field write_limit integer
---@field drain_at integer
---@field half_open boolean
---@field ipv4_first boolean
---@field bind false|evsock.Bind
local Socket = {}

--- Starts; an open or pending connection is dropped first.
---
--- `sock:connect("10.0.0.9", 23)`
---@param host string
---@param port integer|string
---@param options? evsock.SocketOptions
---@return true? begun
---@return string? message
---@return evsock.ErrorCode? code
---@overload fun(self: evsock.Socket, path: string, options?: evsock.SocketOptions): true?
function Socket:connect(host, port, options) end

--- Queues all of it, in order; never blocks. Allowed while connecting: true until `on_close` tells
--- that the attempt failed, with which it is dropped. On an idle or closed socket the code is
--- `ECLOSED`, at `write_limit` it is `EAGAIN`.
---
--- `sock:write("login ", name, "\r\n")`
---@param data string|number
---@param ... string|number
---@return true? accepted
---@return string? message
---@return evsock.ErrorCode? code
function Socket:write(data, ...) end

--- Hands over what the system takes of the text now, and queues nothing: the rest is for another
--- call. It takes nothing while something waits that was written before, and while it connects.
--- When it took less than all, `on_drain` tells of room, and `wait("write")` waits for it. With TLS
--- at most the end of one record waits with us, of 16 KiB.
---
--- `local last = assert(sock:write_some(data, first)); first = last + 1`
---@param data string|number
---@param i? integer where to begin, as `string.sub` takes it (1)
---@param j? integer where to end (the end of the text)
---@return integer? last index of the last byte that was taken; the one before `i` if none was
---@return string? message
---@return evsock.ErrorCode? code
function Socket:write_some(data, i, j) end

--- Up to `n` bytes, all when it is missing; nil when nothing is buffered.
---
--- `local data = sock:read()`
---@param n? integer
---@return string? data
function Socket:read(n) end

--- Exactly `n` bytes or nil.
---
--- `local header = sock:read_exact(4)`
---@param n integer
---@return string? data
function Socket:read_exact(n) end

--- Text before the end of line, which is removed; nil when no whole line is buffered.
---
--- `local line = sock:read_line()`
---@param kind? evsock.LineEnd
---@return string? line
function Socket:read_line(kind) end

--- Text before the delimiter, which is removed; nil when it has not come yet.
---
--- `local head = sock:read_until("\r\n\r\n")`
---@param delimiter string
---@param keep? boolean leave the delimiter at the end of the text
---@return string? text
function Socket:read_until(delimiter, keep) end

--- Iterates over the whole lines in the buffer, at most those of this moment.
---
--- `for line in sock:lines() do print(line) end`
---@param kind? evsock.LineEnd
---@return fun(): string? next
function Socket:lines(kind) end

--- Looks at the connection itself, now, ahead of the events: whether it stands (open, and nothing
--- heard of the peer's end), and how many bytes came that were not read, announced or not.
---
--- `local stands, unread = sock:look()`
---@return boolean stands
---@return integer unread bytes
function Socket:look() end

--- Has `on_mark` called once everything written so far was handed to the system; in order, one call
--- a mark, and none for what never leaves.
---
--- `sock:write(page); sock:mark()`
---@return true? marked
---@return string? message
---@return evsock.ErrorCode? code
function Socket:mark() end

--- Where plain text stands in the buffer, from 1; removes nothing.
---
--- `local place = sock:search("OK")`
---@param text string
---@param start? integer
---@return integer? index
function Socket:search(text, start) end

--- As `read`, removes nothing.
---
--- `local first = sock:peek(1)`
---@param n? integer
---@return string? data
function Socket:peek(n) end

--- Waits for data: suspends the task it is called in, pumps elsewhere. When it fails, the partial
--- data is returned last and stays in the buffer as well.
---
--- `local line, message, code, partial = sock:receive("*l", 5)`
---@param what evsock.Wanted
---@param timeout? number
---@return string? data
---@return string? message
---@return evsock.ErrorCode? code
---@return string? partial
function Socket:receive(what, timeout) end

--- Writes and waits until all of it is handed to the system. When the connection ends before, it
--- gives the message and code of that. When the time is up, the last result says how many bytes of
--- `data` the system has by then (with TLS: at least); the rest stays queued. It is nil if not a
--- byte was queued, because there was no room below `write_limit` or no connection yet.
---
--- `assert(sock:send("hello\r\n", 5))`
---@param data string|number
---@param timeout? number
---@return true? sent
---@return string? message
---@return evsock.ErrorCode? code
---@return integer? handed_over
function Socket:send(data, timeout) end

--- Blocks until all that was written is handed to the system: no handler and no task runs
--- meanwhile. It gives up with `ETIMEDOUT` when nothing has moved for `timeout`; what waits stays.
---
--- `assert(sock:flush(5))`
---@param timeout? number
---@return true? flushed
---@return string? message
---@return evsock.ErrorCode? code
function Socket:flush(timeout) end

--- Waits for an event: suspends the task it is called in, pumps elsewhere.
---
--- `assert(sock:wait("connect", 5))`
---@param event evsock.WaitEvent
---@param timeout? number
---@return true? happened
---@return string? message
---@return evsock.ErrorCode? code
function Socket:wait(event, timeout) end

--- Turns an open connection into TLS, ordered with the writes before and after it: as client, or on
--- an accepted socket as server. `on_secure` tells that it is done, a failure closes the socket.
---
--- `assert(sock:start_tls { cafile = "device-ca.pem" })`
---@param tls? boolean|evsock.TlsOptions|evsock.Tls
---@return true? ok
---@return string? message
---@return evsock.ErrorCode? code
function Socket:start_tls(tls) end

--- No more writes: flushes, then sends the end of stream.
---
--- `sock:shutdown()`
function Socket:shutdown() end

--- Flushes what was written, then closes. Ends reconnecting. Only `on_close` still comes.
---
--- `sock:close()`
function Socket:close() end

--- Closes now and drops everything.
---
--- `sock:abort()`
function Socket:abort() end

--- All properties and counters at once.
---
--- `print(sock:info().bytes_in)`
---@return evsock.SocketInfo info
function Socket:info() end

--- What `sock:info()` returns. What there is none of, is nil.
---@class evsock.ServerInfo
---@field address? string where it listens
---@field port? integer
---@field accepted integer connections so far
---@field refused integer connections that ended in their handshake or were turned away in it
---@field in_handshake integer connections whose handshake is under way
---@field waiting integer connections that wait to be taken by the script
---@field open integer connections that are open
---@field bytes_in integer bytes that came by all of them
---@field bytes_out integer bytes that went by all of them

---@class evsock.SocketInfo
---@field state evsock.State
---@field buffered integer
---@field pending? integer
---@field host? string
---@field port? integer
---@field peer_address? string
---@field peer_port? integer
---@field local_address? string
---@field local_port? integer
---@field opened? number when the connection stood, on the clock of `evsock.now()`
---@field bytes_in? integer
---@field bytes_out? integer
---@field attempt? integer how many attempts to connect this one took
---@field live? evsock.LiveInfo
---@field connect_timeout number
---@field read_timeout number
---@field write_timeout number
---@field reconnect false|number|evsock.Reconnect
---@field nodelay boolean
---@field keepalive boolean|number|evsock.Keepalive
---@field user_timeout number
---@field linger false|number
---@field receive_buffer integer
---@field send_buffer integer
---@field device false|string
---@field read_limit integer
---@field max_frame integer
---@field write_limit integer
---@field drain_at integer
---@field half_open boolean
---@field ipv4_first boolean
---@field bind false|evsock.Bind

--- How things stand now, events that wait to be dispatched included.
---@class evsock.LiveInfo
---@field connected boolean
---@field ended boolean the peer sent its end of stream
---@field read_ahead integer bytes that came and that no `on_data` has announced

-- Servers -----------------------------------------------------------------------------------------

--- Other fields are free for the script to store.
---@class evsock.Server
---@field address string numeric, or `unix:/path`; nil once it is closed
---@field port integer nil once it is closed and on a Unix socket
---@field connections integer open sockets that it accepted
---@field fd? integer its descriptor, of the first address if it has several; nil once it is closed
--- The options of `listen`. What is set is for the sockets accepted from then on.
---@field connect_timeout number
---@field read_timeout number
---@field write_timeout number
---@field reconnect false|number|evsock.Reconnect
---@field nodelay boolean
---@field keepalive boolean|number|evsock.Keepalive
---@field user_timeout number
---@field linger false|number
---@field receive_buffer integer
---@field send_buffer integer
---@field device false|string read-only
---@field read_limit integer
---@field max_frame integer
---@field write_limit integer
---@field drain_at integer
---@field half_open boolean
---@field ipv4_first boolean
---@field bind false|evsock.Bind
--- For the next handshakes; a faulty one raises and changes nothing. It reads as compiled, without
--- keys. A server that listens without TLS takes none.
---@field tls false|evsock.TlsOptions|evsock.Tls
---@field max_connections integer
---@field memory_limit integer
---@field backlog integer read-only
---@field reuse_port boolean read-only
---@field on_accept? fun(server: evsock.Server, sock: evsock.Socket) somebody connected
--- Accepting or a handshake failed, or the certificate is out of its time; it goes on by itself.
---@field on_error? fun(server: evsock.Server, message: string, code: evsock.ErrorCode)
local Server = {}

--- Takes a connection without a call of `on_accept`. While there is no `on_accept`, and no handler
--- for accepted sockets was given to `listen`, at most `backlog` connections wait for it, or for an
--- `on_accept` that is set later. Without a time it returns at once, with nil alone when none
--- waits; with one it waits, after others that do, and connections wait for it in any case from
--- then on.
---
--- `local sock, message, code = server:accept(5)`
---@param timeout number? seconds; 0: no wait; `math.huge`: as long as it takes; nil: no wait either
---@return evsock.Socket? sock
---@return string? message
---@return evsock.ErrorCode? code `EBUSY`: the server has `on_accept`
function Server:accept(timeout) end

--- What it has done since it listens, and what it does now.
---
--- `print(server:info().refused)`
---@return evsock.ServerInfo? info
---@return string? message
---@return evsock.ErrorCode? code
function Server:info() end

--- Accepts nobody until `resume`.
---
--- `server:pause()`
function Server:pause() end

--- Accepts again.
---
--- `server:resume()`
function Server:resume() end

--- Stops listening; accepted sockets stay open.
---
--- `server:close()`
function Server:close() end

-- Datagrams ---------------------------------------------------------------------------------------

---@class evsock.UdpHandlers
--- A datagram came, whole unless `cut`, and from whom. While there is no handler, at most 64 of
--- them, or 256 KiB, wait for `read` or for a handler that is told of them with the next; then the
--- system holds what comes, or drops it.
---@field on_datagram? fun(udp: evsock.Udp, data: string, host: string, port: integer, cut: boolean)
---@field on_connect? fun(sock: evsock.Udp) the other end is fixed
--- Something went wrong after a call had returned: a name is unknown, a connected peer not there.
--- The socket goes on.
---@field on_error? fun(sock: evsock.Udp, message: string, code: evsock.ErrorCode)

--- Options of `evsock.udp`; the handlers may stand there, too.
---@class evsock.UdpOptions: evsock.UdpHandlers
---@field broadcast? boolean broadcasts may be sent
---@field max_size? integer a longer datagram is cut, which is told; bytes, default 65535
---@field paused? boolean receives nothing until `resume`
---@field reuse_address? boolean others that say the same may be bound there, too
---@field reuse_port? boolean likewise; the system spreads what comes over them
---@field receive_buffer? integer bytes that the system holds of what came; default 0: it decides
---@field send_buffer? integer the same of what is sent; default 0: the system decides
---@field device? false|string the interface that alone is used, by name; default false
--- How many routers pass on what is sent to a group, this machine included: 1 stays in its
--- network, 0 on this machine; default 1.
---@field multicast_ttl? integer
---@field multicast_loop? boolean this machine hears what it sends to groups; default true
--- By which interface groups are sent to: its name or number, for IPv4 also its address. Default
--- false: that of the last `join_group` which named one, else the system's choice.
---@field interface? false|string|integer

--- While it is open and has a handler it lives, kept by the script or not. Other fields are free
--- for the script to store.
---@class evsock.Udp: evsock.UdpHandlers
---@field host string where it is bound, numeric; nil once it is closed
---@field port integer nil once it is closed
---@field fd integer its descriptor; nil once it is closed
---@field bytes_read integer
---@field bytes_written integer
--- The options of `evsock.udp`. What the system refuses to change raises.
---@field broadcast boolean
---@field max_size integer
---@field receive_buffer integer
---@field send_buffer integer
---@field device false|string
---@field multicast_ttl integer
---@field multicast_loop boolean
---@field interface false|string|integer
---@field reuse_address boolean read-only
---@field reuse_port boolean read-only
local Udp = {}

--- Sends a datagram. What goes to a name, or finds no room in the system, waits: at most 256, or
--- 1 MiB (then `EAGAIN`); what goes to one name keeps its order. Closing drops what waits.
---
--- `sock:send_to("hello", "192.168.1.255", 5000)`
---@param data string
---@param host? string nil: where it is connected
---@param port? integer|string
---@return true? sent or waits
---@return string? message
---@return evsock.ErrorCode? code
function Udp:send_to(data, host, port) end

--- Waits for a datagram, after others that wait; without `on_datagram` they wait to be read. A
--- failure of which no `on_error` hears ends it, too.
---
--- `local data, host, port, cut = sock:receive(5)`
---@param timeout number? seconds; nil: as long as it takes
---@return string? data
---@return string? host the sender's, or the message
---@return integer|evsock.ErrorCode? port the sender's, or the code; `EBUSY`: it has `on_datagram`
---@return boolean? cut it was longer than `max_size`
function Udp:receive(timeout) end

--- The datagram that waits longest; nil when none does.
---
--- `local data, host, port, cut = sock:read()`
---@return string? data
---@return string? host
---@return integer? port
---@return boolean? cut it was longer than `max_size`
function Udp:read() end

--- Fixes the other end, once: only what that sends is heard, its refusals come to `on_error`, and
--- `send_to` needs no address. `on_connect` tells when it is so.
---
--- `sock:connect("time.example", 123)`
---@param host string
---@param port integer|string
---@return true? begun
---@return string? message
---@return evsock.ErrorCode? code
function Udp:connect(host, port) end

--- Also hears what is sent to a group. The interface of a group of IPv6 may be its zone, too
--- (`ff02::1%eth0`). By one that is given beside the group, groups are then also sent to, unless
--- the option `interface` says otherwise.
---
--- `sock:join_group("239.1.2.3")`
---@param group string a numeric address
---@param interface? string for a group of IPv4 its address, for one of IPv6 its name or number
---@return true? joined
---@return string? message
---@return evsock.ErrorCode? code
function Udp:join_group(group, interface) end

--- Hears the group no more.
---
--- `sock:leave_group("239.1.2.3")`
---@param group string
---@param interface? string the one that it was joined at
---@return true? left
---@return string? message
---@return evsock.ErrorCode? code
function Udp:leave_group(group, interface) end

--- Receives nothing, and calls `on_datagram` no more, until `resume`.
---
--- `sock:pause()`
function Udp:pause() end

--- Receives again, beginning with what came before the pause.
---
--- `sock:resume()`
function Udp:resume() end

--- Ends it at once; no handler is called any more.
---
--- `sock:close()`
function Udp:close() end

-- Timers and tasks --------------------------------------------------------------------------------

--- Other fields are free for the script to store.
---@class evsock.Timer
---@field active boolean
---@field private on_timer? function
local Timer = {}

--- It will not fire (again).
---
--- `timer:cancel()`
function Timer:cancel() end

---@class evsock.Task
---@field done boolean it has returned, raised or been cancelled
local Task = {}

--- Ends it where it waits; it leaves nothing behind. Tells whether there was something to end.
---
--- `task:cancel()`
---@return boolean ended
function Task:cancel() end

--- Waits until it is done: true and what it returned, or why it did not return.
---
--- `local ok, result = task:join(5)`
---@param timeout? number
---@return true? ok
---@return any ... what it returned, or message and code
function Task:join(timeout) end

return evsock
