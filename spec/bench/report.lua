-- From the figures of the rounds to medians and ratios, and those as text, Markdown and JSON.
-- Every ratio says how many times as good, so more than 1 is better whatever the unit; it is the
-- median of the ratios within each round, since a machine changes its mind from minute to minute.

local machine = require "spec.bench.machine"

local report = {}

local function sorted(list)
    local copy = {}
    for _, value in pairs(list) do
        copy[#copy + 1] = value
    end
    table.sort(copy)
    return copy
end

local function quantile(list, share)
    local values = sorted(list)
    if #values == 0 then
        return nil
    end
    local at = 1 + (#values - 1) * share
    local low = math.floor(at)
    local high = math.min(low + 1, #values)
    return values[low] + (values[high] - values[low]) * (at - low)
end

local function median(list)
    return quantile(list, 0.5)
end
report.median = median

local function column(rounds, key)
    local values = {}
    for round, figures in pairs(rounds) do
        values[round] = figures[key]
    end
    return values
end

local function lower_is_better(workload)
    return workload.figure ~= nil
end

-- How many times as good as the other, from the rounds that both have.
local function ratio(rounds, others, key, is_lower_better)
    local ratios = {}
    for round, figures in pairs(rounds) do
        local other = others[round]
        if other and figures[key] > 0 and other[key] > 0 then
            ratios[round] = figures[key] / other[key]
            if is_lower_better then
                ratios[round] = 1 / ratios[round]
            end
        end
    end
    return median(ratios)
end

-- Other libraries; evsock has two contestants, itself and its dialect of LuaSocket.
local OURS = { evsock = true, dialect = true }

-- The best of the others on the same Lua.
local function best_peer(workload, contestants, of, contestant)
    local best, best_value
    for _, other in ipairs(contestants) do
        local rounds = of[other.key]
        if rounds and other.lua == contestant.lua and not OURS[other.library]
            and other ~= contestant then
            local value = median(column(rounds, "value"))
            if lower_is_better(workload) then
                value = -value
            end
            if not best or value > best_value then
                best, best_value = other, value
            end
        end
    end
    return best
end

-- Whether the target is met, and the target in words.
local function judge(workload, row)
    local target = workload.target
    if target.limit then
        return row.to_limit and row.to_limit >= target.limit, target.limit .. "x limit"
    elseif target.copas then
        return row.to_copas and row.to_copas >= target.copas and row.cpu_to_copas >= target.copas,
            target.copas .. "x copas, CPU time, too"
    elseif target.peer then
        return row.to_peer and row.to_peer >= target.peer, target.peer .. "x best peer"
    elseif target.at_most then
        return row.median <= target.at_most, "<= " .. target.at_most
    end
    local bound = target.at_least[row.lua]
    return row.median >= bound, (">= %.0f M"):format(bound / 1e6)
end

local function row_of(workload, contestants, of, contestant)
    local rounds = of[contestant.key]
    local values = column(rounds, "value")
    local row = {
        library = contestant.library,
        lua = contestant.lua and contestant.lua.name,
        version = select(2, next(column(rounds, "version"))),
        median = median(values), least = quantile(values, 0), most = quantile(values, 1),
        spread = (quantile(values, 0.75) - quantile(values, 0.25)) / median(values),
        cpu = median(column(rounds, "cpu")),
        memory = quantile(column(rounds, "memory"), 1),
        rounds = #sorted(values),
    }
    -- Bytes of C for an idle connection are none of its own: nothing can be a part of that.
    if workload.figure ~= "idle" and of.limit then
        row.to_limit = ratio(rounds, of.limit, "value", lower_is_better(workload))
        row.cpu_to_limit = ratio(rounds, of.limit, "cpu", true)
    end
    if contestant.lua then
        local best = best_peer(workload, contestants, of, contestant)
        if best then
            row.best_peer = best.library
            row.to_peer = ratio(rounds, of[best.key], "value", lower_is_better(workload))
        end
    end
    if contestant.library == (workload.judged or "evsock") then
        local copas = of["copas " .. contestant.lua.name]
        if copas then
            row.to_copas = ratio(rounds, copas, "value", lower_is_better(workload))
            row.cpu_to_copas = ratio(rounds, copas, "cpu", true)
        end
        row.met, row.target = judge(workload, row)
    end
    return row
end

--- Everything that is shown: the machine, the versions and a row for each contestant of each
--- workload.
function report.summary(workloads, contestants, results, about)
    local summary = { machine = about, workloads = {}, versions = {} }
    for _, workload in ipairs(workloads) do
        local of = results[workload.name]
        local entry = { workload = workload, rows = {}, by_key = {} }
        for _, contestant in ipairs(contestants) do
            if of[contestant.key] then
                local row = row_of(workload, contestants, of, contestant)
                entry.rows[#entry.rows + 1] = row
                entry.by_key[contestant.key] = row
                summary.versions[contestant.library] = row.version
            end
        end
        summary.workloads[#summary.workloads + 1] = entry
    end
    summary.contestants = contestants
    return summary
end

-- Three digits, and a letter for thousands.
local function short(value)
    if not value then
        return "-"
    elseif value >= 1e6 then
        return ("%.3gM"):format(value / 1e6)
    elseif value >= 1e4 then
        return ("%.3gk"):format(value / 1e3)
    elseif value >= 100 then
        return ("%.0f"):format(value)
    end
    return ("%.3g"):format(value)
end

local function times(value)
    return value and ("%.2fx"):format(value) or "-"
end

local function versions_line(summary)
    local words = {}
    for _, library in ipairs { "evsock", "luv", "cqueues", "luasocket", "copas", "limit" } do
        words[#words + 1] = summary.versions[library]
    end
    return (table.concat(words, ", "):gsub("_", " "))
end

--- The report of a terminal.
function report.text(summary)
    local lines = { machine.line(summary.machine), versions_line(summary) }
    local format = "  %-17s %9s %7s %9s %12s %10s %9s %9s  %s"
    for _, entry in ipairs(summary.workloads) do
        local workload = entry.workload
        lines[#lines + 1] = ""
        lines[#lines + 1] = ("%s (%s)"):format(workload.title, workload.unit)
        lines[#lines + 1] = format:format("", "median", "spread", "to limit", "to best peer",
            "CPU us/op", "to limit", "peak MiB", "target")
        for _, contestant in ipairs(summary.contestants) do
            local row = entry.by_key[contestant.key]
            if row then
                lines[#lines + 1] = format:format(contestant.key, short(row.median),
                    ("%.0f%%"):format(row.spread * 100), times(row.to_limit), times(row.to_peer),
                    short(row.cpu), times(row.cpu_to_limit), ("%.1f"):format(row.memory / 1024),
                    row.target and row.target .. (row.met and ": met" or ": MISSED") or "")
            else
                lines[#lines + 1] = format:format(contestant.key, "-", "-", "-", "-", "-", "-", "-",
                    "")
            end
        end
    end
    return table.concat(lines, "\n")
end

--- The table of the README: a row for each workload, `LuaJIT / Lua 5.4` in each cell.
function report.markdown(summary)
    local lines = {
        machine.line(summary.machine) .. ".  ",
        versions_line(summary) .. ".",
        "",
        "| workload | limit | evsock | evsock to limit | to best peer | evsock.luasocket | luv "
            .. "| cqueues | LuaSocket | copas |",
        "|---|---|---|---|---|---|---|---|---|---|",
    }
    for _, entry in ipairs(summary.workloads) do
        local function cell(library, key, show)
            local jit, plain = entry.by_key[library .. " luajit"], entry.by_key[library .. " 5.4"]
            if not jit and not plain then
                return "-"
            end
            return show(jit and jit[key]) .. " / " .. show(plain and plain[key])
        end
        local limit = entry.by_key.limit
        local cells = {
            entry.workload.title .. ", " .. entry.workload.unit,
            short(limit and limit.median),
            cell("evsock", "median", short),
            cell("evsock", "to_limit", times),
            cell("evsock", "to_peer", times),
        }
        for _, library in ipairs { "dialect", "luv", "cqueues", "luasocket", "copas" } do
            cells[#cells + 1] = cell(library, "median", short)
        end
        lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
    end
    return table.concat(lines, "\n") .. "\n"
end

local function encode(value)
    local kind = type(value)
    if kind == "string" then
        return '"' .. value:gsub('[%c"\\]', function(char)
            return ("\\u%04x"):format(char:byte())
        end) .. '"'
    elseif kind == "number" then
        return ("%.9g"):format(value)
    elseif kind ~= "table" then
        return tostring(value)
    elseif value[1] ~= nil then
        local items = {}
        for i, item in ipairs(value) do
            items[i] = encode(item)
        end
        return "[" .. table.concat(items, ",\n") .. "]"
    end
    local items = {}
    for key, item in pairs(value) do
        items[#items + 1] = encode(key) .. ": " .. encode(item)
    end
    table.sort(items)
    return "{" .. table.concat(items, ", ") .. "}"
end

--- All of it, for programs. Memory in KiB, CPU in microseconds an operation.
function report.json(summary)
    local list = {}
    for i, entry in ipairs(summary.workloads) do
        local workload = entry.workload
        list[i] = {
            name = workload.name, title = workload.title, unit = workload.unit,
            lower_is_better = lower_is_better(workload), contestants = entry.rows,
        }
    end
    return encode { machine = summary.machine, workloads = list } .. "\n"
end

return report
