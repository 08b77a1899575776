-- Option `certs`: a server with a configuration for each name that clients ask for. Hellos in
-- pieces and tickets of other names: spec/rust/tls_names.rs.

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local evsock = helper.evsock
local merge, misuse, pump_until = kit.merge, helper.misuse, helper.pump_until

-- Twenty names, a wildcard, and a name that the wildcard would be for, too; clients of two roots.
local certificates = kit.certificates_for(setup, teardown, [[
named() { # FILE HOST
    make "$1" "$2" $ec -addext basicConstraints=critical,CA:FALSE \
        -addext "subjectAltName=DNS:$2" -CA ca.pem -CAkey ca.key
}
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    named name$i name$i.example
done
named wild '*.wild.example'
named whole whole.wild.example
]])

local function listen(certs, more, options)
    return kit.server(certificates, "ecdsa", merge({ alpn = { "own" }, certs = certs }, more),
        options)
end

-- What a client that asks for that name has agreed on, or nil and the code of its close.
local function ask(record, name, more)
    local over, code
    local client = helper.track(evsock.connect("127.0.0.1", record.port, {
        tls = merge({ cafile = certificates:path("ca.pem"), server_name = name }, more),
        on_close = function(_, _, its_code) over, code = true, its_code end,
    }))
    local count = #record.sockets
    pump_until(function() return over or #record.sockets > count and client.state == "open" end,
        kit.WAIT)
    local facts = client.tls
    if over then
        return nil, code
    end
    -- In TLS 1.3 a server refuses after the client has its word.
    assert.equal(name, record.sockets[count + 1].tls.server_name)
    assert.same(facts.alpn, record.sockets[count + 1].tls.alpn)
    client:abort()
    return facts
end

describe("option certs", function()
    after_each(helper.finish)

    it("has for each of 20 names its certificate and its protocol, and for others the table's",
        function()
            local certs, all = {}, { "own", "wild", "whole" }
            for i = 1, 20 do
                local name = "name" .. i
                certs[name .. ".example"] = certificates:identity(name, { alpn = { name } })
                all[#all + 1] = name
            end
            certs["*.wild.example"] = certificates:identity("wild", { alpn = { "wild" } })
            certs["Whole.Wild.Example."] = certificates:identity("whole", { alpn = { "whole" } })
            local record = listen(certs)
            for i = 1, 20 do
                local facts = ask(record, "name" .. i .. ".example", { alpn = all })
                assert.equal("name" .. i, facts.alpn)
                assert.same({ "name" .. i .. ".example" }, facts.peer.names)
            end
            assert.equal("wild", ask(record, "x.wild.example", { alpn = all }).alpn)
            assert.equal("whole", ask(record, "whole.wild.example", { alpn = all }).alpn)
            for _, name in ipairs { "unknown.example", "wild.example", "y.x.wild.example" } do
                local facts = ask(record, name, { alpn = all, insecure_name = true })
                assert.equal("own", facts.alpn)
                assert.equal("CN=localhost", facts.peer.subject)
            end
            -- A client that asks for none, as for an address there is no asking.
            assert.equal("own", ask(record, nil, { alpn = all }).alpn)
        end)

    it("has for a name what the table around it says, unless it says so itself", function()
        local asking = { client_auth = "require", cafile = certificates:path("ca.pem") }
        local stranger = helper.track(evsock.connect("127.0.0.1",
            kit.server(certificates, "stranger").port, { tls = { verify = false } }))
        assert.is_true(stranger:wait("connect", kit.WAIT))
        local fingerprint = stranger.tls.peer.fingerprint
        local record = listen({
            ["name1.example"] = certificates:identity("name1"),
            ["name2.example"] = certificates:identity("name2", { client_auth = false }),
            ["name3.example"] = certificates:identity("name3", {
                ca = certificates:pem("other.pem"), min_version = "1.3" }),
            ["name4.example"] = certificates:identity("name4", { fingerprint = fingerprint }),
        }, asking)
        record.server.on_error = function() end
        local function outcome(name, client, more)
            local identity = client and certificates:identity(client)
            local facts, code = ask(record, name, merge(identity, more))
            return facts and record.sockets[#record.sockets].tls.verified, code
        end
        -- Of TLS 1.2 both ends agree on the outcome at once.
        local old = { max_version = "1.2" }
        for _, name in ipairs { "localhost", "name1.example" } do
            assert.is_nil((outcome(name, nil, old)))
            assert.is_nil((outcome(name, "stranger", old)))
            assert.is_true((outcome(name, "client", old)))
        end
        assert.is_false((outcome("name2.example", nil, old)))
        assert.is_false((outcome("name2.example", "client")))
        assert.is_true((outcome("name3.example", "stranger")))
        assert.equal("TLS_VERSION", select(2, outcome("name3.example", "stranger", old)))
        assert.equal("fingerprint", outcome("name4.example", "stranger"))
        assert.is_nil((outcome("name4.example", "client", old)))
    end)

    it("may be given anew with the table, and is for connections that are secured later, too",
        function()
            local certs = { ["name1.example"] = certificates:identity("name1") }
            local record = listen(certs)
            assert.is_true(ask(record, "name1.example").verified)
            assert.equal("TLS_BAD_HOSTNAME", select(2, ask(record, "name2.example")))
            record.server.on_error = function() end
            record.server.tls = certificates:identity("ecdsa", {
                certs = { ["name2.example"] = certificates:identity("name2") } })
            assert.is_true(ask(record, "name2.example").verified)
            assert.equal("TLS_BAD_HOSTNAME", select(2, ask(record, "name1.example")))

            local near, far = helper.pair()
            far:start_tls(certificates:identity("ecdsa", { certs = certs }))
            near:start_tls {
                cafile = certificates:path("ca.pem"), server_name = "name1.example" }
            assert.is_true(near:wait("secure", kit.WAIT))
            assert.same({ "name1.example" }, near.tls.peer.names)
        end)

    it("has the key log of the table for all names", function()
        local path = os.tmpname()
        local record = listen({ ["name1.example"] = certificates:identity("name1") },
            { keylog = path })
        assert.is_true(ask(record, "name1.example").verified)
        assert.is_truthy(helper.read_file(path):find("CLIENT_TRAFFIC_SECRET_0 %x+ %x+\n"))
        os.remove(path)
    end)

    it("tells of each certificate that is out of its time, with its name, once", function()
        local record = listen {
            ["a.example"] = certificates:identity("expired"),
            ["b.example"] = certificates:identity("early"),
        }
        pump_until(function() return #record.errors == 2 end, kit.WAIT)
        local first, second = record.errors[1], record.errors[2]
        local text = "%s.example: certfile .-%s.pem: certificate 1"
        assert.is_truthy(first[1]:find(text:format("a", "expired")), first[1])
        assert.is_truthy(second[1]:find(text:format("b", "early")), second[1])
        assert.same({ "TLS_EXPIRED", "TLS_NOT_YET_VALID" }, { first[2], second[2] })
    end)

    it("names the host and the option that is wrong, and shows no key", function()
        local one = certificates:identity("name1")
        local function wrong(certs, what, more)
            local given = certificates:identity("ecdsa", merge({ certs = certs }, more))
            misuse(function() evsock.tls(given) end, what)
        end
        wrong({ ["a.example"] = merge(one, { alpnn = {} }) },
            "bad tls option 'alpnn' of 'a.example' in 'certs' to 'tls' (unknown name; did you mean "
                .. "'alpn'?)")
        for _, name in ipairs { "verify", "insecure_name", "certs" } do
            wrong({ ["a.example"] = merge(one, { [name] = true }) },
                "bad tls option '" .. name .. "' of 'a.example' in 'certs' to 'tls' (it is not for "
                    .. "one name; give it beside 'certs')")
        end
        wrong({ ["a.example"] = merge(one, { alpn = "h2" }) },
            "'alpn' of 'a.example' in 'certs' to 'tls' (list of protocol names expected")
        wrong({ ["a.example"] = merge(one, { key = 5 }) },
            "'key' of 'a.example' in 'certs' to 'tls' (string expected, got number)")
        wrong({ ["a.example"] = merge(one, { key = "SECRET" }) }, "'keyfile' was given, too")
        wrong({ ["a.example"] = {} }, "'a.example' needs 'cert' and 'key'")
        wrong({ ["a.example"] = { cert = "x" } }, "its 'key' is missing")
        wrong({ ["a.example"] = { certfile = "/nowhere.pem", keyfile = "/nowhere.key" } },
            "certs: 'a.example': certfile /nowhere.pem: no such file or directory")
        wrong({ ["a.example"] = merge(one, { client_auth = "require" }) },
            "certs: 'a.example': client_auth needs 'ca'")
        wrong({ ["127.0.0.1"] = one }, "certs: '127.0.0.1': clients ask for names")
        wrong({ ["a*.example"] = one }, "certs: 'a*.example': '*' stands for the first label")
        wrong({ ["a b"] = one }, "certs: 'a b' is no host name")
        wrong({ ["a.example"] = one, ["A.example."] = one }, "is there twice")
        for _, certs in ipairs { {}, { one }, { ["a.example"] = "name1.pem" }, 5, "a.example" } do
            wrong(certs, "'certs' to 'tls' (tables by the names that clients ask for expected")
        end
        misuse(function() evsock.tls { certs = { ["a.example"] = one } } end,
            "'cert' and 'key' beside it are missing")
        local _, why = pcall(evsock.tls, certificates:identity("ecdsa", {
            certs = { ["a.example"] = merge(one, { key = "SECRET" }) } }))
        assert.is_nil(why:find("SECRET", 1, true))
    end)
end)
