-- socket.http and ltn12. Words: the port of nginx, of `protocols.http`, and one where nobody
-- listens.

local _, port, own_port, nobody = ...
local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "socket"
local url = require "socket.url"

local BASE = "http://127.0.0.1:" .. port
local OWN = "http://127.0.0.1:" .. own_port

-- A request as a table; what is got beside what the call returns.
local function request(options)
    local pieces = {}
    options.sink = options.sink or ltn12.sink.table(pieces)
    local result, code, headers, status = http.request(options)
    return table.concat(pieces), code, headers, status, result
end

do
    local body, code, headers, status = http.request(BASE .. "/echo/a%20path")
    print("by name", body, code, headers["content-length"], status)
end
print("not found", (select(2, http.request(BASE .. "/nothing"))))
do
    local body, code, _, status, result = request { url = BASE .. "/moved" }
    print("redirected", body, code, status, result)
end
do
    local _, code, headers = request { url = BASE .. "/moved", redirect = false }
    print("not redirected", code, (headers.location:gsub("^http://[^/]*", "")))
end
do
    local parsed = url.parse(BASE .. "/credentials")
    parsed.user, parsed.password = "user", "pass word"
    print("credentials", (request { url = url.build(parsed) }))
    print("credentials given", (request {
        url = BASE .. "/credentials", user = "other", password = "secret" }))
end
do
    local body, code, headers = request { method = "HEAD", url = BASE .. "/big" }
    print("head", #body, code, headers["content-length"])
end
do
    local sum, count, largest = 0, 0, 0
    local _, code = request { url = BASE .. "/big", sink = function(piece)
        if piece then
            count, largest = count + #piece, math.max(largest, #piece)
            sum = (sum + piece:byte(1) + piece:byte(-1)) % 65536
        end
        return 1
    end }
    print("big", code, count, largest <= socket.BLOCKSIZE)
end
print("through a proxy", (request {
    url = "http://elsewhere.example/echo/proxied", proxy = BASE }))
do
    local body, code = http.request(OWN .. "/upper", "a body of words")
    print("post", body, code)
end
do
    local text = ("0123456789abcdef"):rep(65536)
    local body, code = request {
        method = "PUT", url = OWN .. "/upper", headers = { ["content-length"] = #text },
        source = ltn12.source.string(text) }
    print("a body of a megabyte", code, body == text:upper())
end
do
    local pieces = { "in ", "many ", "pieces" }
    local body, code = request {
        method = "POST", url = OWN .. "/upper",
        source = function()
            return table.remove(pieces, 1)
        end }
    print("a body in chunks", body, code)
end
print("an answer in chunks", (http.request(OWN .. "/chunks")))
print("an answer that ends with the connection", (http.request(OWN .. "/ends")))
print("an answer that is cut", http.request(OWN .. "/cut"))
print("nobody answers", http.request("http://127.0.0.1:" .. nobody))
do
    http.TIMEOUT = 0.2
    local begun = socket.gettime()
    local body, problem = http.request(OWN .. "/never")
    local took = socket.gettime() - begun
    print("too slow", body, problem, took >= 0.15 and took < 5)
end
