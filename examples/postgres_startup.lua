-- Shows binary frames with peek and read_exact: how a client of PostgreSQL begins, and one query.
--
-- Run it: lua examples/postgres_startup.lua USER HOST PORT  (or unix:/path instead of HOST PORT)

local evsock = require "evsock"

local user, host, port = arg[1], arg[2], arg[3]
assert(host, "usage: lua examples/postgres_startup.lua USER HOST PORT | USER unix:/PATH")

-- Numbers have four bytes, the highest first.
local function pack(n)
    local low = n % 65536
    local high = (n - low) / 65536
    return string.char(math.floor(high / 256), high % 256, math.floor(low / 256), low % 256)
end

local function unpack(text, at)
    local a, b, c, d = text:byte(at, at + 3)
    return ((a * 256 + b) * 256 + c) * 256 + d
end

local sock = evsock.socket()
local begun, queried = false, false
-- What to do with the content of a frame, by its type. A text ends with a zero byte (%c).
local frames = {
    R = function(content)
        print(unpack(content, 1) == 0 and "AuthenticationOk" or "it wants a password")
    end,
    S = function(content)
        print(("ParameterStatus: %s = %s"):format(content:match("^(%C+)%c(%C*)%c$")))
    end,
    K = function(content) print("BackendKeyData: process " .. unpack(content, 1)) end,
    D = function(content) print("DataRow: " .. content:sub(7)) end, -- count, length, then the text
    E = function(content) print("ErrorResponse: " .. content:gsub("%c", " ")) end,
    Z = function()
        print("ReadyForQuery")
        local query = "SELECT 6 * 7\0"
        sock:write(queried and "X\0\0\0\4" or "Q" .. pack(#query + 4) .. query)
        queried = true
    end,
}

function sock:on_data()
    if not begun then
        print("answer to SSLRequest: " .. self:read_exact(1)) -- "S" would be the place of start_tls
        local content = pack(196608) .. "user\0" .. user .. "\0database\0postgres\0\0"
        self:write(pack(#content + 4), content)
        begun = true
    end
    local head = self:peek(5)
    while head and #head == 5 and self.buffered > unpack(head, 2) do
        local frame = self:read_exact(1 + unpack(head, 2));
        (frames[frame:sub(1, 1)] or tostring)(frame:sub(6)) -- unknown types are skipped
        head = self:peek(5)
    end
end

sock:connect(host, port)
sock:write(pack(8), pack(80877103))
evsock.run()
