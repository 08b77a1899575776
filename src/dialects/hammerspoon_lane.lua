-- Hammerspoon: one connection with its queue of reads and its queue of writes.
--
-- Not here: the object that scripts hold (`hammerspoon.lua`); a listener has one lane for each
-- client. Numbers like 6.5 name the sections of the dialects' specification.
-- Invariants: callbacks run in events only, never in the call that queued; a queue is served in
-- order, and what is behind the barrier of `startTLS` not before the handshake is done; the clock
-- of a queue runs for its head alone.

local _, core = ...
local common, native, timers = core.common, core.socket, core.timer
local read_exact, read_until = native.read_exact, native.read_until
local unpack = table.unpack or unpack

-- `NO_TAG`: of a read or write without one.
local lanes = { NO_TAG = -1 }

-- Keys in the socket's own table, and in those of its clocks.
local LANE, TARGET, DUTY = {}, {}, {}

-- One more of the same ----------------------------------------------------------------------------

-- What most callbacks ask for is one more read like the last. While the reads of a connection will
-- go on by themselves, `run` is the last in its queue, `run_times` stands in for its `times`, and
-- `run_what` and `run_tag` are what the script gave to `read`: a call with the same needs no check
-- and only counts. Whatever changes any of this ends the run. The connection is known weakly:
-- nothing lives by it.
local run, run_times, run_what, run_tag
local running = setmetatable({}, { __mode = "v" })

local function end_run()
    if run then
        run.times = run_times
        run = nil
    end
end

lanes.end_run = end_run

local function begin_run(sock, lane, what, tag)
    end_run()
    local reads, owner = lane.reads, lane.owner
    local tail = lane.deferred and owner.callback and reads.head and reads.tail
    if tail and what == tail.what and (tag or lanes.NO_TAG) == tail.tag
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
            local lane = sock and sock[LANE]
            return lane and due[clock[DUTY]](sock, lane) or false
        end,
    },
}

local function start_clock(sock, lane, duty, seconds)
    local clock = lane.clocks[duty]
    if not clock then
        clock = Clock.new()
        clock[TARGET] = setmetatable({ sock = sock }, { __mode = "v" })
        clock[DUTY] = duty
        lane.clocks[duty] = clock
    end
    timers.start(clock, seconds)
end

local function stop_clock(lane, duty)
    local clock = lane.clocks[duty]
    if clock and timers.active(clock) then
        timers.cancel(clock)
    end
end

-- The clock of a queue follows its head (6.7).
local function follow_head(sock, lane, duty)
    local queue = lane[duty]
    local item = queue.head
    if queue.timed ~= item then
        queue.timed, queue.late = item, nil
        stop_clock(lane, duty)
        if item and item.timeout >= 0 then
            start_clock(sock, lane, duty, item.timeout)
        end
    end
end

-- The reads go on in the next pump.
local function defer(sock, lane)
    if not lane.deferred then
        lane.deferred = true
        core.post(sock)
    end
end

-- Callbacks ---------------------------------------------------------------------------------------

-- An error is caught and told, and everything goes on (1.6). Nothing may be left to be done
-- behind the last callback of an event: with nobody to tell, its error ends the event.
local function call(lane, fn, ...)
    if not fn then
        return false
    elseif not lane.owner.is_heard() then
        fn(...)
        return true
    end
    local arguments, count = { ... }, select("#", ...)
    local ok, problem = xpcall(function()
        fn(unpack(arguments, 1, count))
    end, common.explain)
    if not ok then
        lane.owner.report(problem, lane.owner.object.sock)
    end
    return true
end

lanes.call = call

-- Lanes -------------------------------------------------------------------------------------------

-- `owner`: `callback` (of reads), `timeout`, `object.sock` (weak); `is_heard`, `report` and `log`
-- for what goes wrong.
-- `among`: the list of the listener's clients that it stands in, by a weak reference.
function lanes.begin(sock, owner, among)
    local lane = {
        owner = owner,
        reads = new_queue(),
        writes = new_queue(),
        clocks = {},
        open = among ~= nil,
        among = among,
    }
    sock[LANE] = lane
    return lane
end

function lanes.of(sock)
    return sock[LANE]
end

-- It is over: what is queued is dropped, and nobody is told (6.9).
function lanes.finish(sock)
    local lane = sock[LANE]
    if not lane then
        return
    end
    sock[LANE] = nil
    lane.over, lane.deferred = true, nil
    end_run()
    -- One by one: of this in a finaliser, as a loop of pairs, LuaJIT 2.1.0-beta3 sometimes made one
    -- without an end.
    stop_clock(lane, "attempt")
    stop_clock(lane, "reads")
    stop_clock(lane, "writes")
    native.release(sock)
    local clients = lane.among and lane.among.clients
    for i, client in ipairs(clients or {}) do
        if client == sock then
            table.remove(clients, i)
            break
        end
    end
end

-- The same for what went wrong without an event of the core's.
local function give_up(sock, lane, message, level)
    lane.owner.log(level or "debug", message or lane.reason)
    lanes.finish(sock)
end

local function time_out(sock, lane, what)
    give_up(sock, lane, what .. common.whom(sock) .. ": timed out")
end

-- Live: an end that the system knows of counts as soon as nothing is left to be read (6.9).
function lanes.is_connected(sock)
    local stands, unread = native.look(sock)
    return stands or unread > 0
end

-- Both barriers are at the head of their queues: the handshake begins.
local function secure_when_due(sock, lane)
    local read, write = lane.reads.head, lane.writes.head
    if lane.securing or not (lane.open and read and read.barrier and write and write.barrier) then
        return
    end
    lane.securing = true
    -- The original has no bound for it.
    native.set(sock, "connect_timeout", 0)
    local begun, message = nil, read.why
    if read.tls then
        begun, message = native.start_tls(sock, read.tls)
    end
    if not begun then
        give_up(sock, lane, message, "error")
    end
end

-- Writes ------------------------------------------------------------------------------------------

-- Gives the core what may go out; it says by a mark when each has left.
local function hand_over(sock, lane)
    local writes = lane.writes
    while lane.open do
        local item = writes.unsent
        if not item or item.barrier or not native.write(sock, item.text) then
            break
        end
        native.mark(sock)
        item.text = nil
        writes.unsent = item.next
    end
    if lane.open then
        follow_head(sock, lane, "writes")
    end
end

-- `done.fn` is called once, whichever of the lanes that share it is first.
function lanes.write(sock, lane, text, tag, done)
    push(lane.writes, { text = text, tag = tag, done = done, timeout = lane.owner.timeout })
    hand_over(sock, lane)
end

-- With nothing left to send, the news that all has left is on its way.
function due.writes(sock, lane)
    if native.pending(sock) > 0 then
        time_out(sock, lane, "write")
    end
end

-- Reads -------------------------------------------------------------------------------------------

-- What a callback leaves: more may be queued, and the connection may be over.
local function settle(sock, lane, starved)
    if lane.open then
        follow_head(sock, lane, "reads")
    end
    local unread = native.buffered(sock)
    if lane.ended and (unread == 0 or starved) then
        lanes.finish(sock)
    elseif not starved and lane.reads.head and unread > 0 then
        defer(sock, lane)
    else
        secure_when_due(sock, lane)
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
local function serve(sock, lane, all)
    end_run()
    local reads, owner, called, starved = lane.reads, lane.owner, false, false
    local is_heard, last = owner.is_heard(), not all and reads.tail
    local left = last and last.times
    while not lane.over do
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
        if not lane.deferred and (lane.ended or reads.head and native.buffered(sock) > 0) then
            -- In case that the callback raises.
            defer(sock, lane)
        end
        if sock == running.sock then
            begin_run(sock, lane, run_what, run_tag)
        end
        local fn = owner.callback
        if fn and not is_heard then
            fn(data, item.tag)
            called = true
        else
            called = call(lane, fn, data, item.tag) or called
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
    if not lane.over then
        settle(sock, lane, starved)
    end
    return called
end

-- Like ones in a row are one item.
function lanes.read(sock, lane, what, is_count, tag)
    end_run()
    local reads, timeout = lane.reads, lane.owner.timeout
    local tail = reads.head and reads.tail
    if tail and what == tail.what and tag == tail.tag and timeout == tail.timeout then
        tail.times = tail.times + 1
    else
        push(reads, { what = what, is_count = is_count, tag = tag, timeout = timeout, times = 1 })
    end
    if lane.open then
        follow_head(sock, lane, "reads")
        if lane.ended or native.buffered(sock) > 0 then
            defer(sock, lane)
        end
    end
end

-- `read`, and ahead of it what needs no check.
function lanes.reader(read)
    return function(socket, what, tag)
        if run and what == run_what and tag == run_tag and socket and socket == running.sock then
            run_times = run_times + 1
            return socket
        end
        local result = read(socket, what, tag)
        local lane = result and socket[LANE]
        if lane then
            begin_run(socket, lane, what, tag)
        end
        return result
    end
end

-- What is there is enough, or bytes that came in time are on their way: they get one pump more.
function due.reads(sock, lane)
    end_run()
    local reads = lane.reads
    local item, times = reads.head, reads.head.times
    local called = serve(sock, lane)
    end_run()
    if lane.over or reads.head ~= item or item.times ~= times then
        return called
    end
    local _, unread = native.look(sock)
    if unread > native.buffered(sock) and not reads.late then
        reads.late = true
        start_clock(sock, lane, "reads", 0)
    else
        time_out(sock, lane, "read")
    end
end

-- An attempt to connect that was given no time.
due.attempt = give_up

function lanes.expire(sock, lane)
    start_clock(sock, lane, "attempt", 0)
end

-- TLS ---------------------------------------------------------------------------------------------

-- `tls`: compiled, or nil when the handshake cannot but fail; `verifies`: the peer is to prove who
-- it is; `why` there is nothing compiled. Only the first call counts (6.8).
function lanes.start_tls(sock, lane, tls, verifies, why)
    if lane.has_barrier then
        return
    end
    lane.has_barrier, lane.verifies = true, verifies
    for _, queue in ipairs { lane.reads, lane.writes } do
        push(queue, { barrier = true, tls = tls, why = why, timeout = -1 })
    end
    secure_when_due(sock, lane)
end

-- Events of the core ------------------------------------------------------------------------------

local on = {}
lanes.on = {}
for _, name in ipairs { "connect", "data", "end", "close", "mark", "note", "secure" } do
    lanes.on[name] = function(sock, ...)
        local lane = sock[LANE]
        return lane and on[name](sock, lane, ...) or false
    end
end

function on.connect(sock, lane)
    lane.open = true
    hand_over(sock, lane)
    follow_head(sock, lane, "reads")
    local greet = lane.greet
    lane.greet = nil
    secure_when_due(sock, lane)
    return call(lane, greet)
end

function on.data(sock, lane)
    return serve(sock, lane)
end

-- The turn that `defer` asked for, unless the connection it was for is over.
function on.note(sock, lane)
    if lane.deferred then
        lane.deferred = nil
        return serve(sock, lane)
    end
end

on["end"] = function(sock, lane)
    lane.ended = true
    return serve(sock, lane)
end

-- The attempt failed or the connection broke; what came before can still be read.
function on.close(sock, lane, message, code)
    if message then
        lane.owner.log("debug", message)
    end
    lane.ended = true
    if code == "TLS_TRUNCATED" and lane.open and not (lane.securing or lane.verifies) then
        -- Where nothing is verified an end is an end: what came before waits to be read.
        return serve(sock, lane)
    end
    local called = lane.open and not lane.securing and serve(sock, lane, true)
    if sock[LANE] == lane then
        lanes.finish(sock)
    end
    return called
end

function on.mark(sock, lane)
    local item = pop(lane.writes)
    hand_over(sock, lane)
    secure_when_due(sock, lane)
    local fn = item.done and item.done.fn
    if fn then
        item.done.fn = nil
        return call(lane, fn, item.tag)
    end
end

function on.secure(sock, lane)
    lane.securing = nil
    pop(lane.reads)
    lane.writes.unsent = pop(lane.writes).next
    hand_over(sock, lane)
    follow_head(sock, lane, "reads")
end

return lanes
