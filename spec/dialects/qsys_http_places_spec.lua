-- Q-SYS HttpClient: where a request goes: URLs, redirects, credentials, TLS.

local helper = require "spec.helper"
local http = require "spec.dialects.qsys_http_tools"
local kit = require "spec.peers.openssl"
local program = require "spec.peers.program"
local qsys = require "evsock.qsys"
local HttpClient = qsys.HttpClient
local ask, field, get, ok, peer = http.ask, http.field, http.get, http.ok, http.peer

after_each(function()
    qsys.configure { hosts = {}, ports = {} }
    helper.finish()
end)

-- An answer that leads elsewhere.
local function leads(status, place)
    return "HTTP/1.1 " .. status .. " Elsewhere\r\nLocation: " .. place
        .. "\r\nContent-Length: 7\r\n\r\nignored"
end

-- A peer that answers by the path of the request: texts, or functions.
local function site(pages)
    return peer(function(request, ...)
        local page = pages[request.target]
        if type(page) == "function" then
            return page(request, ...)
        end
        return page or "HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n"
    end)
end

local function targets(server)
    local list = {}
    for place, request in ipairs(server.requests) do
        list[place] = request.method .. " " .. request.target
    end
    return table.concat(list, ", ")
end

describe("Q-SYS HttpClient: URLs", function()
    it("CreateUrl puts parts together", function()
        for wanted, parts in pairs {
            ["http://a"] = { Host = "a" },
            ["https://a:8443"] = { Host = "https://a/", Port = "8443" },
            ["http://a:80/b/c%20d"] = { Host = "http://a", Port = 80.0, Path = "/b/c d" },
            ["http://a/b?c=1%202&d=%26&e=true"] = {
                Host = "a", Path = "b", Query = { c = "1 2", d = "&", e = true } },
            ["http://a/?c=1&c=2"] = { Host = "a", Query = { c = { 1, "2" } } },
            ["http://a/b?x y"] = nil,
            ["http://a/b?x%20y=1"] = { Host = "a", Path = "b", Query = "?x y=1" },
            ["http://a/b"] = { Host = "a", Path = "b", Query = {} },
        } do
            assert.equal(wanted, HttpClient.CreateUrl(parts))
        end
        helper.misuse(function() HttpClient.CreateUrl "a" end, "bad argument 'url' to 'CreateUrl'")
        helper.misuse(function() HttpClient.CreateUrl {} end, "bad argument 'Host' to 'CreateUrl'")
        local wrong = { Host = "a", Port = "x" }
        helper.misuse(function() HttpClient.CreateUrl(wrong) end, "bad argument 'port'")
    end)

    it("EncodeString, DecodeString and EncodeParams escape bytes", function()
        local all = helper.all_bytes()
        local encoded = HttpClient.EncodeString(all)
        assert.is_nil(encoded:find("[^%w%%%-._~]"))
        assert.is_true(HttpClient.DecodeString(encoded) == all)
        assert.equal("a%20b%2Fc-._~%C3%BC", HttpClient.EncodeString("a b/c-._~ü"))
        assert.equal("100% +", HttpClient.DecodeString("100%25%20+"))
        assert.equal("%zz%4", HttpClient.DecodeString("%zz%4"))
        assert.equal("a=1&b%20=x%3D", HttpClient.EncodeParams { ["b "] = "x=", a = 1 })
        assert.equal("", HttpClient.EncodeParams {})
        helper.misuse(function() HttpClient.EncodeString() end, "bad argument 'text'")
        helper.misuse(function() HttpClient.DecodeString {} end, "bad argument 'text'")
        helper.misuse(function() HttpClient.EncodeParams "a" end, "bad argument 'params'")
        helper.misuse(function() HttpClient.EncodeParams { a = print } end, "'params.a'")
    end)
end)

describe("Q-SYS HttpClient: redirects", function()
    it("are followed: absolute, by host, by path, by query, with dots", function()
        local place
        local server = site {
            ["/1"] = function() return leads(301, place .. "/a/b/2?x#fragment") end,
            ["/a/b/2?x"] = leads(302, "../3"), ["/a/3"] = leads(307, "?y=1 2"),
            ["/a/3?y=1%202"] = leads(308, "./x/.././4/"),
            ["/a/4/"] = function() return leads(303, place:gsub("http:", "") .. "/../5") end,
            ["/../5"] = ok "there",
        }
        place = server.url
        local got = get(server.url .. "/1")
        assert.same({ 200, "there" }, { got.code, got.data })
        assert.equal(6, #server.requests)
    end)

    it("make a GET of a POST by 301 to 303, and of all by 303; 307 and 308 keep all", function()
        for status, wanted in pairs {
            [301] = { Post = "GET", Put = "PUT" }, [302] = { Post = "GET", Put = "PUT" },
            [303] = { Post = "GET", Put = "GET" }, [307] = { Post = "POST", Put = "PUT" },
            [308] = { Post = "POST", Put = "PUT" },
        } do
            for call, method in pairs(wanted) do
                local server = site { ["/"] = leads(status, "/to"), ["/to"] = ok "" }
                ask(call, { Url = server.url, Data = "body", Headers = {
                    ["Content-Type"] = "text/plain", Kept = "yes" } })
                assert.equal(call:upper() .. " /, " .. method .. " /to", targets(server))
                local request = server.requests[2]
                assert.equal(method ~= "GET" and "body" or "", request.body)
                assert.equal(method ~= "GET" and "text/plain" or nil,
                    field(request, "Content-Type"))
                assert.equal("yes", field(request, "Kept"))
            end
        end
    end)

    it("end after ten, and where they lead to nothing", function()
        local server = site { ["/"] = leads(302, "/") }
        local got = get(server.url)
        assert.equal(11, #server.requests)
        assert.equal(302, got.code)
        assert.equal("Get 127.0.0.1:" .. server.port .. ": more than 10 redirects", got.err)
        for place, why in pairs {
            ["ftp://a/"] = "its scheme is neither", ["mailto:a"] = "its scheme is neither",
            ["http://:1/"] = "it names no host",
        } do
            got = get(site { ["/"] = leads(302, place) }.url)
            assert.is_truthy(got.err:find("leads to a URL that is wrong: " .. why, 1, true))
        end
        got = get(peer("HTTP/1.1 302 Found\r\nContent-Length: 4\r\n\r\nbody").url)
        assert.same({ 302, "body" }, { got.code, got.data })
        got = get(peer("HTTP/1.1 304 Not Modified\r\nLocation: /\r\n\r\n").url)
        assert.same({ 304, "" }, { got.code, got.data })
    end)

    it("count for the time of the whole request", function()
        local server = site { ["/"] = function(_, sock)
            helper.ticks(0.03, 1, function()
                sock:write(leads(302, "/"))
                sock:close()
            end)
        end }
        local got = get(server.url, { Timeout = 0.1 })
        assert.is_truthy(got.err:find("no answer within 0.1 s", 1, true))
        assert.is_true(#server.requests < 6)
    end)
end)

describe("Q-SYS HttpClient: credentials", function()
    local BASIC = "Basic " .. "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    local aladdin = { User = "Aladdin", Password = "open sesame" }

    local function unauthorized(...)
        local fields = {}
        for place, challenge in ipairs { ... } do
            fields[place] = "WWW-Authenticate: " .. challenge .. "\r\n"
        end
        return "HTTP/1.1 401 Who\r\n" .. table.concat(fields) .. "Content-Length: 2\r\n\r\nno"
    end

    -- Asks a peer that wants credentials by these challenges; its answer, and the fields that it
    -- was shown, "-" for none.
    local function shown(auth, ...)
        local no, seen = unauthorized(...), {}
        local server = peer(function(request)
            local said = field(request, "Authorization")
            seen[#seen + 1] = said or "-"
            return said and ok "yes" or no
        end)
        local got = get(server.url .. "/dir", {
            User = aladdin.User, Password = aladdin.Password, Auth = auth })
        return got, seen
    end

    it("by Basic: at once where it is asked for, else when the server wants it", function()
        local challenge = 'Basic realm="x"'
        for auth, wanted in pairs { basic = { BASIC }, any = { "-", BASIC } } do
            local got, seen = shown(auth, challenge)
            assert.equal(200, got.code)
            assert.same(wanted, seen)
        end
        local got, seen = shown(nil, challenge)
        assert.same({ 200, "-", BASIC }, { got.code, seen[1], seen[2] })
        got, seen = shown("digest", challenge)
        assert.same({ 401, 1 }, { got.code, #seen })
        assert.equal("no", got.data)
    end)

    it("come from the URL where they stand there", function()
        local server = peer(ok "")
        local place = server.url:gsub("//", "//Aladdin:open%%20sesame@")
        get(place, { Auth = "basic" })
        assert.equal(BASIC, field(server.requests[1], "Authorization"))
        assert.equal("127.0.0.1:" .. server.port, field(server.requests[1], "Host"))
        get(place, { Auth = "basic", User = "a", Password = "b" })
        assert.equal("Basic YTpi", field(server.requests[2], "Authorization"))
    end)

    it("that nobody gave, or that are wrong, leave the answer 401 as it is", function()
        local server = peer(unauthorized('Basic realm="x"'))
        local got = get(server.url)
        assert.same({ 401, "no", 1 }, { got.code, got.data, #server.requests })
        assert.is_nil(got.err)
        assert.equal('Basic realm="x"', got.headers["WWW-Authenticate"])
        got = get(server.url, aladdin)
        assert.same({ 401, 3 }, { got.code, #server.requests })
        got = get(server.url, { User = "" })
        assert.same({ 401, 4 }, { got.code, #server.requests })
    end)

    it("by Digest before Basic, and by none that is not known", function()
        local digest = 'Digest realm="r", nonce="n", qop="auth"'
        for _, challenges in ipairs {
            { 'Basic realm="x"', digest }, { 'Basic realm="x", ' .. digest },
            { "Negotiate, NTLM abc==, " .. digest }, { digest .. ', Basic realm="x"' },
            { 'Digest realm="r", nonce="n", algorithm=SHA-512-256', digest },
        } do
            local got, seen = shown("any", (table.unpack or unpack)(challenges))
            assert.equal(200, got.code)
            assert.equal("-", seen[1])
            assert.is_truthy(seen[2]:find('^Digest username="Aladdin", realm="r", nonce="n"'))
        end
        for _, challenge in ipairs {
            "Negotiate", 'Digest realm="r"', 'Digest realm="r", nonce="n', "Digest", '"', "",
            'Digest realm="r", nonce="n", qop="auth-conf"',
            'Digest realm="r", nonce="n", algorithm=SHA-512-256',
        } do
            local got, seen = shown("any", challenge)
            assert.same({ 401, 1 }, { got.code, #seen })
        end
    end)

    it("that are old are told anew, once", function()
        local count = 0
        local server = peer(function()
            count = count + 1
            return unauthorized(('Digest realm="r", nonce="n%d", stale=true'):format(count))
        end)
        local got = get(server.url, aladdin)
        assert.same({ 401, 3 }, { got.code, #server.requests })
        assert.is_truthy(field(server.requests[3], "Authorization"):find('nonce="n2"', 1, true))
    end)

    it("are quoted where they have quotes", function()
        local server = peer(function(request)
            return field(request, "Authorization") and ok ""
                or unauthorized([[Digest realm="a \"b\" \\", nonce="n", opaque="o"]])
        end)
        get(server.url, { User = [[x"y\]] })
        local said = field(server.requests[2], "Authorization")
        assert.is_truthy(said:find([[username="x\"y\\", realm="a \"b\" \\", nonce="n"]], 1, true))
        assert.is_truthy(said:find([[opaque="o"]], 1, true))
    end)

    it("by Digest have the digest of RFC 7616, as others compute it", function()
        helper.unix_only("md5sum")
        local function hash(sum, ...)
            local path = program.write_file(helper.free_path(), table.concat({ ... }, ":"))
            return program.capture(sum .. " <" .. path):match("^%x+")
        end
        for challenge, sum in pairs {
            ['realm="r", nonce="n"'] = "md5sum",
            ['realm="r", nonce="n", qop="auth,auth-int", algorithm=MD5'] = "md5sum",
            ['realm="r", nonce="n", qop="auth-int"'] = "md5sum",
            ['realm="r", nonce="n", qop=auth, algorithm=MD5-sess'] = "md5sum",
            ['realm="r", nonce="n", qop="auth", algorithm=SHA-256'] = "sha256sum",
        } do
            local server = peer(function(request)
                return field(request, "Authorization") and ok ""
                    or unauthorized("Digest " .. challenge)
            end)
            ask("Post", { Url = server.url .. "/d?e=f", Data = "body", User = "u", Password = "p" })
            local request = server.requests[2]
            local said = field(request, "Authorization")
            local once, quality = said:match('cnonce="(%x+)"'), said:match("qop=([%w-]+)")
            local who, what = hash(sum, "u", "r", "p"), hash(sum, "POST", "/d?e=f")
            if challenge:find("sess", 1, true) then
                who = hash(sum, who, "n", once)
            end
            if quality == "auth-int" then
                what = hash(sum, "POST", "/d?e=f", hash(sum, "body"))
            end
            local wanted = quality and hash(sum, who, "n", "00000001", once, quality, what)
                or hash(sum, who, "n", what)
            assert.equal(wanted, said:match('response="(%x+)"'))
            assert.equal("body", request.body)
        end
    end)

    it("go with a redirect to the same place, and to no other", function()
        local other = peer(ok "other")
        local server
        server = site {
            ["/"] = leads(302, "/same"),
            ["/same"] = function() return leads(302, other.url .. "/other") end,
        }
        local got = get(server.url, {
            User = "Aladdin", Password = "open sesame", Auth = "basic",
            Headers = {
                Cookie = "c", Host = "mine", ["X-Own"] = "x", ["Proxy-Authorization"] = "p",
            },
        })
        assert.equal("other", got.data)
        assert.equal(BASIC, field(server.requests[2], "Authorization"))
        assert.equal("c", field(server.requests[2], "Cookie"))
        assert.equal("p", field(server.requests[2], "Proxy-Authorization"))
        local request = other.requests[1]
        assert.is_nil(field(request, "Authorization"))
        assert.is_nil(field(request, "Cookie"))
        assert.is_nil(field(request, "Proxy-Authorization"))
        assert.equal("127.0.0.1:" .. other.port, field(request, "Host"))
        assert.equal("x", field(request, "X-Own"))
        get(server.url, { Headers = { Authorization = "Bearer secret" } })
        assert.equal("Bearer secret", field(server.requests[4], "Authorization"))
        assert.is_nil(field(other.requests[2], "Authorization"))
    end)

    it("are not told to another place that asks for them", function()
        local other = peer(unauthorized('Basic realm="x"'))
        local server = peer(leads(302, other.url))
        local got = get(server.url, aladdin)
        assert.same({ 401, 1 }, { got.code, #other.requests })
    end)
end)

describe("Q-SYS HttpClient: TLS", function()
    local certificates = kit.certificates_for(setup, teardown)

    local function secure(answer, name)
        local server = peer(answer, { tls = certificates:identity(name or "ecdsa") })
        server.url = server.url:gsub("^http", "https")
        return server
    end

    it("validates nothing unless it is told, and then all", function()
        local ca, other = certificates:pems("ca.pem", "other.pem")
        local server = secure(ok "secret")
        assert.equal("secret", get(server.url).data)
        local checked = get(server.url, { ValidateCertificate = true, CACertData = ca })
        assert.same({ 200, "secret" }, { checked.code, checked.data })
        for _, wrong in ipairs { other, "" } do
            local got = get(server.url, { ValidateCertificate = true, CACertData = wrong })
            assert.same({ 0, "" }, { got.code, got.data })
            assert.is_truthy(got.err:find("127.0.0.1:" .. server.port, 1, true))
        end
    end)

    it("is reached by a redirect, and left by one", function()
        local plain = site { ["/end"] = ok "the end" }
        local server = secure(function() return leads(302, plain.url .. "/end") end)
        local first = peer(leads(301, server.url))
        assert.equal("the end", get(first.url).data)
    end)

    it("shows a client's certificate to the first place alone", function()
        local ca = certificates:pem "ca.pem"
        local cert, key = certificates:pems("client.pem", "client.key")
        local function strict(answer)
            local own = certificates:identity("ecdsa", { ca = ca, client_auth = "require" })
            local server = peer(answer, { tls = own })
            server.url = server.url:gsub("^http", "https")
            return server
        end
        local other = strict(ok "not for you")
        local server = strict(function(request)
            return request.target == "/" and ok "welcome" or leads(302, other.url)
        end)
        local mine = { ClientCertData = cert, ClientKeyData = key }
        assert.equal("welcome", get(server.url, mine).data)
        assert.equal(0, get(server.url).code)
        local got = get(server.url .. "/away", mine)
        assert.equal(0, got.code)
        assert.is_truthy(got.err)
        assert.equal(0, #other.requests)
    end)

    it("that ends without its goodbye is an end like any other, unless it is validated", function()
        local ca = certificates:pem "ca.pem"
        local server = secure(function(_, sock)
            sock:write("HTTP/1.1 200 OK\r\n\r\nall of it")
            sock:flush(5)
            sock:abort()
        end)
        local got = get(server.url)
        assert.equal(200, got.code)
        local checked = get(server.url, { ValidateCertificate = true, CACertData = ca })
        assert.is_truthy(checked.err)
    end)

    it("is no TLS: the reason names host and port", function()
        local server = helper.server { on_accept = function(_, sock) sock:write("hello\r\n") end }
        local got = get("https://127.0.0.1:" .. server.port)
        assert.equal(0, got.code)
        assert.is_truthy(got.err:find("127.0.0.1:" .. server.port, 1, true))
    end)
end)
