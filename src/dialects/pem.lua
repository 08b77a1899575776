-- PEM: text around bytes.
--
-- Not here: reading it (`src/tls/pem.rs`).

local _, core = ...

-- `title`: "CERTIFICATE".
return function(data, title)
    local lines = core.encoding.base64_encode(data):gsub(("."):rep(64), "%0\n"):gsub("\n$", "")
    return ("-----BEGIN %s-----\n%s\n-----END %s-----\n"):format(title, lines, title)
end
