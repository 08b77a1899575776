-- evsock by its dialect of LuaSocket: what is written for that, in tasks, as it is.

local evsock = require "evsock"
require("evsock.luasocket").install()
local socket = require "socket"

local contestant = { version = evsock._VERSION, now = evsock.now }

local function connect(job)
    local sock = assert(socket.connect(job.host, job.port))
    assert(sock:setoption("tcp-nodelay", true))
    return sock
end

function contestant.dialogue(job)
    for _ = 1, job.connections do
        local text, answer = job.dialogue()
        evsock.spawn(function()
            local sock = connect(job)
            while text do
                assert(sock:send(text))
                text = answer(assert(sock:receive(job.message)))
            end
            sock:close()
        end)
    end
    evsock.run()
end

function contestant.requests(job)
    job.requests(require("socket.http").request, function(task, done)
        local left = job.connections
        for _ = 1, job.connections do
            evsock.spawn(function()
                task()
                left = left - 1
                if left == 0 then
                    done()
                end
            end)
        end
    end)
    evsock.run()
end

return contestant
