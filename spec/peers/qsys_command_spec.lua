-- The command evsock-qsys: at a pseudo-terminal, as a user has it, and what it says of mistakes.

local helper = require "spec.helper"
local example = require "spec.peers.example"
local tools = require "spec.dialects.qsys_host_tools"

local quoted, pump_until = example.quoted, helper.pump_until

-- A file with the text, which is gone when the case is over.
local function file_of(text)
    local path = helper.track(os.tmpname(), os.remove)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    return path
end

-- The command for a shell, with the Lua that runs the specs, and this library.
local function command(...)
    local words = { ... }
    for place, word in ipairs(words) do
        words[place] = quoted(word)
    end
    local paths = ("package.path, package.cpath = %q, %q"):format(package.path, package.cpath)
    return ("%s -e %s bin/evsock-qsys %s"):format(
        quoted(helper.lua), quoted(paths), table.concat(words, " "))
end

-- Runs it at a terminal; a pipe to the keyboard, and a function that waits until a text is seen.
local function at_terminal(...)
    -- Ctrl-C reaches the shell, too, which has to go on.
    local line = "trap : INT; " .. command(...) .. "; echo status $?"
    local pipe, said = example.begin(("script -qec %s /dev/null"):format(quoted(line)))
    return pipe, function(text, count)
        pump_until(function()
            return select(2, said():gsub(text:gsub("%p", "%%%0"), "")) >= (count or 1)
        end, 10, text .. " in:\n" .. said())
    end
end

-- Runs it to its end; what it said on both streams, and its exit status. `typed`: its input.
local function run(typed, ...)
    local pipe, said = example.begin(command(...) .. "; echo status $?")
    pipe:write(typed)
    pipe:close()
    local output, status = said():match("^(.*)status (%d+)\n$")
    return output or said(), tonumber(status)
end

describe("the command evsock-qsys", function()
    after_each(helper.finish)

    it("runs the manual's script: presses, lines, a lost device, a reconnect, Ctrl-C", function()
        local device = tools.device()
        local text = helper.read_file("examples/qsys_demo/script.lua")
            :gsub("= ADDRESS\n", '= "192.168.1.100"\n'):gsub("= PORT\n", "= 1234\n")
            :gsub("ReconnectTimeout = 5", "ReconnectTimeout = 0.1")
        local pipe, wait_said = at_terminal(file_of(text),
            "--host", "192.168.1.100=127.0.0.1", "--port", "1234=" .. device.server.port)
        wait_said("socket connected")
        device:wait_connected()
        pipe:write("press Inputs 1\n")
        assert.equal("Hello", device:wait(1))
        device:say("one\r\ntwo\r\n")
        wait_said("reading until CrLf got two")
        local lost = device.sock
        device.sock = nil
        lost:close()
        wait_said("socket closed by remote")
        wait_said("socket reconnecting...")
        wait_said("socket connected", 2)
        device:wait_connected()
        pipe:write("press Inputs 1\n")
        assert.equal("Hello", device:wait(2))
        pipe:write("\003")
        wait_said("status 130")
        pipe:close()
    end)

    -- The lines of the terminal that a section of README shows: the words of the command, the rest.
    local function shown_in(heading, port)
        local text = helper.read_file("README.md"):match("\n## " .. heading .. "\n(.-)\n## ")
        local line, rest = text:match("\n    %$ [%w_= ]-evsock%-qsys ([^\n]+)\n(.-)\n\n")
        local words = {}
        -- A blank between quotes is not between words.
        line = line:gsub("2323", port):gsub('"([^"]*)"', function(inner)
            return (inner:gsub(" ", "\1"))
        end)
        for word in line:gmatch("%S+") do
            words[#words + 1] = word:gsub("\1", " ")
        end
        return words, rest:gsub("    ", "") .. "\n"
    end

    it("does at the terminal what README shows", function()
        local device = tools.device(function(line)
            return line == "VOL?" and "VOL -30" or nil
        end)
        local words, shown = shown_in("Run a plugin", device.server.port)
        local pipe, wait_said = at_terminal((table.unpack or unpack)(words))
        local so_far, typed = "", 0
        for line in shown:gmatch("[^\n]+") do
            if line:find " = " then
                so_far = so_far .. line .. "\r\n"
                wait_said(so_far)
            else
                pipe:write(line, "\n")
                so_far, typed = so_far .. line .. "\r\n", typed + 1
            end
        end
        assert.equal(2, typed)
        pipe:write("\003")
        wait_said("status 130")
        pipe:close()
    end)

    it("traces what README shows", function()
        local port = helper.free_port()
        local words, shown = shown_in("See the wire", port)
        words[#words + 1] = "--trace"
        local pipe, wait_said = at_terminal((table.unpack or unpack)(words))
        for line in shown:gmatch("[^\n]+") do
            wait_said((line:gsub("^evsock: %S+ ", ""):gsub("2323", port)))
        end
        pipe:write("\003")
        wait_said("status 130")
        pipe:close()
    end)

    it("shows changes of controls, and takes values from the keyboard", function()
        local device = tools.device(function(line)
            return line == "VOL?" and "VOL -30" or nil
        end)
        local pipe, wait_said = at_terminal("examples/qsys_host/amplifier.qplug",
            "--property", "IP Address=10.0.0.9", "--property", "Port=" .. device.server.port,
            "--control", "Mute=true", "--host", "10.0.0.9=127.0.0.1", "--trace")
        wait_said("Volume = -30dB")
        wait_said("connected")
        pipe:write("Volume=-20dB\n")
        wait_said("Volume = -20dB")
        pipe:write("press Mute\n")
        wait_said("Mute = false")
        pipe:write("press Nothing\nhello\n")
        wait_said("no control 'Nothing' in Controls (Mute, Status, Volume)")
        wait_said("type NAME=VALUE or press NAME, not 'hello'")
        device:wait(3)
        assert.same({ "VOL?", "VOL -20.0", "MUTE false" }, device.heard)
        pipe:write("\003")
        wait_said("status 130")
        pipe:close()
    end)

    it("tells where a script raised, which ends it at load alone: the status is 1", function()
        local path = file_of("print 'begun'\nlocal nothing\nnothing.at_all = 1\n")
        local said, status = run("", path)
        assert.equal(1, status, said)
        assert.equal(1, said:find("begun\nevsock-qsys: " .. path .. ":3: ", 1, true), said)
        path = file_of("Controls.Level.Value = 1\nControls.Go.EventHandler = function()\n"
            .. "    error 'no way'\nend\n")
        said, status = run("press Go\nLevel=3\n", path)
        assert.equal(1, status, said)
        assert.truthy(said:find("error: " .. path .. ":3: no way", 1, true), said)
        assert.truthy(said:find("Level = 3", 1, true), said)
    end)

    it("obeys the last line without its end, and none that is too long", function()
        local path = file_of("Controls.Level.Value = 1; Controls.Other.Value = 1")
        local said, status = run("Level=" .. (" "):rep(65530) .. "7\nOther=" .. (" "):rep(65528)
            .. "23\nLevel=3", path)
        assert.equal("Level = 1\nOther = 1\n"
            .. "evsock-qsys: a line of more than 65536 bytes is not obeyed\n"
            .. "Other = 23\nLevel = 3\n", said)
        assert.equal(0, status)
    end)

    it("takes no number without an end, neither typed nor as an argument", function()
        local path = file_of([[
            PluginInfo = { Name = "Specs~Knob" }
            function GetControls() return { { Name = "Gain", ControlType = "Knob" } } end
        ]])
        local said, status = run("Gain=1e999\nGain=3\n", path)
        assert.equal("evsock-qsys: bad value for Controls.Gain (finite number expected, "
            .. 'got string "1e999")\nGain = 3\n', said)
        assert.equal(0, status)
        said, status = run("", path, "--control", "Gain=-1e999")
        assert.truthy(said:find("bad value for the control 'Gain' (finite number expected, "
            .. 'got string "-1e999")', 1, true), said)
        assert.equal(1, status)
    end)

    it("says that nothing can be taken from the keyboard, and goes on", function()
        local path = file_of "Timer.CallAfter(function() print 'still here' end, 0.05)"
        local told = "evsock-qsys: nothing is taken from the keyboard: "
        -- The input is closed, is a folder, is a file.
        for input, tells in pairs { ["<&-"] = true, ["</"] = true, ["</dev/null"] = false } do
            local pipe, said = example.begin("(" .. command(path) .. ") " .. input
                .. "; echo status $?")
            pipe:close()
            local text = said()
            assert.equal(tells, text:find(told, 1, true) ~= nil, input .. ": " .. text)
            assert.truthy(text:find("still here\n", 1, true), input .. ": " .. text)
            assert.truthy(text:find("status 0\n", 1, true), input .. ": " .. text)
        end
    end)

    it("prints whole lines without control characters", function()
        local said, status = run("Text=a\rb\no\027\007", file_of([[
            print("one\ntwo\r\n", "tab\t\0\027[2J\127 \194\155 \195\164")
            Controls.Text.String = ""
            Controls.Text.String = "a\nb"
        ]]))
        assert.equal("one\ntwo\\r\n\ttab\t\\x00\\x1b[2J\\x7f \\xc2\\x9b \195\164\n"
            .. "Text = a\\nb\nText = a\\rb\n"
            .. "evsock-qsys: type NAME=VALUE or press NAME, not 'o\\x1b\\x07'\n", said)
        assert.equal(0, status)
    end)

    it("takes for Ctrl-C no error that merely ends so", function()
        local said, status = run("", file_of "error 'the stream was interrupted!'")
        assert.equal(1, status, said)
        said, status = run("", file_of "error('interrupted!', 0)")
        assert.equal(130, status, said)
    end)

    it("ends well when nothing is left to happen", function()
        local said, status = run("", file_of("Timer.CallAfter(function() print 'later' end, 0.01)"))
        assert.equal("later\n", said)
        assert.equal(0, status)
    end)

    it("runs the file anew when it has changed", function()
        local path = file_of("print 'first'")
        local pipe, wait_said = at_terminal(path, "--watch")
        wait_said("first")
        local file = assert(io.open(path, "w"))
        file:write("error 'second'")
        file:close()
        wait_said("it runs anew")
        wait_said(path .. ":1: second")
        file = assert(io.open(path, "w"))
        file:write("print 'third'")
        file:close()
        wait_said("third")
        pipe:write("\003")
        wait_said("status 130")
        pipe:close()
    end)

    it("tells what is wrong with its arguments, and where help is", function()
        for _, case in ipairs {
            { "which file?" },
            { "one file at a time, but there are 'a' and 'b'", "a", "b" },
            { "there is no option '--loud'", "a", "--loud" },
            { "--property needs NAME=VALUE, but there is nothing", "a", "--property" },
            { "--control needs NAME=VALUE, but there is 'Mute'", "a", "--control", "Mute" },
            { "--port needs FROM=TO, but there is '23=far'", "a", "--port", "23=far" },
        } do
            local said, status = run("", (table.unpack or unpack)(case, 2))
            assert.equal("evsock-qsys: " .. case[1] .. "; evsock-qsys --help tells more\n", said)
            assert.equal(2, status)
        end
        local said, status = run("", "no/such.qplug")
        assert.equal("evsock-qsys: no/such.qplug: No such file or directory\n", said)
        assert.equal(2, status)
        said, status = run("", "--help")
        assert.truthy(said:find("^usage: evsock%-qsys FILE"), said)
        assert.equal(0, status)
    end)
end)
