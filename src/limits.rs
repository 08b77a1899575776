//! Every bound of the library, its default and why it is there.
//!
//! Not here: timeouts of protocols under test. Invariant I4: every buffer, queue, pool and wait
//! has its bound on this page (or is an option whose default stands here).

use std::time::Duration;

/// Bytes asked of the system in one read: smaller and larger were slower (design: 16 K, 256 K).
pub const READ_SIZE: usize = 64 * 1024;
/// Reads of one socket in a row before the others have their turn (fairness).
pub const READS_IN_A_ROW: usize = 4;
/// An arrival below this is copied into a buffer of its size, so that a quiet connection does not
/// hold a whole [`READ_SIZE`].
pub const SMALL_ARRIVAL: usize = 16 * 1024;
/// Unread bytes at which reading from the peer stops (option `read_limit`); resumes at half. When the
/// connection is over meanwhile, what the system still holds comes in as well: its receive buffer.
pub const READ_LIMIT: usize = 1024 * 1024;
/// What a line or block may grow to when the script asks for it (option `max_frame`).
pub const MAX_FRAME: usize = 16 * 1024 * 1024;
/// Bytes waiting to be sent (option `write_limit`); a write beyond is refused.
pub const WRITE_LIMIT: usize = 64 * 1024 * 1024;
/// Events that one socket may have waiting; at this many, reading stops until the script pumps.
pub const EVENTS_WAITING: usize = 4096;
/// Connections accepted and not yet handed to the script, per address listened on.
pub const ACCEPTED_WAITING: usize = 256;
/// Handshakes under way at an address listened on; at this many, or at a quarter of the descriptors
/// that the process may have, the oldest that says nothing is ended for a new one.
pub const HANDSHAKES: usize = 4096;
/// How long the handshake of an accepted connection may take, unless `connect_timeout` says.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Out of descriptors, a peer that has said nothing for so long gives its own back.
pub const HANDSHAKE_GRACE: Duration = Duration::from_millis(100);
/// Received and unsent bytes of all accepted connections of a server (option `memory_limit`).
pub const MEMORY_LIMIT: usize = 1024 * 1024 * 1024;
/// What a connection holds is counted in steps of so much: what is less costs nothing to count.
pub const MEMORY_STEP: usize = 4 * 1024;
/// Tokens in the queue before those of connections that are gone are looked for.
pub const TOKENS_UNSWEPT: usize = 1024;
/// Ends of connections that a socket has replaced and whose `on_close` waits for a pump; one more
/// `connect` is refused.
pub const SUPERSEDED_WAITING: u16 = u16::MAX;
/// Items that a pump may have room for when it has dispatched them all; what a burst has taken beyond
/// is given back.
pub const ITEMS_KEPT: usize = 4096;
/// Connections taken in a row before the others have their turn.
pub const ACCEPTS_IN_A_ROW: usize = 64;
/// Buffers of [`READ_SIZE`] kept for reuse.
pub const POOLED_BUFFERS: usize = 32;
/// What a datagram can hold (option `max_size`).
pub const LONGEST_DATAGRAM: usize = 65_535;
/// Datagrams received and not yet taken by the script, per socket; at this many, or at
/// [`DATAGRAM_BYTES_HELD`], reading stops and the system holds or drops them.
pub const DATAGRAMS_HELD: usize = 64;
/// Their bytes.
pub const DATAGRAM_BYTES_HELD: usize = 256 * 1024;
/// Datagrams that wait for a lookup or for room, per socket; one more is refused.
pub const DATAGRAMS_UNSENT: usize = 256;
/// Their bytes.
pub const DATAGRAM_BYTES_UNSENT: usize = 1024 * 1024;
/// Readiness reports taken from the system at a time.
pub const POLL_BATCH: usize = 256;
/// Lookup, connecting and handshake together (option `connect_timeout`).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The least pause before connecting again, whatever the options say: without one, a port that refuses
/// costs a whole core.
pub const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// How long a closing socket may take to send what was written.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long what still arrives is discarded after our end of stream, so that the peer is not
/// answered with a reset that would destroy what it has not read yet.
pub const LINGER: Duration = Duration::from_secs(1);
/// Keep-alive probes without an answer before a connection is over: the most that Linux takes.
pub const MOST_PROBES: usize = 127;
/// Pause of a listener or a UDP socket after an error that would come again at once.
pub const REFUSAL_PAUSE: Duration = Duration::from_millis(100);
/// Pause after a fault of ours, or a refusal of the system, that may come again at once.
pub const FAULT_PAUSE: Duration = Duration::from_millis(10);
/// How long the thread leaves the lead to a script that pumps again and again.
pub const WATCH: Duration = Duration::from_millis(5);
/// How long the script sleeps at a time where the system's wait swallows signals (Ctrl-C).
pub const SLICE: Duration = Duration::from_millis(20);
/// The same where a signal ends the wait, but one that comes just before it would go unnoticed.
pub const LONG_SLICE: Duration = Duration::from_millis(1600);
/// How long after Ctrl-C the interpreter may take to set Lua's hook, where it does so on another thread.
pub const HOOK_WAIT: Duration = Duration::from_secs(1);
/// How long ending waits for the thread.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Lookups at work at a time, process-wide; stuck ones don't count. Where many are stuck it is half
/// as many: waiting for eight at a time would take the next name too long.
pub const LOOKUPS_AT_WORK: usize = 8;
/// After this a lookup counts as stuck: the hosts file and a cache nearby answer sooner, and 200
/// names that never answer have all begun after 45 ms. Less would ask many more names at the same
/// time of a server that is merely far away.
pub const LOOKUP_GRACE: Duration = Duration::from_millis(5);
/// Threads that look up names, stuck ones and all, process-wide. At 256 KiB each: 64 MiB of
/// addresses, not of memory.
pub const LOOKUP_THREADS: usize = 256;
/// How long a thread stays that has no name to look up.
pub const LOOKUP_IDLE: Duration = Duration::from_secs(3);
/// Names that wait to be looked up; more fail at once.
pub const LOOKUPS_WAITING: usize = 10_000;
/// Depth of `pump` inside handlers: more would overflow the C stack of the interpreter.
pub const PUMP_DEPTH: u32 = 32;
/// A wait of so long has no end: a clock that a test moves leaps to no such end.
pub const ENDLESS: Duration = Duration::from_secs(1_000_000);
/// How long a wait without end lasts, in real time, while a test holds the clock and timers are set which
/// nobody moves it to; then it raises.
pub const HELD_WAIT: Duration = Duration::from_secs(20);
/// How long, in real time, the clock of a test stands where it is for peers elsewhere: so long may an
/// answer take on its way. Both ends in one state need no such time.
pub const GRACE: Duration = Duration::from_millis(20);
/// The same as a multiple for a connection that is being made or secured, for which the peer may have to
/// compute.
pub const BEGIN_GRACES: u32 = 5;
/// The same for a lookup, which takes its own time and answers by itself.
pub const MACHINE_GRACE: Duration = Duration::from_secs(1);
/// How long, in real time, what never comes to rest may keep the clock of a test at one moment.
pub const SETTLE: Duration = Duration::from_millis(500);
/// How often in a row timers may run out at one moment, each set by the one before, till the clock of a
/// test goes on.
pub const ROUNDS_AT_A_MOMENT: u32 = 1000;
/// The longest wait of one call, so that no arithmetic on moments overflows: about 3 years.
pub const LONGEST_WAIT: Duration = Duration::from_secs(100_000_000);
/// Connections a listening address may have waiting in the system (option `backlog`).
pub const BACKLOG: i32 = 1024;
/// How long a waiting `pump` may poll without sleeping (`evsock.spin`).
pub const SPIN: Duration = Duration::from_micros(50);
/// Received bytes of TLS that may wait for the rest of their record or handshake message: a message
/// of 64 KiB, the most there may be, in records of a sensible size.
pub const TLS_WAITING: usize = 128 * 1024;
/// Plain bytes in one record of TLS (RFC 8446, 5.1): smaller pieces are put together up to this.
pub const TLS_RECORD: usize = 16 * 1024;
/// Certificates sent along by a peer that are looked through. A chain has at most six between its
/// ends, and some of them were issued more than once; the ways through all that a peer can send at
/// once take seconds.
pub const ISSUERS: usize = 12;
/// Of those, certificates of one name: renewed, or vouched for by several authorities.
pub const NAMESAKES: usize = 4;
/// Bytes of a revocation list whose signature is verified in each handshake, and not once: more than
/// a handshake message may have, so that no peer fills what is remembered.
pub const LONGEST_UNSIGNED: usize = 128 * 1024;
/// Bytes of longer lists that are remembered as verified: 300,000 entries.
pub const SIGNED_LISTS: usize = 16 * 1024 * 1024;
/// Rounds of PBKDF2 that open a locked key: about 10 s on a small machine. Recommendations end at
/// 1.3 million, OpenSSL takes 2,048.
pub const MOST_ROUNDS: u32 = 10_000_000;
/// Bytes that scrypt may take to open a locked key; OpenSSL's own choice takes 16 MiB.
pub const SCRYPT_MEMORY: u64 = 256 * 1024 * 1024;
/// Bytes that it may fill altogether: about 10 s on a small machine.
pub const SCRYPT_WORK: u64 = 2 * 1024 * 1024 * 1024;
/// Tables within each other that JSON may hold: what `serde_json` reads at most, so that all that is
/// written can be read.
pub const JSON_DEPTH: usize = 127;
/// Places of an array of JSON that may be empty: one far behind the others would take all memory.
pub const JSON_HOLES: usize = 1024;
/// Bytes of the head of an answer of HTTP: no server of sense sends so much, with cookies and all.
pub const HTTP_HEAD: usize = 64 * 1024;
/// Its fields.
pub const HTTP_FIELDS: usize = 128;
/// Bytes of the body of an answer of HTTP: it is one string of the script's.
pub const HTTP_BODY: usize = 64 * 1024 * 1024;
/// Redirects that one request of HTTP follows.
pub const HTTP_REDIRECTS: usize = 10;
/// Requests of HTTP under way in one Lua state: a whole network of 254 devices, four times.
pub const HTTP_REQUESTS: usize = 1024;
/// How long a request of HTTP may take with all its redirects, unless the script says.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(30);
/// A handler that takes longer is told of in the trace.
pub const SLOW_HANDLER: Duration = Duration::from_millis(100);
/// Lines of the trace that wait for a script's function; more are dropped and counted.
pub const TRACE_LINES: usize = 4096;
/// Their bytes.
pub const TRACE_BYTES: usize = 4 * 1024 * 1024;
/// A line of the trace: with what stands around it a pipe takes it whole (`PIPE_BUF`).
pub const TRACE_LINE: usize = 4000;
/// Bytes of what was sent or received that the trace shows of each.
pub const TRACE_DATA: usize = 1024;
/// Sources of which the trace is silent because its function has used them.
pub const TRACE_HUSHED: usize = 1024;
/// How long the ends of such a source stay hushed when it is closed, in real time: so long the other end
/// has to see it.
pub const TRACE_HUSHED_AFTER: Duration = Duration::from_secs(2);
