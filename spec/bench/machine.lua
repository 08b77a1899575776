-- The machine that benchmarks run on: what it is, its cores, how busy it is, which Luas.

local machine = {
    --- Whether less is measured, in less time.
    quick = os.getenv("BENCH") == "quick",
    --- Where the programs in C and the certificates lie.
    place = "target/bench",
    --- The interpreters that contestants run on.
    luas = {
        { name = "luajit", command = "luajit" },
        { name = "5.4", command = "lua5.4" },
    },
}

--- The output of a shell command, and whether it ended well.
function machine.capture(command)
    local pipe = assert(io.popen(command))
    local text = pipe:read("*a")
    local ok = pipe:close()
    return text, ok
end

local function first_line(command)
    return (machine.capture(command .. " 2>/dev/null"):match("[^\n]*"):gsub("%s+$", ""))
end

--- Two cores: the contestant's and the peer's. The same one where there is but one.
function machine.cores()
    local list = {}
    local allowed = first_line("grep Cpus_allowed_list: /proc/self/status"):match("%S+$")
    for from, to in allowed:gmatch("(%d+)%-?(%d*)") do
        for core = tonumber(from), tonumber(to) or tonumber(from) do
            list[#list + 1] = core
        end
    end
    return list[1], list[2] or list[1]
end

--- Seconds of CPU time that all of the machine has used.
function machine.busy()
    local line = first_line("grep '^cpu ' /proc/stat")
    local total, column = 0, 0
    for ticks in line:gmatch("%d+") do
        column = column + 1
        -- Not idle, nor waiting for a disk; a guest is counted as user already.
        if column ~= 4 and column ~= 5 and column <= 8 then
            total = total + tonumber(ticks)
        end
    end
    return total / tonumber(first_line("getconf CLK_TCK"))
end

--- What a report says of where its figures are from; `command` makes them again.
function machine.about(command)
    return {
        date = os.date("!%Y-%m-%d"),
        commit = first_line("git rev-parse --short HEAD"),
        cpu = first_line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"),
        cores = first_line("nproc"),
        system = first_line("uname -sr"),
        lua = first_line("lua5.4 -v"):match("^Lua [%d.]+"),
        luajit = first_line("luajit -v"):match("^LuaJIT [%d.]+%S*"),
        command = command,
    }
end

--- That in one line; with `seconds` and `others` also how long it took and who else was at work.
function machine.line(about)
    local format = "%s, %s cores, %s, %s, %s; %s, %s; `%s` (%d s; "
        .. "other programs used %.2f of a core)"
    return format:format(about.cpu, about.cores, about.system, about.lua, about.luajit, about.date,
        about.commit, about.command, about.seconds, about.others)
end

function machine.write(path, text)
    local file = assert(io.open(path, "w"))
    assert(file:write(text))
    assert(file:close())
    io.stderr:write("wrote ", path, "\n")
end

return machine
