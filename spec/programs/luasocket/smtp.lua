-- socket.smtp, mime and ltn12. Words: the port of `protocols.smtp`, and the port of one with users.

local start, port, guarded = ...
local smtp = require "socket.smtp"
local mime = require "mime"
local ltn12 = require "ltn12"

local function send(options)
    options.server = "127.0.0.1"
    options.port = options.port or tonumber(port)
    options.from = options.from or "<me@here.example>"
    options.domain = "here.example"
    local result, problem = smtp.send(options)
    return result, problem
end

print("plain", send {
    rcpt = "<you@there.example>",
    source = smtp.message {
        headers = { subject = "a test" },
        body = "first\r\n.a dot\r\n..two\r\nlast",
    },
})

local picture = ("\0\1\254\255"):rep(5000)
print("in parts", send {
    rcpt = { "<one@there.example>", "<two@there.example>" },
    source = smtp.message {
        headers = { subject = "parts" },
        body = {
            preamble = "for old programs",
            { body = mime.eol(0, "words\nand lines\n") },
            {
                headers = {
                    ["content-transfer-encoding"] = "BASE64", ["content-type"] = "image/png" },
                body = ltn12.source.chain(ltn12.source.string(picture),
                    ltn12.filter.chain(mime.encode("base64"), mime.wrap())),
            },
        },
    },
})

print("refused", send {
    rcpt = { "<one@there.example>", "<nobody@there.example>" },
    source = smtp.message { body = "never sent" },
})

print("with a user", send {
    port = tonumber(guarded), user = "me", password = "secret", rcpt = "<you@there.example>",
    source = smtp.message { body = "from me" },
})
print("with a wrong password", send {
    port = tonumber(guarded), user = "me", password = "wrong", rcpt = "<you@there.example>",
    source = smtp.message { body = "never sent" },
})

start.together(10, function(i)
    local result, problem = send {
        rcpt = "<you@there.example>",
        source = smtp.message { body = ("mail %d, line %d\r\n"):format(i, i):rep(200) },
    }
    assert(result == 1, problem)
end)
print("ten at once")
