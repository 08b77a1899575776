-- LuaSocket's own Lua files on the dialect: socket.http, socket.smtp and socket.ftp with ltn12,
-- mime and socket.url, as they are installed, and real servers.

local helper = require "spec.helper"
local daemon = require "spec.peers.daemon"
local peers = require "spec.peers.openssl"
local protocols = require "spec.peers.protocols"
local programs = require "spec.dialects.luasocket_programs"

local function lines(list)
    return table.concat(list, "\n") .. "\n"
end

-- What `smtp.lua` sends, besides ten of 200 lines each that come in any order.
local function check_mails(mails)
    assert.equal(12, #mails)
    local first, parts = mails[1], mails[2]
    assert.equal("<me@here.example>", first.from)
    assert.same({ "<you@there.example>" }, first.recipients)
    assert.is_truthy(first.text:lower():find("subject: a test\r\n", 1, true))
    assert.is_truthy(first.text:find("\r\n\r\nfirst\r\n.a dot\r\n..two\r\nlast\r\n$"), first.text)
    assert.same({ "<one@there.example>", "<two@there.example>" }, parts.recipients)
    assert.is_truthy(parts.text:find("words\r\nand lines\r\n", 1, true))
    local picture = parts.text:gsub("%s", "")
    assert.equal(1666, select(2, picture:gsub("AAH%+/wAB/v8AAf7/", "")))
    local seen = {}
    for i = 3, 12 do
        local number = tonumber(mails[i].text:match("mail (%d+)"))
        seen[number] = true
        local wanted = ("mail %d, line %d\r\n"):format(number, number):rep(200)
        assert.is_truthy(mails[i].text:find(wanted, 1, true))
    end
    assert.equal(10, #seen)
end

describe("LuaSocket's own modules", function()
    local nginx = daemon.for_block(setup, teardown, daemon.nginx)
    setup(function()
        os.execute(("head -c 10000000 /dev/zero >%s/big"):format(nginx.files))
    end)
    local certificates = peers.certificates_for(setup, teardown)
    after_each(helper.finish)

    local function pages()
        local evsock = helper.evsock
        local function begin(sock, head)
            sock:write("HTTP/1.1 200 OK\r\n", head, "\r\n\r\n")
        end
        return {
            upper = function(_, body) return body:upper() end,
            chunks = function(sock)
                begin(sock, "Transfer-Encoding: chunked")
                for _, piece in ipairs { "some ", "pieces of ", "text" } do
                    sock:write(("%x;note=1\r\n"):format(#piece), piece, "\r\n")
                    evsock.sleep(0.01)
                end
                sock:write("0\r\n\r\n")
            end,
            ends = function(sock)
                begin(sock, "Connection: close")
                sock:write("all of it")
            end,
            cut = function(sock)
                begin(sock, "Content-Length: 100")
                sock:write("a part")
            end,
            never = function() evsock.sleep(1) end,
        }
    end

    for _, kind in ipairs(programs.kinds) do
        describe(kind[2] .. ":", function()
            it("socket.http and ltn12 talk to nginx and to a small server", function()
                local peer = protocols.http(pages())
                assert.equal(lines {
                    "by name\t/echo/a path\t200\t12\tHTTP/1.1 200 OK",
                    "not found\t404",
                    "redirected\t/echo/moved\t200\tHTTP/1.1 200 OK\t1",
                    "not redirected\t302\t/echo/moved",
                    "credentials\tBasic dXNlcjpwYXNzIHdvcmQ=",
                    "credentials given\tBasic b3RoZXI6c2VjcmV0",
                    "head\t0\t200\t10000000",
                    "big\t200\t10000000\ttrue",
                    "through a proxy\t/echo/proxied",
                    "post\tA BODY OF WORDS\t200",
                    "a body of a megabyte\t200\ttrue",
                    "a body in chunks\tIN MANY PIECES\t200",
                    "an answer in chunks\tsome pieces of text",
                    "an answer that ends with the connection\tall of it",
                    "an answer that is cut\tnil\tclosed",
                    "nobody answers\tnil\tconnection refused",
                    "too slow\tnil\ttimeout\ttrue",
                }, programs.run(kind[1], "http", nginx.port, peer.port, helper.free_port()))
            end)

            it("socket.smtp sends mail with mime and is told what is refused", function()
                -- me, secret
                local peer, guarded = protocols.smtp(), protocols.smtp { ["bWU="] = "c2VjcmV0" }
                assert.equal(lines {
                    "plain\t1\tnil",
                    "in parts\t1\tnil",
                    "refused\tnil\t550 no such mailbox",
                    "with a user\t1\tnil",
                    "with a wrong password\tnil\t535 no such user",
                    "ten at once",
                }, programs.run(kind[1], "smtp", peer.port, guarded.port))
                check_mails(peer.mails)
                assert.equal(1, #guarded.mails)
                assert.equal("bWU=", guarded.mails[1].who)
            end)

            it("socket.ftp gets and puts over each kind of data connection", function()
                local peer = protocols.ftp({ ["read.me"] = "some words\n" }, { me = "secret" })
                assert.equal(lines {
                    "got\tsome words\n",
                    "no such file\tnil\t550 no such file",
                    "a wrong password\tnil\t530 no",
                    "not allowed\tnil\t532 not you",
                    "put\t950000",
                    "the same\ttrue",
                    "listed\t1",
                    "new read.me ",
                    "deleted\t1",
                    "to a port of theirs\ttrue",
                    "to a port of theirs, either family\ttrue",
                    "to a port of ours\ttrue",
                    "to a port of ours, either family\ttrue",
                    "ten at once",
                }, programs.run(kind[1], "ftp", peer.port))
                assert.equal(2, peer.ways.PASV)
                assert.equal(2, peer.ways.PORT)
                assert.equal(2, peer.ways.EPRT)
                assert.is_nil(peer.files.new)
                assert.equal(950000, #peer.files.sent)
            end)

            it("LuaSec's ssl.https verifies nginx and a small server", function()
                local secured = helper.track(peers.nginx(certificates, "rsa"), function(server)
                    server:stop()
                end)
                local peer = protocols.http(pages(), certificates:identity("ecdsa"))
                assert.equal(lines {
                    "verified\t1\n\t1\t200",
                    "by version\t1\n\t1\t200",
                    "posted\tA BODY\n\t1\t200",
                    "another root\t\tnil\tstring",
                    "unverified, the default\t1\n\t200",
                    "nobody answers\t\tnil\tconnection refused",
                    "twenty at once",
                }, programs.run(kind[1], "https", secured.port, peer.port,
                    certificates:path("ca.pem"), certificates:path("other.pem")))
            end)
        end)
    end

    -- On LuaSocket itself they come one after the other.
    if programs.has_tasks then
        for scheme, module in pairs { http = "socket.http", https = "ssl.https" } do
            it("100 requests of a second each by " .. module .. " take 1.3 s #figures", function()
                local tls = scheme == "https" and certificates:identity("ecdsa") or nil
                local peer = protocols.http({ slow = function()
                    helper.evsock.sleep(1)
                    return "at last"
                end }, tls)
                local right, seconds = programs.run("task", "http_crowd", 100,
                    ("%s://localhost:%d/slow"):format(scheme, peer.port),
                    tls and certificates:path("ca.pem")):match("^(%d+)\t([%d.]+)\n$")
                print(("   100 requests by %s: %s s"):format(scheme, seconds))
                assert.equal("100", right)
                assert.equal(100, peer.visitors)
                assert.is_true(tonumber(seconds) <= 1.3 * helper.slow, seconds)
            end)
        end
    end
end)
