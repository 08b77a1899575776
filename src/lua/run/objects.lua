-- What a state has open: the list of it, the same as text, and closing all of it. Loaded by the
-- first who asks.
--
-- Not here: what events come for (`objects.rs`). Invariants: an object is listed while events can
-- come for it, a task until it is over; what no script has made (the timers of waits) is not. A
-- finaliser may close anything while the list is made: that is left out.

local native, checks, inner = ...

native.need(native, "objects")

local bad = checks.bad
local all_alive, began_at = inner.tasks.all_alive, inner.tasks.alive
local ready_queue, make_ready = inner.tasks.ready_queue, inner.tasks.make_ready
local status = coroutine.status

local LONGEST_NAME = 200

-- The list ----------------------------------------------------------------------------------------

local function peer_of(host, port)
    return host and native.display(host, port) or nil
end

-- Kind to the function that adds what only that kind has.
local describe = {}

function describe.socket(object, row)
    local info = native.info(object) or {}
    row.state = native.state(object)
    row.host, row.port = native.target(object)
    row.peer = peer_of(info.peer_address, info.peer_port)
    row.buffered, row.pending = native.buffered(object), native.pending(object)
end

function describe.server(object, row)
    local host, port, connections = native.server_info(object)
    row.state, row.host, row.port, row.connections = "listening", host, port, connections
end

function describe.datagram(object, row)
    local host, port, peer_host, peer_port = native.datagram_endpoints(object)
    row.kind, row.state, row.host, row.port = "udp", "bound", host, port
    row.peer = peer_of(peer_host, peer_port)
    row.buffered = native.datagram_ready(object)
end

function describe.timer(_, row, due, period)
    row.state, row.due, row.period = "active", due, period
end

function describe.watch(object, row)
    row.state, row.fd = "watching", native.watch_fd(object)
end

-- "file:line", recorded while tracing.
local function place_of(object)
    local place = rawget(inner, "place_of")
    return place and place(object) or nil
end

local function row_of(object)
    local number, age, keeps_run, is_hidden, due, period = native.object_facts(object)
    if is_hidden or not number then
        return nil
    end
    local kind = native.kind(object)
    local row = {
        kind = kind, number = number, age = age, keeps_run = keeps_run, object = object,
        class = getmetatable(object).__name, where = place_of(object),
    }
    describe[kind](object, row, due, period)
    -- Closed meanwhile, it lacks what else the row would say.
    return native.object_facts(object) and row or nil
end

local function state_of_task(task, thread)
    local now = status(thread)
    if now == "running" or now == "normal" then
        return "running"
    end
    return task.waiter and "waiting" or "ready"
end

local function row_of_task(task, began)
    -- It may end meanwhile, and has no thread then.
    local thread, waiter = task.thread, task.waiter
    if task.done or not thread then
        return nil
    end
    local waits_for = waiter and waiter.sock
    if waits_for and native.kind(waits_for) then
        waits_for = (native.object_facts(waits_for))
    end
    return {
        kind = "task", class = "evsock.Task", object = task, state = state_of_task(task, thread),
        age = math.max(0, native.now() - began), keeps_run = true, where = place_of(task),
        waits_in = waiter and waiter.call or nil, waits_for = waits_for or nil,
    }
end

local function list()
    local rows = {}
    for _, object in ipairs(native.live()) do
        rows[#rows + 1] = row_of(object)
    end
    table.sort(rows, function(a, b)
        return a.number < b.number
    end)
    local tasks = {}
    for _, task in ipairs(all_alive()) do
        tasks[#tasks + 1] = row_of_task(task, began_at[task])
    end
    table.sort(tasks, function(a, b)
        return a.age > b.age
    end)
    for _, row in ipairs(tasks) do
        rows[#rows + 1] = row
    end
    return rows
end

-- The text ----------------------------------------------------------------------------------------

local function seconds(value)
    return ("%.3g s"):format(value)
end

local function shown(host, port)
    local text = native.display(host, port)
    return #text > LONGEST_NAME and text:sub(1, LONGEST_NAME) .. "..." or text
end

local kinds = {}

function kinds.socket(row, add)
    local what = "socket"
    if row.host then
        what = "socket to " .. shown(row.host, row.port)
    elseif row.peer then
        what = "socket from " .. row.peer
    end
    add(row.state .. " for " .. seconds(row.age))
    if row.buffered > 0 then
        add(row.buffered .. " bytes unread")
    end
    if row.pending > 0 then
        add(row.pending .. " bytes unsent")
    end
    return what
end

function kinds.server(row, add)
    add("listening for " .. seconds(row.age))
    add(row.connections .. (row.connections == 1 and " connection" or " connections"))
    return "server on " .. shown(row.host, row.port)
end

function kinds.udp(row, add)
    add("bound for " .. seconds(row.age))
    if row.buffered > 0 then
        add(row.buffered .. " datagrams unread")
    end
    return "udp socket on " .. shown(row.host, row.port)
        .. (row.peer and " connected to " .. row.peer or "")
end

function kinds.timer(row, add)
    add("due in " .. seconds(row.due))
    return "timer" .. (row.period and ", every " .. seconds(row.period) or "")
end

function kinds.watch(row, add)
    add("there for " .. seconds(row.age))
    return "watch of descriptor " .. tostring(row.fd)
end

function kinds.task(row, add)
    local what = row.state
    if row.waits_in then
        what = "waiting in " .. row.waits_in
            .. (row.waits_for and " for #" .. row.waits_for or "")
    end
    add(what .. ", begun " .. seconds(row.age) .. " ago")
    return "task"
end

local function line_of(row)
    local parts = { "" }
    local what = kinds[row.kind](row, function(text)
        parts[#parts + 1] = text
    end)
    parts[1] = (row.number and "#" .. row.number .. " " or "") .. what
    if row.class:sub(1, 7) ~= "evsock." then
        parts[#parts + 1] = row.class
    end
    if row.where then
        parts[#parts + 1] = "made at " .. row.where
    end
    return "  " .. table.concat(parts, ", ")
end

local function counted(count, one, many)
    return count .. " " .. (count == 1 and one or many)
end

local function lines_of_report()
    local keeps, rest = {}, {}
    for _, row in ipairs(list()) do
        local place = row.keeps_run and keeps or rest
        place[#place + 1] = line_of(row)
    end
    local lines = {}
    local callbacks = native.active() - #keeps
    if callbacks > 0 then
        keeps[#keeps + 1] = "  " .. counted(callbacks,
            "callback that the next pump makes", "callbacks that the next pump makes")
    end
    lines[1] = #keeps == 0 and "nothing keeps run going"
        or #keeps == 1 and "this keeps run going:" or "these keep run going:"
    for _, line in ipairs(keeps) do
        lines[#lines + 1] = line
    end
    if #rest > 0 then
        lines[#lines + 1] = "open, but run does not wait for it:"
        for _, line in ipairs(rest) do
            lines[#lines + 1] = line
        end
    end
    return lines
end

-- Each line goes to `sink`: a function of one line, or the path of a file.
local function report(sink)
    local lines = lines_of_report()
    local text = table.concat(lines, "\n") .. "\n"
    if type(sink) == "function" then
        for _, line in ipairs(lines) do
            sink(line)
        end
    elseif type(sink) == "string" then
        local file, message = io.open(sink, "a")
        if not file then
            return nil, "report: " .. message, "EIO"
        end
        local written, why = file:write(text)
        -- What stays in the buffer is written, or not, by this.
        local closed, why_not = file:close()
        if not (written and closed) then
            return nil, "report: " .. sink .. ": " .. (why or why_not), "EIO"
        end
    elseif sink ~= nil then
        bad("argument", "sink", "report", "function, path or nil", sink)
    end
    return text
end

-- Closing -----------------------------------------------------------------------------------------

-- Tasks first, so that none goes on because what it waits for is closed. One that runs, because it
-- or what it has called is here, goes on.
local function cancel_tasks()
    for _, task in ipairs(all_alive()) do
        if not task.done and status(task.thread) == "suspended" then
            task:cancel()
        end
    end
end

-- The queue of tasks that are ready is emptied but for those that are not over.
local function forget_ready_tasks()
    local first, last = ready_queue.first, ready_queue.last
    local left = {}
    for place = first, last do
        local task = ready_queue[place]
        ready_queue[place] = nil
        task.in_ready_queue, task.unhandled_error = false, nil
        if not task.done then
            left[#left + 1] = task
        end
    end
    ready_queue.first, ready_queue.last = 1, 0
    return left
end

local function reset()
    cancel_tasks()
    for _, object in ipairs(native.live()) do
        local _, _, _, is_hidden = native.object_facts(object)
        -- The timers of waits end with these.
        if not is_hidden or native.kind(object) == "question" then
            native.abandon(object)
        end
    end
    local left = forget_ready_tasks()
    native.forget_work()
    for _, task in ipairs(left) do
        make_ready(task)
    end
    -- Who waits outside of tasks finds what it waits for closed.
    native.task_ready()
end

local function server_info(server)
    local info, message, code = native.server_counters(server)
    if not info then
        return nil, message, code
    end
    info.address, info.port = native.server_info(server)
    return info
end

return { objects = list, server_info = server_info, report = report, reset = reset }
