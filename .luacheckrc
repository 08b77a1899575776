std = "min"
max_line_length = 100
exclude_files = { "build", "target" }
files["spec/**/*_spec.lua"] = { std = "min+busted" }
-- For one build or system alone, so no specs that every run finds.
files["spec/torture/tls_bytes.lua"] = { std = "min+busted" }
files["spec/windows/system.lua"] = { std = "min+busted" }
-- Fields that only some versions have; the code asks before it uses them.
read_globals = { math = { fields = { "tointeger" } }, table = { fields = { "unpack" } }, "unpack" }
ignore = { "143", "113/unpack" }
-- Declarations for editors: nothing in them is used.
files["src/meta"] = { ignore = { "212", "241" } }
-- It stands in for each version's own globals.
files["src/dialects/qsys/host/environment.lua"] = {
    read_globals = { "getfenv", "loadstring", "setfenv" },
}
-- A script of a design, with a Core's globals and its own.
files["spec/programs/qsys/scene.lua"] = {
    globals = { "Controls" }, read_globals = { "Component", "TcpSocket" }, allow_defined_top = true,
    ignore = { "131" },
}
files["examples/renoise_echo.lua"] = { read_globals = { "renoise" } }
files["examples/plugin_tests/projector.lua"] = {
    globals = { "Controls" }, read_globals = { "TcpSocket", "Timer" },
}
files["examples/plugin_tests/projector_spec.lua"] = { std = "min+busted" }
files["examples/qsys_demo"] = { std = "min", allow_defined = true, ignore = { "1.." } }
-- What these hosts give to their scripts.
files["examples/hosts/love"] = { globals = { "love" } }
files["examples/hosts/with_neovim.lua"] = { read_globals = { "vim" } }
files["examples/hammerspoon_http.lua"] = { read_globals = { "hs" } }
