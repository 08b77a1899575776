-- What `growth.lua` measures. `role` is the peer's, `contestant` and `call` the worker's; sizes are
-- connections, but for `unended`, whose are MiB. `why` is told where a bound is missed.

local MIB = 1024 * 1024

-- CPU time that an item takes, at each size: that of the last size to that of the first is at most
-- `most`.
local growth = {
    { name = "messages", title = "a message among open connections", unit = "CPU us a message",
        axis = "connections", role = "echo", contestant = "evsock", call = "dialogue",
        sizes = { 10, 100, 1000, 8000 }, limit = true,
        count = function(size, scale)
            -- The warm-up is not timed.
            return 200 + 2 * size + 20000 * scale
        end,
        why = "About 80 % of the time is the kernel's (perf; of C's 98 %), and its own way of a "
            .. "message costs more among thousands of sockets: plain C grows as well." },
    { name = "timers", title = "a timer, set and fired", unit = "CPU us a timer",
        axis = "timers", role = "hold", contestant = "growth", call = "timers",
        sizes = { 1000, 10000, 100000 },
        count = function(size)
            -- At least twice as many: garbage is collected at all sizes.
            return math.max(30000, 2 * size)
        end,
        why = "A part is that of the next series, which is the same without the collector; the "
            .. "rest is the collector's, to which batches of garbage are dear: 300,000 plain "
            .. "tables with a finaliser and three tables in each, no evsock loaded, cost Lua 5.4 "
            .. "1.1, 3.7 and 1.0 us each in batches of 1,000, 10,000 and 100,000." },
    { name = "timers_kept", title = "the same without the collector", unit = "CPU us a timer",
        axis = "timers", role = "hold", contestant = "growth", call = "timers_kept",
        sizes = { 1000, 10000, 100000 },
        count = function(size)
            return math.max(30000, size)
        end,
        why = "Most likely caches, though this machine has no counters to show it: a timer and "
            .. "its function take 0.6 KiB, and in the profile at 10,000 no function stands out: "
            .. "all take about 1.8 times as long as at 1,000, and those that are the first to "
            .. "touch a timer after a while (drain, Alarm::cancel) more. From 10,000 on it is "
            .. "flat." },
    { name = "refused", title = "an attempt to connect again", unit = "CPU us an attempt",
        axis = "sockets", role = "hold", contestant = "growth", call = "refused",
        sizes = { 10, 100, 1000 },
        count = function(_, scale)
            return 4000 * scale
        end },
    { name = "unended", title = "a buffer that grows without a newline", unit = "CPU us a MiB",
        axis = "MiB", role = "letters", contestant = "growth", call = "unended",
        sizes = { 1, 4, 16 },
        count = function(size, scale)
            return math.max(2, 128 * scale / size)
        end,
        bytes = function(size)
            return size * MIB
        end },
}
for _, series in ipairs(growth) do
    series.most = 1.3
end

-- All of these sleep nearly all of the time, so they are measured at once. A `figure` is a part of
-- what the worker prints, or made of it.
local idle = {
    { name = "idle", title = "8,000 open connections, `pump(3)`", role = "hold",
        contestant = "growth", call = "idle", size = 8000, count = 3,
        figures = {
            { title = "CPU ms", format = "%.2f", most = 1,
                of = function(run)
                    return run.cpu * 1e3
                end },
            { title = "wake-ups", format = "%.1f", most = 2,
                of = function(run)
                    return run.switches
                end },
        } },
}
for _, size in ipairs { 1, 1000 } do
    idle[#idle + 1] = {
        name = "frames_" .. size, role = "hold", contestant = "growth", call = "frames",
        title = ("60 frames a second, %s open, `pump(0)` in each"):format(
            size == 1 and "1 connection" or "1,000 connections"),
        size = size, count = 120,
        figures = {
            { title = "% of a core within pump", format = "%.3f", most = 0.2,
                of = function(run)
                    return run.pump * 100
                end },
            { title = "% of a core that the loop uses more with it", format = "%.3f", most = 0.2,
                of = function(run)
                    return (run.share - run.bare) * 100
                end },
            { title = "% of a core that the loop uses without it", format = "%.3f",
                of = function(run)
                    return run.bare * 100
                end },
        },
    }
end

-- CPU time a line, against the native call in the same loop.
local dialects = {
    { name = "qsys", title = "Q-SYS: `ReadLine(TcpSocket.EOL.Any)`", call = "qsys",
        native = "read_line", native_title = '`read_line("any")`', most = 1.5 },
    { name = "hammerspoon", title = 'Hammerspoon: `read("\\n", tag)`, 64 in the queue',
        call = "hammerspoon", native = "read_until", native_title = '`read_until("\\n", true)`',
        most = 1.5,
        why = "A line of hs.socket is a callback and a call of `read`, both of Lua, where the "
            .. "native loop has neither: with a callback that does the same and a method that does "
            .. "nothing the native loop already takes 1.25 to 1.4 times as long on Lua 5.4. Of the "
            .. "rest a part is the turn that 64 lines share, which takes about 1.7 us (with 1,024 "
            .. "reads in the queue a line takes 25 ns less); what is left is counting." },
    { name = "hammerspoon_single", title = 'Hammerspoon: `read("\\n", tag)`, one after another',
        call = "hammerspoon_single", native = "read_until", share = 1 / 4,
        native_title = '`read_until("\\n", true)`' },
}

return { growth = growth, idle = idle, dialects = dialects }
