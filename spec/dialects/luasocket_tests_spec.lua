-- LuaSocket's own tests, of Debian's source package (`.ci/luasocket_tests`): they run as they
-- are, but addresses outside of this machine are replaced by its own, and fixed ports by free
-- ones.

local helper = require "spec.helper"
local peers = require "spec.peers.openssl"
local program = require "spec.peers.program"
local protocols = require "spec.peers.protocols"
local programs = require "spec.dialects.luasocket_programs"
local evsock = helper.evsock

local TESTS = "target/luasocket/test"

-- A copy of the tests that `finish` removes; `changes`: for a file's name pairs of what is replaced
-- (plain text, which must be there) and by what.
local function copy_tests(changes)
    local directory = program.capture("mktemp -d /tmp/evsock-luasocket-XXXXXX")
    assert(directory:find("^/tmp/"), "no directory for LuaSocket's tests")
    helper.track(directory, function()
        os.execute("rm -rf " .. directory)
    end)
    local said = program.capture(("cp -r %s/. %s 2>&1"):format(TESTS, directory))
    assert(said == "", "LuaSocket's own tests are missing (.ci/prepare test gets them): " .. said)
    for name, list in pairs(changes or {}) do
        local path = directory .. "/" .. name
        local text = program.read_file(path)
        for was, is in pairs(list) do
            local pattern = was:gsub("%p", "%%%0")
            local count
            text, count = text:gsub(pattern, (tostring(is):gsub("%%", "%%%%")))
            assert(count > 0, name .. " lacks " .. was)
        end
        program.write_file(path, text)
    end
    return directory
end

-- Starts a test; what `begin` of the peers returns.
local function begin(kind, directory, name, ...)
    return peers.begin(programs.words(kind, "own_test", directory, name, ...), nil, 200)
end

-- Runs a test, which must end well, and returns what it prints.
local function run(kind, directory, name, ...)
    local out, said, status = begin(kind, directory, name, ...)()
    if status ~= 0 then
        error(("%s ended with %s\n%s\n%s"):format(name, tostring(status), out, said), 2)
    end
    return out, said
end

-- The end of what a test prints.
local function ends_with(text, wanted)
    assert.equal(wanted, text:sub(-#wanted))
end

-- Waits until somebody listens; the server takes this visitor for a client without commands.
local function wait_for_server(port)
    helper.pump_until(function()
        local sock = evsock.connect("localhost", port)
        local is_there = sock:wait("connect", 1)
        sock:close()
        return is_there
    end, 10, "a server of LuaSocket's tests")
end

-- Who is tested with whom: the dialect with itself, and either side with LuaSocket itself.
local function pairs_of_kinds()
    if not programs.has_tasks then
        return { { "debian", "debian" } }
    end
    return { { "task", "plain" }, { "plain", "debian" }, { "debian", "task" } }
end

-- It waits for most of a minute, so not on each Lua.
local IS_LONG_ONE_RUN = { ["lua5.1"] = true, ["lua5.4"] = true, luajit = true }

describe("LuaSocket's own tests:", function()
    after_each(helper.finish)

    local long = IS_LONG_ONE_RUN[helper.lua_name] and it or function() end
    long("client and server come to their end together, each on either library", function()
        -- An address that answers nobody, and a name that nobody can have.
        local directory = copy_tests { ["testclnt.lua"] = {
            ['"10.0.0.1", 81'] = ('"127.0.0.1", %d'):format(helper.silent_port()),
            ["host.is.invalid"] = "host..invalid",
        } }
        local clients, servers = {}, {}
        for i, kinds in ipairs(pairs_of_kinds()) do
            local port = helper.free_port()
            servers[i] = begin(kinds[2], directory, "testsrvr.lua", "localhost", port)
            wait_for_server(port)
            clients[i] = begin(kinds[1], directory, "testclnt.lua", "localhost", port)
        end
        for i, kinds in ipairs(pairs_of_kinds()) do
            local what = ("client %s, server %s:\n"):format(kinds[1], kinds[2])
            local _, said, status = clients[i]()
            local is_done = status == 0 and said:find("\ntesting: done in [%d.]+s\n")
            assert.is_truthy(is_done, what .. said)
            assert.is_nil(said:find("ERROR", 1, true), what .. said)
            local out, problem, server_status = servers[i]()
            assert.equal(0, server_status, what .. problem .. out)
        end
    end)

    for _, kind in ipairs(programs.kinds) do
        describe(kind[2] .. ":", function()
            it("exceptions", function()
                ends_with(run(kind[1], copy_tests(), "excepttest.lua"), "OK\n")
            end)

            it("any address and any port are bound", function()
                local directory = copy_tests {
                    ["test_bind.lua"] = { ["5088"] = helper.free_port() } }
                ends_with(run(kind[1], directory, "test_bind.lua"), "done!\n")
            end)

            it("getaddrinfo", function()
                ends_with(run(kind[1], copy_tests(), "test_getaddrinfo.lua"), "done!\n")
            end)

            it("the error of a connection that is refused after a timeout", function()
                local directory = copy_tests {
                    ["test_socket_error.lua"] = { ["5462"] = helper.free_port() } }
                ends_with(run(kind[1], directory, "test_socket_error.lua"),
                    "Passed! Error is 'connection refused'.\n")
            end)

            it("url, ltn12 and mime", function()
                local directory = copy_tests()
                ends_with(run(kind[1], directory, "urltest.lua"), "the library passed all tests\n")
                ends_with(run(kind[1], directory, "ltn12test.lua"),
                    "testing filter.chain (and source.chain, a bunch): ok\n")
                local said = run(kind[1], directory, "mimetest.lua")
                assert.is_truthy(said:find("\ndone in [%d.]+s\n$"), said)
                ends_with(run(kind[1], directory, "stufftest.lua"), "ok\n")
            end)

            it("datagrams without bytes", function()
                for name, wanted in pairs {
                    ["udp-zero-length-send"] = '^OK\tsend:%(""%)\t0',
                    ["udp-zero-length-send-recv"] = "^ok\n$",
                } do
                    local directory = copy_tests { [name] = { ["5432"] = helper.free_port() } }
                    assert.is_truthy(run(kind[1], directory, name):find(wanted))
                end
            end)

            it("a datagram socket hears one peer, then all again", function()
                local one, other = helper.free_port(), helper.free_port()
                local directory = copy_tests {
                    ["udpconnectsrvr.lua"] = { ["5061"] = one, ["12345"] = helper.free_port() },
                    ["udpconnectclnt.lua"] = { ["5061"] = one, ["5062"] = other },
                }
                local wait, output = begin(kind[1], directory, "udpconnectsrvr.lua")
                -- Its port, as it says for the nth time.
                local function port_told(n)
                    return helper.pump_until(function()
                        local ports = {}
                        for port in output():gmatch("getsockname\t[%d.]+\t(%d+)") do
                            ports[#ports + 1] = port
                        end
                        return ports[n]
                    end, 10, "a datagram socket of LuaSocket's tests")
                end
                run(kind[1], directory, "udpconnectclnt.lua", port_told(1))
                -- The port of a socket that hears all again may be another: LuaSocket's is.
                local last = helper.track(evsock.udp("127.0.0.1", 0))
                last:send_to("the last word", "127.0.0.1", port_told(3))
                local out, said, status = wait()
                assert.equal(0, status, said .. out)
                local heard = {}
                for line in out:gmatch("[^\n]+") do
                    heard[#heard + 1] = line:match("^this is a test from s[ce]$")
                        or line:match("^setpeername\t1")
                end
                assert.same({ "setpeername\t1", "this is a test from sc", "setpeername\t1" },
                    { heard[1], heard[2], heard[3] })
            end)

            it("mail in parts", function()
                local peer = protocols.smtp()
                local directory = copy_tests {
                    ["testmesg.lua"] = { ["port = 2525"] = "port = " .. peer.port } }
                run(kind[1], directory, "testmesg.lua")
                assert.equal(2, #peer.mails)
                assert.is_truthy(peer.mails[2].text:find("This might also show up", 1, true))
            end)

            it("ftp", function()
                local index = program.read_file(TESTS .. "/index.html")
                local peer = protocols.ftp({
                    ["pub/index.html"] = index, ["index.html"] = index, ["#?"] = index,
                    ["index.up.html"] = "old",
                }, { luasocket = "password" })
                local said = run(kind[1], copy_tests(), "ftptest.lua", "localhost:" .. peer.port)
                assert.is_truthy(said:find("\npassed all tests\n"), said)
            end)
        end)
    end
end)
