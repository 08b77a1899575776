-- What a Q-SYS plugin and a test may get wrong, and what plugins do not share.

local evsock = require "evsock"
local helper = require "spec.helper"
local host = require "evsock.qsys.host"
local tools = require "spec.dialects.qsys_host_tools"

local load_text = tools.load_text

local function problem_of(fn, ...)
    local ok, problem = pcall(fn, ...)
    assert.is_false(ok)
    return problem
end

describe("loading a plugin", function()
    after_each(tools.finish)

    it("raises with file and line what its run raises, and leaves nothing behind", function()
        assert.matches("^spec/programs/qsys/broken%.qplug:20: ",
            problem_of(host.load, tools.PROGRAMS .. "broken.qplug", { hosts = { device = false } }))
        assert.matches("broken%.qplug:11: no controls", problem_of(host.load,
            tools.PROGRAMS .. "broken.qplug", { properties = { Fails = "Controls" } }))
        tools.wait(function()
            return evsock.active() == 0
        end, "the end of its socket")
    end)

    it("raises what a definition gets wrong, by entry and with the remedy", function()
        assert.matches("GetControls: entry 1 %(Gain%): unknown ControlType 'Nob' "
            .. "%(Button, Indicator, Knob, Text%)", problem_of(host.load,
            tools.PROGRAMS .. "broken.qplug", { properties = { Fails = "Kind" } }))
        for text, wanted in pairs {
            ["function GetControls() return { {} } end"] = "GetControls: entry 1 has no Name",
            ["function GetControls() return 1 end"] = "GetControls returned a number",
            ["function GetProperties() return { { Name = 1 } } end PluginInfo = {}"] =
                "GetProperties: entry 1 has no Name",
            ["function GetControls() return { { Name = 'A', Count = 1e9 } } end"] =
                "entry 1 %(A%): bad Count %(integer from 0 to 10000 expected",
            ["function GetControls() return { { Name = 'A', ControlType = 'Button',"
                .. " ButtonType = 'X' } } end"] =
                "unknown ButtonType 'X' %(Momentary, StateTrigger, Toggle, Trigger%)",
            ["function GetComponents() return { {} } end PluginInfo = {}"] =
                "GetComponents: entry 1 has no Name",
            ["PluginInfo = "] = ":1: unexpected symbol near ",
        } do
            assert.matches(wanted, problem_of(load_text, text))
        end
    end)

    it("raises what the test gets wrong at its line", function()
        local path = tools.PROGRAMS .. "properties.qplug"
        helper.misuse(function() host.load(path, { properties = { Chanels = 1 } }) end,
            "no property 'Chanels' (Channels, Comment, Debug Print, Host, Logs, Protocol, Step)")
        helper.misuse(function() host.load(path, { properties = { Channels = 9 } }) end,
            "bad value for the property 'Channels' (integer from 1 to 8 expected, got 9)")
        helper.misuse(function() host.load(path, { properties = { Channels = 1.5 } }) end,
            "(integer from 1 to 8 expected, got 1.5)")
        helper.misuse(function() host.load(path, { properties = { Protocol = "Smoke" } }) end,
            '(one of Lines, Bytes expected, got string "Smoke")')
        helper.misuse(function() host.load(path, { properties = { Logs = "perhaps" } }) end,
            '(boolean expected, got string "perhaps")')
        helper.misuse(function() host.load(path, { controls = { Gain = { 1, 2, 3 } } }) end,
            "controls: Controls.Gain has the indexes 1 to 2, got 3")
        helper.misuse(function() host.load(path, { controls = { Gain = "loud" } }) end,
            "bad value for the control 'Gain 1'")
        helper.misuse(function() host.load(path, { controls = { Gain = 1 / 0 } }) end,
            "bad value for the control 'Gain 1' (finite number expected, got ")
        helper.misuse(function() host.load(path, { propertys = {} }) end,
            "bad option 'propertys' to 'load' (unknown name; did you mean 'properties'?)")
        helper.misuse(function() host.load(path, { hosts = 1 }) end,
            "bad option 'hosts' to 'load' (table expected, got number)")
        helper.misuse(function() host.load(path, 1) end, "bad argument 'options' to 'load'")
        helper.misuse(function() host.load(1) end, "bad argument 'path' to 'load'")
        helper.misuse(function() host.load("spec/nowhere.qplug") end, "load: spec/nowhere.qplug: ")
    end)

    it("gives controls what the test says, plain scripts as rows, too", function()
        local plugin = load_text("A, B, C = Controls.A.String, Controls.B[2].Value, Controls.C", {
            controls = {
                A = "x", B = { 1, 2 },
                C = { ControlType = "Knob", ControlUnit = "Percent", DefaultValue = 30 },
                { Name = "D", ControlType = "Button", ButtonType = "Toggle" },
            },
        })
        assert.equal("x", plugin.globals.A)
        assert.equal(2, plugin.globals.B)
        assert.equal("30%", plugin.globals.C.String)
        plugin:press("D")
        assert.is_true(plugin.Controls.D.Boolean)
    end)
end)

describe("the script of a plugin", function()
    after_each(tools.finish)

    it("has globals of its own, and what it does to Lua's libraries stays with it", function()
        local plugin = load_text([[
            mine = 1
            math.mine, table.mine = 2, 3
            assert(_G.mine == 1 and _G == (getfenv and getfenv(1) or _G))
            assert(not describe and not spec)
            assert(load("mine = 4; return mine")() == 4 and mine == 4)
            local _, problem = pcall(load "error 'named as in Lua'")
            assert(problem:find('[string "error', 1, true) == 1, problem)
            _, problem = pcall(load, nil)
            assert(problem:find("bad argument 'chunk' to 'load' (string or function", 1, true))
            assert(table.unpack({ 7 }) == 7 and table.pack(1, nil).n == 2)
            assert("\x41\\x42" == "A\\" .. "x42")
        ]])
        assert.equal(4, plugin.globals.mine)
        assert.is_nil(rawget(_G, "mine"))
        assert.is_nil(rawget(math, "mine"))
        assert.is_nil(rawget(table, "mine"))
    end)

    it("requires a Core's modules, files beside it, and what the test gives", function()
        local xml = { eval = true }
        local plugin = load_text([[
            local json = require("rapidjson")
            assert(json == require "rapidjson" and json.null and require("json").decode)
            assert(require("LuaXML").eval and LuaXML.eval)
            assert(require("bit32").band(7, 12) == 4)
            package.preload.own = function(name) return { name = name } end
            assert(require("own").name == "own")
            ok, problem = pcall(require, "bitstring")
        ]], { globals = { LuaXML = xml } })
        assert.matches("require: no module 'bitstring' %(neither .*bitstring%.lua nor installed "
            .. "here%); install it, or pass your own in `globals`", plugin.globals.problem)
    end)

    it("meets what is not offered at its first use, by name", function()
        for _, name in ipairs { "Ssh", "WebSocket", "Email", "SNMPSession", "Ping", "Uci" } do
            local plugin = load_text(name .. "_is_there = " .. name .. " ~= nil\n"
                .. "ok, problem = pcall(function() return " .. name .. ".New() end)")
            assert.is_true(plugin.globals[name .. "_is_there"])
            assert.matches(":2: " .. name .. " is not offered here; pass your own in `globals`$",
                plugin.globals.problem)
        end
    end)

    it("has its errors in timers, deferred calls and sockets in its log", function()
        local plugin = load_text([[
            timer = Timer.New()
            timer.EventHandler = function() timer:Stop() error("of a timer") end
            timer:Start(0.001)
            Timer.CallAfter(function() error({ code = 5 }) end, 0)
            sock = TcpSocket.New()
            sock.Error = function() error("of a socket") end
            sock:Connect("nowhere", 1)
        ]], { hosts = { nowhere = false } })
        tools.wait(function()
            return #tools.logged(plugin, "error") >= 3
        end, "three errors")
        local texts = table.concat(tools.logged(plugin, "error"), "\n")
        assert.matches(":2: of a timer", texts)
        assert.matches("table: ", texts)
        assert.matches(":6: of a socket", texts)
        -- The reason that scripts do not hear.
        assert.matches("TcpSocket nowhere:1: ", tools.logged(plugin, "warning")[1])
    end)

    it("shows its errors on stderr unless a logger hears them", function()
        local said = helper.run([[
            local host = require "evsock.qsys.host"
            local path = os.tmpname()
            local file = io.open(path, "w")
            file:write("Controls.A.EventHandler = function() error('seen', 0) end")
            file:close()
            local plugin = host.load(path)
            plugin:press("A")
            os.remove(path)
        ]])
        assert.matches("evsock: [^\n]*: seen", said)
    end)

    it("keeps at most 10,000 entries in its log, the newest", function()
        local plugin = load_text("for i = 1, 10001 do print(i) end")
        assert.equal(5001, #plugin.log)
        assert.equal("10001", plugin.log[5001].text)
        assert.equal("5001", plugin.log[1].text)
    end)

    it("that was stopped hears nothing of sockets, servers, timers, datagrams, HTTP", function()
        local plugin = load_text([[
            local function never() error("after the end") end
            server = TcpSocketServer.New()
            server.EventHandler = never
            server:Listen(0)
            sock = TcpSocket.New()
            sock.EventHandler = never
            sock:Connect("127.0.0.1", 1)
            timer = Timer.New()
            timer.EventHandler = never
            timer:Start(0.001)
            Timer.CallAfter(never, 0)
            udp = UdpSocket.New()
            udp.EventHandler = never
            udp:Open("127.0.0.1")
            HttpClient.Get { Url = "http://127.0.0.1:1/", EventHandler = never }
            Notifications.Subscribe("end", never)
            Notifications.Publish("end", 1)
        ]])
        plugin:stop()
        tools.wait(function()
            return evsock.active() == 0
        end, "the end of all")
        helper.pump_for(0.02)
        assert.same({}, tools.logged(plugin, "error"))
    end)
end)

describe("bit32", function()
    after_each(tools.finish)

    it("is as Lua 5.2's", function()
        local plugin = load_text("b = require('bit32') assert(b.band and bit32.band)")
        local bit32 = plugin.globals.b
        local rows = {
            { "band", { 0xff, 0x0f, 0x3c }, 0x0c }, { "band", {}, 0xffffffff },
            { "bor", { 1, 2, 0x80000000 }, 0x80000003 }, { "bxor", { 0xff, 0x0f }, 0xf0 },
            { "bnot", { 0 }, 0xffffffff }, { "bnot", { -1 }, 0 }, { "btest", { 6, 1 }, false },
            { "lshift", { 1, 31 }, 0x80000000 }, { "lshift", { 1, 32 }, 0 },
            { "lshift", { 0xff, -4 }, 0x0f }, { "rshift", { 0x80000000, 31 }, 1 },
            { "arshift", { 0x80000000, 4 }, 0xf8000000 },
            { "arshift", { 0x80000000, 40 }, 0xffffffff },
            { "arshift", { 0x40000000, 4 }, 0x04000000 }, { "lrotate", { 0x80000001, 4 }, 0x18 },
            { "rrotate", { 0x18, 4 }, 0x80000001 }, { "extract", { 0xabcd, 4, 8 }, 0xbc },
            { "replace", { 0xabcd, 0x12, 4, 8 }, 0xa12d }, { "band", { -1, 0xffff }, 0xffff },
        }
        for _, row in ipairs(rows) do
            local name, arguments, wanted = row[1], row[2], row[3]
            assert.equal(wanted, bit32[name]((table.unpack or unpack)(arguments)), name)
        end
    end)
end)

describe("rapidjson", function()
    after_each(tools.finish)

    it("keeps apart arrays, objects and null, both ways", function()
        local plugin = load_text("json = require 'rapidjson'")
        local json = plugin.globals.json
        for _, text in ipairs {
            "[]", "{}", "null", "true", '"\\u0000\\n\\""', "[1,2,[],{}]", '{"a":null,"b":[null]}',
            "-1", "1.5", "1e300", '"\195\164"',
        } do
            local again = json.encode(json.decode(text))
            assert.equal(text == "1e300" and "1e+300" or text, again)
        end
        assert.equal("{}", json.encode({}))
        assert.equal("[]", json.encode({}, { empty_table_as_array = true }))
        assert.equal("[]", json.encode(json.array()))
        assert.equal("{}", json.encode(json.object()))
        assert.equal("[1,2]", json.encode({ 1, 2 }))
        assert.equal("[1,null,3]", json.encode({ 1, json.null, 3 }))
        assert.equal("[1,null,3]", json.encode(json.array { 1, nil, 3 }))
        assert.equal("[\n  1\n]", json.encode({ 1 }, { pretty = true }))
        assert.is_true(json.decode("null") == json.null)
        assert.equal(2 ^ 53, json.decode("9007199254740992"))
    end)

    it("says what is wrong with a text or a value, and bounds their depth", function()
        local plugin = load_text("json = require 'rapidjson'")
        local json = plugin.globals.json
        local endless = {}
        endless[1] = endless
        for _, case in ipairs {
            { json.decode, '{"a":', "EOF while parsing a value at line 1 column 5" },
            { json.decode, "1 2", "trailing characters at line 1 column 3" },
            { json.decode, ("["):rep(1e5), "recursion limit exceeded" },
            { json.encode, endless, "more than 127 tables stand within each other" },
            { json.encode, { 0 / 0 }, "is no number of JSON" },
            { json.encode, { print }, "a function is no value of JSON" },
            { json.encode, "\255", "a text is not UTF-8" },
            { json.encode, { 1, 2, nil, 4 }, "a list has a value at 4 but none at 3" },
            { json.encode, { a = { [3] = 1 } }, "a list has a value at 3 but none at 1" },
            { json.encode, { [2 ^ 40] = 1 }, "but none at 1; null may stand there" },
            { json.encode, { [0] = 1 }, "a table that is no list has the key 0, which is no text" },
            { json.encode, { 1, 2, a = 1 }, "which is no text" },
            { json.encode, { [true] = 1 }, "has the key true" },
            { json.encode, { [1.5] = 1 }, "has the key 1.5" },
            { json.encode, json.object { "x" }, "a table that is no list has the key 1" },
            { json.encode, json.array { 1, x = 2 }, "a table that is an array has the key 'x'" },
        } do
            local value, problem = case[1](case[2])
            assert.is_nil(value)
            assert.is_truthy(problem:find(case[3], 1, true), problem)
        end
        local deep = json.decode(("["):rep(127) .. ("]"):rep(127))
        assert.equal(254, #json.encode(deep))
    end)

    it("reads and writes files, and says why it can't", function()
        local json = load_text("json = require 'rapidjson'").globals.json
        local path = helper.track(os.tmpname(), os.remove)
        assert.is_true(json.dump({ 1, { a = "b" } }, path))
        assert.same({ 1, { a = "b" } }, json.load(path))
        assert.same({ nil, "a function is no value of JSON" }, { json.dump(print, path) })
        for _, fn in ipairs { json.load, function(nowhere) return json.dump({}, nowhere) end } do
            local value, problem = fn("spec/nowhere/at_all.json")
            assert.is_nil(value)
            assert.equal(1, problem:find("spec/nowhere/at_all.json: ", 1, true), problem)
        end
        -- A folder that can be opened can't be read.
        local value, problem = json.load("spec")
        assert.is_nil(value)
        assert.equal(1, problem:find("spec: ", 1, true), problem)
        -- Where no room is left a short text goes into the buffer, which then can't be written.
        local full = io.open("/dev/full", "w")
        if full then
            full:close()
            value, problem = json.dump({ 1 }, "/dev/full")
            assert.is_nil(value)
            assert.truthy(problem:find("^/dev/full: .*[Ss]pace"), problem)
        end
    end)
end)
