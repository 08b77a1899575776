-- What the documents show is run as printed, on the interpreter that runs the specs.

local helper = require "spec.helper"

local read = helper.read_file

-- The text of one section of README, which begins with this heading.
local function section(heading)
    local text = read("README.md"):match("\n## " .. heading .. "\n(.-)\n## ")
    return assert(text, "README has no section " .. heading)
end

-- Runs a text, whose globals are the fields of `env` and those of everybody.
local function run_text(text, env)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    local chunk = helper.load_file(path, setmetatable(env, { __index = _G }))
    os.remove(path)
    chunk()
end

-- The amplifier of the first section, in this process; returns its port.
local function start_amplifier()
    local port
    run_text(read("examples/qsys_host/device.lua"), {
        arg = { "0" },
        print = function(line)
            port = line:match("^the amplifier listens at port (%d+)$")
        end,
        require = function(name)
            local module = require(name)
            if name == "evsock" then
                return { run = function() end }
            end
            return { device = function(...)
                return helper.track(assert(module.device(...)))
            end }
        end,
    })
    return assert(port)
end

describe("the documents", function()
    after_each(helper.finish)

    it("README: a plugin that a script loads prints what the text says", function()
        local text = section "Run a plugin"
        local code = assert(text:match("```lua\n(.-)```"))
        local said = {}
        code = code:gsub("127%.0%.0%.1:2323", "127.0.0.1:" .. start_amplifier())
        run_text(code, { print = function(line) said[#said + 1] = line end })
        assert.same({ assert(text:match("this one prints `(.-)`")) }, said)
    end)

    it("README: the workflow installs rocks that there are", function()
        local count, install = 0, section "Install"
        local workflow = assert(section("Test it in CI"):match("```yaml\n(.-)```"))
        local name = assert(workflow:match("install rocks/([^\n]*%.rock)"))
        for system in workflow:gmatch("rock: ([%w_-]+)") do
            local file = name:gsub("%${{.-}}", system)
            assert.is_truthy(install:find(file, 1, true), file)
            count = count + 1
        end
        assert.equal(3, count)
    end)

    it("examples: each stands in the list of them, and nothing else does", function()
        local list, listed, there = read("examples/README.md"), {}, {}
        for path in list:gmatch("\n| %[`[^`]+`%]%(([^)]+)%)") do
            listed[#listed + 1] = path:gsub("/.*", "")
        end
        local pipe = io.popen("ls examples")
        for name in pipe:lines() do
            there[#there + 1] = name ~= "README.md" and name or nil
        end
        pipe:close()
        table.sort(listed)
        table.sort(there)
        assert.same(there, listed)
    end)

    it("README: the example prints what the text says", function()
        local text = section "An example"
        local code = assert(text:match("```lua\n(.-)```"))
        local promised = assert(text:match("it prints `(.-)`"))
        local said, status = helper.run(code)
        assert.equal(promised, (said:gsub("%s+$", "")))
        assert.is_true(status == 0 or status == true)
    end)

    it("README: the example has at most 15 lines", function()
        local code = section("An example"):match("```lua\n(.-)```")
        local lines = 0
        for line in code:gmatch("[^\n]+") do
            lines = lines + (line:find("%S") and 1 or 0)
        end
        assert.is_true(lines <= 15)
    end)

    it("examples: each program of luasocket.md prints what the page says", function()
        local page = read("examples/luasocket.md")
        local promised = {}
        for text in page:match("\nBoth print (.-)%.\n"):gmatch("`(.-)`") do
            promised[#promised + 1] = text
        end
        local count = 0
        for code in page:gmatch("```lua\n(.-)```") do
            local said, status = helper.run(code)
            local lines = {}
            for line in said:gmatch("[^\n]+") do
                lines[#lines + 1] = line
            end
            table.sort(lines)
            assert.same({ "hello, one", "hello, other" }, promised)
            assert.same(promised, lines)
            assert.is_true(status == 0 or status == true)
            count = count + 1
        end
        assert.equal(2, count)
    end)

    -- Examples that need a server, and the specs that start one and run them.
    local others = {
        ["examples/libpq.lua"] = "spec/peers/watched_spec.lua",
        ["examples/nginx_get.lua"] = "spec/peers/nginx_spec.lua",
        ["examples/pinned_device.lua"] = "spec/peers/tls_spec.lua",
        ["examples/postgres_startup.lua"] = "spec/peers/postgres_spec.lua",
        ["examples/redis.lua"] = "spec/peers/redis_spec.lua",
        ["examples/redis_subscribe.lua"] = "spec/peers/redis_spec.lua",
        ["examples/serial_port.lua"] = "spec/peers/watched_spec.lua",
        ["examples/stdin.lua"] = "spec/peers/watched_spec.lua",
    }

    local function check_with_server(path, spec)
        it("examples: " .. path .. " says how to run it, and " .. spec .. " does", function()
            local runs = read(spec):find(("example.run(%q"):format(path), 1, true)
                or read(spec):find(("example.command(%q"):format(path), 1, true)
            assert.is_truthy(runs)
            local code = read(path)
            assert.is_truthy(code:match("^%-%- %u"))
            local said, status = helper.run(code)
            assert.equal(1, status)
            assert.is_truthy(said:find("usage: lua%l* " .. path:gsub("%p", "%%%0")))
        end)
    end

    local function check(path)
        it("examples: " .. path .. " ends well and says on its first line what it shows", function()
            local code = read(path)
            assert.is_truthy(code:match("^%-%- %u"))
            local said, status = helper.run(code)
            assert.is_true(status == 0 or status == true, said)
            assert.is_true(#said > 0)
        end)
    end

    local list = io.popen("ls examples/*.lua")
    for path in list:lines() do
        if others[path] then
            check_with_server(path, others[path])
        else
            check(path)
        end
    end
    list:close()
end)

-- As it stands in a project of its own, where the plugin is beside it.
describe("README's suite", function()
    local code = assert(section("Test it in CI"):match("```lua\n(.-)```"))
    code = code:gsub('"amplifier.qplug"', '"examples/qsys_host/amplifier.qplug"')
    run_text(code, { describe = describe, it = it, assert = assert })
    after_each(helper.finish)
end)
