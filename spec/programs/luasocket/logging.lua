-- lua-logging's appender for sockets. Words: the port of `protocols.lines`, and one where nobody
-- listens.

local start, port, nobody = ...
require "logging.socket"
local logging = require "logging"

local logger = logging.socket("127.0.0.1", tonumber(port), "%level %message\n")
logger:info("it begins")
logger:warn("a table: %s", tostring(#{ 1, 2 }))
logger:setLevel(logging.ERROR)
logger:info("not to be seen")
logger:error("the last")
start.together(20, function(i)
    logger:error("one of many: " .. i)
end)

print("nobody", logging.socket("127.0.0.1", tonumber(nobody)):info("lost"))
