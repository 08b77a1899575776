-- Real servers for the specs: redis, nginx and PostgreSQL, each on a free port and on a Unix socket
-- in a directory of its own. A spec file starts one in `setup` and stops it in `teardown`.
--
-- A server also ends when the interpreter that started it ends in any other way (`keeper.sh`).
-- PostgreSQL refuses to run as root: then it gets the user that Debian made for it.

local helper = require "spec.helper"
local program = require "spec.peers.program"
local evsock = helper.evsock
local capture, read_file = program.capture, program.read_file

local daemon = {
    --- The ways to a server, as `address` and `connect` know them.
    ways = { "TCP", "Unix socket" },
}

-- Seconds until a server must answer, and how often another port is tried: somebody may have taken
-- a free one.
local START, ATTEMPTS = 20, 3

-- One that has ended is a zombie ("Z") until somebody asks how it ended.
local function is_running(pid)
    local state = (read_file("/proc/" .. pid .. "/stat") or ""):match("^.*%) (%u)")
    return state ~= nil and state ~= "Z"
end

local Server = {}
Server.__index = Server

--- Host and port, or "unix:/path" and nil.
function Server:address(way)
    if way == "TCP" then
        return "127.0.0.1", self.port
    end
    return "unix:" .. self.socket
end

--- A connection that `helper.finish` ends.
function Server:connect(way, options)
    local sock = helper.track(evsock.socket(options))
    sock:connect(self:address(way))
    return sock
end

--- The number of its process, which is the first line of a file; nil before it is written.
function Server:pid()
    return (read_file(self.directory .. "/" .. self.pidfile) or ""):match("^(%d+)\n")
end

--- Ends the server, and raises if anything of it is left then.
function Server:stop()
    local pid = self:pid()
    self.pipe:close()
    assert(not (pid and is_running(pid)), "a server has not ended")
    local left = capture("ls -d " .. self.directory .. " 2>/dev/null")
    assert(left == "", "a server has left its directory: " .. left)
end

-- Whether a new connection gets the answer that only this server gives.
local function answers(server, question, answer)
    local sock = evsock.connect("127.0.0.1", server.port, { connect_timeout = 1 })
    sock:write(question)
    local found = sock:receive({ until_ = answer }, 1) ~= nil
    sock:abort()
    return found
end

-- `prepare(server)` returns the words of the command, `is_ready(server)` is asked until it is true.
local function start(name, signal, prepare, is_ready)
    local directory, log
    for _ = 1, ATTEMPTS do
        directory = capture("mktemp -d /tmp/evsock-peer-XXXXXX")
        assert(directory:find("^/tmp/"), "no directory for a server")
        local server = setmetatable(
            { directory = directory, pidfile = "pid", port = helper.free_port() }, Server)
        local words = { "exec setsid -w sh spec/peers/keeper.sh", directory, signal }
        for _, word in ipairs(prepare(server)) do
            words[#words + 1] = "'" .. word .. "'"
        end
        server.pipe = assert(io.popen(table.concat(words, " "), "w"))
        local ready = false
        pcall(helper.pump_until, function()
            ready = is_ready(server)
            local kept = (read_file(directory .. "/kept") or ""):match("^(%d+)\n")
            return ready or kept and not is_running(kept)
        end, START * helper.slow)
        if ready then
            return server
        end
        log = read_file(directory .. "/log")
        server:stop()
    end
    error(("%s does not start in %s: %s"):format(name, directory, log or "it says nothing"), 0)
end

--- The server that one of the functions below starts, for all specs of a block: what busted's
--- `setup` starts and its `teardown` stops.
function daemon.for_block(setup, teardown, begin)
    local server = setmetatable({}, Server)
    setup(function()
        for name, value in pairs(begin()) do
            server[name] = value
        end
    end)
    teardown(function()
        if server.pipe then
            server:stop()
        end
    end)
    return server
end

function daemon.redis()
    return start("redis", "TERM", function(server)
        server.socket = server.directory .. "/socket"
        return {
            "redis-server", "--bind", "127.0.0.1", "--port", server.port, "--unixsocket", "socket",
            "--dir", ".", "--pidfile", server.directory .. "/pid", "--save", "",
        }
    end, function(server)
        local pid = server:pid()
        return pid and answers(server, "INFO server\r\n", "\nprocess_id:" .. pid .. "\r\n")
    end)
end

local NGINX = [[
        listen 127.0.0.1:%d;
        listen unix:%s;
        location = /pid { return 200 "$pid\n"; }
        location /echo/ { return 200 "$uri"; }
        location = /moved { return 302 /echo/moved; }
        location = /credentials { return 200 "$http_authorization"; }
        location = /endless { return 302 /endless; }
        location /chunked/ { ssi on; ssi_types *; }
        location /private/ { auth_basic "x"; auth_basic_user_file users; }
        location /kept/ { dav_methods PUT DELETE; create_full_put_path on; }
]]

--- Files lie in `files` of its directory. /echo/ANYTHING answers its own path, /moved leads there,
--- /endless to itself, /credentials answers what was given. Files of /chunked/ come in chunks, of
--- /private/ for whom the file `users` of its directory names; in /kept/ they can be put and
--- deleted. /nth and /last: `program.prepare_nginx`.
function daemon.nginx()
    return start("nginx", "TERM", function(server)
        server.socket = server.directory .. "/socket"
        return program.prepare_nginx(server, NGINX:format(server.port, server.socket))
    end, function(server)
        local pid = server:pid()
        return pid and answers(server, "GET /pid HTTP/1.0\r\n\r\n", "\r\n\r\n" .. pid .. "\n")
    end)
end

--- Its database `postgres` belongs to the user `evsock`, who needs no password.
function daemon.postgres()
    return start("PostgreSQL", "INT", function(server)
        server.pidfile = "data/postmaster.pid"
        server.socket = server.directory .. "/.s.PGSQL." .. server.port
        local words = {}
        if capture("id -u") == "0" then
            assert(capture("chown postgres " .. server.directory .. " && echo done") == "done")
            words = { "setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups" }
        end
        local programs = capture("ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1")
        local script = table.concat {
            programs, "/initdb -D data -U evsock -A trust -E UTF8 --locale=C --no-sync && exec ",
            programs, "/postgres -D data -p ", server.port, " -c listen_addresses=127.0.0.1 -k ",
            server.directory, " -c fsync=off",
        }
        for _, word in ipairs { "sh", "-c", script } do
            words[#words + 1] = word
        end
        return words
    end, function(server)
        local state = read_file(server.directory .. "/data/postmaster.pid") or ""
        return state:find("\nready%s*$") ~= nil
    end)
end

return daemon
