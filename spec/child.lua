-- What scripts in child interpreters share, and the specs with them: files, waiting, connected
-- pairs, what keeps a process busy or takes its descriptors, finalisers. A child finds it by the
-- paths that `helper.run` hands on. The library comes as an argument: what is required here must
-- not load it. Not here: what needs busted.

local child = {}

function child.read_file(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
end

--- Pumps until `condition()` is true, for `seconds` (5) at most.
function child.wait_until(evsock, what, condition, seconds)
    seconds = seconds or 5
    local deadline = evsock.now() + seconds
    while not condition() do
        assert(evsock.now() < deadline, ("not within %d s: %s"):format(seconds, what))
        evsock.pump(0.01)
    end
end

--- A connected client, the socket that was accepted for it, and the server.
function child.link(evsock, options, server_options)
    local given, peer = {}, nil
    for name, value in pairs(server_options or {}) do
        given[name] = value
    end
    given.on_accept = function(_, sock)
        peer = sock
    end
    local server = assert(evsock.listen("127.0.0.1", 0, given))
    local client = assert(evsock.connect("127.0.0.1", server.port, options))
    child.wait_until(evsock, "a pair", function()
        return peer and client.state == "open"
    end)
    return client, peer, server
end

--- Opens files until the system refuses; a list of them.
function child.take_descriptors()
    local taken = {}
    while true do
        local file = io.open("/dev/null")
        if not file then
            return taken
        end
        taken[#taken + 1] = file
    end
end

--- Five clients that write `size` bytes each, and one that goes on trying where nobody listens.
function child.busy_clients(evsock, port, size)
    for _ = 1, 5 do
        evsock.connect("127.0.0.1", port, {
            on_connect = function(sock)
                sock:write(("x"):rep(size))
            end,
            on_data = function() end,
        })
    end
    evsock.connect("127.0.0.1", 1, { reconnect = 0.01, on_close = function() end })
end

--- Makes an object whose finaliser calls `fn`, and returns it: before 5.2 only userdata have
--- finalisers. It is garbage unless the caller keeps it.
function child.when_collected(fn)
    local newproxy = rawget(_G, "newproxy")
    if newproxy then
        local object = newproxy(true)
        getmetatable(object).__gc = fn
        return object
    end
    return setmetatable({}, { __gc = fn })
end

return child
