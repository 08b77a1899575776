-- A private key whose PEM had lost its line ends -- an environment variable, a text field, a copy
-- from a page -- was taken for one long label, and the message quoted it whole:
-- "bad tls options to 'tls' ('key': BEGIN PRIVATE KEY-----MIGHAgEAMB… has no end)". The same by
-- Q-SYS' ClientKeyData. And whoever gave the text where a path was expected read it in "no such
-- file", as a server's name in "is no host name".

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local qsys = require "evsock.qsys"
local evsock = helper.evsock

describe("regress 019", function()
    local certificates = kit.certificates_for(setup, teardown)
    local cert, key
    setup(function() cert, key = certificates:pems("ecdsa.pem", "ecdsa.key") end)
    after_each(helper.finish)

    -- How text loses its line ends.
    local lost = {
        ["spaces in place of line ends"] = function(text) return (text:gsub("\n", " ")) end,
        ["no line ends"] = function(text) return (text:gsub("\n", "")) end,
        ["carriage returns alone"] = function(text) return (text:gsub("\n", "\r")) end,
        ["line ends written as \\n"] = function(text) return (text:gsub("\n", "\\n")) end,
        ["tabs before every line"] = function(text) return (text:gsub("\n", "\n\t")) end,
    }

    -- No eight characters of the key's own stand in a message, and none is longer than it need be.
    local function assert_silent(message)
        assert.is_string(message)
        local body = key:gsub("%-%-%-%-%-[A-Z ]+%-%-%-%-%-", ""):gsub("%s", "")
        for at = 1, #body - 7 do
            assert.is_nil(message:find(body:sub(at, at + 7), 1, true), message)
        end
        assert.is_nil(message:find("[%z\1-\8\11-\31\127]"), "a control character")
        assert.is_true(#message < 400, message)
    end

    for how, change in pairs(lost) do
        it("PEM with " .. how .. " is taken", function()
            assert(evsock.tls { cert = change(cert), key = change(key) })
            assert(evsock.tls { ca = change(cert) .. change(cert) })
            local sock = helper.track(qsys.TcpSocket.NewTls())
            sock.ClientCertData, sock.ClientKeyData = change(cert), change(key)
            sock:Connect("127.0.0.1", helper.free_port())
        end)

        it("PEM with " .. how .. " that is not whole is refused without a word of it", function()
            local whole = change(key)
            for _, text in ipairs {
                whole:sub(1, -31), whole:sub(28), whole:sub(1, 60),
                whole:sub(1, 27) .. whole:sub(40),
                (whole:gsub("END PRIVATE", "END PUBLIC")), (whole:gsub("M", "!")),
                (whole:gsub("BEGIN PRIVATE KEY%-*", "BEGIN ")),
            } do
                local ok, message = pcall(evsock.tls, { cert = cert, key = text })
                assert.is_false(ok)
                assert_silent(message)
                local sock = helper.track(qsys.TcpSocket.NewTls())
                sock.ClientCertData, sock.ClientKeyData = cert, text
                ok, message = pcall(sock.Connect, sock, "127.0.0.1", 1)
                assert.is_false(ok)
                assert_silent(message)
            end
        end)
    end

    it("a key where something else is expected is not quoted", function()
        local bare = key:gsub("%-%-%-%-%-[A-Z ]+%-%-%-%-%-", ""):gsub("%s", "")
        for _, text in ipairs { key, lost["no line ends"](key), bare, key:sub(1, 40) } do
            for _, given in ipairs {
                { cert = cert, keyfile = text }, { cafile = text }, { certfile = text, key = key },
                { server_name = text }, { min_version = text }, { client_auth = text },
                { alpn = text }, { verify = text }, { [text] = true }, { insecure_name = text },
            } do
                local ok, message = pcall(evsock.tls, given)
                assert.is_false(ok)
                assert_silent(message)
            end
            for _, given in ipairs {
                { tls = text }, { [text] = 1 }, { nodelay = text }, { bind = { text, 1 } },
                { on_close = text }, { reconnect = text },
            } do
                local ok, message = pcall(evsock.socket, given)
                assert.is_false(ok)
                assert_silent(message)
            end
            local ok, message = pcall(evsock.connect, "127.0.0.1", text)
            assert.is_false(ok)
            assert_silent(message)
        end
    end)

    it("says what is missing", function()
        helper.misuse(function() evsock.tls { cert = cert, key = key:sub(28) } end,
            "'key': END PRIVATE KEY has no begin")
        helper.misuse(function() evsock.tls { cert = cert, key = key:sub(1, -26) } end,
            "'key': BEGIN PRIVATE KEY has no end")
        helper.misuse(function() evsock.tls { cert = cert, key = key:sub(29, -31) } end,
            "'key': no private key in PEM format; the lines BEGIN and END are missing")
        helper.misuse(function() evsock.tls { cert = cert, keyfile = key } end,
            "keyfile: holds PEM where a path is expected; give the text as 'key'")
        helper.misuse(function() evsock.tls { cert = cert, key = "/etc/a/key.pem" } end,
            "'key': no private key in PEM format; it looks like a path, which 'keyfile' takes")
    end)
end)
