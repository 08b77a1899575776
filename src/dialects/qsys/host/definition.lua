-- What the definition of a Q-SYS plugin says: its properties, and the controls it wants.
--
-- Not here: how its functions are called (`init`), controls themselves (`controls`). Invariant: a
-- mistake of the definition or the user raises with the plugin's path, the entry and the remedy.

local _, core = ...
local controls = core.part "qsys/host/controls"
local kinds = core.part "qsys/host/kinds"

local definition = {}

-- More than any plugin has; a `Count` beyond is a mistake.
local MOST_CONTROLS = 10000

local function listed(names)
    table.sort(names)
    return #names == 0 and "there are none" or table.concat(names, ", ")
end

-- Properties --------------------------------------------------------------------------------------

local truths = { ["true"] = true, yes = true, ["false"] = false, no = false }

-- By the type of the property: its value from the user's, nil if it is none.
local readers = {}

function readers.string(value)
    return type(value) ~= "table" and type(value) ~= "function" and tostring(value) or nil
end

function readers.double(value, row)
    local number = tonumber(value)
    local fits = number and number == number and number >= (tonumber(row.Min) or -math.huge)
        and number <= (tonumber(row.Max) or math.huge)
    return fits and number or nil
end

function readers.integer(value, row)
    local number = readers.double(value, row)
    return number and number % 1 == 0 and (math.tointeger and math.tointeger(number) or number)
        or nil
end

function readers.boolean(value)
    if type(value) == "string" then
        return truths[value:lower()]
    elseif type(value) == "boolean" then
        return value
    end
end

function readers.enum(value, row)
    for _, choice in ipairs(row.Choices or {}) do
        -- A command line has texts alone.
        if choice == value or tostring(choice) == tostring(value) then
            return choice
        end
    end
end

local function wanted(row, kind)
    if kind == "enum" then
        local choices = {}
        for place, choice in ipairs(row.Choices or {}) do
            choices[place] = tostring(choice)
        end
        return "one of " .. table.concat(choices, ", ")
    elseif (kind == "integer" or kind == "double") and (row.Min or row.Max) then
        return kind .. " from " .. tostring(row.Min) .. " to " .. tostring(row.Max)
    end
    return kind
end

local function kind_of(row)
    local kind = type(row.Type) == "string" and row.Type:lower() or row.Choices and "enum"
    return readers[kind] and kind or "string"
end

local function default_of(row)
    if row.Value ~= nil then
        return row.Value
    elseif type(row.Choices) == "table" and row.Choices[1] ~= nil then
        return row.Choices[1]
    end
    return ""
end

-- Name to `{ Value = }`, from the rows of `GetProperties` and what the user gave.
function definition.properties(rows, given, path)
    local properties, known, names = {}, {}, {}
    for place, row in ipairs(rows) do
        if type(row) ~= "table" or type(row.Name) ~= "string" then
            core.raise(path .. ": GetProperties: entry " .. place .. " has no Name")
        end
        local property = core.common.copy_of(row)
        property.Value = default_of(row)
        properties[row.Name], known[row.Name] = property, row
        names[#names + 1] = row.Name
    end
    for name, value in pairs(given) do
        local row = known[name]
        if not row then
            core.raise(path .. ": no property " .. core.named(name) .. " (" .. listed(names) .. ")")
        end
        local kind = kind_of(row)
        local read = readers[kind](value, row)
        if read == nil then
            core.raise(path .. ": bad value for the property " .. core.named(name) .. " ("
                .. wanted(row, kind) .. " expected, got " .. core.got(value) .. ")")
        end
        properties[name].Value = read
    end
    return properties
end

-- Controls ----------------------------------------------------------------------------------------

local function set_default(control, value, path)
    if value ~= nil then
        local problem = controls.enter(control, value)
        if problem then
            core.raise(path .. ": bad value for the control '" .. controls.state_of(control).name
                .. "' (" .. problem .. ")")
        end
    end
end

-- What a row says of the control beyond its state.
local function set_fields(control, row)
    local fields = controls.state_of(control).fields
    for _, name in ipairs { "Choices", "Legend", "Color" } do
        fields[name] = row[name]
    end
end

local function count_of(row, place, path)
    local count = row.Count == nil and 1 or tonumber(row.Count)
    if not core.common.is_whole(count, MOST_CONTROLS) then
        core.raise(path .. ": GetControls: entry " .. place .. " (" .. row.Name .. "): bad Count ("
            .. "integer from 0 to " .. MOST_CONTROLS .. " expected, got " .. core.got(row.Count)
            .. ")")
    end
    return count
end

local function add_row(panel, row, place, path)
    if type(row) ~= "table" or type(row.Name) ~= "string" then
        core.raise(path .. ": GetControls: entry " .. place .. " has no Name")
    end
    local count = count_of(row, place, path)
    local kind, problem = kinds.named(row)
    if not kind then
        core.raise(path .. ": GetControls: entry " .. place .. " (" .. row.Name .. "): " .. problem)
    end
    local list = {}
    for index = 1, count do
        local name = count > 1 and row.Name .. " " .. index or row.Name
        local control = controls.new(panel, name, kind, row)
        controls.state_of(control).base = count > 1 and row.Name or nil
        set_fields(control, row)
        set_default(control, row.DefaultValue, path)
        list[index] = control
    end
    rawset(panel.Controls, row.Name, count > 1 and list or list[1])
end

-- Puts the controls of the rows of `GetControls` into the panel.
function definition.add_controls(panel, rows, path)
    for place, row in ipairs(rows) do
        add_row(panel, row, place, path)
    end
end

local function give(panel, name, value, path)
    local found = rawget(panel.Controls, name)
    if type(value) == "table" and value[1] == nil and (value.ControlType or value.Name) then
        local row = core.common.copy_of(value)
        row.Name = name
        add_row(panel, row, name, path)
    elseif type(value) == "table" then
        for index, single in pairs(value) do
            set_default(panel:find(name, index, "controls"), single, path)
        end
    elseif type(found) == "table" and not controls.is(found) then
        for _, control in ipairs(found) do
            set_default(control, value, path)
        end
    else
        set_default(panel:find(name, nil, "controls"), value, path)
    end
end

-- What the user gave as `controls`: rows as of `GetControls`, or by name a value, a list of values
-- for an array, or a row.
function definition.give_controls(panel, given, path, makes)
    local names = {}
    for name in pairs(given) do
        names[#names + 1] = name
    end
    table.sort(names, function(one, other)
        return tostring(one) < tostring(other)
    end)
    for _, name in ipairs(names) do
        local value = given[name]
        if type(name) == "number" then
            add_row(panel, value, name, path)
        else
            local _ = makes and panel.Controls[name]
            give(panel, name, value, path)
        end
    end
end

return definition
