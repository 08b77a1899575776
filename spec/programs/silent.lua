-- Peers that connect and hold their place: `lua silent.lua PORT COUNT SECONDS [trickle]`. They say
-- nothing, or with "trickle" one byte of a handshake's first record a second, and come back when
-- they are ended; the silent ones leave by themselves after two seconds, and come back, too. The
-- first line printed says that all have been connected once. They end when nobody listens any more.

local evsock = require "evsock"

local port, count, seconds = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local trickles = arg[4] == "trickle"
-- The header of a record that promises 512 bytes, and the beginning of a client's greeting.
local words = "\22\3\1\2\0\1\0\1\252\3\3" .. ("x"):rep(100)

local peers, connected = {}, 0

local function begin(number)
    local sock = evsock.connect("127.0.0.1", port)
    sock.on_connect = function()
        sock.ticks = 0
        if not sock.counted then
            sock.counted = true
            connected = connected + 1
            if connected == count then
                print("connected")
                io.stdout:flush()
            end
        end
    end
    sock.on_close = function(_, _, code)
        if code == "ECONNREFUSED" then
            os.exit(0)
        end
        evsock.after(0.02, function()
            sock:connect("127.0.0.1", port)
        end)
    end
    peers[number] = sock
end

-- They set out over a while, as a crowd does.
local starter
starter = evsock.every(0.02, function()
    for _ = 1, math.min(100, count - #peers) do
        begin(#peers + 1)
    end
    if #peers == count then
        starter:cancel()
    end
end)
-- Not all in one go.
local turn = 0
evsock.every(0.05, function()
    turn = turn % 20 + 1
    for number = turn, #peers, 20 do
        local sock = peers[number]
        if sock.state == "open" then
            sock.ticks = sock.ticks + 1
            if trickles then
                sock:write(words:sub(sock.ticks, sock.ticks))
            elseif sock.ticks > 2 then
                sock:abort()
            end
        end
    end
end)
evsock.after(seconds, os.exit, 0)
evsock.run()
