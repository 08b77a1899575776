-- Tasks, and the calls that wait: inside a task they suspend it, elsewhere they pump.
--
-- Not here: which events there are (`raw/dispatch.rs` calls `wake` and `give_turn`).
-- Invariants: a task is resumed only by those two, so never inside the call that caused the event;
-- a waiter stands in exactly one place (the desk of its socket, the joiners of a task, or nowhere
-- while it only sleeps) and leaves it before its task goes on; one waiter at most takes data of a
-- socket, and takes it only in the moment in which its task goes on.

local native, checks, evsock, core = ...

local raise, bad, whole = native.raise, checks.bad, checks.whole
local unpack = table.unpack or unpack
local running, create, resume, yield, status =
    coroutine.running, coroutine.create, coroutine.resume, coroutine.yield, coroutine.status
-- From 5.4 on a task that is called off closes its variables.
local close_thread = coroutine.close

-- Longer than any wait; every event ends it.
local LONG = 1e6

local function seconds_or_nil(value, call)
    if value ~= nil and not (checks.is_seconds(value) or value == math.huge) then
        bad("argument", "timeout", call, "seconds of at least 0, or nil", value)
    end
    return value ~= math.huge and value or nil
end

-- Tasks -------------------------------------------------------------------------------------------

-- Thread to task.
local tasks = setmetatable({}, { __mode = "k" })
-- Every task that is not over: one that nobody refers to goes on.
local alive = {}
native.tasks.alive = alive
-- Tasks that have asked for a turn, in order.
local turns, first_turn, last_turn = {}, 1, 0
-- Socket to its desk: `reader`, the waiter that takes data, and the others in a list.
local desks = {}
-- The alarms of tasks, each with its task.
local sleepers = setmetatable({}, { __mode = "k" })
-- What a waiting call yields, with its waiter, to be told from a `yield` of the script.
local WAITS = {}

local Task = {}
local metatable = { __name = "evsock.Task", __type = "evsock.Task", __index = Task }

local function task_of(task, call)
    if type(task) ~= "table" or getmetatable(task) ~= metatable then
        native.misuse(task, "task", call)
    end
end

-- What a task has from the beginning does not come by here, so waiting costs no call.
function metatable.__newindex(task, name, value)
    if type(name) == "string" and name:sub(1, 3) == "on_" then
        raise("unknown handler " .. checks.named(name)
            .. " of evsock.Task (a task has none; 'join' waits for its end)")
    end
    rawset(task, name, value)
end

function metatable.__tostring(task)
    task_of(task, "__tostring")
    return "evsock.Task: " .. (task.done and "over" or task.waiter and "waiting" or "ready")
end

local function ask_for_turn(task)
    if task.asked then
        return
    end
    -- Where there is no memory for it nothing has changed.
    turns[last_turn + 1] = task
    last_turn = last_turn + 1
    task.asked = true
    native.turn()
end

-- The running task, if a waiting call can suspend it: not inside a handler that a pump of this
-- very task has called.
local function current()
    local thread = running()
    local task = thread and tasks[thread]
    if task and task.depth == native.depth() then
        return task
    end
end

local function finish(task)
    task.done = true
    alive[task] = nil
    tasks[task.thread] = nil
    task.thread = nil
    if task.alarm then
        sleepers[task.alarm] = nil
        task.alarm = nil
    end
    native.count(-1)
    local joiners = task.joiners
    task.joiners = nil
    for _, waiter in ipairs(joiners or {}) do
        waiter.done = true
        if waiter.task then
            ask_for_turn(waiter.task)
        end
    end
    return joiners and #joiners > 0
end

-- Waiters -----------------------------------------------------------------------------------------

-- A waiter has: `check(waiter)`, which says whether the wait is over and leaves the answer in
-- `a b c d`; `sock` and `reads`, or `joins`; `task`, unless it pumps; `ends`, the number of ends
-- that its socket had come to before that of the connection that it waits on.

local function stand_in_line(waiter)
    local sock = waiter.sock
    if waiter.joins then
        local joiners = waiter.joins.joiners
        joiners[#joiners + 1] = waiter
    elseif sock then
        local desk = desks[sock]
        if not desk then
            desk = {}
            native.watch(sock, true)
            desks[sock] = desk
        end
        if waiter.reads then
            desk.reader = waiter
            waiter.seated = true
            if waiter.hoards then
                waiter:check()
            end
        else
            desk[#desk + 1] = waiter
        end
    end
end

local function remove(list, waiter)
    for place = 1, #list do
        if list[place] == waiter then
            table.remove(list, place)
            return
        end
    end
end

local function leave_line(waiter)
    local sock = waiter.sock
    if waiter.joins then
        remove(waiter.joins.joiners or {}, waiter)
    elseif sock then
        local desk = desks[sock]
        if not desk then
            return
        elseif desk.reader == waiter then
            desk.reader = nil
        else
            remove(desk, waiter)
        end
        if not desk.reader and #desk == 0 then
            desks[sock] = nil
            native.watch(sock, false)
        end
    end
    if waiter.parts then
        -- Taken for an answer that is not to be.
        native.unread(sock, table.concat(waiter.parts))
        waiter.parts = nil
    end
end

-- No handler of the script's, so not counted as active.
local Alarm = core.class { name = "evsock.Alarm", kind = "timer", anchor = "object" }

local function disarm(task)
    if task.armed then
        core.timer.cancel(task.alarm)
        native.count(1)
        task.armed = false
    end
end

local function arm(task, seconds)
    local alarm = task.alarm
    if not alarm then
        alarm = Alarm.new()
        sleepers[alarm] = task
        native.watch(alarm, true)
        task.alarm = alarm
    end
    local ok, message, code = core.timer.start(alarm, seconds, false)
    if ok then
        native.count(-1)
        task.armed = true
    end
    return ok, message, code
end

-- The task waits from now on.
local function seat(task, waiter)
    waiter.task = task
    task.waiter = waiter
    if waiter.timeout and not task.armed then
        local ok, message, code = arm(task, waiter.timeout)
        if not ok then
            waiter.a, waiter.b, waiter.c, waiter.answered = nil, message, code, true
            waiter.done = true
            ask_for_turn(task)
            return
        end
    end
    stand_in_line(waiter)
end

-- After a thread of a task has come back. Returns true, and the task and its error when that
-- reaches nobody else.
local function settle(task, thread, ok, ...)
    if status(thread) ~= "dead" then
        local sign, waiter = ...
        if task.called_off then
            task.called_off = nil
            task:cancel()
        elseif sign ~= WAITS then
            -- A `yield` of the script: the others first.
            ask_for_turn(task)
        elseif task.waiter ~= waiter then
            seat(task, waiter)
        end
        return true
    end
    task.ok = ok
    if ok then
        task.values, task.count = { ... }, select("#", ...)
        finish(task)
        return true
    end
    local problem = (...)
    if type(problem) == "string" and not problem:find("\nstack traceback:\n", 1, true) then
        problem = debug.traceback(thread, problem)
    end
    task.problem = problem
    if not finish(task) then
        return true, task, problem
    end
    return true
end

-- The task does not go on: nothing waits for it any more, and who joins it will hear that.
local function call_off(task)
    local waiter = task.waiter
    if waiter then
        task.waiter = false
        leave_line(waiter)
    end
    disarm(task)
    task.ok, task.was_canceled = false, true
    -- What its variables do while they are closed can't suspend it any more.
    task.depth = nil
end

-- Whether a stranger has run the thread of a task to its end: what came of it is the stranger's.
local function was_stolen(task)
    if task.done or status(task.thread) ~= "dead" then
        return false
    end
    call_off(task)
    finish(task)
    return true
end

-- Whether the task of the waiter may go on. One that is dead takes no answer along.
local function is_due(waiter)
    return not was_stolen(waiter.task) and waiter:check()
end

local function begin(task, thread, ...)
    task.arguments = nil
    return resume(thread, ...)
end

-- Lets a task that is suspended run until it waits or is over.
local function proceed(task)
    local thread = task.thread
    task.depth = native.depth()
    local arguments = task.arguments
    if arguments then
        return settle(task, thread, begin(task, thread, unpack(arguments, 1, task.count)))
    end
    return settle(task, thread, resume(thread))
end

-- The same, if it is.
local function go_on(task)
    if status(task.thread) == "suspended" then
        return proceed(task)
    end
    was_stolen(task)
    return false
end

local function answer_of(waiter)
    if waiter.c == nil then
        return waiter.a
    elseif waiter.d == nil then
        return waiter.a, waiter.b, waiter.c
    end
    return waiter.a, waiter.b, waiter.c, waiter.d
end

-- The wait is over: its task, which was seen to live, goes on.
local function admit(waiter)
    local task = waiter.task
    leave_line(waiter)
    waiter.done = true
    task.waiter = false
    disarm(task)
    return proceed(task)
end

-- Called after the handlers of an event on `object`. `later`: nobody may run now.
local function wake(object, later)
    local sleeper = sleepers[object]
    if sleeper then
        if sleeper.armed then
            native.count(1)
            sleeper.armed = false
        end
        local waiter = sleeper.waiter
        if not waiter then
            return false
        end
        waiter.late = true
        -- What has come in the same moment counts.
        if not is_due(waiter) and sleeper.done then
            return false
        end
        return admit(waiter)
    end
    local desk = desks[object]
    if not desk then
        return false
    end
    local now
    local place = 1
    -- Whoever came first goes on first. The list may shrink: writing may run finalisers.
    while place <= #desk do
        local waiter = desk[place]
        local task = waiter.task
        local is_gone = task and was_stolen(task)
        -- The next has the place of one that is gone.
        place = is_gone and place or place + 1
        if not is_gone and waiter:check() then
            if not task then
                waiter.done = true
            elseif desk.reader or now or later then
                ask_for_turn(task)
            else
                now = waiter
            end
        end
    end
    local reader = desk.reader
    if reader then
        if not reader.task then
            reader.stirred = true
        elseif later then
            ask_for_turn(reader.task)
        elseif is_due(reader) then
            now = reader
        end
    end
    if now then
        return admit(now)
    end
    return false
end

-- Whether the waiter is where it will be found.
local function stands(waiter)
    local list = waiter.sock and desks[waiter.sock] or waiter.joins and waiter.joins.joiners or {}
    local found = list.reader == waiter
    for place = 1, #list do
        found = found or list[place] == waiter
    end
    return found or not (waiter.sock or waiter.joins)
end

-- For want of memory the task may have been left where nobody would wake it.
local function look_at(task)
    if task.asked or was_stolen(task) or task.done or status(task.thread) ~= "suspended" then
        return
    end
    local waiter = task.waiter
    if waiter and task.armed and not core.timer.active(task.alarm) then
        native.count(1)
        task.armed = false
        waiter.late = true
    end
    if waiter and not (waiter.done or waiter.late or waiter.joins and waiter.joins.done) then
        if stands(waiter) and (task.armed or not waiter.timeout) then
            return
        end
        -- It waits anew.
        task.waiter = false
    end
    ask_for_turn(task)
end

-- For want of memory some were not woken: all look again.
local function look_again()
    local all = {}
    for task in pairs(alive) do
        all[#all + 1] = task
    end
    for _, task in ipairs(all) do
        look_at(task)
    end
    local watched = {}
    for sock in pairs(desks) do
        watched[#watched + 1] = sock
    end
    for _, sock in ipairs(watched) do
        wake(sock, true)
    end
    -- Some may have asked in vain; one turn too many does nothing.
    for _ = first_turn, last_turn do
        native.turn()
    end
end

-- Gives the task that asked first its turn. `missed`: for want of memory some were not woken.
local function give_turn(missed)
    if missed then
        look_again()
    end
    if first_turn > last_turn then
        -- A connection ended without an event.
        local ended = {}
        for sock in pairs(desks) do
            if native.state(sock) == "closed" then
                ended[#ended + 1] = sock
            end
        end
        for _, sock in ipairs(ended) do
            wake(sock, true)
        end
        return false
    end
    local task = turns[first_turn]
    turns[first_turn] = nil
    first_turn = first_turn + 1
    task.asked = false
    if task.unheard then
        local problem = task.unheard
        task.unheard = nil
        return true, task, problem
    elseif task.done then
        return false
    end
    local waiter = task.waiter
    if not waiter then
        return go_on(task)
    elseif not was_stolen(task) and (waiter.done or waiter:check() or waiter.late) then
        return admit(waiter)
    end
    return false
end

native.tasks[1] = wake
native.tasks[2] = give_turn

-- Pumps until the waiter is done or late.
local function pump_for(waiter, timeout)
    local deadline = timeout and evsock.now() + timeout
    while true do
        local left = deadline and deadline - evsock.now() or LONG
        local handled, message, code = native.pump(left > 0 and left or 0)
        -- Not before: an error would take along what it had taken.
        if waiter.done or waiter.stirred and waiter:check() then
            return
        elseif not handled then
            waiter.a, waiter.b, waiter.c, waiter.done = nil, message, code, true
            return
        elseif deadline and evsock.now() >= deadline then
            waiter.late = true
            waiter:check()
            return
        end
    end
end

-- Suspends the running task until its waiter is done. A stranger who resumes the thread does not
-- end the wait.
local function suspend(waiter)
    repeat
        yield(WAITS, waiter)
    until waiter.done or not waiter.task and waiter:check()
end

-- From 5.4 on the script may close the thread meanwhile, and this with it, there and then: who
-- still has a waiter has not come to the end of the wait.
if close_thread then
    local guard = setmetatable({}, {
        __close = function()
            local task = tasks[running()]
            if task and task.waiter then
                call_off(task)
                finish(task)
            end
        end,
    })
    suspend = load([[
        local yield, sign, guard = ...
        return function(waiter)
            local guard <close> = guard
            repeat
                yield(sign, waiter)
            until waiter.done or not waiter.task and waiter:check()
        end
    ]], "@evsock/tasks.lua")(yield, WAITS, guard)
end

-- Waits as long as it takes; the answer is in the waiter then.
local function wait_for(waiter, timeout)
    local task = current()
    if task and task.called_off then
        yield(WAITS)
    end
    -- What is set once something was taken has its place already: that needs no memory then.
    waiter.a, waiter.answered, waiter.done, waiter.late, waiter.stirred =
        false, false, false, false, false
    if waiter:check() then
        return answer_of(waiter)
    end
    if task then
        waiter.timeout = timeout
        -- It takes its place once the yield has worked: inside of a callback of C it raises.
        suspend(waiter)
    else
        native.descend(waiter.call or "a waiting call")
        stand_in_line(waiter)
        local ok, problem = pcall(pump_for, waiter, timeout)
        leave_line(waiter)
        if not ok then
            -- The message has its place and traceback already.
            error(problem, 0)
        end
    end
    if waiter.late and not waiter.answered then
        waiter:expire()
    end
    return answer_of(waiter)
end

-- Sockets -----------------------------------------------------------------------------------------

local function described(sock, call)
    local host, port = native.target(sock)
    if not host then
        local info = native.info(sock) or {}
        host, port = info.peer_address, info.peer_port
    end
    return call .. core.where(host, port)
end

local function give(waiter, a, b, c, d)
    if b ~= nil or c ~= nil then
        waiter.b, waiter.c, waiter.d = b, c, d
    end
    waiter.a, waiter.answered = a, true
    return true
end

local function expire(waiter)
    local sock = waiter.sock
    give(waiter, nil, described(sock, waiter.call) .. ": timed out", "ETIMEDOUT",
        waiter.what and (native.peek(sock) or ""))
end

-- Whether the connection is history that is waited on.
local function has_ended(waiter)
    local ends, farewells = native.ends(waiter.sock)
    if not waiter.ends then
        waiter.ends = ends + farewells
    end
    return ends > waiter.ends
end

-- Whether nothing more comes on the connection that is waited on.
local function is_over(waiter)
    if has_ended(waiter) then
        return true
    end
    local state = native.state(waiter.sock)
    return state == "idle" or state == "closed" or state == "closing"
end

local function fail(waiter, partial)
    local message, code = native.failure(waiter.sock)
    if not message then
        local why = native.state(waiter.sock) == "idle" and ": not connected" or ": closed"
        message, code = described(waiter.sock, waiter.call) .. why, "ECLOSED"
    end
    return give(waiter, nil, message, code, partial)
end

local function take_all(waiter)
    local sock = waiter.sock
    local ended = is_over(waiter) or native.peer_ended(sock)
    if not (ended or waiter.seated) then
        -- Nothing is taken before it is sure that there will be a wait.
        return false
    end
    while native.buffered(sock) > 0 do
        waiter.parts = waiter.parts or {}
        local place = #waiter.parts + 1
        -- First the place: for want of memory nothing that was read may be lost.
        waiter.parts[place] = ""
        waiter.parts[place] = native.read(sock)
    end
    if not ended then
        return false
    end
    local parts = waiter.parts
    if parts and not native.failure(sock) then
        local data = table.concat(parts)
        waiter.parts = nil
        return give(waiter, data)
    elseif parts then
        native.unread(sock, table.concat(parts))
        waiter.parts = nil
    end
    return fail(waiter, native.peek(sock) or "")
end

local function receives(waiter)
    if waiter.answered then
        return true
    end
    local sock = waiter.sock
    local take = waiter.take
    if not take then
        return take_all(waiter)
    end
    local data = take(sock, waiter.what, waiter.keep)
    if data then
        return give(waiter, data)
    elseif is_over(waiter) or native.peer_ended(sock) then
        return fail(waiter, native.peek(sock) or "")
    end
    return false
end

local patterns = {
    a = false,
    l = function(sock)
        return native.read_line(sock)
    end,
    r = function(sock)
        return native.read(sock)
    end,
}

local function bad_pattern(what)
    bad("argument", "what", "receive",
        'byte count, "*l", "*a", "*r" or { until_ = text }', what)
end

-- The function that takes what is asked for (nil: everything to the end), its argument, and
-- whether the delimiter is kept.
local function parse(what)
    local kind = type(what)
    if kind == "number" then
        local count = whole(what, 0, 2 ^ 53) or bad_pattern(what)
        return native.read_exact, count
    elseif kind == "string" then
        local name = what:match("^%*?([alr])$") or bad_pattern(what)
        return patterns[name] or nil, name
    elseif kind ~= "table" or type(what.until_) ~= "string" or what.until_ == "" then
        bad_pattern(what)
    end
    return native.read_until, what.until_, what.keep and true or false
end

local function expect(sock, call)
    if native.kind(sock) ~= "socket" then
        native.misuse(sock, "socket", call)
    end
end

local function is_taken(sock, call)
    local desk = desks[sock]
    if desk and desk.reader then
        return described(sock, call) .. ": somebody else waits for data of this socket", "EBUSY"
    end
end

function core.socket.receive(sock, what, timeout)
    expect(sock, "receive")
    local take, argument, keeps = parse(what)
    timeout = seconds_or_nil(timeout, "receive")
    local message, code = is_taken(sock, "receive")
    if message then
        return nil, message, code, native.peek(sock) or ""
    end
    native.admit(sock)
    return wait_for({
        sock = sock, call = "receive", reads = true, check = receives, expire = expire,
        take = take, hoards = not take, what = argument, keep = keeps,
    }, timeout)
end

-- What went out stays out, what is queued stays queued.
local function expire_sending(waiter)
    local text, handed = ": timed out", nil
    if waiter.mark then
        local sent, pending, adds_up = native.sent(waiter.sock)
        -- What is encrypted is longer: as much as waits at the most is not there yet.
        local left = adds_up and waiter.mark - sent or pending
        handed = math.max(0, #waiter.data - math.max(0, left))
    else
        text = text .. " before there was room, nothing is queued"
    end
    give(waiter, nil, described(waiter.sock, "send") .. text, "ETIMEDOUT", handed)
end

-- Whether somebody who came earlier waits for room, too.
local function is_behind(waiter)
    for _, other in ipairs(desks[waiter.sock] or {}) do
        if other == waiter then
            return false
        elseif other.data and not (other.mark or other.answered) then
            return true
        end
    end
    return false
end

local function sends(waiter)
    if waiter.answered then
        return true
    end
    local sock = waiter.sock
    if has_ended(waiter) then
        return fail(waiter)
    end
    local sent, pending, adds_up, lost, why, its_code = native.sent(sock)
    if not waiter.mark then
        local state = native.state(sock)
        local is_lost = state == "idle" or state == "closed" or state == "closing"
        -- The connection may still be to come. Once the time is up nothing is begun any more.
        if waiter.late or state == "waiting" or not is_lost and is_behind(waiter) then
            return false
        end
        local ok, message, code = native.write(sock, waiter.data)
        if ok then
            -- What was there before goes first.
            waiter.mark = sent + pending + #waiter.data
            sent, pending, adds_up, lost, why, its_code = native.sent(sock)
        elseif code == "EAGAIN" then
            return false
        else
            why, its_code = native.failure(sock)
            return give(waiter, nil, why or message, its_code or code)
        end
    end
    if adds_up and sent >= waiter.mark or not (adds_up or lost) and pending == 0 then
        return give(waiter, true)
    elseif why then
        -- Whoever waits here may be the only one that reads: nothing else would ever come.
        return give(waiter, nil, why, its_code)
    end
    return native.state(sock) == "closed" and fail(waiter)
end

function core.socket.send(sock, data, timeout)
    expect(sock, "send")
    if type(data) ~= "string" and type(data) ~= "number" then
        bad("argument", "data", "send", "string", data)
    end
    timeout = seconds_or_nil(timeout, "send")
    return wait_for({
        sock = sock, call = "send", check = sends, expire = expire_sending, data = tostring(data),
    }, timeout)
end

local function passes(waiter)
    if waiter.answered then
        return true
    end
    local sock = waiter.sock
    local event = waiter.event
    if event == "close" then
        local state = native.state(sock)
        if has_ended(waiter) or state == "closed" or state == "idle" then
            return give(waiter, true)
        end
        return false
    elseif event == "connect" then
        if native.state(sock) == "open" then
            return give(waiter, true)
        end
    elseif event == "data" then
        if native.buffered(sock) > 0 then
            return give(waiter, true)
        elseif native.peer_ended(sock) then
            return fail(waiter)
        end
    else
        -- What waits can go out while it closes, too.
        local sent, pending, _, lost, why, its_code = native.sent(sock)
        local state = native.state(sock)
        local least = core.socket.get(sock, "drain_at")
        if has_ended(waiter) or state == "closed" or state == "idle" then
            return fail(waiter)
        elseif state ~= "waiting" then
            -- A connection that breaks drops what waits: that is no draining.
            waiter.mark = waiter.mark or sent + math.max(0, pending - least)
            if pending <= least and sent >= waiter.mark and not lost then
                return give(waiter, true)
            end
            return why and give(waiter, nil, why, its_code)
        end
        return false
    end
    return is_over(waiter) and fail(waiter)
end

local waits = { close = true, connect = true, data = true, drain = true }

function core.socket.wait(sock, event, timeout)
    expect(sock, "wait")
    if type(event) ~= "string" or not waits[event] then
        bad("argument", "event", "wait", '"connect", "data", "drain" or "close"', event)
    end
    timeout = seconds_or_nil(timeout, "wait")
    local reads = event == "data"
    if reads then
        local message, code = is_taken(sock, "wait")
        if message then
            return nil, message, code
        end
        native.admit(sock)
    end
    return wait_for({
        sock = sock, call = "wait", reads = reads, check = passes, expire = expire, event = event,
    }, timeout)
end

for _, name in ipairs { "receive", "send", "wait" } do
    core.methods[name] = core.socket[name]
end

-- The module --------------------------------------------------------------------------------------

function evsock.spawn(fn, ...)
    checks.function_of(fn, "fn", "spawn")
    -- 5.1 makes threads of Lua functions only.
    local ok, thread = pcall(create, fn)
    if not ok then
        thread = create(function(...)
            return fn(...)
        end)
    end
    local task = setmetatable({
        done = false, thread = thread, arguments = { ... }, count = select("#", ...),
        waiter = false, asked = false, armed = false, depth = false,
    }, metatable)
    tasks[thread] = task
    alive[task] = true
    native.count(1)
    ask_for_turn(task)
    return task
end

local function slept()
    return false
end

local function wake_up(waiter)
    give(waiter, true)
end

function evsock.sleep(seconds)
    checks.seconds_of(seconds, "sleep")
    return wait_for({ call = "sleep", check = slept, expire = wake_up }, seconds)
end

-- Whether there was something to call off.
function Task.cancel(task)
    task_of(task, "cancel")
    if task.done then
        return false
    end
    local thread = task.thread
    if status(thread) == "running" or status(thread) == "normal" then
        -- It ends with its next wait.
        task.called_off = true
        return true
    end
    call_off(task)
    local closed, problem = true, nil
    -- Why a dead one died was told to who made it run.
    if close_thread and status(thread) ~= "dead" then
        closed, problem = close_thread(thread)
    end
    if not finish(task) and not closed then
        task.unheard = problem
        ask_for_turn(task)
    end
    return true
end
metatable.__close = Task.cancel

local function joined(waiter)
    local task = waiter.joins
    if not task.done then
        return false
    elseif task.was_canceled then
        return give(waiter, nil, "join: the task was canceled", "ECANCELED")
    elseif not task.ok then
        return give(waiter, nil, task.problem, "ETASK")
    end
    return give(waiter, true)
end

local function not_joined(waiter)
    give(waiter, nil, "join: timed out", "ETIMEDOUT")
end

local function with_values(task, ok, ...)
    if ok then
        return true, unpack(task.values, 1, task.count)
    end
    return ok, ...
end

function Task.join(task, timeout)
    task_of(task, "join")
    timeout = seconds_or_nil(timeout, "join")
    -- Inside of handlers that its own pump has called, or of a coroutine of its own, too: it can't
    -- end before they do.
    local caller = current()
    local can_end = caller or task.done or was_stolen(task) or status(task.thread) == "suspended"
    if caller == task or not can_end then
        raise("a task can't join itself")
    end
    task.joiners = not task.done and (task.joiners or {}) or nil
    local waiter = { call = "join", joins = task, check = joined, expire = not_joined }
    wait_for(waiter, timeout)
    if not waiter.answered then
        joined(waiter)
    end
    return with_values(task, answer_of(waiter))
end

core.Task = Task
