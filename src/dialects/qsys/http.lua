-- Q-SYS: HttpClient.
--
-- A request is a table; each connection that it makes is an object of its own, which lives until
-- the answer is there. Not here: URLs (`url`), credentials, the reading of heads (the core).
-- Invariants: the handler is called once, never inside of the call that asks; a request ends within
-- its time; credentials go to no other place than the first; no message holds more of a URL than
-- host and port, since the rest may be a secret.

local evsock, core = ...
local common, sock_api, http = core.common, core.socket, core.http
local credentials, url = core.part "qsys/credentials", core.part "qsys/url"
local settings, compile_tls = core.part "qsys/settings", core.part("qsys/tls").compile
local bad, check_text = common.bad, common.check_text
local limits = http.limits

-- The longest line that begins a chunk.
local CHUNK_LINE = 4096

-- The request of a connection.
local REQUEST = {}
-- Those under way, as keys.
local under_way, count = setmetatable({}, { __mode = "k" }), 0

-- The end of a request ----------------------------------------------------------------------------

local function finish(request, code, data, problem, headers)
    if request.is_over then
        return
    end
    request.is_over = true
    local sock, timer = request.socket, request.timer
    request.socket, request.timer = nil, nil
    if timer then
        timer:cancel()
    end
    if sock then
        sock_api.release(sock)
    end
    if under_way[request] then
        under_way[request], count = nil, count - 1
    end
    if problem then
        settings:log("error", "HttpClient: " .. problem)
    end
    local handler = request.handler
    if handler then
        handler(request.params, code, data, problem, headers)
    end
end

local function body_of(request)
    return request.status and table.concat(request.pieces) or ""
end

-- With as much of the answer as has come.
local function fail(request, why)
    finish(request, request.status or 0, body_of(request), why, request.headers or {})
end

-- `why`: what is wrong at the place that was asked.
local function refuse(request, why)
    local place = request.place
    fail(request, request.call .. core.where(place.host, place.port) .. ": " .. why)
end

local function expire(request)
    local what = request.status and "the answer was not whole" or "no answer"
    refuse(request, ("%s within %g s"):format(what, request.timeout))
end

-- Asking ------------------------------------------------------------------------------------------

-- The fields that are ours to say.
local OWN = {
    connection = true, ["content-length"] = true, ["keep-alive"] = true,
    ["transfer-encoding"] = true,
}
-- Those that go to nobody but whom the script named.
local PRIVATE = {
    authorization = true, cookie = true, host = true, ["proxy-authorization"] = true,
}

-- The script's fields first, in their order; ours where it gave none.
local function head_of(request)
    local place = request.place
    local lines = { request.method .. " " .. place.target .. " HTTP/1.1" }
    local given = {}
    local function add(name, value)
        lines[#lines + 1] = name .. ": " .. value
        given[name:lower()] = true
    end
    for _, field in ipairs(request.fields) do
        local key = field.name:lower()
        local stays = request.is_first_place or not PRIVATE[key]
        local fits = not request.lost_body or not key:find("^content%-")
        if stays and fits and not OWN[key] then
            add(field.name, field.value)
        end
    end
    local function add_default(name, value)
        if value and not given[name:lower()] then
            add(name, value)
        end
    end
    -- The zone of an address means something here alone (RFC 6874).
    add_default("Host", (url.authority(place):gsub("%%[^%]]*", "")))
    add_default("Authorization", request.authorization)
    add_default("User-Agent", (evsock._VERSION:gsub(" ", "/")))
    add_default("Accept", "*/*")
    local method, body = request.method, request.body
    if body ~= "" or method == "POST" or method == "PUT" or method == "PATCH" then
        if method == "POST" and body ~= "" then
            add_default("Content-Type", "application/x-www-form-urlencoded")
        end
        add("Content-Length", ("%d"):format(#body))
    end
    add("Connection", "close")
    return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- A client's certificate is for the first place alone.
local function tls_for(request)
    local name = request.is_first_place and "tls" or "other_tls"
    request[name] = request[name] or compile_tls(
        { ValidateCertificate = request.validates, CACertData = request.ca }, request.call)
    return request[name]
end

local read_head
local Connection

-- Asks at `request.place`, by a new connection; nil and a message where that cannot even begin.
local function ask(request)
    local place = request.place
    if request.socket then
        sock_api.release(request.socket)
    end
    request.status, request.headers = nil, nil
    request.read, request.lines, request.head_size = read_head, {}, 0
    request.pieces, request.size = {}, 0
    local sock = Connection.new()
    request.socket, sock[REQUEST] = sock, request
    -- The request's own time is the bound.
    sock_api.set(sock, "connect_timeout", 0)
    if place.scheme == "https" then
        sock_api.set(sock, "tls", tls_for(request))
    end
    local host, port = place.host, place.port
    local begun, message = sock_api.connect(sock, host, port, nil, settings:redirect(host, port))
    if begun then
        begun, message = sock_api.write(sock, head_of(request) .. request.body)
    end
    if not begun then
        sock_api.release(sock)
        request.socket = nil
    end
    return begun, message
end

-- From within an event.
local function ask_again(request)
    local begun, message = ask(request)
    if not begun then
        fail(request, request.call .. ": " .. message)
    end
end

-- What an answer asks for -------------------------------------------------------------------------

-- All values of a field.
local function values_of(fields, name)
    local found = {}
    for place = 1, #fields, 2 do
        if fields[place]:lower() == name then
            found[#found + 1] = fields[place + 1]
        end
    end
    return found
end

-- Whether the request goes on elsewhere, or has ended because it cannot.
local function redirected(request, status, fields)
    local is_redirect = status == 301 or status == 302 or status == 303 or status == 307
        or status == 308
    local target = is_redirect and values_of(fields, "location")[1]
    if not target then
        return false
    elseif request.redirects >= limits.redirects then
        refuse(request, ("more than %d redirects"):format(limits.redirects))
        return true
    end
    local place, why = url.resolve(request.place, target)
    if not place then
        refuse(request, "it leads to a URL that is wrong: " .. why)
        return true
    end
    request.redirects = request.redirects + 1
    local becomes_get = status == 303 or request.method == "POST" and status < 303
    if becomes_get and request.method ~= "GET" then
        request.method, request.body, request.lost_body = "GET", "", true
    end
    request.place = place
    request.is_first_place = url.same_origin(request.first_place, place)
    request.has_answered, request.has_renewed = false, false
    request.authorization = request.is_first_place and request.basic or nil
    ask_again(request)
    return true
end

-- Whether the request is asked once more, with credentials.
local function identified(request, status, fields)
    local user = request.user
    if status ~= 401 or not user or not request.is_first_place or request.basic then
        return false
    end
    local asked = { method = request.method, target = request.place.target, body = request.body }
    local answer, is_old = credentials.answer(
        values_of(fields, "www-authenticate"), request.auth, user, request.password, asked)
    local is_new = not request.has_answered or is_old and not request.has_renewed
    if not answer or not is_new then
        return false
    end
    request.has_answered, request.has_renewed = true, request.has_answered
    request.authorization = answer
    ask_again(request)
    return true
end

-- As scripts get them: a text, or a list where the name came several times.
local function headers_of(fields)
    local headers, names = {}, {}
    for place = 1, #fields, 2 do
        local name, value = fields[place], fields[place + 1]
        local key = name:lower()
        local before = names[key] and headers[names[key]]
        if not before then
            names[key], headers[name] = name, value
        elseif type(before) == "table" then
            before[#before + 1] = value
        else
            headers[names[key]] = { before, value }
        end
    end
    return headers
end

-- Reading -----------------------------------------------------------------------------------------

-- Each function of this part takes what it can of the buffer: true when the next may go on, false
-- when more must come or the request is over.

local function answered(request)
    finish(request, request.status, body_of(request), nil, request.headers)
    return false
end

-- Up to so many bytes of the body; how many there were.
local function take(sock, request, most)
    local piece = sock_api.read(sock, most)
    if not piece then
        return 0
    end
    request.size = request.size + #piece
    request.pieces[#request.pieces + 1] = piece
    return #piece
end

local function too_large(request, size)
    if size <= limits.body then
        return false
    end
    refuse(request, ("the body has more than %d bytes"):format(limits.body))
    return true
end

-- A line without its end; nil where there is none yet, or it ends the request since there would be
-- more than `most` bytes, with those `before` it.
local function take_line(sock, request, before, most)
    local line = sock_api.read_line(sock, "crlf")
    local size = before + (line and #line + 2 or sock_api.buffered(sock))
    if size > most then
        refuse(request, ("a line or head of more than %d bytes"):format(most))
        return nil
    end
    return line, size
end

local function read_by_length(sock, request)
    request.left = request.left - take(sock, request, request.left)
    return request.left == 0 and answered(request)
end

local function read_to_close(sock, request)
    return take(sock, request) > 0 and not too_large(request, request.size)
end

local read_chunk_line

local function read_trailer(sock, request)
    local line, size = take_line(sock, request, request.head_size, limits.head)
    if not line then
        return false
    elseif line == "" then
        return answered(request)
    end
    request.head_size = size
    return true
end

local function read_chunk_end(sock, request)
    local line = take_line(sock, request, 0, CHUNK_LINE)
    if line and line ~= "" then
        refuse(request, "a chunk does not end where it should")
        return false
    elseif line then
        request.read = read_chunk_line
    end
    return line ~= nil
end

local function read_chunk(sock, request)
    request.left = request.left - take(sock, request, request.left)
    if request.left == 0 then
        request.read = read_chunk_end
    end
    return request.left == 0
end

function read_chunk_line(sock, request)
    local line = take_line(sock, request, 0, CHUNK_LINE)
    local size = line and http.chunk(line)
    if not line then
        return false
    elseif not size then
        refuse(request, "a chunk does not begin with its size")
        return false
    elseif too_large(request, request.size + size) then
        return false
    end
    request.left, request.read = size, size > 0 and read_chunk or read_trailer
    return true
end

-- A whole head has come.
local function on_head(request)
    local text = table.concat(request.lines, "\r\n") .. "\r\n\r\n"
    request.lines = {}
    local status, fields, body = http.head(text)
    if not status then
        refuse(request, "what came is no answer of HTTP (" .. fields .. ")")
        return false
    elseif status == 101 then
        refuse(request, "the answer changes to another protocol")
        return false
    elseif status < 200 then
        -- The answer itself comes behind it.
        return true
    end
    request.status, request.headers = status, headers_of(fields)
    if redirected(request, status, fields) or identified(request, status, fields) then
        return false
    elseif body == "nothing" or body == 0 or request.method == "HEAD" then
        -- HEAD's answer tells the length of what it leaves out.
        return answered(request)
    elseif body == "chunked" then
        request.read = read_chunk_line
    elseif body == "close" then
        request.read = read_to_close
    elseif too_large(request, body) then
        return false
    else
        request.left, request.read = body, read_by_length
    end
    return true
end

function read_head(sock, request)
    if not request.lines[1] then
        -- What speaks otherwise may never end a line.
        local begins = sock_api.peek(sock, 5)
        if not begins then
            return false
        elseif begins ~= ("HTTP/"):sub(1, #begins) then
            refuse(request, "what came is no answer of HTTP")
            return false
        end
    end
    local line, size = take_line(sock, request, request.head_size, limits.head)
    if not line then
        return false
    end
    request.head_size = size
    if line == "" then
        return on_head(request)
    end
    request.lines[#request.lines + 1] = line
    return true
end

local function advance(sock, request)
    while request.socket == sock and request.read(sock, request) do
        -- The next part of the answer.
    end
end

local on = {}

function on.data(sock)
    local request = sock[REQUEST]
    advance(sock, request)
end

function on.close(sock, message, code)
    local request = sock[REQUEST]
    advance(sock, request)
    if request.socket ~= sock then
        return
    end
    -- Many devices just close a connection with TLS; without validation that tells no less.
    local is_end = not code or code == "TLS_TRUNCATED" and not request.validates
    if not is_end then
        fail(request, request.call .. ": " .. message)
    elseif request.read == read_to_close then
        answered(request)
    elseif request.status then
        local missing = request.read == read_by_length
            and (" (%d bytes are missing)"):format(request.left) or ""
        refuse(request, "the connection ended within the answer" .. missing)
    else
        refuse(request, "the connection ended without an answer")
    end
end

Connection = core.class {
    name = "HttpClient",
    kind = "socket",
    anchor = "object",
    on = on,
    close = sock_api.release,
    tostring = function(sock)
        local info = sock_api.info(sock)
        return "userdata: HttpClient " .. info.state .. core.where(info.host, info.port)
    end,
}

-- What scripts give -------------------------------------------------------------------------------

local function text_or_nil(params, name, call)
    local value = params[name]
    return value ~= nil and check_text(value, name, call) or nil
end

-- A text that is part of a line.
local function line_or_nil(params, name, call)
    local text = text_or_nil(params, name, call)
    if text and text:find("[%c]") then
        bad(name, call, "string without control characters", text)
    end
    return text
end

local function add_field(list, name, value, call)
    local text = check_text(value, "Headers." .. name, call)
    if text:gsub("\t", ""):find("%c") then
        bad("Headers." .. name, call, "string without control characters", text)
    end
    list[#list + 1] = { name = name, value = text }
end

-- A list, in the order of the names.
local function fields_of(headers, call)
    if headers == nil then
        return {}
    elseif type(headers) ~= "table" then
        bad("Headers", call, "table", headers)
    end
    local names, list = {}, {}
    for name in pairs(headers) do
        if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
            bad("Headers", call, "names of header fields", name)
        end
        names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local value = headers[name]
        for _, each in ipairs(type(value) == "table" and value or { value }) do
            add_field(list, name, each, call)
        end
    end
    return list
end

local AUTHS = { any = true, basic = true, digest = true }

local function auth_of(params, call)
    local auth = params.Auth == nil and "any" or params.Auth
    auth = type(auth) == "string" and auth:lower() or auth
    return AUTHS[auth] and auth or bad("Auth", call, "'any', 'basic' or 'digest'", params.Auth)
end

-- 0 is as none: there is always a bound.
local function timeout_of(params, call)
    local timeout = params.Timeout
    if timeout ~= nil and not common.is_duration(timeout) then
        bad("Timeout", call, "seconds of at least 0", timeout)
    end
    return timeout ~= nil and timeout > 0 and timeout or limits.timeout
end

local function tls_of(params, request, call)
    local validates = params.ValidateCertificate
    if validates ~= nil and type(validates) ~= "boolean" then
        bad("ValidateCertificate", call, "boolean", validates)
    end
    local properties, is_given = { ValidateCertificate = validates }, validates or false
    for _, name in ipairs { "CACertData", "ClientCertData", "ClientKeyData" } do
        local text = text_or_nil(params, name, call)
        properties[name] = text ~= "" and text or nil
        is_given = is_given or properties[name] ~= nil
    end
    request.validates, request.ca = validates, properties.CACertData
    return is_given and compile_tls(properties, call) or nil
end

local function request_of(params, call, method)
    if type(params) ~= "table" then
        bad("request", call, "table", params)
    end
    check_text(params.Url, "Url", call)
    local request = {
        params = params, call = call, method = method, redirects = 0, is_first_place = true,
        handler = common.check_function(params.EventHandler, "EventHandler", call),
        fields = fields_of(params.Headers, call),
        user = line_or_nil(params, "User", call),
        password = line_or_nil(params, "Password", call) or "",
        auth = auth_of(params, call),
        timeout = timeout_of(params, call),
        body = text_or_nil(params, "Data", call) or "",
    }
    -- Plugins hand on what was never filled in.
    if request.user == "" then
        request.user = nil
    end
    request.tls = tls_of(params, request, call)
    return request
end

-- Forgets what has ended without us, as by `evsock.reset`.
local function sweep()
    count = 0
    for request in pairs(under_way) do
        if request.timer and request.timer.active then
            count = count + 1
        else
            under_way[request] = nil
        end
    end
end

-- The first connection; nil and a message where it cannot begin.
local function start(request)
    local call = request.call
    local place, why = url.parse(tostring(request.params.Url))
    if not place then
        return nil, call .. ": the Url is wrong: " .. why
    end
    request.place, request.first_place = place, place
    if count >= limits.requests then
        sweep()
    end
    if count >= limits.requests then
        return nil, ("%s%s: %d requests are under way already"):format(
            call, core.where(place.host, place.port), count)
    end
    if not request.user and place.user then
        request.user, request.password = place.user, place.password
    end
    if request.user and (request.user .. request.password):find("%c") then
        return nil, call .. ": the Url is wrong: its user has a control character"
    end
    if request.user and request.auth == "basic" then
        request.basic = credentials.basic(request.user, request.password)
        request.authorization = request.basic
    end
    under_way[request], count = true, count + 1
    request.timer = evsock.after(request.timeout, expire, request)
    local begun, message = ask(request)
    return begun, begun or call .. ": " .. message
end

local HttpClient = {}

local function send(request)
    local begun, problem = start(request)
    if not begun then
        evsock.after(0, finish, request, 0, "", problem, {})
    end
end

local methods = {
    Delete = "DELETE", Download = "GET", Get = "GET", Patch = "PATCH", Post = "POST", Put = "PUT",
}
for call, method in pairs(methods) do
    HttpClient[call] = function(params)
        send(request_of(params, call, method))
    end
end

function HttpClient.Upload(params)
    local request = request_of(params, "Upload", "PUT")
    local method = line_or_nil(params, "Method", "Upload") or "PUT"
    if not method:find("^%a+$") then
        bad("Method", "Upload", "a method of HTTP", method)
    end
    request.method = method:upper()
    if request.method == "CONNECT" then
        -- Its answer is a tunnel, and its target no URL.
        bad("Method", "Upload", "another method than CONNECT, which opens tunnels", method)
    end
    send(request)
end

function HttpClient.CreateUrl(parts)
    return url.create(parts, "CreateUrl")
end

function HttpClient.EncodeString(text)
    return url.encode(check_text(text, "text", "EncodeString"))
end

function HttpClient.DecodeString(text)
    return url.decode(check_text(text, "text", "DecodeString"))
end

function HttpClient.EncodeParams(params)
    return url.encode_params(params, "params", "EncodeParams")
end

return HttpClient
