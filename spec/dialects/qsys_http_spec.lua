-- Q-SYS HttpClient: what it sends, what it takes of answers, and how a request ends.
-- A real server as the peer: spec/peers/qsys_http_spec.lua.

local helper = require "spec.helper"
local http = require "spec.dialects.qsys_http_tools"
local qsys = require "evsock.qsys"
local evsock, HttpClient = helper.evsock, qsys.HttpClient
local ask, field, get, get_answer, ok, peer =
    http.ask, http.field, http.get, http.get_answer, http.ok, http.peer

local CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

after_each(function()
    qsys.configure { hosts = {}, ports = {} }
    helper.finish()
end)

-- An answer that the handler got as whole.
local function whole(code, data, got)
    assert.is_nil(got.err)
    assert.equal(code, got.code)
    assert.equal(data, got.data)
    return got
end

-- One that ended otherwise, with that in its error.
local function failed(code, text, got)
    assert.equal(code, got.code)
    assert.is_truthy(got.err and got.err:find(text, 1, true), tostring(got.err))
    return got
end

describe("Q-SYS HttpClient: a request", function()
    it("goes out by the method of its call, with its body", function()
        local server = peer(ok "done")
        -- HEAD's answer has the length of a body that does not come.
        local head = peer "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
        for call, method in pairs {
            Delete = "DELETE", Download = "GET", Get = "GET", Patch = "PATCH", Post = "POST",
            Put = "PUT", Upload = "PUT",
        } do
            local data = method ~= "GET" and method ~= "DELETE" and "the \0 body" or nil
            local got = ask(call, { Url = server.url .. "/a?b=1#c", Data = data })
            whole(200, "done", got)
            local request = server.requests[#server.requests]
            assert.equal(method, request.method)
            assert.equal("/a?b=1", request.target)
            assert.equal(data or "", request.body)
            assert.equal(data and "10" or nil, field(request, "Content-Length"))
        end
        ask("Upload", { Url = server.url, Method = "post", Data = "x" })
        assert.equal("POST", server.requests[#server.requests].method)
        whole(200, "", ask("Upload", { Url = head.url, Method = "HEAD" }))
        ask("Put", { Url = server.url })
        assert.equal("0", field(server.requests[#server.requests], "Content-Length"))
    end)

    it("says where it goes, who it is, and that it takes anything", function()
        local server = peer(ok "")
        get(server.url)
        local request = server.requests[1]
        assert.equal("/", request.target)
        assert.equal("127.0.0.1:" .. server.port, field(request, "Host"))
        assert.equal("*/*", field(request, "Accept"))
        assert.is_truthy(field(request, "User-Agent"):find("^evsock/"))
        assert.equal("close", field(request, "Connection"))
    end)

    it("has the script's fields in place of ours, and a list several times", function()
        local server = peer(ok "")
        get(server.url, { Headers = {
            ["user-agent"] = "Device 1", ["X-List"] = { "a", "z\tb" }, ["X-Number"] = 5,
            ["Content-Length"] = "999", Connection = "keep-alive",
        } })
        local head = server.requests[1].head
        assert.is_truthy(head:find("\nuser-agent: Device 1\r\n", 1, true))
        assert.is_truthy(head:find("\nX-List: a\r\nX-List: z\tb\r\nX-Number: 5\r\n", 1, true))
        assert.is_nil(head:find("User-Agent", 1, true))
        assert.is_nil(head:find("999", 1, true))
        assert.is_nil(head:find("keep-alive", 1, true))
    end)

    it("is a form when it posts, unless it says otherwise", function()
        local server = peer(ok "")
        ask("Post", { Url = server.url, Data = "a=1" })
        ask("Post", { Url = server.url, Data = "{}",
            Headers = { ["content-type"] = "application/json" } })
        assert.equal("application/x-www-form-urlencoded",
            field(server.requests[1], "Content-Type"))
        assert.equal("application/json", field(server.requests[2], "content-type"))
        assert.is_nil(field(server.requests[2], "Content-Type"))
    end)

    it("takes a URL without a scheme, and escapes what a line cannot hold", function()
        local server = peer(ok "")
        whole(200, "", get("127.0.0.1:" .. server.port .. "?q=a b\"ü%20&c=d"))
        assert.equal("/?q=a%20b%22%C3%BC%20&c=d", server.requests[1].target)
    end)

    it("is led elsewhere by hosts and ports", function()
        local server = peer(ok "here")
        qsys.configure { hosts = { ["a.device"] = "127.0.0.1" }, ports = { [80] = server.port } }
        whole(200, "here", get("http://a.device/x"))
        assert.equal("a.device", field(server.requests[1], "Host"))
        qsys.configure { hosts = { ["::1"] = "127.0.0.1" } }
        whole(200, "here", get("http://[::1]:" .. server.port))
        assert.equal("[::1]:" .. server.port, field(server.requests[2], "Host"))
        qsys.configure { hosts = { ["a.device"] = false } }
        failed(0, "a.device:80", get("http://a.device/x"))
    end)

    it("keeps itself: nobody holds it, and it needs no handler", function()
        local server = peer(ok "")
        HttpClient.Get { Url = server.url }
        helper.collect()
        helper.wait_count(server.requests, 1)
        helper.pump_until(function()
            return evsock.active() == 1
        end, 5, "only the server is active")
    end)

    it("runs beside others, each with its own answer", function()
        local server = peer(function(request)
            return ok(request.target)
        end)
        local got = {}
        for place = 1, 50 do
            HttpClient.Get {
                Url = server.url .. "/" .. place,
                EventHandler = function(_, code, data)
                    got[#got + 1] = code == 200 and data == "/" .. place or nil
                end,
            }
        end
        helper.wait_exactly(got, 50)
    end)

    it("may follow in the handler of another; an error there is the pump's", function()
        local server, second = peer(ok "x"), nil
        HttpClient.Get {
            Url = server.url,
            EventHandler = function()
                HttpClient.Get { Url = server.url, EventHandler = function(_, code)
                    second = code
                end }
                error("in the handler")
            end,
        }
        local problem
        evsock.on_error = function(message)
            problem = message
        end
        helper.pump_until(function()
            return second
        end, 5, "the second answer")
        assert.equal(200, second)
        assert.is_truthy(tostring(problem):find("in the handler", 1, true))
    end)

    it("that is misused raises at its line and names the argument", function()
        local url = "http://127.0.0.1/"
        local Get, Upload = HttpClient.Get, HttpClient.Upload
        helper.misuse(function() Get(nil) end, "bad argument 'request' to 'Get'")
        helper.misuse(function() Get {} end, "bad argument 'Url' to 'Get'")
        helper.misuse(function() Get { Url = url, Headers = "a" } end, "bad argument 'Headers'")
        helper.misuse(function() Get { Url = url, Headers = { ["a b"] = "" } } end, "'Headers'")
        helper.misuse(function() Get { Url = url, Headers = { A = "b\r\nC: d" } } end, "Headers.A")
        helper.misuse(function() Get { Url = url, Headers = { A = "b\0" } } end, "Headers.A")
        helper.misuse(function() Get { Url = url, Headers = { B = true } } end, "Headers.B")
        helper.misuse(function() Get { Url = url, User = {} } end, "bad argument 'User' to 'Get'")
        helper.misuse(function() Get { Url = url, Password = "a\nb" } end, "'Password'")
        helper.misuse(function() Get { Url = url, Auth = "ntlm" } end, "'basic' or 'digest'")
        helper.misuse(function() Get { Url = url, Timeout = -1 } end, "bad argument 'Timeout'")
        helper.misuse(function() Get { Url = url, Data = {} } end, "bad argument 'Data' to 'Get'")
        helper.misuse(function() Get { Url = url, EventHandler = 1 } end, "'EventHandler' to 'Get'")
        helper.misuse(function() Upload { Url = url, Method = "A B" } end, "'Method' to 'Upload'")
        helper.misuse(function() Upload { Url = url, Method = "connect" } end, "opens tunnels")
        helper.misuse(function() Get { Url = url, ValidateCertificate = 1 } end, "'ValidateCert")
        local tls = { Url = url, ValidateCertificate = true, CACertData = "x" }
        helper.misuse(function() Get(tls) end, "'CACertData'")
        assert.equal(0, evsock.active())
    end)

    it("to a URL that is none ends with code 0 and a reason that shows nothing of it", function()
        for url, why in pairs {
            [""] = "it names no host", ["http://"] = "it names no host",
            ["http:///secret"] = "it names no host", ["http://:80/secret"] = "it names no host",
            ["ftp://secret/"] = "its scheme is neither http nor https",
            ["http://a:0/secret"] = "its port is no number from 1 to 65535",
            ["http://a:x/secret"] = "its port is no number from 1 to 65535",
            ["http://a:70000/secret"] = "its port is no number from 1 to 65535",
            ["http://a/\r\nX: secret"] = "it has a control character",
            ["http://[secret]/"] = "its host is no address of IPv6",
            ["http://a b/secret"] = "its host has a character",
            ["http://[1::2::3]/"] = "its host is no address of IPv6",
            ["http://a%0d:secret%0a@b/"] = "its user has a control character",
        } do
            local got = failed(0, why, get(url))
            assert.equal("", got.data)
            assert.is_nil(next(got.headers))
            assert.is_nil(got.err:find("secret", 1, true))
        end
    end)
end)

describe("Q-SYS HttpClient: an answer", function()
    it("comes with its headers: a text, or a list where a name came several times", function()
        local got = whole(404, "no", get_answer(
            "HTTP/1.1 404 Not Found\r\nServer: x\r\nset-cookie: a=1\r\nSet-Cookie:b=2\r\n"
            .. "SET-COOKIE: c=3\r\nEmpty:\r\nContent-Length: 2\r\n\r\nno"))
        assert.same({
            Server = "x", ["set-cookie"] = { "a=1", "b=2", "c=3" }, Empty = "",
            ["Content-Length"] = "2",
        }, got.headers)
    end)

    it("ends by its length, in chunks or with the connection", function()
        local all = helper.all_bytes()
        whole(200, all, get_answer(ok(all)))
        whole(200, all, get_answer("HTTP/1.1 200 OK\r\n\r\n" .. all))
        whole(200, all, get_answer("HTTP/1.0 200 OK\n\n" .. all))
        whole(200, "hello world", get_answer(CHUNKED
            .. "5;name=value\r\nhello\r\n006\r\n world\r\n0\r\nTrailer: x\r\n\r\n"))
        whole(204, "", get_answer("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"))
        whole(200, "", get_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        whole(200, "", get_answer("HTTP/1.1 200 OK\r\n\r\n"))
    end)

    it("may come byte by byte", function()
        local text = "HTTP/1.1 100 Continue\r\n\r\n" .. CHUNKED:sub(1, -3)
            .. "A: b\r\n c\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        local server = peer(function(_, sock)
            local place = 0
            helper.ticks(0.0005, #text, function()
                place = place + 1
                sock:write(text:sub(place, place))
            end)
        end)
        local got = whole(200, "abcde", get(server.url))
        assert.is_truthy(got.headers.A:find("^b%s+c$"))
    end)

    it("ends the request though the connection stays open; bytes behind it are nobody's", function()
        local server = peer(function(_, sock)
            sock:write(ok "abc", "HTTP/1.1 500 Another\r\n\r\n")
        end)
        whole(200, "abc", get(server.url))
    end)

    it("may be of a MiB, and so may a request", function()
        local large = ("0123456789abcdef"):rep(65536)
        local got = get_answer(ok(large))
        assert.is_true(got.data == large)
        local server = peer(ok "")
        ask("Put", { Url = server.url, Data = large })
        assert.is_true(server.requests[1].body == large)
    end)

    it("that is cut short comes as far as it came, with an error", function()
        local got = failed(200, "within the answer (3 bytes are missing)",
            get_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nab"))
        assert.equal("ab", got.data)
        assert.equal("b", got.headers.A)
        for bytes, data in pairs {
            [""] = "", ["5"] = "", ["5\r\nab"] = "ab", ["2\r\nab"] = "ab", ["2\r\nab\r\n"] = "ab",
            ["2\r\nab\r\n0\r\n"] = "ab",
        } do
            got = failed(200, "ended within the answer", get_answer(CHUNKED .. bytes))
            assert.equal(data, got.data)
        end
        for _, bytes in ipairs { "", "HTTP", "HTTP/1.1 200 OK\r\nA", "HTTP/1.1 200 OK\r\n" } do
            failed(0, "the connection ended without an answer", get_answer(bytes))
        end
    end)

    it("that is garbage is refused, with the place and the reason", function()
        for bytes, why in pairs {
            ["SSH-2.0-device\r\n"] = "no answer of HTTP", ["\0\1\2\3"] = "no answer of HTTP",
            ["HTTP/1.1 abc\r\n\r\n"] = "(this is not HTTP)", ["HTTP/2 200\r\n\r\n"] = "not HTTP",
            ["HTTP/1.1 099 Low\r\n\r\n"] = "its status is none", ["\r\n\r\n"] = "no answer of HTTP",
            ["HTTP/1.1 200 OK\r\nno colon\r\n\r\n"] = "(this is not HTTP)",
            ["HTTP/1.1 101 Switching\r\n\r\n"] = "another protocol",
            ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"] = "two lengths",
            ["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"] = "its length is no number",
            ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"] = "its transfer coding",
        } do
            local server = peer(bytes)
            local got = failed(0, why, get(server.url))
            assert.is_truthy(got.err:find("Get 127.0.0.1:" .. server.port .. ": ", 1, true))
        end
        failed(200, "does not begin with its size", get_answer(CHUNKED .. "x\r\n"))
        failed(200, "does not begin with its size", get_answer(CHUNKED .. "-1\r\n"))
        failed(200, "does not end where it should", get_answer(CHUNKED .. "1\r\nabc\r\n"))
    end)

    it("of random bytes raises nothing and ends", function()
        local random = helper.dice(15)
        local begins = { "", "HTTP/1.1 200 OK\r\n", CHUNKED }
        for _ = 1, math.max(10, 60 / helper.fewer) do
            local bytes = {}
            for place = 1, random(200) do
                bytes[place] = string.char(random(256) - 1)
            end
            get_answer(begins[random(#begins)] .. table.concat(bytes))
        end
    end)

    it("has its bounds: of the head, of a line, of the body", function()
        local long = ("x"):rep(70000)
        failed(0, "more than 65536 bytes",
            get_answer("HTTP/1.1 200 OK\r\nA: " .. long .. "\r\n\r\n"))
        failed(0, "more than 65536 bytes", get_answer("HTTP/1.1 200 " .. long))
        failed(0, "more than 65536 bytes",
            get_answer("HTTP/1.1 200 OK\r\n" .. ("A: b\r\n"):rep(20000)))
        failed(0, "more than 65536 bytes",
            get_answer(("HTTP/1.1 100 Continue\r\n\r\n"):rep(5000)))
        failed(0, "too many fields",
            get_answer("HTTP/1.1 200 OK\r\n" .. ("A: b\r\n"):rep(200) .. "\r\n"))
        failed(200, "the body has more than 67108864 bytes",
            get_answer("HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n"))
        failed(200, "the body has more than", get_answer(CHUNKED .. "4000001\r\n"))
        failed(200, "more than 4096 bytes", get_answer(CHUNKED .. "1;" .. long))
        failed(200, "more than 65536 bytes",
            get_answer(CHUNKED .. "0\r\n" .. ("A: b\r\n"):rep(20000)))
    end)

    it("that does not come in time ends the request, and so does the rest of one", function()
        local silent = peer(function() end)
        failed(0, "Get 127.0.0.1:" .. silent.port .. ": no answer within 0.05 s",
            get(silent.url, { Timeout = 0.05 }))
        local slow = peer(function(_, sock)
            sock:write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun")
            helper.ticks(0.01, 100, function()
                sock:write(".")
            end)
        end)
        local got = failed(200, "the answer was not whole within 0.1 s",
            get(slow.url, { Timeout = 0.1 }))
        assert.equal("begun", got.data:sub(1, 5))
        local port = helper.silent_port()
        failed(0, "no answer within 0.05 s",
            get("http://127.0.0.1:" .. port, { Timeout = 0.05 }))
    end)

    it("that cannot come is told: a port that refuses, a reset, a name nobody knows", function()
        local port = helper.free_port()
        failed(0, "connect 127.0.0.1:" .. port .. ": connection refused",
            get("http://127.0.0.1:" .. port))
        local rude = peer(function(_, sock)
            sock:abort()
        end)
        failed(0, "127.0.0.1:" .. rude.port, get(rude.url))
        qsys.configure { hosts = { nobody = false } }
        failed(0, "nobody:80", get("http://nobody/"))
    end)

    it("has its error in the host's log, without what may be secret", function()
        local logged = {}
        qsys.configure { logger = function(level, text)
            logged[#logged + 1] = level .. " " .. text
        end }
        local port = helper.free_port()
        get("http://who:secret@127.0.0.1:" .. port .. "/secret?token=secret", {
            User = "me", Password = "secret" })
        qsys.configure { logger = function() end }
        assert.equal(1, #logged)
        assert.is_truthy(logged[1]:find("^error HttpClient: Get: connect 127%.0%.0%.1:"))
        assert.is_nil(logged[1]:find("secret", 1, true))
    end)
end)

describe("Q-SYS HttpClient: requests under way", function()
    it("have a bound; one more is refused", function()
        -- Their failures wait for the pump.
        qsys.configure { hosts = { nobody = false } }
        local over, refused = 0, nil
        for place = 1, 1025 do
            HttpClient.Get {
                Url = "http://nobody/",
                EventHandler = function(_, _, _, err)
                    over = over + 1
                    refused = refused or place == 1025 and err
                end,
            }
        end
        helper.pump_until(function()
            return over == 1025
        end, 10, "the end of all")
        assert.is_truthy(refused:find("Get nobody:80: 1024 requests are", 1, true), refused)
        local server = peer(ok "again")
        whole(200, "again", get(server.url))
    end)

    it("count no more once all is closed between tests", function()
        qsys.configure { hosts = { nobody = false } }
        for _ = 1, 2 do
            for _ = 1, 1024 do
                HttpClient.Get { Url = "http://nobody/", EventHandler = helper.never() }
            end
            evsock.reset()
            helper.collect()
            assert.equal(0, evsock.active())
        end
        local server = peer(ok "again")
        whole(200, "again", get(server.url))
    end)
end)
