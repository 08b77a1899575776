-- Certificates and foreign TLS peers for the specs. Everything lies in a directory under /tmp that
-- its keeper (`keeper.sh`) removes, however the interpreter ends.
--
-- Not here: bad certificates and how they are refused (`spec/rust/tls_verify.rs`).

local helper = require "spec.helper"

local kit = {
    --- The kinds of keys; each has a certificate for localhost and 127.0.0.1.
    keys = { "ecdsa", "rsa", "ed25519" },
}

-- How often a server is tried: somebody may have taken a port that was free.
local START, ATTEMPTS = 20, 3

local function capture(command)
    local pipe = assert(io.popen(command))
    local output = pipe:read("*a")
    pipe:close()
    return (output:gsub("%s+$", ""))
end

function kit.read_file(path)
    local file = io.open(path, "rb")
    if file then
        local text = file:read("*a")
        file:close()
        return text
    end
end

function kit.write_file(path, text)
    local file = assert(io.open(path, "wb"))
    assert(file:write(text))
    assert(file:close())
    return path
end

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

local function new_directory()
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

-- One root, and below it a server's certificate for each kind of key and a client's; a root that
-- has signed nothing, and a certificate that has signed itself.
local MAKE = [[
set -e
cd "$1"
printf '[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = unused\n' >conf
make() { # NAME SUBJECT; then words of openssl
    name=$1 subject=$2
    shift 2
    openssl req -x509 -config conf -nodes -days 30 -sha256 -subj "/CN=$subject" \
        -keyout "$name.key" -out "$name.pem" "$@"
}
ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256'
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
echo made
]]

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

--- Options of a server with the certificate of that name, and what else is given.
function Certificates:identity(name, options)
    local tls = { certfile = self:path(name .. ".pem"), keyfile = self:path(name .. ".key") }
    for field, value in pairs(options or {}) do
        tls[field] = value
    end
    return tls
end

function Certificates:remove()
    self.pipe:close()
end

function kit.certificates()
    local directory = new_directory()
    local pipe = keep(directory, { "sleep", "300" })
    local script = kit.write_file(directory .. "/make", MAKE)
    local said = capture("sh " .. script .. " " .. directory .. " 2>&1")
    assert(said:find("made$"), said)
    return setmetatable({ directory = directory, pipe = pipe }, Certificates)
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
        for _, word in ipairs(words) do
            command[#command + 1] = word
        end
        return command
    end, function(server)
        server.port = tonumber(server:log():match("ACCEPT 127%.0%.0%.1:(%d+)\n"))
        return server.port
    end)
end

local NGINX = [[
daemon off;
master_process off;
pid pid;
error_log log;
events {
    worker_connections 64;
}
http {
    access_log off;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    keepalive_requests 100000;
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_session_cache shared:s:1m;
    server {
        listen 127.0.0.1:%d ssl;
        root files;
        location = /nth { return 200 "$connection_requests\n"; }
        location = /reused { return 200 "$ssl_session_reused\n"; }
        location = /last { keepalive_timeout 0; return 200 "last"; }
    }
}
]]

--- nginx with a certificate. Files lie in `files` of its directory; /nth answers the how many-th
--- request of the connection it is, /last is the end of the connection.
function kit.nginx(certificates, key)
    return start("nginx", function(server)
        server.port = helper.free_port()
        server.files = server.directory .. "/files"
        kit.write_file(server.directory .. "/conf", NGINX:format(
            certificates:path(key .. ".pem"), certificates:path(key .. ".key"), server.port))
        assert(capture("mkdir " .. server.files .. " && echo made") == "made")
        return { "/usr/sbin/nginx", "-p", server.directory, "-c", "conf", "-e", "log" }
    end, function(server)
        return (kit.read_file(server.directory .. "/pid") or ""):find("\n") ~= nil
    end)
end

-- Programs that end by themselves -----------------------------------------------------------------

--- Runs a program beside the pump, for at most 30 s. `input`: path of a file. Returns its output,
--- what it said to stderr and its status (124: too late).
function kit.run(words, input)
    local directory = new_directory()
    local seconds = 30 * helper.slow
    os.execute(("cd %s && { timeout -k 1 %d %s <%s >out 2>said; echo $? >code; mv code status; }"
        .. " >/dev/null 2>&1 &"):format(directory, seconds, quote_all(words), input or "/dev/null"))
    local status
    helper.pump_until(function()
        status = kit.read_file(directory .. "/status")
        return status
    end, seconds + 5, words[1] .. " ends")
    local out, said = kit.read_file(directory .. "/out"), kit.read_file(directory .. "/said")
    os.execute("rm -rf " .. directory)
    return out, said, tonumber(status)
end

return kit
