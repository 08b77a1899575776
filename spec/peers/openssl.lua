-- Certificates and foreign TLS peers for the specs, and how a connection to one went. Everything
-- lies in a directory under /tmp that its keeper (`keeper.sh`) removes, however the interpreter
-- ends. Where EVSOCK_CERTIFICATES names a folder, certificates lie there, and stay: Windows has no
-- openssl and finds them ready-made.
--
-- Not here: bad certificates and how they are refused (`spec/rust/tls_verify.rs`).

local helper = require "spec.helper"
local program = require "spec.peers.program"
local evsock = helper.evsock
local capture = program.capture

local kit = {
    read_file = program.read_file,
    write_file = program.write_file,
    --- The kinds of keys; each has a certificate for localhost and 127.0.0.1.
    keys = { "ecdsa", "rsa", "ed25519" },
}

-- How often a server is tried: somebody may have taken a port that was free.
local START, ATTEMPTS = 20, 3

local function quote(word)
    return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

local function quote_all(words)
    local quoted = {}
    for i, word in ipairs(words) do
        quoted[i] = quote(word)
    end
    return table.concat(quoted, " ")
end

--- One list of two, of which the second may be missing.
function kit.concat(list, more)
    local all = {}
    for _, words in ipairs { list, more or {} } do
        for _, word in ipairs(words) do
            all[#all + 1] = word
        end
    end
    return all
end

local function new_directory()
    helper.unix_only("OpenSSL and other programs as peers")
    local directory = capture("mktemp -d /tmp/evsock-tls-XXXXXX")
    assert(directory:find("^/tmp/"), "no directory for a peer")
    return directory
end

-- Runs a server until the pipe that is returned gets closed; the directory goes with it.
local function keep(directory, words)
    local command = "exec setsid -w sh spec/peers/keeper.sh " .. directory .. " TERM "
    return assert(io.popen(command .. quote_all(words), "w"))
end

-- Certificates ------------------------------------------------------------------------------------

-- What every script has that makes certificates. Of version 1 is what has no extensions.
local COMMON = [[
set -e
cd "$1"
make() { # NAME SUBJECT; then words of openssl, which may replace those here
    name=$1 subject=$2
    shift 2
    openssl req -x509 -config conf -nodes -days 30 -subj "/CN=$subject" \
        -keyout "$name.key" -out "$name.pem" "$@"
}
version1() { # NAME SUBJECT ISSUER, or - for itself; then words of openssl about the key
    name=$1 subject=$2 issuer=$3
    shift 3
    openssl req -new -config conf -nodes -subj "/CN=$subject" -keyout "$name.key" \
        -out "$name.csr" "$@"
    set -- -CA "$issuer.pem" -CAkey "$issuer.key" -CAcreateserial
    [ "$issuer" != - ] || set -- -signkey "$name.key"
    openssl x509 -req -days 30 -in "$name.csr" -out "$name.pem" "$@"
}
ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256'
]]

-- One root, and below it a server's certificate for each kind of key and a client's; a root that
-- has signed nothing, and a certificate that has signed itself.
local MAKE = [[
printf '[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = unused\n' >conf
root='-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign'
leaf='-addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature'
here='-addext subjectAltName=DNS:localhost,IP:127.0.0.1'
server="$leaf $here -addext extendedKeyUsage=serverAuth"
under='-CA ca.pem -CAkey ca.key'
make ca 'evsock test root' $ec $root
make other 'another root' $ec $root
make ecdsa localhost $ec $server $under
make rsa localhost -newkey rsa:2048 $server $under
make ed25519 localhost -newkey ed25519 $server $under
make client 'a client' $ec $leaf -addext extendedKeyUsage=clientAuth $under
make stranger 'a stranger' $ec $leaf -addext extendedKeyUsage=clientAuth \
    -CA other.pem -CAkey other.key
make itself localhost $ec $leaf $here
]]

local function with(options, more)
    for name, value in pairs(more or {}) do
        options[name] = value
    end
    return options
end

local Certificates = {}
Certificates.__index = Certificates

--- The path of a file: "ca.pem", "rsa.key".
function Certificates:path(name)
    return self.directory .. "/" .. name
end

--- The text of a file.
function Certificates:pem(name)
    return assert(kit.read_file(self:path(name)), name)
end

--- The texts of two files.
function Certificates:pems(one, other)
    return self:pem(one), self:pem(other)
end

--- Options of a server with the certificate of that name, and what else is given.
function Certificates:identity(name, options)
    return with({
        certfile = self:path(name .. ".pem"), keyfile = self:path(name .. ".key") }, options)
end

--- Options of a client that trusts the root, and what else is given.
function Certificates:trusting(options)
    return with({ cafile = self:path("ca.pem") }, options)
end

function Certificates:remove()
    if self.pipe then
        self.pipe:close()
    end
end

--- Makes more: `script` is for a shell and has `make`, `version1` and `$ec`.
function Certificates:make(script)
    if helper.is_windows then
        return self
    end
    local path = kit.write_file(self:path("make"), COMMON .. script .. "\necho made\n")
    local said = capture("sh " .. path .. " " .. self.directory .. " 2>&1")
    assert(said:find("made$"), said)
    return self
end

-- What is handed over: a folder for each spec file that asks in `setup` and each time that it asks;
-- the others share one, whose name is "common".
local handed_over = os.getenv("EVSOCK_CERTIFICATES")
local asked = 0

local function handed_over_folder()
    asked = asked + 1
    local folder = ("%s/%s.%d"):format(
        handed_over, (_G.arg[1]:match("([^/]*)_spec%.lua$") or _G.arg[1]):sub(1, 16), asked)
    if not helper.is_windows then
        assert(capture("mkdir " .. folder .. " 2>&1") == "", folder)
    elseif not kit.read_file(folder .. "/ca.pem") then
        folder = handed_over .. "/common.1"
    end
    return folder
end

function Certificates:begin(more)
    if handed_over then
        self.directory = handed_over_folder()
    else
        self.directory = new_directory()
        self.pipe = keep(self.directory, { "sleep", "300" })
    end
    self:make(MAKE)
    return more and self:make(more) or self
end

--- `more`: what else is made.
function kit.certificates(more)
    return setmetatable({}, Certificates):begin(more)
end

--- The same for all tests of a file or block, which hands over its `setup`, where they are made,
--- and its `teardown`, where they are removed.
function kit.certificates_for(setup, teardown, more)
    local certificates = setmetatable({}, Certificates)
    setup(function() certificates:begin(more) end)
    teardown(function() certificates:remove() end)
    return certificates
end

-- Servers -----------------------------------------------------------------------------------------

local Server = {}
Server.__index = Server

function Server:stop()
    self.pipe:close()
    local left = capture("ls -d " .. self.directory .. " 2>/dev/null")
    assert(left == "", "a server has left its directory: " .. left)
end

function Server:log()
    return kit.read_file(self.directory .. "/log") or ""
end

-- `prepare(server)` returns the words of the command, `is_ready(server)` is asked until it is true.
local function start(name, prepare, is_ready)
    local log
    for _ = 1, ATTEMPTS do
        local server = setmetatable({ directory = new_directory() }, Server)
        server.pipe = keep(server.directory, prepare(server))
        local ready = pcall(helper.pump_until, function()
            return is_ready(server)
        end, START * helper.slow / ATTEMPTS)
        if ready then
            return server
        end
        log = server:log()
        server:stop()
    end
    error(name .. " does not start: " .. log, 0)
end

--- `openssl s_server` with a certificate. `words`: more of its arguments; `place`: where it runs;
--- `input`: a named pipe that it reads from.
function kit.openssl(certificates, key, words, place, input)
    return start("openssl", function(server)
        local command = {
            "sh", "-c", 'exec "$@" <>"$0"', input or "/dev/null",
            "env", "-C", place or server.directory, "openssl", "s_server", "-accept", "127.0.0.1:0",
            "-cert", certificates:path(key .. ".pem"), "-key", certificates:path(key .. ".key"),
        }
        return kit.concat(command, words)
    end, function(server)
        server.port = tonumber(server:log():match("ACCEPT 127%.0%.0%.1:(%d+)\n"))
        return server.port
    end)
end

--- The port of such a server that sends lines back, reversed, and stops with the test.
function kit.device(certificates, key, words)
    local server = kit.openssl(certificates, key, kit.concat({ "-rev" }, words))
    return helper.track(server, server.stop).port
end

local NGINX = [[
        ssl_certificate %s;
        ssl_certificate_key %s;
        ssl_session_cache shared:s:1m;
        listen 127.0.0.1:%d ssl;
        location = /reused { return 200 "$ssl_session_reused\n"; }
]]

--- nginx with a certificate. Files lie in `files` of its directory; /reused says whether the
--- session is an old one; /nth and /last: `program.prepare_nginx`.
function kit.nginx(certificates, key)
    return start("nginx", function(server)
        server.port = helper.free_port()
        return program.prepare_nginx(server, NGINX:format(
            certificates:path(key .. ".pem"), certificates:path(key .. ".key"), server.port))
    end, function(server)
        return (kit.read_file(server.directory .. "/pid") or ""):find("\n") ~= nil
    end)
end

-- Programs that end by themselves -----------------------------------------------------------------

--- Starts a program that takes `limit` seconds (30) at most, as many times as long where all is
--- slow. `input`: path of a file. Returns two functions: one pumps until it has ended and returns
--- its output, what it said to stderr and its status (124: too late), the other its output so
--- far.
function kit.begin(words, input, limit)
    local directory = new_directory()
    local seconds = (limit or 30) * helper.slow
    os.execute(("cd %s && { timeout -k 1 %d %s <%s >out 2>said; echo $? >code; mv code status; }"
        .. " >/dev/null 2>&1 &"):format(directory, seconds, quote_all(words), input or "/dev/null"))
    local function so_far(name)
        return kit.read_file(directory .. "/" .. name)
    end
    return function()
        local status
        helper.pump_until(function()
            status = so_far("status")
            return status
        end, seconds + 5, words[1] .. " ends")
        local out, said = so_far("out"), so_far("said")
        os.execute("rm -rf " .. directory)
        return out, said, tonumber(status)
    end, function()
        return so_far("out") or ""
    end
end

--- Runs a program beside the pump, as `begin` does.
function kit.run(words, input)
    local wait = kit.begin(words, input)
    return wait()
end

--- `openssl s_client` to a port; `key`: the name of its certificate, if it has one.
function kit.visit(certificates, port, key, words)
    local command = { "openssl", "s_client", "-connect", "127.0.0.1:" .. port }
    if key then
        command = kit.concat(command, {
            "-cert", certificates:path(key .. ".pem"), "-key", certificates:path(key .. ".key") })
    end
    return kit.run(kit.concat(command, words))
end

-- How a connection went ---------------------------------------------------------------------------

--- Connects. A table that has `verified` when it stands, `message` and `code` when it ends
--- ("closed" if nothing was wrong), and the socket.
function kit.attempt(host, port, tls)
    local told = {}
    local sock = helper.track(evsock.connect(host, port, {
        tls = tls,
        on_connect = function(sock) told.verified = sock.tls.verified end,
        on_close = function(_, message, code)
            told.message, told.code = message, code or "closed"
        end,
    }))
    return told, sock
end

--- Waits until it stands or ends.
function kit.until_told(told)
    helper.pump_until(function()
        return told.code or told.verified ~= nil
    end, 5 * helper.slow, "a connection or its end")
    return told
end

return kit
