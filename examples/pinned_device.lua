-- Shows a device that has signed its own certificate: its fingerprint is asked for, then given.
--
-- Run it: lua examples/pinned_device.lua HOST PORT FINGERPRINT  (the first time without the last)

local evsock = require "evsock"

local host, port, fingerprint = arg[1], arg[2], arg[3]
assert(port, "usage: lua examples/pinned_device.lua HOST PORT [sha256:...]")

-- Without a fingerprint nobody is verified, and nothing is said that matters.
local tls = fingerprint and { fingerprint = fingerprint } or { verify = false }
local sock = evsock.connect(host, port, { tls = tls })
local ok, message, code = sock:wait("connect", 10)

if code == "TLS_FINGERPRINT" then
    print "This is not the device, or it has a new certificate. Go and look before you trust it:"
    print(message)
elseif not ok then
    print(message, code)
elseif not fingerprint then
    local peer = sock.tls.peer
    print("Compare this with what the device itself shows, then give it as the fingerprint:")
    print(peer.fingerprint)
    if peer.subject and peer.not_after then
        print(("%s, until %s"):format(peer.subject, os.date("!%Y-%m-%d", peer.not_after)))
    end
else
    print("This is the device: verified by " .. sock.tls.verified)
end
sock:close()
