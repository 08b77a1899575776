-- copas: coroutines over LuaSocket and its select. The version of Debian has no TLS, and select
-- knows no more than 1,024 descriptors.

local socket = require "socket"
local copas = require "copas"

local contestant = { version = (copas._VERSION:gsub("^C", "c")), now = socket.gettime }

-- What a select can hold, less what the interpreter has open.
local MOST = 1000

local function connect(job)
    local sock = socket.tcp()
    local ok, message = copas.connect(sock, job.host, job.port)
    assert(ok or message == "already connected", message)
    sock:setoption("tcp-nodelay", true)
    return copas.wrap(sock)
end

-- An error in a task ends the process: copas itself would print it and go on.
local function guard(task)
    return function(...)
        local ok, message = pcall(task, ...)
        if not ok then
            io.stderr:write("bench: copas: ", tostring(message), "\n")
            os.exit(1)
        end
    end
end

-- The loop of this version never ends.
local function run(job, task)
    copas.addthread(guard(function()
        task()
        job.finish()
    end))
    copas.loop()
end

function contestant.dialogue(job)
    if job.connections >= MOST then
        return job.skip()
    end
    for _ = 1, job.connections do
        local text, answer = job.dialogue()
        copas.addthread(guard(function()
            local sock = connect(job)
            while text do
                assert(sock:send(text))
                text = answer(assert(sock:receive(job.message)))
            end
            job.finish()
        end))
    end
    copas.loop()
end

function contestant.download(job)
    run(job, function()
        local sock = connect(job)
        while not job.take(assert(sock:receive(job.piece))) do end
    end)
end

function contestant.upload(job)
    run(job, function()
        local sock = connect(job)
        job.start()
        for _ = 1, job.bytes / #job.body do
            assert(sock:send(job.body))
        end
        assert(sock:receive(1) == "k")
        job.stop(job.bytes / 1e6)
    end)
end

function contestant.lines(job)
    run(job, function()
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
    end)
end

-- What socket.http asks for and this version's `wrap` lacks.
local socket_of_http = { __index = {
    connect = function(self, host, port)
        local ok, message = copas.connect(self.sock, host, port)
        return (ok or message == "already connected") and 1, message
    end,
    send = function(self, ...) return copas.send(self.sock, ...) end,
    receive = function(self, ...) return copas.receive(self.sock, ...) end,
    close = function(self) return self.sock:close() end,
    settimeout = function() return 1 end,
} }

function contestant.requests(job)
    local http, ltn12 = require "socket.http", require "ltn12"
    local function create()
        return setmetatable({ sock = socket.tcp() }, socket_of_http)
    end
    local function request(address)
        local pieces = {}
        assert(http.request { url = address, create = create, sink = ltn12.sink.table(pieces) })
        return table.concat(pieces)
    end
    local is_over = false
    job.requests(request, function(task, done)
        local left = job.connections
        for _ = 1, job.connections do
            copas.addthread(guard(function()
                task()
                left = left - 1
                if left == 0 then
                    is_over = done()
                end
            end))
        end
    end)
    repeat
        copas.step()
    until is_over
end

local function listen(job, on_accept)
    local server = assert(socket.bind(job.host, 0, 1024))
    local _, port = server:getsockname()
    copas.addserver(server, guard(on_accept))
    job.listening(port)
    copas.loop()
end

function contestant.echo_server(job)
    local ended = 0
    listen(job, function(sock)
        sock:setoption("tcp-nodelay", true)
        job.start_once()
        local text = copas.receive(sock, job.message)
        while text do
            assert(copas.send(sock, text))
            text = copas.receive(sock, job.message)
        end
        ended = ended + 1
        if ended == job.connections then
            job.stop(job.count)
            job.finish()
        end
    end)
end

function contestant.accept(job)
    local n = 0
    listen(job, function(sock)
        job.start_once()
        sock:close()
        n = n + 1
        if n == job.count then
            job.stop(n)
            job.finish()
        end
    end)
end

return contestant
