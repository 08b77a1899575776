-- Lines of cost by size, a panel for each series: sizes on a logarithmic scale, costs from 0.

local WIDTH, PANEL_WIDTH, PANEL_HEIGHT, TOP = 860, 430, 250, 50
local LEFT, RIGHT, ABOVE, BELOW = 58, 24, 34, 44
local STYLES = {
    luajit = 'stroke="#e15759"',
    ["5.4"] = 'stroke="#4e79a7"',
    C = 'stroke="#999" stroke-dasharray="5 4"',
}

local function text(x, y, anchor, words, colour)
    return ('<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>'):format(x, y, anchor,
        colour or "#333", words)
end

local function line(x1, y1, x2, y2, style)
    return ('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>'):format(x1, y1, x2, y2, style)
end

local function short(n)
    return n >= 1000 and ("%gk"):format(n / 1000) or ("%g"):format(n)
end

-- The distance of ticks: 1, 2 or 5 times a power of ten, at most five of them.
local function step_of(most)
    local step = 10 ^ math.floor(math.log(most) / math.log(10) - 1)
    for _, times in ipairs { 1, 2, 5, 10, 20, 50 } do
        if most / (step * times) <= 5 then
            return step * times
        end
    end
    return most
end

-- Functions from size and cost to a place.
local function scales(item, left, top, most)
    local sizes = item.entry.sizes
    local least = math.log(sizes[1])
    local range = math.log(sizes[#sizes]) - least
    return function(size)
        local share = (math.log(size) - least) / range
        return left + LEFT + share * (PANEL_WIDTH - LEFT - RIGHT)
    end, function(cost)
        return top + PANEL_HEIGHT - BELOW - cost / most * (PANEL_HEIGHT - ABOVE - BELOW)
    end
end

local function largest(item)
    local most = 0
    for _, costs in ipairs(item.lines) do
        for i = 1, #item.entry.sizes do
            most = math.max(most, costs[i] or 0)
        end
    end
    return most > 0 and most * 1.1 or 1
end

local function panel(out, item, left, top)
    local most = largest(item)
    local x_of, y_of = scales(item, left, top, most)
    local sizes = item.entry.sizes
    local first, last = x_of(sizes[1]), x_of(sizes[#sizes])
    out[#out + 1] = text(left + 14, top + 18, "start",
        item.entry.title .. ", " .. item.entry.unit, "#000")
    local step = step_of(most)
    for i = 0, math.floor(most / step) do
        local y = y_of(i * step)
        out[#out + 1] = line(first, y, last, y, i == 0 and 'stroke="#333"' or 'stroke="#ddd"')
        out[#out + 1] = text(first - 8, y + 4, "end", short(i * step), "#777")
    end
    for i, size in ipairs(sizes) do
        local words = short(size) .. (i == #sizes and " " .. item.entry.axis or "")
        out[#out + 1] = text(i == #sizes and x_of(size) + 14 or x_of(size), y_of(0) + 18,
            i == #sizes and "end" or "middle", words, "#777")
    end
    for _, costs in ipairs(item.lines) do
        local points = {}
        for i, size in ipairs(sizes) do
            if costs[i] then
                points[#points + 1] = ("%.1f,%.1f"):format(x_of(size), y_of(costs[i]))
            end
        end
        out[#out + 1] = ('<polyline points="%s" fill="none" stroke-width="2.5" %s/>'):format(
            table.concat(points, " "), STYLES[costs.lua])
    end
end

local function legend(out, names)
    local x = 14
    for _, lua in ipairs { "luajit", "5.4", "C" } do
        out[#out + 1] = line(x, 38, x + 26, 38, 'stroke-width="2.5" ' .. STYLES[lua])
        out[#out + 1] = text(x + 33, 42, "start", names[lua])
        x = x + 110
    end
end

--- An SVG of the tables of growing series of `growth_report`.
return function(items, names)
    local height = TOP + math.ceil(#items / 2) * PANEL_HEIGHT
    local out = {
        ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
            .. 'font-family="sans-serif" font-size="13">'):format(WIDTH, height, WIDTH, height),
        ('<rect width="%d" height="%d" fill="#fff"/>'):format(WIDTH, height),
        text(14, 22, "start", "CPU time that one costs among how many (flat is good)", "#000"),
    }
    legend(out, names)
    for i, item in ipairs(items) do
        panel(out, item, (i - 1) % 2 * PANEL_WIDTH, TOP + math.floor((i - 1) / 2) * PANEL_HEIGHT)
    end
    out[#out + 1] = "</svg>\n"
    return table.concat(out, "\n")
end
