-- Q-SYS plugins run whole, each beside a device: from the file through presses and changes to the
-- end.

local evsock = require "evsock"
local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_host_tools"

local connected, wait = tools.connected, tools.wait

describe("a plugin", function()
    after_each(tools.finish)

    local function projector(given)
        local state = "POWR=0"
        given = given or {}
        given.properties = { ["IP Address"] = "10.0.0.9", Poll = "0.05" }
        return connected("projector.qplug", "10.0.0.9", given, function(line)
            if line ~= "POWR?" then
                state = line
            end
            return state
        end)
    end

    it("connects, hears presses and shows what the device answers", function()
        local plugin, device = projector()
        local changes = {}
        plugin:on("Power", function(control, name, what)
            changes[#changes + 1] = name .. " " .. what .. " " .. control.String
        end)
        wait(function()
            return plugin.Controls.Answer.String == "POWR=0"
        end, "the first answer")
        assert.equal("OK", plugin.Controls.Status.String)
        assert.equal("Specs~Projector", plugin.info.Name)
        assert.is_true(plugin:press("Power"))
        assert.same({ "Power Value true" }, changes)
        wait(function()
            return plugin.Controls.Answer.String == "POWR=1"
        end, "the answer to the press")
        device:wait(#device.heard + 2) -- Its timer polls.
    end)

    it("goes on after an error in a handler, which its log has with file and line", function()
        local told = {}
        local plugin, device = projector {
            logger = function(level, text)
                told[#told + 1] = level .. " " .. text
            end,
        }
        plugin:press("Fail")
        local entry = plugin.log[#plugin.log]
        assert.equal("error", entry.level)
        assert.matches("projector%.qplug:61: attempt to concatenate", entry.text)
        assert.matches("projector%.qplug:61: in ", entry.traceback)
        assert.equal("error " .. entry.text, told[#told])
        assert.matches("error: spec/programs/qsys/projector%.qplug:61", tostring(plugin.log))
        device:wait(1)
        wait(function()
            return plugin.Controls.Status.Value == 0
        end, "the connection")
        plugin:press("Ask")
        assert.equal("print asking\t1", told[#told])
    end)

    it("ends with stop: no handler is called, nothing keeps the loop going", function()
        local plugin, device = projector()
        device:wait(1)
        plugin:on("*", helper.never("a change after stop"))
        plugin:stop()
        plugin:stop()
        device.server:close()
        wait(function()
            return evsock.active() == 0
        end, "the end of all")
        local count = #device.heard
        helper.pump_for(0.06)
        assert.equal(count, #device.heard)
        helper.misuse(function() plugin:press("Power") end, "press: the plugin was stopped")
    end)

    it("has every type of button, alone and in arrays", function()
        local plugin, device = connected("buttons.qplug", "switcher")
        wait(function()
            return plugin.globals.sock.IsConnected
        end, "the connection")
        assert.is_true(plugin.Controls.Mute.Boolean)
        plugin:press("Fire")
        plugin:press("Mute")
        plugin:hold("Talk")
        plugin:release("Talk")
        for _ = 1, 4 do
            plugin:press("Source")
        end
        plugin:press("Preset", 2)
        plugin:press("Preset 1")
        plugin:press("Output", 2)
        device:wait(12)
        assert.same({
            "FIRE 1", "MUTE false", "TALK true", "TALK false", "SOURCE 1", "SOURCE 2", "SOURCE 3",
            "SOURCE 0", "PRESET 2", "PRESET 1", "OUTPUT 2 true", "FIRE 1",
        }, { (table.unpack or unpack)(device.heard, 1, 12) })
        assert.same({}, tools.logged(plugin, "error"))
    end)

    it("has knobs of every unit, which users and the device turn", function()
        local plugin, device = connected("knobs.qplug", "mixer")
        local controls = plugin.Controls
        device:say("dB=-12.5\nHz=2000\nInteger=4.4\nPercent=150\n")
        wait(function()
            return controls.Percent.Value == 100
        end, "what the device says")
        assert.equal("-12.5dB", controls.dB.String)
        assert.equal("2kHz", controls.Hz.String)
        assert.equal(4, controls.Integer.Value)
        assert.equal("100%", controls.Percent.String)
        plugin:set("dB", "-35 dB")
        plugin:set("Hz", "0.2kHz")
        plugin:set("Float", 99)
        plugin:set("Pan", "-0.5")
        plugin:set("Position", 0.25)
        plugin:set("Seconds", "1500ms")
        device:wait(6)
        assert.same({
            "dB -35.00 0.50", "Hz 200.00 0.33", "Float 5.00 1.00", "Pan -0.50 0.25",
            "Position 0.25 0.25", "Seconds 1.50 0.03",
        }, device.heard)
        assert.equal(3, #controls.Send)
        assert.equal(2, controls.Send[3].Value)
    end)

    it("has indicators, texts with choices, and what they look like", function()
        local plugin, device = connected("indicators.qplug", "rack")
        local controls = plugin.Controls
        assert.equal("Initializing", controls.Status.String)
        local seen = {}
        plugin:on("*", function(_, name, what)
            seen[#seen + 1] = name .. "." .. what
        end)
        device:say("online 1\r\nlevel -30\r\nmodel X1\r\nstatus 0\r\nreason all well\r\n")
        device:say("levels -3 -6 -9\r\n")
        wait(function()
            return controls.Anything.String == "one"
        end, "what the device says")
        assert.is_true(controls.Online[1].Boolean)
        assert.is_false(controls.Online[2].Boolean)
        assert.same({ -3, -6, -9 }, controls.Level.Values)
        assert.equal(0.95, controls.Level.Position)
        assert.same({ "one", "two" }, controls.Anything.Strings)
        assert.equal("all well", controls.Status.String)
        assert.equal(0, controls.Status.Value)
        assert.same({ "HDMI", "DVI" }, controls.Input.Choices)
        assert.same({ true, "#ff0000", "unknown", "meter", 0.5, "free", false }, {
            controls.Input.IsDisabled, controls.Model.Color, controls.Model.Legend,
            controls.Level.CssClass, controls.Level.RampTime, controls.Level.mine[1],
            controls.Level.IsIndeterminate,
        })
        assert.equal("Online 1.Value", seen[1])
        plugin:set("Input", "DVI")
        assert.equal("input DVI", device:wait(1))
        helper.misuse(function() plugin:press("Status") end, "press: Controls.Status is no button")
    end)

    it("has properties of every type, which say what controls there are", function()
        local _, device = connected("properties.qplug", "amplifier")
        assert.equal(
            "Host=amplifier;Channels=2;Step=0.5;Logs=false;Protocol=Lines;Comment=;gains=2",
            device:wait(1))
        local plugin, other = connected("properties.qplug", "10.1.1.1", { properties = {
            Host = "10.1.1.1", Channels = "1", Step = 2.5, Logs = "true", Protocol = "Bytes",
            Comment = "mine",
        } })
        assert.equal(
            "Host=10.1.1.1;Channels=1;Step=1;Logs=true;Protocol=Bytes;Comment=mine;gains=1",
            (other:wait(1):gsub("%.0;", ";")))
        plugin:set("Gain", 7)
        assert.equal("GAIN 1 7", other:wait(2))
        assert.is_true(plugin.properties.Step.IsHidden)
        assert.same({ "quiet" }, tools.logged(plugin))
    end)

    it("runs twice, the second time with its components as globals", function()
        local plugin, device = connected("components.qplug", "remote")
        plugin:press("Duck")
        assert.equal("duck true", device:wait(1))
        local gain = plugin:component("main_gain")
        assert.equal(-20, gain.Controls.gain.Value)
        assert.is_true(plugin:component("mixer").Controls["input.1.mute"].Boolean)
        gain:set("gain", "-3")
        assert.equal("gain -3", device:wait(2))
        assert.equal("In 2", plugin.pins[2].Name)
        assert.same({ "In 1", "mixer Input 1" }, plugin.wiring[1])
        assert.equal("gain", gain.type)
        assert.same({}, tools.logged(plugin, "error"))
    end)

    it("may be a plain script, whose controls come to be when it asks for them", function()
        local plugin, device = connected("scene.lua", "amp", {
            controls = { Address = "amp" },
            components = { Amplifier = { volume = -20, mute = false } },
        })
        wait(function()
            return plugin.Controls.Outputs[1].String == "connected"
        end, "the connection")
        plugin:press("Inputs", 2)
        assert.equal("SCENE 2", device:wait(1))
        assert.same({ "button\t2\t" }, tools.logged(plugin))
        device:say("-7.5\r\n")
        local amplifier = plugin:component("Amplifier")
        wait(function()
            return amplifier.Controls.volume.Value == -7.5
        end, "the volume of the component")
        amplifier:set("mute", true)
        assert.equal("MUTE true", device:wait(2))
        assert.equal("Amplifier", plugin.globals.Components[1].Name)
        assert.equal("mute", plugin.globals.AmplifierControls[1].Name)
        helper.misuse(function() plugin:press("Imputs", 2) end, "no control 'Imputs' in Controls")
    end)

    it("says who it is by digests, Base64, checks and bits", function()
        local plugin, device = connected("login.qplug", "display", nil, function()
            return "d2VsY29tZQ=="
        end)
        device:say("HELLO 0a1b\n")
        -- As openssl says of "admin:secret:0a1b"; the check is CRC-16/ARC.
        assert.equal(table.concat({
            "ee7a543afb4d757d01b6b0d75a3ef378",
            "5658c070f36fb843bdf302ef051536dd01e429dda7d1f66aa3e5f9e01baf4b1f",
            "b8bc2fea492f93524b12231923018b7066787d6d", "YWRtaW46c2VjcmV0OjBhMWI=", "63f9", "ca",
        }, " "), device:wait(1))
        wait(function()
            return plugin.Controls.State.String == "welcome"
        end, "the welcome")
    end)

    it("speaks JSON by rapidjson", function()
        local plugin, device = connected("codec.qplug", "codec", nil, function(line)
            if line:find('"status"', 1, true) then
                return '{"id":1,"result":{"volume":42,"names":["Ann","B\\u00f6b"]}}'
            elseif line:find('"call"', 1, true) then
                return '{"id":3,"result":null}'
            end
            return '{"id":'
        end)
        assert.equal('{"id":1,"jsonrpc":"2.0","method":"status","params":null}', device:wait(1))
        wait(function()
            return plugin.Controls.Volume.Value == 42
        end, "the volume")
        assert.same({ "Ann", "B\195\182b" }, plugin.Controls.Participants.Strings)
        plugin:set("Volume", 50)
        assert.equal('{"id":2,"jsonrpc":"2.0","method":"volume","params":{"level":50,"tags":[]}}',
            device:wait(2))
        plugin:set("Call", "Zoë")
        assert.equal('{"id":3,"jsonrpc":"2.0","method":"call","params":["Zoë",1.5,true]}',
            device:wait(3))
        wait(function()
            return #plugin.log == 2
        end, "two answers")
        assert.same({ "nobody" }, tools.logged(plugin, "message"))
        assert.matches("EOF while parsing", tools.logged(plugin, "error")[1])
    end)

    it("sends and hears datagrams", function()
        local machine
        machine = helper.track(assert(evsock.udp("127.0.0.1", 0, {
            on_datagram = function(_, data, host, port)
                if #data == 102 and data:sub(1, 6) == ("\255"):rep(6)
                    and data:sub(-6) == "\0\17\34\51\68\85" then
                    machine:send_to("awake", host, port)
                end
            end,
        })))
        local plugin = tools.load("wake.qplug", {
            hosts = { ["255.255.255.255"] = "127.0.0.1:" .. machine.port },
        })
        plugin:press("Wake")
        wait(function()
            return plugin.Controls.Said.String == "awake from 255.255.255.255:9"
        end, "the answer")
    end)

    it("finds its system, network and design, and may load text", function()
        local plugin, device = connected("surroundings.qplug", "device")
        device:wait_connected()
        helper.pump_for(0.02)
        plugin:press("Tell")
        assert.equal("false,10.0.0,10,0,evsock,10.0.0,LAN A,127.0.0.1,00:00:00:00:00:00,"
            .. "255.0.0.0,127.0.0.1,OK,0,0", device:wait(1))
        plugin:set("Load", "return Controls ~= nil and own")
        assert.equal("nil", device:wait(2))
        plugin:press("Secure")
        assert.matches("surroundings%.qplug:25: Ssh is not offered here; pass your own in "
            .. "`globals`", plugin.log[#plugin.log].text)
        local ssh = { New = function() return { Connect = function() end } end }
        local other = connected("surroundings.qplug", "device", { globals = { Ssh = ssh } })
        other:press("Secure")
        assert.same({}, tools.logged(other, "error"))
    end)
end)

describe("several plugins of one process", function()
    after_each(tools.finish)

    it("have their own globals and classes, and hear each other's notifications", function()
        local one, first = connected("room.qplug", "panel", { properties = { Room = "one" } })
        local two, second = connected("room.qplug", "panel", { properties = { Room = "two" } })
        assert.equal("one", one.globals.room)
        assert.equal("two", two.globals.room)
        assert.is_nil(rawget(_G, "room"))
        assert.are_not.equal(one.globals.TcpSocket, two.globals.TcpSocket)
        one:press("Occupied")
        assert.equal("room two heard one", second:wait(1))
        assert.equal("rooms one true", two.Controls.Others.String)
        assert.equal("", one.Controls.Others.String)
        wait(function()
            return #one.log == 1
        end, "the message of the first")
        assert.same({ "published by one" }, tools.logged(one, "message"))
        two:press("Leave")
        one:stop()
        two:press("Occupied")
        helper.pump_for(0.02)
        assert.equal(0, #first.heard)
        assert.same({}, tools.logged(two, "error"))
    end)

    it("end well although the collector was there first", function()
        local path = helper.track(os.tmpname(), os.remove)
        local file = assert(io.open(path, "w"))
        file:write("for _ = 1, 20 do Timer.New() TcpSocket.New() UdpSocket.New() end")
        file:close()
        local plugin = require("evsock.qsys.host").load(path)
        -- What was finalised in it is a key of weak tables for one more.
        collectgarbage()
        plugin:stop()
    end)

    it("may be as many as one likes, one after the other, in the memory of few", function()
        local function round(count)
            for _ = 1, count do
                tools.load("wake.qplug"):stop()
                tools.finish()
            end
            local jit = rawget(_G, "jit")
            if jit then
                jit.flush() -- What it compiled counts, too.
            end
            collectgarbage()
            collectgarbage()
            return collectgarbage("count")
        end
        round(5)
        local before = round(5)
        local count = math.max(5, math.floor(30 / helper.fewer))
        assert.is_true(round(count) - before < 60, "memory grows")
    end)
end)
