-- The controls of a plugin or component, and the hand that is on them.
--
-- Not here: what a press does to a control (`controls`). Invariant: a name that nothing has raises
-- and says which there are.

local _, core = ...
local controls = core.part "qsys/host/controls"

local Panel = {}
Panel.__index = Panel

-- `call(fn, ...)` calls a handler of the script, `later(seconds, fn)` does something in a pump.
function Panel.new(title, call, later)
    return setmetatable({
        title = title, watchers = {}, call = call, later = later, Controls = {},
    }, Panel)
end

-- From now on what a script asks for and nobody has made comes to be.
function Panel:grow()
    setmetatable(self.Controls, {
        __index = function(all, name)
            if type(name) == "string" then
                local control = controls.new(self, name, "Free", { grows = true })
                rawset(all, name, control)
                return control
            end
        end,
    })
    return self
end

local function names_of(panel)
    local names = {}
    for name in pairs(panel.Controls) do
        names[#names + 1] = tostring(name)
    end
    table.sort(names)
    if #names > 20 then
        names[21] = "and " .. (#names - 20) .. " more"
    end
    return #names == 0 and "there are none" or table.concat(names, ", ", 1, math.min(#names, 21))
end

-- An array, or a control that may become one.
local function element(panel, found, name, index, call)
    if not controls.is(found) then
        local control = index and found[index]
        return control or core.raise(call .. ": " .. panel.title .. "." .. name
            .. " has the indexes 1 to " .. #found .. ", got " .. core.got(index))
    elseif index == nil then
        return found
    end
    local control = found[index]
    if controls.is(control) then
        return control
    elseif index == 1 then
        return found
    end
    core.raise(call .. ": " .. panel.title .. "." .. name .. " is one control, got the index "
        .. core.got(index))
end

-- The control of that name: "Inputs" and 2, or "Inputs 2".
function Panel:find(name, index, call)
    if self.is_over then
        core.raise(call .. ": the plugin was stopped")
    elseif type(name) ~= "string" then
        core.raise("bad argument 'name' to '" .. call .. "' (string expected, got " .. type(name)
            .. ")")
    end
    local found = rawget(self.Controls, name)
    if found == nil then
        local base, place = name:match "^(.+) (%d+)$"
        local list = base and rawget(self.Controls, base)
        if list ~= nil then
            found, name, index = list, base, tonumber(place)
        end
    end
    if found == nil then
        core.raise(call .. ": no control " .. core.named(name) .. " in " .. self.title .. " ("
            .. names_of(self) .. ")")
    end
    return element(self, found, name, index, call)
end

-- A user presses a button and lets it go. Returns whether the script has a handler for it.
function Panel:press(name, index)
    return controls.press(self:find(name, index, "press"))
end

function Panel:hold(name, index)
    return controls.hold(self:find(name, index, "hold"))
end

function Panel:release(name, index)
    return controls.release(self:find(name, index, "release"))
end

-- A user sets a control: number, boolean, or text in its own form.
function Panel:set(name, value, index)
    return controls.change(self:find(name, index, "set"), value)
end

-- Calls `fn(control, name, what)` at every change of that control, of any element of that array, or
-- with "*" of all. `what` is "Value" or the name of another field. Returns what ends it.
function Panel:on(name, fn)
    if type(fn) ~= "function" then
        core.raise("bad argument 'fn' to 'on' (function expected, got " .. type(fn) .. ")")
    end
    if name ~= "*" and rawget(self.Controls, name) == nil then
        self:find(name, nil, "on")
    end
    local list = self.watchers[name] or {}
    self.watchers[name] = list
    list[#list + 1] = fn
    return function()
        for place = #list, 1, -1 do
            if list[place] == fn then
                table.remove(list, place)
                return
            end
        end
    end
end

return Panel
