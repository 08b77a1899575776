-- Q-SYS HttpClient with a real nginx as the peer.

local helper = require "spec.helper"
local daemon = require "spec.peers.daemon"
local http = require "spec.dialects.qsys_http_tools"
local kit = require "spec.peers.openssl"
local program = require "spec.peers.program"
local ask, get = http.ask, http.get

after_each(helper.finish)

local function noise(size)
    local random = helper.dice(size)
    local bytes = {}
    for place = 1, 1024 do
        bytes[place] = string.char(random(256) - 1)
    end
    return table.concat(bytes):rep(size / 1024)
end

describe("Q-SYS HttpClient with nginx:", function()
    local nginx, url = daemon.for_block(setup, teardown, daemon.nginx), nil
    local large = noise(8 * 1024 * 1024)

    setup(function()
        url = "http://127.0.0.1:" .. nginx.port
        for _, folder in ipairs { "chunked", "private" } do
            local command = "mkdir " .. nginx.files .. "/" .. folder .. " && echo made"
            assert.equal("made", program.capture(command))
        end
        program.write_file(nginx.files .. "/large", large)
        program.write_file(nginx.files .. "/chunked/large", large)
        program.write_file(nginx.files .. "/private/page", "for you alone")
        program.write_file(nginx.directory .. "/users", "me:{PLAIN}pass word\n")
    end)

    it("a page, its headers, and one that is not there", function()
        local got = get(url .. "/echo/a b")
        assert.same({ 200, "/echo/a b" }, { got.code, got.data })
        assert.is_nil(got.err)
        assert.is_truthy(got.headers.Server:find("^nginx"))
        assert.equal(404, get(url .. "/none").code)
    end)

    it("8 MiB by their length, and in chunks", function()
        local got = get(url .. "/large")
        assert.equal(tostring(#large), got.headers["Content-Length"])
        assert.is_true(got.data == large)
        got = get(url .. "/chunked/large")
        assert.equal("chunked", got.headers["Transfer-Encoding"])
        assert.is_true(got.data == large)
    end)

    it("redirects, and those without an end", function()
        local got = get(url .. "/moved")
        assert.same({ 200, "/echo/moved" }, { got.code, got.data })
        got = get(url .. "/endless")
        assert.equal(302, got.code)
        assert.is_truthy(got.err:find("more than 10 redirects", 1, true))
    end)

    it("a page for whom it knows", function()
        local page = url .. "/private/page"
        assert.equal(401, get(page).code)
        for _, auth in ipairs { "any", "basic" } do
            local got = get(page, { User = "me", Password = "pass word", Auth = auth })
            assert.same({ 200, "for you alone" }, { got.code, got.data })
            assert.equal(401, get(page, { User = "me", Password = "no", Auth = auth }).code)
        end
        assert.equal("", get(url .. "/credentials").data)
    end)

    it("what is put is there, and what is deleted is gone", function()
        local page = url .. "/kept/a/b"
        local small = large:sub(1, 100000)
        assert.equal(201, ask("Put", { Url = page, Data = small }).code)
        assert.is_true(get(page).data == small)
        assert.equal(204, ask("Upload", { Url = page, Method = "PUT", Data = "new" }).code)
        assert.equal("new", get(page).data)
        assert.equal(204, ask("Delete", { Url = page }).code)
        assert.equal(404, get(page).code)
        assert.equal(413, ask("Put", { Url = page, Data = large }).code)
        assert.equal(405, ask("Post", { Url = url .. "/large", Data = "a=1" }).code)
    end)

    it("what is no HTTP/1.1 is refused by it, and the answer comes", function()
        local got = get(url .. "/echo/", { Headers = { ["X-Long"] = ("x"):rep(40000) } })
        assert.equal(400, got.code)
    end)
end)

describe("Q-SYS HttpClient with nginx and TLS:", function()
    local certificates = kit.certificates_for(setup, teardown)
    local nginx
    setup(function()
        nginx = kit.nginx(certificates, "ecdsa")
        kit.write_file(nginx.files .. "/page", "a page")
    end)
    teardown(function()
        nginx:stop()
    end)

    it("a page, validated or not", function()
        local page = "https://127.0.0.1:" .. nginx.port .. "/page"
        assert.equal("a page", get(page).data)
        local checked = { ValidateCertificate = true, CACertData = certificates:pem "ca.pem" }
        assert.equal("a page", get(page, checked).data)
        checked.CACertData = certificates:pem "other.pem"
        assert.equal(0, get(page, checked).code)
    end)

    it("plain HTTP at its port is answered by it", function()
        local got = get("http://127.0.0.1:" .. nginx.port .. "/page")
        assert.equal(400, got.code)
    end)
end)
