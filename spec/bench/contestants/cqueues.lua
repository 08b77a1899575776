-- cqueues: coroutines; TLS with contexts of luaossl. The sizes of buffers are those that proved
-- fastest here.

local cqueues = require "cqueues"
local socket = require "cqueues.socket"
local has_context, ssl_context = pcall(require, "openssl.ssl.context")
local has_store, store = pcall(require, "openssl.x509.store")

local contestant = { version = "cqueues " .. cqueues.VERSION, now = cqueues.monotime }

if has_context and has_store then
    function contestant.client_tls(job)
        local context = ssl_context.new("TLSv1_3", false)
        local roots = store.new()
        roots:add(job.ca)
        context:setStore(roots)
        context:setVerify(ssl_context.VERIFY_PEER)
        return context
    end
end

local function connect(job, tls)
    local sock = assert(socket.connect { host = job.host, port = job.port, nodelay = true })
    -- Binary; what is written goes at once.
    sock:setmode("b", "bn")
    if tls then
        assert(sock:starttls(tls))
    end
    return sock
end

-- Runs functions as coroutines until all have ended.
local function run(...)
    local loop = cqueues.new()
    for _, task in ipairs { ... } do
        loop:wrap(task)
    end
    assert(loop:loop())
end

function contestant.dialogue(job, tls)
    local loop = cqueues.new()
    for _ = 1, job.connections do
        local text, answer = job.dialogue()
        loop:wrap(function()
            local sock = connect(job, tls)
            while text do
                assert(sock:write(text))
                text = answer(sock:read(job.message))
            end
            sock:close()
        end)
    end
    assert(loop:loop())
end

function contestant.download(job, tls)
    run(function()
        local sock = connect(job, tls)
        sock:setbufsiz(job.piece, nil)
        while not job.take(sock:read(-job.piece)) do end
        sock:close()
    end)
end

function contestant.handshake(job, tls)
    run(function()
        job.start()
        for _ = 1, job.count do
            local sock = connect(job, tls)
            assert(sock:read(1) == "k")
            sock:close()
        end
        job.stop(job.count)
    end)
end

function contestant.upload(job)
    run(function()
        local sock = connect(job)
        sock:setmode("b", "bf")
        sock:setbufsiz(nil, job.piece)
        sock:setvbuf("full", job.piece)
        job.start()
        for _ = 1, job.bytes / #job.body do
            assert(sock:write(job.body))
        end
        assert(sock:flush())
        assert(sock:read(1) == "k")
        job.stop(job.bytes / 1e6)
        sock:close()
    end)
end

function contestant.lines(job)
    run(function()
        local sock = connect(job)
        -- Text: CR LF becomes LF, as its own lines() does.
        sock:setmode("t", "b")
        sock:setbufsiz(job.piece, nil)
        local n, whole, size = 0, 1, job.line_size
        for line in sock:lines("*l") do
            n = n + 1
            if n == whole then
                whole = job.line(n, line)
                if not whole then
                    break
                end
            elseif #line ~= size then
                job.wrong("line", line)
            end
        end
        sock:close()
    end)
end

local function listen(job, on_accept)
    local server = assert(socket.listen { host = job.host, port = 0, nodelay = true })
    assert(server:listen())
    local _, _, port = server:localname()
    local loop = cqueues.new()
    loop:wrap(function()
        on_accept(server, loop)
    end)
    job.listening(port)
    assert(loop:loop())
end

function contestant.echo_server(job)
    local ended = 0
    local function serve(sock)
        sock:setmode("b", "bn")
        for text in sock:lines(-job.message) do
            assert(sock:write(text))
        end
        sock:close()
        ended = ended + 1
        if ended == job.connections then
            job.stop(job.count)
        end
    end
    listen(job, function(server, loop)
        for _ = 1, job.connections do
            local sock = assert(server:accept { nodelay = true })
            job.start_once()
            loop:wrap(serve, sock)
        end
    end)
end

function contestant.accept(job)
    listen(job, function(server)
        for _ = 1, job.count do
            local sock = assert(server:accept())
            job.start_once()
            sock:close()
        end
        job.stop(job.count)
    end)
end

function contestant.idle(job)
    local loop, open = cqueues.new(), 0
    job.before_idle()
    loop:wrap(function()
        for _ = 1, job.connections do
            local sock = connect(job)
            assert(sock:connect())
            loop:wrap(function()
                open = open + 1
                job.wrong("idle", sock:read(1))
            end)
            cqueues.sleep(0)
        end
    end)
    while open < job.connections do
        assert(loop:step(1))
    end
    job.after_idle()
    job.finish()
end

return contestant
