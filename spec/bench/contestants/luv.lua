-- luv: the bindings of libuv. No TLS.

local uv = require "luv"

local contestant = { version = "luv " .. uv.version_string() }

function contestant.now()
    return uv.hrtime() / 1e9
end

local function must(failed, result)
    assert(not failed, failed)
    return result
end

local function connect(job, on_connect)
    local sock = uv.new_tcp()
    sock:nodelay(true)
    sock:connect(job.host, job.port, function(failed)
        must(failed)
        on_connect(sock)
    end)
end

function contestant.dialogue(job)
    for _ = 1, job.connections do
        local first, answer = job.dialogue()
        connect(job, function(sock)
            local held = ""
            sock:read_start(function(failed, text)
                must(failed)
                if #held > 0 or #text < job.message then
                    held = held .. text
                    if #held < job.message then
                        return
                    end
                    text, held = held, ""
                end
                text = answer(text)
                if text then
                    sock:write(text)
                else
                    sock:close()
                end
            end)
            sock:write(first)
        end)
    end
    uv.run()
end

function contestant.download(job)
    connect(job, function(sock)
        sock:read_start(function(failed, piece)
            if job.take(must(failed, piece)) then
                sock:close()
            end
        end)
    end)
    uv.run()
end

function contestant.upload(job)
    local written, outstanding = 0, 0
    connect(job, function(sock)
        local function fill(failed)
            must(failed)
            outstanding = outstanding - 1
            while written < job.bytes and outstanding < 16 do
                written = written + #job.body
                outstanding = outstanding + 1
                sock:write(job.body, fill)
            end
        end
        sock:read_start(function(failed, text)
            assert(must(failed, text) == "k")
            job.stop(job.bytes / 1e6)
            sock:close()
        end)
        job.start()
        outstanding = 1
        fill()
    end)
    uv.run()
end

function contestant.lines(job)
    local n, whole, size, held = 0, 1, job.line_size, ""
    connect(job, function(sock)
        sock:read_start(function(failed, piece)
            must(failed)
            local text, from = held .. piece, 1
            while true do
                local stop = text:find("\r\n", from, true)
                if not stop then
                    break
                end
                local line = text:sub(from, stop - 1)
                from = stop + 2
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
            held = text:sub(from)
        end)
    end)
    uv.run()
end

local function listen(job, on_accept)
    local server = uv.new_tcp()
    server:bind(job.host, 0)
    server:listen(1024, function(failed)
        must(failed)
        local sock = uv.new_tcp()
        server:accept(sock)
        on_accept(sock, server)
    end)
    job.listening(server:getsockname().port)
    uv.run()
end

function contestant.echo_server(job)
    local ended = 0
    listen(job, function(sock, server)
        sock:nodelay(true)
        job.start_once()
        sock:read_start(function(failed, text)
            must(failed)
            if text then
                sock:write(text)
                return
            end
            sock:close()
            ended = ended + 1
            if ended == job.connections then
                job.stop(job.count)
                server:close()
            end
        end)
    end)
end

function contestant.accept(job)
    local n = 0
    listen(job, function(sock, server)
        job.start_once()
        sock:close()
        n = n + 1
        if n == job.count then
            job.stop(n)
            server:close()
        end
    end)
end

function contestant.idle(job)
    local open = 0
    local function on_data(failed, text)
        job.wrong("idle", must(failed, text))
    end
    job.before_idle()
    local function next_one()
        connect(job, function(sock)
            sock:read_start(on_data)
            open = open + 1
            if open < job.connections then
                next_one()
            else
                job.after_idle()
                uv.walk(function(handle)
                    handle:close()
                end)
            end
        end)
    end
    next_one()
    uv.run()
end

return contestant
