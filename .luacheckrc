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
files["examples/renoise_echo.lua"] = { read_globals = { "renoise" } }
files["examples/qsys_demo"] = { std = "min", allow_defined = true, ignore = { "1.." } }
-- What these hosts give to their scripts.
files["examples/hosts/love"] = { globals = { "love" } }
files["examples/hosts/with_neovim.lua"] = { read_globals = { "vim" } }
files["examples/hammerspoon_http.lua"] = { read_globals = { "hs" } }
