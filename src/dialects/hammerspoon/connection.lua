-- Hammerspoon: one connection with its queue of reads and its queue of writes.
--
-- Not here: the object that scripts hold (`init.lua`); a listener has one connection for each
-- client. Numbers like 6.5 name the sections of the dialects' specification.
-- Invariants: callbacks run in events only, never in the call that queued; a queue is served in
-- order, and what is behind the barrier of `startTLS` not before the handshake is done; the clock
-- of a queue runs for its head alone.

local _, core = ...
local common, sock_api, timers = core.common, core.socket, core.timer
local read_exact, read_until = sock_api.read_exact, sock_api.read_until
local shared = core.part "hammerspoon/shared"
local call = shared.call

local connections = {}

-- Keys in the socket's own table, and in those of its clocks.
local CONNECTION, TARGET, DUTY = {}, {}, {}

-- Runs of like reads ------------------------------------------------------------------------------

-- Most callbacks ask for one more read like the last. Where such reads are queued ahead, a run of
-- them saves their checks and their items. With two queued and one more from each callback a line
-- took 0.84 us of CPU time on Lua 5.4 and 0.47 on LuaJIT, without runs 1.50 and 0.85; with one
-- queued a run gains nothing.
-- There is one run at a time, while the reads of its connection go on by themselves. `run` is the
-- last item in that queue, `run_times` stands in for its `times`, and `run_what` and `run_tag` are
-- what the script gave to `read`: a call with the same needs no check and only counts. Whatever
-- changes any of this ends the run. Its socket is known weakly: nothing lives by a run.
local run, run_times, run_what, run_tag
local running = setmetatable({}, { __mode = "v" })

local function end_run()
    if run then
        run.times = run_times
        run = nil
    end
end

connections.end_run = end_run

local function begin_run(sock, connection, what, tag)
    end_run()
    local reads, owner = connection.reads, connection.owner
    local tail = connection.deferred and owner.callback and reads.head and reads.tail
    if tail and what == tail.what and (tag or shared.NO_TAG) == tail.tag
        and tail.timeout == owner.timeout then
        run, run_times, run_what, run_tag = tail, tail.times, what, tag
        running.sock = sock
    end
end

-- Queues ------------------------------------------------------------------------------------------

-- A list: each item knows the next. `unsent` is the first of the writes not yet with the core.
local function new_queue()
    return {}
end

local function push(queue, item)
    end_run()
    item.next = nil
    if queue.head then
        queue.tail.next = item
    else
        queue.head = item
    end
    queue.tail = item
    queue.unsent = queue.unsent or item
end

-- One of the reads that an item stands for is served: the clock of the next begins anew.
local function count_off(reads, item)
    end_run()
    if item.times > 1 then
        item.times, reads.timed = item.times - 1, false
    elseif reads.head == item then
        reads.head = item.next
    end
end

local function pop(queue)
    local item = queue.head
    queue.head = item.next
    return item
end

-- Clocks ------------------------------------------------------------------------------------------

-- What a clock does when it is due, by its duty.
local due = {}

-- It knows its socket by a weak reference: a dropped socket does not wait for its timeouts.
local Clock = core.class {
    name = "hs.socket clock",
    kind = "timer",
    anchor = "handlers",
    on = {
        timer = function(clock)
            local sock = clock[TARGET].sock
            local connection = sock and sock[CONNECTION]
            return connection and due[clock[DUTY]](sock, connection) or false
        end,
    },
}

local function start_clock(sock, connection, duty, seconds)
    local clock = connection.clocks[duty]
    if not clock then
        clock = Clock.new()
        clock[TARGET] = setmetatable({ sock = sock }, { __mode = "v" })
        clock[DUTY] = duty
        connection.clocks[duty] = clock
    end
    timers.start(clock, seconds)
end

local function stop_clock(connection, duty)
    local clock = connection.clocks[duty]
    if clock and timers.active(clock) then
        timers.cancel(clock)
    end
end

-- The clock of a queue follows its head (6.7).
local function follow_head(sock, connection, duty)
    local queue = connection[duty]
    local item = queue.head
    if queue.timed ~= item then
        queue.timed, queue.late = item, nil
        stop_clock(connection, duty)
        if item and item.timeout >= 0 then
            start_clock(sock, connection, duty, item.timeout)
        end
    end
end

-- The reads go on in the next pump.
local function defer(sock, connection)
    if not connection.deferred then
        connection.deferred = true
        core.defer(sock)
    end
end

-- Connections -------------------------------------------------------------------------------------

-- `owner`: see `shared.lua`; its `callback` is that of reads.
-- `among`: the list of the listener's clients that it stands in, by a weak reference.
function connections.begin(sock, owner, among)
    local connection = {
        owner = owner,
        reads = new_queue(),
        writes = new_queue(),
        clocks = {},
        open = among ~= nil,
        among = among,
    }
    sock[CONNECTION] = connection
    return connection
end

function connections.of(sock)
    return sock[CONNECTION]
end

-- It is over: what is queued is dropped, and nobody is told (6.9).
function connections.finish(sock)
    local connection = sock[CONNECTION]
    if not connection then
        return
    end
    sock[CONNECTION] = nil
    connection.over, connection.deferred = true, nil
    end_run()
    -- One by one: of this in a finaliser, as a loop of pairs, LuaJIT 2.1.0-beta3 sometimes made one
    -- without an end.
    stop_clock(connection, "attempt")
    stop_clock(connection, "reads")
    stop_clock(connection, "writes")
    sock_api.release(sock)
    local clients = connection.among and connection.among.clients
    for i, client in ipairs(clients or {}) do
        if client == sock then
            table.remove(clients, i)
            break
        end
    end
end

-- The same for what went wrong without an event of the core's.
local function give_up(sock, connection, message, level)
    shared.log(level or "debug", message or connection.reason)
    connections.finish(sock)
end

local function time_out(sock, connection, what)
    give_up(sock, connection, what .. common.display(sock) .. ": timed out")
end

-- Live: an end that the system knows of counts as soon as nothing is left to be read (6.9).
function connections.is_connected(sock)
    local stands, unread = sock_api.look(sock)
    return stands or unread > 0
end

-- Both barriers are at the head of their queues: the handshake begins.
local function secure_when_due(sock, connection)
    local read, write = connection.reads.head, connection.writes.head
    local at_barriers = read and read.barrier and write and write.barrier
    if connection.securing or not (connection.open and at_barriers) then
        return
    end
    connection.securing = true
    -- The original has no bound for it.
    sock_api.set(sock, "connect_timeout", 0)
    local begun, message = nil, read.why
    if read.tls then
        begun, message = sock_api.start_tls(sock, read.tls)
    end
    if not begun then
        give_up(sock, connection, message, "error")
    end
end

-- Writes ------------------------------------------------------------------------------------------

-- Gives the core what may go out; it says by a mark when each has left.
local function send_queued(sock, connection)
    local writes = connection.writes
    while connection.open do
        local item = writes.unsent
        if not item or item.barrier or not sock_api.write(sock, item.text) then
            break
        end
        sock_api.mark(sock)
        item.text = nil
        writes.unsent = item.next
    end
    if connection.open then
        follow_head(sock, connection, "writes")
    end
end

-- `done.fn` is called once, whichever of the connections that share it is first.
function connections.write(sock, connection, text, tag, done)
    local timeout = connection.owner.timeout
    push(connection.writes, { text = text, tag = tag, done = done, timeout = timeout })
    send_queued(sock, connection)
end

-- With nothing left to send, the news that all has left is on its way.
function due.writes(sock, connection)
    if sock_api.pending(sock) > 0 then
        time_out(sock, connection, "write")
    end
end

-- Reads -------------------------------------------------------------------------------------------

-- What a callback leaves: more may be queued, and the connection may be over.
local function after_reads(sock, connection, starved)
    if connection.open then
        follow_head(sock, connection, "reads")
    end
    local unread = sock_api.buffered(sock)
    if connection.ended and (unread == 0 or starved) then
        connections.finish(sock)
    elseif not starved and connection.reads.head and unread > 0 then
        defer(sock, connection)
    else
        secure_when_due(sock, connection)
    end
end

-- Serves `item` while it is the run, `left` times at most: how many are left, and whether no more
-- was there. This is what each line of a stream goes through: nothing is asked twice.
local function serve_run(sock, reads, item, fn, left)
    local what, tag = item.what, item.tag
    local take = item.is_count and read_exact or read_until
    while run == item and left > 0 do
        local data = take(sock, what, true)
        if not data then
            return left, true
        elseif run == item and run_times > 1 then
            run_times, reads.timed = run_times - 1, false
        else
            -- The last of them; or a finaliser that ran meanwhile has ended the run.
            count_off(reads, item)
        end
        fn(data, tag)
        left = left - 1
    end
    return left, false
end

-- Serves the reads that are queued now (`all`: also those that callbacks queue meanwhile).
local function serve(sock, connection, all)
    end_run()
    local reads, owner, called, starved = connection.reads, connection.owner, false, false
    local is_heard, last = shared.is_heard(), not all and reads.tail
    local left = last and last.times
    while not connection.over do
        local item, data = reads.head, nil
        if not item then
            break
        elseif item.is_count then
            data = read_exact(sock, item.what)
        elseif item.what then
            -- A barrier is for nothing.
            data = read_until(sock, item.what, true)
        end
        if not data then
            starved = true
            break
        end
        count_off(reads, item)
        local may_serve = connection.ended or reads.head and sock_api.buffered(sock) > 0
        if may_serve and not connection.deferred then
            -- In case that the callback raises.
            defer(sock, connection)
        end
        if sock == running.sock then
            begin_run(sock, connection, run_what, run_tag)
        end
        local fn = owner.callback
        if fn and not is_heard then
            fn(data, item.tag)
            called = true
        else
            called = call(owner, fn, data, item.tag) or called
        end
        if item == last then
            left = left - 1
            if run == item and not is_heard then
                left, starved = serve_run(sock, reads, item, owner.callback, left)
            end
            if left == 0 or starved then
                break
            end
        end
    end
    if not connection.over then
        after_reads(sock, connection, starved)
    end
    return called
end

-- Like ones in a row are one item.
function connections.read(sock, connection, what, is_count, tag)
    end_run()
    local reads, timeout = connection.reads, connection.owner.timeout
    local tail = reads.head and reads.tail
    if tail and what == tail.what and tag == tail.tag and timeout == tail.timeout then
        tail.times = tail.times + 1
    else
        push(reads, { what = what, is_count = is_count, tag = tag, timeout = timeout, times = 1 })
    end
    if connection.open then
        follow_head(sock, connection, "reads")
        if connection.ended or sock_api.buffered(sock) > 0 then
            defer(sock, connection)
        end
    end
end

-- `read`, and ahead of it what needs no check.
function connections.reader(read)
    return function(socket, what, tag)
        if run and what == run_what and tag == run_tag and socket and socket == running.sock then
            run_times = run_times + 1
            return socket
        end
        local result = read(socket, what, tag)
        local connection = result and socket[CONNECTION]
        if connection then
            begin_run(socket, connection, what, tag)
        end
        return result
    end
end

-- What is there is enough, or bytes that came in time are on their way: they get one pump more.
function due.reads(sock, connection)
    end_run()
    local reads = connection.reads
    local item, times = reads.head, reads.head.times
    local called = serve(sock, connection)
    end_run()
    if connection.over or reads.head ~= item or item.times ~= times then
        return called
    end
    local _, unread = sock_api.look(sock)
    if unread > sock_api.buffered(sock) and not reads.late then
        reads.late = true
        start_clock(sock, connection, "reads", 0)
    else
        time_out(sock, connection, "read")
    end
end

-- An attempt to connect that was given no time.
due.attempt = give_up

function connections.expire(sock, connection)
    start_clock(sock, connection, "attempt", 0)
end

-- TLS ---------------------------------------------------------------------------------------------

-- `tls`: compiled, or nil when the handshake cannot but fail; `verifies`: the peer is to prove who
-- it is; `why` there is nothing compiled. Only the first call counts (6.8).
function connections.start_tls(sock, connection, tls, verifies, why)
    if connection.has_barrier then
        return
    end
    connection.has_barrier, connection.verifies = true, verifies
    for _, queue in ipairs { connection.reads, connection.writes } do
        push(queue, { barrier = true, tls = tls, why = why, timeout = -1 })
    end
    secure_when_due(sock, connection)
end

-- Events of the core ------------------------------------------------------------------------------

local on = {}
connections.on = {}
for _, name in ipairs { "connect", "data", "end", "close", "mark", "deferred", "secure" } do
    connections.on[name] = function(sock, ...)
        local connection = sock[CONNECTION]
        return connection and on[name](sock, connection, ...) or false
    end
end

function on.connect(sock, connection)
    connection.open = true
    send_queued(sock, connection)
    follow_head(sock, connection, "reads")
    local on_open = connection.on_open
    connection.on_open = nil
    secure_when_due(sock, connection)
    return call(connection.owner, on_open)
end

function on.data(sock, connection)
    return serve(sock, connection)
end

-- The turn that `defer` asked for, unless the connection it was for is over.
function on.deferred(sock, connection)
    if connection.deferred then
        connection.deferred = nil
        return serve(sock, connection)
    end
end

on["end"] = function(sock, connection)
    connection.ended = true
    return serve(sock, connection)
end

-- The attempt failed or the connection broke; what came before can still be read.
function on.close(sock, connection, message, code)
    if message then
        shared.log("debug", message)
    end
    connection.ended = true
    local is_unverified = not (connection.securing or connection.verifies)
    if code == "TLS_TRUNCATED" and connection.open and is_unverified then
        -- Where nothing is verified an end is an end: what came before waits to be read.
        return serve(sock, connection)
    end
    local called = connection.open and not connection.securing and serve(sock, connection, true)
    if sock[CONNECTION] == connection then
        connections.finish(sock)
    end
    return called
end

function on.mark(sock, connection)
    local item = pop(connection.writes)
    send_queued(sock, connection)
    secure_when_due(sock, connection)
    local fn = item.done and item.done.fn
    if fn then
        item.done.fn = nil
        return call(connection.owner, fn, item.tag)
    end
end

function on.secure(sock, connection)
    connection.securing = nil
    pop(connection.reads)
    connection.writes.unsent = pop(connection.writes).next
    send_queued(sock, connection)
    follow_head(sock, connection, "reads")
end

return connections
