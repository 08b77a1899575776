-- The options of objects: set, and read back.
--
-- Not here: what may be given (`options.lua`), what options do (`src/net/options.rs`). Invariant:
-- what is set has been checked.

local native, checks, _, _, inner = ...

local options, defaults = checks.options, checks.defaults
local accepted_defaults = checks.accepted_defaults

-- Object to the options that the script has set, as it has set them; others have their defaults.
local chosen = setmetatable({}, { __mode = "k" })

-- What the script may change later is copied.
local function copy_of(value)
    if type(value) ~= "table" then
        return value
    end
    local copy = {}
    for key, item in pairs(value) do
        copy[key] = item
    end
    return copy
end

-- `checked`: the value as the native side takes it.
local function set_option(object, name, value, checked)
    native.set_option(object, name, checked)
    if name == "tls" then
        return -- its keys must not be kept
    end
    local own = chosen[object]
    if not own then
        own = {}
        chosen[object] = own
    end
    own[name] = copy_of(value)
end

local function get_option(object, name)
    local own = chosen[object]
    if own and own[name] ~= nil then
        return own[name]
    elseif accepted_defaults[name] ~= nil and not native.target(object)
        and native.state(object) ~= "idle" then
        return accepted_defaults[name]
    end
    return defaults[name]
end

-- Sets the options among `given`; `checked`: what the checks have made of them.
local function apply_options(object, given, checked)
    for name, value in pairs(checked) do
        if options[name] then
            set_option(object, name, given[name], value)
        end
    end
end

-- The object has the options of `shared.__index` until it changes one.
local function inherit(object, shared)
    chosen[object] = setmetatable({}, shared)
end

inner.options = {
    apply = apply_options,
    copy_of = copy_of,
    get = get_option,
    inherit = inherit,
    set = set_option,
}
