-- Bulk receive over TLS: evsock beside LuaSec and cqueues, where these are installed. Each round
-- every client takes the same body from the same `openssl s_server`, one after the other. That
-- server may be the slowest of all: the CPU time of this process tells what its own part costs.
--
--   LUA_CPATH="build/5.4/?.so;;" lua5.4 spec/bench/tls.lua

local helper = require "spec.helper"
local kit = require "spec.peers.tls_kit"
local evsock = helper.evsock

local SIZE, ROUNDS, PIECE = 256 * 1024 * 1024, 5, 65536
local REQUEST = "GET /body HTTP/1.0\r\n\r\n"

local certificates = kit.certificates()
-- A hole is read as zeros and needs no room.
os.execute(("truncate -s %d %s/body"):format(SIZE, certificates.directory))
local server = kit.openssl(certificates, "ecdsa", {
    "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", "-WWW",
}, certificates.directory)
local ca = certificates:path("ca.pem")

-- Each returns how many bytes came.
local clients = {}

function clients.evsock()
    local count, failed = 0, nil
    evsock.connect("127.0.0.1", server.port, {
        tls = { cafile = ca },
        on_connect = function(sock)
            sock:write(REQUEST)
        end,
        on_data = function(sock)
            count = count + #sock:read()
        end,
        on_close = function(_, message)
            failed = message
        end,
    })
    evsock.run()
    return count, failed
end

local has_socket, socket = pcall(require, "socket")
local has_ssl, ssl = pcall(require, "ssl")
if has_socket and has_ssl then
    function clients.luasec()
        local sock = assert(socket.connect("127.0.0.1", server.port))
        sock = assert(ssl.wrap(sock, {
            mode = "client", protocol = "tlsv1_3", cafile = ca, verify = "peer",
        }))
        assert(sock:dohandshake())
        assert(sock:send(REQUEST))
        local count, why = 0, nil
        while not why do
            local text, rest
            text, why, rest = sock:receive(PIECE)
            count = count + #(text or rest)
        end
        sock:close()
        return count
    end
end

local has_cqueues, cqueues = pcall(require, "cqueues.socket")
if has_cqueues then
    function clients.cqueues()
        local sock = assert(cqueues.connect("127.0.0.1", server.port))
        sock:setmode("b", "b")
        assert(sock:starttls())
        assert(sock:write(REQUEST))
        sock:flush()
        local count = 0
        while true do
            local text = sock:read(-PIECE)
            if not text then
                break
            end
            count = count + #text
        end
        sock:close()
        return count
    end
end

local names = { "evsock", "luasec", "cqueues" }
local speeds, costs = {}, {}
for _, name in ipairs(names) do
    speeds[name], costs[name] = {}, {}
end
-- The first round warms up.
for round = 0, ROUNDS do
    for _, name in ipairs(names) do
        local client = clients[name]
        if client then
            local began, clock = evsock.now(), os.clock()
            local count, failed = client()
            local took, cpu = evsock.now() - began, os.clock() - clock
            assert(count > SIZE, name .. " got " .. count .. " bytes: " .. tostring(failed))
            if round > 0 then
                table.insert(speeds[name], count / took / 1e6)
                table.insert(costs[name], cpu / count * 1e12)
            end
        end
    end
end
server:stop()
certificates:remove()

local function median(list)
    table.sort(list)
    return list[math.floor(#list / 2) + 1]
end

local speed, cost = median(speeds.evsock), median(costs.evsock)
print(("tls_receive_mb_per_s %.0f"):format(speed))
print(("tls_receive_cpu_us_per_mb %.0f"):format(cost))
for _, name in ipairs { "luasec", "cqueues" } do
    if clients[name] then
        local other_speed, other_cost = median(speeds[name]), median(costs[name])
        print(("tls_receive_%s_mb_per_s %.0f"):format(name, other_speed))
        print(("tls_receive_%s_cpu_us_per_mb %.0f"):format(name, other_cost))
        print(("tls_receive_ratio_to_%s %.2f"):format(name, speed / other_speed))
        print(("tls_receive_cpu_ratio_to_%s %.2f"):format(name, cost / other_cost))
    end
end
