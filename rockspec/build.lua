-- Builds the module for the Lua that runs this. Called by luarocks: build.lua LUA_INCDIR

local target = dofile("rockspec/target.lua")(arg[1])

-- The least Rust, "1.88", from where cargo has it too.
local function least_version()
    local file = assert(io.open("Cargo.toml"))
    local text = file:read("*a")
    file:close()
    return assert(text:match('rust%-version = "([%d.]+)"'), "no rust-version in Cargo.toml")
end

local least = least_version()

-- One line that says all that is needed, whichever of it is missing.
local function fail(problem)
    io.stderr:write(("evsock: building needs Rust %s or newer (cargo) and a C compiler (cc): %s\n")
        :format(least, problem))
    os.exit(1)
end

-- 5.1 returns the status, later ones true or nil first.
local function run(command)
    local result = os.execute(command)
    return result == true or result == 0
end

local function is_there(program)
    return run("command -v " .. program .. " >/dev/null 2>&1")
end

local function number_of(version)
    local major, minor = version:match("^(%d+)%.(%d+)")
    return major and major * 1000 + minor
end

if not is_there("cargo") then
    fail("there is no cargo in the PATH")
end
-- Asked first: an old cargo refuses our Cargo.toml with words that don't help.
local pipe = assert(io.popen("cargo --version 2>&1"))
local said = pipe:read("*a")
pipe:close()
local found = said:match("^cargo (%d+%.%d+[%d.]*)")
if not found then
    fail("'cargo --version' says: " .. (said:match("[^\n]+") or "nothing"))
elseif number_of(found) < number_of(least) then
    fail("this is cargo " .. found)
end

local command = ("cargo build --release --no-default-features --features %s --lib --target-dir %s")
    :format(target.feature, target.quote(target.directory))
if not run(command) then
    fail(is_there("cc") and "the build failed: " .. command or "there is no cc in the PATH")
end
