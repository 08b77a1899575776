-- The demo: a script written for Q-SYS runs here unchanged, against a simulated device.
--
--   lua5.4 examples/qsys_demo/run.lua        (from the root of the repository)
--
-- Starts the device as a process of its own, stands in for the script's host (a button, the
-- socket API, a loop), and shows what happens with the seconds at which it does.

local evsock = require "evsock"
local qsys = require "evsock.qsys"

local FOLDER = arg[0]:match("^(.*)[/\\]") or "."
local LONGEST = 30

local began = evsock.now()
local function say(who, ...)
    local words = { ... }
    for index = 1, select("#", ...) do
        words[index] = tostring(words[index])
    end
    io.write(("%5.1f s  %-7s %s\n"):format(evsock.now() - began, who, table.concat(words, " ")))
    io.flush()
end

-- The device ends by itself; its first line is its port.
local command = '"' .. arg[-1] .. '" "' .. FOLDER .. '/device.lua"'
if package.config:sub(1, 1) == "\\" then
    command = '"' .. command .. '"' -- Windows' shell takes the outermost quotes off.
end
local device = assert(io.popen(command))
PORT = tonumber(device:read("*l"))
assert(PORT, "the device did not start")
ADDRESS = "127.0.0.1"
say("demo", "a device listens on " .. ADDRESS .. ":" .. PORT)

-- What the script finds on its host.
qsys.install()
Controls = { Inputs = { {} } }
local seen = { connected = 0, answers = 0, reconnecting = 0 }
local function press()
    say("demo", "somebody presses the button")
    Controls.Inputs[1].EventHandler()
end

local own_print = print
function print(...) -- luacheck: ignore
    say("script", ...)
    local text = tostring((...))
    if text == "socket connected" then
        seen.connected = seen.connected + 1
        evsock.after(0.5, press)
    elseif text == "socket reconnecting..." then
        seen.reconnecting = seen.reconnecting + 1
    elseif text:find("got answer", 1, true) then
        seen.answers = seen.answers + 1
        if seen.answers == 1 then
            evsock.after(0.5, say, "demo", "the device will go away and come back")
        end
    end
end

-- A Core runs Lua 5.3. What "\x0d" is there Lua 5.1 knows as "\013" alone.
local function load_script(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    if _VERSION == "Lua 5.1" then
        text = text:gsub("\\x(%x%x)", function(digits)
            return ("\\%03d"):format(tonumber(digits, 16))
        end)
    end
    return assert((loadstring or load)(text, "@" .. path))
end

say("demo", "loading the script of the Q-SYS manual")
load_script(FOLDER .. "/script.lua")()

while seen.answers < 2 and evsock.now() - began < LONGEST do
    evsock.pump(1)
end
print = own_print -- luacheck: ignore
sock:Disconnect()
device:close()

if seen.answers == 2 and seen.connected == 2 and seen.reconnecting >= 1 then
    say("demo", "done: connected, exchanged lines, lost the device, reconnected by itself")
else
    say("demo", "FAILED: " .. seen.connected .. " connections, " .. seen.answers .. " answers")
    os.exit(1)
end
