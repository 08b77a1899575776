-- Which name somebody may have meant.
--
-- Not here: who asks, and what is a name at all (`options.lua`).

-- The distance of two names in letters put in, left out, replaced or swapped, as far as `most`.
local function distance(one, other, most)
    if math.abs(#one - #other) > most then
        return most + 1
    end
    local before, row = {}, {}
    for j = 0, #other do
        row[j] = j
    end
    for i = 1, #one do
        local above = row
        row = { [0] = i }
        for j = 1, #other do
            local same = one:byte(i) == other:byte(j)
            local least = math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same and 0 or 1))
            if i > 1 and j > 1 and one:byte(i) == other:byte(j - 1)
                and one:byte(i - 1) == other:byte(j) then
                least = math.min(least, before[j - 2] + 1)
            end
            row[j] = least
        end
        before = above
    end
    return row[#other]
end

-- "did you mean 'on_close'?", of the names that the tables have as keys; nil if none is near.
return function(name, ...)
    local plain = name:lower():gsub("[_-]", "")
    local found, least = nil, math.max(1, math.floor(#plain / 3)) + 1
    for _, set in ipairs { ... } do
        for known in pairs(set) do
            local away = distance(plain, (known:lower():gsub("[_-]", "")), least)
            -- Of several the first by letters, whatever order the table has.
            if away < least or away == least and found and known < found then
                found, least = known, away
            end
        end
    end
    return found and "did you mean '" .. found .. "'?"
end
