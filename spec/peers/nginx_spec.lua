-- A real nginx as the peer: many requests over one connection, and a large body.

local helper = require "spec.helper"
local daemon = require "spec.peers.daemon"
local example = require "spec.peers.example"

local MIB = 1024 * 1024
local SIZE = 100 * MIB
-- What the thread reads at once lies above read_limit, and what it has read meanwhile.
local BEYOND = 2 * 64 * 1024

local function request(path)
    return "GET " .. path .. " HTTP/1.1\r\nHost: localhost\r\n\r\n"
end

-- The status and the length of the body that follows.
local function receive_head(sock)
    local head = assert(sock:receive({ until_ = "\r\n\r\n" }, 5 * helper.slow))
    return tonumber(head:match("^HTTP/1%.1 (%d+)")), tonumber(head:match("Content%-Length: (%d+)"))
end

local function receive_answer(sock)
    local status, length = receive_head(sock)
    assert.equal(200, status)
    return assert(sock:receive(length, 5 * helper.slow))
end

local function digest(path)
    local pipe = assert(io.popen("sha256sum <" .. path))
    local sum = pipe:read("*l")
    pipe:close()
    return sum
end

describe("nginx", function()
    local nginx, sum = daemon.for_block(setup, teardown, daemon.nginx), nil

    setup(function()
        local path = nginx.files .. "/big"
        os.execute(("head -c %d /dev/urandom >%s"):format(SIZE, path))
        sum = digest(path)
    end)

    after_each(helper.finish)

    for _, way in ipairs(daemon.ways) do
        describe("over " .. way .. ":", function()
            it("answers 1,000 requests one by one over one connection", function()
                local sock = nginx:connect(way)
                sock.on_connect = helper.expect(1)
                for i = 1, 1000 do
                    sock:write(request("/nth"))
                    assert.equal(i .. "\n", receive_answer(sock))
                end
                assert.equal("open", sock.state)
                assert.equal(0, sock.buffered)
            end)

            it("answers 1,000 requests of one write in order", function()
                local requests = {}
                for i = 1, 1000 do
                    requests[i] = request("/echo/" .. i)
                end
                local sock = nginx:connect(way)
                sock.on_connect = helper.expect(1)
                sock:write(table.concat(requests))
                for i = 1, 1000 do
                    assert.equal("/echo/" .. i, receive_answer(sock))
                end
                assert.equal(0, sock.buffered)
            end)

            it("ends a connection orderly after the last of its answers", function()
                local sock = nginx:connect(way)
                sock.on_close = helper.expect(function(_, message, code)
                    assert.is_nil(message)
                    assert.is_nil(code)
                end, 1)
                sock:write(request("/echo/first"), request("/last"))
                assert.equal("/echo/first", receive_answer(sock))
                assert.equal("last", receive_answer(sock))
                assert.is_true(sock:wait("close", 5))
            end)

            it("sends 100 MB that a handler counts and sums up piece by piece", function()
                local limit = 256 * 1024
                local sock = nginx:connect(way, { read_limit = limit })
                sock:write(request("/big"))
                local status, length = receive_head(sock)
                assert.same({ 200, SIZE }, { status, length })
                local sink = os.tmpname()
                local summer = assert(io.popen("sha256sum >" .. sink, "w"))
                local count, most = 0, 0
                local function take()
                    most = math.max(most, sock.buffered)
                    local piece = sock:read(65536)
                    while piece do
                        count = count + #piece
                        summer:write(piece)
                        piece = sock:read(65536)
                    end
                end
                sock.on_data = take
                take()
                helper.pump_until(function() return count >= SIZE end, 20 * helper.slow)
                summer:close()
                local result = assert(io.open(sink))
                local found = result:read("*l")
                result:close()
                os.remove(sink)
                assert.equal(SIZE, count)
                assert.equal(sum, found)
                assert.is_true(most <= limit + BEYOND, most .. " bytes waited")
            end)

            it("waits with the rest of 100 MB while nobody reads", function()
                local limit = 256 * 1024
                local sock = nginx:connect(way, { read_limit = limit })
                sock:write(request("/big"))
                helper.pump_until(function() return sock.buffered >= limit end)
                helper.pump_for(0.1)
                assert.is_true(sock.buffered <= limit + BEYOND, sock.buffered .. " bytes waited")
            end)

            it("the example prints what it promises, and in little memory", function()
                local host, port = nginx:address(way)
                local said, status, peak = example.run("examples/nginx_get.lua",
                    { PATH = "/big", COUNT = "1", HOST = host, PORT = port or "" })
                assert.equal("HTTP/1.1 200 OK, the last of 1\n"
                    .. "bytes: " .. SIZE .. "\n" .. sum .. "\n", said)
                assert.equal(0, status)
                assert.is_true(peak < 32 * 1024, peak .. " KiB")
            end)
        end)
    end

    it("the example asks 100 times over one connection", function()
        local numbers = {}
        for i = 1, 100 do
            numbers[i] = i .. "\n"
        end
        local path = os.tmpname()
        local file = assert(io.open(path, "wb"))
        file:write(table.concat(numbers))
        file:close()
        local wanted = digest(path)
        os.remove(path)
        local host, port = nginx:address("TCP")
        local said, status = example.run("examples/nginx_get.lua",
            { PATH = "/nth", COUNT = "100", HOST = host, PORT = port })
        assert.equal("HTTP/1.1 200 OK, the last of 100\n"
            .. "bytes: " .. #table.concat(numbers) .. "\n" .. wanted .. "\n", said)
        assert.equal(0, status)
    end)
end)
