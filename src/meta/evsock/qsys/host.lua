---@meta evsock.qsys.host
-- Q-SYS plugins run whole: types for editors. Nothing here runs.
assert(false, "evsock.qsys.host: this file is for editors only")

---@class evsock.qsys.host
local host = {}

--- Loads a plugin (`.qplug`, or a `.lua` with `PluginInfo` or `GetControls`) or a plain script and
--- runs it; its handlers are called in pumps from then on. Errors of the script raise with file and
--- line; those that come later go to the log.
---
--- `local plugin = host.load("projector.qplug", { properties = { Port = 4352 } })`
---@param path string
---@param options? evsock.qsys.host.Options
---@return evsock.qsys.host.Plugin plugin
function host.load(path, options) end

--- The command `evsock-qsys`, which `--help` describes: returns its exit status when it is over.
---
--- `os.exit(host.command({ "projector.qplug", "--property", "IP Address=127.0.0.1" }, io))`
---@param arguments string[]
---@param streams table with `stdin`, `stdout` and `stderr`, as `io` is
---@return integer status
function host.command(arguments, streams) end

---@class evsock.qsys.host.Options
---@field properties? table<string, any> values by name; texts are read by the property's type
--- By name a value, a list of values of an array, or a row as of `GetControls`; or a list of rows.
---@field controls? table
---@field components? table<string, table> for `Component.New`: by name what `controls` takes
---@field globals? table<string, any> further globals of the script, which `require` gives, too
---@field hosts? table<string, string|false> where names and addresses lead, as `configure` takes it
---@field ports? table<integer, integer>
---@field cafile? string trusted with `ValidateCertificate`
--- Hears each entry of the log as it comes; without it errors go to stderr, with false nowhere.
---@field logger? fun(level: string, text: string, traceback?: string)|false
--- As `plugin:on("*", watch)`, from before the script's first line.
---@field watch? fun(control: evsock.qsys.host.Control, name: string, what: string)

--- What a user sees of controls, and does to them.
---@class evsock.qsys.host.Panel
---@field Controls table<string, evsock.qsys.host.Control|evsock.qsys.host.Control[]>
local Panel = {}

--- Presses a button and lets it go: its handler is called before this returns, of a momentary one
--- twice.
---
--- `plugin:press("Preset", 2)`
---@param name string as "Preset", or "Preset 2"
---@param index? integer of an array
---@return boolean heard whether there is a handler
function Panel:press(name, index) end

--- Presses it and holds it down.
---
--- `plugin:hold("Talk")`
---@param name string
---@param index? integer
---@return boolean heard
function Panel:hold(name, index) end

--- Lets it go.
---
--- `plugin:release("Talk")`
---@param name string
---@param index? integer
---@return boolean heard
function Panel:release(name, index) end

--- Sets a control as a user does: its handler is called before this returns.
---
--- `plugin:set("Volume", "-20dB")`
---@param name string
---@param value number|string|boolean
---@param index? integer
---@return boolean heard
function Panel:set(name, value, index) end

--- Calls a function at every change, whoever made it, until what this returns is called. `what` is
--- "Value" or the name of another field.
---
--- `plugin:on("Power", function(control, name, what) print(name, control[what]) end)`
---@param name string a control, an array, or "*" for all
---@param fn fun(control: evsock.qsys.host.Control, name: string, what: string)
---@return fun() finish
function Panel:on(name, fn) end

---@class evsock.qsys.host.Plugin: evsock.qsys.host.Panel
---@field name string of its file
---@field path string
---@field log evsock.qsys.host.Entry[] the newest 10,000 at most; `tostring` gives it as text
---@field info table its `PluginInfo`
---@field properties table<string, table> its `Properties`
---@field pins table of `GetPins`
---@field wiring table of `GetWiring`
---@field globals table those of its script
local Plugin = {}

--- A component inside the plugin, or one of the design that was given or asked for.
---
--- `plugin:component("Amplifier"):set("mute", true)`
---@param name string
---@return evsock.qsys.host.Panel component
function Plugin:component(name) end

--- Ends its sockets, timers and subscriptions; no handler of it is called any more.
---
--- `plugin:stop()`
function Plugin:stop() end

---@class evsock.qsys.host.Entry
---@field level string "print", "message", "debug", "warning" or "error"
---@field text string
---@field time number as of `evsock.now`
---@field traceback? string

--- One state seen four ways: `Value`, `String`, `Position`, `Boolean`. What a script sets calls no
--- handler. Other fields are free.
---@class evsock.qsys.host.Control
---@field Value number
---@field Values number[] of several channels; the first is its own
---@field String string in the form of its kind: "-20dB", "true", "Fault"
---@field Strings string[]
---@field Position number from 0 to 1
---@field Boolean boolean
---@field EventHandler? fun(control: evsock.qsys.host.Control) a user has changed it
---@field Legend string
---@field Choices string[]
---@field Color string
---@field CssClass string
---@field IsDisabled boolean
---@field IsInvisible boolean
---@field IsIndeterminate boolean
---@field RampTime number seconds; changes come at once all the same
local Control = {}

--- Presses it, when the script is back in its loop.
---
--- `Controls.Fire:Trigger()`
function Control:Trigger() end

return host
