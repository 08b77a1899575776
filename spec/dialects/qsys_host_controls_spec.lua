-- Controls of a Q-SYS plugin: one state seen four ways, for each kind; what scripts and users may
-- do to them.

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_host_tools"

local load_text = tools.load_text

-- A plugin with a control of that row, and nothing else.
local function with_row(row, more)
    return load_text(([[
        PluginInfo = { Name = "Specs~Row" }
        function GetControls() return { { Name = "C", %s } } end
        if Controls then C = Controls.C %s end
    ]]):format(row, more or ""))
end

describe("a control", function()
    after_each(tools.finish)

    -- Row; what is set; Value, String, Position, Boolean then.
    local kinds = {
        { 'ControlType = "Knob", ControlUnit = "dB", Min = -100, Max = 0',
            { Value = -25 }, -25, "-25dB", 0.75, true },
        { 'ControlType = "Knob", ControlUnit = "dB", Min = -100, Max = 0',
            { Position = 0.5 }, -50, "-50dB", 0.5, true },
        { 'ControlType = "Knob", ControlUnit = "dB"', { Value = 21 }, 20, "20dB", 1, true },
        { 'ControlType = "Knob", ControlUnit = "Hz", Min = 10, Max = 1000',
            { Position = 0.5 }, 100, "100Hz", 0.5, true },
        { 'ControlType = "Knob", ControlUnit = "Hz"', { String = "1.5kHz" }, 1500, "1.5kHz" },
        { 'ControlType = "Knob", ControlUnit = "Integer", Min = 1, Max = 5',
            { Value = 2.5 }, 3, "3", 0.5, true },
        { 'ControlType = "Knob", ControlUnit = "Float", Min = 0, Max = 1',
            { String = "0.3" }, 0.3, "0.3", 0.3, true },
        { 'ControlType = "Knob", ControlUnit = "Float"', { Value = 1 / 3 }, 1 / 3, "0.333333", 0 },
        { 'ControlType = "Knob"', { Value = -7 }, -7, "-7", 0, true },
        { 'ControlType = "Knob", ControlUnit = "Percent"', { Boolean = true },
            100, "100%", 1, true },
        { 'ControlType = "Knob", ControlUnit = "Pan"', { Position = 0.25 }, -0.5, "-0.5", 0.25 },
        { 'ControlType = "Knob", ControlUnit = "Position"', { Position = 2 }, 1, "1", 1, true },
        { 'ControlType = "Knob", ControlUnit = "Seconds", Max = 60',
            { String = "250ms" }, 0.25, "0.25s" },
        { 'ControlType = "Knob", Min = 0, Max = 9, DefaultValue = 4', { String = "no number" },
            4, "4" },
        { 'ControlType = "Button", ButtonType = "Toggle"', { Value = 1 }, 1, "true", 1, true },
        { 'ControlType = "Button", ButtonType = "Toggle"', { String = "true" },
            1, "true", 1, true },
        { 'ControlType = "Button", ButtonType = "Toggle", DefaultValue = true',
            { Boolean = false }, 0, "false", 0, false },
        { 'ControlType = "Button", ButtonType = "Toggle"', { Position = 1 }, 1, "true", 1, true },
        { 'ControlType = "Button", ButtonType = "StateTrigger", Min = 0, Max = 4',
            { Value = 9 }, 4, "4", 1, true },
        { 'ControlType = "Indicator", IndicatorType = "Led"', { Boolean = true }, 1, "true", 1 },
        { 'ControlType = "Indicator", IndicatorType = "Meter", Min = -60, Max = 0',
            { Value = -99 }, -60, "-60dB", 0, true },
        { 'ControlType = "Indicator", IndicatorType = "Status"', { Value = 2 }, 2, "Fault", 0.4 },
        { 'ControlType = "Indicator", IndicatorType = "Status"', { Value = 17 }, 5 },
        { 'ControlType = "Indicator", IndicatorType = "Text"', { String = "abc" },
            0, "abc", 0, false },
        { 'ControlType = "Text"', { String = "12.5" }, 12.5, "12.5", 1, true },
        { 'ControlType = "Text"', { Value = 3 }, 3, "3", 1, true },
        { 'ControlType = "Text"', { Boolean = true }, 1, "true", 1, true },
        { 'ControlType = "Text", DefaultValue = "first"', {}, 0, "first", 0, false },
    }

    it("is one state: value, text, position and boolean follow each other", function()
        for _, case in ipairs(kinds) do
            local control = with_row(case[1]).Controls.C
            for name, value in pairs(case[2]) do
                control[name] = value
            end
            local seen = { control.Value, control.String, control.Position, control.Boolean }
            for place = 1, 4 do
                local wanted = case[place + 2]
                if place ~= 2 and type(wanted) == "number" then
                    assert.is_true(math.abs(wanted - seen[place]) < 1e-9,
                        case[1] .. ": " .. tostring(seen[place]))
                elseif wanted ~= nil then
                    assert.equal(wanted, seen[place], case[1])
                end
            end
            tools.finish()
        end
    end)

    it("has a float as its value, where Lua knows integers", function()
        local plugin = with_row 'ControlType = "Knob", ControlUnit = "Integer", Max = 9'
        local control = plugin.Controls.C
        control.Value = 5
        assert.equal(tostring(5 + 0.0), tostring(control.Value))
        assert.equal("5", control.String)
    end)

    it("calls no handler when its script sets it, and one when a user does", function()
        local plugin = with_row('ControlType = "Knob", Min = 0, Max = 10', [[
            count = 0
            C.EventHandler = function(ctl)
                count = count + 1
                same = ctl == C
                ctl.Value = ctl.Value + 1
            end
        ]])
        plugin.globals.C.Value = 3
        assert.equal(0, plugin.globals.count)
        assert.is_true(plugin:set("C", 5))
        assert.equal(1, plugin.globals.count)
        assert.is_true(plugin.globals.same)
        assert.equal(6, plugin.Controls.C.Value)
        plugin.Controls.C.EventHandler = nil
        assert.is_false(plugin:set("C", 1))
        assert.equal(1, plugin.globals.count)
    end)

    it("calls its handler by Trigger, in the next pump", function()
        local plugin = with_row('ControlType = "Button", ButtonType = "Trigger"', [[
            C.EventHandler = function(ctl) fired = (fired or 0) + ctl.Value end
            C:Trigger()
        ]])
        assert.is_nil(plugin.globals.fired)
        tools.wait(function()
            return plugin.globals.fired == 1
        end, "the handler")
        assert.equal(0, plugin.Controls.C.Value)
    end)

    it("tells who watches of what really changed, until they end it", function()
        local plugin = with_row('ControlType = "Button", ButtonType = "Toggle", Count = 2')
        local seen = {}
        local function note(control, name, what)
            seen[#seen + 1] = name .. " " .. what .. "=" .. tostring(control[what])
        end
        local ends = { plugin:on("C", note), plugin:on("C 2", note) }
        local controls = plugin.Controls.C
        controls[1].Boolean = false
        controls[2].String = "true"
        controls[1].Legend = "one"
        controls[1].Legend = "one"
        assert.same({ "C 2 Value=1.0", "C 2 Value=1.0", "C 1 Legend=one" }, (function()
            for place, text in ipairs(seen) do
                seen[place] = text:gsub("=1$", "=1.0")
            end
            return seen
        end)())
        ends[1]()
        ends[2]()
        controls[1].Boolean = true
        assert.equal(3, #seen)
    end)

    it("is watched from the first line on by the option `watch`", function()
        local seen = {}
        local plugin = load_text("Controls.A.String = 'first' Controls.B[2].Value = 7", {
            watch = function(control, name)
                seen[#seen + 1] = name .. "=" .. control.String
            end,
        })
        assert.same({ "A=first", "B 2=7" }, seen)
        plugin:set("A", "second")
        assert.equal("A=second", seen[3])
    end)

    it("that a test watches badly leaves the error to the next pump, and the script goes on",
        function()
            local plugin = with_row(
                'ControlType = "Text"', "C.EventHandler = function() done = true end")
            plugin:on("C", function() error("of the test", 0) end)
            plugin:set("C", "x")
            assert.is_true(plugin.globals.done)
            local ok, problem = pcall(helper.pump_for, 0.02)
            assert.is_false(ok)
            assert.matches("of the test", problem)
        end)

    it("says what is wrong at the line of the script", function()
        local plugin = with_row('ControlType = "Knob"')
        local control = plugin.Controls.C
        helper.misuse(function() control.Value = "x" end,
            "bad value for Controls.C.Value (number expected, got string)")
        for _, number in ipairs { 1 / 0, -1 / 0, 0 / 0 } do
            helper.misuse(function() control.Value = number end, "C.Value (finite number expected")
            helper.misuse(function() control.Position = number end,
                "C.Position (finite number expected")
        end
        helper.misuse(function() control.String = {} end,
            "bad value for Controls.C.String (string expected, got table)")
        helper.misuse(function() control.Position = nil end, "Controls.C.Position (number expected")
        helper.misuse(function() control.Boolean = "no" end, "Controls.C.Boolean (boolean expected")
        helper.misuse(function() control.Values = 1 end, "Controls.C.Values (table expected")
        helper.misuse(function() control.Values = { 1, 1 / 0 } end,
            "Controls.C.Values[2] (finite number expected")
        helper.misuse(function() control.EventHandler = 1 end, "Controls.C.EventHandler (function")
        helper.misuse(function() plugin:set("C", "loud") end,
            'bad value for Controls.C (string "loud" is no value of the kind Float)')
        helper.misuse(function() plugin:press("C") end,
            "press: Controls.C is no button but of the kind Float; use plugin:set('C', value)")
        helper.misuse(function() plugin:set("C", 1, 2) end,
            "Controls.C is one control, got the index 2")
        helper.misuse(function() plugin:set("D", 1) end, "set: no control 'D' in Controls (C)")
        helper.misuse(function() plugin:on("C", 1) end,
            "bad argument 'fn' to 'on' (function expected")
        helper.misuse(function() plugin:press(1) end,
            "bad argument 'name' to 'press' (string expected")
        local many = with_row('ControlType = "Button", ButtonType = "Toggle", Count = 2')
        helper.misuse(function() many:press("C", 3) end, "Controls.C has the indexes 1 to 2, got 3")
        helper.misuse(function() many:press("C") end, "Controls.C has the indexes 1 to 2, got nil")
    end)

    it("takes no number without an end from anybody, and says so of which control", function()
        local rows = {
            'ControlType = "Knob"', 'ControlType = "Knob", ControlUnit = "Integer", Max = 9',
            'ControlType = "Knob", ControlUnit = "dB"', 'ControlType = "Text"',
            'ControlType = "Button", ButtonType = "Toggle"', 'ControlType = "Indicator"',
        }
        for _, row in ipairs(rows) do
            local plugin = with_row(row, "C.EventHandler = function() heard = true end")
            local control = plugin.Controls.C
            local before = control.Value
            for _, number in ipairs { 1 / 0, -1 / 0, 0 / 0 } do
                helper.misuse(function() plugin:set("C", number) end,
                    "bad value for Controls.C (finite number expected, got ")
            end
            local is_text = row:find "Text" or row:find "Indicator"
            for _, text in ipairs(is_text and {} or { "1e999", "-1e999" }) do
                helper.misuse(function() plugin:set("C", text) end,
                    "bad value for Controls.C (finite number expected, got string \"" .. text)
                -- What a script writes there and is no such number changes nothing.
                control.String = text
            end
            assert.equal(before, control.Value)
            assert.is_nil(plugin.globals.heard)
            tools.finish()
        end
        local knob = with_row 'ControlType = "Knob", ControlUnit = "dB"'
        helper.misuse(function() knob:set("C", "1e999dB") end, "C (finite number expected")
    end)
end)
