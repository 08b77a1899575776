-- What the measured runs inside foreign loops share: echoes through evsock, then a quiet time with
-- the connections open, then the end; the lateness of the host's timer meanwhile; the report.
-- Not here: the hosts. Invariant: nothing here pumps or waits.

local work = { clients = 1, echoes = 1000, idle = 0.3, period = 0.005 }

local evsock = require "evsock"

local began, ended, last, cpu
local answers, ticks, latest = 0, 0, 0

--- The host calls this from its timer of `period`, started anew at each call.
function work.tick()
    local now = evsock.now()
    if last and not ended then
        ticks = ticks + 1
        latest = math.max(latest, now - last - work.period)
    end
    last = now
end

local function quiet_time(close)
    ended = evsock.now()
    -- A timer that stopped coming altogether is late as well.
    latest = math.max(latest, ended - last - work.period)
    local before = os.clock()
    evsock.after(work.idle, function()
        cpu = os.clock() - before
        close()
    end)
end

local function open(port, rounds, on_answer)
    local round = 0
    local client = evsock.connect("127.0.0.1", port)
    local function ask()
        round = round + 1
        client:write(("%063d\n"):format(round))
    end
    client.on_connect = ask
    client.on_data = function()
        local line = client:read_line()
        if line then
            assert(tonumber(line) == round, "not the answer to the question")
            answers = answers + 1
            on_answer()
            if round < rounds then
                ask()
            end
        end
    end
    client.on_close = function(_, message)
        assert(message == nil, message)
    end
    return client
end

--- Starts it all. `done` is called when everything is closed.
function work.start(done)
    evsock.on_error = function(message)
        io.stdout:write("FAILED ", message, "\n")
        os.exit(1)
    end
    began = evsock.now()
    last = began
    local clients, left = {}, work.clients * 2
    local function one_ended()
        left = left - 1
        if left == 0 and done then
            done()
        end
    end
    local server = assert(evsock.listen("127.0.0.1", 0, {
        on_data = function(sock) sock:write(sock:read()) end,
        on_close = one_ended,
    }))
    local function on_answer()
        if answers == work.echoes then
            quiet_time(function()
                for _, client in ipairs(clients) do
                    client:close()
                end
                server:close()
            end)
        end
    end
    for i = 1, work.clients do
        clients[i] = open(server.port, work.echoes / work.clients, on_answer)
        local check = clients[i].on_close
        clients[i].on_close = function(...)
            check(...)
            one_ended()
        end
    end
end

--- True while the host's timer is wanted.
function work.is_running()
    return not cpu
end

--- For the end of the host's loop.
function work.report()
    assert(evsock.active() == 0, "something is still active")
    io.stdout:write(("%d echoes in %.3f s, %d ticks, the latest %.1f ms late; %.0f ms of CPU in"
        .. " %.0f ms of quiet\n"):format(answers, ended - began, ticks, latest * 1000, cpu * 1000,
        work.idle * 1000))
    io.stdout:flush()
end

return work
