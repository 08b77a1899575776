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
local COMPILER = target.is_windows
    and "(of Visual Studio's build tools or, for Rust's gnu host, MinGW's gcc)" or "(cc)"

-- One line that says all that is needed, whichever of it is missing.
local function fail(problem)
    io.stderr:write(("evsock: building needs Rust %s or newer (cargo) and a C compiler %s: %s\n")
        :format(least, COMPILER, problem))
    os.exit(1)
end

local function number_of(version)
    local major, minor = version:match("^(%d+)%.(%d+)")
    return major and major * 1000 + minor
end

-- Asked first: an old cargo refuses our Cargo.toml with words that don't help.
local said = target.ask("cargo --version")
local found = said:match("^cargo (%d+%.%d+[%d.]*)")
if not found then
    fail(target.is_there("cargo")
        and "'cargo --version' says: " .. (said:match("[^\r\n]+") or "nothing")
        or "there is no cargo in the PATH")
elseif number_of(found) < number_of(least) then
    fail("this is cargo " .. found)
end

local command = ("cargo build --release --no-default-features --features %s --lib --target-dir %s")
    :format(target.feature, target.quote(target.directory))
-- There luarocks names a compiler that may not exist, or not be the one that Rust links with. Rust
-- finds its own.
local prefix = target.is_windows and "set CC=& set CFLAGS=& " or ""
if not target.run(prefix .. command) then
    fail((target.is_windows or target.is_there("cc")) and "the build failed: " .. command
        or "there is no cc in the PATH")
end
