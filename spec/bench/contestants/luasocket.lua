-- LuaSocket with blocking calls, TLS by LuaSec. It has no loop: many connections at once are what
-- copas is for, and a copy of it would be measured here.

local socket = require "socket"
local has_ssl, ssl = pcall(require, "ssl")

local contestant = { version = socket._VERSION, now = socket.gettime }

if has_ssl then
    function contestant.client_tls(job)
        return assert(ssl.newcontext {
            mode = "client", protocol = "tlsv1_3", cafile = job.ca, verify = "peer",
            ciphersuites = "TLS_AES_128_GCM_SHA256",
        })
    end
end

local function connect(job, tls)
    local sock = assert(socket.connect(job.host, job.port))
    assert(sock:setoption("tcp-nodelay", true))
    if tls then
        sock = assert(ssl.wrap(sock, tls))
        assert(sock:dohandshake())
    end
    return sock
end

function contestant.dialogue(job, tls)
    if job.connections > 1 then
        return job.skip()
    end
    local text, answer = job.dialogue()
    local sock = connect(job, tls)
    while text do
        assert(sock:send(text))
        text = answer(assert(sock:receive(job.message)))
    end
    sock:close()
end

--- One after the other.
function contestant.requests(job)
    job.requests(require("socket.http").request, function(task, done)
        for _ = 1, job.connections do
            task()
        end
        return done()
    end)
end

function contestant.download(job, tls)
    local sock = connect(job, tls)
    while not job.take(assert(sock:receive(job.piece))) do end
    sock:close()
end

function contestant.handshake(job, tls)
    job.start()
    for _ = 1, job.count do
        local sock = connect(job, tls)
        assert(sock:receive(1) == "k")
        sock:close()
    end
    job.stop(job.count)
end

function contestant.upload(job)
    local sock = connect(job)
    job.start()
    for _ = 1, job.bytes / #job.body do
        assert(sock:send(job.body))
    end
    assert(sock:receive(1) == "k")
    job.stop(job.bytes / 1e6)
    sock:close()
end

function contestant.lines(job)
    local sock = connect(job)
    local n, whole, size = 0, 1, job.line_size
    while whole do
        local line = assert(sock:receive("*l"))
        n = n + 1
        if n == whole then
            whole = job.line(n, line)
        elseif #line ~= size then
            job.wrong("line", line)
        end
    end
    sock:close()
end

function contestant.accept(job)
    local server = assert(socket.bind(job.host, 0, 1024))
    local _, port = server:getsockname()
    job.listening(port)
    for _ = 1, job.count do
        local sock = assert(server:accept())
        job.start_once()
        sock:close()
    end
    job.stop(job.count)
    server:close()
end

return contestant
