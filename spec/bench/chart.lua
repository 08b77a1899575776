-- The ratios to the limit as a chart: a row for each workload, a dot for each contestant, on a
-- logarithmic scale with plain C at 1.

local chart = {}

local WIDTH, LEFT, RIGHT, TOP, ROW = 860, 190, 30, 70, 34
local LEAST, MOST = 1 / 16, 4
local TICKS = { 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4 }
local LABELS = { "1/16", "1/8", "1/4", "1/2", "plain C", "2x", "4x" }
-- In the order drawn: ours comes last, on top.
local STYLES = {
    { library = "copas", colour = "#b07aa1" },
    { library = "luasocket", colour = "#9c755f" },
    { library = "cqueues", colour = "#59a14f" },
    { library = "luv", colour = "#4e79a7" },
    { library = "evsock", colour = "#e15759" },
}

local function x_of(ratio)
    local bounded = math.min(math.max(ratio, LEAST), MOST)
    local share = math.log(bounded / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)
end

local function text(x, y, anchor, words, colour)
    return ('<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>'):format(x, y, anchor,
        colour or "#333", words)
end

-- LuaJIT is filled, Lua 5.4 a ring.
local function dot(x, y, style, lua, what)
    local radius = style.library == "evsock" and 6.5 or 5
    return ('<circle cx="%.1f" cy="%.1f" r="%.1f" fill="%s" stroke="%s" stroke-width="2">'
        .. "<title>%s</title></circle>"):format(x, y, radius,
        lua == "luajit" and style.colour or "#fff", style.colour, what)
end

local function legend(out)
    local x = LEFT
    for i = #STYLES, 1, -1 do
        local style = STYLES[i]
        out[#out + 1] = dot(x, 42, style, "luajit", style.library)
        out[#out + 1] = text(x + 11, 46, "start", style.library)
        x = x + 88
    end
    out[#out + 1] = text(x, 46, "start", "filled: LuaJIT, ring: Lua 5.4", "#777")
end

-- The two Luas lie a little apart, so that equal ratios do not hide each other.
local function row(out, entry, y)
    out[#out + 1] = text(LEFT - 14, y + 4, "end", entry.workload.title)
    out[#out + 1] = ('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#eee"/>'):format(LEFT,
        WIDTH - RIGHT, y, y)
    for _, style in ipairs(STYLES) do
        for _, lua in ipairs { "luajit", "5.4" } do
            local figures = entry.by_key[style.library .. " " .. lua]
            if figures and figures.to_limit then
                out[#out + 1] = dot(x_of(figures.to_limit), y + (lua == "luajit" and -6 or 6),
                    style, lua, ("%s, %s: %.2f"):format(style.library, lua, figures.to_limit))
            end
        end
    end
end

--- The chart of a summary of `report`, as SVG.
function chart.draw(summary)
    local rows = {}
    for _, entry in ipairs(summary.workloads) do
        for _, figures in ipairs(entry.rows) do
            if figures.library ~= "limit" and figures.to_limit then
                rows[#rows + 1] = entry
                break
            end
        end
    end
    local bottom = TOP + #rows * ROW
    local height = bottom + 34
    local out = {
        ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
            .. 'font-family="sans-serif" font-size="13">'):format(WIDTH, height, WIDTH, height),
        ('<rect width="%d" height="%d" fill="#fff"/>'):format(WIDTH, height),
        text(LEFT, 22, "start", "Speed, as a multiple of plain C with epoll (right is faster)",
            "#000"),
    }
    legend(out)
    for i, tick in ipairs(TICKS) do
        out[#out + 1] = ('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s"/>'):format(
            x_of(tick), x_of(tick), TOP - 8, bottom, tick == 1 and "#333" or "#ddd")
        out[#out + 1] = text(x_of(tick), bottom + 20, "middle", LABELS[i], "#777")
    end
    for i, entry in ipairs(rows) do
        row(out, entry, TOP + (i - 0.5) * ROW)
    end
    out[#out + 1] = "</svg>\n"
    return table.concat(out, "\n")
end

return chart
