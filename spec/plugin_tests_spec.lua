-- The example of a plugin's tests (examples/plugin_tests) passes on every Lua, in no time.

local helper = require "spec.helper"
local testing = require "evsock.testing"

local PATH = "examples/plugin_tests/projector_spec.lua"

describe("README", function()
    it("has an example of a clock and a device that does what it says", function()
        local readme = helper.read_file("README.md")
        local text = readme:match("## Tests without waiting.-```lua\n(.-)```")
        local code = text:gsub("device:close%(%)", "print(#device.received, sock.state)\n%0")
        local said, status = helper.run("local evsock = require 'evsock'\n"
            .. "evsock.on_unhandled = false\n" .. code)
        helper.printed("2\topen\n", said, status)
    end)
end)

describe("the example of a plugin's tests", function()
    local clock = testing.clock()
    clock:release()
    local real, passed

    setup(function()
        real, passed = clock:real(), clock:now()
    end)

    -- What busted gives to the file of a suite.
    local given = {
        describe = describe, it = it, before_each = before_each, after_each = after_each,
        assert = assert,
    }
    helper.load_file(PATH, setmetatable(given, { __index = _G }))()

    it("takes less than 0.2 s for what would take minutes", function()
        local took, would_take = clock:real() - real, clock:now() - passed
        io.stderr:write(("   figure: a plugin's tests of %.0f s take %.3f s\n"):format(
            would_take, took))
        assert.is_true(would_take > 180, would_take .. " s have passed by the clock")
        assert.is_true(took < 0.2 * helper.slow, took .. " s")
        helper.finish()
    end)
end)
