-- For specs of Q-SYS plugins that run whole: loading them, and devices that they talk to.

local evsock = require "evsock"
local helper = require "spec.helper"
local host = require "evsock.qsys.host"

local tools = { PROGRAMS = "spec/programs/qsys/" }

local loaded = {}

-- A device that answers each line by `answer(line)`: a text, or nothing. `device.heard` has the
-- lines; `device:say(text)` tells whoever is connected.
function tools.device(answer)
    local device = { heard = {} }
    device.server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
        on_accept = function(_, sock)
            device.sock = sock
        end,
        on_data = function(sock)
            for line in sock:lines() do
                device.heard[#device.heard + 1] = line
                local text = answer and answer(line)
                if text then
                    sock:write(text, "\n")
                end
            end
        end,
    })))
    device.at = "127.0.0.1:" .. device.server.port
    function device:say(text)
        self.sock:write(text)
    end
    -- Waits until it has been said so many lines.
    function device:wait(count)
        helper.pump_until(function()
            return #self.heard >= count
        end, nil, count .. " lines at the device")
        return self.heard[count]
    end
    function device:wait_connected()
        helper.pump_until(function()
            return self.sock ~= nil
        end, nil, "a connection to the device")
    end
    return device
end

-- Loads one of the programs; what it says goes nowhere but to its log.
function tools.load(name, options)
    local given = options or {}
    if given.logger == nil then
        given.logger = false
    end
    local plugin = host.load(tools.PROGRAMS .. name, given)
    loaded[#loaded + 1] = plugin
    return plugin
end

function tools.wait(condition, what)
    helper.pump_until(condition, nil, what)
end

-- Loads one with a device at that name, and connected to it.
function tools.connected(name, place, options, answer)
    local device = tools.device(answer)
    options = options or {}
    options.hosts = options.hosts or {}
    options.hosts[place] = device.at
    local plugin = tools.load(name, options)
    device:wait_connected()
    -- The device may hear of it before the script does.
    tools.wait(function()
        for _, object in ipairs(evsock.objects()) do
            if object.kind == "socket" and object.state ~= "open" then
                return false
            end
        end
        return true
    end, "a connection of the plugin")
    return plugin, device
end

-- Loads a script of that text, from a file of the test's.
function tools.load_text(text, options, ending)
    local path = os.tmpname()
    local file = assert(io.open(path .. (ending or ".lua"), "wb"))
    file:write(text)
    file:close()
    os.remove(path)
    local given = options or {}
    if given.logger == nil then
        given.logger = false
    end
    local ok, plugin = pcall(host.load, path .. (ending or ".lua"), given)
    os.remove(path .. (ending or ".lua"))
    if not ok then
        error(plugin, 0)
    end
    loaded[#loaded + 1] = plugin
    return plugin
end

-- The texts of a log, of one level or all.
function tools.logged(plugin, level)
    local texts = {}
    for _, entry in ipairs(plugin.log) do
        if not level or entry.level == level then
            texts[#texts + 1] = entry.text
        end
    end
    return texts
end

function tools.finish()
    while loaded[1] do
        table.remove(loaded):stop()
    end
    helper.finish()
end

return tools
