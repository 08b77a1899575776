std = "min"
max_line_length = 100
exclude_files = { "build", "target" }
files["spec/**/*_spec.lua"] = { std = "min+busted" }
