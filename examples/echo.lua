-- Shows the smallest server and client: what is sent comes back.

local evsock = require "evsock"

local server = assert(evsock.listen("127.0.0.1", 0, {
    on_data = function(sock)
        sock:write(sock:read())
    end,
    on_accept = function(own)
        own:close() -- one client is enough here; the accepted socket stays open
    end,
}))

evsock.connect("127.0.0.1", server.port, {
    on_connect = function(sock)
        sock:write("hello")
    end,
    on_data = function(sock)
        print("came back: " .. sock:read())
        sock:close()
    end,
})

evsock.run()
