-- The command `evsock-qsys`: one plugin in a terminal, which shows its log and what becomes of its
-- controls, and takes what a user does to them.
--
-- Not here: the plugin (`init.lua`). Invariants: what it prints comes in order and in whole lines,
-- whose only control characters are tabs; nothing that is typed ends it.

local evsock, core = ...

local USAGE = [[
usage: evsock-qsys FILE [OPTION]...

Runs a Q-SYS plugin (.qplug) or script, with real sockets and timers. Its log and every change of a
control are printed as they come.

  --property NAME=VALUE   a property: --property "IP Address=127.0.0.1"
  --control NAME=VALUE    a control before the first line runs
  --host NAME=ADDRESS     where a name or address leads: --host 10.0.0.9=127.0.0.1:4352
  --port FROM=TO          where a port leads: --port 23=2323
  --watch                 runs the file anew whenever it has changed
  --trace                 a line for each event of the sockets, on stderr
  --help                  this text

While it runs, a line of the keyboard is one of
  NAME=VALUE              sets a control as a user does: Volume=-20dB
  press NAME              presses a button and lets it go: press Preset 2
  hold NAME, release NAME

Ctrl-C ends it. The exit status is 0, 1 if the script has raised, 2 for wrong usage, 130 after
Ctrl-C.
]]

-- How often a file is looked at, in seconds.
local LOOK = 0.5
-- A longer line of the keyboard is none.
local LONGEST = 64 * 1024

-- Arguments ---------------------------------------------------------------------------------------

-- Options with a pair behind them: what it is, and the table of `host.load` that it goes to.
local PAIRS = {
    ["--property"] = { "NAME=VALUE", "properties" },
    ["--control"] = { "NAME=VALUE", "controls" },
    ["--host"] = { "NAME=ADDRESS", "hosts" },
    ["--port"] = { "FROM=TO", "ports" },
}
local FLAGS = {
    ["--watch"] = "watches", ["--trace"] = "traces", ["--help"] = "helps", ["-h"] = "helps",
}

local function pair_of(option, given)
    local form, place = PAIRS[option][1], PAIRS[option][2]
    local name, value = (given or ""):match "^([^=]+)=(.*)$"
    if place == "ports" and name then
        name, value = core.port(tonumber(name)), core.port(tonumber(value))
    end
    if not name or not value then
        local got = given and core.named(given) or "nothing"
        return nil, option .. " needs " .. form .. ", but there is " .. got
    end
    return place, name, value
end

-- What is asked for; or nil and what is wrong.
local function parse(arguments)
    local asked = { options = { properties = {}, controls = {}, hosts = {}, ports = {} } }
    local at = 1
    while arguments[at] do
        local word = arguments[at]
        if FLAGS[word] then
            asked[FLAGS[word]] = true
        elseif PAIRS[word] then
            at = at + 1
            local place, name, value = pair_of(word, arguments[at])
            if not place then
                return nil, name
            end
            asked.options[place][name] = value
        elseif word:find "^%-." then
            return nil, "there is no option " .. core.named(word)
        elseif asked.path then
            return nil, "one file at a time, but there are " .. core.named(asked.path) .. " and "
                .. core.named(word)
        else
            asked.path = word
        end
        at = at + 1
    end
    if not asked.path and not asked.helps then
        return nil, "which file?"
    end
    return asked
end

-- What is printed ---------------------------------------------------------------------------------

-- As `io` has them: those of whoever calls, since the library itself prints nothing.
local streams

local ESCAPES = { ["\r"] = "\\r", ["\n"] = "\\n" }

local function escape(character)
    return ESCAPES[character] or (character:gsub(".", function(byte)
        return ("\\x%02x"):format(byte:byte())
    end))
end

-- The text as a part of one line: a terminal would obey what a device may have sent. Those from
-- U+0080 to U+009F are control characters, too.
local function plain(text)
    return (text:gsub("[^%C\t]", escape):gsub("\194[\128-\159]", escape))
end

local function say(text)
    streams.stdout:write(plain(text), "\n")
end

-- Each line of the text as a line of its own.
local function say_lines(text)
    for line in (text .. "\n"):gmatch "([^\n]*)\n" do
        say(line)
    end
end

-- The first line tells the problem, a traceback may be behind it.
local function complain(problem)
    streams.stdout:flush()
    local text = tostring(problem):match "^[^\n]*"
    streams.stderr:write("evsock-qsys: ", plain(text), "\n")
end

local function shown(value)
    if type(value) ~= "table" then
        return tostring(value)
    end
    local texts = {}
    for place, entry in ipairs(value) do
        texts[place] = tostring(entry)
    end
    return table.concat(texts, ", ")
end

local function show_change(control, name, what)
    if what == "Value" then
        say(name .. " = " .. control.String)
    else
        say(name .. "." .. what .. " = " .. shown(control[what]))
    end
end

-- Whether Lua's own answer to Ctrl-C is what ended something: an error of just this text, behind
-- its position where that is known. A script that raises `error "interrupted!"` looks the same.
local function is_interrupt(problem)
    local text = tostring(problem):match "^[^\n]*"
    return text == "interrupted!" or text:find ":%d+: interrupted!$" ~= nil
end

-- The run -----------------------------------------------------------------------------------------

local Run = {}
Run.__index = Run

function Run:log(level, text)
    if level == "error" then
        -- Lua's error goes through the handler that it has hit.
        if is_interrupt(text) then
            self.is_interrupted = true
            evsock.stop()
            return
        end
        self.has_failed = true
    end
    say_lines((level == "print" or level == "message") and text or level .. ": " .. text)
end

-- Loads the file; false if it raised.
function Run:start()
    local ok, result = pcall(self.load, self.path, self.options)
    if ok then
        self.plugin = result
        return true
    elseif is_interrupt(result) then
        self.is_interrupted = true
        return false
    end
    self.has_failed = true
    complain(result)
    return false
end

function Run:look()
    local text = core.common.read_file(self.path)
    if not text or text == self.text then
        return
    end
    self.text = text
    say("-- " .. self.path .. " has changed: it runs anew")
    if self.plugin then
        self.plugin:stop()
    end
    self.plugin, self.has_failed = nil, false
    self:start()
end

-- A line that a user has typed.
function Run:obey(line)
    if #line > LONGEST then
        return complain("a line of more than " .. LONGEST .. " bytes is not obeyed")
    end
    -- None of the patterns tries every place of a run of blanks.
    local text = line:match "^%s*(%S.*)$"
    text = text and text:match "^.*%S"
    if not text then
        return
    elseif not self.plugin then
        return complain "the script does not run"
    end
    local verb, name = text:match "^(%l+)%s+([^%s=][^=]*)$"
    local act = (verb == "press" or verb == "hold" or verb == "release") and self.plugin[verb]
    local ok, problem
    if act then
        ok, problem = pcall(act, self.plugin, name)
    else
        local control, value = text:match "^([^=]*)=%s*(.*)$"
        control = control and control:match "^.*%S"
        if not control then
            return complain("type NAME=VALUE or press NAME, not " .. core.named(text))
        end
        ok, problem = pcall(self.plugin.set, self.plugin, control, value)
    end
    if not ok then
        complain((tostring(problem):match "^[^\n]*":gsub("^.-:%d+: ", "")))
    end
end

-- The keyboard ------------------------------------------------------------------------------------

-- Nothing more is taken from the keyboard; the plugin goes on.
local function complain_of_keyboard(why)
    complain("nothing is taken from the keyboard: " .. why)
end

-- What has no descriptor that can be waited for, a file, is read at once.
function Run:read_all()
    local line, why = streams.stdin:read "*l"
    while line do
        self:obey(line)
        line, why = streams.stdin:read "*l"
    end
    if why then
        complain_of_keyboard(why)
    end
end

function Run:listen()
    if package.config:sub(1, 1) == "\\" then
        return say "-- on Windows nothing is taken from the keyboard"
    end
    -- Without a buffer of Lua's: of what that had read ahead, nobody would be told.
    streams.stdin:setvbuf "no"
    local typed = {}
    local function obey_typed()
        local line = table.concat(typed)
        typed = {}
        self:obey(line)
    end
    local keyboard, message, code = evsock.watch(0, "r", function(keyboard)
        -- One character is there, or the end; a second one might be waited for.
        local character, why = streams.stdin:read(1)
        if not character then
            keyboard:close()
            if why then
                complain_of_keyboard(why)
            end
            -- The last line of a pipe may have no end.
            obey_typed()
        elseif character == "\n" then
            obey_typed()
        elseif #typed <= LONGEST then
            -- One more than fits, so that it is seen to be too long.
            typed[#typed + 1] = character
        end
    end)
    if not keyboard and code == "EPERM" then
        self:read_all()
    elseif not keyboard then
        complain_of_keyboard(message)
    else
        -- Where stdin was closed from the beginning, its number may be that of our own poller.
        function keyboard.on_error(_, problem)
            keyboard:close()
            complain_of_keyboard(problem)
        end
    end
    self.keyboard = keyboard
end

-- Waits until nothing is left that could happen, or for Ctrl-C.
function Run:wait()
    while true do
        local ok, problem = pcall(evsock.run)
        if not ok and is_interrupt(problem) then
            self.is_interrupted = true
        elseif not ok then
            self.has_failed = true
            complain(problem)
        end
        if ok or self.is_interrupted then
            return
        end
    end
end

function Run:finish()
    if self.plugin then
        self.plugin:stop()
    end
    if self.keyboard then
        self.keyboard:close()
    end
    if self.watcher then
        self.watcher:cancel()
    end
    if self.has_failed then
        return 1
    end
    return self.is_interrupted and 130 or 0
end

-- Runs the command with the arguments, a list of texts. Returns its exit status.
return function(load, arguments, given)
    streams = given
    local asked, problem = parse(arguments)
    if not asked then
        complain(problem .. "; evsock-qsys --help tells more")
        return 2
    elseif asked.helps then
        streams.stdout:write(USAGE)
        return 0
    end
    local text, reason = core.common.read_file(asked.path)
    if not text then
        complain(reason)
        return 2
    end
    if asked.traces then
        evsock.trace(true)
    end
    streams.stdout:setvbuf "line"
    local run = setmetatable({ load = load, path = asked.path, text = text }, Run)
    run.options = asked.options
    run.options.watch = show_change
    function run.options.logger(level, entry)
        run:log(level, entry)
    end
    local is_loaded = run:start()
    if is_loaded or asked.watches and not run.is_interrupted then
        run:listen()
        if asked.watches then
            run.watcher = evsock.every(LOOK, function()
                run:look()
            end)
        end
        run:wait()
    end
    return run:finish()
end
