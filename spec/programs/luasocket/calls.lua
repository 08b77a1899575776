-- lua-xmlrpc and lua-soap: calls of a peer. Word: the port of `protocols.http`.

local start, port = ...
local BASE = "http://127.0.0.1:" .. port

local xmlrpc = require "xmlrpc.http"
require "xmlrpc"
local soap = require "soap.client"

print("xmlrpc", xmlrpc.call(BASE .. "/xmlrpc", "add", 2, 3))
print("a fault", xmlrpc.call(BASE .. "/xmlrpc", "fail"))
print("no such page", pcall(xmlrpc.call, BASE .. "/missing", "add", 2, 3) == false)

local function double(n)
    local namespace, method, entries = soap.call {
        url = BASE .. "/soap", soapaction = "urn:double", namespace = "urn:example",
        method = "double",
        entries = { { tag = "value", n } },
    }
    return namespace, method, entries[1][1]
end
print("soap", double(21))

start.together(20, function(i)
    local _, sum = xmlrpc.call(BASE .. "/xmlrpc", "add", i, i)
    local _, _, twice = double(i)
    assert(sum == 2 * i and tonumber(twice) == 2 * i)
end)
print("twenty at once")
