-- What handshakes cost that begin and never go on.
--
-- Not here: peers that do not even begin (`figures_spec.lua`), and what ends such handshakes
-- (`tls_spec.lua`, `tls_hostile_spec.lua`).

local helper = require "spec.helper"
local kit = require "spec.tls_kit"

local MANY = 5000

-- Two servers, since one never has more than 4,096 handshakes under way; a hello of each version;
-- peers in another process that say it and no more; an honest client all the while, from before the
-- first comes until a while after all are there.
local SIEGE = [[
    local evsock = require "evsock"
    local function resident()
        collectgarbage() collectgarbage()
        local file = assert(io.open("/proc/self/status"))
        local kib = file:read("*a"):match("VmRSS:%s*(%d+)")
        file:close()
        return tonumber(kib)
    end
    local function hello_of(settings, path)
        local hello
        local server = assert(evsock.listen("127.0.0.1", 0, {
            on_data = function(sock) hello = sock:read() end, on_close = function() end }))
        local client = evsock.connect("127.0.0.1", server.port, {
            tls = settings, on_close = function() end })
        while not hello do evsock.pump(1) end
        client:abort()
        server:close()
        local file = assert(io.open(path, "wb"))
        file:write(hello)
        file:close()
    end
    local function listen()
        return assert(evsock.listen("127.0.0.1", 0, {
            tls = { certfile = CERT, keyfile = KEY }, connect_timeout = 60,
            on_data = function(sock) sock:write(sock:read()) end,
            on_error = function(_, message) print("error: " .. message) end }))
    end
    local servers = { listen(), listen() }
    local tls = evsock.tls { cafile = CA, server_name = "localhost" }
    local function ask(server)
        local began, answer = evsock.now(), nil
        local client = evsock.connect("127.0.0.1", server.port, {
            tls = tls, on_data = function(sock) answer = sock:read() end })
        client:write("hello")
        while not answer and evsock.now() < began + 5 do evsock.pump(1) end
        client:close()
        return evsock.now() - began
    end
    for _ = 1, 50 do ask(servers[1]) ask(servers[2]) end
    hello_of({ verify = false, server_name = "localhost", min_version = "1.3" }, HELLOS .. "/new")
    -- A hello of a client that offers 1.2 alone: the same without its list of versions, whose kind
    -- becomes one that nobody knows.
    do
        local file = assert(io.open(HELLOS .. "/new", "rb"))
        local new = file:read("*a")
        file:close()
        hello_of({ verify = false, server_name = "localhost" }, HELLOS .. "/old")
        file = assert(io.open(HELLOS .. "/old", "rb"))
        local both = file:read("*a")
        file:close()
        assert(#both >= #new)
        file = assert(io.open(HELLOS .. "/old", "wb"))
        local at = assert(both:find("\0\43\0\5\4\3\4\3\3", 1, true)
            or both:find("\0\43\0\5\4\3\3\3\4", 1, true))
        file:write(both:sub(1, at - 1) .. "\119\43" .. both:sub(at + 2))
        file:close()
    end
    local before = resident()
    local peers = io.popen(("exec %s %d %d %s/new %d %s/old"):format(
        PEERS, MANY, servers[1].port, HELLOS, servers[2].port, HELLOS))
    local function under_way()
        return servers[1]:info().in_handshake + servers[2]:info().in_handshake
    end
    local worst, count = 0, 0
    local function honest(seconds, is_over)
        local last = evsock.now() + seconds
        while evsock.now() < last and not is_over() do
            for _, server in ipairs(servers) do
                worst, count = math.max(worst, ask(server)), count + 1
            end
            local pause = evsock.now() + 0.02
            while evsock.now() < pause do evsock.pump(pause - evsock.now()) end
        end
    end
    honest(30, function() return under_way() >= MANY end)
    honest(1.5, function() return false end)
    print(("%d under way, %.2f KiB each; %.1f ms at worst in %d handshakes"):format(
        under_way(), (resident() - before) / MANY, worst * 1000, count))
    os.exit(0) -- the peers end when nobody listens
]]

describe("#figures TLS", function()
    local certificates = kit.certificates_for(setup, teardown)

    it("5,000 handshakes that never go on take 16 KiB each and delay no client", function()
        local peers = ("%s -e 'package.cpath = [==[%s]==]' spec/programs/halfway.lua"):format(
            helper.lua, package.cpath)
        local names = "local CERT, KEY, CA, HELLOS, PEERS, MANY = %q, %q, %q, %q, %q, %d\n"
        local paths = names:format(certificates:path("ecdsa.pem"), certificates:path("ecdsa.key"),
            certificates:path("ca.pem"), certificates.directory, peers, MANY)
        -- What others do on the machine can only make it longer: the best of three.
        local best = math.huge
        for _ = 1, 3 do
            local said = helper.run(paths .. SIEGE, nil, "ulimit -n $(ulimit -Hn)")
            io.stderr:write("   figure: TLS, ", said)
            local count, kib, worst = said:match("^(%d+) under way, ([%d.]+) KiB each; ([%d.]+) ms")
            assert.equal(MANY, tonumber(count), said)
            assert.is_true(tonumber(kib) <= 16, said)
            best = math.min(best, tonumber(worst))
            if best < 50 then break end
        end
        assert.is_true(best < 50 * helper.slow, best)
    end)
end)
