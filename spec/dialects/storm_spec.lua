-- Objects of all dialects and native ones in one interpreter, used at random: their handlers raise,
-- pump, attend, close, drop and collect; finalisers call methods; the state is closed amid it. What
-- must hold whatever happens: nothing crashes, nothing hangs, no fault of the library is reported.
-- Not here: what the calls do (the other specs). The same seeds make about the same storms.

local helper = require "spec.helper"

local STORM = [[
local evsock = require "evsock"
evsock.on_unhandled = false
local qsys, renoise = require "evsock.qsys", require("evsock.renoise").Socket
local hs, net = require("evsock.hammerspoon").socket, require("evsock.pharos").net
local seed, steps = %d, %d
local when_collected = require("spec.child").when_collected
local deadline = evsock.now() + 5
local objects, ports, depth = {}, {}, 0
local act

-- Loops over pairs that are compiled inside of finalisers never end in some LuaJITs.
if jit then
    jit.off()
end

local function dice(most)
    seed = seed * 16807 %% 2147483647
    return seed %% most + 1
end

local function check(ok, problem, message, code)
    local fault = not ok and tostring(problem) or code == "EINTERNAL" and tostring(message)
    if fault and fault:find("internal", 1, true) then
        print(fault)
        os.exit(3)
    end
end

local function try(fn, ...)
    check(pcall(fn, ...))
end

local function deeper(fn, ...)
    if depth < 4 then
        depth = depth + 1
        try(fn, ...)
        depth = depth - 1
    end
end

local function keep(object)
    objects[dice(30)] = object
end

local function handler(object)
    local chance = dice(12)
    if chance == 1 then
        error("an error of a handler")
    elseif chance == 2 then
        collectgarbage()
    elseif chance == 3 then
        deeper(evsock.pump, 0)
    elseif chance == 4 and type(object) == "userdata" then
        deeper(evsock.attend, object, 0.001)
    elseif chance < 10 then
        deeper(act)
    end
end

local function dress(object, names)
    for name in names:gmatch("%%S+") do
        if dice(3) > 1 then
            object[name] = handler
        end
    end
    return object
end

local function port()
    return ports[dice(#ports)]
end

local native = "on_data on_end on_close on_mark on_drain"
local pharos = "connected_handler ready_read_handler disconnected_handler error_handler "
    .. "state_changed_handler bytes_written_handler"
local makers = {
    function()
        local server = evsock.listen("127.0.0.1", 0, dress({ half_open = dice(2) == 1 }, native))
        server.on_accept = function(_, sock)
            keep(sock)
            handler(sock)
        end
        ports[#ports + 1] = server.port
        keep(server)
    end,
    function()
        local sock = evsock.connect("127.0.0.1", port(), { half_open = dice(2) == 1 })
        keep(dress(sock, native .. " on_connect"))
    end,
    function()
        local socket = qsys.TcpSocket.New()
        socket.EventHandler = handler
        socket:Connect("127.0.0.1", port())
        keep(socket)
    end,
    function()
        local server = renoise.create_server("127.0.0.1", 0)
        ports[#ports + 1] = server.local_port
        server:run { socket_message = handler, socket_accepted = handler }
        keep(server)
    end,
    function()
        keep(renoise.create_client("127.0.0.1", port(), nil, 5))
    end,
    function()
        local server = hs.server(0, handler)
        ports[#ports + 1] = server:info().localPort
        keep(server)
    end,
    function()
        keep(hs.new(handler):connect("127.0.0.1", port(), handler))
    end,
    function()
        local server = net.TcpServer.new()
        server:listen(0)
        ports[#ports + 1] = server.port
        server.new_connection_handler = function(self)
            keep(dress(self:next_pending_connection(), pharos))
        end
        keep(server)
    end,
    function()
        local socket = dress(net.TcpSocket.new(), pharos)
        socket:connect("127.0.0.1", port())
        keep(socket)
    end,
    function()
        keep(evsock.every(0.002, handler))
        keep(evsock.after(0.001, handler))
    end,
    function()
        local to = port()
        evsock.spawn(function()
            local sock = evsock.connect("127.0.0.1", to)
            sock:send("a line\n", 0.01)
            sock:receive("*l", 0.005)
            handler(sock)
            sock:close()
        end)
    end,
}
local calls = {
    { "read" }, { "read", 3 }, { "read_line", "each" }, { "peek", 2 }, { "look" }, { "mark" },
    { "write", "x\ny\n" }, { "write", ("z"):rep(100000) }, { "flush", 0.001 }, { "shutdown" },
    { "close" }, { "abort" }, { "accept" }, { "pause" }, { "resume" }, { "cancel" }, { "info" },
    { "Write", "x\n" }, { "Read", 2 }, { "Disconnect" }, { "send", "x\n", 0.001 }, { "stop" },
    { "receive", "*line", 1 }, { "receive", "*l", 0.001 }, { "wait", 1 }, { "run", {} },
    { "read", "\n" }, { "setTimeout", 0.01 }, { "disconnect" }, { "write_string", "x\n" },
    { "read_line_string" }, { "next_pending_connection" }, { "bind", 0 }, { "startTLS", false },
}

local function use(object)
    local call = calls[dice(#calls)]
    local ok, method = pcall(function()
        return object[call[1] ]
    end)
    if ok and method then
        try(method, object, call[2], call[3])
    end
end

local function finalise_later(object)
    when_collected(function()
        try(use, object)
        if dice(4) == 1 then
            deeper(evsock.pump, 0)
        end
    end)
end

function act()
    local chance = dice(100)
    if evsock.now() > deadline then
        return
    elseif chance <= 30 then
        try(makers[dice(#makers)])
    elseif chance <= 80 then
        use(objects[dice(30)])
    elseif chance <= 88 then
        objects[dice(30)] = nil
    elseif chance <= 90 then
        collectgarbage()
    elseif chance <= 94 then
        finalise_later(objects[dice(30)])
    elseif chance <= 97 then
        try(coroutine.wrap(function()
            use(objects[dice(30)])
            deeper(evsock.pump, 0)
            coroutine.yield()
        end))
    else
        deeper(evsock.attend, objects[dice(30)], 0.001)
    end
end

makers[1]()
for _ = 1, steps do
    act()
    try(evsock.pump, 0.0002)
end
print "over"
os.exit(0, true)
]]

describe("a storm of all dialects", function()
    after_each(helper.finish)

    for _, seed in ipairs { 20, 41, 58, 77, 93 } do
        it("is survived: seed " .. seed, function()
            local steps = math.max(50, math.floor(600 / helper.fewer))
            local output, status = helper.run(STORM:format(seed, steps))
            assert.are.equal("over\n", output)
            assert.are.equal(0, status)
        end)
    end
end)
