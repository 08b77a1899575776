---@meta evsock.testing
-- Not `error`: editors would take what is behind it for dead code.
assert(false, "src/meta/evsock/testing.lua is for editors only; the module is in evsock.so")

--- What tests of scripts are written with: a clock that the test moves, devices, waiting.
---@class evsock.testing
local testing = {}

--- The clock of a test. From now on timers, timeouts, sleeps and pauses before reconnecting go by
--- it, those of all dialects, too; sockets stay real, and so do the timeout of `pump` and lookups.
--- It stands until it is moved. There is one for a Lua state: who asks again gets the same, which
--- stands again, until it is released.
---
--- `local clock = testing.clock()`
---@param options? evsock.testing.ClockOptions
---@return evsock.testing.Clock? clock
---@return string? message
---@return evsock.ErrorCode? code
function testing.clock(options) end

--- A device that listens and answers, in the Lua state of the test; close it at its end. A table
--- holds its answers by questions. A question is a line, whatever ends it, or a datagram without
--- the end of a line; one that begins with `^` is a pattern. An answer is a text, to which
--- `line_end` is added; a list of answers, of which each time the next is given and the last
--- again and again; a list in that list, which are several lines; a function, called with the
--- question, the connection and what the pattern captures, which returns one; or false: nothing
--- is said. A function in place of the table is run as a task for each connection; of a device of
--- datagrams it is called with each and returns the answer.
---
--- `local device = testing.device { ["POWR?"] = "POWR=0" }`
---@param script table<string, any>|fun(connection: any, device: any): string?
---@param options? evsock.testing.DeviceOptions
---@return evsock.testing.Device? device
---@return string? message
---@return evsock.ErrorCode? code
function testing.device(script, options) end

--- Pumps until `condition()` holds and returns what it returned; after so many seconds of real
--- time it raises, with what is open (`evsock.report`). A clock that moves by itself does so
--- meanwhile.
---
--- `testing.wait_until(function() return sock.state == "open" end)`
---@param condition fun(): any
---@param seconds? number default 5
---@return any value
function testing.wait_until(condition, seconds) end

--- What is open, but for what is closing: rows of `evsock.objects`, each with where it was made, if
--- that was after `evsock.testing` was loaded or under a trace.
---
--- `assert(#testing.leaks() == 0)`
---@return evsock.ObjectFacts[] leaks
function testing.leaks() end

--- Of `testing.device`.
---@class evsock.testing.DeviceOptions
---@field default? any the answer to what is not in the table; default false
---@field greeting? string sent to each connection as it is
---@field host? string where it listens; default 127.0.0.1
---@field line_end? string added to each answer; default CR LF, of datagrams nothing
---@field port? integer default 0: a free one
---@field tls? evsock.TlsOptions|evsock.Tls with a certificate and its key
---@field udp? boolean datagrams
---@field unix? string|true a Unix socket in place of host and port: its path; true: one of its own

--- A device of a test. `silence`, `split`, `received` and `greeting` are for tables of answers.
---@class evsock.testing.Device
---@field host string where it listens; `unix:` and the path of a Unix socket
---@field port integer? its port; nil of a path
---@field received string[] the questions, in order; the last 10000
---@field connections any[] who is connected; of datagrams, whom it has answered last
local Device = {}

--- Ends it and its connections. Once more does nothing.
---
--- `device:close()`
function Device:close() end

--- Resets its connections, as if it had lost power; it goes on listening.
---
--- `device:reset()`
function Device:reset() end

--- It takes questions and says nothing, until it is given false.
---
--- `device:silence(true)`
---@param is_silent? boolean default true
function Device:silence(is_silent) end

--- From now on what it sends arrives in pieces of so many bytes; nil: whole.
---
--- `device:split(1)`
---@param n? integer
function Device:split(n) end

--- Sends a text as it is to whoever is connected, unasked.
---
--- `device:garbage("\0\255?")`
---@param text string
function Device:garbage(text) end

--- Of `testing.clock`.
---@class evsock.testing.ClockOptions
--- Seconds of real time that peers outside of this Lua state have to answer before the clock moves
--- on; default 0.02. Peers of the same state need none: that nothing is under way is known.
---@field grace? number

--- The clock of a test.
---@class evsock.testing.Clock
local Clock = {}

--- Moves it so far. What falls due is called in order, each at its own time; what handlers do over
--- the network has real time to happen before the clock goes on. An error in a handler leaves it
--- where that was.
---
--- `clock:advance(30)`
---@param seconds number
---@return integer handled how many handlers were called
function Clock:advance(seconds) end

--- From now on it moves on by itself whenever a `pump` or another call waits and nothing is under
--- way: to the next timer or the end of that wait.
---
--- `clock:auto()`
---@param is_on? boolean false: it stands again; default true
---@return evsock.testing.Clock clock
function Clock:auto(is_on) end

--- Its time in seconds: that of `evsock.now`.
---
--- `local began = clock:now()`
---@return number seconds
function Clock:now() end

--- The time by the system's clock, which nobody moves: how long a test really takes.
---
--- `local began = clock:real()`
---@return number seconds
function Clock:real() end

--- Ends it: time goes by the system's again, from where it stands. What is left of a timer or a
--- timeout stays. Once more does nothing.
---
--- `clock:release()`
function Clock:release() end
