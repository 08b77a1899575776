-- Controls of a Q-SYS plugin, as its script sees them, and what a user does to them.
--
-- Not here: numbers and texts of a kind (`kinds`), which controls there are (`definition`).
-- Invariants: what a script sets calls no handler, what a user does calls the control's; who
-- watches hears of every change, whoever made it.

local evsock, core = ...
local kinds = core.part "qsys/host/kinds"

local controls = {}

-- Under this key a control keeps its state.
local STATE = {}

-- What a field is before a script sets it.
local defaults = {
    Legend = "", Color = "", CssClass = "", IsDisabled = false, IsInvisible = false,
    IsIndeterminate = false, RampTime = 0,
}

local function state_of(control)
    return rawget(control, STATE)
end
controls.state_of = state_of

-- How a control is called in messages, and by those who watch it.
local function display(state)
    return state.panel.title .. "." .. state.name
end

local function bad(state, field, wanted, value)
    core.raise("bad value for " .. display(state) .. "." .. field .. " (" .. wanted
        .. " expected, got " .. type(value) .. ")")
end

-- Changes -----------------------------------------------------------------------------------------

-- An error in what watches is the test's: it leaves the next pump, and the script goes on.
local function tell(state, control, what)
    local panel = state.panel
    for _, name in ipairs { state.name, state.base or false, "*" } do
        for _, fn in ipairs(name and panel.watchers[name] or {}) do
            local ok, problem = pcall(fn, control, state.name, what)
            if not ok then
                evsock.after(0, error, problem, 0)
            end
        end
    end
end

local function set(state, control, change, value)
    local number, text, had_list = state.value, state.kind:shown(state), state.list
    local result, wanted = change(state, value)
    if result ~= false then
        state.list = nil
    end
    if state.value ~= number or state.kind:shown(state) ~= text or had_list then
        tell(state, control, "Value")
    end
    return result, wanted
end

local function by_number(state, number)
    state.kind:number(state, number)
end

local function by_text(state, text)
    return state.kind:text(state, text)
end

local function by_boolean(state, is_on)
    if state.kind.boolean then
        state.kind:boolean(state, is_on)
    else
        -- The highest value is "on" where there are more than two.
        local least, most = state.kind:span(state)
        state.kind:number(state, is_on and (most or 1) or least or 0)
    end
end

-- What scripts see --------------------------------------------------------------------------------

local get, put = {}, {}

-- A float, as on a Core, also where Lua knows integers.
function get.Value(state)
    return state.value + 0.0
end

function put.Value(state, control, value)
    local number = type(value) == "boolean" and (value and 1 or 0) or tonumber(value)
    if not number or not kinds.is_number(number) then
        bad(state, "Value", number and "finite number" or "number", value)
    end
    set(state, control, by_number, number)
end

function get.String(state)
    return state.kind:shown(state)
end

function put.String(state, control, value)
    if type(value) == "number" then
        value = tostring(value)
    elseif type(value) == "boolean" then
        value = tostring(value)
    elseif type(value) ~= "string" then
        bad(state, "String", "string", value)
    end
    -- What is no number of the control's kind changes nothing, as on a Core.
    set(state, control, by_text, value)
end

function get.Position(state)
    return kinds.position(state) + 0.0
end

function put.Position(state, control, value)
    local number = tonumber(value)
    if not number or not kinds.is_number(number) then
        bad(state, "Position", number and "finite number" or "number", value)
    end
    set(state, control, by_number, kinds.at_position(state, number))
end

function get.Boolean(state)
    return state.value ~= 0
end

function put.Boolean(state, control, value)
    if type(value) == "number" then
        value = value ~= 0
    elseif type(value) ~= "boolean" then
        bad(state, "Boolean", "boolean", value)
    end
    set(state, control, by_boolean, value)
end

-- A control may show several values; the first is its own.
local function several(name, single, kind)
    get[name] = function(state)
        local values = { get[single](state) }
        if state.list and state.list.name == name then
            for place = 2, #state.list do
                values[place] = state.list[place]
            end
        end
        return values
    end
    put[name] = function(state, control, values)
        if type(values) ~= "table" then
            bad(state, name, "table", values)
        end
        local list = { name = name }
        for place, value in ipairs(values) do
            local is_kind = type(value) == kind
            if not is_kind or kind == "number" and not kinds.is_number(value) then
                bad(state, name .. "[" .. place .. "]", (is_kind and "finite " or "") .. kind,
                    value)
            end
            list[place] = value
        end
        if list[1] ~= nil then
            put[single](state, control, list[1])
        end
        state.list = list
        tell(state, control, "Value")
    end
end
several("Values", "Value", "number")
several("Strings", "String", "string")

function put.EventHandler(state, _, value)
    if value ~= nil and type(value) ~= "function" then
        bad(state, "EventHandler", "function", value)
    end
    state.fields.EventHandler = value
end

-- Calls the handler as a press does, when the script is back in its loop.
local function trigger(control)
    local state = state_of(control)
    state.panel.later(0, function()
        controls.press(control)
    end)
end

local Control = {}

function Control.__index(control, name)
    local state = state_of(control)
    local computed = get[name]
    if computed then
        return computed(state)
    end
    local field = state.fields[name]
    if field ~= nil then
        return field
    elseif name == "Trigger" then
        return trigger
    elseif name == "Choices" then
        state.fields.Choices = {}
        return state.fields.Choices
    elseif type(name) == "number" and state.grows then
        local element = controls.new(state.panel, state.name .. " " .. kinds.short(name), "Free")
        state_of(element).base = state.name
        state.fields[name] = element
        return element
    end
    return defaults[name]
end

function Control.__newindex(control, name, value)
    local state = state_of(control)
    local setter = put[name]
    if setter then
        setter(state, control, value)
        return
    end
    local before = state.fields[name]
    if before == nil then
        before = defaults[name]
    end
    state.fields[name] = value
    -- A list may be the same table with other entries.
    if before ~= value or type(value) == "table" then
        tell(state, control, name)
    end
end

function Control.__tostring(control)
    local state = state_of(control)
    return display(state) .. ": " .. state.kind:shown(state)
end

-- A control of a panel (`title`, `watchers`, `call`, `later`), of the kind of that name.
function controls.new(panel, name, kind, row)
    local state = kinds.state(kind, row)
    state.panel, state.name, state.fields = panel, name, {}
    state.grows = row and row.grows
    return setmetatable({ [STATE] = state }, Control)
end

function controls.is(value)
    return type(value) == "table" and getmetatable(value) == Control
end

-- What a user does --------------------------------------------------------------------------------

local function call_handler(state, control)
    local handler = state.fields.EventHandler
    if handler then
        state.panel.call(handler, control)
    end
    return handler ~= nil
end

local NOT_PRESSED = { Led = true, Meter = true, Status = true }

local function check_pressed(state, call)
    local name = state.kind_name
    local is_button = name == "Toggle" or name == "Trigger" or name == "Momentary"
        or name == "StateTrigger" or state.kind.is_free
    if not is_button then
        core.raise(call .. ": " .. display(state) .. " is no button but of the kind " .. name
            .. (NOT_PRESSED[name] and "" or "; use plugin:set(" .. core.named(state.name)
                .. ", value)"))
    end
end

-- A button goes down: a momentary one stays so until `release`.
function controls.hold(control)
    local state = state_of(control)
    check_pressed(state, "hold")
    local kind = state.kind_name
    if kind == "Toggle" then
        set(state, control, by_number, state.value ~= 0 and 0 or 1)
    elseif kind == "StateTrigger" then
        local next_one = state.value + 1
        set(state, control, by_number, next_one > state.most and state.least or next_one)
    elseif kind == "Momentary" then
        set(state, control, by_number, 1)
    elseif kind == "Trigger" then
        -- It is on while its handler runs, which is no change to watch.
        state.value = 1
    end
    return call_handler(state, control)
end

-- It goes up again, which only a momentary one calls its handler for.
function controls.release(control)
    local state = state_of(control)
    check_pressed(state, "release")
    local kind = state.kind_name
    if kind == "Momentary" then
        set(state, control, by_number, 0)
        return call_handler(state, control)
    elseif kind == "Trigger" then
        state.value = 0
    end
    return false
end

function controls.press(control)
    check_pressed(state_of(control), "press")
    local was_heard = controls.hold(control)
    return controls.release(control) or was_heard
end

-- Puts in a value of the user's: a number, a boolean, or a text in the control's own form. Returns
-- what is wrong with it, if anything.
function controls.enter(control, value)
    local state = state_of(control)
    local kind = type(value)
    if kind == "number" then
        if not kinds.is_number(value) then
            return "finite number expected, got " .. core.got(value)
        end
        set(state, control, by_number, value)
    elseif kind == "boolean" then
        set(state, control, by_boolean, value)
    elseif kind == "string" then
        local result, wanted = set(state, control, by_text, value)
        if result == false then
            return wanted and wanted .. " expected, got " .. core.got(value)
                or core.got(value) .. " is no value of the kind " .. state.kind_name
        end
    else
        return "number, boolean or string expected, got " .. kind
    end
end

-- The same, and the handler is called.
function controls.change(control, value)
    local problem = controls.enter(control, value)
    if problem then
        core.raise("bad value for " .. display(state_of(control)) .. " (" .. problem .. ")")
    end
    return call_handler(state_of(control), control)
end

return controls
