-- The parts that the library consists of are its own: a script can require the dialects alone.

local helper = require "spec.helper"

-- Names of chunks, and which of them are dialects, as the library lists them.
local function listed()
    local text = helper.read_file "src/lua/chunks.rs"
    local names, dialects = {}, {}
    for name in text:gmatch '"([%w_/]+)" from "' do
        names[#names + 1] = name
    end
    for name in text:match "DIALECTS[^=]*=%s*&%[(.-)%]":gmatch '"([%w/]+)"' do
        dialects[name] = true
    end
    return names, dialects
end

describe("the parts of the library", function()
    after_each(helper.finish)

    it("are the files that lie beside its Rust and its dialects, each named once", function()
        local names = listed()
        local known, files = {}, 0
        for _, name in ipairs(names) do
            assert.is_nil(known[name], name)
            known[name] = true
        end
        helper.unix_only("a shell of Unix")
        local list = assert(io.popen "find src/lua src/dialects -name '*.lua'")
        for _ in list:lines() do
            files = files + 1
        end
        list:close()
        assert.equal(files, #names)
    end)

    it("loop over pairs in one way, and have no name of what LuaJIT gets in its place", function()
        local chunks = helper.read_file "src/lua/chunks.rs"
        local called = chunks:match 'CALLED: &str = "([%w_]+)"'
        local paths = {}
        for path in chunks:gmatch 'from "([^"]+)"' do
            paths[#paths + 1] = ("src/lua/" .. path):gsub("lua/%.%./", "")
        end
        assert.is_true(#paths > 50)
        for _, path in ipairs(paths) do
            local text = helper.read_file(path)
            assert.is_nil(text:find(called, 1, true), path)
            assert.is_nil(text:match "[^\n]* in pairs[^(][^\n]*", path)
            assert.is_nil(text:match "[^\n]* in next[^\n]*", path)
        end
    end)

    it("cannot be required by a script, in whatever way they are written", function()
        local names, dialects = listed()
        local loaded = {}
        for _, name in ipairs(names) do
            local ways = {
                name, "evsock." .. name, "evsock/" .. name, "evsock." .. name:gsub("/", "."),
                (name:gsub("/", ".")), "evsock." .. name:gsub("/", "_"),
            }
            for _, way in ipairs(ways) do
                -- Of an entry point's name Lua makes an underscore of each dot.
                local is_dialect = dialects[name]
                    and way:gsub("_", ".") == "evsock." .. name:gsub("/", ".")
                local ok = pcall(require, way)
                if ok and not is_dialect then
                    error(way .. " can be required")
                elseif is_dialect then
                    loaded[name] = ok
                end
            end
        end
        assert.same(dialects, loaded)
        assert.is_true(loaded.qsys and loaded.pharos and loaded.renoise and loaded.hammerspoon)
    end)

    it("are no fields of the module", function()
        for _, name in ipairs { "core", "part", "parts", "chunk" } do
            assert.is_nil(rawget(helper.evsock, name), name)
        end
    end)
end)
