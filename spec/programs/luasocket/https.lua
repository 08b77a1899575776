-- LuaSec's https.lua. Words: the ports of nginx and of `protocols.http` with TLS, a file with
-- their root, and one with another.

local start, port, own_port, root, other = ...
local https = require "ssl.https"
local ltn12 = require "ltn12"

local function request(options)
    local pieces = {}
    options.sink = ltn12.sink.table(pieces)
    options.protocol = options.protocol or "any"
    options.verify = options.verify or "peer"
    options.cafile = options.cafile or root
    local ok, code = https.request(options)
    return table.concat(pieces), ok, code
end

print("verified", request { url = ("https://localhost:%s/nth"):format(port) })
print("by version", request {
    url = ("https://127.0.0.1:%s/nth"):format(port), protocol = "tlsv1_2" })
print("posted", request {
    url = ("https://localhost:%s/upper"):format(own_port), method = "POST",
    headers = { ["content-length"] = 7 }, source = ltn12.source.string("a body\n") })
do
    local body, ok, problem = request {
        url = ("https://localhost:%s/nth"):format(port), cafile = other }
    print("another root", body, ok, type(problem))
end
do
    local body, code = https.request(("https://localhost:%s/nth"):format(port))
    print("unverified, the default", body, code)
end
do
    local body, ok, problem = request { url = ("https://localhost:%s/"):format("1") }
    print("nobody answers", body, ok, problem)
end

start.together(20, function(i)
    local text = ("body %d "):format(i):rep(5000)
    local body = request {
        url = ("https://localhost:%s/upper"):format(own_port), method = "POST",
        headers = { ["content-length"] = #text }, source = ltn12.source.string(text) }
    assert(body == text:upper())
end)
print("twenty at once")
