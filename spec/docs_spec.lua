-- What the documents show is run as printed, on the interpreter that runs the specs.

local helper = require "spec.helper"

local function read(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
end

describe("the documents", function()
    after_each(helper.finish)

    it("README: the example prints what the text says", function()
        local readme = read("README.md")
        local code = assert(readme:match("```lua\n(.-)```"))
        local promised = assert(readme:match("it prints `(.-)`"))
        local said, status = helper.run(code)
        assert.equal(promised, (said:gsub("%s+$", "")))
        assert.is_true(status == 0 or status == true)
    end)

    it("README: the example has at most 15 lines", function()
        local code = read("README.md"):match("```lua\n(.-)```")
        local lines = 0
        for line in code:gmatch("[^\n]+") do
            lines = lines + (line:find("%S") and 1 or 0)
        end
        assert.is_true(lines <= 15)
    end)

    -- Examples that need a server, and the specs that start one and run them.
    local others = {
        ["examples/nginx_get.lua"] = "spec/peers/nginx_spec.lua",
        ["examples/postgres_startup.lua"] = "spec/peers/postgres_spec.lua",
        ["examples/redis.lua"] = "spec/peers/redis_spec.lua",
        ["examples/redis_subscribe.lua"] = "spec/peers/redis_spec.lua",
    }

    local function check_with_server(path, spec)
        it("examples: " .. path .. " says how to run it, and " .. spec .. " does", function()
            assert.is_truthy(read(spec):find(("example.run(%q"):format(path), 1, true))
            local code = read(path)
            assert.is_truthy(code:match("^%-%- %u"))
            local said, status = helper.run(code)
            assert.equal(1, status)
            assert.is_truthy(said:find("usage: lua " .. path, 1, true))
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
