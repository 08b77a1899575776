-- The kinds of controls of a Q-SYS plugin: how number, text and position of one state go together.
--
-- Not here: the objects that scripts see (`controls`). Each kind has `number(state, n)`,
-- `text(state, s)` (false for what is none of its texts, and perhaps what would be),
-- `shown(state)`, and `span(state)`: the limits between which positions lie.
-- Invariant: a state's `value` is always a finite number within its limits.

local _, core = ...

local kinds = {}

-- A number as scripts on a Core see it: no more digits than it needs.
local function short(number)
    return ("%.6g"):format(number)
end
kinds.short = short

-- Numbers within limits ---------------------------------------------------------------------------

local function clamp(number, least, most)
    return math.max(least or -math.huge, math.min(most or math.huge, number))
end

local function is_number(number)
    return number == number and number ~= math.huge and number ~= -math.huge
end
kinds.is_number = is_number

-- Its definition may say other limits.
local Number = { has_limits = true }
Number.__index = Number

function Number:number(state, number)
    if self.whole then
        number = math.floor(number + 0.5)
    end
    state.value = clamp(number, state.least, state.most)
end

-- What is expected where a text is a number that no control can have.
local FINITE = "finite number"

-- Whether the text is such a number; its unit may stand behind it.
function Number:text(state, text)
    local digits, unit = text:match "^%s*([%+%-]?[%d%.]+[eE]?[%+%-]?%d*)%s*(%a*%%?)%s*$"
    local number = digits and tonumber(digits) or tonumber(text)
    if not number then
        return false
    end
    unit = unit and unit:lower() or ""
    if self.factors and self.factors[unit] then
        number = number * self.factors[unit]
    elseif unit ~= "" and unit ~= (self.unit or ""):lower() then
        return false
    end
    if not is_number(number) then
        return false, FINITE
    end
    self:number(state, number)
    return true
end

function Number:shown(state)
    local value = state.value
    if self.factors and self.factors.khz and math.abs(value) >= 1000 then
        return ("%.3g"):format(value / 1000) .. "kHz"
    end
    return (self.unit and "%.3g" or "%.6g"):format(value) .. (self.unit or "")
end

function Number.span(_, state)
    if state.least and state.most and state.most > state.least then
        return state.least, state.most
    end
end

local function number_kind(fields)
    return setmetatable(fields, Number)
end

kinds.Float = number_kind {}
kinds.Integer = number_kind { whole = true }
kinds.dB = number_kind { unit = "dB", least = -100, most = 20 }
kinds.Hz = number_kind { unit = "Hz", least = 20, most = 20000, factors = { hz = 1, khz = 1000 } }
kinds.Percent = number_kind { unit = "%", least = 0, most = 100 }
kinds.Pan = number_kind { least = -1, most = 1 }
kinds.Position = number_kind { least = 0, most = 1 }
kinds.Seconds = number_kind { unit = "s", least = 0, factors = { s = 1, ms = 0.001 } }
kinds.Meter = number_kind { unit = "dB", least = -120, most = 20 }
kinds.StateTrigger = number_kind { whole = true, least = 0, most = 1 }

-- On and off --------------------------------------------------------------------------------------

local Switch = { least = 0, most = 1 }
Switch.__index = Switch

function Switch.number(_, state, number)
    state.value = number ~= 0 and 1 or 0
end

local words = { ["true"] = 1, ["false"] = 0, on = 1, off = 0, yes = 1, no = 0, [""] = 0 }

function Switch:text(state, text)
    local number = words[text:lower()] or tonumber(text)
    if not number then
        return false
    elseif not is_number(number) then
        return false, FINITE
    end
    self:number(state, number)
    return true
end

function Switch.shown(_, state)
    return state.value ~= 0 and "true" or "false"
end

function Switch.span()
    return 0, 1
end

for _, name in ipairs { "Trigger", "Toggle", "Momentary", "Led" } do
    kinds[name] = setmetatable({}, Switch)
end

-- Texts -------------------------------------------------------------------------------------------

-- Text is the state; its number is what stands there, or 0.
local Text = {}
Text.__index = Text

function Text.number(_, state, number)
    state.value, state.words = number, short(number)
end

function Text.boolean(_, state, is_on)
    state.value, state.words = is_on and 1 or 0, tostring(is_on)
end

function Text.text(_, state, text)
    local number = tonumber(text)
    state.words = text
    state.value = number and is_number(number) and number or text == "true" and 1 or 0
    return true
end

function Text.shown(_, state)
    return state.words or ""
end

function Text.span()
    return 0, 1
end

kinds.Text = setmetatable({}, Text)
-- Of a control of which nothing is known but its name: it takes whatever it is given, and pressing
-- it calls its handler.
kinds.Free = setmetatable({ is_free = true }, Text)

-- A number with its own word, and what the script says beside it.
local Status = { whole = true, least = 0, most = 5 }
Status.__index = Status

local states = { [0] = "OK", "Compromised", "Fault", "Not Present", "Missing", "Initializing" }

Status.number = Number.number
Status.span = Number.span

function Status.text(_, state, text)
    state.words = text
    return true
end

function Status.shown(_, state)
    return state.words or states[state.value]
end

kinds.Status = setmetatable({}, Status)

-- By what a definition says -----------------------------------------------------------------------

-- What `GetControls` may say, and the field that tells more.
local types = {
    Button = { field = "ButtonType", default = "Toggle",
        Trigger = true, Toggle = true, Momentary = true, StateTrigger = true },
    Knob = { field = "ControlUnit", default = "Float",
        dB = true, Hz = true, Float = true, Integer = true, Pan = true, Percent = true,
        Position = true, Seconds = true },
    Indicator = { field = "IndicatorType", default = "Free",
        Led = true, LED = "Led", Meter = true, Text = true, Status = true },
    Text = { field = "TextBoxType", default = "Text", any = "Text" },
}

local function listed(set)
    local names = {}
    for name, value in pairs(set) do
        if value and not (name == "field" or name == "default" or name == "any") then
            names[#names + 1] = name
        end
    end
    table.sort(names)
    return table.concat(names, ", ")
end

-- The name of the kind, or nil and what is wrong.
function kinds.named(row)
    local type_of = types[row.ControlType]
    if row.ControlType == nil then
        return "Free"
    elseif not type_of then
        return nil, "unknown ControlType " .. core.named(row.ControlType) .. " (" .. listed(types)
            .. ")"
    end
    local given = row[type_of.field]
    if given == nil or given == "" then
        return type_of.default
    elseif type_of.any then
        return type_of.any
    end
    local found = not (given == "field" or given == "default") and type_of[given]
    if not found then
        return nil, "unknown " .. type_of.field .. " " .. core.named(given) .. " ("
            .. listed(type_of) .. ")"
    end
    return found == true and given or found
end

-- A new state of that kind, with the limits of the row.
function kinds.state(name, row)
    local kind = kinds[name]
    local state = { kind = kind, kind_name = name, value = 0 }
    state.least, state.most = kind.least, kind.most
    if kind.has_limits and row then
        state.least = tonumber(row.Min) or state.least
        state.most = tonumber(row.Max) or state.most
    end
    state.value = clamp(0, state.least, state.most)
    return state
end

-- A state as a position from 0 to 1, and back. Frequencies go by octaves.
local function is_octaves(state, least)
    return state.kind == kinds.Hz and least > 0
end

function kinds.position(state)
    local least, most = state.kind:span(state)
    if not least then
        return 0
    elseif is_octaves(state, least) then
        return math.log(state.value / least) / math.log(most / least)
    end
    return clamp((state.value - least) / (most - least), 0, 1)
end

function kinds.at_position(state, position)
    local least, most = state.kind:span(state)
    position = clamp(position, 0, 1)
    if not least then
        return state.value
    elseif is_octaves(state, least) then
        return least * (most / least) ^ position
    end
    return least + position * (most - least)
end

return kinds
