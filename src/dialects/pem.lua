-- PEM: text around bytes.
--
-- Not here: reading it (`src/tls/pem.rs`).

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function to_base64(data)
    local lines, line = {}, {}
    for at = 1, #data, 3 do
        local a, b, c = data:byte(at, at + 2)
        local bits = a * 65536 + (b or 0) * 256 + (c or 0)
        for digit = 3, 0, -1 do
            local index = math.floor(bits / 64 ^ digit) % 64 + 1
            line[#line + 1] = (digit == 0 and not c or digit == 1 and not b) and "="
                or ALPHABET:sub(index, index)
        end
        if #line == 64 then
            lines[#lines + 1], line = table.concat(line), {}
        end
    end
    lines[#lines + 1] = line[1] and table.concat(line) or nil
    return table.concat(lines, "\n")
end

-- `title`: "CERTIFICATE".
return function(data, title)
    return ("-----BEGIN %s-----\n%s\n-----END %s-----\n"):format(title, to_base64(data), title)
end
