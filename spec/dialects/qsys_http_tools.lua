-- What the specs of Q-SYS' HttpClient share: a peer of the specs' own process that answers each
-- request with the bytes that it is told, and the wait for what the handler gets.
--
-- Not here: a real server (`spec/peers`).

local helper = require "spec.helper"
local qsys = require "evsock.qsys"
local HttpClient = qsys.HttpClient

local tools = {}

-- The request that is whole in `text`, or nil.
local function request_in(text)
    local head, body = text:match("^(.-\r\n)\r\n(.*)$")
    if not head or #body < tonumber(head:match("\nContent%-Length: (%d+)\r\n") or 0) then
        return nil
    end
    local method, target = head:match("^(%u+) (%S+) HTTP/1%.1\r\n")
    return { method = method, target = target, head = head, body = body }
end

--- A server; `requests` are those that came. `answer(request, sock, count)` returns the bytes of
--- the answer, behind which the connection ends, or nil if it does all that. A text answers all.
function tools.peer(answer, options)
    local record = { requests = {} }
    local given = { tls = options and options.tls }
    given.on_accept = function(_, sock)
        helper.track(sock)
        local come = ""
        sock.on_data = function()
            come = come .. (sock:read() or "")
            local request = request_in(come)
            if not request then
                return
            end
            come = ""
            local count = #record.requests + 1
            record.requests[count] = request
            local said = answer
            if type(answer) == "function" then
                said = answer(request, sock, count)
            end
            if said then
                sock:write(said)
                sock:close()
            end
        end
    end
    record.port = helper.server(given).port
    record.url = "http://127.0.0.1:" .. record.port
    return record
end

--- An answer with that body.
function tools.ok(body, more)
    local length = "Content-Length: " .. #body .. "\r\n"
    return "HTTP/1.1 200 OK\r\n" .. (more or "") .. length .. "\r\n" .. body
end

--- Sends the request by `call` and waits for what its handler gets: a table of `code`, `data`,
--- `err` and `headers`. The handler must not be called before the next pump, nor twice.
function tools.ask(call, request)
    local got
    request.EventHandler = function(...)
        collectgarbage()
        local asked, code, data, err, headers = ...
        assert(asked == request and select("#", ...) == 5)
        assert(not got, "the handler was called twice")
        got = { code = code, data = data, err = err, headers = headers }
    end
    HttpClient[call](request)
    assert(not got, "the handler was called within the call")
    helper.pump_until(function()
        return got
    end, 5, "an answer")
    return got
end

--- The same by Get, where nothing but the place matters; `more`: what else is asked.
function tools.get(url, more)
    local request = { Url = url }
    for name, value in pairs(more or {}) do
        request[name] = value
    end
    return tools.ask("Get", request)
end

--- What Get says of an answer of these bytes, behind which the connection ends.
function tools.get_answer(bytes)
    return tools.get(tools.peer(bytes).url)
end

--- The value of a field of a request.
function tools.field(request, name)
    return request.head:match("\n" .. name:gsub("%-", "%%-") .. ": ([^\r]*)\r")
end

return tools
