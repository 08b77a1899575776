-- What all peers need that are programs of others: what a command says, files, and the
-- configuration of an nginx that is one process and writes into its own directory alone. Not here:
-- which programs (`daemon.lua`, `openssl.lua`).

local program = {}

--- What a command says, without white space at the end.
function program.capture(command)
    local pipe = assert(io.popen(command))
    local output = pipe:read("*a")
    pipe:close()
    return (output:gsub("%s+$", ""))
end

--- The bytes of a file, or nil where there is none.
function program.read_file(path)
    local file = io.open(path, "rb")
    if file then
        local text = file:read("*a")
        file:close()
        return text
    end
end

--- Writes a file and returns its path.
function program.write_file(path, text)
    local file = assert(io.open(path, "wb"))
    assert(file:write(text))
    assert(file:close())
    return path
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
    server {
        root files;
        location = /nth { return 200 "$connection_requests\n"; }
        location = /last { keepalive_timeout 0; return 200 "last"; }
%s    }
}
]]

--- Writes what nginx needs into the directory of `server`, whose `files` is the path of what it
--- serves, and returns the words of its command. /nth answers the how many-th request of the
--- connection it is, /last is the end of the connection; `more`: the rest of its block `server`.
function program.prepare_nginx(server, more)
    server.files = server.directory .. "/files"
    program.write_file(server.directory .. "/conf", NGINX:format(more))
    assert(program.capture("mkdir " .. server.files .. " && echo made") == "made")
    return { "/usr/sbin/nginx", "-p", server.directory, "-c", "conf", "-e", "log" }
end

return program
