-- Small servers of the specs' own process that speak SMTP, FTP, HTTP or take lines: for programs in
-- child interpreters, which run beside the pump. Each returns a record with its `port` and what it
-- was told; `helper.finish` ends it. They know what their visitors ask for, and no more.

local helper = require "spec.helper"
local evsock = helper.evsock

local protocols = {}

-- How long a visitor may take for its next word.
local PATIENCE = 20 * helper.slow

-- A server that answers each connection in a task of its own.
local function serve(record, answer, tls)
    record.visitors = 0
    record.server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
        tls = tls,
        on_accept = function(_, sock)
            record.visitors = record.visitors + 1
            helper.track(sock)
            helper.spawn(function()
                answer(sock)
                sock:close()
            end)
        end,
        on_error = function(_, message)
            record.problem = message
        end,
    })))
    record.port = record.server.port
    return record
end

local function next_line(sock)
    return sock:receive({ until_ = "\r\n" }, PATIENCE)
end

-- Commands, one a line: `commands[WORD](rest)` returns what is answered; a table of lines is an
-- answer of several.
local function converse(sock, greeting, commands)
    sock:write(greeting, "\r\n")
    local line = next_line(sock)
    while line do
        local word, rest = line:match("^(%a+) ?(.*)$")
        local command = word and commands[word:upper()]
        local said, is_last = "500 what is that", false
        if command then
            said, is_last = command(rest)
        end
        sock:write(said, "\r\n")
        line = not is_last and next_line(sock)
    end
end

--- `record.mails`: from, recipients, text (with the dots taken off), and who logged in; `users` are
--- names and passwords, both in base64.
function protocols.smtp(users)
    local record = { mails = {} }
    return serve(record, function(sock)
        local mail
        local function begin()
            mail = { recipients = {} }
        end
        local function check(name, password)
            if users and users[name] == password then
                mail.who = name
                return "235 welcome"
            end
            return "535 no such user"
        end
        local login = users and "AUTH LOGIN" or "HELP"
        begin()
        converse(sock, "220 a peer", {
            EHLO = function()
                return "250-a peer\r\n250-" .. login .. "\r\n250 8BITMIME"
            end,
            AUTH = function()
                sock:write("334 VXNlcm5hbWU6\r\n")
                local name = next_line(sock)
                sock:write("334 UGFzc3dvcmQ6\r\n")
                return check(name, next_line(sock))
            end,
            MAIL = function(rest)
                mail.from = rest:match("^FROM:(%S+)")
                return "250 yes"
            end,
            RCPT = function(rest)
                local name = rest:match("^TO:(%S+)")
                if name:find("nobody") then
                    return "550 no such mailbox"
                end
                mail.recipients[#mail.recipients + 1] = name
                return "250 yes"
            end,
            DATA = function()
                sock:write("354 go on\r\n")
                local text = sock:receive({ until_ = "\r\n.\r\n" }, PATIENCE)
                mail.text = (text .. "\r\n"):gsub("^%.", ""):gsub("\r\n%.", "\r\n")
                record.mails[#record.mails + 1] = mail
                begin()
                return "250 taken"
            end,
            QUIT = function()
                return "221 goodbye", true
            end,
        })
    end)
end

-- The data connection of one visitor of FTP: `listen` or `aim` prepares it, `with(fn)` waits for
-- it.
local function data_connection()
    local data = {}
    function data.listen()
        local came = evsock.condition()
        local server, waiting
        server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            on_accept = function(_, sock)
                waiting = helper.track(sock)
                came:signal()
            end,
        })))
        data.open = function()
            if not waiting then
                came:wait(PATIENCE)
            end
            server:close()
            return assert(waiting, "nobody came for the data")
        end
        return server.port
    end
    function data.aim(host, port)
        data.open = function()
            return helper.track(evsock.connect(host, tonumber(port)))
        end
        return "200 there"
    end
    return data
end

--- `files`: names and contents. Who is not in `users` (names and passwords) may only read, as
--- "ftp". `record.ways` counts the kinds of data connections.
function protocols.ftp(files, users)
    local record = { files = files, ways = {}, types = {} }
    local function count(list, key)
        list[key] = (list[key] or 0) + 1
    end
    return serve(record, function(sock)
        local who, allowed
        local data = data_connection()
        local function changing(fn)
            return function(name)
                return allowed and allowed ~= "ftp" and fn(name) or "532 not you"
            end
        end
        local function transfer(fn)
            sock:write("150 here it comes\r\n")
            local peer = data.open()
            fn(peer)
            peer:close()
            return "226 done"
        end
        local function reading(text)
            return text and transfer(function(peer)
                assert(peer:send(text, PATIENCE))
            end) or "550 no such file"
        end
        converse(sock, "220 a peer", {
            USER = function(name)
                who = name
                return "331 and the password?"
            end,
            PASS = function(password)
                allowed = (who == "ftp" or users[who] == password) and who
                return allowed and "230 welcome" or "530 no"
            end,
            TYPE = function(name)
                count(record.types, name)
                return "200 yes"
            end,
            EPSV = function()
                count(record.ways, "EPSV")
                return ("229 come to (|||%d|)"):format(data.listen())
            end,
            PASV = function()
                count(record.ways, "PASV")
                local port = data.listen()
                return ("227 come to (127,0,0,1,%d,%d)"):format(math.floor(port / 256), port % 256)
            end,
            EPRT = function(rest)
                count(record.ways, "EPRT")
                return data.aim(rest:match("^|1|([^|]+)|(%d+)|$"))
            end,
            PORT = function(rest)
                count(record.ways, "PORT")
                local high, low = rest:match("^127,0,0,1,(%d+),(%d+)$")
                return data.aim("127.0.0.1", high * 256 + low)
            end,
            RETR = function(name) return reading(files[name]) end,
            NLST = function()
                local names = {}
                for name in pairs(files) do
                    names[#names + 1] = name .. "\r\n"
                end
                table.sort(names)
                return reading(table.concat(names))
            end,
            STOR = changing(function(name)
                return transfer(function(peer)
                    files[name] = peer:receive("*a", PATIENCE)
                end)
            end),
            DELE = changing(function(name)
                local was = files[name]
                files[name] = nil
                return was and "250 gone" or "550 no such file"
            end),
            CWD = function() return "250 there" end,
            QUIT = function() return "221 goodbye", true end,
        })
    end)
end

-- The body of a request whose head is given, by its length or in chunks.
local function receive_body(sock, head)
    local length = head:match("\r\n[Cc]ontent%-[Ll]ength: (%d+)")
    if length then
        return length == "0" and "" or sock:receive(tonumber(length), PATIENCE)
    end
    local pieces = {}
    while head:find("\r\n[Tt]ransfer%-[Ee]ncoding: chunked") do
        local size = tonumber(next_line(sock), 16)
        if size > 0 then
            pieces[#pieces + 1] = sock:receive(size, PATIENCE)
        end
        next_line(sock)
        if size == 0 then
            break
        end
    end
    return table.concat(pieces)
end

--- `pages`: functions by path (without its "/") that get sock and body and return the body of the
--- answer, or nil if they have answered. `tls`: options of the server, for https.
function protocols.http(pages, tls)
    return serve({}, function(sock)
        local head = sock:receive({ until_ = "\r\n\r\n" }, PATIENCE)
        while head do
            local path = head:match("^%u+ [^ ]-/([^/ ]*) HTTP")
            local answer = pages[path](sock, receive_body(sock, head))
            if not answer then
                return
            end
            sock:write("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: ", #answer,
                "\r\nConnection: close\r\n\r\n", answer)
            if head:find("\r\n[Cc]onnection: [^\r]*close") then
                return
            end
            head = sock:receive({ until_ = "\r\n\r\n" }, PATIENCE)
        end
    end, tls)
end

--- Takes lines; `record.lines` are those of all visitors, in the order in which they came.
function protocols.lines()
    local record = { lines = {} }
    return serve(record, function(sock)
        local line = sock:receive("*l", PATIENCE)
        while line do
            record.lines[#record.lines + 1] = line
            line = sock:receive("*l", PATIENCE)
        end
    end)
end

return protocols
