-- evsock: handlers, as a user would write them.

local evsock = require "evsock"

local contestant = { version = evsock._VERSION, now = evsock.now }

local function fail(_, message)
    assert(not message, message)
end

function contestant.dialogue(job, tls)
    for _ = 1, job.connections do
        local first, answer = job.dialogue()
        evsock.connect(job.host, job.port, {
            tls = tls,
            on_connect = function(sock)
                sock:write(first)
            end,
            on_data = function(sock)
                local text = sock:read_exact(job.message)
                if text then
                    local next_text = answer(text)
                    if next_text then
                        sock:write(next_text)
                    else
                        sock:close()
                    end
                end
            end,
            on_close = fail,
        })
    end
    evsock.run()
end

function contestant.download(job, tls)
    evsock.connect(job.host, job.port, {
        tls = tls,
        on_data = function(sock)
            local piece = sock:read()
            while piece do
                if job.take(piece) then
                    return sock:close()
                end
                piece = sock:read()
            end
        end,
        on_close = fail,
    })
    evsock.run()
end

function contestant.client_tls(job)
    return evsock.tls { cafile = job.ca }
end

function contestant.upload(job)
    local written = 0
    local function fill(sock)
        while written < job.bytes and sock:write(job.body) do
            written = written + #job.body
        end
    end
    evsock.connect(job.host, job.port, {
        write_limit = 1024 * 1024,
        drain_at = 256 * 1024,
        on_connect = function(sock)
            job.start()
            fill(sock)
        end,
        on_drain = fill,
        on_data = function(sock)
            assert(sock:read() == "k")
            job.stop(job.bytes / 1e6)
            sock:close()
        end,
        on_close = fail,
    })
    evsock.run()
end

function contestant.lines(job)
    local n, whole, size = 0, 1, job.line_size
    evsock.connect(job.host, job.port, {
        on_data = function(sock)
            for line in sock:lines() do
                n = n + 1
                if n == whole then
                    whole = job.line(n, line)
                    if not whole then
                        return sock:close()
                    end
                elseif #line ~= size then
                    job.wrong("line", line)
                end
            end
        end,
        on_close = fail,
    })
    evsock.run()
end

function contestant.echo_server(job)
    local ended = 0
    local server
    server = assert(evsock.listen(job.host, 0, {
        on_accept = job.start_once,
        on_data = function(sock)
            sock:write(sock:read())
        end,
        on_close = function()
            ended = ended + 1
            if ended == job.connections then
                server:close()
                job.stop(job.count)
            end
        end,
    }))
    job.listening(server.port)
    evsock.run()
end

function contestant.accept(job)
    local n = 0
    local server
    server = assert(evsock.listen(job.host, 0, {
        on_accept = function(_, sock)
            job.start_once()
            -- As the close of the others the peer sees an end, not a reset as after abort().
            sock:close()
            n = n + 1
            if n == job.count then
                server:close()
            end
        end,
    }))
    job.listening(server.port)
    evsock.run()
    -- Not before the last of them is closed.
    job.stop(n)
end

--- Not a workload: opens `job.connections` and returns them, open; for `growth.lua`, too.
function contestant.open_all(job)
    local sockets, open = {}, 0
    local options = {
        on_connect = function()
            open = open + 1
        end,
        on_data = function(sock)
            job.wrong("idle", sock:read())
        end,
        on_close = fail,
    }
    for i = 1, job.connections do
        sockets[i] = evsock.connect(job.host, job.port, options)
        evsock.pump(0)
    end
    while open < job.connections do
        evsock.pump(1)
    end
    return sockets
end

function contestant.idle(job)
    job.before_idle()
    local sockets = contestant.open_all(job)
    job.after_idle()
    for _, sock in ipairs(sockets) do
        sock:abort()
    end
end

function contestant.handshake(job, tls)
    local n = 0
    local options
    local function connect()
        evsock.connect(job.host, job.port, options)
    end
    options = {
        tls = tls,
        on_data = function(sock)
            assert(sock:read() == "k")
            sock:close()
            n = n + 1
            if n == job.count then
                job.stop(n)
            else
                connect()
            end
        end,
        on_close = fail,
    }
    job.start()
    connect()
    evsock.run()
end

return contestant
