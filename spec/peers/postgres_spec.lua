-- A real PostgreSQL as the peer: its protocol is binary frames with a length in front.

local helper = require "spec.helper"
local daemon = require "spec.peers.daemon"
local example = require "spec.peers.example"

local MIB = 1024 * 1024

-- Numbers have four bytes, the highest first.
local function pack(n)
    local bytes = {}
    for i = 4, 1, -1 do
        bytes[i] = n % 256
        n = math.floor(n / 256)
    end
    return string.char(bytes[1], bytes[2], bytes[3], bytes[4])
end

local function unpack_at(text, at)
    local a, b, c, d = text:byte(at, at + 3)
    return ((a * 256 + b) * 256 + c) * 256 + d
end

local SSL_REQUEST = pack(8) .. pack(80877103)

local function startup(user, database)
    local content = pack(196608) .. "user\0" .. user .. "\0database\0" .. database .. "\0\0"
    return pack(#content + 4) .. content
end

local function query(text)
    return "Q" .. pack(#text + 5) .. text .. "\0"
end

-- Collects the frames of a socket as { type, content }.
local function collect(sock)
    local frames = {}
    sock.on_data = helper.expect(function()
        local head = sock:peek(5)
        while head and #head == 5 do
            local frame = sock:read_exact(1 + unpack_at(head, 2))
            if not frame then
                return
            end
            frames[#frames + 1] = { frame:sub(1, 1), frame:sub(6) }
            head = sock:peek(5)
        end
    end)
    return frames
end

local function kinds(frames)
    local all = {}
    for i, frame in ipairs(frames) do
        all[i] = frame[1]
    end
    return table.concat(all)
end

-- A frame that holds one column of one row, without its count and length.
local function column(frame)
    assert.equal("D", frame[1])
    assert.equal(#frame[2] - 6, unpack_at(frame[2], 3))
    return frame[2]:sub(7)
end

describe("PostgreSQL", function()
    local postgres = daemon.for_block(setup, teardown, daemon.postgres)
    after_each(helper.finish)

    -- A connection that is ready for queries, and the frames that came since then.
    local function ready(way, options)
        local sock = postgres:connect(way, options)
        sock:write(startup("evsock", "postgres"))
        local frames = collect(sock)
        helper.pump_until(function() return kinds(frames):find("Z") end)
        local first = kinds(frames)
        for i = #frames, 1, -1 do
            frames[i] = nil
        end
        return sock, frames, first
    end

    for _, way in ipairs(daemon.ways) do
        describe("over " .. way .. ":", function()
            it("answers an SSLRequest by one byte, then begins in frames", function()
                local sock = postgres:connect(way)
                sock:write(SSL_REQUEST)
                assert.equal("N", sock:receive(1, 5))
                assert.equal(0, sock.buffered)
                local frames = collect(sock)
                sock:write(startup("evsock", "postgres"))
                helper.pump_until(function() return kinds(frames):find("Z") end)
                assert.is_truthy(kinds(frames):find("^RS+KZ$"))
                assert.equal(pack(0), frames[1][2])
                local parameters = {}
                for _, frame in ipairs(frames) do
                    if frame[1] == "S" then
                        local name, value = frame[2]:match("^(%C+)%c(%C*)%c$")
                        parameters[name] = value
                    end
                end
                assert.equal("UTF8", parameters.server_encoding)
                assert.is_truthy(parameters.server_version:find("^%d+"))
                assert.equal("I", frames[#frames][2])
                local process = unpack_at(frames[#frames - 1][2], 1)
                sock:write(query("SELECT pg_backend_pid()"))
                local before = #frames
                helper.pump_until(function() return kinds(frames):find("Z", before + 1) end)
                assert.equal("TDCZ", kinds(frames):sub(before + 1))
                assert.equal(tostring(process), column(frames[before + 2]))
            end)

            it("sends a row of 4 MB in one frame beyond read_limit", function()
                local sock, frames = ready(way, { read_limit = 65536 })
                sock:write(query("SELECT repeat('evsock/\n', 524288)"))
                helper.pump_until(function() return kinds(frames):find("Z") end)
                assert.equal("TDCZ", kinds(frames))
                assert.is_true(column(frames[2]) == ("evsock/\n"):rep(4 * MIB / 8))
            end)

            it("sends 5,000 rows, a frame each, in order", function()
                local sock, frames = ready(way)
                sock:write(query("SELECT generate_series(1, 5000)"))
                helper.pump_until(function()
                    return frames[1] and frames[#frames][1] == "Z"
                end, 5 * helper.slow)
                assert.equal(5000 + 3, #frames)
                local wrong = 0
                for i = 1, 5000 do
                    local text = tostring(i)
                    local content = "\0\1" .. pack(#text) .. text
                    if frames[i + 1][1] ~= "D" or frames[i + 1][2] ~= content then
                        wrong = wrong + 1
                    end
                end
                assert.equal(0, wrong)
                assert.equal("SELECT 5000\0", frames[#frames - 1][2])
            end)

            it("refuses an unknown user by a frame, then by its end of stream", function()
                local sock = postgres:connect(way)
                sock.on_close = helper.expect(function(_, message)
                    assert.is_nil(message)
                end, 1)
                local frames = collect(sock)
                sock:write(startup("nobody", "postgres"))
                helper.pump_until(function() return sock.state == "closed" end)
                assert.is_truthy(kinds(frames):find("^R?E$"))
                assert.is_truthy(frames[#frames][2]:find('role "nobody" does not exist', 1, true))
            end)

            it("tells what another connection notifies", function()
                local listener, heard = ready(way)
                listener:write(query("LISTEN news"))
                helper.pump_until(function() return kinds(heard) == "CZ" end)
                local sender, sent = ready(way)
                sender:write(query("NOTIFY news, 'hello'"))
                helper.pump_until(function()
                    return kinds(sent) == "CZ" and kinds(heard) == "CZA"
                end)
                assert.equal("news\0hello\0", heard[3][2]:sub(5))
            end)

            it("the example prints what it promises", function()
                local host, port = postgres:address(way)
                local said, status = example.run("examples/postgres_startup.lua",
                    { USER = "evsock", HOST = host, PORT = port or "" })
                local lines, parameters = {}, {}
                for line in said:gmatch("[^\n]+") do
                    local list = line:find("^ParameterStatus") and parameters or lines
                    list[#list + 1] = line:gsub("process %d+$", "process N")
                end
                assert.same({
                    "answer to SSLRequest: N",
                    "AuthenticationOk",
                    "BackendKeyData: process N",
                    "ReadyForQuery",
                    "DataRow: 42",
                    "ReadyForQuery",
                }, lines)
                assert.is_truthy(said:find("ParameterStatus: server_encoding = UTF8\n", 1, true))
                assert.is_true(#parameters >= 10)
                assert.equal(0, status)
            end)
        end)
    end
end)
