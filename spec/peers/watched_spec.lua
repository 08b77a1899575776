-- The examples that watch descriptors of others, as their heads say: a keyboard, a serial port,
-- libpq with a real PostgreSQL.

local helper = require "spec.helper"
local daemon = require "spec.peers.daemon"
local example = require "spec.peers.example"

local pump_until = helper.pump_until

describe("the example", function()
    after_each(helper.finish)

    -- Pumps until the text is in what the program has said.
    local function wait_said(said, text)
        pump_until(function() return said():find(text, 1, true) end, 10, text .. " in: " .. said())
    end

    it("examples/stdin.lua serves the keyboard and the socket, whichever has something", function()
        local lines, peer = {}, nil
        local record = helper.server({
            on_accept = function(_, sock) peer = sock end,
            on_data = function(sock)
                for line in sock:lines() do
                    lines[#lines + 1] = line
                end
            end,
        })
        local command = example.command("examples/stdin.lua",
            { HOST = "127.0.0.1", PORT = record.port })
        local pipe, said = example.begin(command)
        pipe:write("hello\nhalf a")
        helper.wait_count(lines, 1)
        peer:write("welcome\n")
        wait_said(said, "> welcome\n")
        assert.same({ "hello" }, lines)
        pipe:write(" line\n")
        helper.wait_count(lines, 2)
        assert.equal("half a line", lines[2])
        pipe:close()
        helper.wait_state(peer, "closed")
        assert.equal("> welcome\nclosed\n", said())
    end)

    it("examples/serial_port.lua asks the device for all that connect, one at a time", function()
        local port = helper.free_port()
        -- `script` has it run at a terminal: what goes through the pipe is what the device says.
        local command = example.command("examples/serial_port.lua",
            { PORT = port, DEVICE = "DEVICE" }):gsub("'DEVICE'", '"$(tty)"')
        local errors = helper.track(os.tmpname(), os.remove)
        local prepare = "exec 2>" .. errors .. "; stty raw -echo; echo $$ >&2; exec "
        local pipe, device = example.begin(("script -qec %s /dev/null"):format(
            example.quoted(prepare .. command)))
        pump_until(function()
            return helper.read_file(errors):find("listening on port " .. port, 1, true)
        end, 10, "the server")
        local answers, clients = {}, {}
        for number = 1, 3 do
            clients[number] = helper.spawn(function()
                local sock = helper.connect(port)
                assert(sock:send("LEVEL " .. number .. "?\n"))
                answers[number] = assert(sock:receive("*l", 10))
                sock:close()
            end)
        end
        local asked = 0
        for _ = 1, 3 do
            pump_until(function() return select(2, device():gsub("\r\n", "")) > asked end)
            helper.pump_for(0.05)
            asked = asked + 1
            -- The next question waits for this answer.
            assert.equal(asked, select(2, device():gsub("\r\n", "")))
            local number = device():match("LEVEL (%d)%?\r\n$")
            pipe:write("it is ", number)
            pipe:write("0\r\n")
        end
        helper.finished((table.unpack or unpack)(clients))
        assert.same({ "it is 10", "it is 20", "it is 30" }, answers)
        os.execute("kill " .. helper.read_file(errors):match("^%d+"))
        pipe:close()
    end)
end)

-- By LuaJIT's ffi, for Debian has no binding for Lua that tells libpq's descriptor.
if helper.is_luajit then
    describe("the example examples/libpq.lua", function()
        local postgres = daemon.for_block(setup, teardown, daemon.postgres)
        after_each(helper.finish)

        for _, way in ipairs(daemon.ways) do
            it("asks ten queries at once over " .. way, function()
                local host = way == "TCP" and "127.0.0.1" or postgres.directory
                local conninfo = ("host=%s port=%d user=evsock dbname=postgres"):format(
                    host, postgres.port)
                local pipe, output = example.begin(
                    example.command("examples/libpq.lua", { CONNINFO = conninfo }))
                pipe:close()
                local said = output()
                local values = {}
                for value in said:gmatch("(%d+)\n") do
                    values[#values + 1] = tonumber(value)
                end
                table.sort(values)
                assert.same({ 1, 4, 9, 16, 25, 36, 49, 64, 81, 100 }, values)
                local took = tonumber(said:match("each took (%S+) s\n$") or error(said))
                assert.is_true(took >= 0.5 and took < 3 * helper.slow, said)
            end)
        end
    end)
end
