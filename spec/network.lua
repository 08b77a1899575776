-- Interpreters in networks of their own, where a spec may have the interfaces and addresses that it
-- needs. Not here: what is shown there. Where the system allows no such network there is none.

local helper = require "spec.helper"

local network = {}

-- `lo` with fe80::77; `va` and `vb`, the ends of a cable, with 10.77.0.1 and fe80::a, 10.77.0.2 and
-- fe80::b.
local INTERFACES = [[
ip link set lo up && ip -6 addr add fe80::77/64 dev lo nodad || exit 1
ip link add va type veth peer name vb && ip link set va up && ip link set vb up || exit 1
ip addr add 10.77.0.1/24 dev va && ip addr add 10.77.0.2/24 dev vb || exit 1
ip -6 addr add fe80::a/64 dev va nodad && ip -6 addr add fe80::b/64 dev vb nodad || exit 1
# What comes from ourselves by the cable is not dropped.
for name in all va vb; do
    echo 1 >/proc/sys/net/ipv4/conf/$name/accept_local
    echo 0 >/proc/sys/net/ipv4/conf/$name/rp_filter
done
]]

--- The path of an interpreter for `helper.run` in such a network, and what removes it; nil where
--- that can't be had.
function network.interpreter()
    if helper.is_windows then
        return nil
    end
    local path = os.tmpname()
    local setup = path .. ".setup"
    local file = assert(io.open(setup, "w"))
    file:write(INTERFACES, 'exec "$@"\n')
    file:close()
    local function remove()
        os.remove(path)
        os.remove(setup)
    end
    for _, flags in ipairs { "-n", "--map-current-user --keep-caps -n", "-rn" } do
        file = assert(io.open(path, "w"))
        file:write("#!/bin/sh\nexec unshare ", flags, " sh ", setup, " ", helper.lua, ' "$@"\n')
        file:close()
        os.execute("chmod +x " .. path)
        local output, status = helper.run("print(1)", path)
        if status == 0 and output == "1\n" then
            return path, remove
        end
    end
    remove()
end

return network
