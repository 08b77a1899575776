-- The servers of the specs leave nothing behind, whatever becomes of the spec that started them.

local helper = require "spec.helper"
local daemon = require "spec.peers.daemon"

local function exists(path)
    local file = io.open(path)
    return file ~= nil and file:close()
end

describe("a server of the specs", function()
    after_each(helper.finish)

    -- PostgreSQL takes its time to begin; `stop` checks the same wherever it is called.
    for _, name in ipairs { "redis", "nginx" } do
        it("is gone with its directory when it is stopped: " .. name, function()
            local server = daemon[name]()
            local pid = assert(server:pid())
            assert.is_true(exists("/proc/" .. pid))
            assert.is_true(exists(server.directory))
            server:stop()
            assert.is_false(exists("/proc/" .. pid))
            assert.is_false(exists(server.directory))
        end)
    end

    it("is gone after a killed interpreter", function()
        local said = helper.run([[
            local server = require("spec.peers.daemon").redis()
            print(server:pid(), server.directory)
            io.stdout:flush()
            os.execute("kill -9 $PPID")
        ]])
        local pid, directory = said:match("^(%d+)%s+(%S+)")
        assert.is_truthy(pid, said)
        helper.pump_until(function()
            return not exists("/proc/" .. pid) and not exists(directory)
        end, 10, "the end of redis")
    end)

    it("that does not begin says why and leaves nothing", function()
        local free_port = helper.free_port
        helper.free_port = function()
            return 1e6
        end
        local ok, message = pcall(daemon.redis)
        helper.free_port = free_port
        assert.is_false(ok)
        local directory, why = message:match("^redis does not start in (/%S+): (.*)")
        assert.is_truthy(why, message)
        assert.is_truthy(why:find("port"), why)
        assert.is_false(exists(directory))
    end)
end)
