-- TLS while the system moves one byte a call, in both directions, and refuses every third call.
-- For a build with faults (`.ci/test`): busted spec/torture/tls_bytes.lua

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local fault = require "evsock.fault"

describe("TLS, one byte a system call,", function()
    local certificates = kit.certificates_for(setup, teardown)
    before_each(function() fault.set({ cut = 1e9, again_every = 3 }) end)
    after_each(function()
        fault.set()
        helper.finish()
    end)

    it("shakes hands and carries 64 KiB each way, byte for byte", function()
        local client, peer = kit.pair(certificates)
        local block = {}
        for i = 1, 4096 do
            block[i] = ("%015d\n"):format(i * i)
        end
        block = table.concat(block)
        assert.equal(65536, #block)
        client:write(block)
        peer:write(block:reverse())
        assert.is_true(block == peer:receive(#block, 20 * helper.slow))
        assert.is_true(block:reverse() == client:receive(#block, 20 * helper.slow))
        assert.is_true(fault.set().calls > 4 * 65536)
        client:close()
        assert.equal("ECLOSED", (select(3, peer:receive("*a", 5 * helper.slow))))
    end)
end)
