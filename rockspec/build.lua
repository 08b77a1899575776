-- Builds the module for the Lua that runs this. Called by luarocks: build.lua LUA_INCDIR

local target = dofile("rockspec/target.lua")(arg[1])

-- 5.1 returns the status, later ones true or nil first.
local function run(command)
    local result = os.execute(command)
    return result == true or result == 0
end

if not run("cargo --version >/dev/null 2>&1") then
    io.stderr:write("evsock is built with Rust 1.88 or newer: no cargo found in the PATH\n")
    os.exit(1)
end

local command = ("cargo build --release --no-default-features --features %s --lib --target-dir %s")
    :format(target.feature, target.directory)
if not run(command) then
    io.stderr:write("evsock: the build failed: " .. command .. "\n")
    os.exit(1)
end
