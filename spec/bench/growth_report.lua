-- The figures of `growth.lua`: medians of the rounds, ratios within the rounds, and those as text,
-- Markdown and a chart. A table is a title, a head, rows of cells, and why its bounds are missed.

local machine = require "spec.bench.machine"
local median = require("spec.bench.report").median
local draw = require "spec.bench.growth_chart"

local growth_report = {}

local NAMES = { luajit = "LuaJIT", ["5.4"] = "Lua 5.4", C = "plain C" }

-- The median of the ratios within the rounds that both have.
local function ratio(ones, others)
    local ratios = {}
    for round, one in pairs(ones) do
        ratios[round] = others[round] and one / others[round]
    end
    return median(ratios)
end

local function show(value, format)
    return value and format:format(value) or "-"
end

local function digits(value)
    return show(value, value and value >= 100 and "%.0f" or "%.3g")
end

local function thousands(n)
    return (tostring(n):reverse():gsub("(%d%d%d)(%d)", "%1,%2"):reverse())
end

-- "" where nothing is promised.
local function verdict(value, most, bound)
    if not most then
        return "", true
    elseif not value then
        return "not measured", false
    end
    local met = value <= most
    return bound .. (met and ": met" or ": MISSED"), met
end

-- What others have of the same kernel, and so cannot avoid: the cost as a multiple of C's.
local function add_multiples(entry, of_all, rows)
    for _, lua in ipairs { "luajit", "5.4" } do
        local row, multiples = { NAMES[lua] .. " to plain C" }, {}
        for i, size in ipairs(entry.sizes) do
            multiples[i] = ratio((of_all[lua] or {})[size] or {}, of_all.C[size] or {})
            row[#row + 1] = show(multiples[i], "%.2f")
        end
        local last, first = multiples[#entry.sizes], multiples[1]
        row[#row + 1] = show(last and first and last / first, "%.2f")
        row[#row + 1] = ""
        rows[#rows + 1] = row
    end
end

local function growth_table(entry, results)
    local head, rows, lines, met = { "" }, {}, {}, true
    for _, size in ipairs(entry.sizes) do
        head[#head + 1] = thousands(size)
    end
    head[#head + 1] = "last to first"
    head[#head + 1] = "no worse than linear: flat within 30 %"
    for _, lua in ipairs { "luajit", "5.4", "C" } do
        local of = results[entry.name][lua]
        if of then
            local row, line = { NAMES[lua] }, { lua = lua }
            for i, size in ipairs(entry.sizes) do
                line[i] = median(of[size] or {})
                row[#row + 1] = digits(line[i])
            end
            local grown = ratio(of[entry.sizes[#entry.sizes]] or {}, of[entry.sizes[1]] or {})
            local words, holds = verdict(grown, lua ~= "C" and entry.most or nil, "<= 1.30")
            met = met and holds
            row[#row + 1] = show(grown, "%.2f")
            row[#row + 1] = words
            rows[#rows + 1], lines[#lines + 1] = row, line
        end
    end
    if entry.limit then
        add_multiples(entry, results[entry.name], rows)
    end
    return {
        title = entry.title .. ", " .. entry.unit .. ", by " .. entry.axis,
        head = head, rows = rows, lines = lines, entry = entry,
        why = not met and (entry.why or "The cause is not known.") or nil,
    }
end

local function idle_table(entries, luas, results)
    local head, rows, whys = { "", "" }, {}, {}
    for _, lua in ipairs(luas) do
        head[#head + 1] = NAMES[lua.name]
    end
    head[#head + 1] = "bound"
    for _, entry in ipairs(entries) do
        for i, figure in ipairs(entry.figures) do
            local row, worst = { i == 1 and entry.title or "", figure.title }, nil
            for _, lua in ipairs(luas) do
                local value = median((results[entry.name][lua.name] or {})[i] or {})
                worst = math.max(worst or 0, value or math.huge)
                row[#row + 1] = show(value, figure.format)
            end
            local words, met = verdict(worst, figure.most, "<= " .. (figure.most or ""))
            if not met then
                whys[#whys + 1] = entry.why or "The cause is not known."
            end
            row[#row + 1] = words
            rows[#rows + 1] = row
        end
    end
    return { title = "While nothing happens", head = head, rows = rows,
        why = whys[1] and table.concat(whys, " ") }
end

local function dialect_table(entries, luas, results)
    local head = { "CPU ns a line of 60 bytes, 16 different", "", "native", "dialect", "ratio",
        "bound" }
    local rows, whys = {}, {}
    for _, entry in ipairs(entries) do
        local missed
        for i, lua in ipairs(luas) do
            local native = (results[entry.native][lua.name] or {})[1] or {}
            local own = (results[entry.call][lua.name] or {})[1] or {}
            local times = ratio(own, native)
            local words, met = verdict(times, entry.most, "<= " .. (entry.most or ""))
            missed = missed or not met
            rows[#rows + 1] = {
                i == 1 and entry.title .. " against " .. entry.native_title or "",
                NAMES[lua.name], digits((median(native) or 0) * 1e3),
                digits((median(own) or 0) * 1e3), show(times, "%.2f"), words,
            }
        end
        if missed then
            whys[#whys + 1] = entry.why or "The cause is not known."
        end
    end
    return { title = "Dialects", head = head, rows = rows,
        why = whys[1] and table.concat(whys, " ") }
end

--- `results` as `growth.lua` keeps them.
function growth_report.summary(series, luas, results, about)
    local tables = {}
    for i, entry in ipairs(series.growth) do
        tables[i] = growth_table(entry, results)
    end
    tables[#tables + 1] = idle_table(series.idle, luas, results)
    tables[#tables + 1] = dialect_table(series.dialects, luas, results)
    return { tables = tables, about = about, growing = #series.growth }
end

local function first_line(summary)
    return ("%s; medians of %d rounds"):format(machine.line(summary.about), summary.about.rounds)
end

--- The report of a terminal.
function growth_report.text(summary)
    local out = { first_line(summary) }
    for _, item in ipairs(summary.tables) do
        local widths = {}
        for _, row in ipairs { item.head, (table.unpack or unpack)(item.rows) } do
            for i, cell in ipairs(row) do
                widths[i] = math.max(widths[i] or 0, #cell)
            end
        end
        out[#out + 1] = ""
        out[#out + 1] = item.title
        for _, row in ipairs { item.head, (table.unpack or unpack)(item.rows) } do
            local cells = {}
            for i, cell in ipairs(row) do
                cells[i] = cell .. (" "):rep(widths[i] - #cell)
            end
            out[#out + 1] = ("  " .. table.concat(cells, "  ")):gsub("%s+$", "")
        end
        out[#out + 1] = item.why and "  Why: " .. item.why
    end
    return table.concat(out, "\n")
end

function growth_report.markdown(summary)
    local out = {
        "# What does not grow, and what nothing costs",
        "",
        first_line(summary) .. ".",
        "",
        "![The series as lines](growth.svg)",
    }
    for _, item in ipairs(summary.tables) do
        out[#out + 1] = "\n## " .. item.title .. "\n"
        out[#out + 1] = "| " .. table.concat(item.head, " | ") .. " |"
        out[#out + 1] = "|" .. ("---|"):rep(#item.head)
        for _, row in ipairs(item.rows) do
            out[#out + 1] = "| " .. table.concat(row, " | ") .. " |"
        end
        out[#out + 1] = item.why and "\nWhy: " .. item.why
    end
    return table.concat(out, "\n") .. "\n"
end

--- The growing ones as SVG.
function growth_report.chart(summary)
    local panels = {}
    for i = 1, summary.growing do
        panels[i] = summary.tables[i]
    end
    return draw(panels, NAMES)
end

return growth_report
