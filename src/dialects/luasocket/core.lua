-- LuaSocket: the module `socket.core`, put together from its parts.
--
-- Not here: what a part does. Invariant: each part returns the table of what it adds.

local _, core = ...

local module = {}
for _, name in ipairs { "misc", "dns", "select", "tcp", "udp" } do
    for field, value in pairs(core.part("luasocket/" .. name).module) do
        module[field] = value
    end
end

return module
