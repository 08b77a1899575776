-- The rock's helpers (rockspec/*.lua) on every system, also on those that this machine is not: each
-- runs in an environment whose system, shell and files are made up. Luarocks itself is .ci/rock's.

local helper = require "spec.helper"

local read = helper.read_file

-- What a program of Windows is told, word by word, when cmd.exe /c is given that text: the whole
-- loses its outermost quotes, and what is in quotes is one word.
local function words_on_windows(command)
    local inner = assert(command:match('^"(.*)"$'), "not quoted as a whole: " .. command)
    local words, word, quoted = {}, nil, false
    for letter in (inner .. " "):gmatch(".") do
        if letter == '"' then
            quoted, word = not quoted, word or ""
        elseif letter == " " and not quoted then
            words[#words + 1], word = word, nil
        else
            word = (word or "") .. letter
        end
    end
    assert(not quoted, "a quote is left open: " .. command)
    return words
end

-- A system: `config` is its package.config; files lie in `files`, by path; `answers` holds what a
-- command says, by a pattern; `statuses` what it ends with (0). What it is told stands in `told`.
local function system(traits)
    local it = { files = {}, told = {}, answers = {}, statuses = {}, said = "", variables = {} }
    for name, value in pairs(traits) do
        it[name] = value
    end

    local function looked_up(list, command)
        for pattern, value in pairs(list) do
            if command:find(pattern) then
                return value
            end
        end
    end
    local function opened(path, mode)
        if (mode or "r"):find("w") then
            return {
                write = function(_, text) it.files[path] = text return true end,
                close = function() return true end,
            }
        end
        local text = it.files[path] or path == "Cargo.toml" and read(path)
        return text and { read = function() return text end, close = function() end } or nil
    end
    it.env = setmetatable({
        package = { config = it.config },
        os = {
            execute = function(command)
                it.told[#it.told + 1] = command
                return looked_up(it.statuses, command) or 0
            end,
            getenv = function(name) return it.variables[name] end,
            exit = function(status) error({ status = status }) end,
        },
        io = {
            open = opened,
            popen = function(command)
                it.told[#it.told + 1] = command
                local text = looked_up(it.answers, command) or ""
                return { read = function() return text end, close = function() end }
            end,
            stderr = { write = function(_, text) it.said = it.said .. text end },
        },
        dofile = function(path) return helper.load_file(path, it.env)() end,
    }, { __index = _G })

    -- Runs a helper with these arguments; its exit status.
    function it.run(path, ...)
        it.env.arg = { ... }
        local ok, problem = pcall(helper.load_file(path, it.env))
        if not ok and type(problem) ~= "table" then
            error(problem, 0)
        end
        return ok and 0 or problem.status
    end
    return it
end

local FEATURE = helper.is_luajit and "luajit" or "lua" .. _VERSION:match("%d.%d"):gsub("%.", "")
local GOOD = { ["cargo %-%-version"] = "cargo 1.95.0 (f2d3ce0bd 2026-03-21)\n" }

-- What makes a system whose paths have that separator.
local function with_separator(separator)
    return function(traits)
        traits = traits or {}
        traits.config = separator .. "\n;\n?\n!\n-\n"
        traits.answers = traits.answers or GOOD
        return system(traits)
    end
end

local on_windows, on_unix = with_separator("\\"), with_separator("/")

-- The last thing that the shell was told.
local function last(it)
    return it.told[#it.told]
end

describe("the rock on Windows", function()
    it("asks nothing that only a shell of Unix understands", function()
        local windows = on_windows()
        windows.files["target/" .. FEATURE .. "/release/evsock.dll"] = "module"
        windows.run("rockspec/build.lua", "C:\\lua\\include")
        windows.run("rockspec/install.lua", "C:\\lua\\include", "C:\\tree\\lib", "dll")
        assert.is_true(#windows.told >= 3)
        for _, command in ipairs(windows.told) do
            assert.is_nil(command:find("'", 1, true), command)
            assert.is_nil(command:find("/dev/null", 1, true), command)
            assert.is_nil(command:find("command -v", 1, true), command)
            assert.is_nil(command:find("mkdir -p", 1, true), command)
        end
    end)

    it("builds in a folder whose path has blanks and percent signs", function()
        local windows = on_windows { variables = { CARGO_TARGET_DIR = "C:\\My %TEMP% builds" } }
        assert.equal(0, windows.run("rockspec/build.lua", "C:\\lua\\include"))
        assert.is_truthy(last(windows):find('"%"TEMP"%"', 1, true), last(windows))
        local words = words_on_windows(last(windows))
        local place
        for index, word in ipairs(words) do
            place = word == "--target-dir" and words[index + 1] or place
        end
        assert.equal("C:\\My %TEMP% builds/" .. FEATURE, place)
    end)

    it("leaves the C compiler to Rust, which knows its own", function()
        local windows = on_windows()
        assert.equal(0, windows.run("rockspec/build.lua", "C:\\lua\\include"))
        local text = table.concat(words_on_windows(last(windows)), " ")
        assert.is_truthy(text:find("^set CC=& set CFLAGS=& cargo build %-%-release"), text)
        assert.is_truthy(text:find("--features " .. FEATURE .. " ", 1, true), text)
    end)

    it("tells LuaJIT by its headers", function()
        local windows = on_windows()
        windows.files["C:\\lua\\include/luajit.h"] = ""
        assert.equal(0, windows.run("rockspec/build.lua", "C:\\lua\\include"))
        assert.is_truthy(last(windows):find("--features luajit ", 1, true), last(windows))
    end)

    it("makes the folder and puts evsock.dll there", function()
        local windows = on_windows()
        windows.files["target/" .. FEATURE .. "/release/evsock.dll"] = "the module"
        assert.equal(0, windows.run("rockspec/install.lua", "C:\\lua\\include",
            "C:\\my tree/lib/luarocks\\evsock\\lib", "dll"))
        assert.equal('"mkdir "C:\\my tree\\lib\\luarocks\\evsock\\lib" 2>nul"', last(windows))
        local installed = "C:\\my tree\\lib\\luarocks\\evsock\\lib\\evsock.dll"
        assert.equal("the module", windows.files[installed])
    end)

    it("says which program is missing", function()
        local absent = on_windows {
            answers = { cargo = "'cargo' is not recognized as an internal or external command\n" },
            variables = { PATH = '"C:\\Program Files\\Git";C:\\windows' },
        }
        assert.equal(1, absent.run("rockspec/build.lua", ""))
        assert.is_truthy(absent.said:find("^evsock: building needs Rust 1%.%d+ or newer %(cargo%)"))
        assert.is_truthy(absent.said:find(": there is no cargo in the PATH\n$"), absent.said)
        assert.is_truthy(absent.said:find("Visual Studio", 1, true), absent.said)

        local old = on_windows { answers = { cargo = "cargo 1.63.0 (fd9c4297c 2022-07-01)\r\n" } }
        assert.equal(1, old.run("rockspec/build.lua", ""))
        assert.is_truthy(old.said:find(": this is cargo 1.63.0\n$"), old.said)

        local broken = on_windows {
            answers = { cargo = "error: no default toolchain\r\nhelp: run rustup\r\n" },
            variables = { PATH = 'C:\\windows;"C:\\my rust"' },
            files = { ["C:\\my rust/cargo.exe"] = "" },
        }
        assert.equal(1, broken.run("rockspec/build.lua", ""))
        assert.is_truthy(broken.said:find(
            ": 'cargo --version' says: error: no default toolchain\n", 1, true), broken.said)

        local failing = on_windows { statuses = { ["cargo build"] = 101 } }
        assert.equal(1, failing.run("rockspec/build.lua", ""))
        assert.is_truthy(failing.said:find(": the build failed: ", 1, true), failing.said)
    end)

    it("says where nothing was built", function()
        local windows = on_windows()
        assert.equal(1, windows.run("rockspec/install.lua", "", "C:\\tree\\lib", "dll"))
        assert.equal("evsock: nothing was built in target/" .. FEATURE .. "\n", windows.said)
    end)
end)

describe("the rock on Unix", function()
    it("quotes for its shell", function()
        local unix = on_unix { variables = { CARGO_TARGET_DIR = "/it's here" } }
        assert.equal(0, unix.run("rockspec/build.lua", "/usr/include"))
        assert.is_truthy(last(unix):find("^cargo build "), last(unix))
        local place = [[--target-dir '/it'\''s here/]] .. FEATURE .. "'"
        assert.is_truthy(last(unix):find(place, 1, true), last(unix))
    end)

    it("installs what macOS calls evsock.dylib as evsock.so", function()
        local mac = on_unix()
        mac.files["target/" .. FEATURE .. "/release/libevsock.dylib"] = "the module"
        assert.equal(0, mac.run("rockspec/install.lua", "/usr/include", "/tree/lib", "so"))
        assert.equal("mkdir -p '/tree/lib'", last(mac))
        assert.equal("the module", mac.files["/tree/lib/evsock.so"])
    end)

    it("says that there is no C compiler when the build fails for want of one", function()
        local unix = on_unix {
            statuses = { ["cargo build"] = 101 },
            variables = { PATH = "/usr/bin:/bin" },
        }
        assert.equal(1, unix.run("rockspec/build.lua", ""))
        assert.is_truthy(unix.said:find(": there is no cc in the PATH\n$"), unix.said)
        unix.files["/bin/cc"] = ""
        unix.said = ""
        assert.equal(1, unix.run("rockspec/build.lua", ""))
        assert.is_truthy(unix.said:find(": the build failed: cargo build ", 1, true), unix.said)
    end)
end)

describe("the rockspec", function()
    local spec = {}
    helper.load_file("rockspec/evsock-scm-1.rockspec", spec)()

    it("is for Unix and Windows, by luarocks' names", function()
        assert.same({ "unix", "windows" }, spec.supported_platforms)
    end)

    -- A build of type "command" is a command of two lines there, of which cmd.exe runs the first:
    -- luarocks would call it a success, with nothing built.
    it("is built by make on Windows", function()
        local windows = assert(spec.build.platforms.windows)
        assert.equal("make", windows.type)
        local makefile = read(windows.makefile)
        for target, variables in pairs {
            all = windows.build_variables, install = windows.install_variables,
        } do
            local recipe = assert(makefile:match("\n" .. target .. ":\n\t([^\n]+)\n"), target)
            assert.is_truthy(recipe:find('^"%$%(LUA%)" rockspec/%w+%.lua '), recipe)
            -- Every name that the recipe uses is given, and is luarocks' own.
            for name in recipe:gmatch("%$%((.-)%)") do
                assert.equal("$(" .. name .. ")", variables[name])
            end
        end
    end)
end)
