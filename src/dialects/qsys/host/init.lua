-- Runs whole Q-SYS plugins: `load` is the life of one, from its file to `stop`.
--
-- The parts: `environment` (the globals of a script), `globals` (what a Core adds to them), `world`
-- (sockets and timers of one plugin), `definition` (what its first run says), `panel`, `controls`
-- and `kinds` (its controls), `command` (a plugin in a terminal). Invariants: plugins share nothing
-- but the process and notifications; what a plugin started ends with `stop`; its errors at load
-- raise, those later go to its log.

local evsock, core = ...
local common = core.common
local definition = core.part "qsys/host/definition"
local environment = core.part "qsys/host/environment"
local globals = core.part "qsys/host/globals"
local Panel = core.part "qsys/host/panel"
local world = core.part "qsys/host/world"

local host = {}

-- The oldest entries of a log go when there are more.
local MOST_ENTRIES = 10000

-- The plugin --------------------------------------------------------------------------------------

local Plugin = {}
-- A plugin is the panel of its own controls.
Plugin.__index = setmetatable(Plugin, { __index = Panel })

function Plugin.__tostring(plugin)
    return "plugin " .. plugin.name .. (plugin.is_over and " (stopped)" or "")
end

local Log = {}

function Log.__tostring(log)
    local lines = {}
    for place, entry in ipairs(log) do
        lines[place] = entry.level .. ": " .. entry.text
    end
    return table.concat(lines, "\n")
end

-- Without a logger errors are seen on stderr, since a test that looks elsewhere must not miss them.
local function show(plugin, entry)
    local logger = plugin.logger
    if logger then
        local ok, problem = pcall(logger, entry.level, entry.text, entry.traceback)
        if not ok then
            evsock.after(0, error, problem, 0)
        end
    elseif logger == nil and entry.level == "error" then
        core.write_line(plugin.name .. ": " .. entry.text)
    end
end

-- Adds an entry to the log. Levels: "print", "message", "debug", "warning", "error".
function Plugin:say(level, text, traceback)
    local log = self.log
    if #log >= MOST_ENTRIES then
        -- Half of them at once: one by one would be slow.
        local kept = math.floor(MOST_ENTRIES / 2)
        for place = 1, #log do
            log[place] = place <= kept and log[place + #log - kept] or nil
        end
    end
    local entry = { level = level, text = text, time = evsock.now(), traceback = traceback }
    log[#log + 1] = entry
    show(self, entry)
end

-- An error of the script's, with its traceback behind it.
function Plugin:failed(problem)
    local text = tostring(problem)
    local place = text:find("\nstack traceback:\n", 1, true)
    local traceback = place and text:sub(place + 1)
    self:say("error", place and text:sub(1, place - 1) or text, traceback)
end

-- The component of that name inside the plugin or, if it was given or asked for, of the design: an
-- object with `Controls`, `press`, `set`, `on`.
function Plugin:component(name)
    local panel = self.panels[name]
    return panel or core.raise("component: no component " .. core.named(name)
        .. " (give it as `components` to host.load)")
end

function Plugin:panel(name)
    local panel = self.panels[name]
    if not panel then
        panel = Panel.new(name, self.call, self.later):grow()
        self.panels[name] = panel
    end
    return panel
end

-- Ends its sockets, timers and subscriptions; no handler of it is called any more.
function Plugin:stop()
    if self.is_over then
        return
    end
    self.is_over = true
    for _, panel in pairs(self.panels) do
        panel.is_over = true
    end
    globals.forget(self)
    self.dialect:give_back()
end

-- Arguments ---------------------------------------------------------------------------------------

local OPTIONS = {
    properties = "table", controls = "table", components = "table", globals = "table",
    hosts = "table", ports = "table", cafile = "string", logger = "function", watch = "function",
}

local function check_options(path, given)
    common.check_string(path, "path", "load")
    if given == nil then
        return {}
    elseif type(given) ~= "table" then
        common.bad("options", "load", "table", given)
    end
    for name, value in pairs(given) do
        local kind = OPTIONS[name]
        if not kind then
            core.raise("bad option " .. core.named(name) .. " to 'load'"
                .. core.unknown(name, OPTIONS))
        elseif type(value) ~= kind and not (name == "logger" and value == false) then
            core.raise("bad option '" .. name .. "' to 'load' (" .. kind .. " expected, got "
                .. type(value) .. ")")
        end
    end
    return given
end

-- A script that defines nothing is run once.
local function is_plugin(path, text)
    return path:lower():find "%.qplug$" ~= nil or text:find "PluginInfo%s*=" ~= nil
        or text:find "function%s+GetControls" ~= nil
end

-- The life ----------------------------------------------------------------------------------------

local function new_plugin(path, given)
    local plugin = setmetatable(Panel.new "Controls", Plugin)
    plugin.path, plugin.name = path, path:match "[^/\\]+$" or path
    plugin.log, plugin.panels = setmetatable({}, Log), {}
    plugin.logger, plugin.given = given.logger, given
    local dialect = world.take(plugin, {
        hosts = given.hosts or {}, ports = given.ports or {}, cafile = given.cafile,
        logger = function(level, text)
            plugin:say(level == "error" and "warning" or level, text)
        end,
    })
    plugin.dialect = dialect
    function plugin.call(fn, ...)
        return world.call(plugin, fn, ...)
    end
    plugin.later = dialect.module.after
    return plugin
end

-- New globals, which a run begins with.
local function new_globals(plugin)
    local env = environment.new {
        folder = plugin.path:match "^.*[/\\]" or "", given = plugin.given.globals or {},
        modules = globals.modules,
    }
    plugin.dialect.qsys.install(env)
    globals.add(env, plugin)
    return env
end

local function put_given(plugin, env)
    for name, value in pairs(plugin.given.globals or {}) do
        env[name] = value
    end
end

local function run(plugin, env)
    local fn, problem = environment.compile(plugin.text, "@" .. plugin.path, env)
    if not fn then
        error(problem, 0)
    end
    fn()
end

-- Calls a function of the definition, if there is one; an answer that is nil leaves what was.
local function ask(plugin, env, name, ...)
    local fn = env[name]
    if fn == nil then
        return nil
    end
    local answer = fn(...)
    if answer ~= nil and type(answer) ~= "table" then
        error(plugin.path .. ": " .. name .. " returned a " .. type(answer)
            .. " (table expected)", 0)
    end
    return answer
end

local function define(plugin)
    local env = new_globals(plugin)
    put_given(plugin, env)
    run(plugin, env)
    plugin.info = type(env.PluginInfo) == "table" and env.PluginInfo or {}
    local path = plugin.path
    local properties = definition.properties(
        ask(plugin, env, "GetProperties") or {}, plugin.given.properties or {}, path)
    properties = ask(plugin, env, "RectifyProperties", properties) or properties
    plugin.properties = properties
    definition.add_controls(plugin, ask(plugin, env, "GetControls", properties) or {}, path)
    plugin.pins = ask(plugin, env, "GetPins", properties) or {}
    plugin.inner = ask(plugin, env, "GetComponents", properties) or {}
    plugin.wiring = ask(plugin, env, "GetWiring", properties) or {}
    plugin.dialect:close_all()
end

-- Components that stand inside the plugin are globals of its script.
local function add_components(plugin, env)
    for place, row in ipairs(plugin.inner) do
        if type(row) ~= "table" or type(row.Name) ~= "string" then
            core.raise(plugin.path .. ": GetComponents: entry " .. place .. " has no Name")
        end
        local panel = plugin:panel(row.Name)
        panel.type, panel.properties = row.Type, row.Properties
        env[row.Name] = panel.Controls
    end
    for name, given in pairs(plugin.given.components or {}) do
        definition.give_controls(plugin:panel(name), given, plugin.path, true)
    end
end

local function properties_of(plugin)
    local properties = {}
    for name, property in pairs(plugin.properties) do
        properties[name] = type(property) == "table" and property or { Value = property }
    end
    if plugin.info.ShowDebug and not properties.plugin_show_debug then
        properties.plugin_show_debug = { Value = false }
    end
    return properties
end

local function live(plugin)
    if plugin.is_plugin then
        define(plugin)
    else
        -- A plain script has no definition: what it asks for is made.
        plugin.info, plugin.properties, plugin.inner = {}, {}, {}
        plugin:grow()
        for name, value in pairs(plugin.given.properties or {}) do
            plugin.properties[name] = { Value = value }
        end
    end
    definition.give_controls(
        plugin, plugin.given.controls or {}, plugin.path, not plugin.is_plugin)
    local env = new_globals(plugin)
    plugin.properties = properties_of(plugin)
    env.Controls, env.Properties = plugin.Controls, plugin.properties
    env.PluginInfo = plugin.is_plugin and plugin.info or nil
    add_components(plugin, env)
    put_given(plugin, env)
    plugin.globals = env
    if plugin.given.watch then
        plugin:on("*", plugin.given.watch)
    end
    run(plugin, env)
end

-- Loads a plugin (`.qplug`, or a `.lua` with `PluginInfo` or `GetControls`) or a plain script, and
-- runs it: its handlers are called in pumps from then on.
function host.load(path, options)
    local given = check_options(path, options)
    local text, reason = common.read_file(path)
    if not text then
        core.raise("load: " .. reason)
    end
    local plugin = new_plugin(path, given)
    plugin.text, plugin.is_plugin = text, is_plugin(path, text)
    local ok, problem = pcall(live, plugin)
    if not ok then
        plugin:stop()
        error(problem, 0)
    end
    return plugin
end

-- The command `evsock-qsys`: runs with its arguments, a list of texts, and returns its exit status.
-- `streams`: a table with `stdin`, `stdout` and `stderr`, as `io` is.
function host.command(arguments, streams)
    if type(arguments) ~= "table" then
        common.bad("arguments", "command", "table", arguments)
    elseif type(streams) ~= "table" then
        common.bad("streams", "command", "table with stdin, stdout and stderr, as io", streams)
    end
    return core.part "qsys/host/command" (host.load, arguments, streams)
end

return host
